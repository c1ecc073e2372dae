//! A start takes back what the process before it had.

use sluice_model::id::RunId;
use sluice_model::run::{Mode, Trigger};
use sluice_store::due::Work;
use sluice_store::run::{Caps, NewRun};
use sluice_store::{Options, Page, Store};

use super::disk::MemoryDisk;
use super::room::{LEASE, NOW, Room, later, master, room_on};

/// Queues a run of a stream of this name.
async fn queue(room: &Room, n: u8, stream: &str) {
    let new = NewRun {
        id: RunId::from_bytes([n; 16]),
        connection: room.connection,
        stream: stream.into(),
        mode: Mode::Full,
        window: None,
        trigger: Trigger::Manual,
        app: None,
        at: NOW,
    };
    room.store.create_run(room.org, new).await.unwrap();
}

/// The disk with one bit flipped wherever this text is.
fn damaged(disk: &MemoryDisk, text: &str) -> MemoryDisk {
    let mut image = disk.bytes();
    let bytes = &mut image.database;
    let found: Vec<usize> = bytes
        .windows(text.len())
        .enumerate()
        .filter_map(|(at, window)| (window == text.as_bytes()).then_some(at))
        .collect();
    assert!(!found.is_empty());
    for at in found {
        bytes[at] ^= 1;
    }
    MemoryDisk::of(image)
}

#[tokio::test]
async fn a_damaged_run_does_not_keep_the_others_from_being_released() {
    let disk = MemoryDisk::default();
    let room = room_on(&disk).await;
    for n in 1..=150 {
        queue(&room, n, &format!("stream{n:03}")).await;
    }
    let leased = room
        .store
        .lease_due_runs("w", NOW, LEASE, (1000, Caps::default()))
        .await
        .unwrap();
    assert_eq!(leased.len(), 150);
    let org = room.org;
    drop(room);
    // The row's own text; the keys of other tables have the stream's name too, but not in quotes.
    let disk = damaged(&disk, "\"stream075\"");
    let options = Options {
        // Found row by row, as in a file that is too large to be checked at every start.
        verify_up_to_bytes: 0,
        ..Options::new("memory".into(), master())
    };
    let store = Store::open_on(std::sync::Arc::new(disk), options).unwrap();
    store.release_leases(later(1)).await.unwrap();
    assert_eq!(store.next_due(Work::Runs).await.unwrap(), Some(later(1)));
    let again = store
        .lease_due_runs("w", later(1), LEASE, (1000, Caps::default()))
        .await
        .unwrap();
    assert_eq!(again.len(), 149, "all but the damaged one");
    assert!(
        again
            .iter()
            .all(|lease| lease.fencing == 2 && lease.run.stream != "stream075")
    );
    let damaged = store.get_run(org, RunId::from_bytes([75; 16])).await.unwrap_err();
    assert_eq!(damaged.code(), "storage.corrupt");
}

#[tokio::test]
async fn all_runs_are_listed_newest_first_and_in_pages() {
    let room = room_on(&MemoryDisk::default()).await;
    let other = room.store.ensure_org("other", NOW).await.unwrap();
    for n in 1..=5 {
        queue(&room, n, &format!("stream{n}")).await;
    }
    let mut read = Vec::new();
    let mut page = Page::first(2);
    loop {
        let found = room.store.list_all_runs(room.org, page).await.unwrap();
        assert!(found.items.len() <= 2);
        read.extend(found.items.into_iter().map(|run| run.id));
        let Some(after) = found.next else { break };
        page = Page {
            after: Some(after),
            limit: 2,
        };
    }
    let expected: Vec<_> = (1..=5).rev().map(|n| RunId::from_bytes([n; 16])).collect();
    assert_eq!(read, expected);
    assert!(
        room.store
            .list_all_runs(other, Page::first(2))
            .await
            .unwrap()
            .items
            .is_empty()
    );
}
