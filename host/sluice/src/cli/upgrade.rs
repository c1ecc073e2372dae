//! Another install for a connection.

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, text};
use super::resolve;

#[derive(Debug, Args)]
pub(super) struct Upgrade {
    connection: String,
    /// The install; the newest of its connector without it. An earlier one takes the upgrade back
    #[arg(long, value_name = "INSTALL")]
    to: Option<String>,
    /// Only say what it means
    #[arg(long)]
    dry_run: bool,
}

impl Upgrade {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        let place = format!("/api/v1/connections/{}/upgrade", segment(&text(&found, "id")));
        let mut body = json!({ "dry_run": self.dry_run });
        if let (Some(to), Some(body)) = (self.to, body.as_object_mut()) {
            body.insert("install".to_owned(), json!(to));
        }
        let told = client.post(&place, body).await?;
        output.show(&told, |output| {
            let mut rows = Vec::new();
            for (key, what) in [
                ("may_now", "may now"),
                ("may_no_more", "may no more"),
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
