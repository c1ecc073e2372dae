//! Workers that load: the loop of the service's `destination/load.rs`, with the same order of store calls; and a follower that reads
//! the feed of all streams from its own position.

use std::collections::BTreeMap;
use std::rc::Rc;

use sluice_store::Error;
use sluice_store::load::{Advance, Load};
use sluice_store::run::RunError;

use super::syncing::{LEASE, RETRY};
use super::turn::Me;
use super::world::World;

/// Rows of a batch.
const BATCH: usize = 7;
/// Batches of a turn.
const TURN: usize = 4;

pub(crate) async fn live(world: Rc<World>, me: Me) -> Result<(), Error> {
    loop {
        me.turn().await;
        let store = world.store();
        let leases = world
            .attempt(vec![], store.lease_due_loads(me.now(&world), LEASE, 1))
            .await?;
        for lease in leases {
            world.note(format!(
                "{} leases the load as {}",
                me.name, lease.load.turn.fencing
            ));
            assert!(world.place_fencing.replace(lease.load.turn.fencing) < lease.load.turn.fencing);
            match drive(&world, &me, &lease.load).await {
                Ok(()) | Err(Error::Fenced { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A destination fails.
enum Failed {
    Destination,
    Store(Error),
}

async fn drive(world: &World, me: &Me, load: &Load) -> Result<(), Error> {
    let failed = match carry(world, me, load).await {
        Ok(()) => None,
        Err(Failed::Store(error)) => return Err(error),
        Err(Failed::Destination) => {
            let wait = RETRY
                .wait(load.turn.failures.min(2) + 1, 0.5, None)
                .unwrap_or(RETRY.max);
            let error = RunError {
                code: "destination.lost".into(),
                message: "no answer".into(),
            };
            Some((error, me.now(world).after(wait)))
        }
    };
    turn(world, me).await;
    let mine = world.place_fencing.get() == load.turn.fencing;
    let (room, now) = (world.room(), me.now(world));
    let model = vec![world.model.borrow().clone()];
    let released = room
        .store
        .release_load(room.org, load.id, load.turn.fencing, (true, failed), now);
    let released = world.attempt_for(mine, model, released).await?;
    world.note(format!(
        "{} lets the load go, due {:?}",
        me.name, released.turn.due
    ));
    Ok(())
}

async fn carry(world: &World, me: &Me, load: &Load) -> Result<(), Failed> {
    let room = world.room();
    turn(world, me).await;
    let streams = room
        .store
        .owed_streams(room.org, load)
        .await
        .map_err(Failed::Store)?;
    let mut left = TURN;
    for stream in streams {
        let mut after = load.position(&stream);
        while left > 0 {
            left -= 1;
            match next(world, me, load, &stream, after).await? {
                Some(through) => after = through,
                None => break,
            }
        }
    }
    Ok(())
}

async fn next(world: &World, me: &Me, load: &Load, stream: &str, after: u64) -> Result<Option<u64>, Failed> {
    let room = world.room();
    turn(world, me).await;
    let of = (room.org, room.connection);
    let changes = room
        .store
        .feed_part(of, stream, after, (BATCH, 1 << 20))
        .await
        .map_err(Failed::Store)?;
    let Some(through) = changes.last().map(|last| last.seq) else {
        return Ok(None);
    };
    assert!(changes[0].seq > after && changes.windows(2).all(|two| two[0].seq < two[1].seq));
    turn(world, me).await;
    if world.fails(8) {
        world.note("the destination is down");
        return Err(Failed::Destination);
    }
    let loaded = world.place.borrow_mut().load(stream, after, &changes);
    world.note(format!(
        "{} loads {stream} from {after} through {through}: {loaded:?}",
        me.name
    ));
    if world.fails(8) {
        world.note("the destination's answer is lost");
        return Err(Failed::Destination);
    }
    let (through, rows) = match loaded {
        Ok(()) => (through, changes.len() as u64),
        Err(behind) => (behind.has, 0),
    };
    turn(world, me).await;
    let now = me.now(world);
    let advance = Advance {
        stream: stream.to_owned(),
        through,
        rows,
        bytes: 0,
        at: now,
        until: now.after(LEASE),
    };
    let mine = world.place_fencing.get() == load.turn.fencing;
    let model = vec![world.model.borrow().clone()];
    let advanced = room
        .store
        .advance_load(room.org, load.id, load.turn.fencing, advance);
    world
        .attempt_for(mine, model, advanced)
        .await
        .map_err(Failed::Store)?;
    Ok(Some(through))
}

/// The end of a step; now and then the machine stalls for longer than a lease.
async fn turn(world: &World, me: &Me) {
    if world.fails(3) {
        me.sleep(world, world.dice.below(150_000) as u64).await;
        return;
    }
    me.turn().await;
}

/// What somebody has who reads the feed of the whole connection.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    position: u64,
    pub(crate) rows: BTreeMap<(String, String), String>,
}

/// Outlives power cuts: a follower is not ours.
pub(crate) async fn follow(world: &World, follower: &mut Follower, most: usize) -> Result<bool, Error> {
    let room = world.room();
    let changes = room
        .store
        .changes(room.org, room.connection, None, follower.position, most)
        .await?;
    for change in &changes {
        assert!(
            change.seq > follower.position,
            "a feed number comes twice or goes back"
        );
        follower.position = change.seq;
        let key = (change.stream.clone(), change.id.clone());
        match &change.data {
            Some(data) => follower.rows.insert(key, data.clone()),
            None => follower.rows.remove(&key),
        };
    }
    Ok(!changes.is_empty())
}
