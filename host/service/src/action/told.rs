//! Actions that only the account has at the vendor: its own flows, templates, commands. The connector names them when it is asked.
//!
//! What it says is a guest's word: it is taken whole or not at all. Nothing durable hangs on such a list, so it is kept in memory, for
//! a while, and asked for anew where a name is not in it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, InstallId};
use sluice_runtime::ActionInfo;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::call::{self, Callee};
use crate::catalogue::ActionSchemas;
use crate::schema::Schema;
use crate::{Service, connection, trace};

/// The actions of one account, as its connector told them.
#[derive(Debug)]
pub(crate) struct Told {
    install: InstallId,
    at: Timestamp,
    pub(super) actions: BTreeMap<String, ToldAction>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct ToldAction {
    pub(super) title: String,
    pub(super) input: Value,
    pub(super) output: Value,
    pub(super) schemas: ActionSchemas,
}

/// What was told of connections.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    told: Mutex<HashMap<ConnectionId, Arc<Told>>>,
}

/// Connections whose lists are kept; beyond them all are forgotten and asked for again.
const MAX_KEPT: usize = 512;
/// How long a list is believed.
const BELIEVED: Duration = Duration::from_secs(600);
/// Bytes of an action's name: it is a part of an address.
const MAX_NAME_BYTES: usize = 128;

impl Lists {
    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Told>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list that has this action, asked for if the one that is kept has not; the newest there is, if it has it neither.
pub(super) async fn having(service: &Service, callee: &Callee, name: &str) -> Result<Arc<Told>, Error> {
    let kept = service.action_lists().lock().get(&callee.connection.id).cloned();
    let is_good = |told: &Told| {
        let age = service.now().since(told.at);
        told.install == callee.known.install.id && age < BELIEVED && told.actions.contains_key(name)
    };
    match kept {
        Some(told) if is_good(&told) => Ok(told),
        _ => ask(service, callee).await,
    }
}

/// Asks the connector.
pub(super) async fn ask(service: &Service, callee: &Callee) -> Result<Arc<Told>, Error> {
    let call = callee.call(service, CancellationToken::new()).await?;
    let mut outcome = service.runtime().actions(call).await;
    call::observe(service, "list", callee, &outcome);
    let problem = trace::problem(&outcome);
    trace::keep(service, callee, "list actions", problem, &mut outcome.effects);
    let found = match outcome.result? {
        Ok(found) => found,
        Err(fault) => {
            connection::degrade(service, callee.org, callee.connection.id, &fault).await?;
            return Err(Error::Fault(fault));
        }
    };
    let told = Arc::new(Told {
        install: callee.known.install.id,
        at: service.now(),
        actions: checked(callee, found).map_err(Error::Told)?,
    });
    let mut kept = service.action_lists().lock();
    if kept.len() >= MAX_KEPT {
        kept.clear();
    }
    kept.insert(callee.connection.id, Arc::clone(&told));
    Ok(told)
}

fn checked(callee: &Callee, found: Vec<ActionInfo>) -> Result<BTreeMap<String, ToldAction>, String> {
    let mut actions = BTreeMap::new();
    for info in found {
        let name = info.name;
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if name.len() > MAX_NAME_BYTES || !begins || !name.bytes().all(word) {
            return Err(format!(
                "`{}` is not the name of an action: a letter or digit, then at most {} letters, digits, `_`, `-`, `.` or `:`",
                name.escape_debug(),
                MAX_NAME_BYTES - 1
            ));
        }
        if callee.known.action(&name).is_some() {
            return Err(format!("the manifest has an action `{name}` already"));
        }
        let schema = |what: &str, text: &str| {
            let place = format!("the {what} of action `{name}`");
            let value: Value =
                serde_json::from_str(text).map_err(|error| format!("{place} is not JSON: {error}"))?;
            let compiled = Schema::compile(&place, &value).map_err(|error| error.to_string())?;
            Ok::<_, String>((value, compiled))
        };
        let (input, takes) = schema("input", &info.input)?;
        let (output, gives) = schema("output", &info.output)?;
        let action = ToldAction {
            title: info.title,
            input,
            output,
            schemas: ActionSchemas {
                input: takes,
                output: gives,
            },
        };
        if actions.insert(name.clone(), action).is_some() {
            return Err(format!("it names `{name}` twice"));
        }
    }
    Ok(actions)
}
