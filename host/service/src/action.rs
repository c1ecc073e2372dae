//! Actions: a named operation of the vendor, with its input and output held to their schemas.

mod presigned;
mod told;

use serde_json::Value;
use sluice_model::fault::Fault;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::Action;
use sluice_runtime::{CallError, Effects, Outcome};
use tokio_util::sync::CancellationToken;

use crate::call::{self, Callee};
use crate::catalogue::ActionSchemas;
use crate::schema::Violation;
use crate::{Service, connection, trace};

pub use presigned::Refusal;
pub(crate) use told::Lists;

/// Why an action gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the connector has no action `{wanted}`; it has {offered}")]
    Unknown { wanted: String, offered: String },
    #[error("the input breaks its schema: {0}")]
    Input(Violation),
    #[error("the connector's answer breaks its schema: {0}")]
    Output(Violation),
    #[error("what the connector says of its actions can't be used: {0}")]
    Told(String),
    #[error(transparent)]
    Presigned(#[from] Refusal),
    #[error("{0}")]
    Fault(Fault),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Prepare(#[from] call::Error),
    #[error(transparent)]
    Connection(#[from] connection::Error),
    #[error("the action was performed, but its storage writes were not kept: {0}")]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "action.unknown",
        "action.input",
        "action.output",
        "action.presigned",
        "action.told",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "action.unknown",
            Self::Input(_) => "action.input",
            Self::Output(_) => "action.output",
            Self::Told(_) => "action.told",
            Self::Presigned(_) => "action.presigned",
            Self::Fault(fault) => fault.kind.code(),
            Self::Call(error) => error.code(),
            Self::Prepare(error) => error.code(),
            Self::Connection(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Input(_) => Some("`sluice action show CONNECTION ACTION` has its schema".to_owned()),
            Self::Presigned(Refusal::Undeclared) => Some(
                "the connector's author has to say `presigns = true` of the action in connector.toml"
                    .to_owned(),
            ),
            Self::Told(_) => Some("tell the connector's author".to_owned()),
            Self::Presigned(Refusal::TooMany) => {
                Some("report it to the connector's author, or ask for fewer at once".to_owned())
            }
            Self::Call(error) => error.hint(),
            Self::Prepare(error) => error.hint(),
            Self::Connection(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Unknown { .. } | Self::Output(_) | Self::Fault(_) => None,
        }
    }
}

/// An action that a connection can perform.
#[derive(Debug, Clone, PartialEq)]
pub struct Offered {
    pub name: String,
    pub title: String,
    pub description: Option<String>,
    /// JSON Schemas of what it takes and what it gives.
    pub input: Value,
    pub output: Value,
    /// Whether its output may have links in it that work without a credential.
    pub presigns: bool,
    /// Only the account has it: no manifest lists it.
    pub discovered: bool,
}

/// Names of actions that an error shows.
const MAX_NAMED: usize = 20;

/// The actions of a connection: first those of the manifest, then those of the account, which the connector is asked for.
///
/// # Errors
///
/// If the connector has to be asked, and it or the vendor refuses, or what it says can't be used.
pub async fn list(service: &Service, org: OrgId, id: ConnectionId) -> Result<Vec<Offered>, Error> {
    let callee = Callee::read(service, org, id).await?;
    let manifest = &callee.known.manifest;
    let mut offered: Vec<_> = manifest.actions.iter().map(listed).collect();
    if !manifest.discovered_actions {
        return Ok(offered);
    }
    let told = told::ask(service, &callee).await?;
    offered.extend(told.actions.iter().map(|(name, action)| Offered {
        name: name.clone(),
        title: action.title.clone(),
        description: None,
        input: action.input.clone(),
        output: action.output.clone(),
        presigns: false,
        discovered: true,
    }));
    Ok(offered)
}

fn listed(action: &Action) -> Offered {
    Offered {
        name: action.name.clone(),
        title: action.title.clone(),
        description: Some(action.description.clone()),
        input: action.input.clone(),
        output: action.output.clone(),
        presigns: action.presigns,
        discovered: false,
    }
}

/// Performs an action. The same `idempotency_key` does not act twice at a vendor that can tell.
///
/// Not cancel-safe: dropped early, the vendor may or may not have acted.
///
/// # Errors
///
/// If the action is unknown, its input or output breaks its schema, or the connector or the vendor refuses.
pub async fn run(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    name: &str,
    input: &Value,
    idempotency_key: &str,
) -> Result<Value, Error> {
    let callee = Callee::read(service, org, id).await?;
    let told = match callee.known.manifest.discovered_actions && callee.known.action(name).is_none() {
        true => Some(told::having(service, &callee, name).await?),
        false => None,
    };
    let own = told.as_ref().and_then(|told| told.actions.get(name));
    let listed = callee.known.action(name);
    let Some(schemas) = listed.or(own.map(|action| &action.schemas)) else {
        let listed = callee.known.manifest.actions.iter().map(|action| &action.name);
        let own = told.iter().flat_map(|told| told.actions.keys());
        let offered: Vec<_> = listed.chain(own).take(MAX_NAMED).map(String::as_str).collect();
        return Err(Error::Unknown {
            wanted: name.to_owned(),
            offered: match offered.is_empty() {
                true => "none".to_owned(),
                false => offered.join(", "),
            },
        });
    };
    schemas.input.check(input).map_err(Error::Input)?;
    let call = callee.call(service, CancellationToken::new()).await?;
    let outcome = service
        .runtime()
        .act(
            call,
            name.to_owned(),
            input.to_string(),
            idempotency_key.to_owned(),
        )
        .await;
    call::observe(service, "act", &callee, &outcome);
    service.metrics().actions_run.add(1);
    let Outcome { result, mut effects } = outcome;
    let given = given(service, &callee, (name, schemas), result, &mut effects).await;
    let problem = given.as_ref().err();
    let problem = problem.map(|error| (error.code(), error.to_string()));
    trace::keep(service, &callee, &format!("action {name}"), problem, &mut effects);
    given
}

/// What an action gave, held to its schema, once what the call staged is kept.
async fn given(
    service: &Service,
    callee: &Callee,
    (name, schemas): (&str, &ActionSchemas),
    result: Result<Result<String, Fault>, CallError>,
    effects: &mut Effects,
) -> Result<Value, Error> {
    let (org, id) = (callee.org, callee.connection.id);
    let writes = callee.writes(service, effects);
    let output = match result? {
        Ok(output) => output,
        Err(fault) => {
            connection::degrade(service, org, id, &fault).await?;
            return Err(Error::Fault(fault));
        }
    };
    let not_json = |error: serde_json::Error| Violation {
        pointer: String::new(),
        reason: format!("not JSON: {error}"),
    };
    let mut output: Value = serde_json::from_str(&output).map_err(|error| Error::Output(not_json(error)))?;
    schemas.output.check(&output).map_err(Error::Output)?;
    let declared = callee
        .known
        .manifest
        .action(name)
        .is_some_and(|action| action.presigns);
    presigned::place(&mut output, &effects.presigned, declared)?;
    if !writes.is_empty() {
        service.store().commit_storage(org, id, writes).await?;
    }
    Ok(output)
}
