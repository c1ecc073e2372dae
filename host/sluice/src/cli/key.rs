//! API keys.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::resolve;

/// API keys
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key; it is printed once
    Create {
        /// Who or what it is for
        name: String,
        /// It may not approve what connectors may do, nor make keys
        #[arg(long)]
        no_approvals: bool,
    },
    /// The keys
    List,
    /// End a key
    Revoke { key: String },
}

impl Key {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::Create { name, no_approvals } => {
                let body = json!({ "name": name, "approves": !no_approvals });
                let made = client.post("/api/v1/keys", body).await?;
                output.show(&made, |output| {
                    output.note("the key is shown this once:");
                    output.line(&text(&made, "key"));
                });
            }
            Self::List => {
                let list = client.get("/api/v1/keys").await?;
                let row =
                    |key: &Value| ["id", "name", "prefix", "created", "revoked"].map(|name| text(key, name));
                let header = ["id", "name", "begins", "created", "revoked"];
                output.show(&list, |output| output.table(header, items(&list).iter().map(row)));
            }
            Self::Revoke { key } => {
                let id = resolve::id(client, "/api/v1/keys", "key_", &key).await?;
                client.delete(&format!("/api/v1/keys/{}", segment(&id))).await?;
                output.done(&format!("{id} is revoked"));
            }
        }
        Ok(Exit::Ok)
    }
}
