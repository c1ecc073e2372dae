//! Numbers as vendors write them: counts, and moments in seconds, milliseconds or as a date.

use std::time::Duration;

use sluice_model::clock::Timestamp;

use super::{MAX_COUNT, MAX_RESET};

/// A whole number at the beginning of a field that may go on with parameters (`100, 100;w=60`); a fraction is cut off.
pub(super) fn count(text: &str) -> Option<u64> {
    let first = text.split([',', ';']).next()?.trim();
    let (whole, fraction) = first.split_once('.').unwrap_or((first, "0"));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return None;
    }
    whole.parse().ok().filter(|count| *count <= MAX_COUNT)
}

/// Seconds, fractions of them included, rounded up to milliseconds.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain || text.len() > 32 {
        return None;
    }
    let seconds = text.parse::<f64>().ok()?.min(MAX_RESET.as_secs_f64());
    Duration::try_from_secs_f64((seconds * 1000.0).ceil() / 1000.0).ok()
}

/// The time until a reset that is given as seconds from now, seconds or milliseconds since the epoch, or an RFC 3339 date
/// (Jira); a day at most, and nothing if it is over.
pub(super) fn until(text: &str, now: Timestamp) -> Option<Duration> {
    let wait = match count(text) {
        Some(0..1_000_000_000) => seconds(text)?,
        Some(number @ 1_000_000_000..1_000_000_000_000) => {
            Timestamp::from_millis(number.saturating_mul(1000)).since(now)
        }
        _ => since_epoch(text)?.since(now),
    };
    Some(wait.min(MAX_RESET)).filter(|wait| !wait.is_zero())
}

fn since_epoch(text: &str) -> Option<Timestamp> {
    if text.len() > 40 {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Timestamp::from_millis);
    }
    let date: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(date.as_millisecond())
        .ok()
        .map(Timestamp::from_millis)
}
