//! Syncing a connection by hand: started, followed, tried, compared.

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::connection::path;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{resolve, watch};

#[derive(Debug, Args)]
pub(super) struct Sync {
    connection: String,
    /// Only this stream; several are allowed
    #[arg(long = "stream")]
    streams: Vec<String>,
    /// Everything again instead of what is new; what the vendor does not have any more goes
    #[arg(long)]
    full: bool,
    /// Everything again, compared with what is here and not kept; exit code 6 where they differ
    #[arg(long, conflicts_with_all = ["full", "from"])]
    check: bool,
    /// Read the first records and show what would become of them; nothing is kept
    #[arg(long, conflicts_with_all = ["full", "from", "check", "wait"])]
    dry_run: bool,
    /// With --dry-run: how many records of each stream
    #[arg(long, value_name = "RECORDS", default_value_t = 10, requires = "dry_run")]
    limit: usize,
    /// Only what changed from this time on, as 2026-01-31T00:00:00Z, beside what is read otherwise
    #[arg(long, value_name = "TIME", conflicts_with = "full")]
    from: Option<String>,
    /// Up to this time; up to now without it
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<String>,
    /// Stay until it is over, with progress
    #[arg(long)]
    wait: bool,
}

impl Sync {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        if self.dry_run {
            return self.trial(client, output, &found).await;
        }
        let mode = match (self.full, &self.from) {
            (true, _) => "full",
            (false, Some(_)) => "backfill",
            (false, None) if self.check => "check",
            (false, None) => "incremental",
        };
        let body = json!({ "streams": self.streams, "mode": mode, "from": self.from, "to": self.to });
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

impl Sync {
    async fn trial(&self, client: &Client, output: &Output, found: &Value) -> Result<Exit, Failure> {
        let mut streams = self.streams.clone();
        if streams.is_empty() {
            let all = client.get(&format!("{}/streams", path(found))).await?;
            streams = items(&all).iter().map(|stream| text(stream, "stream")).collect();
        }
        for stream in streams {
            let place = format!(
                "{}/streams/{}/trial?limit={}",
                path(found),
                segment(&stream),
                self.limit
            );
            let trial = client.post(&place, json!({})).await?;
            let whole = json!({ "stream": stream, "trial": trial });
            output.show(&whole, |output| {
                let of = |name: &str| {
                    trial
                        .get(name)
                        .and_then(Value::as_array)
                        .cloned()
                        .unwrap_or_default()
                };
                let records = of("records").into_iter().map(|one| {
                    let data = one
                        .get("data")
                        .map_or_else(|| "(left out)".to_owned(), Value::to_string);
                    [stream.clone(), text(&one, "id"), data]
                });
                let refused = of("refused").into_iter().map(|one| {
                    let why = format!("(set aside) {}", text(&one, "reason"));
                    [stream.clone(), text(&one, "id"), why]
                });
                output.table(["stream", "id", "record"], records.chain(refused));
            });
        }
        output.note("nothing was kept");
        Ok(Exit::Ok)
    }
}
