//! Retry schedules: exponential backoff with jitter, clamped waits.
//!
//! Who is involved: the broker between tries of one request, the service between tries of a run or a receipt. What must
//! always hold: every wait is bounded whatever a vendor asks for, and no input makes it negative, endless or a panic.
//! Deliberately absent: randomness. The jitter is a parameter, so that tests can say what it is.

use std::time::Duration;

use crate::clock::Timestamp;

/// The longest wait that a vendor can ask for: what asks for more is asked again after it.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Longer values of `Retry-After` are not read: a date has 29 bytes.
const MAX_RETRY_AFTER_BYTES: usize = 64;

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The wait after the first failure.
    pub first: Duration,
    /// What each further wait is multiplied by; less than 1 counts as 1.
    pub factor: f64,
    /// The longest wait of the schedule's own.
    pub max: Duration,
    /// How many tries there are, the first included.
    pub tries: u32,
}

impl Schedule {
    /// How long to wait after so many failures (from 1), or nothing if that was the last try. `jitter` from 0 to 1 places
    /// the wait between half of it and all of it. A vendor's `retry_after`, clamped to an hour, is a lower bound.
    #[must_use]
    pub fn wait(&self, failures: u32, jitter: f64, retry_after: Option<Duration>) -> Option<Duration> {
        if failures >= self.tries {
            return None;
        }
        let steps = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let factor = if self.factor > 1.0 { self.factor } else { 1.0 };
        let max = self.max.as_secs_f64();
        let whole = (self.first.as_secs_f64() * factor.powi(steps)).min(max);
        let jitter = if jitter.is_nan() {
            1.0
        } else {
            jitter.clamp(0.0, 1.0)
        };
        let own = Duration::try_from_secs_f64(whole * (0.5 + jitter / 2.0))
            .unwrap_or(self.max)
            .min(self.max);
        Some(own.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)))
    }
}

/// Reads `Retry-After`: seconds or an HTTP date in any of its three forms (RFC 9110 §10.2.3, §5.6.7), clamped to an hour.
/// A date in the past means now; what is neither means nothing.
#[must_use]
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let text = value.trim();
    if text.is_empty() || text.len() > MAX_RETRY_AFTER_BYTES {
        return None;
    }
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        http_date(text, now)?.since(now)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The second of an HTTP date; a date before the epoch counts as the epoch. The weekday's name is not held against it.
fn http_date(text: &str, now: Timestamp) -> Option<Timestamp> {
    let words: Vec<&str> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, time) = match words.as_slice() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [_, day, month, year, time, "GMT"] => (*day, *month, number(year, 4)?, *time),
        // Sun Nov  6 08:49:37 1994
        [_, month, day, time, year] => (*day, *month, number(year, 4)?, *time),
        // Sunday, 06-Nov-94 08:49:37 GMT
        [_, date, time, "GMT"] => {
            let mut parts = date.splitn(3, '-');
            let (day, month, year) = (parts.next()?, parts.next()?, number(parts.next()?, 2)?);
            (day, month, century(year, now), *time)
        }
        _ => return None,
    };
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = i8::try_from(MONTHS.iter().position(|name| *name == month)? + 1).ok()?;
    let mut clock = time.splitn(3, ':');
    let mut part = || number(clock.next()?, 2).and_then(|part| i8::try_from(part).ok());
    let (hour, minute, second) = (part()?, part()?, part()?);
    let day = i8::try_from(number(day, day.len().clamp(1, 2))?).ok()?;
    let date = jiff::civil::Date::new(year, month, day).ok()?;
    // A leap second (60) is the second before it.
    let time = jiff::civil::Time::new(hour, minute, if second == 60 { 59 } else { second }, 0).ok()?;
    // Only the last day of the year 9999 has no timestamp there.
    let instant = jiff::tz::Offset::UTC.to_timestamp(date.to_datetime(time));
    let millis = instant.map_or(u64::MAX, |instant| {
        u64::try_from(instant.as_millisecond()).unwrap_or_default()
    });
    Some(Timestamp::from_millis(millis))
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i16> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// The year that two digits mean: the nearest one, and not more than 50 years in the future (RFC 9110 §5.6.7).
fn century(year: i16, now: Timestamp) -> i16 {
    let this = i64::try_from(now.as_millis())
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let this = this.map_or(1970, |now| jiff::tz::Offset::UTC.to_datetime(now).year());
    let year = this - this % 100 + year;
    if year > this + 50 {
        return year - 100;
    }
    if year <= this - 50 { year + 100 } else { year }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCHEDULE: Schedule = Schedule {
        first: Duration::from_secs(1),
        factor: 2.0,
        max: Duration::from_secs(60),
        tries: 10,
    };

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<_> = (1..11)
            .map(|failures| SCHEDULE.wait(failures, 1.0, None))
            .collect();
        let secs = |s| Some(Duration::from_secs(s));
        assert_eq!(
            waits,
            [
                secs(1),
                secs(2),
                secs(4),
                secs(8),
                secs(16),
                secs(32),
                secs(60),
                secs(60),
                secs(60),
                None
            ]
        );
        assert_eq!(SCHEDULE.wait(1, 0.0, None), Some(Duration::from_millis(500)));
        assert_eq!(SCHEDULE.wait(0, 1.0, None), secs(1));
        assert_eq!(SCHEDULE.wait(1, 1.0, secs(30)), secs(30));
        assert_eq!(SCHEDULE.wait(5, 1.0, secs(3)), secs(16));
        assert_eq!(SCHEDULE.wait(1, 1.0, Some(Duration::MAX)), Some(MAX_RETRY_AFTER));
        assert_eq!(SCHEDULE.wait(10, 1.0, secs(3)), None);
    }

    #[test]
    fn retry_after_is_read_in_every_form() {
        // 1994-11-06T08:49:37Z is RFC 9110's own example.
        let now = Timestamp::from_millis(784_111_777_000 - 60_000);
        let secs = |s| Some(Duration::from_secs(s));
        for (text, wait) in [
            ("0", secs(0)),
            ("120", secs(120)),
            (" 120 ", secs(120)),
            ("3600", secs(3600)),
            ("3601", secs(3600)),
            ("99999999999999999999999", secs(3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", secs(60)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", secs(60)),
            ("Sun Nov  6 08:49:37 1994", secs(60)),
            ("Sun, 06 Nov 1994 08:49:60 GMT", secs(82)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", secs(0)),
            ("Sat, 01 Jan 0001 00:00:00 GMT", secs(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", secs(3600)),
            ("Fri, 31-Dec-44 23:59:59 GMT", secs(3600)),
            ("Fri, 31-Dec-45 23:59:59 GMT", secs(0)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1e3", None),
            ("0x10", None),
            ("soon", None),
            ("Sun, 31 Feb 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 25:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 nov 1994 08:49:37 GMT", None),
            ("Sun, -6 Nov 1994 08:49:37 GMT", None),
            ("1994-11-06T08:49:37Z", None),
        ] {
            assert_eq!(parse_retry_after(text, now), wait, "{text}");
        }
        assert_eq!(parse_retry_after(&"1".repeat(100), now), None);
    }

    proptest! {
        #[test]
        fn waits_are_bounded(
            first in any::<u32>(), factor in any::<f64>(), max in any::<u32>(), tries: u32,
            failures: u32, jitter in any::<f64>(), asked in prop::option::of(any::<u64>()),
        ) {
            let schedule = Schedule {
                first: Duration::from_millis(first.into()), factor, max: Duration::from_millis(max.into()), tries,
            };
            if let Some(wait) = schedule.wait(failures, jitter, asked.map(Duration::from_secs)) {
                prop_assert!(wait <= schedule.max.max(MAX_RETRY_AFTER));
                prop_assert!(failures < tries);
            }
        }

        #[test]
        fn reading_never_panics(text in "[A-Za-z0-9:, -]{0,40}", now: u64) {
            let wait = parse_retry_after(&text, Timestamp::from_millis(now));
            prop_assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
        }
    }
}
