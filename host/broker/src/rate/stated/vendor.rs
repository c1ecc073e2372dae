//! Vendors with fields of their own.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use sluice_model::clock::Timestamp;

use super::{MAX_RESET, Reading, Renews, number, text};

/// HubSpot: a day that begins at midnight wherever the account is, and a rolling interval of ten seconds
/// (developers.hubspot.com, "API usage guidelines and limits").
pub(super) fn hubspot(headers: &HeaderMap, _: Timestamp, readings: &mut Vec<Reading>) {
    let count = |name: &str| text(headers, name).and_then(number::count);
    if let Some(remaining) = count("x-hubspot-ratelimit-daily-remaining") {
        readings.push(Reading {
            name: Cow::Borrowed("daily"),
            limit: count("x-hubspot-ratelimit-daily"),
            remaining,
            renews: Renews::Within(MAX_RESET),
        });
    }
    if let Some(remaining) = count("x-hubspot-ratelimit-remaining") {
        let interval = count("x-hubspot-ratelimit-interval-milliseconds").filter(|interval| *interval > 0);
        let interval = interval.map_or(Duration::from_secs(10), Duration::from_millis);
        readings.push(Reading {
            name: Cow::Borrowed("interval"),
            limit: count("x-hubspot-ratelimit-max"),
            remaining,
            renews: Renews::Within(interval.min(MAX_RESET)),
        });
    }
}

/// Shopify's REST Admin API: `32/40`, a bucket that leaks a twentieth of its size in a second on every plan (40 and 2,
/// 80 and 4, 400 and 20; shopify.dev, "REST Admin API rate limits").
pub(super) fn shopify(headers: &HeaderMap, _: Timestamp, readings: &mut Vec<Reading>) {
    let field = text(headers, "x-shopify-shop-api-call-limit");
    let Some((used, limit)) = field.and_then(used_of) else {
        return;
    };
    let each = Duration::from_secs(20).as_micros() / u128::from(limit);
    readings.push(Reading {
        name: Cow::Borrowed("leaky"),
        limit: Some(limit),
        remaining: limit.saturating_sub(used),
        renews: Renews::Each(Duration::from_micros(u64::try_from(each).unwrap_or(1).max(1))),
    });
}

/// Salesforce: `api-usage=18/5000; per-app-api-usage=17/250(appName=x)`, over the last 24 hours (REST API developer
/// guide, "Limit Info Header").
pub(super) fn salesforce(headers: &HeaderMap, _: Timestamp, readings: &mut Vec<Reading>) {
    let Some(field) = text(headers, "sforce-limit-info").filter(|field| field.len() <= 1024) else {
        return;
    };
    for part in field.split(';') {
        let Some((key, value)) = part.trim().split_once('=') else {
            continue;
        };
        let name = match key {
            "api-usage" => "daily",
            "per-app-api-usage" => "daily-app",
            _ => continue,
        };
        let value = value.split('(').next().unwrap_or_default();
        if let Some((used, limit)) = used_of(value) {
            readings.push(Reading {
                name: Cow::Borrowed(name),
                limit: Some(limit),
                remaining: limit.saturating_sub(used),
                renews: Renews::Within(MAX_RESET),
            });
        }
    }
}

/// `used/limit`, with a limit above zero.
fn used_of(text: &str) -> Option<(u64, u64)> {
    let (used, limit) = text.split_once('/')?;
    let limit = number::count(limit.trim()).filter(|limit| *limit > 0)?;
    Some((number::count(used.trim())?, limit))
}
