//! The power is cut before every write and every sync of a workload; what was acknowledged by then is there, and
//! nothing is half there. Damage at rest is told, and never a panic.

use std::sync::Arc;

use sluice_model::run::RunState;
use sluice_store::run::{Caps, RunEnd};
use sluice_store::{Options, Page, Store};

use super::disk::{Image, MemoryDisk, Unsynced};
use super::room::{NOW, Room, furnish, later, master, open_on, room_on, upsert};

const PAGES: usize = 12;

/// How long the log was when the page, and when the receipt, with this number was acknowledged.
struct Acknowledged {
    pages: Vec<usize>,
    receipts: Vec<usize>,
}

async fn workload(disk: &MemoryDisk) -> (Room, usize, Acknowledged) {
    let room = room_on(disk).await;
    let fencing = room.run(1).await;
    let begin = disk.log_len();
    let mut acknowledged = Acknowledged {
        pages: vec![],
        receipts: vec![],
    };
    for page in 0..PAGES {
        let record = |n: usize| upsert(&format!("{page}-{n}"), &format!("{{\"page\":{page},\"n\":{n}}}"));
        let mut changes: Vec<_> = (0..20).map(record).collect();
        changes.push(upsert("same", &page.to_string()));
        room.store
            .commit_page(room.page(1, fencing, changes, &page.to_string()))
            .await
            .unwrap();
        acknowledged.pages.push(disk.log_len());
        room.store
            .accept_receipt(room.org, room.receipt(page as u64, &page.to_string()))
            .await
            .unwrap();
        acknowledged.receipts.push(disk.log_len());
    }
    (room, begin, acknowledged)
}

async fn check(image: Image, cut: usize, room: &Room, acknowledged: &Acknowledged, what: Unsynced) {
    let store = open_on(&MemoryDisk::of(image));
    let cursor = store
        .cursor(room.org, room.connection, "issues", None)
        .await
        .unwrap()
        .map(|cursor| cursor.text);
    let pages = cursor
        .as_ref()
        .map_or(0, |cursor| cursor.parse::<usize>().unwrap() + 1);
    let owed = acknowledged.pages.iter().filter(|at| **at <= cut).count();
    assert!(
        pages >= owed,
        "cut {cut} {what:?}: {pages} pages, {owed} were acknowledged"
    );

    // Cursor and records agree.
    let records = store.count(room.org, room.connection, "issues").await.unwrap();
    assert_eq!(
        records,
        if pages == 0 { 0 } else { pages as u64 * 20 + 1 },
        "cut {cut} {what:?}"
    );
    let changes = store
        .changes(room.org, room.connection, None, 0, 1000)
        .await
        .unwrap();
    assert_eq!(changes.len() as u64, records);
    assert!(changes.windows(2).all(|two| two[0].seq < two[1].seq));
    let mut ids: Vec<_> = changes.iter().map(|change| change.id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len() as u64, records, "no id twice in the feed");
    let run = store
        .list_runs(room.org, room.connection, Page::first(5))
        .await
        .unwrap()
        .items
        .pop()
        .unwrap();
    assert_eq!(run.pages, pages as u64);

    let owed = acknowledged.receipts.iter().filter(|at| **at <= cut).count();
    let receipts = store
        .list_receipts(room.org, room.hook, Page::first(100))
        .await
        .unwrap()
        .items;
    assert!(receipts.len() >= owed, "cut {cut} {what:?}");
    let leased = store
        .lease_due_receipts("w", later(1), std::time::Duration::from_secs(1), 100)
        .await
        .unwrap();
    assert_eq!(
        leased.len(),
        receipts.len(),
        "every receipt that is there is owed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_acknowledged_survives_a_cut_anywhere() {
    let disk = MemoryDisk::default();
    let (room, begin, acknowledged) = workload(&disk).await;
    let syncs = disk.syncs().into_iter().filter(|at| *at >= begin);
    for cut in syncs.flat_map(|sync| [sync, sync + 1]) {
        for what in [
            Unsynced::Lost,
            Unsynced::Torn,
            Unsynced::Some(0x5ac3_91e7_0f3d_b2a6),
            Unsynced::Some(!0),
        ] {
            check(disk.image(cut, what), cut, &room, &acknowledged, what).await;
        }
    }
    for cut in (begin..disk.log_len()).step_by(3) {
        let what = Unsynced::Some(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(cut as u64 + 1));
        check(disk.image(cut, what), cut, &room, &acknowledged, what).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_while_the_database_is_made_leaves_nothing_half_made() {
    let disk = MemoryDisk::default();
    drop(open_on(&disk));
    for cut in disk.syncs().into_iter().flat_map(|sync| [sync, sync + 1]) {
        let options = Options::new("memory".into(), master());
        let image = MemoryDisk::of(disk.image(cut, Unsynced::Lost));
        match Store::open_on(Arc::new(image), options) {
            Ok(store) => drop(furnish(store.clone(), store.ensure_org("a", NOW).await.unwrap(), 1).await),
            // A disk has no rename: a first header that is half there is told. A file never has its name by then.
            Err(error) => assert_eq!(error.code(), "storage.corrupt"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_the_store_once_and_for_all() {
    let disk = MemoryDisk::default();
    let r = room_on(&disk).await;
    let fencing = r.run(1).await;
    r.store
        .commit_page(r.page(1, fencing, vec![upsert("a", "1")], "1"))
        .await
        .unwrap();
    let mut failed = r.store.failed();
    assert!(failed.borrow_and_update().is_none());
    disk.fill();
    let error = r
        .store
        .commit_page(r.page(1, fencing, vec![upsert("a", "2")], "2"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "store.failed");
    failed.changed().await.unwrap();
    assert!(failed.borrow().is_some());
    let error = r
        .store
        .cursor(r.org, r.connection, "issues", None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "store.failed");
    let store = open_on(&MemoryDisk::of(disk.bytes()));
    assert_eq!(store.count(r.org, r.connection, "issues").await.unwrap(), 1);
    let lease = store
        .lease_due_runs(
            "w",
            later(1000),
            std::time::Duration::from_secs(1),
            (1, Caps::default()),
        )
        .await
        .unwrap()
        .remove(0);
    let end = RunEnd {
        state: RunState::Succeeded,
        error: None,
        at: NOW,
    };
    store
        .end_run(r.org, lease.run.id, lease.fencing, end, super::room::NEXT)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_at_rest_is_told_and_never_wrong_data() {
    let disk = MemoryDisk::default();
    let (room, ..) = workload(&disk).await;
    let Room {
        store,
        org,
        connection,
        ..
    } = room;
    let truth = store
        .list_records(org, connection, "issues", Page::first(1000))
        .await
        .unwrap();
    drop(store);
    let bytes = disk.bytes();
    let mut told = 0;
    for page in 0..bytes.database.len() / 4096 {
        for kind in 0..3 {
            let mut image = bytes.clone();
            let (at, database) = (page * 4096, &mut image.database);
            match kind {
                0 => database[at + page * 131 % 4096] ^= 0x10,
                1 => database[at..at + 4096].fill(0),
                _ => database.truncate(at),
            }
            if database.is_empty() {
                continue;
            }
            for verify in [0, u64::MAX] {
                let options = Options {
                    verify_up_to_bytes: verify,
                    ..Options::new("memory".into(), master())
                };
                let store = match Store::open_on(Arc::new(MemoryDisk::of(image.clone())), options) {
                    Ok(store) => store,
                    Err(error) => {
                        assert!(
                            ["storage.corrupt", "store.io"].contains(&error.code()),
                            "{error:?}"
                        );
                        told += 1;
                        continue;
                    }
                };
                match store
                    .list_records(org, connection, "issues", Page::first(1000))
                    .await
                {
                    Ok(found) if verify == u64::MAX => assert_eq!(found, truth, "page {page}, damage {kind}"),
                    // Without the check at the start a row may be missed, but what is shown is what was written.
                    Ok(found) => assert!(found.items.iter().all(|record| truth.items.contains(record))),
                    Err(error) => {
                        assert!(
                            ["storage.corrupt", "store.failed"].contains(&error.code()),
                            "{error:?}"
                        );
                        told += 1;
                    }
                }
            }
        }
    }
    assert!(told > 0);
}
