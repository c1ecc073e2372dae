//! Timestamps of vendors as the contract's milliseconds, without a clock: what a connector does must follow from what
//! it was given.

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// An RFC 3339 date and time as milliseconds since 1970-01-01T00:00:00Z; none if it is not one, or lies before 1970. The
/// offset may be without its colon (ISO 8601's basic form, `+0000`), as Jira and Salesforce write it.
///
/// ```
/// use sluice_sdk::time::parse;
/// assert_eq!(parse("1970-01-01T00:00:01Z"), Some(1_000));
/// assert_eq!(parse("1970-01-01T01:00:00.250+01:00"), Some(250));
/// assert_eq!(parse("yesterday"), None);
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let (year, month, day) = (digits(bytes, 0, 4)?, digits(bytes, 5, 2)?, digits(bytes, 8, 2)?);
    let (hour, minute, second) = (
        digits(bytes, 11, 2)?,
        digits(bytes, 14, 2)?,
        digits(bytes, 17, 2)?,
    );
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| bytes.get(*at) != Some(mark))
        || !matches!(bytes.get(10), Some(b'T' | b't' | b' '))
        || day > days_in(year, month)?
        || day == 0
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (millis, zone) = fraction(bytes.get(19..)?)?;
    let offset_minutes = match zone {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), rest @ ..] if rest.len() == 5 && rest.get(2) == Some(&b':') => {
            let (hours, minutes) = (digits(rest, 0, 2)?, digits(rest, 3, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            if *sign == b'-' { -offset } else { offset }
        }
        [sign @ (b'+' | b'-'), rest @ ..] if rest.len() == 4 => {
            let (hours, minutes) = (digits(rest, 0, 2)?, digits(rest, 2, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let time = ((hour * 60 + minute - offset_minutes) * 60 + second) * 1_000 + millis;
    u64::try_from(days_since_epoch(year, month, day) * DAY_MS + time).ok()
}

/// The same the other way, in whole seconds and UTC, as vendors take it: `2024-02-29T12:00:00Z`.
///
/// ```
/// assert_eq!(sluice_sdk::time::format(1_709_208_000_000), "2024-02-29T12:00:00Z");
/// ```
#[must_use]
pub fn format(timestamp: u64) -> String {
    let seconds = i64::try_from(timestamp / 1_000).unwrap_or(i64::MAX / 1_000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The same with milliseconds: `2024-02-29T12:00:00.250Z`.
///
/// ```
/// assert_eq!(sluice_sdk::time::format_ms(1_709_208_000_250), "2024-02-29T12:00:00.250Z");
/// ```
#[must_use]
pub fn format_ms(timestamp: u64) -> String {
    let whole = format(timestamp);
    let seconds = whole.strip_suffix('Z').unwrap_or(&whole);
    format!("{seconds}.{:03}Z", timestamp % 1_000)
}

/// An HTTP date (RFC 9110 §5.6.7, the preferred form only) as milliseconds since the epoch.
///
/// ```
/// assert_eq!(sluice_sdk::time::parse_http_date("Thu, 01 Jan 1970 00:01:00 GMT"), Some(60_000));
/// ```
#[must_use]
pub fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, name, year) = (words.next()?, words.next()?, words.next()?);
    let (time, zone) = (words.next()?, words.next()?);
    let month = MONTHS.iter().position(|month| *month == name)? + 1;
    (zone == "GMT" && words.next().is_none()).then(|| parse(&format!("{year}-{month:02}-{day}T{time}Z")))?
}

fn digits(bytes: &[u8], from: usize, count: usize) -> Option<i64> {
    bytes.get(from..from + count)?.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
    })
}

/// Milliseconds of a fraction such as `.25`, and what follows it.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', rest @ ..] = bytes else {
        return Some((0, bytes));
    };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, zone) = rest.split_at_checked(count)?;
    let mut millis = 0;
    for at in 0..3 {
        millis = millis * 10 + i64::from(fraction.get(at).map_or(0, |byte| byte - b'0'));
    }
    (count > 0).then_some((millis, zone))
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if leap => Some(29),
        2 => Some(28),
        _ => None,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar. The year is shifted to begin in March, so that the leap
/// day is its last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_since_epoch`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days_and_nonsense() {
        assert_eq!(parse("2011-01-26T19:01:12Z"), Some(1_296_068_472_000));
        assert_eq!(parse("2000-02-29T00:00:00Z"), Some(951_782_400_000));
        assert_eq!(parse("1970-01-01T01:00:00.250+0100"), Some(250));
        assert_eq!(parse("1970-01-01T00:00:00.000-0030"), Some(1_800_000));
        assert_eq!(parse("1970-01-01T00:00:00+2500"), None);
        let nonsense = [
            "",
            "2011-01-26",
            "2011-01-26T19:01:12",
            "2011-13-26T19:01:12Z",
            "2011-02-29T19:01:12Z",
            "2011-01-26T25:01:12Z",
            "2011-01-26T19:01:12.Z",
            "2011-01-26T19:01:12+1:00",
            "1969-12-31T23:59:59Z",
            "2011-01-26T19:01:12Zz",
            "２011-01-26T19:01:12Z",
            "2011-01-00T19:01:12Z",
        ];
        for text in nonsense {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(
            parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777_000)
        );
        assert_eq!(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), None);
    }

    proptest! {
        #[test]
        fn what_was_formatted_is_parsed_back(seconds in 0_u64..=253_402_300_799) {
            prop_assert_eq!(parse(&format(seconds * 1_000)), Some(seconds * 1_000));
            let ms = seconds * 1_000 + seconds % 1_000;
            prop_assert_eq!(parse(&format_ms(ms)), Some(ms));
        }

        #[test]
        fn later_is_later(a in 0_u64..=253_402_300_799, b in 0_u64..=253_402_300_799) {
            prop_assert_eq!(format(a * 1_000) < format(b * 1_000), a < b);
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}") {
            let _ = (parse(&text), parse_http_date(&text));
        }
    }
}
