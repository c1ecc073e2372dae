//! A batch of changes of one stream: how it becomes records, feed rows and history.
//!
//! The way of a record is the hot path: hashes and keys are made where the caller runs, what is there is looked up in
//! the order of the keys, and the JSON text is copied once, into its page.

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId, RunId};
use sluice_model::record::{Change, Counts, Item, MAX_ID_BYTES, MAX_RECORD_BYTES};

use crate::Error;
use crate::generation::{self, IdDigest};
use crate::history;
use crate::key::Key;
use crate::record::{FeedHead, Head, Op, Quarantined, stream_key};
use crate::row::{cap, cap_name, to_json};
use crate::stream::State;
use crate::table::{Rows, Table, Writer};

/// At most this many refused records are kept per stream; more are counted but not kept.
const MAX_QUARANTINED: u64 = 10_000;

/// A batch of changes of one stream, made ready where the caller runs: hashed, sorted by key, one change per id.
#[derive(Debug)]
pub(crate) struct Batch {
    stream: String,
    /// In the order of their ids.
    changes: Vec<Prepared>,
    /// Changes that a later one of the same id overtook.
    overtaken: u64,
    /// Key tail and JSON.
    quarantined: Vec<(Vec<u8>, Vec<u8>)>,
    /// Ids of refused records, and whether one had none.
    refused: Vec<IdDigest>,
    nameless: bool,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its place in the order in which they came.
    order: usize,
    pub(crate) change: Change,
    pub(crate) hash: [u8; 32],
}

/// What a change comes to, decided before anything is written.
struct Step<'b> {
    prepared: &'b Prepared,
    key: Key,
    op: Op,
    /// The version that is out of date now.
    overtakes: Option<Overtaken>,
}

/// What a record was.
struct Overtaken {
    head: Head,
    /// Its JSON, where it is kept on.
    data: Option<Vec<u8>>,
}

/// Where a batch goes, and for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Into {
    pub(crate) org: OrgId,
    pub(crate) connection: ConnectionId,
    /// The run that the changes are of; none for a webhook or a person.
    pub(crate) run: Option<RunId>,
    /// Whether what is overtaken is kept as history.
    pub(crate) history: bool,
    pub(crate) now: Timestamp,
}

impl Batch {
    /// [`Error::TooLarge`] for an id or a record over its cap.
    pub(crate) fn prepare(
        stream: String,
        changes: Vec<Change>,
        quarantined: &[Quarantined],
    ) -> Result<Self, Error> {
        cap_name("a stream's name", &stream)?;
        let received = changes.len();
        let mut bytes = 0;
        let mut prepared = Vec::with_capacity(received);
        for (order, change) in changes.into_iter().enumerate() {
            cap("a record's id", change.id().len(), MAX_ID_BYTES)?;
            let hash = match &change {
                Change::Upsert(item) => {
                    cap("a record", item.data.len(), MAX_RECORD_BYTES)?;
                    bytes += item.data.len() + item.id.len();
                    hash(item)
                }
                Change::Delete(id) => {
                    bytes += id.len();
                    [0; 32]
                }
            };
            prepared.push(Prepared { order, change, hash });
        }
        // The last one of an id comes first among its equals and stays.
        prepared.sort_unstable_by(|a, b| a.change.id().cmp(b.change.id()).then(b.order.cmp(&a.order)));
        prepared.dedup_by(|later, kept| later.change.id() == kept.change.id());
        let overtaken = (received - prepared.len()) as u64;
        let nameless = quarantined.iter().any(|refused| refused.id.is_empty());
        let refused = quarantined
            .iter()
            .map(|refused| generation::digest(&refused.id))
            .collect();
        let quarantined = quarantined
            .iter()
            .map(|refused| {
                cap("a refused record", refused.data.len(), MAX_RECORD_BYTES * 2)?;
                cap("a refused record's id", refused.id.len(), MAX_RECORD_BYTES)?;
                Ok((quarantine_tail(&refused.id, &refused.data), to_json(refused)?))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        bytes += quarantined.iter().map(|(_, json)| json.len()).sum::<usize>();
        Ok(Self {
            stream,
            changes: prepared,
            overtaken,
            quarantined,
            refused,
            nameless,
            bytes,
        })
    }

    /// A batch of what was prepared before, one change per id.
    pub(crate) fn again(stream: &str, mut changes: Vec<(Change, [u8; 32])>) -> Self {
        changes.sort_unstable_by(|(a, _), (b, _)| a.id().cmp(b.id()));
        let bytes = changes.iter().map(|(change, _)| change.bytes()).sum();
        let changes = changes.into_iter().enumerate();
        Self {
            stream: stream.to_owned(),
            changes: changes
                .map(|(order, (change, hash))| Prepared { order, change, hash })
                .collect(),
            overtaken: 0,
            quarantined: Vec::new(),
            refused: Vec::new(),
            nameless: false,
            bytes,
        }
    }

    pub(crate) fn changes(&self) -> &[Prepared] {
        &self.changes
    }

    pub(crate) fn quarantined(&self) -> u64 {
        self.quarantined.len() as u64
    }

    pub(crate) const fn overtaken(&self) -> u64 {
        self.overtaken
    }

    /// Ids of refused records, and whether one had none.
    pub(crate) fn refused(&self) -> (&[IdDigest], bool) {
        (&self.refused, self.nameless)
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// Writes the batch behind feed number `last`, which it moves on. Nothing here refuses; the state is the caller's
    /// to save.
    pub(crate) fn apply(
        &self,
        rows: &mut Writer<'_>,
        into: Into,
        state: &mut State,
        last: &mut u64,
    ) -> Result<Counts, Error> {
        let Into {
            org, connection, now, ..
        } = into;
        let of_stream = stream_key(org, connection, &self.stream);
        let before = *last;
        let mut counts = Counts {
            unchanged: self.overtaken,
            ..Counts::default()
        };
        let mut steps = Vec::with_capacity(self.changes.len());
        for prepared in &self.changes {
            let key = of_stream.clone().tail(prepared.change.id());
            let (op, overtakes) = rows
                .look(Table::Records, &key, |content| {
                    let (head, data) = Head::read(content)?;
                    let op = prepared.op(Some(&head));
                    let keep = into.history && op.is_some();
                    let data = keep.then(|| data.to_vec());
                    Ok((op, Some(Overtaken { head, data })))
                })?
                .unwrap_or_else(|| (prepared.op(None), None));
            count(&mut counts, op);
            steps.extend(op.map(|op| Step {
                prepared,
                key,
                op,
                overtakes,
            }));
        }
        // Numbers are given in the order in which the changes came, records are written in the order of their keys.
        let mut arrival: Vec<usize> = (0..steps.len()).collect();
        arrival.sort_unstable_by_key(|at| steps.get(*at).map(|step| step.prepared.order));
        let mut numbers = vec![0; steps.len()];
        for at in arrival {
            let (Some(step), Some(number)) = (steps.get(at), numbers.get_mut(at)) else {
                continue;
            };
            *last += 1;
            *number = *last;
            let id = step.prepared.change.id().as_bytes();
            if let Some(old) = &step.overtakes {
                let place = of_stream.clone().number(old.head.seq);
                if let Some(data) = &old.data {
                    history::keep(rows, &of_stream, *last, &place, (id, &old.head, data), now)?;
                }
                rows.delete(Table::Feed, &place)?;
            }
            let head = FeedHead {
                op: step.op,
                at: now,
                run: into.run,
            };
            rows.put(
                Table::Feed,
                &of_stream.clone().number(*last),
                &[&head.bytes(), id],
            )?;
        }
        for (step, seq) in steps.iter().zip(numbers) {
            let head = |deleted, modified| {
                Head {
                    deleted,
                    seq,
                    at: now,
                    modified,
                    hash: step.prepared.hash,
                }
                .bytes()
            };
            match &step.prepared.change {
                Change::Upsert(item) => {
                    let head = head(false, item.modified);
                    rows.put(Table::Records, &step.key, &[&head, item.data.as_bytes()])?;
                }
                Change::Delete(_) => rows.put(Table::Records, &step.key, &[&head(true, None)])?,
            }
        }
        state.records = (state.records + counts.added).saturating_sub(counts.deleted);
        if into.run.is_none() && *last != before {
            state.others = *last;
        }
        self.quarantine(rows, &of_stream, state)?;
        counts.quarantined = self.quarantined.len() as u64;
        Ok(counts)
    }

    /// Refuses what is older than what is there: where somebody else than the run has written one of these records behind `since`, the
    /// feed's last number when the reading began, and has written it otherwise. Nobody knows then which of the two the vendor said last.
    pub(crate) fn require_newer(
        &self,
        rows: &mut impl Rows,
        into: Into,
        state: &State,
        since: u64,
    ) -> Result<(), Error> {
        if state.others <= since {
            return Ok(());
        }
        let of_stream = stream_key(into.org, into.connection, &self.stream);
        for prepared in &self.changes {
            let id = prepared.change.id();
            let head = |content: &[u8]| Ok(Head::read(content)?.0);
            let Some(known) = rows.look(Table::Records, &of_stream.clone().tail(id), head)? else {
                continue;
            };
            if known.seq <= since || prepared.op(Some(&known)).is_none() {
                continue;
            }
            let place = of_stream.clone().number(known.seq);
            let by = rows.look(Table::Feed, &place, |content| Ok(FeedHead::read(content)?.0.run))?;
            if by != Some(into.run) {
                return Err(Error::RecordChanged {
                    stream: self.stream.clone(),
                    id: id.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Takes ids that came in well out of quarantine, and puts the refused ones in.
    pub(crate) fn quarantine(
        &self,
        rows: &mut Writer<'_>,
        of_stream: &Key,
        state: &mut State,
    ) -> Result<(), Error> {
        if state.quarantined > 0 {
            for prepared in &self.changes {
                let key = of_stream.clone().tail(quarantine_tail(prepared.change.id(), ""));
                if rows.has(Table::Quarantine, &key)? {
                    rows.delete(Table::Quarantine, &key)?;
                    state.quarantined = state.quarantined.saturating_sub(1);
                }
            }
        }
        for (tail, json) in &self.quarantined {
            let key = of_stream.clone().tail(tail);
            let known = rows.has(Table::Quarantine, &key)?;
            if !known && state.quarantined >= MAX_QUARANTINED {
                continue;
            }
            rows.put(Table::Quarantine, &key, &[json])?;
            state.quarantined += u64::from(!known);
        }
        Ok(())
    }
}

impl Prepared {
    /// What it comes to where the record is so; `None`: nothing changes.
    pub(crate) fn op(&self, known: Option<&Head>) -> Option<Op> {
        match (&self.change, known) {
            (Change::Upsert(_), Some(head)) if !head.deleted && head.hash == self.hash => None,
            (Change::Upsert(_), Some(head)) if !head.deleted => Some(Op::Updated),
            (Change::Upsert(_), _) => Some(Op::Added),
            (Change::Delete(_), Some(head)) if !head.deleted => Some(Op::Deleted),
            (Change::Delete(_), _) => None,
        }
    }
}

pub(crate) fn count(counts: &mut Counts, op: Option<Op>) {
    match op {
        Some(Op::Added) => counts.added += 1,
        Some(Op::Updated) => counts.updated += 1,
        Some(Op::Deleted) => counts.deleted += 1,
        None => counts.unchanged += 1,
    }
}

/// A refused record's place: its id; without one, or with one too long for a key, a hash of what there is.
fn quarantine_tail(id: &str, data: &str) -> Vec<u8> {
    let (mark, hashed) = match id.len() {
        0 => (b'd', data),
        len if len > MAX_ID_BYTES => (b'l', id),
        _ => return [b"i", id.as_bytes()].concat(),
    };
    [
        &[mark],
        ring::digest::digest(&ring::digest::SHA256, hashed.as_bytes()).as_ref(),
    ]
    .concat()
}

fn hash(item: &Item) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(item.data.as_bytes());
    // JSON never ends in a zero byte, so the two cannot run into each other.
    if let Some(modified) = item.modified {
        context.update(&[0]);
        context.update(&modified.as_millis().to_be_bytes());
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
