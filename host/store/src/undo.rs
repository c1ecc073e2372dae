//! Undoing a run: its records become what they were before it, and its cursors go back.
//!
//! The reversal is written like every other change, so whoever follows the feed gets it, outside destinations too. What somebody
//! else has changed since stays as it is and is counted. In whatever order runs are undone, a record is in the end what the last run
//! that stands, or somebody else, made of it. Undoing twice, or going on after a crash, finds less to do.
//!
//! The cursors go back in the first commit, with the first records: where the undoing is cut off, or another run begins before
//! it is over, what has gone back is read again instead of being missed.

use std::collections::HashMap;

use sluice_model::Timestamp;
use sluice_model::id::{OrgId, RunId};
use sluice_model::record::{Change, Item};

use crate::batch::{Batch, Into};
use crate::connection::require_connection;
use crate::key::{Key, Parts, Span};
use crate::record::{FeedHead, Op, stream_key};
use crate::run::{self, Run};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store, cursor, history, stream, stream_settings};

/// What undoing a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Undone {
    /// Records that were taken away again, because the run had added them.
    pub removed: u64,
    /// Records that are what they were before.
    pub restored: u64,
    /// Records whose earlier version is not kept any more; they stay.
    pub lost: u64,
    /// The last feed row of the reversal: a destination that has read so far has it too.
    pub last_seq: u64,
}

/// Feed rows that one commit looks at.
const STEP: usize = 500;

impl Store {
    /// Undoes an ended run.
    ///
    /// # Errors
    /// [`Error::State`] if it has not ended, [`Error::ActiveRun`] while another run reads the stream, [`Error::Missing`].
    pub async fn undo_run(&self, org: OrgId, run: RunId, now: Timestamp) -> Result<Undone, Error> {
        let mut undone = Undone::default();
        let mut after = None;
        loop {
            let (next, more) = self
                .write_bulk(64, move |rows| {
                    let run = ready(rows, org, run)?;
                    if after.is_none() {
                        set_back(rows, org, &run, now)?;
                    }
                    let from = after.unwrap_or(run.since);
                    step(rows, org, &run, from, undone, now)
                })
                .await?;
            undone = next;
            let Some(last) = more else { break };
            after = Some(last);
        }
        self.write(64, move |rows| {
            let mut run = ready(rows, org, run)?;
            run.undone.get_or_insert(now);
            run::save(rows, org, &run)?;
            undone.last_seq = rows.get_number(Table::FeedNumbers, &Key::org(org).id(run.connection))?;
            Ok(undone)
        })
        .await
    }
}

fn ready(rows: &mut Writer<'_>, org: OrgId, id: RunId) -> Result<Run, Error> {
    let run = run::load(rows, org, id)?;
    if !run.state.ended() {
        return Err(Error::State {
            what: "undo the run",
            state: run.state.name(),
        });
    }
    require_connection(rows, org, run.connection)?;
    run::require_idle(rows, org, run.connection, &run.stream)?;
    Ok(run)
}

fn set_back(rows: &mut Writer<'_>, org: OrgId, run: &Run, now: Timestamp) -> Result<(), Error> {
    let into = into(rows, org, run, now)?;
    let mut state = stream::state(rows, org, run.connection, &run.stream)?;
    cursor::set_back(rows, into, &run.stream, &mut state, run.id)?;
    stream::save(rows, org, run.connection, &run.stream, &state)
}

fn into(rows: &mut Writer<'_>, org: OrgId, run: &Run, now: Timestamp) -> Result<Into, Error> {
    Ok(Into {
        org,
        connection: run.connection,
        run: None,
        history: stream_settings::keeps_history(rows, org, run.connection, &run.stream)?,
        now,
    })
}

/// Reverses what the next feed rows behind `from` tell; the row to go on behind, unless those were the last.
fn step(
    rows: &mut Writer<'_>,
    org: OrgId,
    run: &Run,
    from: u64,
    mut undone: Undone,
    now: Timestamp,
) -> Result<(Undone, Option<u64>), Error> {
    let of_stream = stream_key(org, run.connection, &run.stream);
    let span = Span::prefix(&of_stream).after(of_stream.clone().number(from));
    let feed = rows.collect(Table::Feed, &span, false, STEP, |key, content| {
        let seq = Parts::new(key.get(of_stream.bytes().len()..).unwrap_or_default()).number();
        let (head, id) = FeedHead::read(content)?;
        Ok(seq.map(|seq| (seq, head, id.to_owned())))
    })?;
    let more = (feed.len() == STEP)
        .then(|| feed.last().map(|(seq, ..)| *seq))
        .flatten();
    let mut back = Vec::new();
    let mut known = HashMap::new();
    for (seq, head, id) in feed {
        if head.run != Some(run.id) {
            continue;
        }
        match earlier(rows, (org, &of_stream), run.id, (seq, head.op), &mut known)? {
            Earlier::Nothing(by) => {
                undone.removed += 1;
                back.push((by, Change::Delete(id)));
            }
            Earlier::Was(item, by) => {
                undone.restored += 1;
                back.push((by, Change::Upsert(Item { id, ..item })));
            }
            Earlier::Lost => undone.lost += 1,
        }
    }
    // In their order: as many batches as there are stretches of one run's.
    let mut back = back.into_iter().peekable();
    while let Some((by, first)) = back.next() {
        let mut changes = vec![first];
        while let Some((_, change)) = back.next_if(|(other, _)| *other == by) {
            changes.push(change);
        }
        let batch = Batch::prepare(run.stream.clone(), changes, &[])?;
        history::write_back(rows, (org, run.connection), by, &batch, now)?;
    }
    Ok((undone, more))
}

/// What a record was before a run, and the run whose word that is.
enum Earlier {
    Nothing(Option<RunId>),
    /// Without its id.
    Was(Item, Option<RunId>),
    Lost,
}

/// Goes back from a version of a run to the first one that neither it nor a run that was undone wrote. What is restored is again that
/// version's run's: whoever undoes that one too finds it.
fn earlier(
    rows: &mut Writer<'_>,
    (org, of_stream): (OrgId, &Key),
    run: RunId,
    (mut seq, op): (u64, Op),
    known: &mut HashMap<RunId, bool>,
) -> Result<Earlier, Error> {
    let mut added = op == Op::Added;
    loop {
        let Some(kept) = history::before(rows, of_stream, seq)? else {
            return Ok(if added {
                Earlier::Nothing(None)
            } else {
                Earlier::Lost
            });
        };
        let version = kept.version;
        let stands = match version.run {
            Some(by) if by == run => false,
            Some(by) => !is_undone(rows, org, by, known)?,
            None => true,
        };
        if stands {
            return Ok(match version.data {
                Some(data) => {
                    let item = Item {
                        id: String::new(),
                        data,
                        modified: version.modified,
                    };
                    Earlier::Was(item, version.run)
                }
                None => Earlier::Nothing(version.run),
            });
        }
        seq = version.seq;
        added = kept.added;
    }
}

/// A run that is not kept any more counts as one that stands.
fn is_undone(
    rows: &mut Writer<'_>,
    org: OrgId,
    id: RunId,
    known: &mut HashMap<RunId, bool>,
) -> Result<bool, Error> {
    if let Some(undone) = known.get(&id) {
        return Ok(*undone);
    }
    let undone = match run::load(rows, org, id) {
        Ok(run) => run.undone.is_some(),
        Err(Error::Missing { .. }) => false,
        Err(error) => return Err(error),
    };
    known.insert(id, undone);
    Ok(undone)
}
