//! Runs: one execution of a sync of one stream.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{input, resolve, watch};

/// Runs of syncs: watch, trace, cancel
#[derive(Debug, Subcommand)]
pub(super) enum Run {
    /// The newest runs
    List {
        /// Only of this connection
        #[arg(long)]
        connection: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One run
    Show { run: String },
    /// Follow a run until it is over
    Watch { run: String },
    /// What it asked of the vendor
    Trace { run: String },
    /// What the connector wrote
    Logs { run: String },
    /// End it; what was committed stays
    Cancel { run: String },
    /// Take an ended run back: its records become what they were, its cursors go back
    Undo {
        run: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Run {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List { connection, limit } => {
                let of = match connection {
                    Some(which) => {
                        let found = resolve::connection(client, &which).await?;
                        format!("&connection={}", segment(&text(&found, "id")))
                    }
                    None => String::new(),
                };
                let list = client.get(&format!("/api/v1/runs?limit={limit}{of}")).await?;
                let row = |run: &Value| {
                    ["id", "stream", "mode", "state", "counts.received", "created"]
                        .map(|name| text(run, name))
                };
                let header = ["id", "stream", "mode", "state", "records", "created"];
                output.show(&list, |output| output.table(header, items(&list).iter().map(row)));
                Ok(Exit::Ok)
            }
            Self::Show { run } => {
                let run = client.get(&path(client, &run).await?).await?;
                output.show(&run, |output| {
                    output.fields(&[
                        ("id", text(&run, "id")),
                        ("connection", text(&run, "connection")),
                        ("stream", text(&run, "stream")),
                        ("mode", text(&run, "mode")),
                        ("result", watch::summary(&run)),
                        ("created", text(&run, "created")),
                        ("started", text(&run, "started")),
                        ("ended", text(&run, "ended")),
                        ("goes on", text(&run, "next_attempt")),
                        ("error", text(&run, "error.message")),
                        ("code", text(&run, "error.code")),
                    ]);
                });
                Ok(Exit::Ok)
            }
            Self::Watch { run } => {
                let id = id(client, &run).await?;
                watch::follow(client, output, &[id]).await
            }
            Self::Trace { run } => trace(client, output, &path(client, &run).await?).await,
            Self::Logs { run } => logs(client, output, &path(client, &run).await?).await,
            Self::Cancel { run } => {
                let path = path(client, &run).await?;
                let run = client.post(&format!("{path}/cancel"), json!({})).await?;
                output.show(&run, |output| {
                    output.done(&format!("{} is being cancelled", text(&run, "id")))
                });
                Ok(Exit::Ok)
            }
            Self::Undo { run, yes } => undo(client, output, &run, yes).await,
        }
    }
}

async fn undo(client: &Client, output: &Output, run: &str, yes: bool) -> Result<Exit, Failure> {
    let id = id(client, run).await?;
    if !yes {
        if !output.may_ask {
            return Err(Failure::usage(format!("taking {id} back needs a yes")).hint("pass --yes"));
        }
        if !input::agrees(&format!("Take back what {id} wrote?"))? {
            return Err(Failure::new(Exit::Interrupted, "nothing was taken back"));
        }
    }
    let undone = client
        .post(&format!("/api/v1/runs/{}/undo", segment(&id)), json!({}))
        .await?;
    output.show(&undone, |output| {
        let count = |name| text(&undone, name);
        output.done(&format!(
            "{id} is taken back: {} records removed, {} restored",
            count("removed"),
            count("restored")
        ));
        if count("lost") != "0" {
            output.note(&format!(
                "{} records stay: their earlier version is not kept any more",
                count("lost")
            ));
        }
    });
    Ok(Exit::Ok)
}

async fn id(client: &Client, given: &str) -> Result<String, Failure> {
    resolve::id(client, "/api/v1/runs?limit=1000", "run_", given).await
}

async fn path(client: &Client, given: &str) -> Result<String, Failure> {
    Ok(format!("/api/v1/runs/{}", segment(&id(client, given).await?)))
}

/// What was asked of the network for what has this path.
pub(super) async fn trace(client: &Client, output: &Output, path: &str) -> Result<Exit, Failure> {
    let row = |exchange: &Value| {
        ["started", "method", "url", "status", "took_ms", "error"].map(|name| text(exchange, name))
    };
    let header = ["started", "method", "url", "status", "ms", "error"];
    pages(client, output, &format!("{path}/trace"), header, row).await
}

/// What connectors wrote then.
pub(super) async fn logs(client: &Client, output: &Output, path: &str) -> Result<Exit, Failure> {
    let names = ["at", "level", "message"];
    let row = |line: &Value| names.map(|name| text(line, name));
    pages(client, output, &format!("{path}/logs"), names, row).await
}

/// A whole list, page by page: a table for people, one JSON object a line for programs.
pub(super) async fn pages<const N: usize>(
    client: &Client,
    output: &Output,
    path: &str,
    header: [&str; N],
    row: impl Fn(&Value) -> [String; N],
) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let list = client.get(&format!("{path}?limit=1000{after}")).await?;
        for item in items(&list) {
            if output.json {
                output.show(item, |_| {});
            } else {
                rows.push(row(item));
            }
        }
        match list.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={}", segment(next)),
            None => break,
        }
    }
    if !output.json {
        output.table(header, rows);
    }
    Ok(Exit::Ok)
}
