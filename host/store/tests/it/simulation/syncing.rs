//! Workers that read: the loop of the service's `sync/run.rs` and `sync/leg.rs`, with the same order of store calls.

use std::rc::Rc;
use std::time::Duration;

use sluice_model::run::{Mode, RunState};
use sluice_model::schedule::Schedule;
use sluice_store::Error;
use sluice_store::checkpoint::PageCommit;
use sluice_store::cursor::{Leg, Place};
use sluice_store::run::{Deferral, Lease, RunEnd, RunError};
use sluice_store::storage::StorageWrites;
use sluice_store::trace::LogLine;

use super::turn::Me;
use super::vendor::{Ask, SHELVES, VendorPage};
use super::world::World;

pub(crate) const LEASE: Duration = Duration::from_secs(60);
const CALL: Duration = Duration::from_secs(20);
const COMMIT: Duration = Duration::from_secs(30);
/// As the service's.
const STALE_PAGES: u32 = 3;
pub(crate) const RETRY: Schedule = Schedule {
    first: Duration::from_secs(1),
    factor: 2.0,
    max: Duration::from_secs(60),
    tries: 4,
};

/// How a stretch of work ended.
enum Turn {
    End(RunState),
    Wait(RunState, Duration),
}

struct Reading {
    world: Rc<World>,
    me: Me,
    lease: Lease,
    /// Read, and not committed; with after how many of its changes the vendor was asked first.
    unsettled: Option<(PageCommit, usize)>,
    /// How often in a row a page was read again because it was out of date.
    stale: u32,
    committed: bool,
    cancelled: bool,
}

/// A worker's life.
pub(crate) async fn live(world: Rc<World>, me: Me) -> Result<(), Error> {
    loop {
        me.turn().await;
        for lease in world.lease_runs(&me).await? {
            match drive(&world, &me, lease).await {
                Ok(()) | Err(Error::Fenced { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

async fn drive(world: &Rc<World>, me: &Me, lease: Lease) -> Result<(), Error> {
    let mut reading = Reading {
        world: world.clone(),
        me: me.clone(),
        lease,
        unsettled: None,
        stale: 0,
        committed: false,
        cancelled: false,
    };
    let turn = match reading.work().await {
        Err(Error::RecordChanged { .. }) => {
            let id = reading.lease.run.id;
            let room = world.room();
            let run = room.store.get_run(room.org, id).await?;
            retry(run.map_or(0, |run| run.failures))
        }
        turn => turn?,
    };
    reading.settle(turn).await
}

fn retry(failures: u32) -> Turn {
    match RETRY.wait(failures + 1, 0.5, None) {
        Some(wait) => Turn::Wait(RunState::RetryWait, wait),
        None => Turn::End(RunState::Dead),
    }
}

impl Reading {
    /// The end of a step. Machines stall, for longer than a lease.
    async fn turn(&self) {
        self.turn_or_stall(3).await;
    }

    async fn turn_or_stall(&self, percent: usize) {
        if self.world.fails(percent) {
            let stall = self.world.dice.below(200_000) as u64;
            self.world.note(format!("{} stalls for {stall} ms", self.me.name));
            self.me.sleep(&self.world, stall).await;
            return;
        }
        self.me.turn().await;
    }

    async fn settle(&mut self, turn: Turn) -> Result<(), Error> {
        self.turn().await;
        let (world, now) = (&self.world, self.me.now(&self.world));
        let error = None::<RunError>;
        match turn {
            Turn::Wait(state, wait) => {
                let deferral = Deferral {
                    state,
                    at: now.after(wait),
                    error,
                };
                world.defer_run(&self.me, &self.lease, deferral).await
            }
            Turn::End(state) => {
                let ended = world
                    .end_run(
                        &self.me,
                        &self.lease,
                        RunEnd {
                            state,
                            error,
                            at: now,
                        },
                    )
                    .await?;
                if ended.staging && !ended.folded {
                    self.turn_or_stall(20).await;
                    self.world.drop_generation(&ended).await?;
                }
                Ok(())
            }
        }
    }

    async fn work(&mut self) -> Result<Turn, Error> {
        if self.lease.run.is_half_folded() {
            self.fold().await?;
            return Ok(Turn::End(RunState::Succeeded));
        }
        if self.lease.run.cancel {
            return Ok(Turn::End(RunState::Cancelled));
        }
        self.turn().await;
        self.lease.run = self.world.begin_run(&self.me, &self.lease).await?;
        if self.lease.run.folded {
            return Ok(Turn::End(RunState::Succeeded));
        }
        let turn = self.read_all().await;
        // What waits is let go of.
        self.unsettled = None;
        if self.cancelled {
            return turn.map(|_| Turn::End(RunState::Cancelled));
        }
        if let Some(turn) = turn? {
            return Ok(turn);
        }
        if self.lease.run.staging {
            self.fold().await?;
        }
        Ok(Turn::End(RunState::Succeeded))
    }

    /// Reads again from what was committed where a page is out of date.
    async fn read_all(&mut self) -> Result<Option<Turn>, Error> {
        loop {
            match self.legs().await {
                Err(Error::RecordChanged { .. }) if !self.world.fails(10) => {
                    self.turn().await;
                    let room = self.world.room();
                    let run = room.store.get_run(room.org, self.lease.run.id).await?;
                    self.lease.run = run.unwrap();
                    self.stale = if self.committed { 1 } else { self.stale + 1 };
                    self.committed = false;
                    if self.lease.run.cancel {
                        return Ok(Some(Turn::End(RunState::Cancelled)));
                    }
                }
                turn => return turn,
            }
        }
    }

    async fn legs(&mut self) -> Result<Option<Turn>, Error> {
        let run = &self.lease.run;
        let looks_back = run.mode == Mode::Incremental && run.stream == "log";
        let mut legs = Vec::new();
        if run.stream == "parts"
            && let Some(turn) = self.call().await?
        {
            return Ok(Some(turn));
        }
        for lookback in [false, true] {
            if lookback && !looks_back {
                continue;
            }
            let partitions = SHELVES
                .iter()
                .filter(|(stream, _)| *stream == self.lease.run.stream);
            legs.extend(partitions.map(|(_, partition)| Leg {
                lookback,
                partition: (!partition.is_empty()).then(|| (*partition).to_owned()),
            }));
        }
        if let Some(progress) = &self.lease.run.progress {
            legs.retain(|leg| *leg > progress.leg || (*leg == progress.leg && !progress.done));
        }
        for leg in legs {
            if let Some(turn) = self.leg(leg).await? {
                return Ok(Some(turn));
            }
            self.commit().await?;
            if self.cancelled {
                return Ok(Some(Turn::End(RunState::Cancelled)));
            }
        }
        Ok(None)
    }

    async fn leg(&mut self, leg: Leg) -> Result<Option<Turn>, Error> {
        let run = &self.lease.run;
        let mut place = Place {
            own: run.staging || run.mode == Mode::Backfill || leg.lookback,
            version: 1,
            last: false,
            leg,
        };
        let ask = match run.mode {
            _ if place.leg.lookback => Ask::Window,
            Mode::Backfill => Ask::Window,
            Mode::Full if place.own => Ask::All,
            _ => Ask::Changes,
        };
        let mut cursor = self.start(&place).await?;
        loop {
            if self.world.fails(2) {
                // The run has had its time, or the server stops.
                self.commit().await?;
                return Ok(Some(Turn::Wait(RunState::Interrupted, Duration::ZERO)));
            }
            if self.renew(CALL).await? {
                return Ok(Some(Turn::End(RunState::Cancelled)));
            }
            let since = self.since()?;
            if let Some(turn) = self.call().await? {
                return Ok(Some(turn));
            }
            let page = self.read(&place, cursor.as_deref(), ask);
            // The answer is on its way, and others write meanwhile.
            self.me
                .sleep(&self.world, self.world.dice.below(3_000) as u64)
                .await;
            place.last = !page.more;
            cursor = Some(page.cursor.clone());
            self.add(&place, since, page).await?;
            if self.cancelled {
                return Ok(Some(Turn::End(RunState::Cancelled)));
            }
            if place.last {
                return Ok(None);
            }
        }
    }

    /// The feed's number before a page is read; none where pages were refused too often.
    fn since(&self) -> Result<Option<u64>, Error> {
        if self.lease.run.failures + self.stale >= STALE_PAGES && !self.committed {
            return Ok(None);
        }
        let room = self.world.room();
        let number = room.store.feed_number(room.org, room.connection)?;
        assert_eq!(number, self.world.model.borrow().last, "the feed's number");
        Ok(Some(number))
    }

    async fn start(&self, place: &Place) -> Result<Option<String>, Error> {
        let run = &self.lease.run;
        let resumed = run.progress.as_ref().filter(|progress| progress.leg == place.leg);
        if place.own {
            return Ok(resumed.and_then(|progress| progress.cursor.clone()));
        }
        if run.mode == Mode::Full && resumed.is_none() {
            return Ok(None);
        }
        let (room, partition) = (self.world.room(), place.leg.partition.as_deref());
        let kept = room
            .store
            .cursor(room.org, room.connection, &run.stream, partition)
            .await?;
        Ok(kept.map(|kept| kept.text))
    }

    /// Asks the vendor; how it comes to nothing.
    async fn call(&mut self) -> Result<Option<Turn>, Error> {
        let fate = if self.world.faults.get() {
            self.world.dice.below(100)
        } else {
            99
        };
        match fate {
            // It is late.
            0..=9 => {
                self.me
                    .sleep(&self.world, self.world.dice.below(18_000) as u64)
                    .await
            }
            10..=17 => self.me.sleep(&self.world, 20_000).await,
            _ => self.me.turn().await,
        }
        if !(10..30).contains(&fate) {
            return Ok(None);
        }
        self.world.note(format!("{}: the vendor fails", self.me.name));
        self.commit().await?;
        self.turn().await;
        self.world.note_run(&self.lease).await?;
        if fate < 20 {
            let wait = Duration::from_secs(self.world.dice.below(90) as u64 + 1);
            return Ok(Some(Turn::Wait(RunState::WaitingRate, wait)));
        }
        if fate == 29 {
            return Ok(Some(Turn::End(RunState::Failed)));
        }
        let failures = if self.committed {
            0
        } else {
            self.lease.run.failures
        };
        Ok(Some(retry(failures)))
    }

    fn read(&self, place: &Place, cursor: Option<&str>, ask: Ask) -> VendorPage {
        let partition = place.leg.partition.as_deref().unwrap_or_default();
        let mut shelves = SHELVES.iter();
        let of = shelves
            .find(|of| **of == (self.lease.run.stream.as_str(), partition))
            .unwrap();
        let page = self
            .world
            .vendor
            .borrow_mut()
            .read(*of, cursor, ask, 1 + self.world.dice.below(5));
        self.world.note(format!(
            "{} reads {of:?} from {cursor:?}: {} changes, then {}{}",
            self.me.name,
            page.changes.len(),
            page.cursor,
            if page.more { "" } else { ", the last" },
        ));
        page
    }

    /// Takes a page; it is committed now, or with the next one.
    async fn add(&mut self, place: &Place, since: Option<u64>, page: VendorPage) -> Result<(), Error> {
        let (room, run, read_at) = (self.world.room(), &self.lease.run, page.read_at);
        let page = PageCommit {
            org: room.org,
            run: run.id,
            fencing: self.lease.fencing,
            connection: run.connection,
            stream: run.stream.clone(),
            pages: 1,
            since,
            changes: page.changes,
            quarantined: vec![],
            filtered: 0,
            cursor: Some(page.cursor),
            place: place.clone(),
            storage: StorageWrites::default(),
            exchanges: vec![],
            logs: vec![LogLine {
                at: self.me.now(&self.world),
                level: "info".into(),
                message: "a page".into(),
                fields: vec![],
            }],
            now: self.me.now(&self.world),
        };
        match &mut self.unsettled {
            Some((waiting, _)) => waiting.append(page),
            None => self.unsettled = Some((page, read_at)),
        }
        if self.world.dice.percent(60) {
            return self.commit().await;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Error> {
        let Some((page, read_at)) = self.unsettled.take() else {
            return Ok(());
        };
        self.turn().await;
        let outcome = self.world.commit_page(&self.me, page, read_at).await?;
        self.committed = true;
        self.cancelled |= outcome.cancel;
        Ok(())
    }

    /// Makes sure that the lease outlives the next call. True: a person asked to cancel.
    async fn renew(&mut self, call: Duration) -> Result<bool, Error> {
        let now = self.me.now(&self.world);
        if self.lease.until.since(now) > call + COMMIT {
            return Ok(false);
        }
        self.turn().await;
        let until = now.after(call + COMMIT + LEASE);
        let cancel = self.world.renew_lease(&self.me, &self.lease, until).await?;
        self.lease.until = until;
        Ok(cancel)
    }

    async fn fold(&mut self) -> Result<(), Error> {
        self.turn().await;
        let mut step = Some(self.world.begin_fold(&self.me, &self.lease).await?);
        let mut staged = true;
        while let Some(fold) = step {
            self.renew(Duration::ZERO).await?;
            self.turn_or_stall(20).await;
            step = self.world.fold_step(&self.me, &self.lease, fold, staged).await?;
            staged = false;
        }
        Ok(())
    }
}
