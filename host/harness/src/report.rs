//! A case from one end to the other: played from its cassette, or recorded at the vendor; and what is said of it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use sluice_broker::redact;
use sluice_model::clock::Clock;
use sluice_model::exchange::Exchange;
use sluice_model::secret::Secret;
use sluice_model::{SystemClock, Timestamp};

use crate::case::{Case, Place, bounded};
use crate::cassette::{self, Cassette};
use crate::contract::{self, Found, Verdict};
use crate::error::Error;
use crate::play::Play;
use crate::recorder::{Recorder, Stage};
use crate::rehearsal::{Rehearsal, Subject, With};
use crate::tape::{Mark, Miss, Tape};
use crate::vault::Given;

/// What is said of a case.
#[derive(Debug, Clone)]
pub struct Report {
    pub case: String,
    pub verdicts: Vec<Verdict>,
    /// Requests that were not recorded.
    pub misses: Vec<Miss>,
    /// Recorded requests that were never asked.
    pub unplayed: Vec<String>,
    /// The last lines of the connector's log.
    pub logs: Vec<String>,
    pub records: usize,
    /// What was asked in the first play, redacted.
    pub exchanges: Vec<Exchange>,
}

/// What to do with what comes of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Golden {
    /// It is compared with what was expected.
    Compare,
    /// It is what is expected from now on.
    Bless,
}

/// Lines of the connector's log that are told.
const MAX_LOGS: usize = 20;
/// Differences that are told.
const MAX_DIFFERENCES: usize = 8;
/// Bytes of what was expected.
const MAX_EXPECTED: u64 = 256 << 20;

impl Report {
    /// Whether no test failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.verdicts
            .iter()
            .all(|verdict| verdict.outcome != Found::Failed)
    }
}

/// Plays a case from its cassette, offline, and says what is found.
///
/// # Errors
///
/// [`Error`], where there is nothing to play or the connector cannot be loaded.
pub async fn play(subject: Subject, place: &Place, golden: Golden) -> Result<Report, Error> {
    let cassette = Cassette::read(&place.cassette())?;
    let case = place.read()?;
    let (now, tape) = (cassette.recorded(), Arc::new(Tape::new(cassette)));
    let road = || Arc::clone(&tape) as Arc<_>;
    let rehearsal = Rehearsal::open(subject.clone(), case, now, road(), With::Cassette).await?;
    let play = Play::run(&rehearsal, place, Some(&tape)).await?;
    let unplayed = tape.unplayed();
    let mut verdicts = contract::of_play(&rehearsal, &play);
    tape.rewind(&Mark::default());
    let second = Play::run(&rehearsal, place, Some(&tape)).await?;
    verdicts.push(if second.transcript == play.transcript {
        Verdict::passed("repeats", "played twice")
    } else {
        let first = difference(
            &Value::Object(play.transcript.clone()),
            &Value::Object(second.transcript),
        );
        Verdict::failed("repeats", format!("the second time, {}", first.join("; ")))
    });
    verdicts.extend(contract::of_repeats(&rehearsal, &play, &tape).await);
    let later = match play.deeds.is_empty() {
        true => None,
        false => Some(Rehearsal::later(subject, rehearsal.case.clone(), now, road()).await?),
    };
    verdicts.push(contract::of_later(&rehearsal, later.as_ref(), &play, &tape).await);
    let (misses, missed) = tape.misses();
    verdicts.push(if missed == 0 {
        Verdict::passed("recorded", "no other request was made")
    } else {
        let first = misses.first().map(told).unwrap_or_default();
        Verdict::failed("recorded", first)
    });
    verdicts.push(compare(place, &Value::Object(play.transcript.clone()), golden)?);
    let records = records(&play);
    Ok(Report {
        case: place.name(),
        verdicts: in_order(verdicts, &rehearsal.case),
        misses,
        unplayed,
        logs: last(play.logs),
        records,
        exchanges: play.exchanges,
    })
}

/// What a recording came to.
#[derive(Debug, Clone)]
pub struct Recording {
    pub exchanges: usize,
    pub records: usize,
    /// What failed: what it was, and why. It is recorded as well, since an error is an answer too.
    pub failed: Vec<String>,
}

/// Does a case at the vendor itself, or at who plays it, and keeps what was said. The credential is on the requests and nowhere else.
///
/// # Errors
///
/// [`Error`], where nothing was recorded; what was kept before stays then.
pub async fn record(
    subject: Subject,
    place: &Place,
    stage: Stage,
    given: &Given,
) -> Result<Recording, Error> {
    let case = place.read()?;
    let now: Timestamp = SystemClock.now();
    let road = Arc::new(Recorder::new(stage));
    let secrets = secrets(&subject, &case, given);
    let with = With::Vendor(given);
    let rehearsal = Rehearsal::open(subject, case, now, Arc::clone(&road) as Arc<_>, with).await?;
    let play = Play::run(&rehearsal, place, None).await?;
    let cassette = Cassette::new(now, road.take());
    let text = cassette.text().unwrap_or_default();
    let expected = pretty(&Value::Object(play.transcript.clone()));
    for text in [&text, &expected] {
        let all = secrets.iter().map(|(name, secret)| (name.as_str(), secret));
        if let Some(name) = redact::shown(all, text) {
            return Err(Error::Shown {
                name: name.to_owned(),
            });
        }
    }
    cassette.write(&place.cassette())?;
    cassette::write(&place.expected(), &expected)?;
    let failed = play
        .failed
        .iter()
        .map(|(what, problem)| format!("{what}: {}: {}", problem.code, problem.message));
    Ok(Recording {
        exchanges: cassette.exchanges.len(),
        records: records(&play),
        failed: failed.collect(),
    })
}

/// What must not be seen: every part that is not said to be for everybody.
fn secrets(subject: &Subject, case: &Case, given: &Given) -> Vec<(String, Secret)> {
    let scheme = match &case.auth {
        Some(name) => subject.manifest.auth(name),
        None => subject.manifest.auth.first(),
    };
    let is_open = |name: &str| {
        let part = scheme.and_then(|scheme| scheme.parts.iter().find(|part| part.name == name));
        part.is_some_and(|part| !part.secret)
    };
    let secret = given.iter().filter(|(name, _)| !is_open(name));
    secret
        .map(|(name, secret)| (name.clone(), secret.clone()))
        .collect()
}

fn records(play: &Play) -> usize {
    let pages = play.legs.iter().flat_map(|leg| &leg.steps);
    pages.map(|step| step.page.changes.len()).sum()
}

/// In the order of the list; what the case leaves out is left out, with its reason.
fn in_order(mut verdicts: Vec<Verdict>, case: &Case) -> Vec<Verdict> {
    for verdict in &mut verdicts {
        if let Some(reason) = case.skip.get(verdict.check) {
            *verdict = Verdict::skipped(verdict.check, reason.clone());
        }
    }
    let rank = |check: &str| contract::CHECKS.iter().position(|(name, _)| *name == check);
    verdicts.sort_by_key(|verdict| rank(verdict.check));
    verdicts
}

fn told(miss: &Miss) -> String {
    match &miss.nearest {
        Some((nearest, how)) => format!("{} was not recorded; nearest is {nearest}: {how}", miss.asked),
        None => format!("{} was not recorded, nor anything at its host", miss.asked),
    }
}

fn last(mut logs: Vec<String>) -> Vec<String> {
    let first = logs.len().saturating_sub(MAX_LOGS);
    logs.split_off(first)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn compare(place: &Place, transcript: &Value, golden: Golden) -> Result<Verdict, Error> {
    let path = place.expected();
    let is_there = Path::is_file(&path);
    if golden == Golden::Bless {
        let text = pretty(transcript);
        let is_same = is_there && fs::read_to_string(&path).is_ok_and(|before| before == text);
        if !is_same {
            cassette::write(&path, &text)?;
        }
        let detail = if is_same {
            "as it was"
        } else {
            "expected.json is written anew"
        };
        return Ok(Verdict::passed("golden", detail));
    }
    if !is_there {
        return Ok(Verdict::skipped(
            "golden",
            "there is no expected.json: --bless writes it",
        ));
    }
    let bytes = bounded(&path, MAX_EXPECTED)?;
    let Ok(expected) = serde_json::from_slice::<Value>(&bytes) else {
        return Ok(Verdict::failed(
            "golden",
            "expected.json is no JSON: --bless writes it anew",
        ));
    };
    let differences = difference(&expected, transcript);
    Ok(if differences.is_empty() {
        Verdict::passed("golden", "expected.json")
    } else {
        Verdict::failed("golden", differences.join("; "))
    })
}

/// Where two values differ, at most so many places.
fn difference(expected: &Value, found: &Value) -> Vec<String> {
    let mut all = Vec::new();
    differ(expected, found, String::new(), &mut all);
    all
}

fn differ(expected: &Value, found: &Value, at: String, all: &mut Vec<String>) {
    if expected == found || all.len() >= MAX_DIFFERENCES {
        return;
    }
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one
                .keys()
                .chain(other.keys().filter(|name| !one.contains_key(*name)))
            {
                let (one, other) = (
                    one.get(name).unwrap_or(&Value::Null),
                    other.get(name).unwrap_or(&Value::Null),
                );
                differ(one, other, format!("{at}/{name}"), all);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (number, (one, other)) in one.iter().zip(other).enumerate() {
                differ(one, other, format!("{at}/{number}"), all);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            all.push(format!(
                "{at}: {} elements, and {} were expected",
                other.len(),
                one.len()
            ));
        }
        (one, other) => all.push(format!("{at}: {}, and {} was expected", short(other), short(one))),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Letters of a value that are told.
const SHORT: usize = 120;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_by_their_place() {
        let check =
            |one: Value, other: Value, expected: &[&str]| assert_eq!(difference(&one, &other), expected);
        check(json!({"a": [1, {"b": 2}]}), json!({"a": [1, {"b": 2}]}), &[]);
        check(
            json!({"a": [1, {"b": 2}]}),
            json!({"a": [1, {"b": 3}]}),
            &["/a/1/b: 3, and 2 was expected"],
        );
        check(
            json!({"a": 1}),
            json!({"b": 1}),
            &["/a: null, and 1 was expected", "/b: 1, and null was expected"],
        );
        check(json!([1]), json!([1, 2]), &[": 2 elements, and 1 were expected"]);
        let many: Vec<u32> = (0..100).collect();
        assert_eq!(
            difference(&json!(many), &json!(vec![-1; 100])).len(),
            MAX_DIFFERENCES
        );
    }
}
