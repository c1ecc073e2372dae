//! One play of a case: whose account it is, every page of every stream, actions and webhooks; and what came of each, in plain data.

use serde_json::{Map, Value, json};
use sluice_model::exchange::Exchange;
use sluice_model::manifest::Stream;
use sluice_model::record::Change;
use sluice_model::run::Mode;
use sluice_runtime::{Handled, Page, ReadRequest, Receipt};

use crate::case::Place;
use crate::deed::{Deed, What, of_outcome};
use crate::error::Error;
use crate::hook;
use crate::rehearsal::{Answered, Problem, Rehearsal, Session};
use crate::tape::{Mark, Tape};

/// What a play saw.
#[derive(Debug, Default)]
pub(crate) struct Play {
    /// What came of it, in the order in which it was done.
    pub(crate) transcript: Map<String, Value>,
    pub(crate) legs: Vec<Leg>,
    pub(crate) deeds: Vec<Deed>,
    pub(crate) hooks: Vec<(Receipt, Result<Handled, Problem>)>,
    /// Requests that were refused as not declared.
    pub(crate) strayed: Vec<String>,
    /// What failed: what it was, and why.
    pub(crate) failed: Vec<(String, Problem)>,
    /// The most memory that one call had, in bytes.
    pub(crate) memory_bytes: u64,
    /// The most requests that one call made.
    pub(crate) requests: usize,
    pub(crate) logs: Vec<String>,
    /// What was asked, as far as it is told.
    pub(crate) exchanges: Vec<Exchange>,
}

/// Exchanges of a play that are told.
const MAX_EXCHANGES: usize = 1_000;

/// One stream, or one partition of it, from its beginning on.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) stream: String,
    pub(crate) partition: Option<String>,
    pub(crate) steps: Vec<Step>,
    /// Whether its last page says that there is no more.
    pub(crate) ended: bool,
}

/// One page, and where it was asked from.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) from: Option<String>,
    pub(crate) page: Page,
    pub(crate) session: Session,
    pub(crate) mark: Mark,
}

/// How far the road was played; nothing where it is not a tape.
pub(crate) fn mark(tape: Option<&Tape>) -> Mark {
    tape.map(Tape::mark).unwrap_or_default()
}

impl Leg {
    pub(crate) fn name(&self) -> String {
        match &self.partition {
            Some(partition) => format!("{} of {partition}", self.stream),
            None => self.stream.clone(),
        }
    }
}

impl Play {
    pub(crate) async fn run(
        rehearsal: &Rehearsal,
        place: &Place,
        tape: Option<&Tape>,
    ) -> Result<Self, Error> {
        let mut play = Self::default();
        let mut session = rehearsal.session();
        play.account(rehearsal, &mut session).await;
        play.streams(rehearsal, &mut session, tape).await;
        play.actions(rehearsal, &mut session, tape).await;
        play.writes(rehearsal, &mut session, tape).await;
        play.hooks(rehearsal, &mut session, place).await?;
        Ok(play)
    }

    async fn account(&mut self, rehearsal: &Rehearsal, session: &mut Session) {
        let outcome = rehearsal.runtime.check(rehearsal.call(session)).await;
        let answered = rehearsal.take(session, outcome);
        let value = match self.note("account", answered) {
            Ok(account) => json!({"id": account.id, "name": account.name, "scopes": account.scopes}),
            Err(problem) => problem.value(),
        };
        self.transcript.insert("account".to_owned(), value);
    }

    async fn streams(&mut self, rehearsal: &Rehearsal, session: &mut Session, tape: Option<&Tape>) {
        let manifest = &rehearsal.manifest;
        let is_meant = |stream: &&Stream| {
            let named = rehearsal.case.streams.as_ref();
            named.is_none_or(|named| named.contains(&stream.name))
        };
        let mut all = Map::new();
        for stream in manifest.streams.iter().filter(is_meant) {
            let mut partitions = vec![None];
            if stream.partitioned {
                let outcome = rehearsal
                    .runtime
                    .partitions(rehearsal.call(session), stream.name.clone())
                    .await;
                let answered = rehearsal.take(session, outcome);
                match self.note(&format!("the partitions of {}", stream.name), answered) {
                    Ok(found) => partitions = found.into_iter().map(Some).collect(),
                    Err(problem) => {
                        all.insert(stream.name.clone(), problem.value());
                        continue;
                    }
                }
                if partitions.is_empty() {
                    partitions.push(None);
                }
            }
            let mut legs = Vec::new();
            for partition in partitions {
                legs.push(self.leg(rehearsal, session, (stream, partition), tape).await);
            }
            all.insert(stream.name.clone(), Value::Array(legs));
        }
        self.transcript.insert("streams".to_owned(), Value::Object(all));
    }

    async fn leg(
        &mut self,
        rehearsal: &Rehearsal,
        session: &mut Session,
        (stream, partition): (&Stream, Option<String>),
        tape: Option<&Tape>,
    ) -> Value {
        let mut leg = Leg {
            stream: stream.name.clone(),
            partition,
            steps: Vec::new(),
            ended: false,
        };
        let name = leg.name();
        let (mut cursor, mut pages) = (None, Vec::new());
        for _ in 0..rehearsal.case.max_pages {
            match self.step(rehearsal, session, &leg, cursor.clone(), tape).await {
                Ok(step) => {
                    pages.push(of_page(&step.page));
                    if step.page.cursor.is_some() {
                        cursor.clone_from(&step.page.cursor);
                    }
                    leg.ended = !step.page.more;
                    leg.steps.push(step);
                }
                Err(problem) => {
                    pages.push(problem.value());
                    self.failed.push((name.clone(), problem));
                    break;
                }
            }
            if leg.ended {
                break;
            }
        }
        let mut told = Map::new();
        if let Some(partition) = &leg.partition {
            told.insert("partition".to_owned(), json!(partition));
        }
        told.insert("pages".to_owned(), Value::Array(pages));
        // What comes next time, right after: mostly nothing.
        if leg.ended && stream.modes.contains(&Mode::Incremental) && cursor.is_some() {
            let again = self.step(rehearsal, session, &leg, cursor, tape).await;
            let value = match again {
                Ok(step) => of_page(&step.page),
                Err(problem) => {
                    let value = problem.value();
                    self.failed.push((format!("{name}, the next time"), problem));
                    value
                }
            };
            told.insert("next_time".to_owned(), value);
        }
        self.legs.push(leg);
        Value::Object(told)
    }

    async fn step(
        &mut self,
        rehearsal: &Rehearsal,
        session: &mut Session,
        leg: &Leg,
        from: Option<String>,
        tape: Option<&Tape>,
    ) -> Result<Step, Problem> {
        let (mark, before) = (mark(tape), session.clone());
        let request = ReadRequest {
            stream: leg.stream.clone(),
            partition: leg.partition.clone(),
            cursor: from.clone(),
            window: None,
            page_hint: rehearsal.case.page_hint,
        };
        let outcome = rehearsal.runtime.read(rehearsal.call(session), request).await;
        let page = self.see(rehearsal.take(session, outcome))?;
        Ok(Step {
            from,
            page,
            session: before,
            mark,
        })
    }

    async fn actions(&mut self, rehearsal: &Rehearsal, session: &mut Session, tape: Option<&Tape>) {
        let mut all = Vec::new();
        for what in What::actions(&rehearsal.case) {
            let name = what.name();
            let value = match self.deed(rehearsal, session, what, tape).await {
                Ok(came) => json!({"name": name, "output": came.output.as_deref().map(parsed)}),
                Err(problem) => named(&name, problem.value()),
            };
            all.push(value);
        }
        if !all.is_empty() {
            self.transcript.insert("actions".to_owned(), Value::Array(all));
        }
    }

    async fn writes(&mut self, rehearsal: &Rehearsal, session: &mut Session, tape: Option<&Tape>) {
        let mut all = Vec::new();
        for what in What::writes(&rehearsal.case) {
            let stream = what.name();
            let value = match self.deed(rehearsal, session, what, tape).await {
                Ok(came) => {
                    let outcomes: Vec<_> = came.outcomes.iter().map(of_outcome).collect();
                    json!({"stream": stream, "outcomes": outcomes})
                }
                Err(problem) => {
                    let mut value = problem.value();
                    if let Some(members) = value.as_object_mut() {
                        members.insert("stream".to_owned(), json!(stream));
                    }
                    value
                }
            };
            all.push(value);
        }
        if !all.is_empty() {
            self.transcript.insert("writes".to_owned(), Value::Array(all));
        }
    }

    async fn deed(
        &mut self,
        rehearsal: &Rehearsal,
        session: &mut Session,
        what: What,
        tape: Option<&Tape>,
    ) -> Result<crate::deed::Came, Problem> {
        let (mark, before) = (mark(tape), session.clone());
        let answered = what.put(rehearsal, session).await;
        let came = self.note(&what.told(), answered);
        self.deeds.push(Deed {
            what,
            came: came.clone(),
            session: before,
            mark,
        });
        came
    }

    async fn hooks(
        &mut self,
        rehearsal: &Rehearsal,
        session: &mut Session,
        place: &Place,
    ) -> Result<(), Error> {
        let mut all = Vec::new();
        for given in &rehearsal.case.hooks {
            let receipt = hook::receipt(rehearsal, place, given)?;
            let outcome = rehearsal
                .runtime
                .handle(rehearsal.call(session), receipt.clone())
                .await;
            let answered = rehearsal.take(session, outcome);
            let handled = self.note(&format!("webhook {}", given.name), answered);
            let mut value = match &handled {
                Ok(handled) => of_handled(handled),
                Err(problem) => problem.value(),
            };
            if let Some(routed) = hook::route(rehearsal, given, &receipt).await {
                let routed = self.note(&format!("the accounts of webhook {}", given.name), routed);
                let accounts = routed.map_or_else(|problem| problem.value(), |accounts| json!(accounts));
                if let Some(members) = value.as_object_mut() {
                    members.insert("accounts".to_owned(), accounts);
                }
            }
            self.hooks.push((receipt, handled));
            all.push(named(&given.name, value));
        }
        if !all.is_empty() {
            self.transcript.insert("webhooks".to_owned(), Value::Array(all));
        }
        Ok(())
    }

    /// Sees what a call did, and notes it where it failed.
    fn note<T>(&mut self, what: &str, answered: Answered<T>) -> Result<T, Problem> {
        self.see(answered)
            .inspect_err(|problem| self.failed.push((what.to_owned(), problem.clone())))
    }

    fn see<T>(&mut self, answered: Answered<T>) -> Result<T, Problem> {
        self.memory_bytes = self.memory_bytes.max(answered.memory_bytes);
        self.requests = self.requests.max(answered.exchanges.len());
        self.strayed.extend(answered.exchanges.iter().filter_map(strayed));
        self.logs.extend(answered.logs);
        let left = MAX_EXCHANGES.saturating_sub(self.exchanges.len());
        self.exchanges.extend(answered.exchanges.into_iter().take(left));
        answered.result
    }
}

/// A request that was refused because nobody declared it.
pub(crate) fn strayed(exchange: &Exchange) -> Option<String> {
    let code = exchange.error.as_deref()?;
    let refused = matches!(
        code,
        "egress.denied" | "egress.redirect_denied" | "secret.origin_mismatch"
    );
    refused.then(|| format!("{} {} ({code})", exchange.method, exchange.url))
}

impl Problem {
    pub(crate) fn value(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message}})
    }
}

fn named(name: &str, mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.insert("name".to_owned(), json!(name));
    }
    value
}

pub(crate) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn of_change(change: &Change) -> Value {
    match change {
        Change::Upsert(item) => {
            let modified = item.modified.map(|at| at.to_string());
            json!({"id": item.id, "modified": modified, "data": parsed(&item.data)})
        }
        Change::Delete(id) => json!({"id": id, "deleted": true}),
    }
}

fn of_page(page: &Page) -> Value {
    let changes: Vec<_> = page.changes.iter().map(of_change).collect();
    json!({"changes": changes, "cursor": page.cursor.as_deref().map(parsed), "more": page.more})
}

pub(crate) fn of_handled(handled: &Handled) -> Value {
    let events: Vec<_> = handled
        .events
        .iter()
        .map(|event| {
            let occurred = event.occurred.map(|at| at.to_string());
            json!({"kind": event.kind, "id": event.id, "occurred": occurred, "data": parsed(&event.data)})
        })
        .collect();
    let changes: Vec<_> = handled
        .changes
        .iter()
        .map(|(stream, change)| json!({"stream": stream, "change": of_change(change)}))
        .collect();
    let reply = handled.reply.as_ref().map(|reply| {
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        json!({"status": reply.status, "content_type": reply.content_type, "body": body})
    });
    json!({"events": events, "changes": changes, "resync": handled.resync, "reply": reply})
}
