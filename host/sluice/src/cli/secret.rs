//! Secrets: what there is and who uses it, never a value; and the key that they are sealed under.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::resolve;

/// Secrets: what there is, and the key they are sealed under
#[derive(Debug, Subcommand)]
pub(super) enum Secret {
    /// The secrets without their values, or those that a connection uses
    List { connection: Option<String> },
    /// How the organization's key stands
    Key,
    /// Seal everything anew under a new version of the organization's key
    RotateKey,
}

impl Secret {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List { connection } => list(client, output, connection.as_deref()).await,
            Self::Key => {
                let key = client.get(KEY).await?;
                output.show(&key, |output| {
                    output.fields(&[
                        ("version", text(&key, "version")),
                        ("uses", text(&key, "uses")),
                        ("of at most", text(&key, "max_uses")),
                        ("older", text(&key, "older")),
                        ("left", text(&key, "left")),
                    ]);
                });
                Ok(Exit::Ok)
            }
            Self::RotateKey => rotate(client, output).await,
        }
    }
}

const KEY: &str = "/api/v1/keys/organization";

async fn list(client: &Client, output: &Output, connection: Option<&str>) -> Result<Exit, Failure> {
    let mut path = "/api/v1/secrets?limit=1000".to_owned();
    if let Some(which) = connection {
        let found = resolve::connection(client, which).await?;
        path.push_str(&format!("&connection={}", segment(&text(&found, "id"))));
    }
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}{after}")).await?;
        all.extend(items(&page).iter().cloned());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={}", segment(next)),
            None => break,
        }
    }
    let whole = json!({ "items": all });
    output.show(&whole, |output| {
        let used_by = |item: &Value| {
            let names = item
                .get("used_by")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            names.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        };
        let row = |item: &Value| {
            let [kind, name, version, obtained, used] =
                ["kind", "name", "version", "obtained", "last_used"].map(|field| text(item, field));
            [kind, name, version, obtained, used, used_by(item)]
        };
        let header = ["kind", "name", "version", "obtained", "last used", "used by"];
        output.table(header, items(&whole).iter().map(row));
    });
    Ok(Exit::Ok)
}

/// Stays until nothing is under an older version, as long as that goes on.
async fn rotate(client: &Client, output: &Output) -> Result<Exit, Failure> {
    let mut key = client.post(&format!("{KEY}/rotate"), json!({})).await?;
    let left = |key: &Value| key.get("left").and_then(Value::as_u64).unwrap_or(0);
    let mut stood = 0;
    while left(&key) > 0 && stood < STANDSTILL {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let before = left(&key);
        key = client.get(KEY).await?;
        stood = if left(&key) < before { 0 } else { stood + 1 };
    }
    let version = text(&key, "version");
    if left(&key) == 0 {
        output.show(&key, |output| {
            output.done(&format!(
                "every secret is sealed under version {version} of the key"
            ));
        });
        return Ok(Exit::Ok);
    }
    let failure = Failure::new(
        Exit::Pending,
        format!(
            "{} secrets are still under an older version of the key",
            left(&key)
        ),
    );
    Err(failure
        .hint("sluice secret key shows how it goes on; if it does not, the server's log says which secrets do not open"))
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// Looks without progress before it is not waited for any longer.
const STANDSTILL: u32 = 20;
