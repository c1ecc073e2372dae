//! A store with one of everything that runs and receipts need, and what the modules write into it.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::event::NewEvent;
use sluice_model::id::{ConnectionId, EventId, HookId, InstallId, OrgId, ReceiptId, RunId};
use sluice_model::record::{Change, Item};
use sluice_model::run::{Mode, Trigger};
use sluice_model::seal::MasterKey;
use sluice_store::checkpoint::PageCommit;
use sluice_store::chore::Chores;
use sluice_store::connection::NewConnection;
use sluice_store::cursor::Place;
use sluice_store::hook::{Hook, HookState};
use sluice_store::install::Install;
use sluice_store::receipt::{NewReceipt, ReceiptOutcome};
use sluice_store::run::{Caps, NewRun};
use sluice_store::storage::StorageWrites;
use sluice_store::{Error, Options, Store};

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
        signer: None,
    };
    store.put_install(org, new, component, None).await.unwrap();
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
        app: None,
        chores: Chores::default(),
        registration: None,
        older_secrets: Vec::new(),
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

pub(crate) async fn room() -> Room {
    room_on(&MemoryDisk::default()).await
}

/// The run that follows one that something else was wanted of meanwhile.
pub(crate) const NEXT: RunId = RunId::from_bytes([0xee; 16]);

pub(crate) fn upsert(id: &str, data: &str) -> Change {
    Change::Upsert(Item {
        id: id.into(),
        data: data.into(),
        modified: None,
    })
}

impl Room {
    pub(crate) async fn run(&self, n: u8) -> u64 {
        self.run_in(n, Mode::Full).await
    }

    pub(crate) async fn run_in(&self, n: u8, mode: Mode) -> u64 {
        let new = NewRun {
            id: RunId::from_bytes([n; 16]),
            connection: self.connection,
            stream: "issues".into(),
            mode,
            window: None,
            trigger: Trigger::Manual,
            app: None,
            at: NOW,
        };
        self.store.create_run(self.org, new).await.unwrap();
        self.store
            .lease_due_runs("w", NOW, LEASE, (10, Caps::default()))
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
            since: None,
            changes,
            quarantined: vec![],
            filtered: 0,
            cursor: Some(cursor.into()),
            place: Place {
                version: 1,
                ..Place::default()
            },
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
            one_time: None,
            order: None,
        }
    }

    /// What webhook `n` changes.
    pub(crate) async fn hooked(&self, n: u64, changes: &[Change]) {
        let receipt = self.receipt(n, &n.to_string());
        self.store.accept_receipt(self.org, receipt).await.unwrap();
        let due = self.store.lease_due_receipts("w", NOW, LEASE, 1).await.unwrap();
        let leased = due.first().unwrap();
        let mut outcome = self.outcome();
        outcome.changes = changes
            .iter()
            .map(|change| ("issues".into(), change.clone()))
            .collect();
        self.store
            .finish_receipt(self.org, leased.receipt.id, leased.fencing, outcome)
            .await
            .unwrap();
    }

    pub(crate) fn outcome(&self) -> ReceiptOutcome {
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

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().code()
}
