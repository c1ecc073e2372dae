//! Connections: one account at one vendor.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{input, resolve, watch};

/// Connect accounts, test, sync and export them
#[derive(Debug, Subcommand)]
pub(super) enum Connection {
    /// Connect an account, and test it
    Create(Create),
    /// The connections
    List,
    /// One connection and what it holds
    Show { connection: String },
    /// Ask the vendor whose account it is
    Test { connection: String },
    /// Read from the vendor
    Sync(Sync),
    /// Stop background work
    Pause { connection: String },
    /// Let background work go on
    Resume { connection: String },
    /// Set the secret anew, and test it
    Reconnect(Reconnect),
    /// Remove it and everything it holds
    Remove {
        connection: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Print records or their changes, one JSON object a line
    Export(Export),
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
}

#[derive(Debug, Args)]
pub(super) struct Sync {
    connection: String,
    /// Only this stream; several are allowed
    #[arg(long = "stream")]
    streams: Vec<String>,
    /// Everything again instead of what is new
    #[arg(long)]
    full: bool,
    /// Stay until it is over, with progress
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    connection: String,
    #[arg(long)]
    stream: Option<String>,
    /// Only changes after this number of the feed
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// The records as they are now instead of the feed
    #[arg(long, requires = "stream", conflicts_with = "after")]
    latest: bool,
}

impl Connection {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::Create(create) => create.run(client, output).await,
            Self::List => {
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
            Self::Pause { connection } => turn(client, output, &connection, "pause", "paused").await,
            Self::Resume { connection } => turn(client, output, &connection, "resume", "active").await,
            Self::Reconnect(reconnect) => reconnect.run(client, output).await,
            Self::Remove { connection, yes } => remove(client, output, &connection, yes).await,
            Self::Export(export) => export.run(client, output).await,
        }
    }
}

fn path(connection: &Value) -> String {
    format!("/api/v1/connections/{}", segment(&text(connection, "id")))
}

impl Create {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let config = configuration(self.config_file.as_deref(), &self.values)?;
        let secret = if self.no_secret {
            None
        } else {
            input::secret(&self.secret.source(), "secret", output)?
        };
        let mut body = json!({ "name": self.name, "connector": self.connector, "config": config });
        if let Value::Object(fields) = &mut body {
            fields.extend(self.auth.map(|auth| ("auth".to_owned(), Value::String(auth))));
            fields.extend(secret.map(|secret| ("secret".to_owned(), Value::String(secret))));
        }
        let created = client.post("/api/v1/connections", body).await?;
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
        let secret = input::secret(&source, "secret", output)?
            .ok_or_else(|| Failure::usage("a secret is needed").hint(format!("pass {}", source.flags)))?;
        let mut body = json!({ "secret": secret });
        if let (Value::Object(fields), Some(auth)) = (&mut body, self.auth) {
            fields.insert("auth".to_owned(), Value::String(auth));
        }
        client
            .send(Method::PUT, &format!("{}/secret", path(&found)), Body::Json(body))
            .await?;
        test(client, output, &found).await
    }
}

impl Sync {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        let mode = if self.full { "full" } else { "incremental" };
        let body = json!({ "streams": self.streams, "mode": mode });
        let started = client.post(&format!("{}/sync", path(&found)), body).await?;
        let runs: Vec<_> = items(&started).iter().map(|run| text(run, "id")).collect();
        if runs.is_empty() {
            output.note("every stream is being synced already");
            return Ok(Exit::Ok);
        }
        if self.wait {
            return watch::follow(client, output, &runs).await;
        }
        output.show(&started, |output| {
            let row = |run: &Value| ["id", "stream", "mode", "state"].map(|name| text(run, name));
            output.table(
                ["run", "stream", "mode", "state"],
                items(&started).iter().map(row),
            );
        });
        Ok(Exit::Ok)
    }
}

impl Export {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        let base = format!("{}/records?limit=1000", path(&found));
        let stream = self
            .stream
            .as_deref()
            .map(|stream| format!("&stream={}", segment(stream)))
            .unwrap_or_default();
        let latest = if self.latest { "&latest=true" } else { "" };
        let mut after = if self.latest {
            String::new()
        } else {
            format!("&after={}", self.after)
        };
        loop {
            let answer = client
                .answer(Method::GET, &format!("{base}{stream}{latest}{after}"), Body::None)
                .await?;
            let page: Page =
                serde_json::from_slice(&answer.body).map_err(|error| Failure::bug(error.to_string()))?;
            let lines: String = page.items.iter().flat_map(|item| [item.get(), "\n"]).collect();
            output.data(&lines);
            let next = match page.next {
                Some(Value::String(token)) => token,
                Some(Value::Number(number)) if !page.items.is_empty() => number.to_string(),
                _ => return Ok(Exit::Ok),
            };
            after = format!("&after={next}");
        }
    }
}

/// A page whose items are passed on to the byte: a number must not lose its digits here either.
#[derive(serde::Deserialize)]
struct Page {
    items: Vec<Box<serde_json::value::RawValue>>,
    next: Option<Value>,
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

/// The end of a command that tested: its last step says what was wrong.
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
    let failed = report
        .get("steps")
        .and_then(Value::as_array)
        .and_then(|steps| steps.last());
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
    which: &str,
    verb: &str,
    state: &str,
) -> Result<Exit, Failure> {
    let found = resolve::connection(client, which).await?;
    let turned = client
        .post(&format!("{}/{verb}", path(&found)), json!({}))
        .await?;
    output.show(&turned, |output| output.done(&format!("{which} is {state}")));
    Ok(Exit::Ok)
}

async fn remove(client: &Client, output: &Output, which: &str, yes: bool) -> Result<Exit, Failure> {
    let found = resolve::connection(client, which).await?;
    let name = text(&found, "name");
    if !yes {
        if !output.may_ask {
            return Err(Failure::usage(format!("removing {name} needs a yes")).hint("pass --yes"));
        }
        if !input::agrees(&format!("Remove {name}, its records, runs, hooks and secret?"))? {
            return Err(Failure::new(Exit::Interrupted, "nothing was removed"));
        }
    }
    client.delete(&path(&found)).await?;
    output.done(&format!("{name} is removed"));
    Ok(Exit::Ok)
}
