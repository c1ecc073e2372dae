//! The tests that every connector gets: what the contract promises to a host, tried against what was recorded.

mod deeds;
mod faults;
mod genuine;
mod hooks;
mod reads;
mod strange;

use crate::play::Play;
use crate::rehearsal::Rehearsal;
use crate::tape::Tape;

/// What one test says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// One of [`CHECKS`].
    pub check: &'static str,
    pub outcome: Found,
    /// What it was tried on, or why it failed or was left out.
    pub detail: String,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Passed,
    Failed,
    /// There was nothing to try it on, or the case leaves it out.
    Skipped,
}

/// Every test, and what it holds a connector to.
pub const CHECKS: &[(&str, &str)] = &[
    ("answers", "every call gives an answer"),
    ("recorded", "every request is one that was recorded"),
    ("declared", "no request goes where the manifest does not say"),
    ("limits", "no call comes near what its limits are"),
    ("pages_end", "a stream's pages end, and its cursor moves"),
    (
        "records_fit",
        "every record has an id and fits its stream's schema",
    ),
    ("repeats", "the same play gives the same, to the letter"),
    ("rereads", "a page that is read twice is the same page"),
    (
        "resumes",
        "a run that begins at any page's cursor reads what the first one read",
    ),
    (
        "auth",
        "a credential that the vendor refuses is told as one to reconnect",
    ),
    (
        "classifies",
        "a vendor's error is told as what it is: to reconnect, to wait, to try again",
    ),
    (
        "unknown",
        "a stream or an action that the manifest does not name is unsupported, and nobody is asked",
    ),
    ("actions_fit", "what an action takes and gives fits its schemas"),
    (
        "writes_fit",
        "each write has its outcome, in order, and what was written fits its stream's schema",
    ),
    (
        "keys_hold",
        "a write or an action that is tried again asks the vendor for the same, under the same key",
    ),
    (
        "hooks_verified",
        "a webhook that is not the vendor's is refused before the code is asked",
    ),
    (
        "hooks_fit",
        "what a webhook means is what the manifest declares, and its records fit",
    ),
    (
        "hooks_repeat",
        "a webhook that is handled twice means the same, and is about the same when nothing tells deliveries apart",
    ),
    ("hooks_unknown", "an event that nobody declared is passed over"),
    (
        "hooks_malformed",
        "a body that is cut off or nonsense is told as invalid, without a crash",
    ),
    ("golden", "what comes of it is what was expected"),
];

/// Near a limit is above this part of it: nine tenths.
const NEAR: (u64, u64) = (9, 10);

impl Verdict {
    pub(crate) fn passed(check: &'static str, detail: impl Into<String>) -> Self {
        Self::of(check, Found::Passed, detail)
    }

    pub(crate) fn failed(check: &'static str, detail: impl Into<String>) -> Self {
        Self::of(check, Found::Failed, detail)
    }

    pub(crate) fn skipped(check: &'static str, detail: impl Into<String>) -> Self {
        Self::of(check, Found::Skipped, detail)
    }

    fn of(check: &'static str, outcome: Found, detail: impl Into<String>) -> Self {
        Self {
            check,
            outcome,
            detail: detail.into(),
        }
    }

    /// Of what was looked at: nothing to look at, or what is wrong with the first of it.
    pub(crate) fn over(check: &'static str, looked_at: usize, of_what: &str, wrong: Option<String>) -> Self {
        match wrong {
            Some(wrong) => Self::failed(check, wrong),
            None if looked_at == 0 => Self::skipped(check, format!("no {of_what} to try it on")),
            None => Self::passed(check, format!("{looked_at} {of_what}")),
        }
    }
}

/// What the play itself shows.
pub(crate) fn of_play(rehearsal: &Rehearsal, play: &Play) -> Vec<Verdict> {
    let answers = play
        .failed
        .first()
        .map(|(what, problem)| format!("{what}: {}: {}", problem.code, problem.message));
    let pages = play.legs.iter().map(|leg| leg.steps.len()).sum::<usize>();
    let calls = 1 + pages + play.deeds.len() + play.hooks.len();
    vec![
        Verdict::over("answers", calls, "calls", answers),
        Verdict::over("declared", calls, "calls", play.strayed.first().cloned()),
        limits(rehearsal, play),
        reads::pages_end(rehearsal, play),
        reads::records_fit(rehearsal, play),
        deeds::actions_fit(rehearsal, play),
        hooks::fit(rehearsal, play),
        genuine::verified(rehearsal, play),
    ]
}

/// What needs the play to be done again, in part or with an error in it.
pub(crate) async fn of_repeats(rehearsal: &Rehearsal, play: &Play, tape: &Tape) -> Vec<Verdict> {
    vec![
        reads::rereads(rehearsal, play, tape).await,
        reads::resumes(rehearsal, play, tape).await,
        hooks::repeat(rehearsal, play).await,
        strange::unknown_event(rehearsal, play, tape).await,
        strange::malformed(rehearsal, play, tape).await,
        faults::auth(rehearsal, tape).await,
        faults::classifies(rehearsal, play, tape).await,
        deeds::unknown(rehearsal, tape).await,
        deeds::writes_fit(rehearsal, play, tape).await,
    ]
}

/// What needs the same to be done again at another time.
pub(crate) async fn of_later(
    rehearsal: &Rehearsal,
    later: Option<&Rehearsal>,
    play: &Play,
    tape: &Tape,
) -> Verdict {
    deeds::keys_hold(rehearsal, later, play, tape).await
}

fn limits(rehearsal: &Rehearsal, play: &Play) -> Verdict {
    let limits = &rehearsal.limits;
    let requests = u64::try_from(play.requests).unwrap_or(u64::MAX);
    let used = [
        ("memory", play.memory_bytes, limits.memory_bytes),
        ("requests", requests, u64::from(limits.http_requests)),
    ];
    let near = used
        .iter()
        .find(|(_, used, most)| used.saturating_mul(NEAR.1) > most.saturating_mul(NEAR.0));
    let told = format!(
        "at most {} KiB and {requests} requests in one call",
        play.memory_bytes >> 10
    );
    match near {
        Some((what, used, most)) => {
            Verdict::failed("limits", format!("{what}: {used} of {most} in one call"))
        }
        None => Verdict::passed("limits", told),
    }
}
