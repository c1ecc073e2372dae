//! Answers that ask to be left alone: `Retry-After`, GitHub's secondary limits, and Stripe's reasons.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use sluice_model::clock::Timestamp;
use sluice_model::schedule::{MAX_RETRY_AFTER, parse_retry_after};

use super::{Reach, Reading, Wait, number, text};

/// How long Stripe is left alone after a rate was reached: its rates are per second.
const STRIPE: Duration = Duration::from_secs(1);

/// The `Retry-After` of an answer, an hour at most. Shopify writes seconds with a fraction.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER.as_str())?;
    let wait = parse_retry_after(value, now).or_else(|| number::seconds(value))?;
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The wait that an answer asks for; the reset of a budget of which nothing remains is no wait but a reading.
pub(super) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    readings: &[Reading],
    now: Timestamp,
) -> Option<Wait> {
    if !matches!(status.as_u16(), 403 | 429 | 503) {
        return None;
    }
    let reason = text(headers, "stripe-rate-limited-reason");
    let after = retry_after(headers, now).or_else(|| {
        // Too many at once are not too many per second: fewer at once are the answer to them.
        let counts = reason.is_some_and(|reason| !reason.ends_with("-concurrency"));
        counts.then_some(STRIPE)
    })?;
    let used_up = readings.iter().any(|reading| reading.remaining == 0);
    let about_all = match status.as_u16() {
        503 => true,
        403 => !used_up,
        // GitHub's secondary limits come with budgets that are not used up, and are about everything.
        _ => match reason {
            Some(reason) => reason.starts_with("global"),
            None => !used_up && headers.contains_key("x-ratelimit-resource"),
        },
    };
    let reach = if about_all { Reach::Host } else { Reach::Bucket };
    Some(Wait { after, reach }).filter(|wait| !wait.after.is_zero())
}
