//! Workers: they lease due rows, hand each to the step that moves it, and sleep until the next one is due. Nothing is
//! polled: the store's wake-up or the time of the next due row ends the sleep.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_store::due::Work;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Service, auth, destination, endpoint, hooks, key, link, sync};

/// The workers of one process.
#[derive(Debug)]
pub struct Workers {
    stop: CancellationToken,
    tasks: TaskTracker,
    dispatchers: Vec<JoinHandle<()>>,
}

/// Starts the workers. They end when [`Workers::drain`] says so, or when the store fails.
#[must_use]
pub fn spawn(service: &Service) -> Workers {
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let start = |kind| {
        let dispatcher = Dispatcher {
            service: service.clone(),
            kind,
            stop: stop.clone(),
            tasks: tasks.clone(),
        };
        tokio::spawn(dispatcher.run())
    };
    let dispatchers = vec![
        start(Work::Runs),
        start(Work::Receipts),
        start(Work::Credentials),
        start(Work::Schedules),
        start(Work::Loads),
        start(Work::Links),
        start(Work::Chores),
        start(Work::Endpoints),
        start(Work::Replays),
        tokio::spawn(sweep(service.clone(), stop.clone())),
        tokio::spawn(key::rewrap(service.clone(), stop.clone())),
    ];
    Workers {
        stop,
        tasks,
        dispatchers,
    }
}

impl Workers {
    /// Takes no new work, lets what is under way come to its next commit, and waits for it at most so long. What is not
    /// done then is done by the next start.
    pub async fn drain(self, patience: Duration) {
        self.stop.cancel();
        for dispatcher in self.dispatchers {
            if let Err(error) = dispatcher.await {
                tracing::error!(%error, "a dispatcher ended badly");
            }
        }
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!("work is left for the next start");
        }
    }
}

struct Dispatcher {
    service: Service,
    kind: Work,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Dispatcher {
    async fn run(self) {
        let settings = self.service.settings();
        let slots = match self.kind {
            Work::Runs => settings.sync_workers,
            Work::Receipts => settings.hook_workers,
            Work::Credentials => REFRESH_WORKERS,
            Work::Schedules => SCHEDULE_WORKERS,
            Work::Loads => settings.load_workers,
            Work::Links => LINK_WORKERS,
            Work::Chores => CHORE_WORKERS,
            Work::Endpoints => ENDPOINT_WORKERS,
            // A step is one commit, and each does a good part of it.
            Work::Replays => 1,
        };
        let slots = Arc::new(Semaphore::new(slots.max(1)));
        let wake = self.service.store().wake();
        while let Some(first) = self.permit(&slots).await {
            // Registered before looking, so that work committed in between is not slept through.
            let news = wake.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let taken = match self.lease(first, &slots).await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::error!(code = error.code(), %error, "no work can be leased");
                    if matches!(error, sluice_store::Error::Failed { .. }) {
                        return;
                    }
                    self.pause(AFTER_AN_ERROR).await;
                    continue;
                }
            };
            if taken > 0 {
                continue;
            }
            let due = self.service.store().next_due(self.kind).await.ok().flatten();
            let wait = due.map_or(LONGEST_SLEEP, |due| self.until(due));
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep(wait) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    async fn permit(&self, slots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            permit = Arc::clone(slots).acquire_owned() => permit.ok(),
            () = self.stop.cancelled() => None,
        }
    }

    /// Leases as many rows as there are free slots and starts their steps. Answers how many.
    async fn lease(
        &self,
        first: OwnedSemaphorePermit,
        slots: &Arc<Semaphore>,
    ) -> Result<usize, sluice_store::Error> {
        let mut permits = vec![first];
        while let Ok(permit) = Arc::clone(slots).try_acquire_owned() {
            permits.push(permit);
        }
        let (service, worker) = (&self.service, worker_name());
        let (now, lease, free) = (service.now(), service.settings().lease, permits.len());
        let mut permits = permits.into_iter();
        match self.kind {
            Work::Runs => {
                let settings = service.settings();
                let leases = service
                    .store()
                    .lease_due_runs(&worker, now, lease, (free, settings.caps))
                    .await?;
                let taken = leases.len();
                for (lease, permit) in leases.into_iter().zip(permits.by_ref()) {
                    self.start(
                        permit,
                        lease.run.id.to_string(),
                        move |service, stop| async move { sync::run::drive(&service, lease, &stop).await },
                    );
                }
                Ok(taken)
            }
            Work::Receipts => {
                let leases = service
                    .store()
                    .lease_due_receipts(&worker, now, lease, free)
                    .await?;
                let taken = leases.len();
                for (leased, permit) in leases.into_iter().zip(permits.by_ref()) {
                    self.start(
                        permit,
                        leased.receipt.id.to_string(),
                        move |service, stop| async move { hooks::drive(&service, leased, &stop).await },
                    );
                }
                Ok(taken)
            }
            Work::Credentials => {
                let leased = service.store().lease_due_credentials(now, lease, free).await?;
                let taken = leased.len();
                for ((org, id), permit) in leased.into_iter().zip(permits.by_ref()) {
                    self.start(permit, id.to_string(), move |service, _| async move {
                        auth::drive(&service, org, id).await
                    });
                }
                Ok(taken)
            }
            Work::Chores => {
                let leased = service.store().lease_due_chores(now, lease, free).await?;
                let taken = leased.len();
                for (leased, permit) in leased.into_iter().zip(permits.by_ref()) {
                    self.start(permit, leased.1.id.to_string(), move |service, stop| async move {
                        hooks::drive_chores(&service, leased, &stop).await
                    });
                }
                Ok(taken)
            }
            Work::Schedules => {
                let leased = service.store().lease_due_schedules(now, lease, free).await?;
                let taken = leased.len();
                for ((org, id), permit) in leased.into_iter().zip(permits.by_ref()) {
                    self.start(permit, id.to_string(), move |service, _| async move {
                        sync::stream::drive(&service, org, id).await
                    });
                }
                Ok(taken)
            }
            Work::Links => {
                let leases = service.store().lease_due_links(now, lease, free).await?;
                let taken = leases.len();
                for (lease, permit) in leases.into_iter().zip(permits.by_ref()) {
                    self.start(permit, lease.1.id.to_string(), move |service, stop| async move {
                        link::drive(&service, lease, &stop).await
                    });
                }
                Ok(taken)
            }
            Work::Loads => {
                let leases = service.store().lease_due_loads(now, lease, free).await?;
                let taken = leases.len();
                for (lease, permit) in leases.into_iter().zip(permits.by_ref()) {
                    self.start(
                        permit,
                        lease.load.id.to_string(),
                        move |service, stop| async move { destination::drive(&service, lease, &stop).await },
                    );
                }
                Ok(taken)
            }
            Work::Endpoints => {
                let leased = service.store().lease_due_endpoints(now, lease, free).await?;
                let taken = leased.len();
                for (leased, permit) in leased.into_iter().zip(permits.by_ref()) {
                    self.start(
                        permit,
                        leased.endpoint.id.to_string(),
                        move |service, stop| async move { endpoint::drive(&service, leased, &stop).await },
                    );
                }
                Ok(taken)
            }
            Work::Replays => {
                let due = service.store().due_replays(now, REPLAYS_AT_ONCE).await?;
                for (org, id) in &due {
                    service
                        .store()
                        .step_replay(*org, *id, service.new_id(), service.now())
                        .await?;
                }
                Ok(due.len())
            }
        }
    }

    fn start<F, S>(&self, permit: OwnedSemaphorePermit, row: String, step: S)
    where
        F: Future<Output = Result<(), sluice_store::Error>> + Send + 'static,
        S: FnOnce(Service, CancellationToken) -> F,
    {
        let step = step(self.service.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            if let Err(error) = step.await {
                tracing::error!(row, code = error.code(), %error, "a step was not written down; its lease runs out");
            }
            drop(permit);
        });
    }

    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn until(&self, due: Timestamp) -> Duration {
        // A row that is due now and was not leased is another worker's until its lease ends.
        due.since(self.service.now()).clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
    }
}

/// Forgets what is kept for a time only, in small steps between the day's work.
async fn sweep(service: Service, stop: CancellationToken) {
    loop {
        let (store, now, keep) = (service.store(), service.now(), service.settings().keep);
        let swept = match store.sweep(now, SWEEP_STEPS).await {
            Ok(more) => match store.sweep_events(now, keep, SWEEP_STEPS).await {
                Ok(also) => store
                    .sweep_files(now, SWEEP_STEPS)
                    .await
                    .map(|files| more || also || files),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match swept {
            Ok(true) => {
                tokio::task::yield_now().await;
                if !stop.is_cancelled() {
                    continue;
                }
            }
            Ok(false) => {}
            Err(sluice_store::Error::Failed { .. }) => return,
            Err(error) => tracing::warn!(code = error.code(), %error, "nothing was swept"),
        }
        service.catalogue().let_go_of_idle();
        tokio::select! {
            () = tokio::time::sleep(BETWEEN_SWEEPS) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Tells the workers of one machine's processes apart in the database.
fn worker_name() -> String {
    format!("pid-{}", std::process::id())
}

/// Tokens refreshed ahead of their end at once; who needs one now does not wait for these.
const REFRESH_WORKERS: usize = 4;
/// Links that are worked on at once.
const LINK_WORKERS: usize = 4;
/// Hooks whose vendors are told or asked something at once.
const CHORE_WORKERS: usize = 4;
/// Connections whose runs are queued at once: each is a commit or two, and they share their syncs.
const SCHEDULE_WORKERS: usize = 32;
/// Endpoints that are delivered to at once. Each waits most of the time; how many tries are under way is bounded elsewhere.
const ENDPOINT_WORKERS: usize = 1024;
/// Replays that are moved on one after another, before it is looked what else is due.
const REPLAYS_AT_ONCE: usize = 8;
/// The clock may be set while a worker sleeps; it looks again at least so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Keeps a clock that stands still from making a worker spin.
const SHORTEST_SLEEP: Duration = Duration::from_millis(5);
/// After an error of the store that is not its end.
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
/// What is kept for days need not go to the minute.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(600);
/// Commits between two looks at the stop sign.
const SWEEP_STEPS: usize = 16;
