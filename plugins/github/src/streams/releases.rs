//! Releases (GitHub REST docs, "List releases"). Neither sorted by change nor filtered by time: every pass reads them
//! all, unless they fit a page that is still the same.

use serde::Deserialize;
use sluice_sdk::record::{Id, Text};

use crate::api;
use crate::walk::{Entry, Listing, Order};

pub(crate) struct Releases;

#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    created_at: Text<'a>,
    #[serde(borrow, default)]
    published_at: Text<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
}

impl Listing for Releases {
    type Head<'a> = Head<'a>;
    const ORDER: Order = Order::Whole;

    fn first(repository: &str, _: Option<u64>) -> String {
        format!(
            "{}/repos/{repository}/releases?per_page={}",
            api::ROOT,
            api::PER_PAGE
        )
    }

    fn entry(head: Head<'_>) -> Entry {
        let created = head.created_at.timestamp();
        let modified = head
            .updated_at
            .timestamp()
            .or(head.published_at.timestamp())
            .or(created);
        Entry {
            id: head.id.to_string(),
            modified,
            position: created,
            belongs: true,
        }
    }
}
