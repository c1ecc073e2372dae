//! What is known of a vendor's budgets, for people to look at.

use std::time::Duration;

/// One window of one budget, or how many requests may be under way. It is what was known when it was asked for, and kept
/// in memory only: after a restart it begins anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowance {
    /// The host; for what a manifest declares, its pattern.
    pub host: String,
    /// The part of the vendor's API that is counted by itself: what the vendor calls it, or a hint's path. Empty: all.
    pub bucket: String,
    /// What tells it from other windows of the same budget: `daily`, a policy's name. Empty where there is but one.
    pub window: String,
    /// Requests in one window.
    pub limit: Option<u64>,
    /// Requests left, as last told or counted.
    pub remaining: Option<u64>,
    /// The time until all of it is there again.
    pub resets_in: Option<Duration>,
    /// How long the vendor asked to be left alone.
    pub closed_for: Option<Duration>,
    /// Requests that may be under way at once, as adapted to what the vendor bears.
    pub concurrency: Option<u32>,
}
