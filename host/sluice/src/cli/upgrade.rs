//! Another install for a connection, the channel that it follows, and back again.

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::client::{Body, Client};
use super::connection::path;
use super::connector::differences;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, text};
use super::{input, resolve};

#[derive(Debug, Args)]
pub(super) struct Upgrade {
    connection: String,
    /// The install; the newest of its connector without it
    #[arg(long, value_name = "INSTALL")]
    to: Option<String>,
    /// Only say what it means
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    connection: String,
    /// Only say what it means
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct Follow {
    connection: String,
    /// A channel of its connector, or `newest`
    #[arg(required_unless_present = "pin", conflicts_with = "pin")]
    channel: Option<String>,
    /// Stay with the version that it uses
    #[arg(long)]
    pin: bool,
}

impl Upgrade {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        let mut body = json!({ "dry_run": self.dry_run });
        if let (Some(to), Some(body)) = (self.to, body.as_object_mut()) {
            body.insert("install".to_owned(), json!(to));
        }
        let told = client.post(&format!("{}/upgrade", path(&found)), body).await?;
        output.show(&told, |output| {
            differences(output, &told);
            let mut rows = Vec::new();
            for (key, what) in [
                ("new_streams", "new stream"),
                ("gone_streams", "stream that is gone"),
                ("carried", "cursor carried over by the connector"),
                ("read_anew", "stream to be read with --full"),
            ] {
                let list = told.get(key).and_then(Value::as_array).into_iter().flatten();
                rows.extend(
                    list.filter_map(Value::as_str)
                        .map(|line| [what.to_owned(), line.to_owned()]),
                );
            }
            let migrated = super::version::migration(&told);
            rows.extend(migrated.into_iter().map(|line| ["migrated".to_owned(), line]));
            let cursors = told
                .get("cursors")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            for cursor in cursors.filter(|cursor| cursor.get("carried") != Some(&Value::Bool(true))) {
                let words = ["stream", "partition", "problem.message"].map(|name| text(cursor, name));
                let words = words.iter().filter(|word| !word.is_empty()).cloned();
                rows.push([
                    "cursor that is not carried over".to_owned(),
                    words.collect::<Vec<_>>().join(" "),
                ]);
            }
            if !rows.is_empty() {
                output.table(["what", "which"], rows);
            }
            let (from, to) = (text(&told, "from.version"), text(&told, "to.version"));
            let done = told.get("done").and_then(Value::as_bool).unwrap_or(false);
            output.done(&match done {
                true => format!("{} uses {to} now, and {from} no more", self.connection),
                false => format!("nothing was changed: it uses {from}"),
            });
        });
        Ok(Exit::Ok)
    }
}

impl Rollback {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        let place = format!("{}/rollback", path(&found));
        let told = client.post(&place, json!({ "dry_run": true })).await?;
        if self.dry_run {
            output.show(&told, |output| say(output, &told));
            return Ok(Exit::Ok);
        }
        if !self.yes {
            say(output, &told);
            let needed = Failure::usage("it has to be confirmed");
            if !output.may_ask {
                return Err(needed.hint("pass --yes"));
            }
            if !input::agrees("Take it back?")? {
                return Err(needed.hint("nothing was changed"));
            }
        }
        // Exactly the move that was looked at.
        let number = told.get("number").cloned().unwrap_or(Value::Null);
        let done = client.post(&place, json!({ "number": number })).await?;
        output.show(&done, |output| {
            let (to, from) = (text(&done, "to.version"), text(&done, "from.version"));
            output.done(&format!(
                "{} uses {to} again, and {from} no more",
                self.connection
            ));
        });
        Ok(Exit::Ok)
    }
}

fn say(output: &Output, told: &Value) {
    differences(output, told);
    let changes = told
        .get("config_changes")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let config = if changes { "goes back too" } else { "is the same" };
    output.fields(&[
        (
            "version",
            format!(
                "{} in the place of {}",
                text(told, "to.version"),
                text(told, "from.version")
            ),
        ),
        (
            "as it was",
            format!("{}, until {}", text(told, "moved"), text(told, "until")),
        ),
        ("configuration", config.to_owned()),
        ("cursors", text(told, "cursors")),
        (
            "storage",
            format!(
                "{} keys, {} bytes",
                text(told, "storage_keys"),
                text(told, "storage_bytes")
            ),
        ),
    ]);
    for line in told.get("stays").and_then(Value::as_array).into_iter().flatten() {
        output.note(&format!("stays: {}", line.as_str().unwrap_or_default()));
    }
}

impl Follow {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        let place = format!("{}/channel", path(&found));
        let body = Body::Json(json!({ "channel": self.channel }));
        let now = client.send(Method::PUT, &place, body).await?;
        output.show(&now, |output| {
            output.done(&match &self.channel {
                Some(channel) => format!("{} follows {channel}", self.connection),
                None => format!("{} stays with what it uses", self.connection),
            });
        });
        Ok(Exit::Ok)
    }
}
