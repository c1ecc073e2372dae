//! The power is cut at every write of a refresh, in every way in which a disk can lose what was not synced (THREATS, PWR). After
//! the next start the connection serves, or needs its owner and has said so once; nothing asks the vendor again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_model::connection::ConnectionState;

use super::disk::{MemoryDisk, Unsynced};
use super::vendor::Mood;
use super::{HOUR, Room, START, TestClock};

/// What a start finds after a cut, and what comes of it.
async fn settles(room: &Room, place: &str) -> ConnectionState {
    for round in 0..4 {
        // Whoever wants the token, a person, a worker; each after the vendor was left alone for a while.
        drop(room.used().await);
        let refreshed = room.refresh().await;
        room.work().await;
        drop(room.used().await);
        room.clock.pass(Duration::from_secs(90));
        let (state, asked) = (room.shown().await.state, room.vendor.requests());
        match refreshed {
            Ok(()) => {
                assert_eq!(state, ConnectionState::Active, "{place}");
                assert_eq!(room.told(ConnectionState::NeedsReauth).await, 0, "{place}");
                // A person's wish is one request; nobody else has one.
                assert!(asked <= round + 2, "{place}: {asked} requests in round {round}");
                let used = room.used().await.unwrap();
                assert!(used.starts_with("access-"), "{place}: {used}");
            }
            Err(code) => {
                assert_eq!(code, "auth.ended", "{place}");
                assert_eq!(state, ConnectionState::NeedsReauth, "{place}");
                assert_eq!(room.told(state).await, 1, "{place}: it is said once");
                // The token that is kept, and the one before it.
                assert!(asked <= 2, "{place}: {asked} requests in round {round}");
            }
        }
    }
    room.shown().await.state
}

/// Runs `step` on a connection, then once more up to every cut; how often it ended in which state.
async fn cut_everywhere<F>(prepare: F) -> BTreeMap<&'static str, usize>
where
    F: AsyncFn(&Room),
{
    let disk = MemoryDisk::default();
    let room = Room::connected(&disk).await;
    let from = disk.len();
    prepare(&room).await;
    let (vendor, now) = (
        room.vendor.same(),
        room.clock.0.load(std::sync::atomic::Ordering::SeqCst),
    );
    let store = room.service.store().clone();
    drop(room);
    drop(store);
    let mut ends = BTreeMap::new();
    for cut in disk.cuts(from) {
        for unsynced in [Unsynced::Lost, Unsynced::There, Unsynced::Some, Unsynced::Torn] {
            let place = format!("cut {cut} after {from}, {unsynced:?}");
            let (image, rotations) = disk.image(cut, unsynced);
            let disk = MemoryDisk::of(image);
            vendor.begin_anew(rotations, &disk);
            let clock = TestClock::at(sluice_model::Timestamp::from_millis(now));
            let room = Room::over(&disk, vendor.same(), clock).await;
            let end = settles(&room, &place).await;
            *ends.entry(end.name()).or_insert(0) += 1;
        }
    }
    ends
}

#[tokio::test]
async fn a_refresh_that_a_person_asked_for() {
    let ends = cut_everywhere(async |room| {
        room.refresh().await.unwrap();
        assert_eq!(room.used().await.unwrap(), "access-1");
    })
    .await;
    // Before the vendor rotated and after the commit nothing is lost; in between only the owner can help.
    assert!(ends["active"] > 0 && ends["needs-reauth"] > 0, "{ends:?}");
}

#[tokio::test]
async fn a_refresh_by_a_worker() {
    let ends = cut_everywhere(async |room| {
        room.clock.set(START.after(HOUR));
        assert_eq!(room.work().await, 1);
        assert_eq!(room.used().await.unwrap(), "access-1");
    })
    .await;
    assert!(ends["active"] > 0 && ends["needs-reauth"] > 0, "{ends:?}");
}

/// The refresh token that came with a token that is not used is as precious as any.
#[tokio::test]
async fn a_refresh_whose_token_is_not_used() {
    let ends = cut_everywhere(async |room| {
        room.vendor.set(Mood::Timeless);
        assert_eq!(room.refresh().await, Err("auth.lifetime".to_owned()));
        assert_eq!(room.shown().await.state, ConnectionState::Degraded);
        assert_eq!(room.used().await.unwrap(), "access-0");
    })
    .await;
    assert!(ends["active"] > 0 && ends["needs-reauth"] > 0, "{ends:?}");
}

/// Two in a row: the refresh token before the present one must not be what ends the grant.
#[tokio::test]
async fn a_second_refresh() {
    let ends = cut_everywhere(async |room| {
        room.refresh().await.unwrap();
        room.clock.pass(Duration::from_secs(60));
        room.refresh().await.unwrap();
    })
    .await;
    assert!(ends["active"] > 0 && ends["needs-reauth"] > 0, "{ends:?}");
}

/// The grant is over: that is told, and never twice.
#[tokio::test]
async fn a_refresh_that_finds_the_grant_over() {
    for by_a_worker in [false, true] {
        let ends = cut_everywhere(async |room| {
            room.vendor.end();
            room.clock.set(START.after(HOUR));
            if by_a_worker {
                room.work().await;
            } else {
                assert_eq!(room.refresh().await, Err("auth.ended".to_owned()));
            }
            assert_eq!(room.shown().await.state, ConnectionState::NeedsReauth);
        })
        .await;
        assert_eq!(ends.keys().copied().collect::<Vec<_>>(), ["needs-reauth"]);
    }
}

/// A worker alone, with nobody who wants the token: what is over is told by it too, wherever it was cut off.
#[tokio::test]
async fn an_idle_connection_is_told_too() {
    let disk = MemoryDisk::default();
    let room = Room::connected(&disk).await;
    let from = disk.len();
    room.vendor.end();
    room.clock.set(START.after(HOUR));
    assert_eq!(room.work().await, 1);
    let vendor = room.vendor.same();
    drop(room);
    for cut in disk.cuts(from) {
        let (image, rotations) = disk.image(cut, Unsynced::Lost);
        let disk = MemoryDisk::of(image);
        vendor.begin_anew(rotations, &disk);
        let room = Room::over(&disk, vendor.same(), TestClock::at(START.after(HOUR))).await;
        for _ in 0..4 {
            room.work().await;
            room.clock.pass(Duration::from_secs(130));
        }
        let shown = room.shown().await;
        assert_eq!(shown.state, ConnectionState::NeedsReauth, "cut {cut}");
        assert_eq!(room.told(shown.state).await, 1, "cut {cut}");
        assert!(room.vendor.requests() <= 1, "cut {cut}");
        assert_eq!(room.work().await, 0, "cut {cut}: nothing is due for ever");
    }
}
