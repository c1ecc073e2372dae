//! What has to be done about a pair: its records are compared with each other and with what they were.

use sluice_mapping::Salt;
use sluice_mapping::reconcile::{self, Known, Pair as Sides, Take, Tell, Verdict, member};
use sluice_model::Timestamp;
use sluice_model::id::OrgId;
use sluice_store::link::{Link, LinkStep, Pair, Pending, Side};
use tokio_util::sync::CancellationToken;

use super::carry::Failed;
use super::conflict::Reason;
use super::ways::{Told, Ways};
use super::{Direction, Error, LinkSettings};
use crate::Service;
use crate::call::Callee;
use crate::problem::Problem;

/// Changes that are looked at in one step, and bytes of them.
const PART: (usize, usize) = (100, 4 << 20);

/// What one turn works with.
pub(super) struct Work<'a> {
    pub(super) service: &'a Service,
    pub(super) org: OrgId,
    pub(super) link: &'a Link,
    pub(super) settings: LinkSettings,
    pub(super) both: bool,
    pub(super) ways: Ways,
    pub(super) salt: Option<Salt>,
    pub(super) source: Callee,
    pub(super) target: Callee,
    pub(super) stop: &'a CancellationToken,
}

/// A record as it is compared.
struct Record {
    own: String,
    mapped: Option<String>,
    modified: Option<Timestamp>,
}

impl Record {
    fn known(&self) -> Known<'_> {
        Known {
            own: &self.own,
            mapped: self.mapped.as_deref(),
            modified: self.modified,
        }
    }
}

/// Both sides of a pair as they are now, and what they were when they agreed.
struct Now {
    source: Option<Record>,
    target: Option<Record>,
    base: Option<(Record, Record)>,
    both: bool,
}

impl Now {
    fn sides(&self) -> Sides<'_> {
        Sides {
            source: self.source.as_ref().map(Record::known),
            target: self.target.as_ref().map(Record::known),
            base: self
                .base
                .as_ref()
                .map(|(source, target)| (source.known(), target.known())),
            both_ways: self.both,
        }
    }

    fn own(&self, side: Side) -> Option<&str> {
        let record = match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        };
        record.as_ref().map(|record| record.own.as_str())
    }
}

impl Work<'_> {
    pub(super) const fn callee(&self, side: Side) -> &Callee {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }

    pub(super) fn until(&self) -> Timestamp {
        self.service.now().after(self.service.settings().lease)
    }

    /// Looks at the next changes of a side. What is to be written is kept, not yet written. Where the feed was read up to.
    pub(super) async fn step(&self, side: Side, after: u64) -> Result<Option<u64>, Failed> {
        let (store, end) = (self.service.store(), self.link.end(side));
        let of = (self.org, end.connection);
        let changes = store.feed_part(of, &end.stream, after, PART).await?;
        let Some(through) = changes.last().map(|last| last.seq) else {
            return Ok(None);
        };
        let (mut pairs, mut gone) = (Vec::new(), Vec::new());
        // What the target of a one-way link changes is its own business.
        let looked_at = if side == Side::Source || self.both {
            changes
        } else {
            Vec::new()
        };
        for change in looked_at {
            let known = store.pair_of(self.org, self.link.id, side, &change.id).await?;
            let (number, pair) = match known {
                Some((number, pair)) => (Some(number), pair),
                None if change.data.is_none() => continue,
                None => {
                    let mut pair = Pair::default();
                    pair.set_id(side, Some(change.id));
                    (None, pair)
                }
            };
            match self.look(pair.clone()).await? {
                Looked::Gone => gone.extend(number),
                Looked::Is(new) if new == pair => {}
                Looked::Is(new) => pairs.push((number, new)),
            }
        }
        self.commit(LinkStep {
            pairs,
            gone,
            at: Some((side, through)),
            written: Vec::new(),
            writes: 0,
            now: self.service.now(),
            until: self.until(),
        })
        .await?;
        Ok(Some(through))
    }

    pub(super) async fn commit(&self, step: LinkStep) -> Result<(), sluice_store::Error> {
        let (id, fencing) = (self.link.id, self.link.turn.fencing);
        self.service
            .store()
            .commit_link(self.org, id, fencing, step)
            .await
    }

    /// A side's record as it is compared; none where there is none, or the rules leave it out.
    async fn record(&self, side: Side, id: Option<&str>) -> Result<Option<Record>, Failed> {
        let Some(id) = id else { return Ok(None) };
        let end = self.link.end(side);
        let found = self
            .service
            .store()
            .get_record(self.org, end.connection, &end.stream, id)
            .await?;
        let Some(found) = found else { return Ok(None) };
        let modified = found.modified;
        self.compared(side, found.data, modified)
            .map_err(|problem| Failed::Problem(problem, None))
    }

    fn compared(
        &self,
        side: Side,
        own: String,
        modified: Option<Timestamp>,
    ) -> Result<Option<Record>, Problem> {
        let mapped = match self.ways.told(side, &own, self.salt.as_ref())? {
            Some(Told::Members(members)) => Some(members),
            Some(Told::Nothing) => return Ok(None),
            None => None,
        };
        Ok(Some(Record {
            own,
            mapped,
            modified,
        }))
    }

    async fn now(&self, pair: &Pair) -> Result<Now, Failed> {
        let base = match &pair.base {
            Some((source, target)) => {
                let side = |side, text: &String| {
                    let record = self.compared(side, text.clone(), None);
                    record.map_err(|problem| Failed::Problem(problem, None))
                };
                side(Side::Source, source)?.zip(side(Side::Target, target)?)
            }
            None => None,
        };
        Ok(Now {
            source: self.record(Side::Source, pair.id(Side::Source)).await?,
            target: self.record(Side::Target, pair.id(Side::Target)).await?,
            base,
            both: self.both,
        })
    }

    /// What becomes of a pair as its records are now.
    async fn look(&self, mut pair: Pair) -> Result<Looked, Failed> {
        let now = match self.now(&pair).await {
            Ok(now) => now,
            // One record that a rule does not take holds up nobody else.
            Err(Failed::Problem(problem, _)) => {
                pair.conflict = Some(Reason::refused(&problem).written());
                return Ok(Looked::Is(pair));
            }
            Err(error) => return Err(error),
        };
        match reconcile::decide(&self.ways.judge, &now.sides()) {
            Ok(verdict) => Ok(self.follow(pair, &now, verdict)),
            Err(error) => {
                pair.conflict = Some(Reason::refused(&Problem::new("link.policy", error)).written());
                Ok(Looked::Is(pair))
            }
        }
    }

    /// A person has said whose word counts.
    pub(super) async fn settled(
        service: &Service,
        org: OrgId,
        link: &Link,
        (pair, take): (Pair, Take),
    ) -> Result<Pair, Error> {
        let settings = LinkSettings::read_kept(link)?;
        let ways = Ways::compile(&settings)?;
        let stop = CancellationToken::new();
        let work = Work {
            service,
            org,
            link,
            both: settings.direction == Direction::BothWays,
            salt: ways.salt(service, org).await?,
            settings,
            ways,
            source: Callee::read(service, org, link.source.connection).await?,
            target: Callee::read(service, org, link.target.connection).await?,
            stop: &stop,
        };
        let now = match work.now(&pair).await {
            Ok(now) => now,
            Err(Failed::Store(error)) => return Err(error.into()),
            Err(Failed::Problem(problem, _)) => {
                return Err(Error::Settings {
                    pointer: String::new(),
                    reason: problem.message,
                });
            }
        };
        let verdict = reconcile::take(&now.sides(), take)?;
        let mut pair = pair;
        pair.conflict = None;
        Ok(match work.follow(pair.clone(), &now, verdict) {
            Looked::Is(pair) => pair,
            Looked::Gone => pair,
        })
    }

    fn follow(&self, mut pair: Pair, now: &Now, verdict: Verdict) -> Looked {
        match verdict {
            Verdict::Leave => {}
            Verdict::Conflict(fields) => {
                pair.conflict = Some(Reason::both_changed(fields).written());
            }
            Verdict::Agreed => {
                pair.conflict = None;
                match (now.own(Side::Source), now.own(Side::Target)) {
                    (Some(source), Some(target)) => pair.base = Some((source.to_owned(), target.to_owned())),
                    (None, None) => return Looked::Gone,
                    _ => {}
                }
            }
            Verdict::Write { source, target } => {
                pair.conflict = None;
                pair.pending.clear();
                let mut from = true;
                for (side, tell) in [(Side::Source, source), (Side::Target, target)] {
                    let Some(tell) = tell else { continue };
                    let put = match tell {
                        Tell::Put(members) => Some(members),
                        Tell::Delete if self.settings.deletes => None,
                        Tell::Delete => continue,
                    };
                    pair.pending.push(Pending {
                        side,
                        key: self.key(),
                        // The second of two builds on what the first one left.
                        from: if from {
                            now.own(side.other()).map(str::to_owned)
                        } else {
                            None
                        },
                        put,
                        revision: self.revision(side, now.own(side)),
                    });
                    from = false;
                }
            }
        }
        Looked::Is(pair)
    }

    fn key(&self) -> String {
        let random: [u8; 16] = self.service.random();
        let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sluice-{hex}")
    }

    fn revision(&self, side: Side, own: Option<&str>) -> Option<String> {
        let names = self.settings.revision.as_ref()?;
        let name = match side {
            Side::Source => &names.source,
            Side::Target => &names.target,
        };
        member(own?, name).ok().flatten()
    }
}

/// What became of a pair when it was looked at.
enum Looked {
    Is(Pair),
    /// Neither side has a record any more.
    Gone,
}
