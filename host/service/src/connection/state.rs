//! The moves of a connection between its states, each written once and told once.

use serde_json::{Value, json};
use sluice_model::connection::ConnectionState;
use sluice_model::fault::{Fault, FaultKind};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_store::connection::{ConnectionChange, Reason};

use super::{Account, Connection, Error, Settings, get, settings_text};
use crate::problem::Problem;
use crate::{Service, event};

/// Keeps background work away until it is resumed.
///
/// # Errors
///
/// [`Error::State`] for a draft.
pub async fn pause(service: &Service, org: OrgId, id: ConnectionId) -> Result<Connection, Error> {
    move_to(service, org, id, ConnectionState::Paused, None).await
}

/// Lets background work go on.
///
/// # Errors
///
/// [`Error::State`] unless it is paused.
pub async fn resume(service: &Service, org: OrgId, id: ConnectionId) -> Result<Connection, Error> {
    let connection = get(service, org, &id.to_string()).await?;
    if connection.state != ConnectionState::Paused {
        return Err(Error::State(connection.state, ConnectionState::Active));
    }
    move_to(service, org, id, ConnectionState::Active, None).await
}

/// Pauses or resumes every connection of a connector, or of the organization. Answers those that changed; the others were
/// not in a state that allows it.
///
/// # Errors
///
/// If the database does not answer: those before are changed then.
pub async fn turn_all(
    service: &Service,
    org: OrgId,
    connector: Option<&str>,
    paused: bool,
) -> Result<Vec<ConnectionId>, Error> {
    let mut changed = Vec::new();
    let mut after = None;
    loop {
        let page = sluice_store::Page {
            after,
            limit: sluice_store::MAX_LIMIT,
        };
        let part = service.store().list_connections(org, page).await?;
        for found in part.items {
            let from = if paused {
                found.state.serves()
            } else {
                found.state == ConnectionState::Paused
            };
            if !from || connector.is_some_and(|connector| connector != found.connector) {
                continue;
            }
            let to = if paused {
                ConnectionState::Paused
            } else {
                ConnectionState::Active
            };
            match settle(service, org, found.id, News::default(), Some((to, None))).await {
                Ok(()) => changed.push(found.id),
                Err(Error::State(..) | Error::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        after = part.next;
        if after.is_none() {
            return Ok(changed);
        }
    }
}

/// What a fault says about the connection as a whole.
pub(crate) fn state_after(fault: &Fault) -> Option<ConnectionState> {
    match fault.kind {
        FaultKind::Auth => Some(ConnectionState::NeedsReauth),
        FaultKind::Config => Some(ConnectionState::Misconfigured),
        _ => None,
    }
}

/// Moves a connection whose fault somebody has to mend, and tells it once.
pub(crate) async fn degrade(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    fault: &Fault,
) -> Result<(), Error> {
    let Some(state) = state_after(fault) else {
        return Ok(());
    };
    let problem = Problem::new(fault.kind.code(), fault);
    settle(service, org, id, News::default(), Some((state, Some(problem)))).await
}

pub(crate) async fn move_to(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    state: ConnectionState,
    problem: Option<Problem>,
) -> Result<Connection, Error> {
    settle(service, org, id, News::default(), Some((state, problem))).await?;
    get(service, org, &id.to_string()).await
}

type NewState = (ConnectionState, Option<Problem>);

/// What is new about a connection.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) account: Option<Account>,
    /// The scheme that it uses from now on.
    pub(crate) auth: Option<String>,
    pub(crate) config: Option<Value>,
}

/// Writes what is new and the state together; who changed the connection meanwhile is not overwritten but built upon.
pub(crate) async fn settle(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    news: News,
    new_state: Option<NewState>,
) -> Result<(), Error> {
    for _ in 0..MAX_UPDATES {
        let Some(stored) = service.store().get_connection(org, id).await? else {
            return Err(Error::Missing(id.to_string()));
        };
        let (revision, was) = (stored.revision, stored.state);
        let mut change = ConnectionChange::default();
        if news.account.is_some() || news.auth.is_some() {
            let mut settings: Settings = serde_json::from_str(&stored.settings).unwrap_or_default();
            settings.account = news.account.clone().or(settings.account);
            settings.auth = news.auth.clone().or(settings.auth);
            change.account = news.account.as_ref().map(|account| account.id.clone());
            change.settings = Some(settings_text(&settings));
        }
        change.config = news.config.as_ref().map(Value::to_string);
        let mut told = None;
        if let Some((state, problem)) = &new_state {
            let paused_by_a_person = was == ConnectionState::Paused && news.account.is_some();
            let before = stored.reason.as_ref().map(|reason| reason.code.as_str());
            let now = problem.as_ref().map(|problem| problem.code.as_str());
            let said_better = was == *state && is_over(before) && !is_over(now);
            if !paused_by_a_person && !said_better {
                if !was.may_become(*state) {
                    return Err(Error::State(was, *state));
                }
                let reason = problem
                    .clone()
                    .map(|Problem { code, message }| Reason { code, message });
                change.state = Some((*state, reason));
                told = (was != *state).then_some((*state, problem));
            }
        }
        change.event = told.map(|(state, problem)| {
            event::of_platform(service, "sluice.connection.state", id, || {
                json!({"from": was, "to": state, "code": problem.as_ref().map(|problem| &problem.code),
                       "message": problem.as_ref().map(|problem| &problem.message)})
            })
        });
        return match service
            .store()
            .update_connection(org, id, revision, change, service.now())
            .await
        {
            Err(sluice_store::Error::Revision { .. }) => continue,
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        };
    }
    Err(Error::Store(sluice_store::Error::Revision {
        what: "connection",
        expected: 0,
        found: 0,
    }))
}

/// Whether a reason says that the grant is over. It is what the vendor said, and stays while requests are refused because of it.
pub(crate) fn is_over(code: Option<&str>) -> bool {
    matches!(code, Some("auth.ended" | "auth.denied"))
}

/// How often an update starts again because somebody was faster.
const MAX_UPDATES: usize = 16;
