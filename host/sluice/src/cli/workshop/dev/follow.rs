//! What a running server does with the connection while its author works: each brokered request, each line that the connector wrote, and
//! how each run ended, with the place in the source where it failed. The server says it page by page, as it commits. Runs that were over
//! before are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::client::{Client, segment};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, items, text};
use crate::cli::watch;

/// Between two looks at the server.
const LOOK: Duration = Duration::from_millis(500);
/// The newest runs that are looked at; more at once are shown as they end up among these.
const RUNS: u32 = 20;
/// Entries of a trace or a log that are fetched at once.
const ENTRIES: u32 = 200;

pub(super) struct Follow {
    client: Client,
    connection: String,
    /// Runs of the last look that were told to their end.
    over: BTreeSet<String>,
    open: BTreeMap<String, Told>,
}

/// How far a run was told.
#[derive(Debug, Default)]
struct Told {
    trace: Place,
    logs: Place,
    /// Why it waits to be tried again.
    problem: String,
}

/// A place in a list that grows: where its last page begins, and how much of that was seen.
#[derive(Debug, Default)]
struct Place {
    after: String,
    seen: usize,
}

impl Follow {
    pub(super) const fn new(client: Client, connection: String) -> Self {
        Self {
            client,
            connection,
            over: BTreeSet::new(),
            open: BTreeMap::new(),
        }
    }

    /// Tells until whoever asked for it lets go. A server that is away for a while is said once.
    pub(super) async fn go_on(mut self, output: &Output) {
        let mut is_first = true;
        let mut is_away = false;
        loop {
            match self.look(is_first, output).await {
                Ok(()) => (is_first, is_away) = (false, false),
                Err(failure) if !is_away => {
                    is_away = true;
                    output.note(&format!("what the server does is not seen: {}", failure.message));
                }
                Err(_) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&mut self, is_first: bool, output: &Output) -> Result<(), Failure> {
        let path = format!(
            "/api/v1/runs?connection={}&limit={RUNS}",
            segment(&self.connection)
        );
        let list = self.client.get(&path).await?;
        let runs: Vec<&Value> = items(&list).iter().collect();
        let listed: BTreeSet<String> = runs.iter().map(|run| text(run, "id")).collect();
        self.over.retain(|id| listed.contains(id));
        self.open.retain(|id, _| listed.contains(id));
        // The oldest first, as they went.
        for run in runs.into_iter().rev() {
            let id = text(run, "id");
            let is_over = run.get("over").and_then(Value::as_bool).unwrap_or(false);
            if is_first && is_over {
                self.over.insert(id);
            } else if !self.over.contains(&id) {
                let mut told = self.open.remove(&id).unwrap_or_default();
                self.tell(&id, &mut told, output).await?;
                if is_over {
                    ended(run, output);
                    self.over.insert(id);
                } else {
                    tries_again(run, &mut told, output);
                    self.open.insert(id, told);
                }
            }
        }
        Ok(())
    }

    async fn tell(&self, id: &str, told: &mut Told, output: &Output) -> Result<(), Failure> {
        for exchange in self.fresh(id, "trace", &mut told.trace).await? {
            output.show(&json!({"run": id, "sent": exchange}), |output| {
                output.note(&sent(&exchange));
            });
        }
        for line in self.fresh(id, "logs", &mut told.logs).await? {
            output.show(&json!({"run": id, "log": line}), |output| {
                output.note(&format!("  {}  {}", text(&line, "level"), text(&line, "message")));
            });
        }
        Ok(())
    }

    /// What came to a list of a run since it was looked at last.
    async fn fresh(&self, id: &str, what: &str, place: &mut Place) -> Result<Vec<Value>, Failure> {
        let mut fresh = Vec::new();
        loop {
            let path = format!(
                "/api/v1/runs/{}/{what}?limit={ENTRIES}{}",
                segment(id),
                place.after
            );
            let list = self.client.get(&path).await?;
            let before = fresh.len();
            fresh.extend(items(&list).iter().skip(place.seen).cloned());
            place.seen += fresh.len() - before;
            let Some(next) = list.get("next").and_then(Value::as_str) else {
                return Ok(fresh);
            };
            *place = Place {
                after: format!("&after={}", segment(next)),
                seen: 0,
            };
        }
    }
}

/// One brokered request, as a line.
fn sent(exchange: &Value) -> String {
    let of = |name: &str| text(exchange, name);
    let came = if of("error").is_empty() {
        of("status")
    } else {
        of("error")
    };
    let with = match of("credential") {
        none if none.is_empty() => none,
        name => format!("  with {name}"),
    };
    format!(
        "  sent  {} {}  {came}  {} bytes, {} ms{with}",
        of("method"),
        of("url"),
        of("received_bytes"),
        of("took_ms")
    )
}

/// Why a run waits, once for each reason.
fn tries_again(run: &Value, told: &mut Told, output: &Output) {
    let problem = text(run, "error.message");
    if problem.is_empty() || problem == told.problem {
        return;
    }
    let error = run.get("error").unwrap_or(&Value::Null);
    output.show(&json!({"run": text(run, "id"), "tries_again": error}), |output| {
        let (stream, code) = (text(run, "stream"), text(run, "error.code"));
        output.important(&format!("{stream} will be tried again: {problem} ({code})"));
    });
    told.problem = problem;
}

/// How a run ended.
fn ended(run: &Value, output: &Output) {
    output.show(&json!({"run": text(run, "id"), "over": run}), |output| {
        let line = format!("{}: {}", text(run, "stream"), watch::summary(run));
        let message = text(run, "error.message");
        if message.is_empty() {
            output.done(&line);
        } else {
            output.important(&format!("{line}: {message} ({})", text(run, "error.code")));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_line() {
        let exchange = json!({"method": "GET", "url": "https://a.example/", "status": 200, "received_bytes": 7,
                              "took_ms": 3, "credential": "token"});
        assert_eq!(
            sent(&exchange),
            "  sent  GET https://a.example/  200  7 bytes, 3 ms  with token"
        );
        let failed = json!({"method": "GET", "url": "https://a.example/", "error": "timeout", "received_bytes": 0,
                            "took_ms": 30});
        assert_eq!(
            sent(&failed),
            "  sent  GET https://a.example/  timeout  0 bytes, 30 ms"
        );
    }
}
