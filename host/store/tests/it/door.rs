//! Every noun once around.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::connection::ConnectionState;
use sluice_model::event::NewEvent;
use sluice_model::id::{ConnectionId, EventId, HookId, InstallId, KeyId, OrgId, ReceiptId, RunId};
use sluice_model::receipt::ReceiptState;
use sluice_model::record::{Change, Item};
use sluice_model::run::{Mode, RunState};
use sluice_model::seal::MasterKey;
use sluice_model::secret::Secret;
use sluice_store::api_key::ApiKey;
use sluice_store::checkpoint::PageCommit;
use sluice_store::connection::{ConnectionChange, NewConnection};
use sluice_store::credential::{Life, NewCredential};
use sluice_store::hook::{Hook, HookState};
use sluice_store::install::Install;
use sluice_store::receipt::{Accepted, DEDUPE_FOR, NewReceipt, ReceiptFailure, ReceiptOutcome};
use sluice_store::record::{Op, Quarantined};
use sluice_store::run::{Deferral, NewRun, RunEnd};
use sluice_store::storage::{StorageWrite, StorageWrites};
use sluice_store::{Error, Options, Page, Store};

use super::disk::MemoryDisk;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
pub(crate) const LEASE: Duration = Duration::from_secs(60);

pub(crate) fn master() -> MasterKey {
    MasterKey::from_text("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap()
}

pub(crate) fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

pub(crate) fn open_on(disk: &MemoryDisk) -> Store {
    Store::open_on(Arc::new(disk.clone()), Options::new("memory".into(), master())).unwrap()
}

/// A store with one of everything that runs and receipts need.
pub(crate) struct Room {
    pub(crate) store: Store,
    pub(crate) org: OrgId,
    pub(crate) connection: ConnectionId,
    pub(crate) install: InstallId,
    pub(crate) hook: HookId,
}

pub(crate) async fn room_on(disk: &MemoryDisk) -> Room {
    let store = open_on(disk);
    let org = store.ensure_org("acme", NOW).await.unwrap();
    furnish(store, org, 1).await
}

pub(crate) async fn furnish(store: Store, org: OrgId, n: u8) -> Room {
    let (install, connection, hook) = (
        InstallId::from_bytes([n; 16]),
        ConnectionId::from_bytes([n; 16]),
        HookId::from_bytes([n; 16]),
    );
    let component = b"component".to_vec();
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &component).as_ref());
    let new = Install {
        id: install,
        connector: "github".into(),
        version: "0.1.0".into(),
        manifest: "manifest = 1".into(),
        manifest_digest: "sha256:x".into(),
        component_digest: digest,
        grant: "{}".into(),
        approved_by: "cli".into(),
        at: NOW,
    };
    store.put_install(org, new, component).await.unwrap();
    let new = NewConnection {
        id: connection,
        install,
        connector: "github".into(),
        name: format!("main {n}"),
        config: "{}".into(),
        at: NOW,
    };
    store.create_connection(org, new).await.unwrap();
    let new = Hook {
        id: hook,
        connection,
        webhook: "events".into(),
        state: HookState::Active,
        created: NOW,
    };
    store.create_hook(org, new).await.unwrap();
    Room {
        store,
        org,
        connection,
        install,
        hook,
    }
}

async fn room() -> Room {
    room_on(&MemoryDisk::default()).await
}

pub(crate) fn upsert(id: &str, data: &str) -> Change {
    Change::Upsert(Item {
        id: id.into(),
        data: data.into(),
        modified: None,
    })
}

impl Room {
    pub(crate) async fn run(&self, n: u8) -> u64 {
        let new = NewRun {
            id: RunId::from_bytes([n; 16]),
            connection: self.connection,
            stream: "issues".into(),
            mode: Mode::Full,
            at: NOW,
        };
        self.store.create_run(self.org, new).await.unwrap();
        self.store
            .lease_due_runs("w", NOW, LEASE, 10)
            .await
            .unwrap()
            .pop()
            .unwrap()
            .fencing
    }

    pub(crate) fn page(&self, run: u8, fencing: u64, changes: Vec<Change>, cursor: &str) -> PageCommit {
        PageCommit {
            org: self.org,
            run: RunId::from_bytes([run; 16]),
            fencing,
            connection: self.connection,
            stream: "issues".into(),
            pages: 1,
            changes,
            quarantined: vec![],
            cursor: Some(cursor.into()),
            storage: StorageWrites::default(),
            exchanges: vec![],
            logs: vec![],
            now: NOW,
        }
    }

    pub(crate) fn receipt(&self, n: u64, key: &str) -> NewReceipt {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&n.to_be_bytes());
        NewReceipt {
            id: ReceiptId::new(NOW, random),
            hook: self.hook,
            dedupe_key: key.into(),
            method: "POST".into(),
            query: String::new(),
            headers: vec![("a".into(), "b".into())],
            body: b"{}".to_vec(),
            received: NOW,
        }
    }

    fn outcome(&self) -> ReceiptOutcome {
        let event = NewEvent {
            id: EventId::from_bytes([1; 16]),
            kind: "github.issues.opened".into(),
            subject: self.connection.to_string(),
            source_id: None,
            occurred: None,
            data: "{\"a\":1}".into(),
        };
        ReceiptOutcome {
            events: vec![event],
            changes: vec![("issues".into(), upsert("9", "{}"))],
            quarantined: vec![],
            storage: StorageWrites::default(),
            exchanges: vec![],
            logs: vec![],
            now: NOW,
        }
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().code()
}

#[tokio::test]
async fn a_page_is_records_feed_and_cursor_at_once() {
    let r = room().await;
    let fencing = r.run(1).await;
    let mut page = r.page(
        1,
        fencing,
        vec![
            upsert("b", "{\"n\":1}"),
            upsert("a", "1"),
            Change::Delete("x".into()),
        ],
        "c1",
    );
    page.quarantined = vec![Quarantined {
        id: "q".into(),
        data: "?".into(),
        reason_code: "x".into(),
        reason: "y".into(),
        pointer: None,
    }];
    let received = page.changes.len() + page.quarantined.len();
    let done = r.store.commit_page(page).await.unwrap();
    assert_eq!(done.counts.received(), received as u64);
    assert_eq!(
        (done.counts.added, done.counts.unchanged, done.counts.quarantined),
        (2, 1, 1)
    );
    assert_eq!(
        r.store
            .cursor(r.org, r.connection, "issues")
            .await
            .unwrap()
            .as_deref(),
        Some("c1")
    );
    let changes = r.store.changes(r.org, r.connection, None, 0, 10).await.unwrap();
    let seen: Vec<_> = changes.iter().map(|c| (c.seq, c.id.as_str(), c.op)).collect();
    assert_eq!(seen, [(1, "b", Op::Added), (2, "a", Op::Added)]);

    // The same again, one changed, one gone, the refused one well.
    let page = r.page(
        1,
        fencing,
        vec![
            upsert("b", "{\"n\":1}"),
            upsert("a", "2"),
            Change::Delete("b".into()),
            upsert("q", "{}"),
        ],
        "c2",
    );
    let done = r.store.commit_page(page).await.unwrap();
    assert_eq!(
        (
            done.counts.added,
            done.counts.updated,
            done.counts.deleted,
            done.counts.unchanged
        ),
        (1, 1, 1, 1)
    );
    let changes = r
        .store
        .changes(r.org, r.connection, Some("issues"), 2, 10)
        .await
        .unwrap();
    let seen: Vec<_> = changes
        .iter()
        .map(|c| (c.seq, c.id.as_str(), c.op, c.data.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            (3, "a", Op::Updated, Some("2")),
            (4, "b", Op::Deleted, None),
            (5, "q", Op::Added, Some("{}"))
        ]
    );
    assert_eq!(
        r.store
            .changes(r.org, r.connection, None, 0, 10)
            .await
            .unwrap()
            .len(),
        3
    );
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 2);
    let quarantined = r
        .store
        .list_quarantined(r.org, r.connection, "issues", Page::first(10))
        .await
        .unwrap();
    assert!(quarantined.items.is_empty());
    let first = r
        .store
        .list_records(r.org, r.connection, "issues", Page::first(1))
        .await
        .unwrap();
    assert_eq!(
        (first.items[0].id.as_str(), first.next.as_deref()),
        ("a", Some("a"))
    );
    let rest = Page {
        after: first.next,
        limit: 5,
    };
    let rest = r
        .store
        .list_records(r.org, r.connection, "issues", rest)
        .await
        .unwrap();
    assert_eq!((rest.items[0].id.as_str(), rest.next), ("q", None));
    assert_eq!(
        r.store
            .get_record(r.org, r.connection, "issues", "b")
            .await
            .unwrap(),
        None
    );

    // Unchanged content writes no feed row.
    let done = r
        .store
        .commit_page(r.page(1, fencing, vec![upsert("a", "2")], "c3"))
        .await
        .unwrap();
    assert_eq!((done.counts.unchanged, done.last_seq), (1, 5));
    // Back after a delete: one row per id.
    r.store
        .commit_page(r.page(1, fencing, vec![upsert("b", "3")], "c4"))
        .await
        .unwrap();
    assert_eq!(
        r.store
            .changes(r.org, r.connection, None, 0, 10)
            .await
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn a_stale_worker_writes_nothing() {
    let r = room().await;
    let stale = r.run(1).await;
    let fresh = r
        .store
        .lease_due_runs("other", later(61), LEASE, 1)
        .await
        .unwrap()
        .pop()
        .unwrap()
        .fencing;
    assert!(fresh > stale);
    let id = RunId::from_bytes([1; 16]);
    assert_eq!(
        code(
            r.store
                .commit_page(r.page(1, stale, vec![upsert("a", "1")], "c"))
                .await
        ),
        "store.fenced"
    );
    assert_eq!(
        code(r.store.renew_lease(r.org, id, stale, later(200)).await),
        "store.fenced"
    );
    let end = RunEnd {
        state: RunState::Succeeded,
        error: None,
        at: NOW,
    };
    assert_eq!(
        code(r.store.end_run(r.org, id, stale, end.clone()).await),
        "store.fenced"
    );
    assert_eq!(r.store.cursor(r.org, r.connection, "issues").await.unwrap(), None);
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 0);
    r.store
        .commit_page(r.page(1, fresh, vec![upsert("a", "1")], "c"))
        .await
        .unwrap();
    r.store.end_run(r.org, id, fresh, end).await.unwrap();
    assert_eq!(
        code(r.store.commit_page(r.page(1, fresh, vec![], "d")).await),
        "store.fenced"
    );
}

#[tokio::test]
async fn one_active_run_per_stream() {
    let r = room().await;
    let fencing = r.run(1).await;
    let new = |n| NewRun {
        id: RunId::from_bytes([n; 16]),
        connection: r.connection,
        stream: "issues".into(),
        mode: Mode::Incremental,
        at: NOW,
    };
    match r.store.create_run(r.org, new(2)).await {
        Err(Error::ActiveRun { run }) => assert_eq!(run, RunId::from_bytes([1; 16])),
        other => panic!("{other:?}"),
    }
    let id = RunId::from_bytes([1; 16]);
    let deferral = Deferral {
        state: RunState::RetryWait,
        at: later(5),
        error: None,
    };
    let run = r.store.defer_run(r.org, id, fencing, deferral).await.unwrap();
    assert_eq!((run.state, run.failures), (RunState::RetryWait, 1));
    assert!(
        r.store
            .lease_due_runs("w", later(4), LEASE, 1)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        r.store.next_due(sluice_store::due::Work::Runs).await.unwrap(),
        Some(later(5))
    );
    let lease = r
        .store
        .lease_due_runs("w", later(5), LEASE, 1)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert!(
        !r.store
            .request_cancel(r.org, id, NOW)
            .await
            .unwrap()
            .state
            .ended()
    );
    assert!(
        r.store
            .renew_lease(r.org, id, lease.fencing, later(100))
            .await
            .unwrap()
    );
    let end = RunEnd {
        state: RunState::Cancelled,
        error: None,
        at: NOW,
    };
    r.store.end_run(r.org, id, lease.fencing, end).await.unwrap();
    r.store.create_run(r.org, new(2)).await.unwrap();
    assert_eq!(
        r.store
            .request_cancel(r.org, RunId::from_bytes([2; 16]), NOW)
            .await
            .unwrap()
            .state,
        RunState::Cancelled
    );
    let runs = r
        .store
        .list_runs(r.org, r.connection, Page::first(1))
        .await
        .unwrap();
    assert_eq!(runs.items[0].id, RunId::from_bytes([2; 16]));
    assert!(runs.next.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_deliveries_of_one_webhook_are_one_receipt() {
    let r = Arc::new(room().await);
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let r = r.clone();
            tokio::spawn(async move { r.store.accept_receipt(r.org, r.receipt(n, "same")).await.unwrap() })
        })
        .collect();
    let (mut new, mut named) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.unwrap() {
            Accepted::New(id) => new.push(id),
            Accepted::Duplicate(id) => named.push(id),
        }
    }
    assert_eq!((new.len(), named.len()), (1, 99));
    assert!(named.iter().all(|id| *id == new[0]));
    assert_eq!(
        r.store
            .list_receipts(r.org, r.hook, Page::first(10))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[tokio::test]
async fn a_receipt_is_handled_retried_set_aside_and_replayed() {
    let r = room().await;
    let Accepted::New(id) = r.store.accept_receipt(r.org, r.receipt(1, "k")).await.unwrap() else {
        panic!()
    };
    let leased = r
        .store
        .lease_due_receipts("w", NOW, LEASE, 5)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(
        (leased.request.body.as_slice(), leased.failures),
        (b"{}".as_slice(), 0)
    );
    assert!(
        r.store
            .lease_due_receipts("w", NOW, LEASE, 5)
            .await
            .unwrap()
            .is_empty()
    );
    let failure = |next| ReceiptFailure {
        next,
        code: "c".into(),
        message: "m".into(),
        exchanges: vec![],
        logs: vec![],
    };
    r.store
        .fail_receipt(r.org, id, leased.fencing, failure(Some(later(1))))
        .await
        .unwrap();
    assert_eq!(
        code(
            r.store
                .finish_receipt(r.org, id, leased.fencing, r.outcome())
                .await
        ),
        "store.fenced"
    );
    let leased = r
        .store
        .lease_due_receipts("w", later(1), LEASE, 5)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(leased.failures, 1);
    let dead = r
        .store
        .fail_receipt(r.org, id, leased.fencing, failure(None))
        .await
        .unwrap();
    assert_eq!(dead.state, ReceiptState::Dead);
    r.store.replay_receipt(r.org, id, later(2)).await.unwrap();
    assert_eq!(
        r.store.accept_receipt(r.org, r.receipt(2, "k")).await.unwrap(),
        Accepted::Duplicate(id)
    );
    let leased = r
        .store
        .lease_due_receipts("w", later(2), LEASE, 5)
        .await
        .unwrap()
        .pop()
        .unwrap();
    let counts = r
        .store
        .finish_receipt(r.org, id, leased.fencing, r.outcome())
        .await
        .unwrap();
    assert_eq!(counts.added, 1);
    assert_eq!(
        r.store.get_receipt(r.org, id).await.unwrap().unwrap().state,
        ReceiptState::Handled
    );
    assert_eq!(
        r.store.next_due(sluice_store::due::Work::Receipts).await.unwrap(),
        None
    );
    let events = r.store.events(r.org, 0, 10, "github.").await.unwrap();
    assert_eq!(
        (events.events[0].seq, events.events[0].data.as_str(), events.end),
        (1, "{\"a\":1}", true)
    );
    let none = r.store.events(r.org, 0, 10, "other.").await.unwrap();
    assert_eq!((none.events.len(), none.next), (0, 1));
}

#[tokio::test]
async fn dedupe_keys_are_forgotten_after_a_week_and_not_before() {
    let r = room().await;
    let Accepted::New(id) = r.store.accept_receipt(r.org, r.receipt(1, "k")).await.unwrap() else {
        panic!()
    };
    r.store.sweep(NOW.after(DEDUPE_FOR), 100).await.unwrap();
    assert_eq!(
        r.store.accept_receipt(r.org, r.receipt(2, "k")).await.unwrap(),
        Accepted::Duplicate(id)
    );
    assert!(
        !r.store
            .sweep(NOW.after(DEDUPE_FOR + Duration::from_millis(1)), 100)
            .await
            .unwrap()
    );
    assert!(matches!(
        r.store.accept_receipt(r.org, r.receipt(3, "k")).await.unwrap(),
        Accepted::New(_)
    ));
}

#[tokio::test]
async fn no_organization_waits_for_anothers_heap() {
    let r = room().await;
    let org = r.store.ensure_org("other", NOW).await.unwrap();
    let other = furnish(r.store.clone(), org, 2).await;
    for n in 0..50 {
        r.store
            .accept_receipt(r.org, r.receipt(n, &n.to_string()))
            .await
            .unwrap();
    }
    other
        .store
        .accept_receipt(other.org, other.receipt(99, "k"))
        .await
        .unwrap();
    let leased = r.store.lease_due_receipts("w", NOW, LEASE, 2).await.unwrap();
    assert!(leased.iter().any(|leased| leased.org == other.org));
    let leased = r.store.lease_due_receipts("w", NOW, LEASE, 100).await.unwrap();
    assert_eq!(leased.len(), 49);
}

#[tokio::test]
async fn storage_keeps_versions_and_the_quota() {
    let r = room().await;
    let write = |key: &str, value: Option<&[u8]>, expect| StorageWrites {
        writes: vec![StorageWrite {
            key: key.into(),
            value: value.map(<[u8]>::to_vec),
            expect,
        }],
        quota: 10,
    };
    let commit = |staged| r.store.commit_storage(r.org, r.connection, staged);
    commit(write("a", Some(b"1234"), Some(0))).await.unwrap();
    let view = r.store.storage_snapshot(r.org, r.connection);
    let (value, version) = view.get("a").unwrap().unwrap();
    assert_eq!(
        (value.as_slice(), view.used_bytes().unwrap()),
        (b"1234".as_slice(), 5)
    );
    assert_eq!(
        code(commit(write("a", Some(b"x"), Some(version + 1))).await),
        "storage.conflict"
    );
    assert_eq!(
        code(commit(write("b", Some(b"12345"), None)).await),
        "storage.quota"
    );
    assert_eq!(view.keys("", None, 10).unwrap(), ["a"]);
    commit(write("a", None, Some(version))).await.unwrap();
    commit(write("a", Some(b"1"), Some(0))).await.unwrap();
    assert!(
        view.get("a").unwrap().unwrap().1 > version,
        "a version comes once"
    );
    commit(write("ab", Some(b"1"), None)).await.unwrap();
    assert_eq!(view.keys("a", Some("a"), 10).unwrap(), ["ab"]);
}

#[tokio::test]
async fn secrets_are_sealed_and_go_with_their_organization() {
    let disk = MemoryDisk::default();
    let r = room_on(&disk).await;
    let secret = Secret::new(b"hunter2-hunter2".to_vec());
    let origins = vec!["https://api.github.com".to_owned()];
    let put = |secret| {
        let new = NewCredential {
            secret,
            origins: origins.clone(),
            life: Life::default(),
        };
        r.store.put_credential(r.org, r.connection, "token", new, None)
    };
    assert_eq!(put(secret.clone()).await.unwrap(), 1);
    assert_eq!(put(secret.clone()).await.unwrap(), 2);
    let found = r
        .store
        .get_credential(r.org, r.connection, "token")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.secret, found.version, found.origins),
        (secret.clone(), 2, origins.clone())
    );
    let heads = r.store.credential_heads(r.org, r.connection).await.unwrap();
    assert_eq!(heads.len(), 1);
    assert_eq!((heads[0].scheme.as_str(), heads[0].version), ("token", 2));
    r.store
        .put_secret(r.org, &r.hook.to_string(), "signing", secret.clone(), NOW)
        .await
        .unwrap();
    let found = r
        .store
        .get_secret(r.org, &r.hook.to_string(), "signing")
        .await
        .unwrap();
    assert_eq!(found, Some(secret));
    assert!(!disk.bytes().windows(7).any(|window| window == b"hunter2"));
    r.store.delete_org(r.org).await.unwrap();
    assert_eq!(
        r.store
            .get_credential(r.org, r.connection, "token")
            .await
            .unwrap(),
        None
    );
    assert_eq!(r.store.get_hook_public(r.hook).await.unwrap(), None);
    assert_eq!(r.store.get_org(r.org).await.unwrap(), None);
    assert_ne!(r.store.ensure_org("acme", later(1)).await.unwrap(), r.org);
}

#[tokio::test]
async fn connections_change_by_revision_and_go_for_good() {
    let r = room().await;
    let change = ConnectionChange {
        state: Some((ConnectionState::Active, None)),
        ..Default::default()
    };
    let update = |expected| {
        r.store
            .update_connection(r.org, r.connection, expected, change.clone(), NOW)
    };
    assert_eq!(update(1).await.unwrap().revision, 2);
    assert_eq!(code(update(1).await), "store.revision");
    assert_eq!(
        code(r.store.remove_install(r.org, r.install).await),
        "install.in_use"
    );
    let fencing = r.run(1).await;
    r.store
        .commit_page(r.page(
            1,
            fencing,
            (0..3000).map(|n| upsert(&n.to_string(), "1")).collect(),
            "c",
        ))
        .await
        .unwrap();
    let Accepted::New(receipt) = r.store.accept_receipt(r.org, r.receipt(1, "k")).await.unwrap() else {
        panic!()
    };
    let again = NewConnection {
        id: ConnectionId::from_bytes([7; 16]),
        install: r.install,
        connector: "github".into(),
        name: "main 1".into(),
        config: "{}".into(),
        at: NOW,
    };
    assert_eq!(
        code(r.store.create_connection(r.org, again.clone()).await),
        "store.conflict"
    );
    r.store.remove_connection(r.org, r.connection, NOW).await.unwrap();
    assert_eq!(
        code(r.store.commit_page(r.page(1, fencing, vec![], "d")).await),
        "store.fenced"
    );
    assert_eq!(r.store.get_connection(r.org, r.connection).await.unwrap(), None);
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 0);
    assert_eq!(r.store.get_receipt(r.org, receipt).await.unwrap(), None);
    assert_eq!(
        r.store.get_run(r.org, RunId::from_bytes([1; 16])).await.unwrap(),
        None
    );
    assert_eq!(r.store.get_hook_public(r.hook).await.unwrap(), None);
    assert_eq!(
        code(r.store.accept_receipt(r.org, r.receipt(2, "z")).await),
        "store.missing"
    );
    assert!(!r.store.sweep(NOW, 10).await.unwrap());
    let reused = NewConnection {
        id: r.connection,
        ..again.clone()
    };
    assert_eq!(
        code(r.store.create_connection(r.org, reused).await),
        "store.conflict"
    );
    r.store.create_connection(r.org, again).await.unwrap();
}

#[tokio::test]
async fn installs_and_components_go_together() {
    let r = room().await;
    let install = r.store.get_install(r.org, r.install).await.unwrap().unwrap();
    assert_eq!(r.store.all_installs().await.unwrap(), [(r.org, install.clone())]);
    let digest = install.component_digest;
    assert_eq!(
        r.store.component(r.org, digest).await.unwrap().unwrap(),
        b"component"
    );
    r.store.remove_connection(r.org, r.connection, NOW).await.unwrap();
    r.store.remove_install(r.org, r.install).await.unwrap();
    assert_eq!(r.store.component(r.org, digest).await.unwrap(), None);
    assert_eq!(
        code(r.store.remove_install(r.org, r.install).await),
        "store.missing"
    );
}

#[tokio::test]
async fn an_api_key_is_found_by_its_hash() {
    let r = room().await;
    let id = KeyId::from_bytes([1; 16]);
    let key = ApiKey {
        id,
        name: "n".into(),
        prefix: "p".into(),
        hash: [3; 32],
        created: NOW,
        revoked: None,
    };
    r.store.put_api_key(r.org, key.clone()).await.unwrap();
    assert_eq!(
        code(r.store.put_api_key(r.org, key.clone()).await),
        "store.conflict"
    );
    assert_eq!(r.store.find_api_key([3; 32]).await.unwrap(), Some((r.org, key)));
    assert_eq!(r.store.find_api_key([4; 32]).await.unwrap(), None);
    r.store.revoke_api_key(r.org, id, later(1)).await.unwrap();
    assert_eq!(
        r.store.list_api_keys(r.org).await.unwrap()[0].revoked,
        Some(later(1))
    );
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_anything_is_written() {
    let r = room().await;
    let fencing = r.run(1).await;
    let page = r.page(1, fencing, vec![upsert("a", "1")], &"c".repeat(70_000));
    assert_eq!(code(r.store.commit_page(page).await), "store.too_large");
    let page = r.page(1, fencing, vec![upsert(&"i".repeat(513), "1")], "c");
    assert_eq!(code(r.store.commit_page(page).await), "store.too_large");
    let mut receipt = r.receipt(1, "k");
    receipt.body = vec![0; 33 << 20];
    assert_eq!(
        code(r.store.accept_receipt(r.org, receipt).await),
        "store.too_large"
    );
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 0);
}

#[tokio::test]
async fn due_work_wakes_workers() {
    let r = room().await;
    let wake = r.store.wake();
    let woken = wake.notified();
    r.store.accept_receipt(r.org, r.receipt(1, "k")).await.unwrap();
    woken.await;
}

#[tokio::test]
async fn a_deleted_organizations_due_work_harms_nobody() {
    let r = room().await;
    let org = r.store.ensure_org("other", NOW).await.unwrap();
    let other = furnish(r.store.clone(), org, 2).await;
    for n in 0..1500 {
        other
            .store
            .accept_receipt(other.org, other.receipt(n, &n.to_string()))
            .await
            .unwrap();
    }
    r.store.accept_receipt(r.org, r.receipt(1, "k")).await.unwrap();
    // Workers go on while rows go in steps.
    let store = r.store.clone();
    let deleted = tokio::spawn(async move { store.delete_org(org).await });
    let mut leased = Vec::new();
    while !deleted.is_finished() {
        tokio::task::yield_now().await;
        let some = r.store.lease_due_receipts("w", NOW, LEASE, 3).await.unwrap();
        leased.extend(some.into_iter().filter(|leased| leased.org == r.org));
    }
    deleted.await.unwrap().unwrap();
    leased.extend(r.store.lease_due_receipts("w", NOW, LEASE, 100).await.unwrap());
    assert_eq!(leased.iter().filter(|leased| leased.org == r.org).count(), 1);
    assert_eq!(
        r.store.next_due(sluice_store::due::Work::Receipts).await.unwrap(),
        Some(NOW.after(LEASE))
    );
}
