//! Issues of all states (GitHub REST docs, "List repository issues"). GitHub lists pull requests among them; those are
//! in the stream `pull_requests`.

use serde::Deserialize;
use serde::de::IgnoredAny;
use sluice_sdk::record::{Id, Text};
use sluice_sdk::time;

use crate::api;
use crate::walk::{Entry, Listing, Order};

pub(crate) struct Issues;

#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
    #[serde(default)]
    pull_request: Option<IgnoredAny>,
}

impl Listing for Issues {
    type Head<'a> = Head<'a>;
    const ORDER: Order = Order::Forward;

    fn first(repository: &str, since: Option<u64>) -> String {
        let url = format!(
            "{}/repos/{repository}/issues?state=all&sort=updated&direction=asc&per_page={}",
            api::ROOT,
            api::PER_PAGE
        );
        match since {
            Some(since) => format!("{url}&since={}", time::format(since)),
            None => url,
        }
    }

    fn entry(head: Head<'_>) -> Entry {
        let modified = head.updated_at.timestamp();
        Entry {
            id: head.id.to_string(),
            modified,
            position: modified,
            belongs: head.pull_request.is_none(),
        }
    }
}
