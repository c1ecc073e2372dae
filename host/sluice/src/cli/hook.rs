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
use super::run::pages;
use super::{input, listen, resolve};

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
    },
    /// Remove an address; its receipts stay
    Remove { hook: String },
    /// Forward events to a program on this machine, as an endpoint would get them
    Listen(listen::Listen),
    /// What came in, newest first
    Receipts { hook: String },
    /// One receipt and its request
    Show { receipt: String },
    /// Have a receipt handled again
    Replay { receipt: String },
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
            } => {
                let mut body = match connection {
                    Some(connection) => {
                        let found = resolve::connection(client, &connection).await?;
                        json!({ "connection": text(&found, "id") })
                    }
                    None => json!({ "connector": app }),
                };
                let given = secret_from_stdin || secret_file.is_some();
                let flags = "--secret-from-stdin or --secret-file FILE";
                let source = input::Source {
                    stdin: secret_from_stdin,
                    file: secret_file,
                    flags,
                };
                let secret = if given {
                    input::secret(&source, "secret", output)?
                } else {
                    None
                };
                if let Value::Object(fields) = &mut body {
                    fields.extend(webhook.map(|webhook| ("webhook".to_owned(), Value::String(webhook))));
                    fields.extend(secret.map(|secret| ("secret".to_owned(), Value::String(secret))));
                }
                let hook = client.post("/api/v1/hooks", body).await?;
                output.show(&hook, |output| {
                    let names = [
                        ("hook", "id"),
                        ("url", "url"),
                        ("webhook", "webhook"),
                        ("secret", "secret"),
                        ("verify token", "verify_token"),
                    ];
                    output.fields(&names.map(|(shown, name)| (shown, text(&hook, name))));
                    if !text(&hook, "secret").is_empty() {
                        output.note("the secret is shown this once: enter it at the vendor");
                    }
                });
                Ok(Exit::Ok)
            }
            Self::Remove { hook } => {
                client.delete(&path(client, &hook).await?).await?;
                output.done(&format!("{hook} is removed"));
                Ok(Exit::Ok)
            }
            Self::Listen(listen) => listen.run(client, output).await,
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
            Self::Show { receipt } => {
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
            Self::Replay { receipt } => {
                let replayed = client
                    .post(
                        &format!("/api/v1/receipts/{}/replay", segment(&receipt)),
                        json!({}),
                    )
                    .await?;
                output.show(&replayed, |output| {
                    output.done(&format!("{receipt} will be handled again"))
                });
                Ok(Exit::Ok)
            }
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

async fn path(client: &Client, given: &str) -> Result<String, Failure> {
    let id = resolve::id(client, "/api/v1/hooks", "hok_", given).await?;
    Ok(format!("/api/v1/hooks/{}", segment(&id)))
}
