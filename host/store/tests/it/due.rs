//! What is due: who is woken, whose turn it is, and what harms nobody.

use super::room::{LEASE, NOW, furnish, room};

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
