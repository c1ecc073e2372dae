//! Dates and times of JSON texts (RFC 3339), as numbers that databases and files have. Years 1 to 9999: what is outside,
//! is no day, or is a leap second stays the text that it is.

const DAY_SECONDS: i64 = 86_400;
const MICROS: i64 = 1_000_000;

/// 9999-12-31T23:59:59.999999Z.
pub(crate) const LAST_MICROS: i64 = days_of(10_000, 1, 1) * DAY_SECONDS * MICROS - 1;

/// A time, and whether microseconds say all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    /// Since 1970-01-01T00:00:00Z.
    pub(crate) micros: i64,
    pub(crate) exact: bool,
}

impl Instant {
    /// Reads a `date-time` of RFC 3339 §5.6.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (day, time) = (text.get(..10)?, text.get(11..)?);
        if !matches!(text.as_bytes().get(10)?, b'T' | b't' | b' ') {
            return None;
        }
        let days = i64::from(read_date(day)?);
        let clock = time.get(..8)?;
        let [hour, minute, second] = pairs(clock)?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let rest = time.get(8..)?;
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", rest),
        };
        if rest.starts_with('.') && fraction.is_empty() {
            return None;
        }
        let kept = fraction.get(..6).unwrap_or(fraction);
        let part: i64 = format!("{kept:0<6}").parse().ok()?;
        let exact = fraction
            .get(6..)
            .is_none_or(|more| more.bytes().all(|byte| byte == b'0'));
        let offset = match zone {
            "Z" | "z" => 0,
            _ => {
                let sign = match zone.as_bytes().first()? {
                    b'+' => 1,
                    b'-' => -1,
                    _ => return None,
                };
                let [hours, minutes, _] = pairs(&format!("{}:00", zone.get(1..)?))?;
                // Inside a day; RFC 3339 says no more.
                if hours > 23 || minutes > 59 {
                    return None;
                }
                sign * (hours * 60 + minutes) * 60
            }
        };
        let seconds = days * DAY_SECONDS + (hour * 60 + minute) * 60 + second - offset;
        let micros = seconds * MICROS + part;
        let first = days_of(1, 1, 1) * DAY_SECONDS * MICROS;
        (first..=LAST_MICROS)
            .contains(&micros)
            .then_some(Self { micros, exact })
    }
}

/// Reads a `full-date` of RFC 3339 §5.6 as days since 1970-01-01.
pub(crate) fn read_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let (year, month, day) = (
        digits(text.get(..4)?)?,
        digits(text.get(5..7)?)?,
        digits(text.get(8..)?)?,
    );
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if year == 0 || day == 0 || day > length {
        return None;
    }
    i32::try_from(days_of(year, month, day)).ok()
}

/// `2024-02-29`.
pub(crate) fn write_date(days: i64) -> String {
    let (year, month, day) = civil_of(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2024-02-29T10:11:12.000013Z`.
pub(crate) fn write_micros(micros: i64) -> String {
    let (seconds, part) = (micros.div_euclid(MICROS), micros.rem_euclid(MICROS));
    let (days, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{}T{hour:02}:{minute:02}:{second:02}.{part:06}Z",
        write_date(days)
    )
}

/// `10:11:12` as three numbers.
fn pairs(text: &str) -> Option<[i64; 3]> {
    let bytes = text.as_bytes();
    if bytes.len() != 8 || bytes.get(2) != Some(&b':') || bytes.get(5) != Some(&b':') {
        return None;
    }
    Some([
        digits(text.get(..2)?)?,
        digits(text.get(3..5)?)?,
        digits(text.get(6..)?)?,
    ])
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    text.parse().ok()
}

/// Days since 1970-01-01 of a day of the proleptic Gregorian calendar: whole eras of 400 years (146,097 days) that begin
/// on the first of March, so that a leap day is the last of its year.
const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = (month + 9) % 12;
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The day that is so many days after 1970-01-01.
const fn civil_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let read = Instant::read(text).map(|read| write_micros(read.micros));
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn times() {
        check("2024-02-29T10:11:12Z", Some("2024-02-29T10:11:12.000000Z"));
        check("2024-02-29t10:11:12.5z", Some("2024-02-29T10:11:12.500000Z"));
        check("2024-02-29 10:11:12+02:00", Some("2024-02-29T08:11:12.000000Z"));
        check("1969-12-31T23:59:59.999999Z", Some("1969-12-31T23:59:59.999999Z"));
        check(
            "9999-12-31T23:59:59.999999999Z",
            Some("9999-12-31T23:59:59.999999Z"),
        );
        check("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00.000000Z"));
        for bad in [
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "9999-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+2:00",
            "2024-01-01",
            "0000-01-01T00:00:00Z",
            "",
            "2024-01-01T00:00:00é",
            "+024-01-01T00:00:00Z",
            "2024-01-01T-1:00:00Z",
        ] {
            check(bad, None);
        }
        assert!(!Instant::read("2024-01-01T00:00:00.0000001Z").unwrap().exact);
        assert!(Instant::read("2024-01-01T00:00:00.000001000Z").unwrap().exact);
    }

    proptest! {
        #[test]
        fn days_come_back(days in -719_162i64..2_932_896) {
            prop_assert_eq!(read_date(&write_date(days)).map(i64::from), Some(days));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,40}") {
            let _ = (Instant::read(&text), read_date(&text));
        }
    }
}
