//! Discovery: the connector is asked which streams the account has. What it says is taken whole or not at all, so that one bad
//! schema does not make half a list.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_model::fault::Fault;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::ToldStream;
use sluice_runtime::{CallError, Effects, StreamInfo};
use sluice_store::account_streams::{AccountStreams, MAX_ACCOUNT_STREAMS_BYTES};
use tokio_util::sync::CancellationToken;

use crate::call::{self, Callee};
use crate::catalogue::streams::compiled;
use crate::sync::contract::{self, Judged, NewStreams};
use crate::{Service, event, trace};

/// What changed since the connector was asked before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discovery {
    /// Streams that the account has now, those among them that the manifest lists included.
    pub streams: usize,
    pub added: Vec<String>,
    /// Their records look different.
    pub changed: Vec<String>,
    /// Their records stay; they can't be read any more.
    pub gone: Vec<String>,
    /// New ones that the connection's contract does not take.
    pub refused: Vec<String>,
    /// New ones that could not have the contract's options, and why.
    pub not_set: Vec<(String, String)>,
}

/// Why nothing was discovered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the connector lists all its streams in its manifest: there are none to discover")]
    Nothing,
    #[error("what the connector says of its streams can't be used: {0}")]
    Told(String),
    #[error("{0}")]
    Fault(Fault),
    #[error(transparent)]
    Prepare(#[from] call::Error),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &["sync.no_discovery", "sync.discovered"];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Nothing => "sync.no_discovery",
            Self::Told(_) => "sync.discovered",
            Self::Fault(fault) => fault.kind.code(),
            Self::Prepare(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Nothing | Self::Fault(_) => None,
            Self::Told(_) => Some("tell the connector's author; what was known before stays".to_owned()),
            Self::Prepare(error) => error.hint(),
            Self::Call(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }
}

/// Streams of one account.
pub const MAX_STREAMS: usize = 1000;
/// After this long, a run asks again before it reads.
const ASKED_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// Asks the connector which streams the account has, and keeps what it says in the place of what it said before, as the connection's
/// contract has it; whole, if a person accepts it.
///
/// # Errors
///
/// As the call failed; [`Error::Told`]: then what was known before stays.
pub async fn discover(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    accept: bool,
) -> Result<Discovery, Error> {
    let callee = Callee::read(service, org, id).await?;
    let contract = if accept {
        NewStreams::Evolve
    } else {
        callee.connection.contract.new_streams
    };
    let mut effects = Effects::default();
    let way = (CancellationToken::new(), &mut effects);
    let found = asked(service, &callee, contract, way).await;
    let problem = found
        .as_ref()
        .err()
        .map(|error| (error.code(), error.to_string()));
    trace::keep(service, &callee, "discover", problem, &mut effects);
    found
}

/// What the call did is left in `effects`, for the trace of what it was made for.
pub(crate) async fn of(
    service: &Service,
    callee: &Callee,
    cancel: CancellationToken,
    effects: &mut Effects,
) -> Result<Discovery, Error> {
    let contract = callee.connection.contract.new_streams;
    asked(service, callee, contract, (cancel, effects)).await
}

async fn asked(
    service: &Service,
    callee: &Callee,
    contract: NewStreams,
    (cancel, effects): (CancellationToken, &mut Effects),
) -> Result<Discovery, Error> {
    let manifest = &callee.known.manifest;
    if manifest.discovered.is_none() {
        return Err(Error::Nothing);
    }
    let (org, id) = (callee.org, callee.connection.id);
    let call = callee.call(service, cancel).await?;
    let outcome = service.runtime().discover(call).await;
    call::observe(service, "discover", callee, &outcome);
    *effects = outcome.effects;
    let told = outcome.result?.map_err(Error::Fault)?;
    let streams = checked(callee, told).map_err(Error::Told)?;
    let before = service.store().account_streams(org, id).await?;
    let before = before.map(|before| before.streams);
    let Judged { taken, refused } = contract::judge(
        contract,
        |name| manifest.stream(name).is_some(),
        before.as_deref(),
        streams,
    );
    let before = before.unwrap_or_default();
    let streams = taken.unwrap_or_else(|| before.clone());
    let mut found = compared(&before, &streams);
    found.refused = refused;
    let now = AccountStreams {
        at: service.now(),
        streams,
    };
    service.store().set_account_streams(org, id, now).await?;
    found.not_set = contract::give_options(service, org, &callee.connection, &found.added).await?;
    let Discovery {
        added,
        changed,
        gone,
        refused,
        not_set,
        ..
    } = &found;
    if [added, changed, gone, refused]
        .iter()
        .any(|names| !names.is_empty())
    {
        let not_set: Vec<&String> = not_set.iter().map(|(name, _)| name).collect();
        let body = || {
            serde_json::json!({
                "added": added, "changed": changed, "gone": gone, "refused": refused, "not_set": not_set,
            })
        };
        event::platform(service, org, "sluice.connection.streams", id, body).await?;
    }
    Ok(found)
}

fn checked(callee: &Callee, told: Vec<StreamInfo>) -> Result<Vec<ToldStream>, String> {
    if told.len() > MAX_STREAMS {
        return Err(format!(
            "it names {} streams; {MAX_STREAMS} are allowed",
            told.len()
        ));
    }
    let mut streams = BTreeMap::new();
    let mut bytes = 0;
    for StreamInfo {
        name,
        schema,
        primary_key,
        cursor_version,
    } in told
    {
        bytes += name.len() + schema.len();
        if bytes > MAX_ACCOUNT_STREAMS_BYTES {
            return Err(format!(
                "all schemas together have more than {MAX_ACCOUNT_STREAMS_BYTES} bytes"
            ));
        }
        let told = ToldStream {
            name,
            schema,
            primary_key,
            cursor_version,
        };
        compiled(&callee.known, &told)?;
        if let Some(twice) = streams.insert(told.name.clone(), told) {
            return Err(format!("it names `{}` twice", twice.name));
        }
    }
    Ok(streams.into_values().collect())
}

fn compared(before: &[ToldStream], now: &[ToldStream]) -> Discovery {
    let named = |list: &[ToldStream], name: &str| list.iter().find(|told| told.name == name).cloned();
    let mut found = Discovery {
        streams: now.len(),
        ..Discovery::default()
    };
    for told in now {
        match named(before, &told.name) {
            None => found.added.push(told.name.clone()),
            Some(was) if was != *told => found.changed.push(told.name.clone()),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|told| named(now, &told.name).is_none());
    found.gone = gone.map(|told| told.name.clone()).collect();
    found
}

/// Whether a run asks before it reads: nobody did for a day.
pub(crate) fn is_due(service: &Service, callee: &Callee) -> bool {
    let stale = |at| service.now().since(at) > ASKED_AGAIN;
    callee.known.manifest.discovered.is_some() && callee.streams.asked().is_none_or(stale)
}
