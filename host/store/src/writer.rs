//! The writer: one thread that owns every change, with group commit.
//!
//! How a group becomes durable is [`durable`](crate::durable)'s. While a commit is being synced, operations gather in the [`Queue`]; the next transaction takes a group of them.
//! Each is answered only after the commit. An operation decides whether to refuse *before* it writes anything, so a
//! refusal leaves its neighbours alone; one that fails half-way (damage, a bug) takes the whole transaction back, and
//! the store fails. A refusal too is answered after the commit, since it may be about a neighbour's row.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::Error;
use crate::durable::Durable;
use crate::queue::{Job, Place, Queue};
use crate::table::Writer;

/// Whom commits wake.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bells {
    /// Workers: there is due work.
    pub(crate) work: Arc<Notify>,
    /// Whoever follows the events: there are new ones.
    pub(crate) news: Arc<Notify>,
}

/// Runs until the queue is closed or the store fails.
pub(crate) fn run(mut durable: Durable, queue: &Queue, bells: &Bells, fail: &dyn Fn(&str) -> Error) {
    while let Some(group) = queue.group() {
        // The database panics on some kinds of damage; that must not leave callers without an answer.
        let done = catch_unwind(AssertUnwindSafe(|| commit(&mut durable, group, bells, fail)));
        let failed = match done {
            Ok(committed) => !committed,
            Err(_) => {
                fail("the database panicked");
                true
            }
        };
        if failed {
            return queue.abandon();
        }
    }
    // A log that is left behind is no loss: the next start applies it.
    if let Err(reason) = durable.close() {
        tracing::warn!(
            reason,
            "the database could not take in the last commits when it was closed"
        );
    }
}

/// Commits a group and answers it. Whether the store may go on.
fn commit(durable: &mut Durable, group: Vec<Job>, bells: &Bells, fail: &dyn Fn(&str) -> Error) -> bool {
    let mut answers = Vec::with_capacity(group.len());
    let mut places = Vec::with_capacity(group.len());
    let outcome = write(durable, group, &mut answers, &mut places);
    let (result, (woken, told)) = match outcome {
        Ok(rung) => (Ok(()), rung),
        Err(reason) => (Err(fail(&reason)), (false, false)),
    };
    drop(places);
    if woken {
        bells.work.notify_waiters();
    }
    if told {
        bells.news.notify_waiters();
    }
    let ok = result.is_ok();
    for answer in answers {
        answer(result.clone());
    }
    ok
}

type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// One transaction. Whether there is new due work and whether there are new events, or why the store cannot go on.
fn write(
    durable: &mut Durable,
    group: Vec<Job>,
    answers: &mut Vec<Answer>,
    places: &mut Vec<Place>,
) -> Result<(bool, bool), String> {
    let transaction = durable
        .database
        .begin_write()
        .map_err(|error| format!("begin a transaction: {error}"))?;
    let mut writer = Writer::new(&transaction);
    let mut fatal = None;
    for job in group {
        let before = writer.writes();
        let ran = (job.run)(&mut writer);
        answers.push(ran.answer);
        places.push(job.place);
        let half = writer.writes() != before;
        match ran.error {
            Some(Error::Failed { reason }) => fatal = Some(reason),
            Some(error) if half => fatal = Some(Arc::from(format!("an operation failed half-way: {error}"))),
            Some(_) | None => {}
        }
        if fatal.is_some() {
            break;
        }
    }
    let (writes, rung) = (writer.writes(), (writer.woken(), writer.told()));
    if fatal.is_none()
        && !writer.fits()
        && let Err(error) = durable.mark(&mut writer)
    {
        fatal = Some(Arc::from(error.to_string()));
    }
    let changes = writer.into_changes();
    if let Some(reason) = fatal {
        let _ = transaction.abort();
        return Err(reason.to_string());
    }
    // Nothing written, nothing to sync: refusals and duplicates of what is durable cost no commit.
    if writes == 0 {
        return transaction
            .abort()
            .map(|()| (false, false))
            .map_err(|error| format!("end a transaction: {error}"));
    }
    durable.commit(transaction, changes).map(|()| rung)
}
