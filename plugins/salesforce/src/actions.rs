//! What only the organization can do: its own flows and invocable Apex methods (REST API Developer Guide, "Custom Invocable Actions";
//! Actions Developer Guide, "Flow Actions", "Apex Actions"). An action is called by its type and Salesforce's name of it: `flow.NAME`.
//!
//! Salesforce knows no idempotency keys: an action is sent once, and an answer that is lost is an error for a person to look at.

mod parameter;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::http::{self, Response};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{ActionInfo, Connection, Error, log};

use crate::{api, config};
use parameter::{Parameter, input, output};

/// The types of custom actions that an organization writes itself and that take inputs of their own.
const TYPES: [&str; 2] = ["flow", "apex"];

/// Actions that are described, each by a request: some twenty seconds at the manifest's rate.
const MAX_DESCRIBED: usize = 100;

/// Descriptions that are held at once: picklists make one long.
const AT_ONCE: usize = 25;

/// Names of what was left out that one line of the log has.
const MAX_NAMED: usize = 20;

/// Letters of a title.
const MAX_TITLE: usize = 200;

/// An action of the organization.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    kind: &'static str,
    name: String,
}

impl Named {
    fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('.')?;
        Self::new(TYPES.into_iter().find(|known| *known == kind)?, name)
    }

    fn new(kind: &'static str, name: &str) -> Option<Self> {
        // An API name, of a package with its namespace before it; nothing else becomes part of a path.
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_name = (1..=120).contains(&name.len()) && name.bytes().all(letters);
        is_name.then(|| Self {
            kind,
            name: name.to_owned(),
        })
    }

    fn full(&self) -> String {
        format!("{}.{}", self.kind, self.name)
    }
}

#[derive(Deserialize)]
struct Description<'a> {
    #[serde(borrow, default)]
    label: Text<'a>,
    #[serde(borrow, default)]
    description: Text<'a>,
    #[serde(borrow, default)]
    inputs: Vec<Parameter<'a>>,
    #[serde(borrow, default)]
    outputs: Vec<Parameter<'a>>,
}

/// The actions that this user can run, each with the schemas of what it takes and gives.
pub(crate) fn list(connection: &Connection) -> Result<Vec<ActionInfo>, Error> {
    let instance = config::read(connection)?.instance()?;
    let mut named = named(&instance)?;
    let left_out = named.split_off(named.len().min(MAX_DESCRIBED));
    say_left_out("more than are described", &left_out);
    let mut found = Vec::with_capacity(named.len());
    let mut refused = Vec::new();
    while !named.is_empty() {
        let rest = named.split_off(named.len().min(AT_ONCE));
        let asked = named
            .iter()
            .map(|action| api::action(&instance, action.kind, &action.name));
        let asked = asked.map(http::get).collect();
        for (action, response) in std::mem::take(&mut named).into_iter().zip(http::send_all(asked)) {
            let response = response.map_err(permitted)?;
            match is_kept_from_us(&response) {
                true => refused.push(action),
                false => found.push(described(&action, &api::ok(response)?)?),
            }
        }
        named = rest;
    }
    say_left_out("Salesforce does not let this user see them", &refused);
    Ok(found)
}

/// All that there are, in the order of their types and names.
fn named(instance: &str) -> Result<Vec<Named>, Error> {
    #[derive(Deserialize)]
    struct Listed<'a> {
        #[serde(borrow)]
        actions: Vec<Entry<'a>>,
    }
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow, default)]
        name: Text<'a>,
    }
    let asked = TYPES.iter().map(|kind| http::get(api::actions(instance, kind)));
    let mut named = BTreeSet::new();
    for (kind, response) in TYPES.into_iter().zip(http::send_all(asked.collect())) {
        let response = response.map_err(permitted)?;
        // Of an edition without them, or for a user without them.
        if is_kept_from_us(&response) {
            log::info(&format!(
                "Salesforce shows this user no actions of the type {kind}"
            ));
            continue;
        }
        let response = api::ok(response)?;
        let listed: Listed<'_> = response.json()?;
        for entry in &listed.actions {
            match Named::new(kind, entry.name.as_str()) {
                Some(action) => drop(named.insert(action)),
                None => log::warn(&format!(
                    "an action of the type {kind} has no usable name: left out"
                )),
            }
        }
    }
    // Flows before Apex, as the types stand above.
    let mut named: Vec<_> = named.into_iter().collect();
    named.sort_by_key(|action| TYPES.iter().position(|kind| *kind == action.kind));
    Ok(named)
}

/// A class that the user's profile does not have, or what went since it was listed. A quota is neither.
fn is_kept_from_us(response: &Response) -> bool {
    let is_quota = || api::code(response).is_some_and(|(code, _)| code == "REQUEST_LIMIT_EXCEEDED");
    response.status == 404 || (response.status == 403 && !is_quota())
}

/// The permissions are optional: without them there are no actions, and the connection is as good as before.
fn permitted(error: Error) -> Error {
    match error {
        Error::Config(detail) => Error::unsupported(detail.message),
        other => other,
    }
}

fn say_left_out(why: &str, actions: &[Named]) {
    if actions.is_empty() {
        return;
    }
    let names: Vec<_> = actions.iter().take(MAX_NAMED).map(Named::full).collect();
    let (count, names) = (actions.len(), names.join(", "));
    log::warn(&format!("{count} actions are left out, {why}: {names}"));
}

fn described(action: &Named, response: &Response) -> Result<ActionInfo, Error> {
    let described: Description<'_> = response.json()?;
    let label = described.label.as_str();
    Ok(ActionInfo {
        name: action.full(),
        title: match label {
            "" => action.name.clone(),
            label => record::words(label, MAX_TITLE),
        },
        input: record::text(&input(&described.inputs, described.description.as_str()))?,
        output: record::text(&output(&described.outputs))?,
    })
}

#[derive(Serialize)]
struct Order<'a> {
    inputs: [&'a RawValue; 1],
}

#[derive(Deserialize)]
struct Ran<'a> {
    #[serde(rename = "isSuccess", default)]
    is_success: Option<bool>,
    #[serde(rename = "outputValues", borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errors: Option<Vec<Refusal<'a>>>,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(rename = "statusCode", borrow, default)]
    code: Text<'a>,
    #[serde(borrow, default)]
    message: Text<'a>,
}

/// Runs one, once. The answer is what it puts out; nothing of an action that puts out nothing.
pub(crate) fn run(connection: &Connection, name: &str, text: &str) -> Result<String, Error> {
    let unknown = || Error::unsupported(format!("there is no action `{name}`"));
    let action = Named::parse(name).ok_or_else(unknown)?;
    let instance = config::read(connection)?.instance()?;
    let order = Order {
        inputs: [serde_json::from_str(text)
            .map_err(|error| Error::invalid_data(format!("the input is not JSON: {error}")))?],
    };
    let response = http::post(api::action(&instance, action.kind, &action.name))
        .json(&order)?
        .send()
        .map_err(permitted)?;
    // What failed in the action itself is said in the form of a result, under another status than 200.
    let ran: Option<Vec<Ran<'_>>> = serde_json::from_slice(&response.body).ok();
    if let Some([result]) = ran.as_deref()
        && let Some(is_success) = result.is_success
    {
        return match is_success {
            true => Ok(result.output.map_or("{}", RawValue::get).to_owned()),
            false => Err(refused(result)),
        };
    }
    match response.status {
        // It may have been done: no error from here on may say that it was not.
        200..300 => Err(Error::internal(
            "Salesforce's result of the action could not be read",
        )),
        404 => Err(unknown()),
        // It is this action that the user may not run; the credential is good for everything else.
        _ if is_kept_from_us(&response) => {
            let (code, words) = api::code(&response).unwrap_or_default();
            Err(Error::invalid_data(format!(
                "Salesforce refused the action with `{code}`: {words}"
            )))
        }
        _ => match api::ok(response) {
            Err(error) => Err(error),
            Ok(_) => Err(Error::internal(
                "Salesforce's result of the action could not be read",
            )),
        },
    }
}

/// The vendor's refusal, in its words.
fn refused(result: &Ran<'_>) -> Error {
    let first = result.errors.as_ref().and_then(|errors| errors.first());
    let Some(first) = first else {
        return Error::invalid_data("Salesforce says that the action failed, and not why");
    };
    let code = record::words(first.code.as_str(), 80);
    let words = record::words(first.message.as_str(), 300);
    let message = format!("the action failed with `{code}`: {words}");
    match code.as_str() {
        "UNABLE_TO_LOCK_ROW" | "SERVER_UNAVAILABLE" | "QUERY_TIMEOUT" => Error::transient(message),
        _ => Error::invalid_data(message),
    }
}

#[cfg(test)]
mod tests;
