//! Casts: JSON text in, JSON text out, or a sentence.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::json::{self, Kind};
use crate::rules::CastTo;

pub(super) fn cast(value: &str, to: CastTo) -> Result<String, &'static str> {
    match to {
        CastTo::Text => Ok(match json::kind(value) {
            Kind::Text => value.to_owned(),
            _ => json::encode(value),
        }),
        CastTo::Integer => integer(&scalar(value)).ok_or("the value is not a whole number"),
        CastTo::Number => {
            let text = scalar(value);
            let text = text.trim();
            json::is_number(text)
                .then(|| text.to_owned())
                .ok_or("the value is not a number")
        }
        CastTo::Boolean => boolean(value)
            .map(str::to_owned)
            .ok_or("the value is neither true nor false"),
        CastTo::Timestamp => {
            let at: Option<Timestamp> = text(value).and_then(|text| text.trim().parse().ok());
            at.map(|at| json::encode(&at.to_string()))
                .ok_or("the value is not an RFC 3339 timestamp")
        }
        CastTo::Date => {
            let text = text(value);
            let date: Option<Date> = text.as_deref().and_then(|text| day(text.trim()));
            date.map(|date| json::encode(&date.to_string()))
                .ok_or("the value is not a date")
        }
        CastTo::Json => match text(value) {
            Some(text) => json::check(&text)
                .map(str::to_owned)
                .map_err(|_| "the text is not JSON"),
            None => Ok(value.to_owned()),
        },
    }
}

/// A text without quotes, or the value as it is written.
fn scalar(value: &str) -> Cow<'_, str> {
    text(value).unwrap_or(Cow::Borrowed(value))
}

fn text(value: &str) -> Option<Cow<'_, str>> {
    (json::kind(value) == Kind::Text).then(|| json::decode(value))
}

/// `12`, `-3`, and `4.00`, which is whole.
fn integer(text: &str) -> Option<String> {
    let text = text.trim();
    if !json::is_number(text) || text.contains(['e', 'E']) {
        return None;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    fraction
        .bytes()
        .all(|digit| digit == b'0')
        .then(|| whole.to_owned())
}

fn boolean(value: &str) -> Option<&'static str> {
    match scalar(value).trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some("true"),
        "false" | "no" | "0" => Some("false"),
        _ => None,
    }
}

/// `2026-03-01`, or the day that a timestamp says where it was taken.
fn day(text: &str) -> Option<Date> {
    let (date, rest) = text.split_at_checked(10)?;
    let is_whole = rest.is_empty() || text.parse::<Timestamp>().is_ok();
    is_whole.then(|| Date::strptime("%Y-%m-%d", date).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts() {
        use CastTo::{Boolean, Date, Integer, Json, Number, Text, Timestamp};
        for (value, to, expected) in [
            ("9007199254740993", Text, "\"9007199254740993\""),
            ("\"a\\u0062\"", Text, "\"a\\u0062\""),
            ("{\"a\": 1.10}", Text, "\"{\\\"a\\\": 1.10}\""),
            ("\" 9007199254740993 \"", Integer, "9007199254740993"),
            ("4.00", Integer, "4"),
            ("\"1.10\"", Number, "1.10"),
            ("\"1e400\"", Number, "1e400"),
            ("\"YES\"", Boolean, "true"),
            ("0", Boolean, "false"),
            (
                "\"2026-03-01T10:00:00+02:00\"",
                Timestamp,
                "\"2026-03-01T08:00:00Z\"",
            ),
            ("\"2026-03-01T01:00:00+02:00\"", Date, "\"2026-03-01\""),
            ("\"2026-02-28\"", Date, "\"2026-02-28\""),
            ("\"[1, 2.50]\"", Json, "[1, 2.50]"),
            ("7", Json, "7"),
        ] {
            assert_eq!(cast(value, to).as_deref(), Ok(expected), "{value} {to:?}");
        }
        for (value, to) in [
            ("4.5", Integer),
            ("1e3", Integer),
            ("\"0x10\"", Integer),
            ("\"\"", Number),
            ("\"NaN\"", Number),
            ("[1]", Number),
            ("2", Boolean),
            ("\"yesterday\"", Timestamp),
            ("\"-999999-01-01T00:00:00Z\"", Timestamp),
            ("\"2026-02-30\"", Date),
            ("\"2026-02-28 or so\"", Date),
            ("\"ééééééé\"", Date),
            ("\"{\"", Json),
        ] {
            assert!(cast(value, to).is_err(), "{value} {to:?}");
        }
    }
}
