//! Commits of the default branch (GitHub REST docs, "List commits"), newest first by the committer's date.
//!
//! A branch that is merged late brings commits with old dates. A pass therefore begins a day before the newest commit
//! it knows; what is older and arrives later than that needs a full sync.

use serde::Deserialize;
use sluice_sdk::record::{Id, Text};
use sluice_sdk::time;

use crate::api;
use crate::walk::{Entry, Listing, Order};

/// A day: how far back a pass looks behind the newest known commit.
const AGAIN_MS: u64 = 86_400_000;

pub(crate) struct Commits;

#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    /// Other than the hash it differs between two repositories that share a commit.
    #[serde(borrow, default)]
    node_id: Id<'a>,
    #[serde(borrow, default)]
    commit: Option<Commit<'a>>,
}

#[derive(Deserialize)]
struct Commit<'a> {
    #[serde(borrow, default)]
    committer: Option<Signature<'a>>,
}

#[derive(Deserialize)]
struct Signature<'a> {
    #[serde(borrow, default)]
    date: Text<'a>,
}

impl Listing for Commits {
    type Head<'a> = Head<'a>;
    const ORDER: Order = Order::Backward { again_ms: AGAIN_MS };

    fn first(repository: &str, since: Option<u64>) -> String {
        let url = format!(
            "{}/repos/{repository}/commits?per_page={}",
            api::ROOT,
            api::PER_PAGE
        );
        match since {
            Some(since) => format!("{url}&since={}", time::format(since.saturating_sub(AGAIN_MS))),
            None => url,
        }
    }

    fn entry(head: Head<'_>) -> Entry {
        let date = head.commit.and_then(|commit| commit.committer?.date.timestamp());
        Entry {
            id: head.node_id.to_string(),
            modified: date,
            position: date,
            belongs: true,
        }
    }
}
