//! Workflow runs (GitHub REST docs, "List workflow runs for a repository"), newest first by creation.
//!
//! A run changes while it goes on. A pass reads those of the last three days before the newest known one again; the
//! webhook `workflow_run` tells about later re-runs.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::Error;
use sluice_sdk::record::{Id, Text};

use crate::api;
use crate::walk::{Entry, Listing, Order};

pub(crate) struct WorkflowRuns;

#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    created_at: Text<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
}

impl Listing for WorkflowRuns {
    type Head<'a> = Head<'a>;
    const ORDER: Order = Order::Backward {
        again_ms: 3 * 86_400_000,
    };

    fn first(repository: &str, _: Option<u64>) -> String {
        format!(
            "{}/repos/{repository}/actions/runs?per_page={}",
            api::ROOT,
            api::PER_PAGE
        )
    }

    fn entry(head: Head<'_>) -> Entry {
        let modified = head.updated_at.timestamp();
        Entry {
            id: head.id.to_string(),
            modified,
            position: head.created_at.timestamp(),
            belongs: true,
        }
    }

    /// `{"total_count": 1, "workflow_runs": [..]}`
    fn records(page: &str) -> Result<&str, Error> {
        #[derive(Deserialize)]
        struct Runs<'a> {
            #[serde(borrow)]
            workflow_runs: &'a RawValue,
        }
        let runs: Runs<'_> = serde_json::from_str(page)
            .map_err(|error| Error::invalid_data(format!("not a list of workflow runs: {error}")))?;
        Ok(runs.workflow_runs.get())
    }
}
