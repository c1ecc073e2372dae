//! Receipts: once per delivery, handled, retried, set aside, replayed, forgotten.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::receipt::ReceiptState;
use sluice_store::Page;
use sluice_store::receipt::{Accepted, DEDUPE_FOR, ReceiptFailure};

use super::room::{LEASE, NOW, code, later, room};

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
