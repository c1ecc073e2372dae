//! Dates in the forms that vendors invent.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::error::RuleError;
use crate::json::{self, Kind};
use crate::rules::DateParse;

/// Formats that are tried.
const MAX_FORMATS: usize = 10;

/// Bytes of a format.
const MAX_FORMAT_BYTES: usize = 100;

/// Bytes of a date that is read: the longest form has less than half of it.
const MAX_DATE_BYTES: usize = 100;

#[derive(Debug)]
pub(super) struct Formats {
    formats: Vec<Format>,
    offset: Offset,
}

#[derive(Debug)]
enum Format {
    Seconds,
    Millis,
    Rfc3339,
    Written(String),
}

impl Formats {
    pub(super) fn compile(date: &DateParse, at: &str) -> Result<Self, RuleError> {
        let wrong = |name: &str, reason: &str| RuleError::Step {
            at: format!("{at}/{name}"),
            reason: reason.to_owned(),
        };
        if date.formats.is_empty() || date.formats.len() > MAX_FORMATS {
            return Err(wrong("formats", "1 to 10 formats"));
        }
        let mut formats = Vec::with_capacity(date.formats.len());
        for (place, format) in date.formats.iter().enumerate() {
            let wrong = |reason: &str| wrong(&format!("formats/{place}"), reason);
            formats.push(match format.as_str() {
                "epoch_s" => Format::Seconds,
                "epoch_ms" => Format::Millis,
                "rfc3339" => Format::Rfc3339,
                format if format.len() > MAX_FORMAT_BYTES => {
                    return Err(wrong("a format has at most 100 bytes"));
                }
                format if !format.contains('%') => {
                    return Err(wrong(
                        "a format is epoch_s, epoch_ms, rfc3339, or has % directives of strptime",
                    ));
                }
                format => {
                    check(format).map_err(|reason| wrong(&reason))?;
                    Format::Written(format.to_owned())
                }
            });
        }
        let offset = match &date.offset {
            None => Offset::UTC,
            Some(text) => {
                offset(text).ok_or_else(|| wrong("offset", "an offset is written +02:00 or -05:30"))?
            }
        };
        Ok(Self { formats, offset })
    }

    /// JSON text of the RFC 3339 timestamp in UTC.
    pub(super) fn read(&self, value: &str) -> Result<String, &'static str> {
        const NONE: &str = "no format reads the date";
        let text = match json::kind(value) {
            Kind::Text => json::decode(value),
            Kind::Number => value.into(),
            _ => return Err(NONE),
        };
        if text.len() > MAX_DATE_BYTES {
            return Err(NONE);
        }
        let found = self
            .formats
            .iter()
            .find_map(|format| self.read_as(format, text.trim()));
        found.map(|at| json::encode(&at.to_string())).ok_or(NONE)
    }

    fn read_as(&self, format: &Format, text: &str) -> Option<Timestamp> {
        match format {
            Format::Seconds => epoch(text, 9),
            Format::Millis => epoch(text, 6),
            Format::Rfc3339 => text.parse().ok(),
            Format::Written(format) => {
                let parts = BrokenDownTime::parse(format, text).ok()?;
                if parts.offset().is_some() {
                    return parts.to_timestamp().ok();
                }
                let time = parts
                    .to_datetime()
                    .or_else(|_| parts.to_date().map(Date::into))
                    .ok();
                let time: DateTime = time?;
                self.offset.to_timestamp(time).ok()
            }
        }
    }
}

/// Seconds or milliseconds since 1970, with a fraction, exact: `power` is that of a nanosecond in the unit.
fn epoch(text: &str, power: usize) -> Option<Timestamp> {
    if !json::is_number(text) || text.contains(['e', 'E']) {
        return None;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_negative = whole.starts_with('-');
    let fraction: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(power)
        .collect();
    let nanos: i128 = format!("{whole}{fraction}").parse().ok()?;
    let nanos = if is_negative { nanos.min(0) } else { nanos };
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
    let rest = i32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
    Timestamp::from_duration(SignedDuration::new(seconds, rest)).ok()
}

fn offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, most: i32| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_plain
            .then(|| text.parse::<i32>().ok())
            .flatten()
            .filter(|number| *number <= most)
    };
    let seconds = number(hours, 23)? * 3_600 + number(minutes, 59)? * 60;
    Offset::from_seconds(sign * seconds).ok()
}

/// Whether every directive is one that can be read: what is written with a format can be read with it.
fn check(format: &str) -> Result<(), String> {
    let example = DateTime::constant(2026, 11, 21, 17, 22, 57, 0);
    let at = Offset::UTC
        .to_timestamp(example)
        .map_err(|error| error.to_string())?;
    let mut parts = BrokenDownTime::from(at);
    parts.set_offset(Some(Offset::UTC));
    let written = parts.to_string(format).map_err(|error| error.to_string())?;
    BrokenDownTime::parse(format, &written).map_err(|error| error.to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::OnError;

    fn formats(list: &[&str], offset: Option<&str>) -> Result<Formats, RuleError> {
        let formats = list.iter().map(ToString::to_string).collect();
        let offset = offset.map(str::to_owned);
        Formats::compile(
            &DateParse {
                field: "at".into(),
                formats,
                offset,
                on_error: OnError::Refuse,
            },
            "/map/0/date",
        )
    }

    #[test]
    fn dates_are_read() {
        for (list, offset, value, expected) in [
            (&["epoch_s"][..], None, "1771234567", Some("2026-02-16T09:36:07Z")),
            (
                &["epoch_s"],
                None,
                "\"1771234567.25\"",
                Some("2026-02-16T09:36:07.25Z"),
            ),
            (&["epoch_s"], None, "-0.5", Some("1969-12-31T23:59:59.5Z")),
            (
                &["epoch_ms"],
                None,
                "1771234567001",
                Some("2026-02-16T09:36:07.001Z"),
            ),
            (&["epoch_s"], None, "99999999999999999999999999", None),
            (&["epoch_s"], None, "1e9", None),
            (
                &["%d.%m.%Y"],
                None,
                "\"01.03.2026\"",
                Some("2026-03-01T00:00:00Z"),
            ),
            (
                &["%d.%m.%Y %H:%M"],
                Some("+02:00"),
                "\"01.03.2026 01:30\"",
                Some("2026-02-28T23:30:00Z"),
            ),
            (
                &["%Y-%m-%d %H:%M:%S %z"],
                None,
                "\"2026-03-01 00:00:00 -0500\"",
                Some("2026-03-01T05:00:00Z"),
            ),
            (
                &["%m/%d/%Y", "rfc3339"],
                None,
                "\"2026-03-01T00:00:00+01:00\"",
                Some("2026-02-28T23:00:00Z"),
            ),
            (&["%d.%m.%Y"], None, "\"31.02.2026\"", None),
            (&["%d.%m.%Y"], None, "true", None),
        ] {
            let read = formats(list, offset).unwrap().read(value).ok();
            assert_eq!(read, expected.map(json::encode), "{list:?} {value}");
        }
    }

    #[test]
    fn formats_are_checked_when_they_are_saved() {
        for (list, offset) in [
            (&[][..], None),
            (&["iso"], None),
            (&["%"], None),
            (&["%!"], None),
            (&["%d"], Some("2")),
            (&["%d"], Some("+25:00")),
            (&["%d"], Some("+é")),
        ] {
            assert!(formats(list, offset).is_err(), "{list:?} {offset:?}");
        }
    }
}
