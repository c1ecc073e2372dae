//! Receipts that are handled again: which, how many, and one after another where they came so.

use sluice_model::event::NewEvent;
use sluice_model::id::{EventId, ReceiptId, ReplayId};
use sluice_model::receipt::ReceiptState;
use sluice_store::receipt::{NewReceipt, ReceiptOutcome};
use sluice_store::replay::{ReceiptScope, Replay, ReplayOf, ReplayState, Scope};

use super::room::{LEASE, Room, later, room};

/// A replay of receipts is a job: by state and time, the oldest first, at most so many, and never so many due at once that what
/// comes in meanwhile stands behind all of them.
#[tokio::test]
async fn receipts_are_handled_again_by_state_and_time_in_steps() {
    let r = room().await;
    let mut ids = Vec::new();
    for n in 0..700_u64 {
        let id = ReceiptId::new(later(n), [1; 10]);
        let new = NewReceipt {
            id,
            received: later(n),
            ..r.receipt(n, &format!("k{n}"))
        };
        r.store.accept_receipt(r.org, new).await.unwrap();
        ids.push(id);
    }
    handle_all(&r, 700).await;
    let scope = |from, to| {
        Scope::Receipts(ReceiptScope {
            hook: r.hook,
            since: later(from),
            until: later(to),
            install: Some(r.install),
            place: None,
        })
    };
    let begin = async |n: u8, what, scope, cap| {
        let replay = Replay {
            id: ReplayId::from_bytes([n; 16]),
            scope,
            what,
            cap,
            looked: 0,
            made: 0,
            state: ReplayState::Running,
            due: Some(later(1000)),
            created: later(1000),
            ended: None,
        };
        let told = NewEvent {
            id: EventId::from_bytes([n; 16]),
            kind: "sluice.replay.created".into(),
            subject: replay.id.to_string(),
            source_id: None,
            occurred: None,
            data: "{}".into(),
        };
        let id = replay.id;
        r.store
            .create_replay(r.org, replay, told, later(1000))
            .await
            .unwrap();
        id
    };
    let step = async |id: ReplayId| {
        let told_as = EventId::new(later(1001), [id.as_bytes()[0]; 10]);
        let stepped = r.store.step_replay(r.org, id, told_as, later(1001)).await;
        stepped.unwrap().unwrap()
    };
    // None of them failed.
    let dead = begin(1, ReplayOf::Dead, scope(0, 1000), 100).await;
    assert_eq!(step(dead).await.made, 0);
    // A window.
    let window = begin(2, ReplayOf::All, scope(10, 20), 100).await;
    let done = step(window).await;
    assert_eq!((done.state, done.made), (ReplayState::Done, 10));
    let again = r.store.get_receipt(r.org, ids[10]).await.unwrap().unwrap();
    assert_eq!(
        (again.state, again.replays, again.install),
        (ReceiptState::Accepted, 1, Some(r.install))
    );
    let handled = ReceiptState::Handled;
    for other in [9, 20] {
        let other = r.store.get_receipt(r.org, ids[other]).await.unwrap().unwrap();
        assert_eq!((other.state, other.replays), (handled, 0));
    }
    // All of them: no more than five hundred are due, the ten among them.
    let all = begin(3, ReplayOf::All, scope(0, 1000), 1000).await;
    for _ in 0..5 {
        step(all).await;
    }
    let waiting = r.store.get_replay(r.org, all).await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.made), (ReplayState::Running, 490));
    assert!(waiting.due > Some(later(1001)));
    handle_all(&r, 500).await;
    while step(all).await.state == ReplayState::Running {}
    let done = r.store.get_replay(r.org, all).await.unwrap().unwrap();
    assert_eq!((done.looked, done.made), (700, 690), "ten were on their way");
    handle_all(&r, 200).await;
    let capped = begin(4, ReplayOf::All, scope(0, 1000), 3).await;
    let done = step(capped).await;
    assert_eq!((done.state, done.made), (ReplayState::Capped, 3));
}

async fn handle_all(r: &Room, expected: usize) {
    let mut handled = 0;
    loop {
        let leased = r
            .store
            .lease_due_receipts("w", later(2000), LEASE, 100)
            .await
            .unwrap();
        if leased.is_empty() {
            return assert_eq!(handled, expected);
        }
        for leased in leased {
            let outcome = ReceiptOutcome {
                events: vec![],
                changes: vec![],
                ..r.outcome()
            };
            let (id, fencing) = (leased.receipt.id, leased.fencing);
            r.store.finish_receipt(r.org, id, fencing, outcome).await.unwrap();
            handled += 1;
        }
    }
}

/// What is about the same stays one after another when it is handled again, also behind what is under way.
#[tokio::test]
async fn receipts_about_the_same_are_handled_again_one_after_another() {
    let r = room().await;
    let accept = async |n: u64, order: &str| {
        let new = NewReceipt {
            id: ReceiptId::new(later(n), [1; 10]),
            received: later(n),
            order: Some(order.into()),
            ..r.receipt(n, &format!("k{n}"))
        };
        let id = new.id;
        r.store.accept_receipt(r.org, new).await.unwrap();
        id
    };
    let (a1, a2, b1) = (accept(1, "a").await, accept(2, "a").await, accept(3, "b").await);
    handle_all(&r, 3).await;
    let lease = async || {
        let leased = r.store.lease_due_receipts("w", later(2000), LEASE, 10).await;
        leased.unwrap()
    };
    let finish = async |leased: &sluice_store::receipt::LeasedReceipt| {
        let outcome = ReceiptOutcome {
            events: vec![],
            changes: vec![],
            ..r.outcome()
        };
        let finished = r
            .store
            .finish_receipt(r.org, leased.receipt.id, leased.fencing, outcome);
        finished.await.unwrap();
    };
    let ids = |leased: &[sluice_store::receipt::LeasedReceipt]| -> Vec<ReceiptId> {
        leased.iter().map(|leased| leased.receipt.id).collect()
    };
    // Another about `a` is with a worker.
    let a3 = accept(4, "a").await;
    let under_way = lease().await;
    assert_eq!(ids(&under_way), [a3]);
    for id in [a1, a2, b1] {
        r.store.replay_receipt(r.org, id, later(2000)).await.unwrap();
    }
    let first = lease().await;
    assert_eq!(ids(&first), [b1]);
    // One that waits is not hurried past the others.
    r.store.replay_receipt(r.org, a2, later(2000)).await.unwrap();
    assert!(lease().await.is_empty());
    finish(&first[0]).await;
    finish(&under_way[0]).await;
    for expected in [a1, a2] {
        let next = lease().await;
        assert_eq!(ids(&next), [expected]);
        assert!(lease().await.is_empty());
        finish(&next[0]).await;
    }
    assert!(lease().await.is_empty());
}
