//! Connections: one account at one vendor.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::authorize::{self, Journey};
use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::export::Export;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::stream::Stream;
use super::sync::Sync;
use super::upgrade::{Follow, Rollback, Upgrade};
use super::{app, input, resolve, run};

/// Connect accounts, test, sync and export them
#[derive(Debug, Subcommand)]
pub(super) enum Connection {
    /// Connect an account, and test it
    Create(Create),
    /// The connections
    List {
        /// Those that were removed
        #[arg(long)]
        removed: bool,
    },
    /// One connection and what it holds
    Show { connection: String },
    /// Ask the vendor whose account it is
    Test { connection: String },
    /// Read from the vendor
    Sync(Sync),
    /// Stop background work
    Pause(Turn),
    /// Let background work go on
    Resume(Turn),
    /// Connect it anew beside the old grant: set its secret, or consent at the vendor again
    Reconnect(Reconnect),
    /// Use another version or grant of its connector that is installed beside the one it uses
    Upgrade(Upgrade),
    /// Take its last move to another version or grant back, with its cursors and its storage
    Rollback(Rollback),
    /// Go over to what a channel offers, now and whenever that changes
    Follow(Follow),
    /// What is left of the vendor's budgets that its requests are counted in
    Budgets { connection: String },
    /// The last requests that were part of no run, receipt or link: actions, writes, hooks
    Trace { connection: String },
    /// What was written at them, and how each ended
    Logs { connection: String },
    /// Refresh its token now
    Refresh { connection: String },
    /// Give its grant back to the vendor and forget its credential
    Revoke {
        connection: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Remove it and everything it holds; by the id of a removed one, the records that were kept
    Remove(Remove),
    /// Print records or their changes, one JSON object a line
    Export(Export),
    #[command(flatten)]
    Stream(Stream),
}

#[derive(Debug, Args)]
pub(super) struct SecretFlags {
    /// Read the secret from standard input
    #[arg(long)]
    secret_from_stdin: bool,
    /// Read the secret from a file
    #[arg(long, value_name = "FILE", conflicts_with = "secret_from_stdin")]
    secret_file: Option<PathBuf>,
}

impl SecretFlags {
    fn source(self) -> input::Source {
        let flags = "--secret-from-stdin or --secret-file FILE";
        input::Source {
            stdin: self.secret_from_stdin,
            file: self.secret_file,
            flags,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Create {
    name: String,
    /// Id of a connector or an install
    #[arg(long)]
    connector: String,
    /// A value of the configuration; several are allowed
    #[arg(long = "config", value_name = "KEY=VALUE")]
    values: Vec<String>,
    /// The configuration as a JSON file
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Which auth scheme of the connector
    #[arg(long)]
    auth: Option<String>,
    /// There is no secret
    #[arg(long, conflicts_with_all = ["secret_from_stdin", "secret_file"])]
    no_secret: bool,
    #[command(flatten)]
    secret: SecretFlags,
    #[command(flatten)]
    journey: Journey,
    /// Do not test it
    #[arg(long)]
    no_test: bool,
}

#[derive(Debug, Args)]
pub(super) struct Reconnect {
    connection: String,
    #[arg(long)]
    auth: Option<String>,
    #[command(flatten)]
    secret: SecretFlags,
    #[command(flatten)]
    journey: Journey,
}

/// One connection, or many.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Turn {
    connection: Option<String>,
    /// Every connection
    #[arg(long)]
    all: bool,
    /// Every connection of this connector
    #[arg(long, value_name = "CONNECTOR")]
    all_of: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    connection: String,
    /// Its records stay readable, under its id
    #[arg(long)]
    keep_data: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Connection {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::Create(create) => create.run(client, output).await,
            Self::List { removed: true } => {
                let list = client.get("/api/v1/tombstones?limit=1000").await?;
                let row = |item: &Value| {
                    ["id", "name", "connector", "removed", "data_kept"].map(|name| text(item, name))
                };
                let header = ["id", "name", "connector", "removed", "data kept"];
                output.show(&list, |output| output.table(header, items(&list).iter().map(row)));
                Ok(Exit::Ok)
            }
            Self::List { removed: false } => {
                let list = client.get("/api/v1/connections?limit=1000").await?;
                let row = |item: &Value| {
                    ["id", "name", "connector", "state", "account.name"].map(|name| text(item, name))
                };
                let header = ["id", "name", "connector", "state", "account"];
                output.show(&list, |output| output.table(header, items(&list).iter().map(row)));
                Ok(Exit::Ok)
            }
            Self::Show { connection } => show(client, output, &connection).await,
            Self::Test { connection } => {
                let found = resolve::connection(client, &connection).await?;
                test(client, output, &found).await
            }
            Self::Sync(sync) => sync.run(client, output).await,
            Self::Pause(which) => turn(client, output, which, "pause", "paused").await,
            Self::Resume(which) => turn(client, output, which, "resume", "active").await,
            Self::Reconnect(reconnect) => reconnect.run(client, output).await,
            Self::Trace { connection } => {
                let found = resolve::connection(client, &connection).await?;
                run::trace(client, output, &path(&found)).await
            }
            Self::Logs { connection } => {
                let found = resolve::connection(client, &connection).await?;
                run::logs(client, output, &path(&found)).await
            }
            Self::Budgets { connection } => {
                let found = resolve::connection(client, &connection).await?;
                let list = client.get(&format!("{}/budgets", path(&found))).await?;
                output.show(&list, |output| {
                    let keys = [
                        "host",
                        "bucket",
                        "window",
                        "limit",
                        "remaining",
                        "resets_in_s",
                        "closed_for_s",
                        "concurrency",
                    ];
                    let rows = items(&list)
                        .iter()
                        .map(|budget| keys.map(|key| text(budget, key)));
                    let header = [
                        "host",
                        "bucket",
                        "window",
                        "limit",
                        "left",
                        "resets in s",
                        "closed for s",
                        "at once",
                    ];
                    output.table(header, rows);
                });
                Ok(Exit::Ok)
            }
            Self::Upgrade(upgrade) => upgrade.run(client, output).await,
            Self::Rollback(rollback) => rollback.run(client, output).await,
            Self::Follow(follow) => follow.run(client, output).await,
            Self::Refresh { connection } => {
                let found = resolve::connection(client, &connection).await?;
                let now = client
                    .post(&format!("{}/refresh", path(&found)), json!({}))
                    .await?;
                output.show(&now, |output| {
                    let expires = text(&now, "credential.expires");
                    let until = if expires.is_empty() {
                        String::new()
                    } else {
                        format!(", good until {expires}")
                    };
                    output.done(&format!("{connection} has a fresh token{until}"));
                });
                Ok(Exit::Ok)
            }
            Self::Revoke { connection, yes } => revoke(client, output, &connection, yes).await,
            Self::Remove(remove) => remove.run(client, output).await,
            Self::Export(export) => export.run(client, output).await,
            Self::Stream(stream) => stream.run(client, output).await,
        }
    }
}

pub(super) fn path(connection: &Value) -> String {
    format!("/api/v1/connections/{}", segment(&text(connection, "id")))
}

impl Create {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let config = configuration(self.config_file.as_deref(), &self.values)?;
        let scheme = authorize::scheme(client, &self.connector, self.auth.as_deref()).await?;
        let parts = scheme
            .as_ref()
            .map(|scheme| asked(&scheme.parts))
            .unwrap_or_default();
        let has_flow = scheme.as_ref().is_some_and(|scheme| !scheme.flows.is_empty());
        let source = self.secret.source();
        let secret = if self.no_secret || (parts.is_empty() && !source.stdin && source.file.is_none()) {
            None
        } else if has_flow || parts.len() > 1 {
            Some(Value::Object(app::given(&source, &parts, output)?))
        } else {
            input::secret(&source, "secret", output)?.map(Value::String)
        };
        let mut body = json!({ "name": self.name, "connector": self.connector, "config": config });
        if let Value::Object(fields) = &mut body {
            fields.extend(self.auth.map(|auth| ("auth".to_owned(), Value::String(auth))));
            fields.extend(secret.map(|secret| ("secret".to_owned(), secret)));
        }
        let created = client.post("/api/v1/connections", body).await?;
        if let Some(scheme) = scheme.filter(|_| has_flow && !self.no_secret) {
            let walked = self.journey.run(client, output, &created, &scheme).await;
            if walked.is_err() {
                let name = &self.name;
                output.note(&format!(
                    "{name} is kept; go on with `sluice connection reconnect {name}`"
                ));
            }
            return walked;
        }
        if self.no_test {
            output.show(&created, |output| {
                output.done(&format!("{} is created; test it before it syncs", self.name));
                output.line(&text(&created, "id"));
            });
            return Ok(Exit::Ok);
        }
        let report = ask(client, &created).await?;
        output.show(&json!({ "connection": created, "test": report }), |output| {
            output.line(&text(&created, "id"));
            steps(output, &report);
        });
        judge(output, &created, &report)
    }
}

/// The configuration of a file with single values over it. A value that is JSON is taken so, any other as text.
fn configuration(file: Option<&std::path::Path>, values: &[String]) -> Result<Value, Failure> {
    let mut config = match file {
        None => Map::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
            serde_json::from_str(&text).map_err(|error| {
                Failure::usage(format!("{} is not a JSON object: {error}", path.display()))
            })?
        }
    };
    for value in values {
        let (key, value) = value
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("`--config {value}` is not of the form KEY=VALUE")))?;
        let parsed = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        config.insert(key.to_owned(), parsed);
    }
    Ok(Value::Object(config))
}

impl Reconnect {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        let source = self.secret.source();
        let own = Some(text(&found, "auth")).filter(|auth| !auth.is_empty());
        let wanted = self.auth.clone().or(own);
        let scheme = authorize::scheme(client, &text(&found, "install"), wanted.as_deref()).await?;
        let scheme = scheme.unwrap_or_default();
        let gives = source.stdin || source.file.is_some();
        if !scheme.flows.is_empty() && !gives {
            return self.journey.run(client, output, &found, &scheme).await;
        }
        let parts = asked(&scheme.parts);
        let secret =
            if scheme.flows.is_empty() && parts.len() <= 1 {
                let secret = input::secret(&source, "secret", output)?;
                Value::String(secret.ok_or_else(|| {
                    Failure::usage("a secret is needed").hint(format!("pass {}", source.flags))
                })?)
            } else {
                Value::Object(app::given(&source, &parts, output)?)
            };
        let mut body = json!({ "secret": secret });
        if let (Value::Object(fields), Some(auth)) = (&mut body, self.auth.clone()) {
            fields.insert("auth".to_owned(), Value::String(auth));
        }
        client
            .send(Method::PUT, &format!("{}/secret", path(&found)), Body::Json(body))
            .await?;
        if !scheme.flows.is_empty() {
            return self.journey.run(client, output, &found, &scheme).await;
        }
        test(client, output, &found).await
    }
}

fn asked(parts: &[(String, String, bool, bool)]) -> Vec<app::Asked> {
    let one = |(name, title, secret, optional): &(String, String, bool, bool)| app::Asked {
        name: name.clone(),
        title: title.clone(),
        secret: *secret,
        optional: *optional,
    };
    parts.iter().map(one).collect()
}

impl Remove {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = if self.keep_data {
            resolve::connection(client, &self.connection).await?
        } else {
            resolve::holder(client, &self.connection).await?
        };
        let name = text(&found, "name");
        if !self.yes {
            if !output.may_ask {
                return Err(Failure::usage(format!("removing {name} needs a yes")).hint("pass --yes"));
            }
            let what = if self.keep_data {
                "runs, hooks and secret, and keep its records"
            } else {
                "its records, runs, hooks and secret"
            };
            if !input::agrees(&format!("Remove {name}, {what}?"))? {
                return Err(Failure::new(Exit::Interrupted, "nothing was removed"));
            }
        }
        let keep = if self.keep_data { "?keep_data=true" } else { "" };
        let address = format!("{}{keep}", path(&found));
        let done = client.send(Method::DELETE, &address, Body::None).await?;
        output.show(&done, |output| {
            output.done(&format!("{name} is removed"));
            if self.keep_data {
                let id = text(&done, "id");
                output.note(&format!("its records are kept: `sluice connection export {id}`"));
            }
            let refused = text(&done, "error.message");
            if !refused.is_empty() {
                output.note(&format!("revoke its grant at the vendor by hand: {refused}"));
            }
        });
        Ok(Exit::Ok)
    }
}

async fn show(client: &Client, output: &Output, which: &str) -> Result<Exit, Failure> {
    let found = resolve::connection(client, which).await?;
    let streams = client.get(&format!("{}/streams", path(&found))).await?;
    let whole = json!({ "connection": found, "streams": items(&streams) });
    output.show(&whole, |output| {
        output.fields(&[
            ("id", text(&found, "id")),
            ("name", text(&found, "name")),
            ("connector", text(&found, "connector")),
            ("state", text(&found, "state")),
            ("account", text(&found, "account.name")),
            ("config", text(&found, "config")),
            ("auth", text(&found, "auth")),
            ("obtained", text(&found, "credential.obtained")),
            ("expires", text(&found, "credential.expires")),
            ("scopes", text(&found, "credential.scopes")),
            ("last used", text(&found, "credential.last_used")),
            ("error", text(&found, "error.message")),
            ("created", text(&found, "created")),
        ]);
        let row = |item: &Value| ["stream", "records", "quarantined"].map(|name| text(item, name));
        if !items(&streams).is_empty() {
            output.table(
                ["stream", "records", "quarantined"],
                items(&streams).iter().map(row),
            );
        }
    });
    Ok(Exit::Ok)
}

async fn test(client: &Client, output: &Output, connection: &Value) -> Result<Exit, Failure> {
    let report = ask(client, connection).await?;
    output.show(&report, |output| steps(output, &report));
    judge(output, connection, &report)
}

async fn ask(client: &Client, connection: &Value) -> Result<Value, Failure> {
    client
        .post(&format!("{}/test", path(connection)), json!({}))
        .await
}

fn steps(output: &Output, report: &Value) {
    for step in report
        .get("steps")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let passed = step.get("ok").and_then(Value::as_bool).unwrap_or(false);
        let sign = if passed { "ok" } else { "failed" };
        output.note(&format!(
            "  {sign:<6} {} ({} ms)",
            text(step, "name"),
            text(step, "took_ms")
        ));
    }
}

/// The end of a command that tested: its failed step says what was wrong.
fn judge(output: &Output, connection: &Value, report: &Value) -> Result<Exit, Failure> {
    let name = text(connection, "name");
    if report.get("ok").and_then(Value::as_bool).unwrap_or(false) {
        let who = text(report, "account.name");
        output.done(&format!(
            "{name} is connected{}{who}",
            if who.is_empty() { "" } else { " as " }
        ));
        return Ok(Exit::Ok);
    }
    let failed = report.get("steps").and_then(Value::as_array).and_then(|steps| {
        steps
            .iter()
            .find(|step| step.get("ok") == Some(&Value::Bool(false)))
    });
    let failed = failed.cloned().unwrap_or(Value::Null);
    let mut failure = Failure::new(
        Exit::Failed,
        format!("{name}: {}", text(&failed, "error.message")),
    );
    failure.code = Some(text(&failed, "error.code")).filter(|code| !code.is_empty());
    failure.hint = failure
        .code
        .as_deref()
        .and_then(crate::explain::find)
        .map(|entry| entry.next.to_owned());
    Err(failure.fact("step", text(&failed, "name")))
}

async fn turn(
    client: &Client,
    output: &Output,
    which: Turn,
    verb: &str,
    state: &str,
) -> Result<Exit, Failure> {
    let Some(which) = which.connection else {
        let filter = which
            .all_of
            .map_or_else(|| json!({}), |connector| json!({ "connector": connector }));
        let turned = client
            .post(&format!("/api/v1/connections/{verb}"), filter)
            .await?;
        output.show(&turned, |output| {
            let count = items(&turned).len();
            let noun = if count == 1 {
                "connection is"
            } else {
                "connections are"
            };
            output.done(&format!("{count} {noun} {state}"));
        });
        return Ok(Exit::Ok);
    };
    let found = resolve::connection(client, &which).await?;
    let turned = client
        .post(&format!("{}/{verb}", path(&found)), json!({}))
        .await?;
    output.show(&turned, |output| output.done(&format!("{which} is {state}")));
    Ok(Exit::Ok)
}

async fn revoke(client: &Client, output: &Output, which: &str, yes: bool) -> Result<Exit, Failure> {
    let found = resolve::connection(client, which).await?;
    let name = text(&found, "name");
    if !yes {
        if !output.may_ask {
            return Err(Failure::usage(format!("revoking {name} needs a yes")).hint("pass --yes"));
        }
        if !input::agrees(&format!(
            "Give the grant of {name} back and forget its credential?"
        ))? {
            return Err(Failure::new(Exit::Interrupted, "nothing was revoked"));
        }
    }
    let done = client
        .post(&format!("{}/revoke", path(&found)), json!({}))
        .await?;
    output.show(&done, |output| {
        let told = done.get("vendor_told").and_then(Value::as_bool).unwrap_or(false);
        let more = if told {
            ""
        } else {
            "; the vendor has no address to tell, revoke it there as well"
        };
        output.done(&format!("the credential of {name} is forgotten{more}"));
    });
    Ok(Exit::Ok)
}
