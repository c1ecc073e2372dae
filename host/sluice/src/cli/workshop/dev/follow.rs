//! What a running server does with the connection while its author works: each brokered request, each line that the connector wrote, and
//! how it ended, with the place in the source where it failed: of runs, of webhooks, and of what was done on request. The server says it as
//! it commits. What was over before is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::client::{Client, segment};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, items, text};
use crate::cli::watch;

/// Between two looks at the server.
const LOOK: Duration = Duration::from_millis(500);
/// The newest runs, and receipts of a hook, that are looked at; more at once are shown as they end up among these.
const NEWEST: u32 = 20;
/// Entries of a trace or a log that are fetched at once.
const ENTRIES: u32 = 200;

pub(super) struct Follow {
    client: Client,
    connection: String,
    runs: Seen,
    receipts: Seen,
    /// Of what was done on request, which belongs to the connection itself.
    own: Told,
}

/// Runs or receipts of the last look.
#[derive(Debug, Default)]
struct Seen {
    /// Those that were told to their end.
    over: BTreeSet<String>,
    open: BTreeMap<String, Told>,
}

/// How far something was told.
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

/// What has a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Run,
    Receipt,
    Connection,
}

impl Kind {
    /// In what is printed for programs.
    const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Receipt => "receipt",
            Self::Connection => "connection",
        }
    }

    fn path(self, id: &str) -> String {
        format!("/api/v1/{}s/{}", self.name(), segment(id))
    }

    fn is_over(self, shown: &Value) -> bool {
        match self {
            Self::Run => shown.get("over").and_then(Value::as_bool).unwrap_or(false),
            Self::Receipt => matches!(text(shown, "state").as_str(), "handled" | "dead"),
            Self::Connection => false,
        }
    }

    /// What it is, for people.
    fn of(self, shown: &Value) -> String {
        match self {
            Self::Run => text(shown, "stream"),
            Self::Receipt => format!("webhook {}", text(shown, "dedupe_key")),
            Self::Connection => String::new(),
        }
    }
}

impl Follow {
    pub(super) fn new(client: Client, connection: String) -> Self {
        Self {
            client,
            connection,
            runs: Seen::default(),
            receipts: Seen::default(),
            own: Told::default(),
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
        let of = segment(&self.connection);
        let newest = format!("/api/v1/runs?connection={of}&limit={NEWEST}");
        let runs = self.client.get(&newest).await?;
        let mut receipts = Vec::new();
        let hooks = self.client.get(&format!("/api/v1/hooks?connection={of}")).await?;
        for hook in items(&hooks) {
            let id = segment(&text(hook, "id"));
            let newest = format!("/api/v1/hooks/{id}/receipts?limit={NEWEST}");
            receipts.extend(items(&self.client.get(&newest).await?).iter().cloned());
        }
        // The newest first, as runs are.
        receipts.sort_by_key(|receipt| std::cmp::Reverse(text(receipt, "received")));
        let teller = Teller {
            client: &self.client,
            output,
            // What was there before is no news.
            is_silent: is_first,
        };
        teller.tell_all(Kind::Run, items(&runs), &mut self.runs).await?;
        teller
            .tell_all(Kind::Receipt, &receipts, &mut self.receipts)
            .await?;
        teller
            .tell(Kind::Connection, &self.connection, &mut self.own)
            .await
    }
}

/// Tells what is new.
struct Teller<'a> {
    client: &'a Client,
    output: &'a Output,
    is_silent: bool,
}

impl Teller<'_> {
    /// Runs or receipts, the newest first.
    async fn tell_all(&self, kind: Kind, newest: &[Value], seen: &mut Seen) -> Result<(), Failure> {
        let listed: BTreeSet<String> = newest.iter().map(|shown| text(shown, "id")).collect();
        seen.over.retain(|id| listed.contains(id));
        seen.open.retain(|id, _| listed.contains(id));
        // The oldest first, as they went.
        for shown in newest.iter().rev() {
            let id = text(shown, "id");
            let is_over = kind.is_over(shown);
            if self.is_silent && is_over {
                seen.over.insert(id);
            } else if !seen.over.contains(&id) {
                let mut told = seen.open.remove(&id).unwrap_or_default();
                let teller = Teller {
                    is_silent: false,
                    ..*self
                };
                teller.tell(kind, &id, &mut told).await?;
                if is_over {
                    self.ended(kind, shown);
                    seen.over.insert(id);
                } else {
                    self.tries_again(kind, shown, &mut told);
                    seen.open.insert(id, told);
                }
            }
        }
        Ok(())
    }

    async fn tell(&self, kind: Kind, id: &str, told: &mut Told) -> Result<(), Failure> {
        let (path, name) = (kind.path(id), kind.name());
        for exchange in self.fresh(&path, "trace", &mut told.trace).await? {
            self.output.show(&json!({name: id, "sent": exchange}), |output| {
                output.note(&sent(&exchange));
            });
        }
        for line in self.fresh(&path, "logs", &mut told.logs).await? {
            self.output.show(&json!({name: id, "log": line}), |output| {
                output.note(&format!("  {}  {}", text(&line, "level"), text(&line, "message")));
            });
        }
        Ok(())
    }

    /// What came to a list since it was looked at last; nothing where it is to be passed over.
    async fn fresh(&self, path: &str, what: &str, place: &mut Place) -> Result<Vec<Value>, Failure> {
        let mut fresh = Vec::new();
        loop {
            let page = format!("{path}/{what}?limit={ENTRIES}{}", place.after);
            let list = self.client.get(&page).await?;
            let entries = items(&list);
            fresh.extend(entries.iter().skip(place.seen).cloned());
            place.seen = place.seen.max(entries.len());
            let Some(next) = list.get("next").and_then(Value::as_str) else {
                if self.is_silent {
                    fresh.clear();
                }
                return Ok(fresh);
            };
            *place = Place {
                after: format!("&after={}", segment(next)),
                seen: 0,
            };
        }
    }

    /// Why it waits, once for each reason.
    fn tries_again(&self, kind: Kind, shown: &Value, told: &mut Told) {
        let problem = text(shown, "error.message");
        if problem.is_empty() || problem == told.problem {
            return;
        }
        let error = shown.get("error").unwrap_or(&Value::Null);
        let line = json!({kind.name(): text(shown, "id"), "tries_again": error});
        self.output.show(&line, |output| {
            let (what, code) = (kind.of(shown), text(shown, "error.code"));
            output.important(&format!("{what} will be tried again: {problem} ({code})"));
        });
        told.problem = problem;
    }

    /// How it ended.
    fn ended(&self, kind: Kind, shown: &Value) {
        let line = json!({kind.name(): text(shown, "id"), "over": shown});
        self.output.show(&line, |output| {
            let came = match kind {
                Kind::Run => watch::summary(shown),
                _ => text(shown, "state"),
            };
            let line = format!("{}: {came}", kind.of(shown));
            let message = text(shown, "error.message");
            if message.is_empty() {
                output.done(&line);
            } else {
                output.important(&format!("{line}: {message} ({})", text(shown, "error.code")));
            }
        });
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
