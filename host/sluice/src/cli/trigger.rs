//! `sluice hook trigger` and `sluice hook replay`: webhooks that nobody sent just now. A triggered one is signed with the hook's own secret
//! and posted to its address, so that all of the way is tried: verified, told apart, kept, handled.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{hook, replay};

/// Send a hook an event, signed as the vendor would
#[derive(Debug, Args)]
pub(super) struct Trigger {
    /// What: github.issues.opened
    kind: String,
    /// Where to; without it the only hook that a connection of this connector has
    #[arg(long)]
    hook: Option<String>,
    /// The body, from a file; without it that of the last event of this kind
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Set a value of the body: issue.title=Hi (JSON, or else text)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// A further header: name=value
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
}

/// Have receipts handled again
#[derive(Debug, Args)]
pub(super) struct Again {
    /// A receipt, or a hook whose receipts are meant
    #[arg(value_name = "RECEIPT|HOOK")]
    what: String,
    /// Of a hook: received since, as 2026-01-31T12:00:00Z or 2h, 3d
    #[arg(long)]
    since: Option<String>,
    /// Of a hook: received before
    #[arg(long)]
    until: Option<String>,
    /// Of a hook: which receipts; `failed` are those that are tried again or given up
    #[arg(long, value_enum, default_value_t = Which::All)]
    status: Which,
    /// Of a hook: so many at most, the oldest first
    #[arg(long)]
    cap: Option<u64>,
    /// Of a hook: the install that handles them, as github@1.2.0; without, the connection's own
    #[arg(long, value_name = "INSTALL")]
    with: Option<String>,
    /// Of a hook: return at once instead of when all are due
    #[arg(long)]
    no_wait: bool,
}

/// Which receipts are meant.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Which {
    All,
    Failed,
    Dead,
}

/// Events that are looked through for the last of a kind.
const LOOKED_THROUGH: u64 = 100_000;

impl Trigger {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let (connector, kind) = self
            .kind
            .split_once('.')
            .ok_or_else(|| Failure::usage("a kind begins with its connector, as github.issues.opened"))?;
        let hook = self.hook_of(client, connector).await?;
        let body = self.body(client).await?;
        let path = format!("/api/v1/hooks/{}/sign?kind={}", segment(&hook), segment(kind));
        let signed = client
            .send(Method::POST, &path, Body::Bytes(Bytes::from(body.clone())))
            .await?;
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let given = signed.get("headers").and_then(Value::as_array);
        headers.extend(
            given
                .into_iter()
                .flatten()
                .map(|header| (text(header, "name"), text(header, "value"))),
        );
        for header in &self.headers {
            let (name, value) = pair(header)?;
            headers.retain(|(other, _)| other != name);
            headers.push((name.to_owned(), value.to_owned()));
        }
        let status = client.deliver(&format!("/hooks/{hook}"), &headers, body).await?;
        let done = json!({"hook": hook, "kind": self.kind, "status": status});
        output.show(&done, |output| {
            output.done(&format!("{hook} answered {status} to {}", self.kind))
        });
        Ok(if (200..300).contains(&status) {
            Exit::Ok
        } else {
            Exit::Failed
        })
    }

    async fn hook_of(&self, client: &Client, connector: &str) -> Result<String, Failure> {
        if let Some(hook) = &self.hook {
            let found = client.get(&hook::path(client, hook).await?).await?;
            return Ok(text(&found, "id"));
        }
        let (hooks, connections) = (
            client.get("/api/v1/hooks").await?,
            client.get("/api/v1/connections?limit=1000").await?,
        );
        let mine: Vec<String> = items(&connections)
            .iter()
            .filter(|connection| text(connection, "connector") == connector)
            .map(|connection| text(connection, "id"))
            .collect();
        let is_mine = |hook: &&Value| {
            text(hook, "connector") == connector
                || (text(hook, "app").is_empty() && mine.contains(&text(hook, "connection")))
        };
        let found: Vec<String> = items(&hooks)
            .iter()
            .filter(is_mine)
            .map(|hook| text(hook, "id"))
            .collect();
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Failure::usage(format!("no connection of {connector} has a hook"))),
            many => Err(Failure::usage(format!(
                "say which with --hook: {}",
                many.join(", ")
            ))),
        }
    }

    async fn body(&self, client: &Client) -> Result<Vec<u8>, Failure> {
        let body = match &self.data {
            Some(file) => std::fs::read(file)
                .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?,
            None => self.last(client).await?,
        };
        if self.sets.is_empty() {
            return Ok(body);
        }
        let mut value: Value = serde_json::from_slice(&body)
            .map_err(|error| Failure::usage(format!("--set needs a body of JSON: {error}")))?;
        for set in &self.sets {
            let (place, given) = pair(set)?;
            let given = serde_json::from_str(given).unwrap_or_else(|_| Value::String(given.to_owned()));
            put(&mut value, place, given).ok_or_else(|| {
                Failure::usage(format!("the body has nothing at `{place}` that could be set"))
            })?;
        }
        Ok(value.to_string().into_bytes())
    }

    /// The data of the last event of this kind.
    async fn last(&self, client: &Client) -> Result<Vec<u8>, Failure> {
        let (mut after, mut looked, mut last) = (0, 0, None);
        loop {
            let path = format!(
                "/api/v1/events?kind={}&limit=1000&after={after}",
                segment(&self.kind)
            );
            let page = client.get(&path).await?;
            let of_kind = |event: &&Value| text(event, "kind") == self.kind;
            last = items(&page).iter().rfind(of_kind).cloned().or(last);
            looked += items(&page).len() as u64;
            after = page.get("next").and_then(Value::as_u64).unwrap_or(after);
            if page.get("end").and_then(Value::as_bool) != Some(false) || looked >= LOOKED_THROUGH {
                break;
            }
        }
        let data = last.and_then(|event| event.get("data").cloned());
        let data = data.ok_or_else(|| {
            Failure::usage(format!(
                "there was no event `{}` yet: give a body with --data FILE",
                self.kind
            ))
        })?;
        Ok(data.to_string().into_bytes())
    }
}

impl Again {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        if self.what.starts_with("rcp_") {
            let path = format!("/api/v1/receipts/{}/replay", segment(&self.what));
            let replayed = client.post(&path, json!({})).await?;
            output.show(&replayed, |output| {
                output.done(&format!("{} will be handled again", self.what))
            });
            return Ok(Exit::Ok);
        }
        let found = client.get(&hook::path(client, &self.what).await?).await?;
        let what = match self.status {
            Which::All => "all",
            Which::Failed => "missed",
            Which::Dead => "dead",
        };
        let mut body = json!({ "hook": text(&found, "id"), "what": what });
        let moments = [("since", self.since), ("until", self.until)];
        for (name, given) in moments {
            if let Some(given) = given {
                set(&mut body, name, replay::moment(&given)?.into());
            }
        }
        if let Some(cap) = self.cap {
            set(&mut body, "cap", cap.into());
        }
        if let Some(install) = self.with {
            set(&mut body, "install", install.into());
        }
        replay::follow(client, output, body, !self.no_wait).await
    }
}

fn set(body: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = body {
        fields.insert(name.to_owned(), value);
    }
}

fn pair(text: &str) -> Result<(&str, &str), Failure> {
    text.split_once('=')
        .ok_or_else(|| Failure::usage(format!("`{text}` is not NAME=VALUE")))
}

/// Sets what a path such as `issue.labels.0.name` leads to; the last name may be new.
fn put(value: &mut Value, path: &str, given: Value) -> Option<()> {
    let (names, last) = match path.rsplit_once('.') {
        Some((names, last)) => (Some(names), last),
        None => (None, path),
    };
    let mut place = value;
    for name in names.into_iter().flat_map(|names| names.split('.')) {
        place = match place {
            Value::Object(fields) => fields.get_mut(name)?,
            Value::Array(list) => list.get_mut(name.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    match place {
        Value::Object(fields) => {
            fields.insert(last.to_owned(), given);
        }
        Value::Array(list) => *list.get_mut(last.parse::<usize>().ok()?)? = given,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_set_by_their_path() {
        let check = |path: &str, expected: Option<Value>| {
            let mut value = json!({"issue": {"title": "x", "labels": [{"name": "a"}]}});
            let put = put(&mut value, path, json!("Hi"));
            assert_eq!(put.map(|()| value), expected, "{path}");
        };
        check(
            "issue.title",
            Some(json!({"issue": {"title": "Hi", "labels": [{"name": "a"}]}})),
        );
        check(
            "issue.labels.0.name",
            Some(json!({"issue": {"title": "x", "labels": [{"name": "Hi"}]}})),
        );
        check(
            "new",
            Some(json!({"issue": {"title": "x", "labels": [{"name": "a"}]}, "new": "Hi"})),
        );
        check("issue.labels.1", None);
        check("issue.title.x", None);
        check("no.where", None);
    }
}
