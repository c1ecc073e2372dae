//! What is believed and remembered: kept with the install that it comes with, or not at all.

use sluice_model::id::InstallId;
use sluice_store::install::Install;
use sluice_store::trust::{Kept, Memory};
use sluice_store::{Error, Page};

use super::disk::MemoryDisk;
use super::room::{NOW, open_on, room_on};

fn memory(expected: u64, text: &str) -> Memory {
    Memory {
        name: "acme".into(),
        expected,
        text: text.into(),
    }
}

fn kept(text: &str, revision: u64) -> Kept {
    Kept {
        text: text.into(),
        revision,
    }
}

#[tokio::test]
async fn an_install_and_what_is_remembered_are_one_commit() {
    let disk = MemoryDisk::default();
    let room = room_on(&disk).await;
    let (store, org) = (&room.store, room.org);
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, b"code").as_ref());
    let put = |number: u8, memory: Memory| {
        let install = Install {
            id: InstallId::from_bytes([number; 16]),
            connector: "acme".into(),
            version: "1.0.0".into(),
            manifest: "manifest = 1".into(),
            manifest_digest: "sha256:x".into(),
            component_digest: digest,
            grant: "{}".into(),
            approved_by: "cli".into(),
            at: NOW,
            signer: Some("{}".into()),
        };
        store.put_install(org, install, b"code".to_vec(), Some(memory))
    };
    put(50, memory(0, "a")).await.unwrap();
    assert_eq!(store.remembered(org, "acme").await.unwrap(), kept("a", 1));
    // Somebody else's install came between: nothing of this one is there.
    let error = put(51, memory(0, "b")).await.unwrap_err();
    assert!(matches!(error, Error::Revision { found: 1, .. }), "{error}");
    assert!(
        store
            .get_install(org, InstallId::from_bytes([51; 16]))
            .await
            .unwrap()
            .is_none()
    );
    put(51, memory(1, "b")).await.unwrap();

    // It outlives the installs and the process.
    for number in [50, 51] {
        store
            .remove_install(org, InstallId::from_bytes([number; 16]))
            .await
            .unwrap();
    }
    drop(room);
    let store = open_on(&MemoryDisk::of(disk.bytes()));
    assert_eq!(store.remembered(org, "acme").await.unwrap(), kept("b", 2));
    assert_eq!(store.remembered_names(org).await.unwrap(), ["acme"]);
    let page = Page {
        after: None,
        limit: 10,
    };
    assert_eq!(
        store.list_remembered(org, page).await.unwrap().items,
        [("acme".to_owned(), kept("b", 2))]
    );
    store.forget_remembered(org, "acme").await.unwrap();
    assert_eq!(store.remembered(org, "acme").await.unwrap(), Kept::default());
    assert!(store.forget_remembered(org, "acme").await.is_err());
}

#[tokio::test]
async fn a_policy_is_changed_by_who_has_read_it() {
    let room = room_on(&MemoryDisk::default()).await;
    let (store, org) = (&room.store, room.org);
    assert_eq!(store.trust_policy(org).await.unwrap(), Kept::default());
    assert_eq!(store.set_trust_policy(org, 0, "{}".into()).await.unwrap(), 1);
    let error = store.set_trust_policy(org, 0, "x".into()).await.unwrap_err();
    assert_eq!(error.code(), "store.revision");
    assert_eq!(store.trust_policy(org).await.unwrap(), kept("{}", 1));
    // Indexes have a memory of their own.
    store.set_index_mark(org, memory(0, "1")).await.unwrap();
    assert!(store.set_index_mark(org, memory(0, "1")).await.is_err());
    assert_eq!(store.index_mark(org, "acme").await.unwrap(), kept("1", 1));
    assert!(store.remembered_names(org).await.unwrap().is_empty());
}
