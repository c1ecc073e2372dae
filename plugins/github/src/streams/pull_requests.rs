//! Pull requests of all states (GitHub REST docs, "List pull requests"). The list can't be filtered by time, so it is
//! read newest change first.

use serde::Deserialize;
use sluice_sdk::record::{Id, Text};

use crate::api;
use crate::walk::{Entry, Listing, Order};

pub(crate) struct PullRequests;

#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
}

impl Listing for PullRequests {
    type Head<'a> = Head<'a>;
    const ORDER: Order = Order::BackwardByChange;

    fn first(repository: &str, _: Option<u64>) -> String {
        format!(
            "{}/repos/{repository}/pulls?state=all&sort=updated&direction=desc&per_page={}",
            api::ROOT,
            api::PER_PAGE
        )
    }

    fn entry(head: Head<'_>) -> Entry {
        let modified = head.updated_at.timestamp();
        Entry {
            id: head.id.to_string(),
            modified,
            position: modified,
            belongs: true,
        }
    }
}
