//! What the store should hold, kept a second time in the plainest way: the versions of every record, cursors, generations and
//! runs. Each operation makes another model out of this one, so that after a power cut both can be held against the disk.

mod generation;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sluice_model::Timestamp;
use sluice_model::id::{ReceiptId, RunId};
use sluice_model::record::{Change, Counts};
use sluice_model::run::{Mode, RunState};
use sluice_store::checkpoint::PageCommit;
use sluice_store::cursor::Progress;

use self::generation::Generation;
use super::vendor::{Content, STREAMS};

/// Who wrote a version of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Run(RunId),
    /// A webhook, or whoever wrote to the vendor; how many of the vendor's changes they had seen.
    Other {
        saw: usize,
    },
    /// Whoever undid a run; whether the cursor went back with it, so that what was undone is read again, and the run whose word it is
    /// again.
    Undo {
        read_again: bool,
        of: Option<RunId>,
    },
}

impl By {
    /// The run whose word it is.
    fn run(self) -> Option<RunId> {
        match self {
            Self::Run(run) => Some(run),
            Self::Other { .. } => None,
            Self::Undo { of, .. } => of,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) seq: u64,
    pub(crate) content: Content,
    pub(crate) by: By,
}

/// A cursor, and the runs that moved it with where it stood before each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(crate) cursor: Option<String>,
    moved: Vec<(RunId, Option<String>)>,
}

impl Kept {
    fn advance(&mut self, run: RunId, cursor: Option<String>) {
        let Some(cursor) = cursor else { return };
        if self.moved.last().is_none_or(|(last, _)| *last != run) {
            self.moved.push((run, self.cursor.take()));
        }
        self.cursor = Some(cursor);
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    pub(crate) records: BTreeMap<String, Vec<Version>>,
    /// By partition.
    pub(crate) cursors: BTreeMap<String, Kept>,
    pub(crate) generation: Option<Generation>,
    pub(crate) next: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) stream: &'static str,
    pub(crate) mode: Mode,
    pub(crate) since: u64,
    pub(crate) begun: bool,
    pub(crate) staging: bool,
    pub(crate) folded: bool,
    pub(crate) undone: bool,
    pub(crate) pages: u64,
    pub(crate) counts: Counts,
    pub(crate) progress: Option<Progress>,
    // Taken from the store after a power cut.
    pub(crate) state: RunState,
    pub(crate) fencing: u64,
    pub(crate) until: Option<Timestamp>,
    pub(crate) cancel: bool,
    pub(crate) again: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    /// The feed's last number.
    pub(crate) last: u64,
    pub(crate) streams: BTreeMap<&'static str, Stream>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    /// Schedules that were fired, and when they were due.
    pub(crate) fired: BTreeSet<(&'static str, Timestamp)>,
    /// Receipts that were acknowledged, and whether their effect is there.
    pub(crate) receipts: BTreeMap<ReceiptId, bool>,
}

impl Model {
    pub(crate) fn stream(&mut self, name: &str) -> &mut Stream {
        let name = STREAMS.iter().find(|known| **known == name).unwrap();
        self.streams.entry(name).or_default()
    }

    /// The run under way, if there is one.
    pub(crate) fn active(&self, stream: &str) -> Option<RunId> {
        let mut runs = self.runs.iter();
        runs.find(|(_, run)| run.stream == stream && !run.state.ended())
            .map(|(id, _)| *id)
    }

    pub(crate) fn holds(&self, run: RunId, fencing: u64) -> bool {
        self.runs
            .get(&run)
            .is_some_and(|run| run.state.held() && run.fencing == fencing)
    }

    /// Another model: this one, after `change`.
    pub(crate) fn then(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut model = self.clone();
        change(&mut model);
        model
    }

    pub(crate) fn queue(&mut self, id: RunId, stream: &'static str, mode: Mode) {
        let run = Run {
            stream,
            mode,
            since: 0,
            begun: false,
            staging: false,
            folded: false,
            undone: false,
            pages: 0,
            counts: Counts::default(),
            progress: None,
            state: RunState::Queued,
            fencing: 0,
            until: None,
            cancel: false,
            again: false,
        };
        self.runs.insert(id, run);
    }

    pub(crate) fn begin(&mut self, id: RunId) {
        let last = self.last;
        let Some(run) = self.runs.get_mut(&id) else { return };
        if run.state == RunState::Leased {
            run.state = RunState::Running;
        }
        if run.begun {
            return;
        }
        (run.begun, run.since) = (true, last);
        let (stream, full) = (run.stream, run.mode == Mode::Full);
        let staging = full
            && self
                .stream(stream)
                .records
                .values()
                .any(|versions| there(versions).is_some());
        self.stream(stream).generation = staging.then(|| Generation {
            run: Some(id),
            since: last,
            ..Generation::default()
        });
        self.runs.get_mut(&id).unwrap().staging = staging;
    }

    /// Changes of a stream, as one commit.
    pub(crate) fn apply(&mut self, stream: &str, changes: &[Change], by: By) -> Counts {
        let mut counts = Counts::default();
        for (at, change) in changes.iter().enumerate() {
            let (id, content) = parts(change);
            let last = self.last;
            let versions = self.stream(stream).records.entry(id.clone()).or_default();
            let known = there(versions);
            let overtaken = changes[at + 1..].iter().any(|later| later.id() == id);
            if overtaken || known == content {
                counts.unchanged += 1;
                if versions.is_empty() {
                    self.stream(stream).records.remove(&id);
                }
                continue;
            }
            tally(&mut counts, known.as_ref(), content.as_ref());
            let seq = last + 1;
            versions.push(Version { seq, content, by });
            self.last = seq;
        }
        counts
    }

    pub(crate) fn page(&mut self, page: &PageCommit) {
        let partition = page.place.leg.partition.clone().unwrap_or_default();
        let staging = self.runs[&page.run].staging;
        let counts = if staging {
            self.stage(&page.stream, &page.changes)
        } else {
            self.apply(&page.stream, &page.changes, By::Run(page.run))
        };
        let run = self.runs.get_mut(&page.run).unwrap();
        run.counts.add(&counts);
        run.pages += page.pages;
        let before = run
            .progress
            .take()
            .filter(|progress| progress.leg == page.place.leg);
        let own = page
            .place
            .own
            .then(|| page.cursor.clone().or(before.and_then(|before| before.cursor)));
        run.progress = Some(Progress {
            leg: page.place.leg.clone(),
            cursor: own.clone().flatten(),
            done: page.place.last,
        });
        let of = self.stream(&page.stream);
        match own {
            None => of
                .cursors
                .entry(partition)
                .or_default()
                .advance(page.run, page.cursor.clone()),
            Some(own) => {
                if let Some(generation) = of.generation.as_mut().filter(|_| page.place.last && staging) {
                    generation.pending.insert(partition, own);
                }
            }
        }
    }

    /// Whether the page is out of date: of these records some were written otherwise, since its reading began, by another than its run.
    pub(crate) fn refuses(&self, page: &PageCommit) -> bool {
        page.since.is_some_and(|since| {
            self.overwritten(page)
                .any(|now| now.seq > since && now.by.run() != Some(page.run))
        })
    }

    /// Whether the page, for which the vendor was asked after so many changes, would put back what somebody had of the vendor later. Here
    /// nothing is asked for that the store goes by: neither the feed's numbers nor what the page says of them.
    pub(crate) fn is_put_back(&self, page: &PageCommit, read_at: usize) -> bool {
        self.overwritten(page)
            .any(|now| matches!(now.by, By::Other { saw } if saw > read_at))
    }

    /// What would not be any more, if the page were committed.
    fn overwritten<'m>(&'m self, page: &'m PageCommit) -> impl Iterator<Item = &'m Version> {
        let of = self.streams.get(page.stream.as_str());
        page.changes.iter().enumerate().filter_map(move |(at, change)| {
            let (id, content) = parts(change);
            let overtaken = page.changes[at + 1..].iter().any(|later| later.id() == id);
            let now = of?.records.get(&id)?.last()?;
            (!overtaken && now.content != content).then_some(now)
        })
    }

    /// The records that are there, whoever may see them.
    fn live(&self, stream: &str) -> BTreeMap<String, (Rc<str>, u64)> {
        let records = self.streams.get(stream).into_iter().flat_map(|of| &of.records);
        let there = records.filter_map(|(id, versions)| {
            let now = versions.last()?;
            Some((id.clone(), (now.content.clone()?, now.seq)))
        });
        there.collect()
    }

    /// The records that a reader sees.
    pub(crate) fn shown(&self, stream: &str) -> BTreeMap<String, (Rc<str>, u64)> {
        let generation = self.streams.get(stream).and_then(|of| of.generation.as_ref());
        match generation.and_then(|generation| generation.folding.as_ref()) {
            Some(folding) => folding.view.clone(),
            None => self.live(stream),
        }
    }

    /// The feed as a follower may read it.
    pub(crate) fn feed(&self) -> Vec<(u64, &'static str, String, Content)> {
        let foldings = self
            .streams
            .values()
            .filter_map(|of| of.generation.as_ref()?.folding.as_ref());
        let ends = foldings.map(|folding| folding.last).min().unwrap_or(u64::MAX);
        let mut rows = Vec::new();
        for (stream, of) in &self.streams {
            for (id, versions) in &of.records {
                let now = versions.last().unwrap();
                if now.seq <= ends {
                    rows.push((now.seq, *stream, id.clone(), now.content.clone()));
                }
            }
        }
        rows.sort_unstable_by_key(|(seq, ..)| *seq);
        rows
    }
}

/// Whether a version is what the vendor had at the cursor or later: not where a webhook overtook the reading.
pub(crate) const fn is_exact(by: By) -> bool {
    matches!(by, By::Run(_) | By::Undo { read_again: true, .. })
}

fn there(versions: &[Version]) -> Content {
    versions.last().and_then(|now| now.content.clone())
}

fn parts(change: &Change) -> (String, Content) {
    match change {
        Change::Upsert(item) => (item.id.clone(), Some(item.data.as_str().into())),
        Change::Delete(id) => (id.clone(), None),
    }
}

fn tally(counts: &mut Counts, known: Option<&Rc<str>>, content: Option<&Rc<str>>) {
    match (known, content) {
        (None, _) => counts.added += 1,
        (_, None) => counts.deleted += 1,
        _ => counts.updated += 1,
    }
}
