//! Inbound webhooks: addresses and what came in.

use std::io::Read;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::run::{self, pages};
use super::{input, listen, resolve, trigger};

/// Inbound webhooks: addresses and receipts
#[derive(Debug, Subcommand)]
pub(super) enum Hook {
    /// The addresses
    List {
        /// Only of this connection
        #[arg(long)]
        connection: Option<String>,
    },
    /// Make an address; prints what is entered at the vendor
    Create {
        #[arg(required_unless_present = "app", conflicts_with = "app")]
        connection: Option<String>,
        /// One address for all accounts that connections of this connector have
        #[arg(long, value_name = "CONNECTOR")]
        app: Option<String>,
        /// Which webhook of the connector
        #[arg(long)]
        webhook: Option<String>,
        /// Read the secret from standard input instead of having one made
        #[arg(long)]
        secret_from_stdin: bool,
        /// Read the secret from a file instead of having one made
        #[arg(long, value_name = "FILE", conflicts_with = "secret_from_stdin")]
        secret_file: Option<PathBuf>,
        /// A kind of event to ask the vendor for; all of the webhook's without it
        #[arg(long = "event", value_name = "KIND")]
        events: Vec<String>,
        /// Set it up at the vendor yourself, even if the connector could
        #[arg(long)]
        by_hand: bool,
    },
    /// Have the connector set an address up at the vendor, once more
    Register {
        hook: String,
        /// Ask the vendor for these kinds of events from now on
        #[arg(long = "event", value_name = "KIND")]
        events: Vec<String>,
    },
    /// Give an address another secret; the one before is valid beside it for a while
    Rotate {
        hook: String,
        /// For how many seconds the secret before is valid too; a day without it, 0 for not at all
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u64>,
        /// Read the new secret from standard input instead of having one made
        #[arg(long)]
        secret_from_stdin: bool,
        /// Read the new secret from a file instead of having one made
        #[arg(long, value_name = "FILE", conflicts_with = "secret_from_stdin")]
        secret_file: Option<PathBuf>,
    },
    /// Remove an address; its receipts stay
    Remove { hook: String },
    /// Forward events to a program on this machine, as an endpoint would get them
    Listen(listen::Listen),
    /// What came in, newest first
    Receipts { hook: String },
    /// An address and how to set it up at the vendor, or a receipt and its request
    Show {
        #[arg(value_name = "HOOK|RECEIPT")]
        what: String,
    },
    /// The requests of a receipt's handling
    Trace { receipt: String },
    /// What the connector wrote while it handled a receipt
    Logs { receipt: String },
    /// Have a receipt handled again, or those of a hook
    Replay(trigger::Again),
    /// Send a hook an event, signed as the vendor would, through the whole way that a webhook takes
    Trigger(trigger::Trigger),
    /// Print the headers that the vendor would send with a body
    Sign {
        hook: String,
        /// File with the body; standard input without it
        file: Option<PathBuf>,
    },
}

impl Hook {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List { connection } => {
                let of = match connection {
                    Some(which) => {
                        let found = resolve::connection(client, &which).await?;
                        format!("?connection={}", segment(&text(&found, "id")))
                    }
                    None => String::new(),
                };
                let list = client.get(&format!("/api/v1/hooks{of}")).await?;
                let row = |hook: &Value| ["id", "connection", "webhook", "url"].map(|name| text(hook, name));
                output.show(&list, |output| {
                    output.table(
                        ["id", "connection", "webhook", "url"],
                        items(&list).iter().map(row),
                    )
                });
                Ok(Exit::Ok)
            }
            Self::Create {
                connection,
                app,
                webhook,
                secret_from_stdin,
                secret_file,
                events,
                by_hand,
            } => {
                let mut body = match connection {
                    Some(connection) => {
                        let found = resolve::connection(client, &connection).await?;
                        json!({ "connection": text(&found, "id") })
                    }
                    None => json!({ "connector": app }),
                };
                let secret = given(secret_from_stdin, secret_file, output)?;
                if let Value::Object(fields) = &mut body {
                    fields.extend(webhook.map(|webhook| ("webhook".to_owned(), Value::String(webhook))));
                    fields.extend(secret.map(|secret| ("secret".to_owned(), Value::String(secret))));
                    if !events.is_empty() {
                        fields.insert("events".to_owned(), json!(events));
                    }
                    if by_hand {
                        fields.insert("by_hand".to_owned(), json!(true));
                    }
                }
                let hook = client.post("/api/v1/hooks", body).await?;
                output.show(&hook, |output| set_up(output, &hook));
                Ok(Exit::Ok)
            }
            Self::Register { hook, events } => {
                let path = format!("{}/register", path(client, &hook).await?);
                let wanted = client.post(&path, json!({ "events": events })).await?;
                output.show(&wanted, |output| set_up(output, &wanted));
                Ok(Exit::Ok)
            }
            Self::Rotate {
                hook,
                overlap,
                secret_from_stdin,
                secret_file,
            } => {
                let mut body = serde_json::Map::new();
                body.extend(overlap.map(|overlap| ("overlap_s".to_owned(), overlap.into())));
                let secret = given(secret_from_stdin, secret_file, output)?;
                body.extend(secret.map(|secret| ("secret".to_owned(), secret.into())));
                let path = format!("{}/rotate", path(client, &hook).await?);
                let rotated = client.post(&path, body.into()).await?;
                output.show(&rotated, |output| set_up(output, &rotated));
                Ok(Exit::Ok)
            }
            Self::Remove { hook } => {
                client.delete(&path(client, &hook).await?).await?;
                output.done(&format!("{hook} is removed"));
                Ok(Exit::Ok)
            }
            Self::Listen(listen) => listen.run(client, output).await,
            Self::Trace { receipt } => run::trace(client, output, &of_receipt(&receipt)).await,
            Self::Logs { receipt } => run::logs(client, output, &of_receipt(&receipt)).await,
            Self::Receipts { hook } => {
                let path = format!("{}/receipts", path(client, &hook).await?);
                let row = |receipt: &Value| {
                    [
                        "id",
                        "state",
                        "received",
                        "dedupe_key",
                        "body_bytes",
                        "error.code",
                    ]
                    .map(|name| text(receipt, name))
                };
                pages(
                    client,
                    output,
                    &path,
                    ["id", "state", "received", "delivery", "bytes", "error"],
                    row,
                )
                .await
            }
            Self::Show { what } if !what.starts_with("rcp_") => {
                let hook = client.get(&path(client, &what).await?).await?;
                output.show(&hook, |output| set_up(output, &hook));
                Ok(Exit::Ok)
            }
            Self::Show { what: receipt } => {
                let found = client
                    .get(&format!("/api/v1/receipts/{}", segment(&receipt)))
                    .await?;
                output.show(&found, |output| {
                    let names = [
                        "id",
                        "hook",
                        "state",
                        "received",
                        "handled",
                        "dedupe_key",
                        "failures",
                        "error",
                    ];
                    let field = |name| (name, text(&found, &format!("receipt.{name}")));
                    output.fields(&names.map(field));
                    output.line("");
                    output.line(&text(&found, "request.body"));
                });
                Ok(Exit::Ok)
            }
            Self::Replay(again) => again.run(client, output).await,
            Self::Trigger(trigger) => trigger.run(client, output).await,
            Self::Sign { hook, file } => {
                let mut body = Vec::new();
                match &file {
                    Some(path) => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut body)),
                    None => std::io::stdin().read_to_end(&mut body),
                }
                .map_err(|error| Failure::usage(format!("the body cannot be read: {error}")))?;
                let path = format!("{}/sign", path(client, &hook).await?);
                let signed = client
                    .send(Method::POST, &path, Body::Bytes(Bytes::from(body)))
                    .await?;
                output.show(&signed, |output| {
                    for header in signed
                        .get("headers")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten()
                    {
                        output.line(&format!("{}: {}", text(header, "name"), text(header, "value")));
                    }
                });
                Ok(Exit::Ok)
            }
        }
    }
}

/// The secret that is given, if one is.
fn given(stdin: bool, file: Option<PathBuf>, output: &Output) -> Result<Option<String>, Failure> {
    if !stdin && file.is_none() {
        return Ok(None);
    }
    let flags = "--secret-from-stdin or --secret-file FILE";
    input::secret(&input::Source { stdin, file, flags }, "secret", output)
}

/// A hook, and what is to be done at its vendor.
fn set_up(output: &Output, hook: &Value) {
    let names = [
        ("hook", "id"),
        ("url", "url"),
        ("webhook", "webhook"),
        ("secret", "secret"),
        ("verify token", "verify_token"),
        ("registration", "registration.state"),
        ("expires", "registration.expires"),
        ("next", "registration.next"),
        ("reason", "registration.error.message"),
        ("secret before until", "older_until.0"),
    ];
    output.fields(&names.map(|(shown, name)| (shown, text(hook, name))));
    if !text(hook, "secret").is_empty() {
        output.note("the secret is shown this once: enter it at the vendor");
    }
    let steps = hook.get("steps").and_then(Value::as_array).into_iter().flatten();
    for (number, step) in steps.filter_map(Value::as_str).enumerate() {
        output.line(&format!("{}. {step}", number + 1));
    }
}

fn of_receipt(receipt: &str) -> String {
    format!("/api/v1/receipts/{}", segment(receipt))
}

pub(super) async fn path(client: &Client, given: &str) -> Result<String, Failure> {
    let id = resolve::id(client, "/api/v1/hooks", "hok_", given).await?;
    Ok(format!("/api/v1/hooks/{}", segment(&id)))
}
