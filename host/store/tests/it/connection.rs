//! Connections: changed by revision, gone for good.

use sluice_model::connection::ConnectionState;
use sluice_model::id::{ConnectionId, RunId};
use sluice_store::Page;
use sluice_store::connection::{ConnectionChange, Data, NewConnection};
use sluice_store::credential::{Life, NewCredential};
use sluice_store::receipt::Accepted;

use super::room::{NOW, code, room, upsert};

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
    r.store
        .remove_connection(r.org, r.connection, Data::Delete, NOW)
        .await
        .unwrap();
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
async fn what_is_kept_of_a_connection_is_its_data_alone() {
    let r = room().await;
    let fencing = r.run(1).await;
    let page = r.page(
        1,
        fencing,
        (0..30).map(|n| upsert(&n.to_string(), "1")).collect(),
        "c",
    );
    r.store.commit_page(page).await.unwrap();
    let credential = NewCredential {
        secret: sluice_model::secret::Secret::new(b"t0ken".to_vec()),
        origins: Vec::new(),
        life: Life::default(),
    };
    r.store
        .put_credential(r.org, r.connection, "oauth", credential, None)
        .await
        .unwrap();
    let Accepted::New(receipt) = r.store.accept_receipt(r.org, r.receipt(1, "k")).await.unwrap() else {
        panic!()
    };
    let remove = |data| r.store.remove_connection(r.org, r.connection, data, NOW);
    remove(Data::Keep).await.unwrap();
    assert_eq!(r.store.get_connection(r.org, r.connection).await.unwrap(), None);
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 30);
    let changes = r.store.changes(r.org, r.connection, None, 0, 100).await.unwrap();
    assert_eq!(changes.len(), 30);
    let heads = r.store.credential_heads(r.org, r.connection).await.unwrap();
    assert!(heads.is_empty(), "{heads:?}");
    assert_eq!(r.store.get_receipt(r.org, receipt).await.unwrap(), None);
    let stone = r.store.get_tombstone(r.org, r.connection).await.unwrap().unwrap();
    assert!(stone.data_kept && stone.id == r.connection && stone.name == "main 1");
    let all = Page {
        after: None,
        limit: 10,
    };
    let listed = r.store.list_tombstones(r.org, all).await.unwrap();
    assert_eq!(listed.items, [stone]);

    // Once removed it is not there to be removed again; what it left is.
    assert_eq!(code(remove(Data::Keep).await), "store.missing");
    remove(Data::Delete).await.unwrap();
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 0);
    let changes = r.store.changes(r.org, r.connection, None, 0, 100).await.unwrap();
    assert!(changes.is_empty(), "{changes:?}");
    let stone = r.store.get_tombstone(r.org, r.connection).await.unwrap().unwrap();
    assert!(!stone.data_kept);
    assert_eq!(code(remove(Data::Delete).await), "store.missing");
    assert!(!r.store.sweep(NOW, 10).await.unwrap());
}
