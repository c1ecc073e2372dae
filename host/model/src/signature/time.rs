//! Where the time stands in a webhook and how it is written.

use std::time::Duration;

use super::place::Place;
use crate::clock::Timestamp;

/// Where the time stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampSource {
    /// The place.
    pub place: TimestampPlace,
    /// How it is written.
    pub unit: TimestampUnit,
    /// How far the time may be from ours, either way.
    pub tolerance: Duration,
}

/// The place of a timestamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimestampPlace {
    /// A place of its own.
    At(Place),
    /// A field of the signature's header.
    Field(String),
    /// The first value of the signature's header.
    First,
}

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampUnit {
    /// Seconds since the epoch.
    Seconds,
    /// Milliseconds since the epoch.
    Millis,
    /// RFC 3339 §5.6, with a capital `T`.
    Rfc3339,
}

impl TimestampSource {
    /// The time that a text says, if it is near enough to ours.
    pub(super) fn read(&self, text: &str, now: Timestamp) -> Option<Timestamp> {
        let time = self.unit.read(text)?;
        (now.since(time) <= self.tolerance && time.since(now) <= self.tolerance).then_some(time)
    }
}

impl TimestampUnit {
    /// Digits only, or strictly RFC 3339: no sign, no exponent, nothing beyond the end of time.
    pub(super) fn read(self, text: &str) -> Option<Timestamp> {
        if !self.has_form(text) {
            return None;
        }
        match self {
            Self::Seconds => text
                .parse::<u64>()
                .ok()?
                .checked_mul(1000)
                .map(Timestamp::from_millis),
            Self::Millis => text.parse().ok().map(Timestamp::from_millis),
            Self::Rfc3339 => {
                let time: jiff::Timestamp = text.parse().ok()?;
                u64::try_from(time.as_millisecond())
                    .ok()
                    .map(Timestamp::from_millis)
            }
        }
    }

    /// Whether a text is written in this way.
    pub(super) fn has_form(self, text: &str) -> bool {
        match self {
            Self::Seconds | Self::Millis => {
                (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
            }
            Self::Rfc3339 => is_rfc3339(text),
        }
    }

    /// Whether a text is written in this way and shows by itself where it begins and ends: so many digits from 2001 to
    /// 2286, or a format.
    pub(super) fn is_fixed(self, text: &str) -> bool {
        match self {
            Self::Seconds => text.len() == 10,
            Self::Millis => text.len() == 13,
            Self::Rfc3339 => true,
        }
    }

    pub(super) fn write(self, time: Timestamp) -> String {
        match self {
            Self::Seconds => time.as_secs().to_string(),
            Self::Millis => time.as_millis().to_string(),
            Self::Rfc3339 => time.to_string(),
        }
    }
}

/// `2026-11-18T12:26:40.123Z` or `…-07:00`, with at most nine digits of a second.
fn is_rfc3339(text: &str) -> bool {
    let shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, like)| match like {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let Some((time, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = fraction.len() - zone.len();
            if !(1..=9).contains(&digits) {
                return false;
            }
            zone
        }
    };
    shaped(time, "0000-00-00T00:00:00") && (zone == "Z" || shaped(zone, "+00:00") || shaped(zone, "-00:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_strictly() {
        let check = |unit: TimestampUnit, text: &str, expected: Option<u64>| {
            assert_eq!(unit.read(text).map(Timestamp::as_millis), expected, "{text}");
        };
        check(TimestampUnit::Seconds, "1795000000", Some(1_795_000_000_000));
        check(TimestampUnit::Millis, "1795000000001", Some(1_795_000_000_001));
        check(TimestampUnit::Seconds, "18446744073709551615", None);
        check(TimestampUnit::Seconds, "+1", None);
        check(
            TimestampUnit::Rfc3339,
            "2026-11-18T11:06:40Z",
            Some(1_795_000_000_000),
        );
        check(
            TimestampUnit::Rfc3339,
            "2026-11-18T04:06:40.250-07:00",
            Some(1_795_000_000_250),
        );
        for text in [
            "",
            "2026-11-18",
            "2026-11-18 11:06:40Z",
            "2026-11-18t11:06:40z",
            "2026-11-18T11:06:40",
            "2026-11-18T11:06:40.Z",
            "2026-11-18T11:06:40.1234567890Z",
            "2026-13-18T11:06:40Z",
            "1960-01-01T00:00:00Z",
            "2026-11-18T11:06:40Z[Europe/Berlin]",
            "１795000000",
        ] {
            check(TimestampUnit::Rfc3339, text, None);
            check(TimestampUnit::Seconds, text, None);
        }
    }
}
