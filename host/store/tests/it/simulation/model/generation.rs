//! Generations and undone runs, as the model has them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sluice_model::id::RunId;
use sluice_model::record::{Change, Counts};
use sluice_model::run::RunState;

use super::super::vendor::{self, Content, STREAMS};
use super::{By, Model, Version, is_exact, parts, tally, there};

#[derive(Debug, Clone, Default)]
pub(crate) struct Generation {
    pub(crate) run: Option<RunId>,
    pub(super) since: u64,
    pub(super) staged: BTreeMap<String, (u64, Content)>,
    pub(super) seen: BTreeSet<String>,
    pub(super) pending: BTreeMap<String, Option<String>>,
    pub(crate) folding: Option<Folding>,
}

#[derive(Debug, Clone)]
pub(crate) struct Folding {
    /// The feed's last number before it.
    pub(crate) last: u64,
    /// What readers see meanwhile.
    pub(super) view: BTreeMap<String, (Rc<str>, u64)>,
}

impl Model {
    pub(super) fn stage(&mut self, stream: &str, changes: &[Change]) -> Counts {
        let mut counts = Counts::default();
        let last = self.last;
        let of = self.stream(stream);
        let Some(generation) = &mut of.generation else {
            return counts;
        };
        for (at, change) in changes.iter().enumerate() {
            let (id, content) = parts(change);
            if changes[at + 1..].iter().any(|later| later.id() == id) {
                counts.unchanged += 1;
                continue;
            }
            let known = match generation.staged.get(&id) {
                Some((_, staged)) => staged.clone(),
                None => of.records.get(&id).and_then(|versions| there(versions)),
            };
            if content.is_some() {
                generation.seen.insert(id.clone());
            }
            if known == content {
                counts.unchanged += 1;
                continue;
            }
            tally(&mut counts, known.as_ref(), content.as_ref());
            generation.staged.insert(id, (last, content));
        }
        counts
    }

    pub(crate) fn begin_fold(&mut self, id: RunId) {
        let last = self.last;
        let run = self.runs.get_mut(&id).unwrap();
        run.state = RunState::Committing;
        let stream = run.stream;
        let view = self.live(stream);
        if let Some(generation) = &mut self.stream(stream).generation {
            generation.folding.get_or_insert(Folding { last, view });
        }
    }

    /// What was staged takes its place. Whether there was a generation to take it from.
    pub(crate) fn fold_staged(&mut self, id: RunId) -> bool {
        let stream = self.runs[&id].stream;
        let of = self.stream(stream);
        let Some(generation) = &mut of.generation else {
            return false;
        };
        let staged = std::mem::take(&mut generation.staged);
        let mut changes = Vec::new();
        for (id, (seq, content)) in staged {
            let now = of.records.get(&id).and_then(|versions| versions.last());
            if now.is_none_or(|now| now.seq <= seq) {
                changes.push(vendor::change(&id, &content));
            }
        }
        self.apply(stream, &changes, By::Run(id));
        true
    }

    /// What was not seen goes, and the generation is in place.
    pub(crate) fn fold_vanished(&mut self, id: RunId) {
        let stream = self.runs[&id].stream;
        let Some(generation) = self.stream(stream).generation.take() else {
            return;
        };
        let gone: Vec<_> = self
            .stream(stream)
            .records
            .iter()
            .filter(|(id, versions)| {
                let now = versions.last().unwrap();
                now.content.is_some() && now.seq <= generation.since && !generation.seen.contains(*id)
            })
            .map(|(id, _)| Change::Delete(id.clone()))
            .collect();
        self.apply(stream, &gone, By::Run(id));
        for (partition, cursor) in generation.pending {
            self.stream(stream)
                .cursors
                .entry(partition)
                .or_default()
                .advance(id, cursor);
        }
        let run = self.runs.get_mut(&id).unwrap();
        run.counts.vanished += gone.len() as u64;
        run.folded = true;
    }

    pub(crate) fn drop_generation(&mut self, stream: &str, run: RunId) {
        let generation = &mut self.stream(stream).generation;
        if generation
            .as_ref()
            .is_some_and(|generation| generation.run == Some(run))
        {
            *generation = None;
        }
    }

    /// What the next start does with foldings that were under way.
    pub(crate) fn end_foldings(&mut self) {
        for stream in STREAMS {
            let generation = self.stream(stream).generation.as_ref();
            let folding = generation.filter(|generation| generation.folding.is_some());
            if let Some(run) = folding.and_then(|generation| generation.run) {
                self.fold_staged(run);
                self.fold_vanished(run);
            }
        }
    }

    /// The cursors that this run moved last stand where they stood before it. Whether no later run has moved one: what such a run
    /// found as this one had left it is not read again.
    pub(crate) fn set_back(&mut self, id: RunId) -> bool {
        let stream = self.runs[&id].stream;
        let mut all = true;
        for kept in self.stream(stream).cursors.values_mut() {
            if kept.moved.last().is_some_and(|(last, _)| *last == id) {
                kept.cursor = kept.moved.pop().and_then(|(_, before)| before);
            }
            all &= kept.moved.iter().all(|(run, _)| *run < id);
        }
        all
    }

    /// The records that are this run's word are what they were before it: what the last run that stands, or somebody else, made of them.
    pub(crate) fn reverse(&mut self, id: RunId, read_again: bool) {
        let stream = self.runs[&id].stream;
        let runs: BTreeSet<RunId> = self
            .runs
            .iter()
            .filter(|(_, run)| run.undone)
            .map(|(id, _)| *id)
            .collect();
        let stands = |version: &&Version| {
            let by = version.by.run();
            by.is_none_or(|by| by != id && !runs.contains(&by))
        };
        let mut back = Vec::new();
        for (record, versions) in &self.stream(stream).records {
            let now = versions.last().unwrap();
            if now.by.run() == Some(id) {
                let before = versions.iter().rev().find(stands);
                let content = before.and_then(|before| before.content.clone());
                back.push((
                    now.seq,
                    vendor::change(record, &content),
                    before.map(|before| before.by),
                ));
            }
        }
        back.sort_unstable_by_key(|(seq, ..)| *seq);
        for (_, change, before) in back {
            let read_again = read_again && before.is_none_or(is_exact);
            let of = before.and_then(By::run);
            self.apply(stream, &[change], By::Undo { read_again, of });
        }
    }
}
