//! Pages: that they end, fit, come again as they were, and can be begun anywhere.

use std::collections::HashSet;

use sluice_model::record::MAX_ID_BYTES;
use sluice_runtime::{Page, ReadRequest};
use sluice_service::schema::Schema;

use super::Verdict;
use crate::play::{Leg, Play, Step};
use crate::rehearsal::{Rehearsal, Session};
use crate::tape::Tape;

/// Pages of one stream that are begun at, or read twice: as many as tell, however long a cassette is.
const MAX_TRIED: usize = 20;

pub(super) fn pages_end(rehearsal: &Rehearsal, play: &Play) -> Verdict {
    let wrong = play
        .legs
        .iter()
        .filter(|leg| !leg.steps.is_empty())
        .find_map(|leg| {
            let mut seen = HashSet::new();
            let stands = leg.steps.iter().filter(|step| step.page.more).find(|step| {
                // Where nothing says otherwise the next page is asked for from the same place.
                let next = step.page.cursor.as_ref().or(step.from.as_ref());
                !seen.insert(next.cloned())
            });
            if let Some(step) = stands {
                let cursor = step.page.cursor.as_ref().or(step.from.as_ref());
                let cursor = cursor.map_or("no cursor", String::as_str);
                return Some(format!(
                    "{}: two pages lead on to the same place, {cursor}",
                    leg.name()
                ));
            }
            let is_long = leg.steps.len() >= usize::try_from(rehearsal.case.max_pages).unwrap_or(usize::MAX);
            (is_long && !leg.ended).then(|| {
                format!(
                    "{}: there is more after {} pages; raise max_pages in case.toml if that is so",
                    leg.name(),
                    leg.steps.len()
                )
            })
        });
    let pages = play.legs.iter().map(|leg| leg.steps.len()).sum();
    Verdict::over("pages_end", pages, "pages", wrong)
}

pub(super) fn records_fit(rehearsal: &Rehearsal, play: &Play) -> Verdict {
    let mut looked_at = 0;
    for leg in &play.legs {
        let Some(stream) = rehearsal.manifest.stream(&leg.stream) else {
            continue;
        };
        let schema = match Schema::compile(&stream.name, &stream.schema) {
            Ok(schema) => schema,
            Err(error) => return Verdict::failed("records_fit", error.to_string()),
        };
        for change in leg.steps.iter().flat_map(|step| &step.page.changes) {
            looked_at += 1;
            let id = change.id();
            if id.is_empty() || id.len() > MAX_ID_BYTES {
                let wrong = format!("{}: an id of {} bytes", leg.name(), id.len());
                return Verdict::failed("records_fit", wrong);
            }
            let sluice_model::record::Change::Upsert(item) = change else {
                continue;
            };
            if let Err(violation) = schema.check_text(&item.data) {
                return Verdict::failed("records_fit", format!("{}: record {id}: {violation}", leg.name()));
            }
        }
    }
    Verdict::over("records_fit", looked_at, "records", None)
}

pub(super) async fn rereads(rehearsal: &Rehearsal, play: &Play, tape: &Tape) -> Verdict {
    let mut tried = 0;
    for leg in &play.legs {
        for step in spread(&leg.steps) {
            tried += 1;
            tape.rewind(&step.mark);
            let mut session = again(rehearsal, step);
            let read = read(rehearsal, &mut session, leg, step.from.clone()).await;
            if let Err(wrong) = read.and_then(|page| compare(&step.page, &page)) {
                let wrong = format!("{}, {}: {wrong}", leg.name(), place(step));
                return Verdict::failed("rereads", wrong);
            }
        }
    }
    Verdict::over("rereads", tried, "pages", None)
}

pub(super) async fn resumes(rehearsal: &Rehearsal, play: &Play, tape: &Tape) -> Verdict {
    let mut tried = 0;
    for leg in &play.legs {
        let later = leg.steps.get(1..).unwrap_or_default();
        for begun in spread(later) {
            tried += 1;
            tape.rewind(&begun.mark);
            let mut session = again(rehearsal, begun);
            let rest = later.iter().skip_while(|step| step.from != begun.from);
            for step in rest {
                let read = read(rehearsal, &mut session, leg, step.from.clone()).await;
                if let Err(wrong) = read.and_then(|page| compare(&step.page, &page)) {
                    let wrong = format!("{}, begun at {}: {wrong}", leg.name(), place(begun));
                    return Verdict::failed("resumes", wrong);
                }
            }
        }
    }
    Verdict::over("resumes", tried, "later pages", None)
}

/// The connection as it was before this page, as far as it is kept.
fn again(rehearsal: &Rehearsal, step: &Step) -> Session {
    let mut session = rehearsal.session();
    session.storage.clone_from(&step.session.storage);
    session.files.clone_from(&step.session.files);
    session
}

async fn read(
    rehearsal: &Rehearsal,
    session: &mut Session,
    leg: &Leg,
    from: Option<String>,
) -> Result<Page, String> {
    let request = ReadRequest {
        stream: leg.stream.clone(),
        partition: leg.partition.clone(),
        cursor: from,
        window: None,
        page_hint: rehearsal.case.page_hint,
    };
    let outcome = rehearsal.runtime.read(rehearsal.call(session), request).await;
    let answered = rehearsal.take(session, outcome);
    answered
        .result
        .map_err(|problem| format!("{}: {}", problem.code, problem.message))
}

fn compare(expected: &Page, found: &Page) -> Result<(), String> {
    if expected.changes != found.changes {
        let pairs = expected.changes.iter().zip(&found.changes);
        let other = pairs.into_iter().find(|(one, other)| one != other);
        return Err(match other {
            Some((one, _)) => format!("record {} is another", one.id()),
            None => format!(
                "it has {} records, and had {}",
                found.changes.len(),
                expected.changes.len()
            ),
        });
    }
    if (&expected.cursor, expected.more) != (&found.cursor, found.more) {
        return Err("it leads on to another place".to_owned());
    }
    Ok(())
}

fn place(step: &Step) -> String {
    match &step.from {
        Some(cursor) => {
            let short: String = cursor.chars().take(80).collect();
            format!("the page at {short}")
        }
        None => "the first page".to_owned(),
    }
}

/// So many of the steps, evenly.
fn spread(steps: &[Step]) -> impl Iterator<Item = &Step> {
    let every = steps.len().div_ceil(MAX_TRIED).max(1);
    steps.iter().step_by(every)
}
