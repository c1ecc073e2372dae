//! Generations: what a complete reading puts together before it takes the place of what is there.
//!
//! While a run in mode "full" reads a stream that has records, the old records serve. What differs from them is *staged*,
//! and of everything that came, the ids are noted as *seen*. When all of it was read, the generation is *folded*: the
//! staged records are written, then whatever was not seen is deleted, in steps that hold nobody up. Readers see the
//! stream as it was until the last step, and then as it is: they look at a snapshot meanwhile (see `frozen`), and a start after a
//! crash ends the folding before anybody can look.
//!
//! What must always hold:
//! - A change that came by another way while the run was reading (a webhook, a person) is newer than what was staged before
//!   it, and is never deleted for not being seen.
//! - A record that was refused counts as seen. If one without an id was refused, nothing is deleted for not being seen:
//!   nobody knows which it was.
//! - The cursor that the reading ended with becomes the stream's with the last step, not before.

mod survey;

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId, RunId};
use sluice_model::record::{Change, Counts, Item};

use crate::batch::{Batch, Into, count};
use crate::connection::require_connection;
use crate::cursor;
use crate::key::{Key, Span};
use crate::record::{Head, stream_key};
use crate::row::{corrupt, utf8};
use crate::run::{self, Run};
use crate::stream::{self, State};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Store, load, stream_settings};

/// A generation under way.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Generation {
    pub(crate) run: RunId,
    /// The feed's last number when the reading began: what has a higher one came meanwhile.
    pub(crate) since: u64,
    /// Rows of seen ids, and how many ids they are.
    chunks: u64,
    seen: u64,
    /// A record without an id was refused.
    nameless: bool,
    /// Everything has been read and takes its place; the feed's last number before that. Until it is over a reader of the
    /// feed gets no further: they could not come back for what is written in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) folding: Option<u64>,
    /// What makes the ids of its records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// Names an id in half the bytes of its hash: two ids of a stream of a billion share one with a chance of 1 in 10^20.
pub(crate) type IdDigest = [u8; 16];

pub(crate) fn digest(id: &str) -> IdDigest {
    let hash = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
    let mut out = [0; 16];
    for (place, byte) in out.iter_mut().zip(hash.as_ref()) {
        *place = *byte;
    }
    out
}

impl Generation {
    pub(crate) const fn new(run: RunId, since: u64, key: String) -> Self {
        Self {
            run,
            since,
            chunks: 0,
            seen: 0,
            nameless: false,
            folding: None,
            key: Some(key),
        }
    }
}

/// Puts a batch aside for the generation. Counts what it will come to.
pub(crate) fn stage(
    rows: &mut Writer<'_>,
    batch: &Batch,
    into: Into,
    state: &mut State,
    last: u64,
) -> Result<Counts, Error> {
    let of_stream = stream_key(into.org, into.connection, batch.stream());
    let mut counts = Counts {
        unchanged: batch.overtaken(),
        ..Counts::default()
    };
    let mut seen = Vec::with_capacity(batch.changes().len() * size_of::<IdDigest>());
    for prepared in batch.changes() {
        let key = of_stream.clone().tail(prepared.change.id());
        let head = |content: &[u8]| Ok(Head::read(content)?.0);
        let known = match rows.look(Table::Staged, &key, head)? {
            Some(staged) => Some(staged),
            None => rows.look(Table::Records, &key, head)?,
        };
        let op = prepared.op(known.as_ref());
        count(&mut counts, op);
        let (deleted, modified, data) = match &prepared.change {
            Change::Upsert(item) => {
                seen.extend(digest(&item.id));
                (false, item.modified, item.data.as_bytes())
            }
            Change::Delete(_) => (true, None, &[][..]),
        };
        if op.is_some() {
            let head = Head {
                deleted,
                seq: last,
                at: into.now,
                modified,
                hash: prepared.hash,
            };
            rows.put(Table::Staged, &key, &[&head.bytes(), data])?;
        }
    }
    let (refused, nameless) = batch.refused();
    seen.extend(refused.iter().flatten());
    if let Some(generation) = &mut state.generation {
        generation.nameless |= nameless;
        if !seen.is_empty() {
            rows.put(
                Table::Seen,
                &of_stream.clone().number(generation.chunks),
                &[&seen],
            )?;
            generation.chunks += 1;
            generation.seen += (seen.len() / size_of::<IdDigest>()) as u64;
        }
    }
    batch.quarantine(rows, &of_stream, state)?;
    counts.quarantined = batch.quarantined();
    Ok(counts)
}

/// What has left behind that which is to be cleared. A worker may be late with it: where another reading has begun, what is put
/// aside is that one's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behind {
    /// A generation that is in place or will never be.
    Ended,
    /// One before that of this run, which has not begun.
    Earlier { run: RunId, fencing: u64 },
}

/// Deletes up to `budget` rows that a generation of the stream has left behind. Whether there may be more.
pub(crate) fn clear_step(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
    mut budget: usize,
) -> Result<bool, Error> {
    let of_stream = stream_key(org, connection, stream);
    rows.delete_prefix(Table::Staged, &of_stream, &mut budget)?;
    rows.delete_prefix(Table::Seen, &of_stream, &mut budget)?;
    cursor::clear_pending(rows, org, connection, stream, &mut budget)?;
    Ok(budget == 0)
}

/// A folding under way: what its steps remember between them. A folding that is taken up again begins from the start: what
/// was done finds nothing more to do.
#[derive(Debug)]
pub struct Fold {
    org: OrgId,
    connection: ConnectionId,
    stream: String,
    run: RunId,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Staged,
    /// Records whose ids begin so are compared with what was seen of these ids.
    Vanished {
        pass: u64,
        seen: Vec<IdDigest>,
        /// The last record that was looked at.
        after: Option<Key>,
    },
}

/// Staged rows that one step writes.
const STAGED_STEP: usize = 500;
/// Records that one step looks at.
const RECORDS_STEP: usize = 4000;
/// Seen ids that are held in memory at once.
const SEEN_AT_ONCE: u64 = 1 << 21;

impl Fold {
    pub(crate) const fn new(org: OrgId, connection: ConnectionId, stream: String, run: RunId) -> Self {
        Self {
            org,
            connection,
            stream,
            run,
            phase: Phase::Staged,
        }
    }

    /// One commit's worth. False: it is over, and what it left behind can be cleared.
    pub(crate) fn step(
        &mut self,
        rows: &mut Writer<'_>,
        run: &mut Run,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut state = stream::state(rows, self.org, self.connection, &self.stream)?;
        let Some(generation) = state
            .generation
            .clone()
            .filter(|generation| generation.run == self.run)
        else {
            return Ok(false);
        };
        let into = Into {
            org: self.org,
            connection: self.connection,
            run: Some(self.run),
            history: stream_settings::keeps_history(rows, self.org, self.connection, &self.stream)?,
            now,
        };
        let numbers = Key::org(self.org).id(self.connection);
        let before = rows.get_number(Table::FeedNumbers, &numbers)?;
        let mut last = before;
        let more = match &mut self.phase {
            Phase::Staged => {
                let over = staged_step(rows, into, &self.stream, &mut state, &mut last)?;
                if over && !generation.nameless {
                    self.phase = Phase::Vanished {
                        pass: 0,
                        seen: load_seen(rows, into, &self.stream, &generation, 0)?,
                        after: None,
                    };
                }
                !over || !generation.nameless
            }
            Phase::Vanished { pass, seen, after } => {
                let looked = Look {
                    of: (*pass, generation.passes()),
                    seen,
                    since: generation.since,
                };
                let (gone, next) = looked.step(rows, into, &self.stream, after.take())?;
                let gone = gone.into_iter().map(|id| (Change::Delete(id), [0; 32])).collect();
                let counts = Batch::again(&self.stream, gone).apply(rows, into, &mut state, &mut last)?;
                run.counts.vanished += counts.deleted;
                *after = next;
                if after.is_none() {
                    *pass += 1;
                    if *pass < generation.passes() {
                        *seen = load_seen(rows, into, &self.stream, &generation, *pass)?;
                    }
                }
                *pass < generation.passes()
            }
        };
        if last != before {
            load::feed_moved(rows, self.org, self.connection, last, now)?;
        }
        if !more {
            cursor::take_over(rows, into, &self.stream, &mut state, self.run)?;
            let whole = state.generation.take();
            state.key = whole.and_then(|whole| whole.key).or(state.key);
            run.folded = true;
            // What was written in the steps before is only now for readers.
            load::changes_wait(rows, self.org, self.connection, now)?;
        }
        stream::save(rows, self.org, self.connection, &self.stream, &state)?;
        run::save(rows, self.org, run)?;
        Ok(more)
    }
}

impl Generation {
    const fn passes(&self) -> u64 {
        self.seen / SEEN_AT_ONCE + 1
    }
}

/// Writes staged rows, and takes them off the stage. Whether they were the last.
fn staged_step(
    rows: &mut Writer<'_>,
    into: Into,
    stream: &str,
    state: &mut State,
    last: &mut u64,
) -> Result<bool, Error> {
    let of_stream = stream_key(into.org, into.connection, stream);
    let staged = rows.collect(
        Table::Staged,
        &Span::prefix(&of_stream),
        false,
        STAGED_STEP,
        |key, content| {
            let id = utf8(
                Table::Staged,
                key.get(of_stream.bytes().len()..).unwrap_or_default(),
            )?;
            let (head, data) = Head::read(content)?;
            Ok(Some((id, head, utf8(Table::Staged, data)?)))
        },
    )?;
    let over = staged.len() < STAGED_STEP;
    let mut changes = Vec::with_capacity(staged.len());
    for (id, head, data) in staged {
        let key = of_stream.clone().tail(&id);
        rows.delete(Table::Staged, &key)?;
        let newer = rows.look(Table::Records, &key, |content| {
            Ok(Head::read(content)?.0.seq > head.seq)
        })?;
        if newer == Some(true) {
            continue;
        }
        let change = if head.deleted {
            Change::Delete(id)
        } else {
            Change::Upsert(Item {
                id,
                data,
                modified: head.modified,
            })
        };
        changes.push((change, head.hash));
    }
    Batch::again(stream, changes).apply(rows, into, state, last)?;
    Ok(over)
}

/// The seen ids of one pass, in order.
fn load_seen(
    rows: &mut impl Rows,
    into: Into,
    stream: &str,
    generation: &Generation,
    pass: u64,
) -> Result<Vec<IdDigest>, Error> {
    let of_stream = stream_key(into.org, into.connection, stream);
    let passes = generation.passes();
    let mut seen = Vec::new();
    rows.scan(Table::Seen, &Span::prefix(&of_stream), false, |_, content| {
        let (digests, rest) = content.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(corrupt(Table::Seen, "a row is cut off"));
        }
        seen.extend(digests.iter().filter(|digest| is_of(digest, pass, passes)));
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    seen.sort_unstable();
    Ok(seen)
}

/// Whether an id belongs to this of so many passes.
fn is_of(digest: &IdDigest, pass: u64, passes: u64) -> bool {
    let (first, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first) % passes == pass
}

/// A look for records that were not seen.
struct Look<'s> {
    /// This pass, of so many.
    of: (u64, u64),
    seen: &'s [IdDigest],
    since: u64,
}

impl Look<'_> {
    /// The ids that have gone among the next records, and the record to go on behind, unless that was the last.
    fn step(
        &self,
        rows: &mut impl Rows,
        into: Into,
        stream: &str,
        after: Option<Key>,
    ) -> Result<(Vec<String>, Option<Key>), Error> {
        let of_stream = stream_key(into.org, into.connection, stream);
        let mut span = Span::prefix(&of_stream);
        if let Some(after) = after {
            span = span.after(after);
        }
        let (mut gone, mut looked, mut last) = (Vec::new(), 0, None);
        rows.scan(Table::Records, &span, false, |key, content| {
            if looked == RECORDS_STEP || gone.len() == STAGED_STEP {
                return Ok(std::ops::ControlFlow::Break(()));
            }
            looked += 1;
            last = Some(Key::empty().tail(key));
            let head = Head::read(content)?.0;
            let id = utf8(
                Table::Records,
                key.get(of_stream.bytes().len()..).unwrap_or_default(),
            )?;
            let digest = digest(&id);
            let (pass, passes) = self.of;
            if !head.deleted
                && head.seq <= self.since
                && is_of(&digest, pass, passes)
                && self.seen.binary_search(&digest).is_err()
            {
                gone.push(id);
            }
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        let more = looked == RECORDS_STEP || gone.len() == STAGED_STEP;
        Ok((gone, last.filter(|_| more)))
    }
}

impl Store {
    /// Begins to put a run's generation in the place of what is there. From now on readers see the stream as it was, until
    /// [`Store::fold_step`] says that it is over.
    ///
    /// # Errors
    /// [`Error::Fenced`]; [`Error::Missing`].
    pub async fn begin_fold(&self, org: OrgId, run: RunId, fencing: u64) -> Result<Fold, Error> {
        let found = self
            .get_run(org, run)
            .await?
            .ok_or(Error::Missing { what: "the run" })?;
        let (connection, stream) = (found.connection, found.stream);
        self.freeze(org, connection, &stream)?;
        let flipped = self
            .write(64, move |rows| {
                let mut run = run::leased(rows, org, run, fencing)?;
                require_connection(rows, org, run.connection)?;
                let mut state = stream::state(rows, org, run.connection, &run.stream)?;
                let last = rows.get_number(Table::FeedNumbers, &Key::org(org).id(run.connection))?;
                if let Some(generation) = state.generation.as_mut().filter(|of| of.run == run.id) {
                    generation.folding.get_or_insert(last);
                    run.folding = true;
                    stream::save(rows, org, run.connection, &run.stream, &state)?;
                }
                run.state = sluice_model::run::RunState::Committing;
                run::save(rows, org, &run)
            })
            .await;
        let fold = Fold::new(org, connection, stream, run);
        match flipped {
            Ok(()) => Ok(fold),
            Err(error) => Err(self.broken_off(&fold, error)),
        }
    }

    /// One bounded commit of a folding. `None`: it is over, and the run has only to be ended.
    ///
    /// # Errors
    /// [`Error::Fenced`]. A folding that is broken off is gone on with when the run is leased again, or by the next start.
    pub async fn fold_step(
        &self,
        mut fold: Fold,
        fencing: u64,
        now: Timestamp,
    ) -> Result<Option<Fold>, Error> {
        let (org, connection, stream) = (fold.org, fold.connection, fold.stream.clone());
        let place = Fold::new(org, connection, stream.clone(), fold.run);
        let stepped = self
            .write_bulk(64, move |rows| {
                let mut run = run::leased(rows, org, fold.run, fencing)?;
                let more = fold.step(rows, &mut run, now)?;
                Ok(more.then_some(fold))
            })
            .await
            .map_err(|error| self.broken_off(&place, error))?;
        if stepped.is_none() {
            self.thaw(org, connection, &stream);
            self.clear_generation(org, connection, &stream, Behind::Ended)
                .await?;
        }
        Ok(stepped)
    }

    /// Lets readers go on where there is nothing to be put in place any more: the connection is gone.
    fn broken_off(&self, fold: &Fold, error: Error) -> Error {
        let state = self.read_now(|rows| stream::state(rows, fold.org, fold.connection, &fold.stream));
        if state.is_ok_and(|state| state.generation.is_none_or(|of| of.folding.is_none())) {
            self.thaw(fold.org, fold.connection, &fold.stream);
        }
        error
    }

    /// Forgets what the generation of an ended run has put aside, which will never be whole. Whoever has begun to read the
    /// stream since keeps theirs.
    pub async fn drop_generation(&self, org: OrgId, run: &Run) -> Result<(), Error> {
        let (id, connection, name) = (run.id, run.connection, run.stream.clone());
        self.write(64, move |rows| {
            let mut state = stream::state(rows, org, connection, &name)?;
            let of_run = |generation: &Generation| generation.run == id && generation.folding.is_none();
            if state.generation.as_ref().is_some_and(of_run) {
                state.generation = None;
                stream::save(rows, org, connection, &name, &state)?;
            }
            Ok(())
        })
        .await?;
        self.clear_generation(org, connection, &run.stream, Behind::Ended)
            .await
    }

    pub(crate) async fn clear_generation(
        &self,
        org: OrgId,
        connection: ConnectionId,
        stream: &str,
        behind: Behind,
    ) -> Result<(), Error> {
        loop {
            let stream = stream.to_owned();
            let step = move |rows: &mut Writer<'_>| {
                let superfluous = match behind {
                    Behind::Ended => stream::state(rows, org, connection, &stream)?
                        .generation
                        .is_none(),
                    Behind::Earlier { run, fencing } => !run::leased(rows, org, run, fencing)?.begun,
                };
                if !superfluous {
                    return Ok(false);
                }
                clear_step(rows, org, connection, &stream, crate::sweep::STEP_ROWS)
            };
            if !self.write_bulk(64, step).await? {
                return Ok(());
            }
        }
    }

    /// Ends the foldings that the process before this one began. Only for a start, before anybody can look.
    pub(crate) async fn end_foldings(&self, now: Timestamp) -> Result<(), Error> {
        let under_way = self
            .read(|rows| {
                rows.collect(Table::Streams, &Span::all(), false, usize::MAX, |key, content| {
                    let mut parts = crate::key::Parts::new(key);
                    let place = parts.id().zip(parts.id());
                    let state: State = crate::row::from_json(Table::Streams, content)?;
                    let folding = state.generation.filter(|generation| generation.folding.is_some());
                    let stream = parts.tail_text().map(str::to_owned);
                    Ok(place
                        .zip(stream)
                        .zip(folding)
                        .map(|((place, stream), of)| (place, stream, of.run)))
                })
            })
            .await?;
        for ((org, connection), stream, run_id) in under_way {
            tracing::info!(run = %run_id, stream, "goes on with a generation that was being put in place");
            let mut fold = Fold::new(org, connection, stream.clone(), run_id);
            loop {
                let (next, more) = self
                    .write_bulk(64, move |rows| {
                        let mut fold = fold;
                        let found = rows.get_json::<Run>(Table::Runs, &Key::org(org).id(run_id))?;
                        let Some(mut run) = found else {
                            return Ok((fold, false));
                        };
                        let more = fold.step(rows, &mut run, now)?;
                        Ok((fold, more))
                    })
                    .await?;
                fold = next;
                if !more {
                    break;
                }
            }
            self.clear_generation(org, connection, &stream, Behind::Ended)
                .await?;
        }
        Ok(())
    }
}
