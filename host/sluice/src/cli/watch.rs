//! Watching runs: bars on a terminal, a line every ten seconds elsewhere, one line of result for each. Ctrl-C once
//! cancels the runs and says what was done; twice leaves at once.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, text};

/// Follows runs until all are over.
pub(super) async fn follow(client: &Client, output: &Output, runs: &[String]) -> Result<Exit, Failure> {
    let mut progress = Progress::new(output.draws && !output.json);
    let mut over: Vec<Value> = Vec::new();
    let mut open: Vec<String> = runs.to_vec();
    let mut interrupted = false;
    while !open.is_empty() {
        let mut still = Vec::new();
        for id in open {
            let run = client.get(&format!("/api/v1/runs/{}", segment(&id))).await?;
            progress.see(output, &id, &run);
            if run.get("over").and_then(Value::as_bool).unwrap_or(false) {
                progress.end(&id);
                result(output, &run);
                over.push(run);
            } else {
                still.push(id);
            }
        }
        open = still;
        if open.is_empty() {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            pressed = tokio::signal::ctrl_c() => {
                if interrupted || pressed.is_err() {
                    return Err(Failure::new(Exit::Interrupted, "left while runs were being cancelled"));
                }
                interrupted = true;
                output.note("cancelling; press again to leave at once");
                for id in &open {
                    // It may have ended in the meantime, which is as good.
                    if let Err(failure) = client.post(&format!("/api/v1/runs/{}/cancel", segment(id)), json!({})).await {
                        output.note(&failure.message);
                    }
                }
            }
        }
    }
    if output.json {
        for run in &over {
            output.show(run, |_| {});
        }
    }
    if interrupted {
        return Err(Failure::new(
            Exit::Interrupted,
            "cancelled; what was committed stays",
        ));
    }
    match over
        .iter()
        .find(|run| matches!(text(run, "state").as_str(), "failed" | "cancelled"))
    {
        None if over.iter().any(|run| differences(run) > 0) => Ok(Exit::Findings),
        None => Ok(Exit::Ok),
        Some(run) => {
            let message = text(run, "error.message");
            let sentence = if message.is_empty() {
                format!("the run was {}", text(run, "state"))
            } else {
                message
            };
            let mut failure = Failure::new(Exit::Failed, format!("{}: {sentence}", text(run, "stream")));
            failure.code = Some(text(run, "error.code")).filter(|code| !code.is_empty());
            failure.hint = failure
                .code
                .as_deref()
                .and_then(crate::explain::find)
                .map(|entry| entry.next.to_owned());
            Err(failure.fact("run", text(run, "id")))
        }
    }
}

/// One line for a run that is over.
fn result(output: &Output, run: &Value) {
    let line = format!("{}: {}", text(run, "stream"), summary(run));
    match text(run, "state").as_str() {
        "succeeded" => output.done(&line),
        "partial" => output.warn(&format!("{line}; see `sluice run show {}`", text(run, "id"))),
        _ => output.note(&line),
    }
}

pub(super) fn summary(run: &Value) -> String {
    let count = |name: &str| {
        run.pointer(&format!("/counts/{name}"))
            .and_then(Value::as_u64)
            .unwrap_or(0)
    };
    let mut parts = vec![format!("{} records", count("received"))];
    for name in ["added", "updated", "deleted", "quarantined"] {
        if count(name) > 0 {
            parts.push(format!("{} {name}", count(name)));
        }
    }
    if run.get("findings").is_some() {
        parts.truncate(1);
        parts.push(match differences(run) {
            0 => "the vendor has the same".to_owned(),
            found => format!("{found} differ from what the vendor has"),
        });
    }
    format!(
        "{}, {} pages: {}",
        text(run, "state"),
        text(run, "pages"),
        parts.join(", ")
    )
}

/// How many records a check found that are not as the vendor has them.
fn differences(run: &Value) -> u64 {
    let of = |name: &str| {
        run.pointer(&format!("/findings/{name}/count"))
            .and_then(Value::as_u64)
    };
    ["missing", "differing", "extra"].into_iter().filter_map(of).sum()
}

struct Progress {
    drawn: Option<MultiProgress>,
    bars: HashMap<String, ProgressBar>,
    said: Instant,
}

impl Progress {
    fn new(draws: bool) -> Self {
        Self {
            drawn: draws.then(MultiProgress::new),
            bars: HashMap::new(),
            said: Instant::now(),
        }
    }

    fn see(&mut self, output: &Output, id: &str, run: &Value) {
        let done = run
            .pointer("/counts/received")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        let total = run.get("total_hint").and_then(Value::as_u64);
        let Some(drawn) = &self.drawn else {
            if self.said.elapsed() >= SAY && !output.json {
                self.said = Instant::now();
                output.note(&format!("{}: {}", text(run, "stream"), summary(run)));
            }
            return;
        };
        let bar = self.bars.entry(id.to_owned()).or_insert_with(|| {
            let bar = drawn.add(ProgressBar::no_length());
            bar.set_prefix(super::output::clean(&text(run, "stream")));
            bar
        });
        let template = match total {
            Some(_) => "{prefix:<16} [{bar:30}] {human_pos}/{human_len} {per_sec} {elapsed} {msg}",
            None => "{prefix:<16} {spinner} {human_pos} {per_sec} {elapsed} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        if let Some(total) = total {
            bar.set_length(total.max(done));
        }
        bar.set_position(done);
        bar.set_message(text(run, "state"));
        bar.tick();
    }

    fn end(&mut self, id: &str) {
        if let Some(bar) = self.bars.remove(id) {
            bar.finish_and_clear();
        }
    }
}

/// How often a run is looked at.
const POLL: Duration = Duration::from_millis(300);
/// How often a line is printed where no bar can be drawn.
const SAY: Duration = Duration::from_secs(10);
