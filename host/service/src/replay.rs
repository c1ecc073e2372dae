//! Replays: events of a time that are delivered to an endpoint again, or at last, and webhooks of a time that a connector handles again;
//! a job that goes on over restarts, bounded, and told of when it begins and when it ends.

mod error;

use serde_json::json;
use sluice_model::Timestamp;
use sluice_model::endpoint::parse_kinds;
use sluice_model::id::{HookId, InstallId, OrgId, ReplayId};
use sluice_store::replay::ReplayState;
pub use sluice_store::replay::{Again, EventScope, ReceiptScope, Replay, ReplayOf, Scope};

pub use error::Error;

use crate::page::{Listed, Page};
use crate::{Service, catalogue, connection, endpoint, event, install};

/// What is to be delivered or handled again.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub to: To,
    pub what: ReplayOf,
    /// What was recorded or received from then on…
    pub since: Option<Timestamp>,
    /// …and before then; until now, without.
    pub until: Option<Timestamp>,
    /// Deliveries or receipts that are made due at most.
    pub cap: Option<u64>,
    /// Who asked: an API key's id.
    pub by: String,
}

/// Who gets it again.
#[derive(Debug, Clone)]
pub enum To {
    Endpoint(OfEvents),
    /// The connector, what came in at this hook.
    Hook {
        hook: HookId,
        /// An install of it, as its id or as `NAME@VERSION`; without, the connection's own.
        install: Option<String>,
    },
}

/// Events for an endpoint.
#[derive(Debug, Clone)]
pub struct OfEvents {
    /// Its id or name.
    pub endpoint: String,
    /// Patterns of kinds; all that the endpoint wants, without.
    pub kinds: Vec<String>,
    /// Only behind this number, where it is more than `since` leads to.
    pub after: Option<u64>,
    /// Up to this number.
    pub last: Option<u64>,
}

/// What one replay makes due, where nothing was said, and at most.
const USUAL_CAP: u64 = 100_000;
const MAX_CAP: u64 = 1_000_000;

/// Begins a replay.
///
/// # Errors
/// [`Error::Endpoint`], [`Error::Hook`], [`Error::Window`]; [`Error::Install`] where that install can't handle what
/// came in for the connection.
pub async fn create(service: &Service, org: OrgId, wanted: Wanted) -> Result<Replay, Error> {
    let cap = wanted.cap.unwrap_or(USUAL_CAP);
    let is_backwards = wanted
        .since
        .zip(wanted.until)
        .is_some_and(|(since, until)| since > until);
    if is_backwards || !(1..=MAX_CAP).contains(&cap) {
        return Err(Error::Window);
    }
    let now = service.now();
    let scope = match wanted.to {
        To::Endpoint(of) => Scope::Events(events(service, org, of, (wanted.since, wanted.until)).await?),
        To::Hook { hook, install } => {
            let install = match install {
                Some(install) => Some(able(service, org, hook, &install).await?),
                None => None,
            };
            Scope::Receipts(ReceiptScope {
                hook,
                since: wanted.since.unwrap_or(Timestamp::from_millis(0)),
                until: wanted.until.unwrap_or(now),
                install,
                place: None,
            })
        }
    };
    let replay = Replay {
        id: service.new_id(),
        scope,
        what: wanted.what,
        cap,
        looked: 0,
        made: 0,
        state: ReplayState::Running,
        due: Some(now),
        created: now,
        ended: None,
    };
    let told = event::of_platform(service, "sluice.replay.created", replay.id, || {
        let mut told = json!({"what": wanted.what.name(), "cap": cap, "by": wanted.by});
        if let (Some(told), Ok(serde_json::Value::Object(scope))) =
            (told.as_object_mut(), serde_json::to_value(&replay.scope))
        {
            told.extend(scope);
        }
        told
    });
    let store = service.store();
    let created = store.create_replay(org, replay.clone(), told, now).await;
    created.map_err(|error| match error {
        sluice_store::Error::Missing { what: "the hook" } => Error::Hook,
        other => other.into(),
    })?;
    Ok(replay)
}

async fn events(
    service: &Service,
    org: OrgId,
    of: OfEvents,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
) -> Result<EventScope, Error> {
    let endpoint = endpoint::get(service, org, &of.endpoint).await?.endpoint;
    let kinds = if of.kinds.is_empty() {
        vec!["*".to_owned()]
    } else {
        parse_kinds(&of.kinds).map_err(endpoint::Error::from)?;
        of.kinds
    };
    let store = service.store();
    let since = match since {
        Some(since) => store.last_event_before(org, since).await?,
        None => 0,
    };
    let until = match until {
        Some(until) => store.last_event_before(org, until).await?,
        None => store.last_event(org).await?,
    };
    let after = since.max(of.after.unwrap_or_default());
    Ok(EventScope {
        endpoint: endpoint.id,
        kinds,
        after,
        last: until.min(of.last.unwrap_or(u64::MAX)).max(after),
        place: after,
    })
}

/// The install, if it is one of the connector of the hook's connection, has its webhook, and takes its configuration.
async fn able(service: &Service, org: OrgId, hook: HookId, install: &str) -> Result<InstallId, Error> {
    let hook = service.store().get_hook(org, hook).await?.ok_or(Error::Hook)?;
    let not = |reason: String| Error::Install {
        install: install.to_owned(),
        reason,
    };
    let connection = connection::get(service, org, &hook.connection.to_string())
        .await
        .map_err(|error| not(error.to_string()))?;
    let found = install::get(service, org, install)
        .await
        .map_err(|error| not(error.to_string()))?;
    if found.connector != connection.connector {
        return Err(not(format!("it is one of {}", found.connector)));
    }
    let known = catalogue::known(service, org, found.id)
        .await
        .map_err(|error| not(error.to_string()))?;
    if known.manifest.webhook(&hook.webhook).is_none() {
        return Err(not(format!("it has no webhook `{}`", hook.webhook)));
    }
    known
        .config
        .check(&connection.config)
        .map_err(|error| not(error.to_string()))?;
    Ok(found.id)
}

/// One replay.
///
/// # Errors
/// [`Error::Missing`].
pub async fn get(service: &Service, org: OrgId, id: ReplayId) -> Result<Replay, Error> {
    let found = service.store().get_replay(org, id).await?;
    found.ok_or_else(|| Error::Missing(id.to_string()))
}

/// What a replay has made due of the events behind this number, as far as one look goes; nothing if there is no such replay, or it is
/// one of receipts.
///
/// # Errors
/// If the database does not answer.
pub async fn asked_for(
    service: &Service,
    org: OrgId,
    id: ReplayId,
    after: u64,
) -> Result<Option<Again>, sluice_store::Error> {
    service.store().replayed(org, id, after).await
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
/// [`Error::Missing`], or that it has ended.
pub async fn cancel(service: &Service, org: OrgId, id: ReplayId) -> Result<Replay, Error> {
    let store = service.store();
    let cancelled = store
        .cancel_replay(org, id, service.new_id(), service.now())
        .await;
    cancelled.map_err(|error| match error {
        sluice_store::Error::Missing { .. } => Error::Missing(id.to_string()),
        other => other.into(),
    })
}
