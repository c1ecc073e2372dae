//! The field families that most vendors use: limit, remaining and reset, each in a field of its own. GitHub, Slack, Okta,
//! Jira, Discord and many more; `RateLimit-*` as draft-ietf-httpapi-ratelimit-headers had it up to its version 06.

use std::borrow::Cow;

use http::HeaderMap;
use sluice_model::clock::Timestamp;

use super::{Reading, Renews, number, text};

/// Limit, remaining, and the fields that may tell the reset.
const FAMILIES: [(&str, &str, [&str; 2]); 3] = [
    (
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        ["x-ratelimit-reset", "x-ratelimit-reset-after"],
    ),
    (
        "x-rate-limit-limit",
        "x-rate-limit-remaining",
        ["x-rate-limit-reset", "x-rate-limit-reset-after"],
    ),
    (
        "ratelimit-limit",
        "ratelimit-remaining",
        ["ratelimit-reset", "ratelimit-reset-after"],
    ),
];

/// Without a usable reset nothing is read: a budget that never renews would close a host for no reason.
pub(super) fn read(headers: &HeaderMap, now: Timestamp, readings: &mut Vec<Reading>) {
    for (limit, remaining, resets) in FAMILIES {
        let Some(remaining) = text(headers, remaining).and_then(number::count) else {
            continue;
        };
        let mut resets = resets.into_iter().filter_map(|name| text(headers, name));
        let Some(reset) = resets.find_map(|reset| number::until(reset, now)) else {
            continue;
        };
        readings.push(Reading {
            name: Cow::Borrowed(""),
            limit: text(headers, limit).and_then(number::count),
            remaining,
            renews: Renews::Whole(reset),
        });
        // The families say the same thing where a vendor sends more than one.
        return;
    }
}
