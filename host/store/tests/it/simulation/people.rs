//! People and schedules: what sets runs off, ends them and undoes them.

use std::rc::Rc;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::id::RunId;
use sluice_model::run::{Mode, RunState, Trigger};
use sluice_store::Error;
use sluice_store::link::{End, Written};
use sluice_store::stream_settings::StreamSettings;

use super::model::By;
use super::turn::Me;
use super::vendor::{SHELVES, STREAMS, change};
use super::world::World;

/// A person, who does one thing after the other.
pub(crate) async fn person(world: Rc<World>, me: Me) -> Result<(), Error> {
    loop {
        me.turn().await;
        let stream = world.dice.pick(&STREAMS);
        match world.dice.below(10) {
            0..=4 => {
                let mode = world
                    .dice
                    .pick(&[Mode::Full, Mode::Full, Mode::Incremental, Mode::Backfill]);
                world.create_run(stream, mode).await?;
            }
            5 | 6 => cancel(&world, stream).await?,
            _ => undo(&world, stream).await?,
        }
    }
}

/// Writes records at the vendor, as a link or a person does, and keeps what the vendor says of them: maybe when others have read it.
pub(crate) async fn writer(world: Rc<World>, me: Me) -> Result<(), Error> {
    loop {
        me.turn().await;
        let of = world.dice.pick(&SHELVES);
        let (id, content, saw) = {
            let mut vendor = world.vendor.borrow_mut();
            let id = vendor.live(of, &world.dice);
            let (content, saw) = vendor.look(of, &id);
            (id, content, saw)
        };
        stall(&world, &me).await;
        let room = world.room();
        let written = Written {
            changes: vec![change(&id, &content)],
            quarantined: vec![],
        };
        let after = world.model.borrow().then(|model| {
            model.apply(of.0, &written.changes, By::Other { saw });
        });
        let end = End {
            connection: room.connection,
            stream: of.0.to_owned(),
        };
        let kept = room.store.keep_written(room.org, end, written, me.now(&world));
        world.attempt(vec![after], kept).await?;
        world.note(format!("{} has written {id} of {}", me.name, of.0));
    }
}

impl World {
    pub(crate) async fn create_run(&self, stream: &'static str, mode: Mode) -> Result<bool, Error> {
        let new = self.new_run(stream, mode, Trigger::Manual, self.now());
        let (busy, after, room) = (self.active(stream), vec![self.queued(&new)], self.room());
        match self.attempt(after, room.store.create_run(room.org, new)).await {
            Ok(run) => {
                assert_eq!(busy, None, "two runs of {stream} at once");
                self.note(format!("a person queues {} of {stream}, {}", run.id, mode.name()));
                Ok(true)
            }
            Err(Error::ActiveRun { run }) => {
                assert_eq!(busy, Some(run));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

async fn cancel(world: &World, stream: &str) -> Result<(), Error> {
    let Some(id) = world.active(stream) else {
        return Ok(());
    };
    world.note(format!("a person cancels {id}"));
    let half = world.half_folded(id);
    let after = world.model.borrow().then(|model| model.cancel(id, half));
    let room = world.room();
    let run = world
        .attempt(vec![after], room.store.request_cancel(room.org, id, world.now()))
        .await?;
    assert_eq!(
        (run.state, run.cancel),
        (
            world.model.borrow().runs[&id].state,
            world.model.borrow().runs[&id].cancel
        )
    );
    Ok(())
}

/// Undoes the stream's last run, or one before it.
async fn undo(world: &World, stream: &str) -> Result<(), Error> {
    let ended: Vec<RunId> = {
        let model = world.model.borrow();
        let runs = model.runs.iter().rev();
        runs.filter(|(_, run)| run.stream == stream && run.state.ended() && !run.undone)
            .map(|(id, _)| *id)
            .collect()
    };
    let at = if world.dice.percent(75) {
        0
    } else {
        world.dice.below(ended.len())
    };
    let Some(id) = ended.get(at).copied() else {
        return Ok(());
    };
    let busy = world.active(stream).is_some();
    world.note(format!("a person undoes {id}"));
    let before = world.model.borrow().clone();
    let back = before.then(|model| {
        let read_again = model.set_back(id);
        model.reverse(id, read_again);
    });
    let over = back.then(|model| model.runs.get_mut(&id).unwrap().undone = true);
    let room = world.room();
    match world
        .attempt(vec![back, over], room.store.undo_run(room.org, id, world.now()))
        .await
    {
        Ok(undone) => {
            assert!(!busy, "a run was undone while another reads the stream");
            assert_eq!((undone.last_seq, undone.lost), (world.model.borrow().last, 0));
            Ok(())
        }
        Err(Error::ActiveRun { .. }) if busy => Ok(()),
        Err(error) => Err(error),
    }
}

/// Fires the schedules that are due, as the service's `sync/stream.rs` does.
pub(crate) async fn scheduler(world: Rc<World>, me: Me) -> Result<(), Error> {
    loop {
        me.turn().await;
        let room = world.room();
        let due = world
            .attempt(
                vec![],
                room.store
                    .lease_due_schedules(me.now(&world), Duration::from_secs(30), 4),
            )
            .await?;
        for (org, connection) in due {
            stall(&world, &me).await;
            let now = me.now(&world);
            for (name, settings) in room.store.all_stream_settings(org, connection).await? {
                let Some(due) = settings.next.filter(|due| *due <= now) else {
                    continue;
                };
                stall(&world, &me).await;
                let next = now.after(Duration::from_secs(20 + world.dice.below(200) as u64));
                let next = world.cadence.get().then_some(next);
                fire(&world, &me, world.stream_name(&name), due, next).await?;
            }
            stall(&world, &me).await;
            let same = vec![world.model.borrow().clone()];
            world
                .attempt(same, room.store.settle_schedule(org, connection))
                .await?;
        }
    }
}

async fn fire(
    world: &World,
    me: &Me,
    stream: &'static str,
    due: Timestamp,
    next: Option<Timestamp>,
) -> Result<(), Error> {
    let full = world.dice.percent(15);
    let mode = if full { Mode::Full } else { Mode::Incremental };
    let new = world.new_run(stream, mode, Trigger::Schedule, me.now(world));
    let (idle, right) = (
        world.active(stream).is_none(),
        world.model.borrow_mut().stream(stream).next == Some(due),
    );
    let mut fresh = true;
    let after = world.model.borrow().then(|model| {
        if idle {
            model.queue(new.id, stream, mode);
        }
        fresh = model.fired.insert((stream, due));
        model.stream(stream).next = next;
    });
    world.note(format!(
        "{}: {stream} was due at {due}, is due next at {next:?}",
        me.name
    ));
    let room = world.room();
    let fired = room
        .store
        .fire(room.org, room.connection, stream, (due, next), Some(new));
    match world.attempt(vec![after], fired).await {
        Ok(queued) => {
            assert!(right && fresh, "a schedule fires twice for the same time");
            assert_eq!(queued, idle, "whether a run was queued");
            Ok(())
        }
        Err(Error::State { .. }) => {
            assert!(!right, "a schedule does not fire");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Gives the streams their schedules.
pub(crate) async fn plan(world: &World) {
    let room = world.room();
    for stream in STREAMS {
        let next = Some(
            world
                .now()
                .after(Duration::from_secs(1 + world.dice.below(60) as u64)),
        );
        let settings = StreamSettings {
            next,
            ..StreamSettings::default()
        };
        world.model.borrow_mut().stream(stream).next = next;
        room.store
            .set_stream_settings(room.org, room.connection, stream, 0, settings)
            .await
            .unwrap();
    }
}

/// The end of a step; now and then the machine stalls for longer than a lease.
pub(crate) async fn stall(world: &World, me: &Me) {
    if world.fails(4) {
        me.sleep(world, world.dice.below(150_000) as u64).await;
        return;
    }
    me.turn().await;
}

impl super::model::Model {
    fn cancel(&mut self, id: RunId, half: bool) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        if run.state.held() || half {
            run.cancel = true;
            return;
        }
        run.state = RunState::Cancelled;
        run.fencing += 1;
    }
}
