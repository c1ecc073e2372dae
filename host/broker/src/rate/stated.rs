//! What an answer says about the vendor's budgets, whatever family of fields it says it with.
//!
//! What must always hold: no number is believed that no vendor would mean. Counts above [`MAX_COUNT`], negative ones and
//! texts are as if they were not there; a wait ends within an hour and a window within a day; names are short and plain.
//! Deliberately absent: bodies. Budgets that only a body tells (GraphQL costs) are the connector's to read.

mod fields;
mod number;
mod policy;
mod vendor;
mod wait;

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use sluice_model::clock::Timestamp;

pub(crate) use wait::retry_after;

/// The largest count that is believed.
const MAX_COUNT: u64 = 1_000_000_000_000;
/// The longest time until a window is believed to begin anew: a day.
const MAX_RESET: Duration = Duration::from_secs(86_400);
/// Bytes of a bucket's or a policy's name.
const MAX_NAME_BYTES: usize = 64;
/// Windows that one answer can tell of.
const MAX_READINGS: usize = 8;

/// What one answer says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Stated<'a> {
    /// The budget that the request was counted in, where the vendor has several.
    pub(crate) resource: Option<&'a str>,
    pub(crate) readings: Vec<Reading>,
    pub(crate) wait: Option<Wait>,
    /// Whether it asks for less at once.
    pub(crate) throttled: bool,
}

/// What is left of one window of a budget.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    /// Empty where the vendor has but one.
    pub(crate) name: Cow<'static, str>,
    pub(crate) limit: Option<u64>,
    pub(crate) remaining: u64,
    pub(crate) renews: Renews,
}

/// How a budget comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renews {
    /// All of it, so long from now.
    Whole(Duration),
    /// Bit by bit over this time, or at an hour that the vendor does not tell: the last answer is the one that counts.
    Within(Duration),
    /// One request's worth each time.
    Each(Duration),
}

/// A time in which the vendor wants to be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) after: Duration,
    pub(crate) reach: Reach,
}

/// What a wait is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everything at the host.
    Host,
    /// The budget that the request was counted in.
    Bucket,
}

impl Stated<'_> {
    /// Whether there is anything to remember.
    pub(crate) fn tells(&self) -> bool {
        self.resource.is_some() || !self.readings.is_empty() || self.wait.is_some()
    }
}

/// Reads a family of fields.
type Read = fn(&HeaderMap, Timestamp, &mut Vec<Reading>);

/// The families, by how the names of their fields begin.
const FAMILIES: [(&[&str], Read); 5] = [
    (&["x-ratelimit-", "x-rate-limit-", "ratelimit-"], fields::read),
    (&["ratelimit"], policy::read),
    (&["x-hubspot-ratelimit-"], vendor::hubspot),
    (&["x-shopify-shop-api-"], vendor::shopify),
    (&["sforce-limit-info"], vendor::salesforce),
];

/// Reads an answer. `bucket_header` is the field that names the budget, where a manifest says so.
pub(crate) fn read<'a>(
    status: StatusCode,
    headers: &'a HeaderMap,
    bucket_header: Option<&str>,
    now: Timestamp,
) -> Stated<'a> {
    let mut readings = Vec::new();
    // Most answers have no such fields: the names are looked through once, and only what is there is read.
    let mut seen = [false; FAMILIES.len()];
    for name in headers.keys() {
        for ((beginnings, _), seen) in FAMILIES.iter().zip(&mut seen) {
            let mut beginnings = beginnings.iter();
            *seen |= beginnings.any(|beginning| name.as_str().starts_with(beginning));
        }
    }
    for ((_, read), _) in FAMILIES.iter().zip(seen).filter(|(_, seen)| *seen) {
        read(headers, now, &mut readings);
    }
    readings.truncate(MAX_READINGS);
    let named = bucket_header.and_then(|name| text(headers, name));
    let resource = named.or_else(|| text(headers, "x-ratelimit-resource"));
    let wait = wait::read(status, headers, &readings, now);
    Stated {
        resource: resource.filter(|name| is_name(name)),
        readings,
        throttled: wait.is_some() || matches!(status.as_u16(), 429 | 503),
        wait,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
