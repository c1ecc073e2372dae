//! Whatever a vendor writes into `Retry-After`, the wait is at most an hour.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_model::Timestamp;
use sluice_model::schedule::{MAX_RETRY_AFTER, parse_retry_after};

fuzz_target!(|input: (u64, &str)| {
    let (now, value) = input;
    let wait = parse_retry_after(value, Timestamp::from_millis(now));
    assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER));
});
