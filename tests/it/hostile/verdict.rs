//! One guest, let loose and judged: the outcome that the data asks for, and the invariants that hold for all of them
//! (THREATS): the process lives, the error is one typed code with words, the canary is nowhere, no forbidden listener was
//! reached, memory comes back, and a neighbour is served meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sluice_model::fault::{Fault, FaultKind};
use sluice_model::{Clock as _, SystemClock};
use sluice_runtime::{
    Call, CallError, Connector, EmptySnapshot, LoadError, Outcome, ReadRequest, Receipt, Source,
};

use super::canary;
use super::expected::{Expected, Export, File};
use super::yard::{Seed, Yard};
use crate::guests;

/// What a stopped call may take beyond its own time: two cores are shared with builders.
const GRACE: Duration = Duration::from_secs(5);

/// Resident memory that a call may leave behind: pools, caches, fragments; not a leak of what guests hold.
const LEFT_BYTES: u64 = 192 << 20;

/// Resident memory that the host may use for one call beyond what the guest was granted.
const HOST_BYTES: u64 = 512 << 20;

/// Everything that is wrong with how `name` was dealt with; empty when nothing is.
pub(super) async fn judge(yard: &Yard, file: &File, name: &str, expected: &Expected) -> Vec<String> {
    let component = guests::component(name);
    let loaded = yard.load(&component).await;
    let mut wrong = Vec::new();
    match (&loaded, &expected.load) {
        (Ok(connector), None) => wrong = let_loose(yard, file, expected, connector).await,
        (Err(error), Some(code)) => refused(error, code, &expected.names, &mut wrong),
        (Ok(_), Some(code)) => wrong.push(format!("was taken, expected `{code}`")),
        (Err(error), None) => wrong.push(format!("was refused with `{}`: {error}", error.code())),
    }
    if yard.trespassers() > 0 {
        wrong.push(format!(
            "{} connections reached forbidden listeners",
            yard.trespassers()
        ));
    }
    wrong.extend(canary::Host::listen().leaks());
    wrong.into_iter().map(|what| format!("{name}: {what}")).collect()
}

fn refused(error: &LoadError, code: &str, names: &[String], wrong: &mut Vec<String>) {
    let words = error.to_string();
    if error.code() != code || !LoadError::CODES.contains(&error.code()) {
        wrong.push(format!(
            "was refused with `{}`, expected `{code}`: {words}",
            error.code()
        ));
    }
    wrong.extend(
        names
            .iter()
            .filter(|name| !words.contains(*name))
            .map(|name| format!("`{words}` does not name `{name}`")),
    );
    if words.len() > 4096 {
        wrong.push(format!("the refusal has {} bytes of words", words.len()));
    }
}

async fn let_loose(yard: &Yard, file: &File, expected: &Expected, guest: &Connector) -> Vec<String> {
    let limits = file.limits(expected);
    let call = yard.call(guest, limits.clone(), Seed::snapshot(&expected.seed));
    let calm = yard
        .load(&guests::component("neighbour"))
        .await
        .expect("the neighbour loads");
    let before = resident();
    let done = AtomicBool::new(false);
    let started = Instant::now();
    let hostile = async {
        let told = tell(yard, expected.call, call).await;
        done.store(true, Ordering::SeqCst);
        (told, started.elapsed())
    };
    let ((told, took), peak, neighbour) = tokio::join!(hostile, watch(&done), neighbour(yard, file, &calm));

    let mut wrong = told.judge(expected);
    wrong.extend(neighbour);
    if took > limits.call_time + GRACE {
        wrong.push(format!("took {took:?} of its {:?}", limits.call_time));
    }
    let allowed = limits.memory_bytes + HOST_BYTES;
    if peak.saturating_sub(before) > allowed {
        wrong.push(format!("resident memory rose by {} MiB", (peak - before) >> 20));
    }
    let left = settled(before).await;
    if left > LEFT_BYTES {
        wrong.push(format!("left {} MiB resident", left >> 20));
    }
    wrong
}

/// What a call told, as far as it is judged.
struct Told {
    /// "ok", or the code.
    code: &'static str,
    /// Everything that a person or a log would see of the error.
    words: String,
    /// What the guest answered, as text.
    answer: String,
    logs: Vec<(Source, String, String)>,
    /// The codes of the exchanges that failed.
    codes: Vec<String>,
    /// Everything else that came out, for the search.
    rest: Vec<Vec<u8>>,
    writes: usize,
}

async fn tell(yard: &Yard, export: Export, call: Call) -> Told {
    let runtime = &yard.runtime;
    match export {
        Export::Check => told(runtime.check(call).await, |account| format!("{account:?}")),
        Export::Read => {
            let request = ReadRequest {
                stream: "items".into(),
                page_hint: 100,
                ..ReadRequest::default()
            };
            told(runtime.read(call, request).await, |page| {
                format!("{} changes, {:?}", page.changes.len(), page.cursor)
            })
        }
        Export::Route => {
            let Call {
                connector,
                caller,
                limits,
                ..
            } = call;
            let call = Call::of_nobody(connector, caller.org, &caller.connector, &limits);
            let receipt = Receipt {
                id: String::new(),
                ..receipt()
            };
            told(runtime.route(call, receipt).await, |accounts| accounts.concat())
        }
        Export::Handle => told(runtime.handle(call, receipt()).await, |handled| {
            format!("{handled:?}")
        }),
        Export::Act => told(
            runtime
                .act(call, "probe".into(), yard.input().into(), "key-1".into())
                .await,
            |answer| answer,
        ),
    }
}

fn receipt() -> Receipt {
    Receipt {
        id: "rcp_0000000000000000000000000".into(),
        webhook: String::new(),
        received: SystemClock.now(),
        method: "POST".into(),
        query: Vec::new(),
        headers: vec![("x-event".into(), "probe".into())],
        body: b"{}".to_vec(),
    }
}

fn told<T>(outcome: Outcome<T>, show: impl FnOnce(T) -> String) -> Told {
    let effects = outcome.effects;
    let mut rest: Vec<Vec<u8>> = effects
        .storage
        .iter()
        .filter_map(|write| write.value.clone())
        .collect();
    rest.extend(effects.storage.iter().map(|write| write.key.clone().into_bytes()));
    rest.push(format!("{:?} {:?}", effects.exchanges, effects.metrics).into_bytes());
    let logs = effects.logs.iter().map(|line| {
        (
            line.source,
            line.message.clone(),
            line.fields.clone().unwrap_or_default(),
        )
    });
    let codes = effects
        .exchanges
        .iter()
        .filter_map(|exchange| exchange.error.clone())
        .collect();
    let (code, words, answer) = match outcome.result {
        Ok(Ok(value)) => ("ok", String::new(), show(value)),
        Ok(Err(fault)) => (fault.kind.code(), fault_words(&fault), String::new()),
        Err(error) => (error.code(), error_words(&error), String::new()),
    };
    Told {
        code,
        words,
        answer,
        logs: logs.collect(),
        codes,
        rest,
        writes: effects.storage.len(),
    }
}

fn fault_words(fault: &Fault) -> String {
    format!("{fault} {fault:?}")
}

fn error_words(error: &CallError) -> String {
    format!("{error} {error:?} {:?}", error.hint())
}

impl Told {
    fn judge(&self, expected: &Expected) -> Vec<String> {
        let mut wrong = Vec::new();
        let code = expected.expect.as_deref().unwrap_or("ok");
        if self.code != code {
            wrong.push(format!(
                "ended with `{}`, expected `{code}`: {}{}",
                self.code,
                cut(&self.words),
                cut(&self.answer)
            ));
        }
        let faults = [
            FaultKind::Config,
            FaultKind::Auth,
            FaultKind::RateLimited,
            FaultKind::Transient,
            FaultKind::InvalidData,
            FaultKind::Unsupported,
            FaultKind::Internal,
            FaultKind::Denied,
        ];
        let known = self.code == "ok"
            || CallError::CODES.contains(&self.code)
            || faults.iter().any(|kind| kind.code() == self.code);
        if !known {
            wrong.push(format!("`{}` is no documented code", self.code));
        }
        if self.code != "ok" && self.writes > 0 {
            wrong.push(format!("left {} writes behind", self.writes));
        }
        if self.words.len() > 32 << 10 {
            wrong.push(format!("the error has {} bytes of words", self.words.len()));
        }
        for name in &expected.names {
            if !self.words.contains(name) {
                wrong.push(format!("`{}` does not name `{name}`", cut(&self.words)));
            }
        }
        if self.code == "ok" && (!expected.report.is_empty() || !expected.every.is_empty()) {
            self.judge_report(expected, &mut wrong);
        }
        for code in expected.codes.iter().filter(|code| !self.codes.contains(code)) {
            wrong.push(format!(
                "no exchange ended with `{code}`; they ended with {:?}",
                self.codes
            ));
        }
        self.judge_logs(expected, &mut wrong);
        self.search(&mut wrong);
        wrong
    }

    fn judge_report(&self, expected: &Expected, wrong: &mut Vec<String>) {
        let Ok(report) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&self.answer)
        else {
            wrong.push(format!("`{}` is no report", cut(&self.answer)));
            return;
        };
        for (probe, want) in &expected.report {
            let found = report.get(probe).and_then(serde_json::Value::as_str);
            if found != Some(want) {
                wrong.push(format!("`{probe}` came to {found:?}, expected `{want}`"));
            }
        }
        if expected.every.is_empty() {
            return;
        }
        let others = report
            .iter()
            .filter(|(probe, _)| !expected.report.contains_key(*probe));
        for (probe, found) in others {
            if !expected.every.iter().any(|allowed| found == allowed) {
                wrong.push(format!(
                    "`{}` came to {found}, expected one of {:?}",
                    probe.escape_debug(),
                    expected.every
                ));
            }
        }
    }

    /// Lines are short, hold no control characters, and are what the data asks for.
    fn judge_logs(&self, expected: &Expected, wrong: &mut Vec<String>) {
        for want in &expected.logs {
            if !self.logs.iter().any(|(_, message, _)| message.contains(want)) {
                let found: Vec<_> = self
                    .logs
                    .iter()
                    .take(5)
                    .map(|(_, message, _)| cut(message))
                    .collect();
                wrong.push(format!("no log line has `{want}`; the first are {found:?}"));
            }
        }
        for (_, message, fields) in &self.logs {
            let bad = |c: char| {
                c.is_control()
                    || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
            };
            if message.len() > 4096 || message.contains(bad) || fields.contains(bad) {
                wrong.push(format!(
                    "a log line is not clean: {:?} {:?}",
                    cut(message),
                    cut(fields)
                ));
            }
            if !fields.is_empty()
                && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(fields).is_err()
            {
                wrong.push(format!("fields are no JSON object: {:?}", cut(fields)));
            }
        }
    }

    fn search(&self, wrong: &mut Vec<String>) {
        let lines = self
            .logs
            .iter()
            .flat_map(|(_, message, fields)| [message.as_bytes(), fields.as_bytes()]);
        let all = [self.words.as_bytes(), self.answer.as_bytes()]
            .into_iter()
            .chain(lines);
        for text in all.chain(self.rest.iter().map(Vec::as_slice)) {
            if let Some(form) = canary::found(text) {
                wrong.push(format!(
                    "the canary is there as {form}: {}",
                    cut(&String::from_utf8_lossy(text))
                ));
            }
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(600).collect()
}

/// The well-behaved neighbour of another organization, called while the hostile guest runs.
async fn neighbour(yard: &Yard, file: &File, calm: &Connector) -> Vec<String> {
    let limits = file.limits(&file.guest["neighbour"]);
    let started = Instant::now();
    let call = yard.call(calm, limits, Arc::new(EmptySnapshot));
    let outcome = yard.runtime.check(call).await;
    let mut wrong = Vec::new();
    if !matches!(&outcome.result, Ok(Ok(account)) if account.id == "7") {
        wrong.push(format!("the neighbour got {:?}", outcome.result));
    }
    if started.elapsed() > GRACE {
        wrong.push(format!("the neighbour waited {:?}", started.elapsed()));
    }
    wrong
}

/// The most that was resident until `done`.
async fn watch(done: &AtomicBool) -> u64 {
    let mut peak = resident();
    let mut look = tokio::time::interval(Duration::from_millis(10));
    while !done.load(Ordering::SeqCst) {
        look.tick().await;
        peak = peak.max(resident());
    }
    peak
}

/// What stays beyond `before`, once what is given back has been given back.
async fn settled(before: u64) -> u64 {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..50 {
        if resident().saturating_sub(before) <= LEFT_BYTES {
            break;
        }
        look.tick().await;
    }
    resident().saturating_sub(before)
}

/// Bytes of a page on the machines that this is built for.
const PAGE_BYTES: u64 = 4096;

/// Resident memory of this process in bytes (proc_pid_statm(5)).
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("read /proc/self/statm");
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("resident pages") * PAGE_BYTES
}
