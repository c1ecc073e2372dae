//! Writes of a link: sent under the keys that were kept with them, and their outcomes kept.

use sluice_model::record::{Change, Item};
use sluice_runtime::Effects;
use sluice_store::link::{LinkStep, Numbered, Pair, Pending, Side};

use super::Error;
use super::carry::Failed;
use super::conflict::Reason;
use super::pairing::Work;
use crate::problem::Problem;
use crate::write::{self, Op, Outcome, Write};
use crate::{call, connection};

/// Writes of the first call of a turn, and of any. Each that succeeds lets the next be twice as large: the outcomes of a call
/// are kept together, so a process that dies again and again would never get past a large one.
const WRITES: (usize, usize) = (4, 64);

/// How many writes the next call has.
pub(super) struct Batch(usize);

impl Default for Batch {
    fn default() -> Self {
        Self(WRITES.0)
    }
}

impl Work<'_> {
    /// Has everything written that is to be written, and keeps the outcomes.
    pub(super) async fn settle(&self, batch: &mut Batch) -> Result<(), Failed> {
        loop {
            let store = self.service.store();
            let open = store.pending_pairs(self.org, self.link.id, batch.0).await?;
            if open.is_empty() || self.stop.is_cancelled() {
                return Ok(());
            }
            // One write of each pair at a time, and one side in a call.
            let side = open
                .first()
                .and_then(|(_, pair)| pair.pending.first())
                .map(|first| first.side);
            let Some(side) = side else { return Ok(()) };
            let of_side =
                |(_, pair): &(u64, Pair)| pair.pending.first().is_some_and(|first| first.side == side);
            let open: Vec<_> = open.into_iter().filter(of_side).collect();
            let writes: Vec<Write> = open
                .iter()
                .filter_map(|(_, pair)| pair.pending.first().map(|first| asked(pair, first)))
                .collect();
            let callee = self.callee(side);
            let stream = &self.link.end(side).stream;
            let mut effects = Effects::default();
            let ways = (self.stop.child_token(), &mut effects);
            let sent = write::send(self.service, callee, stream, &writes, ways).await;
            let logs = call::logs(self.service, &mut effects);
            let (id, fencing) = (self.link.id, self.link.turn.fencing);
            store
                .note_link(self.org, id, fencing, (effects.exchanges, logs))
                .await?;
            self.keep(side, open, sent?).await?;
            batch.0 = (batch.0 * 2).min(WRITES.1);
        }
    }

    async fn keep(&self, side: Side, open: Vec<(u64, Pair)>, outcomes: Vec<Outcome>) -> Result<(), Failed> {
        let (service, org) = (self.service, self.org);
        let (callee, end) = (self.callee(side), self.link.end(side));
        let written = write::kept(service, callee, &end.stream, &outcomes)
            .await
            .map_err(|problem| Failed::Problem(problem, None))?;
        let (mut pairs, mut gone): (Vec<Numbered>, Vec<u64>) = (Vec::new(), Vec::new());
        let (mut writes, mut held_up) = (0, None);
        for ((number, mut pair), outcome) in open.into_iter().zip(outcomes) {
            if pair.pending.is_empty() {
                continue;
            }
            let done = pair.pending.remove(0);
            match outcome {
                Outcome::Done(id, Some(item)) => {
                    writes += 1;
                    pair.set_id(side, Some(id.clone()));
                    // As it is kept, which the stream's rules may have changed.
                    let kept = written.changes.iter().find_map(|change| match change {
                        Change::Upsert(item) if item.id == id => Some(item.data.clone()),
                        _ => None,
                    });
                    let own = kept.unwrap_or(item.data);
                    let other = done.from.or_else(|| {
                        pair.base.clone().map(|(source, target)| match side {
                            Side::Source => target,
                            Side::Target => source,
                        })
                    });
                    pair.base = other.map(|other| match side {
                        Side::Source => (own, other),
                        Side::Target => (other, own),
                    });
                    pairs.push((Some(number), pair));
                }
                Outcome::Done(_, None) => {
                    writes += 1;
                    gone.push(number);
                }
                Outcome::Conflict(found) => {
                    // What the vendor has is kept, and comes again as a change; where it says nothing new, a person looks.
                    let is_news = match &found {
                        Some(found) => self.is_news(side, found).await?,
                        None => false,
                    };
                    if !is_news {
                        pair.conflict = Some(Reason::revision().written());
                    }
                    pairs.push((Some(number), pair));
                }
                Outcome::Failed(fault)
                    if fault.kind.passes() || connection::state_after(&fault).is_some() =>
                {
                    connection::degrade(service, org, end.connection, &fault)
                        .await
                        .map_err(Error::from)?;
                    held_up = Some((Problem::new(fault.kind.code(), &fault), fault.retry_after));
                }
                Outcome::Failed(fault) => {
                    let problem = Problem::new(fault.kind.code(), &fault);
                    pair.pending.clear();
                    pair.conflict = Some(Reason::refused(&problem).written());
                    pairs.push((Some(number), pair));
                }
            }
        }
        self.commit(LinkStep {
            pairs,
            gone,
            at: None,
            written: vec![(side, written)],
            writes,
            now: service.now(),
            until: self.until(),
        })
        .await?;
        match held_up {
            Some((problem, after)) => Err(Failed::Problem(problem, after)),
            None => Ok(()),
        }
    }

    async fn is_news(&self, side: Side, found: &Item) -> Result<bool, Failed> {
        let end = self.link.end(side);
        let known = self
            .service
            .store()
            .get_record(self.org, end.connection, &end.stream, &found.id)
            .await?;
        Ok(known.is_none_or(|known| known.data != found.data))
    }
}

fn asked(pair: &Pair, pending: &Pending) -> Write {
    let id = pair.id(pending.side).map(str::to_owned);
    let op = match (&pending.put, id) {
        (Some(members), Some(id)) => Op::Update(id, members.clone()),
        (Some(members), None) => Op::Create(members.clone()),
        (None, id) => Op::Delete(id.unwrap_or_default()),
    };
    Write {
        op,
        key: pending.key.clone(),
        revision: pending.revision.clone(),
    }
}
