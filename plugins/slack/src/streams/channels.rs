//! Public channels, and private ones that the app is in (Slack docs, `conversations.list`). An archived one stays, with
//! `is_archived: true`.

use sluice_sdk::record::Id;

use super::list::{Array, List};

pub(crate) const CHANNELS: List = List {
    method: "conversations.list",
    query: &[("types", "public_channel,private_channel")],
    array: Array::Channels,
    modified,
};

/// `updated` counts milliseconds here.
const fn modified(updated: &Id<'_>) -> Option<u64> {
    match updated {
        Id::Number(millis) => Some(*millis),
        _ => None,
    }
}
