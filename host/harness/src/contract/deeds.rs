//! Actions and writes: that they take, give and refuse what they should, and that a second try is the first one again.

use serde_json::{Value, json};
use sluice_broker::Said;
use sluice_model::fault::FaultKind;
use sluice_runtime::{PendingWrite, ReadRequest, WriteOp, WriteOutcome};
use sluice_service::schema::Schema;

use super::Verdict;
use crate::case::Act;
use crate::deed::{Came, Deed, What};
use crate::play::Play;
use crate::rehearsal::{Answered, Rehearsal};
use crate::tape::{Mark, Tape};

/// A name that no manifest has.
const NO_SUCH: &str = "no_such_name_is_declared";

pub(super) fn actions_fit(rehearsal: &Rehearsal, play: &Play) -> Verdict {
    let mut looked_at = 0;
    for deed in &play.deeds {
        let (What::Act { act, .. }, Ok(came)) = (&deed.what, &deed.came) else {
            continue;
        };
        looked_at += 1;
        // One that the account has is known by its code alone.
        let Some(action) = rehearsal.manifest.action(&act.name) else {
            continue;
        };
        let output = came.output.as_deref().unwrap_or_default();
        let fits = |place: &str, schema: &Value, value: &str| {
            let compiled = Schema::compile(place, schema).map_err(|error| error.to_string())?;
            let fits = compiled.check_text(value);
            fits.map_err(|violation| format!("{}: its {place}: {violation}", act.name))
        };
        let found = fits("input", &action.input, &act.input.to_string())
            .and_then(|()| fits("output", &action.output, output));
        if let Err(wrong) = found {
            return Verdict::failed("actions_fit", wrong);
        }
    }
    Verdict::over("actions_fit", looked_at, "actions", None)
}

pub(super) async fn writes_fit(rehearsal: &Rehearsal, play: &Play, tape: &Tape) -> Verdict {
    let mut looked_at = 0;
    for deed in &play.deeds {
        let What::Write { stream, writes } = &deed.what else {
            continue;
        };
        let wrong = match &deed.came {
            Err(problem) if problem.code == "guest.bad_value" => Some(problem.message.clone()),
            // Why there is no answer at all is told elsewhere.
            Err(_) => continue,
            Ok(came) => {
                looked_at += writes.len();
                match unfit(rehearsal, stream, writes, &came.outcomes) {
                    None => out_of_order(rehearsal, deed, came, tape).await,
                    wrong => wrong,
                }
            }
        };
        if let Some(wrong) = wrong {
            return Verdict::failed("writes_fit", format!("{stream}: {wrong}"));
        }
    }
    Verdict::over("writes_fit", looked_at, "writes", None)
}

/// Whether an outcome is about another record than its write, or no record of its stream.
fn unfit(
    rehearsal: &Rehearsal,
    stream: &str,
    writes: &[PendingWrite],
    outcomes: &[WriteOutcome],
) -> Option<String> {
    let schema = rehearsal.manifest.stream(stream);
    let schema = schema.map(|stream| Schema::compile(&stream.name, &stream.schema));
    let schema = match schema.transpose() {
        Ok(schema) => schema,
        Err(error) => return Some(error.to_string()),
    };
    for (number, (write, outcome)) in writes.iter().zip(outcomes).enumerate() {
        let item = match outcome {
            WriteOutcome::Done(item) | WriteOutcome::Conflict(Some(item)) => item,
            WriteOutcome::Conflict(None) | WriteOutcome::Failed(_) => continue,
        };
        let (meant, is_removed) = match &write.op {
            WriteOp::Create(_) => (None, false),
            WriteOp::Update(item) => (Some(&item.id), false),
            WriteOp::Delete(id) => (Some(id), true),
        };
        if meant.is_some_and(|meant| *meant != item.id) || item.id.is_empty() {
            let meant = meant.map_or("a new one", String::as_str);
            return Some(format!(
                "outcome {number} is of record `{}`, and the write is of {meant}",
                item.id
            ));
        }
        // Of what is gone there may be nothing left to tell.
        let checked = schema.as_ref().filter(|_| !is_removed);
        if let Some(Err(violation)) = checked.map(|schema| schema.check_text(&item.data)) {
            return Some(format!("outcome {number}: record `{}`: {violation}", item.id));
        }
    }
    None
}

/// Whether new records are told in another order than they were written in: each is made alone once more. What a vendor takes only
/// together was not recorded alone, and cannot be told apart.
async fn out_of_order(rehearsal: &Rehearsal, deed: &Deed, came: &Came, tape: &Tape) -> Option<String> {
    let What::Write { stream, writes } = &deed.what else {
        return None;
    };
    let is_new = |write: &&PendingWrite| matches!(write.op, WriteOp::Create(_));
    if writes.iter().filter(is_new).count() < 2 {
        return None;
    }
    for (number, (write, outcome)) in writes.iter().zip(&came.outcomes).enumerate() {
        let (true, WriteOutcome::Done(together)) = (is_new(&write), outcome) else {
            continue;
        };
        let alone = What::Write {
            stream: stream.clone(),
            writes: vec![write.clone()],
        };
        let (answered, _) = quietly(rehearsal, &alone, Some(deed), tape).await;
        let outcomes = answered.result.map(|came| came.outcomes);
        if let Ok([WriteOutcome::Done(item)]) = outcomes.as_deref()
            && item.id != together.id
        {
            return Some(format!(
                "outcome {number} is record `{}`, and alone the write makes `{}`",
                together.id, item.id
            ));
        }
    }
    None
}

pub(super) async fn keys_hold(
    rehearsal: &Rehearsal,
    later: Option<&Rehearsal>,
    play: &Play,
    tape: &Tape,
) -> Verdict {
    let mut tried = 0;
    for deed in play.deeds.iter().filter(|deed| deed.came.is_ok()) {
        let Some(later) = later else { continue };
        tried += 1;
        let (_, first) = quietly(rehearsal, &deed.what, Some(deed), tape).await;
        let (_, second) = quietly(later, &deed.what, Some(deed), tape).await;
        if let Some(wrong) = other(&first, &second) {
            return Verdict::failed("keys_hold", format!("{}: {wrong}", deed.what.told()));
        }
    }
    Verdict::over("keys_hold", tried, "writes and actions", None)
}

/// How the second try differs from the first.
fn other(first: &[Said], second: &[Said]) -> Option<String> {
    if first.len() != second.len() {
        return Some(format!(
            "the second try makes {} requests, and the first made {}",
            second.len(),
            first.len()
        ));
    }
    let (one, other) = first.iter().zip(second).find(|(one, other)| one != other)?;
    let place = format!("{} {}", one.method, one.url);
    if (&one.method, &one.url) != (&other.method, &other.url) {
        return Some(format!(
            "the second try asks {} {}, not {place}",
            other.method, other.url
        ));
    }
    if one.body != other.body {
        return Some(format!("{place}: the second try has another body"));
    }
    let name = one
        .headers
        .iter()
        .zip(&other.headers)
        .find(|(one, other)| one != other);
    let name = name.map_or("one more header", |((name, _), _)| name.as_str());
    Some(format!("{place}: the second try differs in its header `{name}`"))
}

pub(super) async fn unknown(rehearsal: &Rehearsal, tape: &Tape) -> Verdict {
    let manifest = &rehearsal.manifest;
    let create = |stream: &str| What::Write {
        stream: stream.to_owned(),
        writes: vec![PendingWrite {
            op: WriteOp::Create("{}".to_owned()),
            idempotency_key: "rehearsal".to_owned(),
            expect_revision: None,
        }],
    };
    let mut wrong = Vec::new();
    let act = Act {
        name: NO_SUCH.to_owned(),
        input: json!({}),
    };
    let key = "rehearsal".to_owned();
    let mut tried = vec![("an action that is not there", What::Act { act, key })];
    // An account may have streams of any name.
    if manifest.discovered.is_none() {
        tried.push(("a write to a stream that is not there", create(NO_SUCH)));
        wrong.extend(unknown_read(rehearsal, tape).await);
    }
    if let Some(stream) = manifest.streams.iter().find(|stream| stream.writes.is_empty()) {
        tried.push(("a write to a stream that is only read", create(&stream.name)));
    }
    let count = tried.len() + usize::from(manifest.discovered.is_none());
    for (what, put) in tried {
        let (answered, said) = quietly(rehearsal, &put, None, tape).await;
        wrong.extend(not_unsupported(&answered, said.len()).map(|how| format!("{what} {how}")));
    }
    Verdict::over("unknown", count, "names", wrong.into_iter().next())
}

async fn unknown_read(rehearsal: &Rehearsal, tape: &Tape) -> Option<String> {
    let mut session = rehearsal.session();
    let request = ReadRequest {
        stream: NO_SUCH.to_owned(),
        page_hint: rehearsal.case.page_hint,
        ..ReadRequest::default()
    };
    tape.rewind(&Mark::default());
    tape.listen();
    let outcome = rehearsal.runtime.read(rehearsal.call(&session), request).await;
    let asked = tape.heard_so_far().len();
    let answered = rehearsal.take(&mut session, outcome);
    not_unsupported(&answered, asked).map(|how| format!("reading a stream that is not there {how}"))
}

fn not_unsupported<T>(answered: &Answered<T>, asked: usize) -> Option<String> {
    let told = match (&answered.result, &answered.fault) {
        (_, Some(fault)) if fault.kind == FaultKind::Unsupported && asked == 0 => return None,
        (_, Some(fault)) if fault.kind == FaultKind::Unsupported => {
            return Some("asks the vendor before it is refused".to_owned());
        }
        (Ok(_), _) => "an answer".to_owned(),
        (Err(problem), _) => problem.code.clone(),
    };
    Some(format!("is {told}; it has to be guest.unsupported"))
}

/// Does it once more, as at the deed where there is one, and says what was asked.
async fn quietly(
    rehearsal: &Rehearsal,
    what: &What,
    as_at: Option<&Deed>,
    tape: &Tape,
) -> (Answered<Came>, Vec<Said>) {
    let mut session = rehearsal.session();
    match as_at {
        Some(deed) => {
            session.storage.clone_from(&deed.session.storage);
            tape.rewind(&deed.mark);
        }
        None => tape.rewind(&Mark::default()),
    }
    tape.listen();
    let answered = what.put(rehearsal, &mut session).await;
    (answered, tape.heard_so_far())
}
