//! The machine's clock jumps, forwards and backwards, around refreshes.

use std::time::Duration;

use sluice_broker::Vault;
use sluice_broker::credential::OWN;
use sluice_model::connection::ConnectionState;

use super::disk::MemoryDisk;
use super::vendor::Mood;
use super::{HOUR, Room, START};
use sluice_model::Clock;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Everybody who could ask for a refresh, several times.
async fn everybody_asks(room: &Room) {
    for _ in 0..5 {
        drop(room.used().await);
        room.work().await;
        drop(room.used().await);
    }
}

async fn is_well(room: &Room) {
    let shown = room.shown().await;
    assert_eq!(shown.state, ConnectionState::Active, "{:?}", shown.error);
    assert_eq!(room.told(ConnectionState::NeedsReauth).await, 0);
}

#[tokio::test]
async fn each_jump_costs_one_refresh_at_most() {
    let room = Room::connected(&MemoryDisk::default()).await;
    everybody_asks(&room).await;
    assert_eq!(room.vendor.requests(), 0, "nothing is due");
    let mut before = 0;
    for (to, why) in [
        (START.after(10 * YEAR), "ten years on"),
        (START, "and back"),
        (START.after(HOUR / 2), "half an hour on"),
        (START.after(2 * HOUR), "past its end"),
        (
            sluice_model::Timestamp::from_millis(1),
            "a clock that lost its battery",
        ),
        (START.after(3 * HOUR), "and was set"),
        (START.after(YEAR * 200), "two centuries on"),
        (START.after(4 * HOUR), "and back again"),
    ] {
        room.clock.set(to);
        everybody_asks(&room).await;
        let asked = room.vendor.requests() - before;
        assert!(asked <= 1, "{why}: {asked} requests");
        before += asked;
        is_well(&room).await;
    }
    // As long as the clock goes as clocks do, so do refreshes.
    for _ in 0..6 {
        room.clock.pass(HOUR);
        everybody_asks(&room).await;
        before += 1;
        assert_eq!(room.vendor.requests(), before);
        is_well(&room).await;
    }
}

/// A token that was obtained while the clock was ahead does not look good for years.
#[tokio::test]
async fn what_was_obtained_in_the_future_is_renewed() {
    let room = Room::connected(&MemoryDisk::default()).await;
    room.clock.set(START.after(10 * YEAR));
    assert_eq!(room.used().await.unwrap(), "access-1");
    room.clock.set(START.after(2 * HOUR));
    assert_eq!(room.used().await.unwrap(), "access-2");
    let known = room
        .service
        .store()
        .credential_heads(room.org, room.connection)
        .await
        .unwrap();
    assert_eq!(known[0].life.expires, Some(START.after(3 * HOUR)));
    is_well(&room).await;
}

/// Its end is seen by the vendor's refusal, whatever the clock says.
#[tokio::test]
async fn a_refusal_counts_more_than_the_clock() {
    let room = Room::connected(&MemoryDisk::default()).await;
    room.clock.set(START.after(Duration::from_secs(60)));
    let used = room.vault().await.credential(OWN).await.unwrap().unwrap();
    assert_eq!(room.used_instead(&used).await.as_deref(), Some("access-1"));
    // Of many who were refused with the same one, one refreshes.
    assert_eq!(room.used_instead(&used).await.as_deref(), Some("access-1"));
    assert_eq!(room.vendor.requests(), 1);
}

/// A failure is remembered for seconds; a clock that was set back does not make years of them, one that was set on no storm.
#[tokio::test]
async fn a_failure_is_forgotten_in_time() {
    let room = Room::connected(&MemoryDisk::default()).await;
    room.vendor.set(Mood::Down);
    room.clock.set(START.after(10 * YEAR));
    for _ in 0..20 {
        assert!(room.used().await.is_err(), "it has ended and there is no other");
    }
    assert_eq!(room.vendor.requests(), 1);
    assert_eq!(room.refresh().await, Err("auth.refused".to_owned()));
    assert_eq!(room.vendor.requests(), 1, "left alone");
    room.vendor.set(Mood::Well);
    room.clock.set(START.after(2 * HOUR));
    assert_eq!(room.used().await.unwrap(), "access-1");
    assert_eq!(room.vendor.requests(), 2);
    is_well(&room).await;
}

/// A worker that leased while the clock was ahead, and ended: the next start does not wait for years.
#[tokio::test]
async fn a_lease_of_the_future_ends_with_its_process() {
    let disk = MemoryDisk::default();
    let room = Room::connected(&disk).await;
    room.clock.set(START.after(10 * YEAR));
    let store = room.service.store();
    let leased = store
        .lease_due_credentials(room.clock.now(), HOUR, 10)
        .await
        .unwrap();
    assert_eq!(leased.len(), 1);
    let vendor = room.vendor.same();
    drop(room);
    let room = Room::over(&disk, vendor, super::TestClock::at(START.after(2 * HOUR))).await;
    assert_eq!(room.work().await, 1);
    assert_eq!(room.used().await.unwrap(), "access-1");
    is_well(&room).await;
}
