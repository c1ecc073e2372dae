//! Replays: events of a time that are delivered to an endpoint again, or at last; a job that goes on over restarts, bounded, and told
//! of when it begins and when it ends.

use serde_json::json;
use sluice_model::Timestamp;
use sluice_model::endpoint::parse_kinds;
use sluice_model::id::{OrgId, ReplayId};
pub use sluice_store::replay::{Replay, ReplayOf};
use sluice_store::replay::{Replay as Row, ReplayState};

use crate::endpoint::{self, Error};
use crate::page::{Listed, Page};
use crate::{Service, event};

/// What is to be delivered again.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The endpoint's id or name.
    pub endpoint: String,
    pub what: ReplayOf,
    /// Patterns of kinds; all that the endpoint wants, without.
    pub kinds: Vec<String>,
    /// Events that were recorded from then on…
    pub since: Option<Timestamp>,
    /// …and before then; until now, without.
    pub until: Option<Timestamp>,
    /// Only behind this number, where it is more than `since` leads to.
    pub after: Option<u64>,
    /// Up to this number.
    pub last: Option<u64>,
    /// Deliveries that are made due at most.
    pub cap: Option<u64>,
    /// Who asked: an API key's id.
    pub by: String,
}

/// Deliveries of one replay, where nothing was said, and at most.
const USUAL_CAP: u64 = 100_000;
const MAX_CAP: u64 = 1_000_000;

/// Begins a replay.
///
/// # Errors
/// [`Error::Missing`], [`Error::Kinds`], [`Error::Window`].
pub async fn create(service: &Service, org: OrgId, wanted: Wanted) -> Result<Replay, Error> {
    let endpoint = endpoint::get(service, org, &wanted.endpoint).await?.endpoint;
    let kinds = if wanted.kinds.is_empty() {
        vec!["*".to_owned()]
    } else {
        parse_kinds(&wanted.kinds)?;
        wanted.kinds
    };
    let cap = wanted.cap.unwrap_or(USUAL_CAP);
    let (store, now) = (service.store(), service.now());
    let since = match wanted.since {
        Some(since) => store.last_event_before(org, since).await?,
        None => 0,
    };
    let until = match wanted.until {
        Some(until) => store.last_event_before(org, until).await?,
        None => store.last_event(org).await?,
    };
    let after = since.max(wanted.after.unwrap_or_default());
    let last = until.min(wanted.last.unwrap_or(u64::MAX));
    let is_backwards = wanted
        .since
        .zip(wanted.until)
        .is_some_and(|(since, until)| since > until);
    if is_backwards || !(1..=MAX_CAP).contains(&cap) {
        return Err(Error::Window);
    }
    let replay = Row {
        id: service.new_id(),
        endpoint: endpoint.id,
        what: wanted.what,
        kinds,
        after,
        last: last.max(after),
        place: after,
        cap,
        looked: 0,
        made: 0,
        state: ReplayState::Running,
        due: Some(now),
        created: now,
        ended: None,
    };
    let told = event::of_platform(service, "sluice.replay.created", replay.id, || {
        json!({"endpoint": endpoint.id, "what": wanted.what.name(), "kinds": replay.kinds, "after": after,
            "last": last, "cap": cap, "by": wanted.by})
    });
    store.create_replay(org, replay.clone(), told, now).await?;
    Ok(replay)
}

/// One replay.
///
/// # Errors
/// [`Error::NoReplay`].
pub async fn get(service: &Service, org: OrgId, id: ReplayId) -> Result<Replay, Error> {
    let found = service.store().get_replay(org, id).await?;
    found.ok_or_else(|| Error::NoReplay(id.to_string()))
}

/// The organization's replays, newest first.
///
/// # Errors
/// If the database does not answer.
pub async fn list(service: &Service, org: OrgId, page: &Page) -> Result<Listed<Replay>, Error> {
    let wanted = sluice_store::Page {
        after: page.after.as_deref().and_then(|after| after.parse().ok()),
        limit: page.bounded(),
    };
    let found = service.store().list_replays(org, wanted).await?;
    Ok(Listed {
        items: found.items,
        next: found.next.map(|next| next.to_string()),
    })
}

/// Ends a replay; what it made due is delivered.
///
/// # Errors
/// [`Error::NoReplay`], or that it has ended.
pub async fn cancel(service: &Service, org: OrgId, id: ReplayId) -> Result<Replay, Error> {
    let store = service.store();
    let cancelled = store
        .cancel_replay(org, id, service.new_id(), service.now())
        .await;
    cancelled.map_err(|error| match error {
        sluice_store::Error::Missing { .. } => Error::NoReplay(id.to_string()),
        other => other.into(),
    })
}
