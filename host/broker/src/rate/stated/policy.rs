//! `RateLimit` and `RateLimit-Policy` as structured fields (draft-ietf-httpapi-ratelimit-headers since its version 08):
//! `RateLimit: "burst";r=0;t=2, "daily";r=70;t=3600` with `RateLimit-Policy: "burst";q=10;w=2, "daily";q=100;w=86400`;
//! and the dictionary of version 07, `RateLimit: limit=100, remaining=50, reset=5`.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use sluice_model::clock::Timestamp;

use super::{MAX_READINGS, MAX_RESET, Reading, Renews, is_name, number};

/// Bytes of a field that are read.
const MAX_FIELD_BYTES: usize = 2 << 10;

pub(super) fn read(headers: &HeaderMap, now: Timestamp, readings: &mut Vec<Reading>) {
    let Some(stated) = whole(headers, "ratelimit") else {
        return;
    };
    if let Some(reading) = dictionary(&stated, now) {
        readings.push(reading);
        return;
    }
    let policies = whole(headers, "ratelimit-policy").unwrap_or_default();
    let policies: Vec<Item<'_>> = items(&policies).collect();
    for item in items(&stated) {
        let policy = policies.iter().find(|policy| policy.name == item.name);
        // A quota of bytes or of concurrent requests is not a count of requests.
        let unit = policy.and_then(|policy| policy.value("qu"));
        if unit.is_some_and(|unit| unit != "requests") {
            continue;
        }
        let Some(remaining) = item.value("r").and_then(number::count) else {
            continue;
        };
        let within = policy
            .and_then(|policy| policy.value("w"))
            .and_then(number::seconds);
        let renews = match item.value("t").and_then(number::seconds) {
            Some(reset) => Renews::Whole(reset),
            None => match within {
                Some(window) => Renews::Within(window),
                None => continue,
            },
        };
        if matches!(renews, Renews::Whole(time) | Renews::Within(time) if time.is_zero()) {
            continue;
        }
        let limit = policy.and_then(|policy| policy.value("q"));
        readings.push(Reading {
            name: Cow::Owned(item.name.to_owned()),
            limit: limit.and_then(number::count),
            remaining,
            renews,
        });
    }
}

/// All lines of a field as one.
fn whole(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<&str> = headers
        .get_all(name)
        .iter()
        .take(MAX_READINGS)
        .filter_map(|value| value.to_str().ok())
        .collect();
    let field = lines.join(",");
    (!field.is_empty() && field.len() <= MAX_FIELD_BYTES).then_some(field)
}

fn dictionary(field: &str, now: Timestamp) -> Option<Reading> {
    let value = |name: &str| {
        let mut pairs = field.split(',').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let reset = number::until(value("reset")?, now)?.min(MAX_RESET);
    Some(Reading {
        name: Cow::Borrowed(""),
        limit: value("limit").and_then(number::count),
        remaining: number::count(value("remaining")?)?,
        renews: Renews::Whole(reset.max(Duration::from_millis(1))),
    })
}

/// One member of a list: a text in quotation marks (or a bare token) and its parameters.
struct Item<'a> {
    name: &'a str,
    parameters: Vec<&'a str>,
}

impl<'a> Item<'a> {
    fn value(&self, key: &str) -> Option<&'a str> {
        let mut pairs = self
            .parameters
            .iter()
            .filter_map(|parameter| parameter.split_once('='));
        let value = pairs.find(|(name, _)| name.trim() == key)?.1.trim();
        Some(value.trim_matches('"'))
    }
}

fn items(field: &str) -> impl Iterator<Item = Item<'_>> {
    split(field, ',').take(MAX_READINGS).filter_map(|member| {
        let mut parts = split(member, ';');
        let name = parts.next()?.trim().trim_matches('"');
        is_name(name).then(|| Item {
            name,
            parameters: parts.take(16).collect(),
        })
    })
}

/// Splits outside of quotation marks.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
}
