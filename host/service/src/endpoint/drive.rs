//! What a worker does with an endpoint that is due: owes it the events it has not been looked at for, tries what is due, and writes
//! down what came of it, until nothing is due or its turn is over.
//!
//! An event and that it is owed are one commit, before the first try; so a process that ends between a try and its writing down
//! tries again, under the same id. Tries go on while a commit is made: it settles those before it, and owes what is tried after it.
//! One commit follows the other, and nothing more is taken in hand before it is known what the last one came to.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sluice_model::endpoint::{Health, Notice, OffReason, Status, Tried, is_wanted};
use sluice_model::event::NewEvent;
use sluice_store::delivery::{Attempt, CameTo, LeasedEndpoint, MAX_WAITING, Outcome, Owed, Step, Stepped};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::job::{self, Job, Made};
use super::lane;
use super::ready::{self, Ready};
use super::trying::{self, Sent, Verdict};
use crate::problem::Problem;
use crate::{Service, event};

/// One turn of an endpoint. Errors of the store leave the lease to run out.
pub(crate) async fn drive(
    service: &Service,
    leased: LeasedEndpoint,
    stop: &CancellationToken,
) -> Result<(), sluice_store::Error> {
    let ready = ready::of(service, leased.org, &leased.endpoint).await;
    let mut turn = Turn::new(service, leased);
    match ready {
        Ok(ready) => turn.run(&ready, stop).await,
        Err(error) => {
            // Its secrets or rules do not read: nothing can be sent until a person sets them anew.
            tracing::error!(endpoint = %turn.leased.endpoint.id, code = error.code(), %error, "an endpoint is not ready");
            turn.hold = Some(service.now().after(NOT_READY));
            turn.commit(None).await.map(drop)
        }
    }
}

/// A worker's turn with an endpoint, and what is not written down yet.
struct Turn<'a> {
    service: &'a Service,
    leased: LeasedEndpoint,
    until: Instant,
    position: u64,
    waiting: u64,
    health: Health,
    hold: Option<sluice_model::Timestamp>,
    off: Option<OffReason>,
    queue: VecDeque<Job>,
    /// In the queue or under way, or not written down.
    in_hand: HashSet<u64>,
    outcomes: Vec<Outcome>,
    owed: Vec<Owed>,
    events: Vec<NewEvent>,
    /// What is to be tried when it is written down that it is owed.
    looked_at: Option<Vec<Made>>,
    writing: Option<Writing>,
    wrote: Instant,
    /// Nothing more is due, as far as is known.
    is_exhausted: bool,
    /// Nothing more is begun.
    is_over: bool,
}

/// A commit under way.
struct Writing {
    done: Pin<Box<dyn Future<Output = Result<Stepped, sluice_store::Error>> + Send>>,
    /// What is tried when it is made.
    then: Vec<Made>,
}

/// Tries under way: what was tried, and what was sent, unless no turn came.
type Tries = JoinSet<(Job, Option<Sent>)>;

/// Deliveries that are taken in hand at once.
const BATCH: usize = 64;
/// Events that are looked at at once.
const LOOK: usize = 200;
/// Outcomes that are worth a commit; fewer wait for [`SOON`].
const TOGETHER: usize = 64;
/// An outcome is written down when the next try ends after so long.
const SOON: Duration = Duration::from_millis(100);
/// How long one endpoint is worked on, before others have their turn.
const TURN: Duration = Duration::from_secs(10);
/// A pause within the turn; a longer one ends it.
const SHORT_PAUSE: Duration = Duration::from_secs(1);
/// An endpoint whose secrets or rules do not read is looked at again.
const NOT_READY: Duration = Duration::from_secs(60);

impl<'a> Turn<'a> {
    fn new(service: &'a Service, leased: LeasedEndpoint) -> Self {
        Self {
            service,
            until: Instant::now() + TURN,
            position: leased.state.position,
            waiting: leased.state.waiting,
            health: leased.state.health,
            hold: None,
            off: None,
            queue: VecDeque::new(),
            in_hand: HashSet::new(),
            outcomes: Vec::new(),
            owed: Vec::new(),
            events: Vec::new(),
            looked_at: None,
            writing: None,
            wrote: Instant::now(),
            is_exhausted: false,
            is_over: false,
            leased,
        }
    }

    async fn run(&mut self, ready: &Arc<Ready>, stop: &CancellationToken) -> Result<(), sluice_store::Error> {
        let mut tries = Tries::new();
        loop {
            if stop.is_cancelled() || Instant::now() >= self.until {
                self.end();
            }
            if self.writing.is_none() {
                if self.queue.len() < BATCH && !self.is_over && !self.is_exhausted {
                    self.is_exhausted = !self.fill(ready).await?;
                }
                if self.is_to_be_written() {
                    self.begin_to_write();
                }
            }
            self.begin_tries(ready, &mut tries);
            if tries.is_empty() && self.writing.is_none() {
                if self.is_over || (self.is_exhausted && self.queue.is_empty()) {
                    return self.commit(None).await.map(drop);
                }
                continue;
            }
            tokio::select! {
                Some(joined) = tries.join_next() => {
                    self.note(joined);
                    while let Some(joined) = tries.try_join_next() {
                        self.note(joined);
                    }
                }
                stepped = written(&mut self.writing) => self.go_on_after(stepped?),
            }
        }
    }

    /// Begins as many tries as may be under way.
    fn begin_tries(&mut self, ready: &Arc<Ready>, tries: &mut Tries) {
        while tries.len() < self.concurrency() && !self.is_over {
            let Some(job) = self.queue.pop_front() else { break };
            let begin = match ready.pace(SHORT_PAUSE) {
                Ok(begin) => begin,
                Err(wait) => {
                    self.queue.push_front(job);
                    self.hold = Some(self.service.now().after(wait));
                    return self.end();
                }
            };
            let lane = self.service.outbox().lanes.of(&self.health);
            let (service, ready) = (self.service.clone(), Arc::clone(ready));
            tries.spawn(async move {
                if let Some(begin) = begin {
                    tokio::time::sleep_until(begin).await;
                }
                let Some(_turn) = lane::turn(lane).await else {
                    return (job, None);
                };
                let id = job.event.to_string();
                let sent = trying::attempt(&service, &ready, &id, job.body.clone()).await;
                (job, Some(sent))
            });
        }
    }

    /// Tries under way at once: one until it has shown that it is well, or where order is asked for.
    fn concurrency(&self) -> usize {
        if self.leased.endpoint.ordered || self.health.is_unwell() {
            return 1;
        }
        usize::try_from(self.leased.endpoint.concurrency).unwrap_or(1)
    }

    /// Begins nothing more. What is in the queue waits for the next turn.
    fn end(&mut self) {
        self.is_over = true;
        for job in self.queue.drain(..) {
            self.in_hand.remove(&job.seq);
        }
    }

    /// Takes more in hand: what is due, then events that were not looked at. Whether there was anything.
    async fn fill(&mut self, ready: &Arc<Ready>) -> Result<bool, sluice_store::Error> {
        let endpoint = &ready.endpoint;
        let mut found = false;
        // Where all that waits is in hand, none of it has to be looked for.
        if self.in_hand.is_empty() || self.waiting > self.in_hand.len() as u64 {
            found = self.take_due(ready).await?;
        }
        // In order, nothing new is taken in hand before what waits.
        let most = if endpoint.ordered { 1 } else { MAX_WAITING };
        if self.queue.len() < BATCH && self.waiting < most {
            found |= self.look(ready).await?;
        }
        Ok(found)
    }

    /// Takes in hand what is due. Whether there was anything.
    async fn take_due(&mut self, ready: &Arc<Ready>) -> Result<bool, sluice_store::Error> {
        let (service, org, endpoint) = (self.service, self.leased.org, &ready.endpoint);
        let limit = if self.health.is_unwell() { 1 } else { BATCH };
        let due = service
            .store()
            .due_deliveries(org, endpoint, service.now(), limit + self.in_hand.len())
            .await?;
        let mut events = Vec::with_capacity(due.len());
        for delivery in due {
            if self.in_hand.contains(&delivery.seq) {
                if endpoint.ordered {
                    break;
                }
                continue;
            }
            let event = service.store().event(org, delivery.seq).await?;
            events.push((delivery, event));
        }
        let found = !events.is_empty();
        self.take(job::shape(ready, events).await);
        Ok(found)
    }

    /// Looks at the next events, and owes those that are wanted. Whether there were any to look at.
    async fn look(&mut self, ready: &Arc<Ready>) -> Result<bool, sluice_store::Error> {
        let (service, org) = (self.service, self.leased.org);
        let found = service.store().events(org, self.position, LOOK, "").await?;
        if found.next == self.position {
            return Ok(false);
        }
        let wanted: Vec<_> = found
            .events
            .into_iter()
            .filter(|event| is_wanted(&ready.endpoint.kinds, &event.kind))
            .map(|event| (job::new(&event), Some(event)))
            .collect();
        let owed: Vec<Owed> = wanted
            .iter()
            .map(|(delivery, _)| Owed {
                seq: delivery.seq,
                event: delivery.event,
                kind: delivery.kind.clone(),
            })
            .collect();
        let mut made = job::shape(ready, wanted).await;
        let unwanted: HashSet<u64> = made
            .iter()
            .filter_map(|made| match made {
                Made::Unwanted(seq) => Some(*seq),
                _ => None,
            })
            .collect();
        made.retain(|made| !matches!(made, Made::Unwanted(_)));
        self.owed
            .extend(owed.into_iter().filter(|owed| !unwanted.contains(&owed.seq)));
        self.position = found.next;
        self.looked_at = Some(made);
        Ok(true)
    }

    fn take(&mut self, made: Vec<Made>) {
        for made in made {
            let (Made::Job(Job { seq, .. }) | Made::Unwanted(seq) | Made::Refused(seq, ..)) = &made;
            if !self.in_hand.insert(*seq) {
                continue;
            }
            match made {
                Made::Job(job) => self.queue.push_back(job),
                Made::Unwanted(seq) => self.outcomes.push(Outcome {
                    seq,
                    came_to: CameTo::Unwanted,
                }),
                Made::Refused(seq, code, reason) => {
                    let problem = Problem::new(code, reason);
                    let attempt = Attempt {
                        number: 0,
                        at: self.service.now(),
                        took_ms: 0,
                        status: None,
                        code: Some(problem.code),
                        message: Some(problem.message),
                        answer: String::new(),
                    };
                    self.outcomes.push(Outcome {
                        seq,
                        came_to: CameTo::Failed(attempt, None),
                    });
                }
            }
        }
    }

    /// Takes in what a try came to.
    fn note(&mut self, joined: Result<(Job, Option<Sent>), tokio::task::JoinError>) {
        let (job, sent) = match joined {
            Ok(joined) => joined,
            // A try that ended badly is due still, and is tried again in a later turn.
            Err(error) => {
                tracing::error!(%error, "a try ended badly");
                self.hold = Some(self.service.now().after(NOT_READY));
                return self.end();
            }
        };
        let (now, settings) = (self.service.now(), &self.service.settings().endpoint);
        let came_to = match sent {
            None => {
                self.end();
                CameTo::PutOff(now)
            }
            Some(Sent {
                verdict: Verdict::PutOff(after),
                ..
            }) => {
                self.hold = Some(now.after(after));
                self.end();
                CameTo::PutOff(now.after(after))
            }
            Some(Sent {
                attempt,
                verdict: Verdict::Tried(tried, asked),
            }) => {
                let notice = self.health.note(tried, now, &settings.health);
                self.tell(notice, &attempt);
                if tried == Tried::Delivered {
                    self.service.metrics().deliveries_made.add(1);
                    CameTo::Delivered(attempt)
                } else {
                    self.service.metrics().deliveries_failed.add(1);
                    let failures = job.failures.saturating_add(1);
                    let wait = settings.waits.wait(failures, self.service.jitter(), asked);
                    if let Some(pause) = self.health.pause(&settings.health) {
                        self.hold = Some(now.after(pause.max(asked.unwrap_or_default())));
                        self.end();
                    } else if let Some(asked) = asked {
                        // Whoever asks to be left alone is, for everything.
                        self.hold = Some(now.after(asked));
                        self.end();
                    }
                    if self.leased.endpoint.ordered {
                        self.end();
                    }
                    CameTo::Failed(attempt, wait.map(|wait| now.after(wait)))
                }
            }
        };
        self.outcomes.push(Outcome {
            seq: job.seq,
            came_to,
        });
    }

    fn tell(&mut self, notice: Option<Notice>, attempt: &Attempt) {
        let Some(notice) = notice else { return };
        let (kind, reason) = match notice {
            Notice::Failing => ("sluice.endpoint.failing", None),
            Notice::Recovered => ("sluice.endpoint.recovered", None),
            Notice::Off => ("sluice.endpoint.disabled", Some(OffReason::Failing)),
            Notice::Gone => ("sluice.endpoint.disabled", Some(OffReason::Gone)),
        };
        if let Some(reason) = reason {
            if self.off.is_some() {
                return;
            }
            self.off = Some(reason);
            self.end();
        }
        let (endpoint, health) = (&self.leased.endpoint, &self.health);
        let told = event::of_platform(self.service, kind, endpoint.id, || {
            json!({
                "name": endpoint.name,
                "reason": reason.map(OffReason::name),
                "failures": health.failures,
                "since": health.since.map(|since| since.to_string()),
                "code": attempt.code,
                "status": attempt.status,
            })
        });
        self.events.push(told);
    }

    fn is_to_be_written(&self) -> bool {
        self.looked_at.is_some()
            || self.outcomes.len() >= TOGETHER
            || (!self.outcomes.is_empty() && !self.is_over && self.wrote.elapsed() >= SOON)
    }

    /// Begins to write down what there is, and keeps the endpoint.
    fn begin_to_write(&mut self) {
        let until = self.service.now().after(self.service.settings().lease);
        self.wrote = Instant::now();
        self.writing = Some(Writing {
            done: Box::pin(self.commit(Some(until))),
            then: self.looked_at.take().unwrap_or_default(),
        });
    }

    /// Goes on with what the commit was waited for.
    fn go_on_after(&mut self, stepped: Stepped) {
        let then = self.writing.take().map(|writing| writing.then);
        self.waiting = stepped.waiting;
        if stepped.status != Status::Active {
            self.end();
        }
        if !self.is_over {
            self.take(then.unwrap_or_default());
        }
        // What was put off for a moment may be due by now.
        self.is_exhausted = false;
    }

    /// Writes down what there is, and gives the endpoint back where it is not kept.
    fn commit(
        &mut self,
        until: Option<sluice_model::Timestamp>,
    ) -> impl Future<Output = Result<Stepped, sluice_store::Error>> + Send + use<> {
        for outcome in &self.outcomes {
            self.in_hand.remove(&outcome.seq);
        }
        let step = Step {
            outcomes: std::mem::take(&mut self.outcomes),
            owed: std::mem::take(&mut self.owed),
            position: self.position,
            health: self.health,
            hold: self.hold,
            off: self.off,
            events: std::mem::take(&mut self.events),
            now: self.service.now(),
            until,
        };
        let (id, org, fencing) = (self.leased.endpoint.id, self.leased.org, self.leased.fencing);
        let store = self.service.store().clone();
        async move {
            match store.step_endpoint(org, id, fencing, step).await {
                // It was removed meanwhile; there is nothing to write down any more.
                Err(sluice_store::Error::Fenced { .. }) => Ok(Stepped {
                    status: Status::Off,
                    waiting: 0,
                }),
                other => other,
            }
        }
    }
}

/// What the commit under way came to; never, where there is none. Cancel-safe.
async fn written(writing: &mut Option<Writing>) -> Result<Stepped, sluice_store::Error> {
    match writing {
        Some(writing) => (&mut writing.done).await,
        None => std::future::pending().await,
    }
}
