//! The workspace's people and bots (Slack docs, `users.list`). Who was deactivated stays, with `deleted: true`.

use sluice_sdk::record::Id;

use super::list::{Array, List};

pub(crate) const USERS: List = List {
    method: "users.list",
    query: &[],
    array: Array::Members,
    modified,
};

/// `updated` counts seconds here.
fn modified(updated: &Id<'_>) -> Option<u64> {
    match updated {
        Id::Number(seconds) => seconds.checked_mul(1_000),
        _ => None,
    }
}
