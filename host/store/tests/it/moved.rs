//! Moves to another install: what is kept of a connection, and what comes back.

use sluice_model::Timestamp;
use sluice_model::event::NewEvent;
use sluice_model::id::{EventId, InstallId};
use sluice_model::manifest::StorageStep;
use sluice_model::run::RunState;
use sluice_store::connection::{Connection, ConnectionChange};
use sluice_store::install::Install;
use sluice_store::moved::{Back, KEPT_MS, MAX_MOVES};
use sluice_store::run::RunEnd;
use sluice_store::storage::{StorageWrite, StorageWrites};

use super::room::{NEXT, NOW, Room, code, room, upsert};

/// Another install of the same component.
async fn another(r: &Room, n: u8) -> InstallId {
    let old = r.store.get_install(r.org, r.install).await.unwrap().unwrap();
    let id = InstallId::from_bytes([n; 16]);
    let new = Install { id, ..old };
    r.store
        .put_install(r.org, new, b"component".to_vec(), None)
        .await
        .unwrap();
    id
}

async fn found(r: &Room) -> Connection {
    r.store
        .get_connection(r.org, r.connection)
        .await
        .unwrap()
        .unwrap()
}

async fn go(r: &Room, install: InstallId, now: Timestamp) {
    let change = ConnectionChange {
        install: Some(install),
        ..ConnectionChange::default()
    };
    let revision = found(r).await.revision;
    r.store
        .update_connection(r.org, r.connection, revision, change, now)
        .await
        .unwrap();
}

async fn put(r: &Room, key: &str, value: Option<&[u8]>) {
    let writes = vec![StorageWrite {
        key: key.into(),
        value: value.map(<[u8]>::to_vec),
        expect: None,
    }];
    let staged = StorageWrites {
        writes,
        quota: 64 << 20,
        ..StorageWrites::default()
    };
    r.store.commit_storage(r.org, r.connection, staged).await.unwrap();
}

/// Reads to this cursor.
async fn read(r: &Room, run: u8, cursor: &str) {
    let fencing = r.run_in(run, sluice_model::run::Mode::Incremental).await;
    let page = r.page(run, fencing, vec![upsert(cursor, "1")], cursor);
    let id = page.run;
    r.store.commit_page(page).await.unwrap();
    let end = RunEnd {
        state: RunState::Succeeded,
        error: None,
        at: NOW,
    };
    r.store.end_run(r.org, id, fencing, end, NEXT).await.unwrap();
}

async fn cursor(r: &Room) -> Option<String> {
    let found = r.store.cursor(r.org, r.connection, "issues", None).await.unwrap();
    found.map(|cursor| cursor.text)
}

async fn back(r: &Room, number: u64, now: Timestamp) -> Back {
    let event = NewEvent {
        id: EventId::from_bytes([3; 16]),
        kind: "sluice.connection.rolled_back".into(),
        subject: r.connection.to_string(),
        source_id: None,
        occurred: None,
        data: "{}".into(),
    };
    Back {
        number,
        expected: found(r).await.revision,
        settings: "{\"back\":true}".into(),
        event,
        now,
    }
}

#[tokio::test]
async fn install_config_cursors_and_storage_come_back_and_records_stay() {
    let r = room().await;
    let second = another(&r, 9).await;
    read(&r, 1, "c1").await;
    put(&r, "a", Some(b"old")).await;
    put(&r, "gone", Some(b"x")).await;
    let view = r.store.storage_snapshot(r.org, r.connection);
    let before = view.get("a").unwrap().unwrap();
    go(&r, second, NOW).await;

    read(&r, 2, "c2").await;
    put(&r, "a", Some(b"new")).await;
    put(&r, "gone", None).await;
    put(&r, "more", Some(b"y")).await;
    let kept = r.store.moves(r.org, r.connection).await.unwrap();
    assert_eq!(
        (
            kept[0].number,
            kept[0].cursors,
            kept[0].storage_keys,
            kept[0].kept
        ),
        (1, 1, 2, true)
    );
    // While something reads, cursors are not to be trusted.
    let fencing = r.run_in(3, sluice_model::run::Mode::Incremental).await;
    let wanted = back(&r, 1, NOW).await;
    assert_eq!(
        code(r.store.take_back(r.org, r.connection, wanted.clone()).await),
        "run.active"
    );
    let end = RunEnd {
        state: RunState::Succeeded,
        error: None,
        at: NOW,
    };
    let run = sluice_model::id::RunId::from_bytes([3; 16]);
    r.store.end_run(r.org, run, fencing, end, NEXT).await.unwrap();

    let now = r
        .store
        .take_back(r.org, r.connection, wanted.clone())
        .await
        .unwrap();
    assert_eq!(
        (now.install, now.settings.as_str()),
        (r.install, "{\"back\":true}")
    );
    assert_eq!(cursor(&r).await.as_deref(), Some("c1"));
    let after = view.get("a").unwrap().unwrap();
    assert_eq!(after.0, b"old");
    assert!(
        after.1 > before.1,
        "what read the old value does not take this for it"
    );
    assert_eq!(view.keys("", None, 10).unwrap(), ["a", "gone"]);
    assert_eq!(view.used_bytes().unwrap(), 4 + 5);
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 2);
    // The install that it left is nobody's now; the other one is in use.
    assert_eq!(
        code(r.store.remove_install(r.org, r.install).await),
        "install.in_use"
    );
    // Twice does nothing, and it is a move itself.
    assert_eq!(
        code(r.store.take_back(r.org, r.connection, wanted).await),
        "store.revision"
    );
    let wanted = back(&r, 2, NOW).await;
    r.store.take_back(r.org, r.connection, wanted).await.unwrap();
    assert_eq!(cursor(&r).await.as_deref(), Some("c2"));
    assert_eq!(view.keys("", None, 10).unwrap(), ["a", "more"]);
}

#[tokio::test]
async fn a_storage_is_migrated_in_the_commit_that_moves_or_not_at_all() {
    let r = room().await;
    let second = another(&r, 9).await;
    for key in ["etag/1", "etag/2", "tmp/1", "own"] {
        put(&r, key, Some(key.as_bytes())).await;
    }
    let view = r.store.storage_snapshot(r.org, r.connection);
    let keys = || view.keys("", None, 100).unwrap();
    let before = keys();
    let rename = |from: &str, to: &str| StorageStep::Rename {
        from: from.into(),
        to: to.into(),
    };
    let steps = vec![rename("etag/", "etags/"), StorageStep::Remove("tmp/".into())];
    let tried = r
        .store
        .try_storage(r.org, r.connection, steps.clone())
        .await
        .unwrap();
    assert_eq!((tried.renamed, tried.removed, tried.kept), (2, 1, 1));
    assert_eq!(keys(), before);

    let migrated = |storage| {
        let r = &r;
        async move {
            let change = ConnectionChange {
                install: Some(second),
                config: Some("{\"two\":2}".into()),
                storage,
                ..ConnectionChange::default()
            };
            let revision = found(r).await.revision;
            let store = &r.store;
            store
                .update_connection(r.org, r.connection, revision, change, NOW)
                .await
        }
    };
    // Two keys of one name: nothing of the move is done.
    let refused = migrated(vec![rename("etag/1", "own")]).await;
    assert_eq!(code(refused), "store.conflict");
    assert_eq!((found(&r).await.install, keys()), (r.install, before.clone()));
    let usage = view.used_bytes().unwrap();
    migrated(steps).await.unwrap();
    assert_eq!(keys(), ["etags/1", "etags/2", "own"]);
    assert_eq!(view.get("etags/1").unwrap().unwrap().0, b"etag/1");
    assert_eq!(view.used_bytes().unwrap(), usage + 2 - 10);
    let wanted = back(&r, 1, NOW).await;
    r.store.take_back(r.org, r.connection, wanted).await.unwrap();
    assert_eq!((keys(), view.used_bytes().unwrap()), (before, usage));
    assert_eq!(found(&r).await.install, r.install);
}

#[tokio::test]
async fn moves_end_and_what_is_too_much_is_not_kept() {
    let r = room().await;
    let second = another(&r, 9).await;
    let month = Timestamp::from_millis(NOW.as_millis() + KEPT_MS + 1);
    go(&r, second, NOW).await;
    let wanted = back(&r, 1, month).await;
    assert_eq!(
        code(r.store.take_back(r.org, r.connection, wanted).await),
        "store.missing"
    );
    r.store.sweep(month, 100).await.unwrap();
    assert_eq!(r.store.moves(r.org, r.connection).await.unwrap(), []);
    for install in [r.install, second].into_iter().cycle().take(8) {
        go(&r, install, month).await;
    }
    let kept = r.store.moves(r.org, r.connection).await.unwrap();
    assert_eq!(kept.len() as u64, MAX_MOVES);
    // Nine values of a mebibyte are more than is copied.
    for n in 0..9 {
        put(&r, &format!("k{n}"), Some(&vec![0; 1 << 20])).await;
    }
    go(&r, r.install, month).await;
    let last = r.store.moves(r.org, r.connection).await.unwrap().remove(0);
    assert!(!last.kept);
    let wanted = back(&r, last.number, month).await;
    assert_eq!(
        code(r.store.take_back(r.org, r.connection, wanted).await),
        "store.missing"
    );
    assert_eq!(found(&r).await.install, r.install);
}
