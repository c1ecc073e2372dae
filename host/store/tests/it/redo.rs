//! The redo log: what is only there is there after a cut; its halves are written anew only when the database has what was in them; a gap
//! in it is told.

use std::sync::Arc;

use sluice_store::receipt::Accepted;
use sluice_store::{Options, Page, Store};

use super::disk::{Image, MemoryDisk, Unsynced};
use super::room::{Room, master, open_on, room_on};

/// Some thirty receipts of this size fill a half of the log.
const BODY_BYTES: usize = 50_000;

async fn accept(room: &Room, number: u64, bytes: usize) {
    let mut receipt = room.receipt(number, &number.to_string());
    receipt.body = vec![b'x'; bytes];
    let accepted = room.store.accept_receipt(room.org, receipt).await.unwrap();
    assert!(matches!(accepted, Accepted::New(_)));
}

/// How many receipts a start on this image finds, each whole.
async fn found(image: Image, room: &Room) -> usize {
    let store = open_on(&MemoryDisk::of(image));
    let page = Page::first(1000);
    let receipts = store
        .list_receipts(room.org, room.hook, page)
        .await
        .unwrap()
        .items;
    for receipt in &receipts {
        let request = store
            .get_receipt_request(room.org, receipt.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(request.body.len() as u64, receipt.body_bytes);
    }
    receipts.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_anywhere_around_checkpoints_loses_nothing() {
    let disk = MemoryDisk::default();
    let room = room_on(&disk).await;
    let begin = disk.log_len();
    let mut acknowledged = Vec::new();
    for number in 0..130 {
        accept(&room, number, BODY_BYTES).await;
        acknowledged.push(disk.log_len());
    }
    assert!(disk.bytes().redo.len() > 3 << 20, "both halves were written");
    let syncs = disk.syncs().into_iter().filter(|at| *at >= begin);
    let database = syncs.filter(|at| !disk.is_of_redo(*at));
    let checkpoints: Vec<_> = database.collect();
    assert!(checkpoints.len() >= 4, "two checkpoints of two syncs each");
    for at in checkpoints {
        for cut in [at.saturating_sub(3), at, at + 1, at + 4] {
            let cut = cut.min(disk.log_len());
            for what in [
                Unsynced::Lost,
                Unsynced::Torn,
                Unsynced::Some(0x5ac3_91e7_0f3d_b2a6),
            ] {
                let owed = acknowledged.iter().filter(|at| **at <= cut).count();
                let found = found(disk.image(cut, what), &room).await;
                assert!(
                    (owed..=owed + 1).contains(&found),
                    "cut {cut} {what:?}: {found}, {owed} were acknowledged"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_goes_on_where_the_log_ended() {
    let mut image = Image::default();
    let mut room = None;
    for start in 0..4 {
        let disk = MemoryDisk::of(image);
        let here = match room.take() {
            None => room_on(&disk).await,
            Some(room) => Room {
                store: open_on(&disk),
                ..room
            },
        };
        for number in 0..3 {
            accept(&here, start * 3 + number, 100).await;
        }
        // A kill: nothing is closed.
        image = disk.image(disk.log_len(), Unsynced::Lost);
        assert_eq!(found(image.clone(), &here).await as u64, start * 3 + 3);
        room = Some(here);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_database_needs_no_log() {
    let disk = MemoryDisk::default();
    let room = room_on(&disk).await;
    accept(&room, 1, 100).await;
    let Room { store, org, hook, .. } = room;
    drop(store);
    let image = Image {
        redo: Vec::new(),
        ..disk.bytes()
    };
    let store = open_on(&MemoryDisk::of(image));
    let page = Page::first(10);
    assert_eq!(store.list_receipts(org, hook, page).await.unwrap().items.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_log_is_told_save_where_it_looks_like_a_cut() {
    let disk = MemoryDisk::default();
    let room = room_on(&disk).await;
    for number in 0..4 {
        accept(&room, number, 600).await;
    }
    let image = disk.image(disk.log_len(), Unsynced::Lost);
    let last = image.redo.iter().rposition(|byte| *byte != 0).unwrap();
    let (mut refused, mut shorter) = (0, 0);
    for at in (0..=last).step_by(61) {
        let mut damaged = image.clone();
        damaged.redo[at] ^= 0x10;
        let options = Options::new("memory".into(), master());
        match Store::open_on(Arc::new(MemoryDisk::of(damaged.clone())), options) {
            Err(error) => {
                assert_eq!(error.code(), "storage.corrupt");
                refused += 1;
            }
            Ok(store) => {
                drop(store);
                let found = found(damaged, &room).await;
                assert!((3..=4).contains(&found), "byte {at}: {found}");
                shorter += usize::from(found == 3);
            }
        }
    }
    assert!(refused > 0 && shorter > 0, "{refused} {shorter}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_another_database_is_nothing() {
    let (disk, other) = (MemoryDisk::default(), MemoryDisk::default());
    let (room, others) = (room_on(&disk).await, room_on(&other).await);
    accept(&room, 1, 100).await;
    for number in 0..3 {
        accept(&others, number, 100).await;
    }
    let Room { store, org, hook, .. } = room;
    drop(store);
    let image = Image {
        redo: other.bytes().redo,
        ..disk.bytes()
    };
    let store = open_on(&MemoryDisk::of(image));
    let page = Page::first(10);
    assert_eq!(store.list_receipts(org, hook, page).await.unwrap().items.len(), 1);
}
