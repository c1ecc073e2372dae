//! What an operator can set about the work, already parsed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sluice_model::endpoint::{Limits, RetryWaits};
use sluice_model::grant::Ceiling;
use sluice_model::schedule::Schedule;
use sluice_package::TrustedRoot;
use sluice_store::run::Caps;
use sluice_store::sweep::Keep;

use crate::auth::app::AppParts;

/// Settings of the work. Times are durations, sizes are bytes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What no install may exceed, whatever was approved.
    pub ceiling: Ceiling,
    /// How many records a page should have; a hint to connectors.
    pub page_hint: u32,
    /// Runs under way at once.
    pub sync_workers: usize,
    /// Of them, for one organization, one connector and one app at a vendor.
    pub caps: Caps,
    /// Receipts handled at once.
    pub hook_workers: usize,
    /// The address under which the outside reaches this server, without a slash at its end.
    pub public_url: Option<String>,
    /// The largest body of an inbound webhook.
    pub hook_body_bytes: u64,
    /// The largest component that can be installed.
    pub component_bytes: u64,
    /// How long a worker may hold a row before another may take it.
    pub lease: Duration,
    /// How long a run is worked on at once, before others have their turn; it goes on from its checkpoint.
    pub run_time: Duration,
    /// Waits between the tries of a run that moved nothing.
    pub run_retry: Schedule,
    /// Waits between the tries of a receipt.
    pub receipt_retry: Schedule,
    /// How endpoints are delivered to.
    pub endpoint: EndpointSettings,
    /// How long events and deliveries are kept.
    pub keep: Keep,
    /// The operator's apps by connector and auth scheme; an organization's own goes before.
    pub apps: HashMap<(String, String), AppParts>,
    /// Below it are the directories that records are loaded into as files; none: nowhere.
    pub files_dir: Option<PathBuf>,
    /// Loads carried at once.
    pub load_workers: usize,
    /// Who vouches for the identities of bundles; without it, packages with a bundle are refused.
    pub trusted_root: Option<Arc<TrustedRoot>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ceiling: Ceiling::default(),
            page_hint: 100,
            sync_workers: 4,
            caps: Caps::default(),
            hook_workers: 4,
            public_url: None,
            // GitHub caps its payloads at 25 MB; so do most vendors, or lower.
            hook_body_bytes: 25 << 20,
            component_bytes: 32 << 20,
            lease: Duration::from_secs(120),
            run_time: Duration::from_secs(900),
            run_retry: Schedule {
                first: Duration::from_secs(2),
                factor: 2.0,
                max: Duration::from_secs(600),
                tries: 8,
            },
            receipt_retry: Schedule {
                first: Duration::from_secs(5),
                factor: 3.0,
                max: Duration::from_secs(3600),
                tries: 12,
            },
            endpoint: EndpointSettings::default(),
            keep: Keep {
                events: Some(Duration::from_secs(90 * 24 * 3600)),
                deliveries: Some(Duration::from_secs(30 * 24 * 3600)),
            },
            apps: HashMap::new(),
            files_dir: None,
            load_workers: 4,
            trusted_root: None,
        }
    }
}

/// How endpoints are delivered to.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// Waits between the tries of one delivery.
    pub waits: RetryWaits,
    /// When an owner is warned, and an endpoint switched off.
    pub health: Limits,
    /// The time of one try, until the receiver's status is there.
    pub attempt_time: Duration,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            waits: RetryWaits::default(),
            health: Limits::default(),
            attempt_time: Duration::from_secs(15),
        }
    }
}
