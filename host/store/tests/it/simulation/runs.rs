//! What workers and people do to runs, each held against what the model says must come of it.

use sluice_model::Timestamp;
use sluice_model::id::RunId;
use sluice_model::run::{Mode, RunState, Trigger};
use sluice_store::Error;
use sluice_store::checkpoint::{PageCommit, PageOutcome};
use sluice_store::generation::Fold;
use sluice_store::run::{Deferral, Lease, NewRun, Run, RunEnd};

use super::model::Model;
use super::syncing::LEASE;
use super::turn::Me;
use super::world::World;

/// What is noted of a page that was refused.
pub(crate) const OUT_OF_DATE: &str = "somebody wrote one of them meanwhile";

impl World {
    pub(crate) fn new_run(&self, stream: &str, mode: Mode, trigger: Trigger, at: Timestamp) -> NewRun {
        NewRun {
            id: RunId::from_bytes(self.id()),
            connection: self.room().connection,
            stream: stream.to_owned(),
            mode,
            window: None,
            trigger,
            app: Some("app".to_owned()),
            at,
        }
    }

    /// What is queued where nothing is under way.
    pub(crate) fn queued(&self, new: &NewRun) -> Model {
        let stream = self.stream_name(&new.stream);
        self.model
            .borrow()
            .then(|model| model.queue(new.id, stream, new.mode))
    }

    pub(crate) fn stream_name(&self, name: &str) -> &'static str {
        super::vendor::STREAMS
            .into_iter()
            .find(|known| *known == name)
            .unwrap()
    }

    pub(crate) async fn lease_runs(&self, me: &Me) -> Result<Vec<Lease>, Error> {
        let now = me.now(self);
        let store = self.store();
        let leases = self
            .attempt(vec![], store.lease_due_runs(me.name, now, LEASE, (1, self.caps)))
            .await?;
        let mut model = self.model.borrow_mut();
        for lease in &leases {
            self.note(format!(
                "{} leases {} of {} as {}",
                me.name, lease.run.id, lease.run.stream, lease.fencing
            ));
            let run = model.runs.get_mut(&lease.run.id).unwrap();
            assert!(!run.state.ended(), "what has ended is leased");
            assert!(
                !run.state.held() || run.until.is_none_or(|until| until <= now),
                "a lease is taken before its end"
            );
            assert!(lease.fencing > run.fencing, "a number was given before");
            assert_eq!(lease.run.cancel, run.cancel);
            (run.state, run.fencing, run.until) = (RunState::Leased, lease.fencing, Some(lease.until));
        }
        Ok(leases)
    }

    fn mine(&self, lease: &Lease) -> bool {
        self.model.borrow().holds(lease.run.id, lease.fencing)
    }

    pub(crate) async fn begin_run(&self, me: &Me, lease: &Lease) -> Result<Run, Error> {
        self.note(format!("{} begins {}", me.name, lease.run.id));
        let after = vec![self.model.borrow().then(|model| model.begin(lease.run.id))];
        let store = self.store();
        let begun = self
            .attempt_for(
                self.mine(lease),
                after,
                store.begin_run(lease.org, lease.run.id, lease.fencing, "id"),
            )
            .await?;
        let model = self.model.borrow();
        assert_eq!(
            (begun.staging, begun.since),
            (model.runs[&begun.id].staging, model.runs[&begun.id].since)
        );
        Ok(begun)
    }

    /// Commits a page for which the vendor was asked after so many changes.
    pub(crate) async fn commit_page(
        &self,
        me: &Me,
        page: PageCommit,
        read_at: usize,
    ) -> Result<PageOutcome, Error> {
        self.note(format!(
            "{} commits {} changes of {} for {}, cursor {:?}",
            me.name,
            page.changes.len(),
            page.stream,
            page.run,
            page.cursor
        ));
        let mine = self.model.borrow().holds(page.run, page.fencing);
        let (refused, put_back) = {
            let model = self.model.borrow();
            let counts_anyway = page.since.is_none();
            (
                model.refuses(&page),
                !counts_anyway && model.is_put_back(&page, read_at),
            )
        };
        let after = self.model.borrow().then(|model| {
            if mine && !refused {
                model.page(&page)
            }
        });
        let (run, cancel, before) = (
            page.run,
            self.model.borrow().runs[&page.run].cancel,
            self.model.borrow().last,
        );
        let counts = self.model.borrow().runs[&run].counts;
        let received = page.changes.len() as u64;
        let store = self.store();
        let came = self.attempt_for(mine, vec![after], store.commit_page(page)).await;
        if matches!(came, Err(Error::RecordChanged { .. })) {
            assert!(refused, "a page is refused that puts nothing back");
            self.note(format!("{}: {OUT_OF_DATE}", me.name));
        }
        let outcome = came?;
        assert!(!put_back, "what somebody wrote while a page was read is put back");
        assert!(!refused, "a page that is out of date is taken");
        let model = self.model.borrow();
        let mut sum = counts;
        sum.add(&outcome.counts);
        assert_eq!(sum, model.runs[&run].counts, "the counts of a page");
        assert_eq!(outcome.counts.received(), received, "counts that do not add up");
        assert_eq!((outcome.last_seq, outcome.cancel), (model.last, cancel));
        assert!(outcome.last_seq >= before, "feed numbers go back");
        Ok(outcome)
    }

    pub(crate) async fn renew_lease(&self, me: &Me, lease: &Lease, until: Timestamp) -> Result<bool, Error> {
        self.note(format!("{} renews {}", me.name, lease.run.id));
        let renewed = |model: &mut Model| {
            if let Some(run) = model.runs.get_mut(&lease.run.id) {
                run.until = Some(until);
            }
        };
        let after = vec![self.model.borrow().then(renewed)];
        let store = self.store();
        let cancel = self
            .attempt_for(
                self.mine(lease),
                after,
                store.renew_lease(lease.org, lease.run.id, lease.fencing, until),
            )
            .await?;
        assert_eq!(cancel, self.model.borrow().runs[&lease.run.id].cancel);
        Ok(cancel)
    }

    pub(crate) async fn note_run(&self, lease: &Lease) -> Result<(), Error> {
        let after = vec![self.model.borrow().clone()];
        let store = self.store();
        self.attempt_for(
            self.mine(lease),
            after,
            store.note_run(lease.org, lease.run.id, lease.fencing, vec![], vec![]),
        )
        .await
    }

    pub(crate) async fn defer_run(&self, me: &Me, lease: &Lease, deferral: Deferral) -> Result<(), Error> {
        self.note(format!(
            "{} lets {} go: {}",
            me.name,
            lease.run.id,
            deferral.state.name()
        ));
        let state = deferral.state;
        let half = self.half_folded(lease.run.id);
        let deferred = |model: &mut Model| {
            let Some(run) = model.runs.get_mut(&lease.run.id) else {
                return;
            };
            run.state = if run.cancel && !half {
                RunState::Cancelled
            } else {
                state
            };
            run.fencing += 1;
            run.until = None;
        };
        let after = vec![self.model.borrow().then(deferred)];
        let store = self.store();
        let run = self
            .attempt_for(
                self.mine(lease),
                after,
                store.defer_run(lease.org, lease.run.id, lease.fencing, deferral),
            )
            .await?;
        assert_eq!(run.state, self.model.borrow().runs[&run.id].state);
        Ok(())
    }

    pub(crate) async fn end_run(&self, me: &Me, lease: &Lease, end: RunEnd) -> Result<Run, Error> {
        self.note(format!("{} ends {}: {}", me.name, lease.run.id, end.state.name()));
        let (next, state) = (RunId::from_bytes(self.id()), end.state);
        let ended = |model: &mut Model| {
            let Some(run) = model.runs.get_mut(&lease.run.id) else {
                return;
            };
            run.state = state;
            run.fencing += 1;
            let stream = run.stream;
            if run.again && state != RunState::Cancelled {
                model.queue(next, stream, Mode::Incremental);
            }
        };
        let after = vec![self.model.borrow().then(ended)];
        let store = self.store();
        self.attempt_for(
            self.mine(lease),
            after,
            store.end_run(lease.org, lease.run.id, lease.fencing, end, next),
        )
        .await
    }

    pub(crate) async fn drop_generation(&self, run: &Run) -> Result<(), Error> {
        self.note(format!("what {} put aside is forgotten", run.id));
        let stream = self.stream_name(&run.stream);
        let after = vec![
            self.model
                .borrow()
                .then(|model| model.drop_generation(stream, run.id)),
        ];
        let room = self.room();
        self.attempt(after, room.store.drop_generation(room.org, run))
            .await
    }

    pub(crate) async fn begin_fold(&self, me: &Me, lease: &Lease) -> Result<Fold, Error> {
        self.note(format!("{} begins to fold {}", me.name, lease.run.id));
        let mine = self.mine(lease);
        let after = vec![self.model.borrow().then(|model| {
            if mine {
                model.begin_fold(lease.run.id)
            }
        })];
        let store = self.store();
        self.attempt_for(
            mine,
            after,
            store.begin_fold(lease.org, lease.run.id, lease.fencing),
        )
        .await
    }

    /// The first step writes what was staged, the second deletes what was not seen.
    pub(crate) async fn fold_step(
        &self,
        me: &Me,
        lease: &Lease,
        fold: Fold,
        staged: bool,
    ) -> Result<Option<Fold>, Error> {
        self.note(format!(
            "{} folds {}: {}",
            me.name,
            lease.run.id,
            if staged { "staged" } else { "vanished" }
        ));
        let mut more = false;
        let folded = |model: &mut Model| {
            more = staged && model.fold_staged(lease.run.id);
            if !staged {
                model.fold_vanished(lease.run.id);
            }
        };
        let after = vec![self.model.borrow().then(folded)];
        let store = self.store();
        let next = self
            .attempt_for(
                self.mine(lease),
                after,
                store.fold_step(fold, lease.fencing, me.now(self)),
            )
            .await?;
        assert_eq!(next.is_some(), more, "whether a folding is over");
        Ok(next)
    }
}
