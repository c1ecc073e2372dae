//! Outbound webhooks: where events are delivered.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{input, replay, resolve};

/// Outbound webhooks: where events are delivered
#[derive(Debug, Subcommand)]
pub(super) enum Endpoint {
    /// The endpoints
    List,
    /// One endpoint
    Show { endpoint: String },
    /// Deliver events to an address from now on; prints the signing secret once
    Create {
        /// An https address
        url: String,
        #[command(flatten)]
        settings: Settings,
        /// Sign with a key pair instead of a secret
        #[arg(long)]
        ed25519: bool,
        /// Read the signing key (whsec_… or whsk_…) from standard input
        #[arg(long)]
        secret_from_stdin: bool,
        /// Read the signing key from a file
        #[arg(long, value_name = "FILE", conflicts_with = "secret_from_stdin")]
        secret_file: Option<PathBuf>,
    },
    /// Change what is given; the rest stays
    Update {
        endpoint: String,
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Send a sample event now, and print what came back
    Test {
        endpoint: String,
        /// A kind of the catalogue
        #[arg(long = "event", value_name = "KIND")]
        event: Option<String>,
    },
    /// What is owed to it and what became of it, newest event first
    Deliveries {
        endpoint: String,
        /// Only waiting, delivered or dead ones
        #[arg(long)]
        state: Option<String>,
        /// One delivery and its tries, by the event's number
        #[arg(long = "event", value_name = "NUMBER", conflicts_with = "state")]
        event: Option<u64>,
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Deliver again: one event, or all that are dead
    Redrive {
        endpoint: String,
        /// One event's number
        #[arg(long = "number", value_name = "NUMBER")]
        number: Option<u64>,
        #[command(flatten)]
        window: replay::Window,
    },
    /// Deliver everything that was missed, also what was not owed while it was off
    Recover {
        endpoint: String,
        #[command(flatten)]
        window: replay::Window,
    },
    /// Make a new signing key; the one before goes on for a while
    Rotate {
        endpoint: String,
        /// For how many seconds the key before signs too; a day without it
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u64>,
        /// Go on with a key pair
        #[arg(long)]
        ed25519: bool,
        /// Read the new key from standard input
        #[arg(long)]
        secret_from_stdin: bool,
    },
    /// Hold deliveries back; events go on being owed
    Pause { endpoint: String },
    /// Go on, or switch it on again
    Resume { endpoint: String },
    /// Switch it off; events are no longer owed
    Disable { endpoint: String },
    /// Remove it and what is owed to it
    Remove { endpoint: String },
}

/// What can be set.
#[derive(Debug, Args)]
pub(super) struct Settings {
    #[arg(long)]
    name: Option<String>,
    /// Kinds of events, as github.push or github.*; all without
    #[arg(long = "event", value_name = "KIND")]
    events: Vec<String>,
    /// File with the filter and the steps, as JSON
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Only events for which this jq expression is true
    #[arg(long, value_name = "JQ", conflicts_with = "rules")]
    filter: Option<String>,
    /// File with own headers: one `name: value` a line
    #[arg(long, value_name = "FILE")]
    headers: Option<PathBuf>,
    /// One event after another
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    ordered: Option<bool>,
    /// Tries under way at once
    #[arg(long)]
    concurrency: Option<u32>,
    /// Tries a second; 0 for as fast as it goes
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
}

impl Settings {
    fn body(self) -> Result<Map<String, Value>, Failure> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))
        };
        let mut body = Map::new();
        let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
        if let Some(name) = self.name {
            set("name", name.into());
        }
        if !self.events.is_empty() {
            set("events", self.events.into());
        }
        if let Some(path) = &self.rules {
            let rules: Value = serde_json::from_str(&read(path)?)
                .map_err(|error| Failure::usage(format!("{} is not JSON: {error}", path.display())))?;
            set("rules", rules);
        }
        if let Some(filter) = self.filter {
            set("rules", json!({ "filter": { "jq": filter } }));
        }
        if let Some(path) = &self.headers {
            let mut headers = Map::new();
            for line in read(path)?.lines().filter(|line| !line.trim().is_empty()) {
                let (name, value) = line
                    .split_once(':')
                    .ok_or_else(|| Failure::usage(format!("{}: a line is `name: value`", path.display())))?;
                headers.insert(name.trim().to_owned(), value.trim().into());
            }
            set("headers", headers.into());
        }
        if let Some(ordered) = self.ordered {
            set("ordered", ordered.into());
        }
        if let Some(concurrency) = self.concurrency {
            set("concurrency", concurrency.into());
        }
        if let Some(rate) = self.rate {
            set("per_second", rate.into());
        }
        Ok(body)
    }
}

impl Endpoint {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let list = client.get(ENDPOINTS).await?;
                let names = ["id", "name", "status", "url", "waiting", "dead", "delivered"];
                let row = |endpoint: &Value| names.map(|name| text(endpoint, name));
                output.show(&list, |output| output.table(names, items(&list).iter().map(row)));
                Ok(Exit::Ok)
            }
            Self::Show { endpoint } => {
                let found = client.get(&path(client, &endpoint).await?).await?;
                output.show(&found, |output| shown(output, &found));
                Ok(Exit::Ok)
            }
            Self::Create {
                url,
                settings,
                ed25519,
                secret_from_stdin,
                secret_file,
            } => {
                let mut body = settings.body()?;
                body.insert("url".to_owned(), url.into());
                if ed25519 {
                    body.insert("signing".to_owned(), "ed25519".into());
                }
                if secret_from_stdin || secret_file.is_some() {
                    let source = input::Source {
                        stdin: secret_from_stdin,
                        file: secret_file,
                        flags: "--secret-from-stdin or --secret-file FILE",
                    };
                    let key = input::secret(&source, "signing key", output)?;
                    body.extend(key.map(|key| ("secret".to_owned(), key.into())));
                }
                let made = client.post(ENDPOINTS, body.into()).await?;
                output.show(&made, |output| with_key(output, &made));
                Ok(Exit::Ok)
            }
            Self::Update {
                endpoint,
                url,
                settings,
            } => {
                let mut body = settings.body()?;
                body.extend(url.map(|url| ("url".to_owned(), url.into())));
                let path = path(client, &endpoint).await?;
                let changed = client.send(Method::PATCH, &path, Body::Json(body.into())).await?;
                output.show(&changed, |output| shown(output, &changed));
                Ok(Exit::Ok)
            }
            Self::Test { endpoint, event } => {
                let path = format!("{}/test", path(client, &endpoint).await?);
                let body = event.map_or_else(|| json!({}), |event| json!({ "event": event }));
                let tried = client.post(&path, body).await?;
                output.show(&tried, |output| {
                    let names = ["status", "took_ms", "code", "message", "answer"];
                    output.fields(&names.map(|name| (name, text(&tried, name))));
                });
                let ok = tried.get("ok") == Some(&Value::Bool(true));
                Ok(if ok { Exit::Ok } else { Exit::Failed })
            }
            Self::Deliveries {
                endpoint,
                state,
                event,
                limit,
            } => {
                deliveries(
                    client,
                    output,
                    &path(client, &endpoint).await?,
                    state,
                    event,
                    limit,
                )
                .await
            }
            Self::Redrive {
                endpoint,
                number,
                window,
            } => match number {
                Some(seq) => replay::one(client, output, &endpoint, seq).await,
                None => replay::begin(client, output, &endpoint, "dead", window).await,
            },
            Self::Recover { endpoint, window } => {
                replay::begin(client, output, &endpoint, "missed", window).await
            }
            Self::Rotate {
                endpoint,
                overlap,
                ed25519,
                secret_from_stdin,
            } => {
                let mut body = Map::new();
                body.extend(overlap.map(|overlap| ("overlap_s".to_owned(), overlap.into())));
                if ed25519 {
                    body.insert("signing".to_owned(), "ed25519".into());
                }
                if secret_from_stdin {
                    let source = input::Source {
                        stdin: true,
                        file: None,
                        flags: "--secret-from-stdin",
                    };
                    let key = input::secret(&source, "signing key", output)?;
                    body.extend(key.map(|key| ("secret".to_owned(), key.into())));
                }
                let path = format!("{}/rotate", path(client, &endpoint).await?);
                let rotated = client.post(&path, body.into()).await?;
                output.show(&rotated, |output| with_key(output, &rotated));
                Ok(Exit::Ok)
            }
            Self::Pause { endpoint } => set(client, output, &endpoint, "pause", "is paused").await,
            Self::Resume { endpoint } => set(client, output, &endpoint, "resume", "goes on").await,
            Self::Disable { endpoint } => set(client, output, &endpoint, "disable", "is off").await,
            Self::Remove { endpoint } => {
                client.delete(&path(client, &endpoint).await?).await?;
                output.done(&format!("{endpoint} is removed"));
                Ok(Exit::Ok)
            }
        }
    }
}

async fn deliveries(
    client: &Client,
    output: &Output,
    path: &str,
    state: Option<String>,
    event: Option<u64>,
    limit: u32,
) -> Result<Exit, Failure> {
    if let Some(seq) = event {
        let found = client.get(&format!("{path}/deliveries/{seq}")).await?;
        let attempts = found.get("attempts").and_then(Value::as_array);
        let names = ["number", "at", "status", "took_ms", "code", "answer"];
        output.show(&found, |output| {
            let delivery = ["kind", "event", "state", "attempts", "next_attempt", "delivered"];
            output.fields(&delivery.map(|name| (name, text(&found, &format!("delivery.{name}")))));
            let row = |attempt: &Value| names.map(|name| text(attempt, name));
            output.table(names, attempts.into_iter().flatten().map(row));
        });
        return Ok(Exit::Ok);
    }
    let state = state.map(|state| format!("&state={}", segment(&state)));
    let path = format!("{path}/deliveries?limit={limit}{}", state.unwrap_or_default());
    let list = client.get(&path).await?;
    let names = [
        "seq",
        "kind",
        "state",
        "attempts",
        "status",
        "code",
        "next_attempt",
    ];
    let row = |delivery: &Value| names.map(|name| text(delivery, name));
    output.show(&list, |output| output.table(names, items(&list).iter().map(row)));
    Ok(Exit::Ok)
}

async fn set(
    client: &Client,
    output: &Output,
    endpoint: &str,
    verb: &str,
    done: &str,
) -> Result<Exit, Failure> {
    let path = format!("{}/{verb}", path(client, endpoint).await?);
    let changed = client.post(&path, json!({})).await?;
    output.show(&changed, |output| output.done(&format!("{endpoint} {done}")));
    Ok(Exit::Ok)
}

fn shown(output: &Output, endpoint: &Value) {
    let names = [
        "id",
        "name",
        "url",
        "status",
        "off_reason",
        "events",
        "rules",
        "headers",
        "ordered",
        "concurrency",
        "per_second",
        "signing",
        "public_keys",
        "waiting",
        "dead",
        "delivered",
        "failures",
        "failing_since",
    ];
    output.fields(&names.map(|name| (name, text(endpoint, name))));
}

/// With the key that is shown this once.
fn with_key(output: &Output, endpoint: &Value) {
    shown(output, endpoint);
    let secret = text(endpoint, "secret");
    if !secret.is_empty() {
        output.line(&format!("secret  {secret}"));
        output.note("the secret is shown this once: the receiver verifies deliveries with it");
    }
}

async fn path(client: &Client, given: &str) -> Result<String, Failure> {
    let id = resolve::id(client, ENDPOINTS, "ep_", given).await?;
    Ok(format!("{ENDPOINTS}/{}", segment(&id)))
}

const ENDPOINTS: &str = "/api/v1/endpoints";
