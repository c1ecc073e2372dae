//! Webhooks that nobody expects: of an event that the vendor added since, and with a body that is none.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_model::fault::FaultKind;
use sluice_model::manifest::Webhook;
use sluice_runtime::{Handled, Receipt};

use super::{Verdict, hooks};
use crate::play::{Play, of_handled};
use crate::rehearsal::Rehearsal;
use crate::tape::{Mark, Tape};

/// An event that no vendor has.
const NO_SUCH: &str = "sluice_no_such_event";
/// How deep in a body the kind of an event is looked for.
const MAX_DEPTH: usize = 4;
/// The shortest word that is taken for a part of a kind.
const MIN_WORD: usize = 3;

/// Bodies that are no vendor's; what was sent, cut in the middle, is one more.
const NONSENSE: &[(&str, &[u8])] = &[
    ("an empty body", b""),
    ("a body that is no text", b"\xff\xfe\x00\x80"),
    ("a body of something else", b"\"sluice\""),
];

pub(super) async fn unknown_event(rehearsal: &Rehearsal, play: &Play, tape: &Tape) -> Verdict {
    let mut tried = 0;
    for ((receipt, handled), hook) in play.hooks.iter().zip(&rehearsal.case.hooks) {
        let (Some(webhook), Ok(handled)) = (crate::hook::webhook(&rehearsal.manifest, hook), handled) else {
            continue;
        };
        let Some(strange) = of_another_kind(receipt, webhook, handled) else {
            continue;
        };
        tried += 1;
        tape.rewind(&Mark::default());
        tape.listen();
        let answered = hooks::put(rehearsal, &mut rehearsal.session(), &strange).await;
        drop(tape.heard_so_far());
        let wrong = match &answered.result {
            Ok(handled) => hooks::declared(&rehearsal.manifest, webhook, handled).err(),
            Err(problem) => Some(format!("{}: {}", problem.code, problem.message)),
        };
        if let Some(wrong) = wrong {
            let wrong = format!("{}, of a kind that nobody declared: {wrong}", hook.name);
            return Verdict::failed("hooks_unknown", wrong);
        }
    }
    Verdict::over("hooks_unknown", tried, "webhooks that say their kind", None)
}

/// The same with another kind, where the header says it or the body does.
fn of_another_kind(receipt: &Receipt, webhook: &Webhook, handled: &Handled) -> Option<Receipt> {
    let mut strange = receipt.clone();
    if let Some(name) = &webhook.event_header {
        let (_, value) = strange.headers.iter_mut().find(|(header, _)| header == name)?;
        NO_SUCH.clone_into(value);
        return Some(strange);
    }
    let mut body: Value = serde_json::from_slice(&receipt.body).ok()?;
    let told = handled.events.iter().map(|event| event.kind.as_str());
    let declared = webhook.events.iter().map(|event| event.kind.as_str());
    let kinds: BTreeSet<_> = told.chain(declared).collect();
    let is_kind = |text: &str| kinds.iter().any(|kind| kind.eq_ignore_ascii_case(text));
    // A kind that is made of several words may stand in several places.
    let words: BTreeSet<_> = handled
        .events
        .iter()
        .flat_map(|event| event.kind.split(['.', '_', ':', '/']))
        .collect();
    let is_word =
        |text: &str| text.len() >= MIN_WORD && words.iter().any(|word| word.eq_ignore_ascii_case(text));
    let is_changed = rename(&mut body, MAX_DEPTH, &is_kind) > 0 || rename(&mut body, 1, &is_word) > 0;
    strange.body = serde_json::to_vec(&body).ok()?;
    is_changed.then_some(strange)
}

/// Gives every text that is meant another value, so deep; says how many there were.
fn rename(value: &mut Value, depth: usize, is_meant: &dyn Fn(&str) -> bool) -> usize {
    match value {
        Value::String(text) if is_meant(text) => {
            NO_SUCH.clone_into(text);
            1
        }
        Value::Object(members) if depth > 0 => {
            let members = members.values_mut();
            members.map(|value| rename(value, depth - 1, is_meant)).sum()
        }
        Value::Array(elements) if depth > 0 => {
            let elements = elements.iter_mut();
            elements.map(|value| rename(value, depth - 1, is_meant)).sum()
        }
        _ => 0,
    }
}

pub(super) async fn malformed(rehearsal: &Rehearsal, play: &Play, tape: &Tape) -> Verdict {
    let mut tried = 0;
    for ((receipt, handled), hook) in play.hooks.iter().zip(&rehearsal.case.hooks) {
        let Ok(handled) = handled else { continue };
        let (half, _) = receipt.body.split_at(receipt.body.len() / 2);
        let bodies = std::iter::once(("a body that is cut off", half)).chain(NONSENSE.iter().copied());
        for (what, body) in bodies.filter(|(_, body)| *body != receipt.body) {
            tried += 1;
            let strange = Receipt {
                body: body.to_vec(),
                ..receipt.clone()
            };
            tape.rewind(&Mark::default());
            tape.listen();
            let answered = hooks::put(rehearsal, &mut rehearsal.session(), &strange).await;
            drop(tape.heard_so_far());
            let wrong = match (&answered.result, &answered.fault) {
                (_, Some(fault)) if is_fit(fault.kind) => None,
                // Whose body is not read means the same with any.
                (Ok(found), _) if of_handled(found) == of_handled(handled) => None,
                (Ok(_), _) => Some("is passed over, and lost with all that it told".to_owned()),
                (Err(problem), _) => Some(format!(
                    "is {}: {}; it has to be guest.invalid_data",
                    problem.code, problem.message
                )),
            };
            if let Some(wrong) = wrong {
                return Verdict::failed("hooks_malformed", format!("{}: {what} {wrong}", hook.name));
            }
        }
    }
    Verdict::over("hooks_malformed", tried, "bodies", None)
}

const fn is_fit(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::InvalidData | FaultKind::Unsupported)
}
