//! Runs: fencing, and one at a time for each stream.

use sluice_model::id::RunId;
use sluice_model::run::{Mode, RunState, Trigger};
use sluice_store::run::{Caps, Deferral, NewRun, RunEnd};
use sluice_store::{Error, Page};

use super::room::{LEASE, NEXT, NOW, code, later, room, upsert};

#[tokio::test]
async fn a_stale_worker_writes_nothing() {
    let r = room().await;
    let stale = r.run(1).await;
    let fresh = r
        .store
        .lease_due_runs("other", later(61), LEASE, (1, Caps::default()))
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
        code(r.store.end_run(r.org, id, stale, end.clone(), NEXT).await),
        "store.fenced"
    );
    assert_eq!(
        r.store
            .cursor(r.org, r.connection, "issues", None)
            .await
            .unwrap()
            .map(|cursor| cursor.text),
        None
    );
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 0);
    r.store
        .commit_page(r.page(1, fresh, vec![upsert("a", "1")], "c"))
        .await
        .unwrap();
    r.store.end_run(r.org, id, fresh, end, NEXT).await.unwrap();
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
        window: None,
        trigger: Trigger::Manual,
        app: None,
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
            .lease_due_runs("w", later(4), LEASE, (1, Caps::default()))
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
        .lease_due_runs("w", later(5), LEASE, (1, Caps::default()))
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
    r.store
        .end_run(r.org, id, lease.fencing, end, NEXT)
        .await
        .unwrap();
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

#[tokio::test]
async fn what_is_wanted_while_a_run_reads_follows_it() {
    let r = room().await;
    let wanted = |n: u8| NewRun {
        id: RunId::from_bytes([n; 16]),
        connection: r.connection,
        stream: "issues".into(),
        mode: Mode::Incremental,
        window: None,
        trigger: Trigger::Hook,
        app: None,
        at: NOW,
    };
    let ends = |state| RunEnd {
        state,
        error: None,
        at: NOW,
    };
    let first = r.run(1).await;
    r.store.want_run(r.org, wanted(2)).await.unwrap();
    r.store.want_run(r.org, wanted(3)).await.unwrap();
    assert!(r.store.get_run(r.org, wanted(2).id).await.unwrap().is_none());
    let id = RunId::from_bytes([1; 16]);
    r.store
        .end_run(r.org, id, first, ends(RunState::Failed), NEXT)
        .await
        .unwrap();
    let next = r.store.get_run(r.org, NEXT).await.unwrap().unwrap();
    assert_eq!(
        (next.state, next.mode, next.trigger),
        (RunState::Queued, Mode::Incremental, Trigger::Hook)
    );
    // That one was wanted by nobody else, so nothing follows it; nor a run that a person has ended.
    let lease = r
        .store
        .lease_due_runs("w", NOW, LEASE, (10, Caps::default()))
        .await
        .unwrap()
        .pop()
        .unwrap();
    let whole = NewRun {
        mode: Mode::Full,
        ..wanted(4)
    };
    r.store.want_run(r.org, whole.clone()).await.unwrap();
    let other = RunId::from_bytes([0xef; 16]);
    r.store
        .end_run(r.org, NEXT, lease.fencing, ends(RunState::Cancelled), other)
        .await
        .unwrap();
    assert!(r.store.get_run(r.org, other).await.unwrap().is_none());
    // Where none is under way it is queued at once.
    r.store.want_run(r.org, wanted(5)).await.unwrap();
    assert!(r.store.get_run(r.org, wanted(5).id).await.unwrap().is_some());
    // A stream that is only read whole is read whole afterwards, whoever else wanted less.
    let lease = r
        .store
        .lease_due_runs("w", NOW, LEASE, (10, Caps::default()))
        .await
        .unwrap()
        .pop()
        .unwrap();
    r.store.want_run(r.org, whole).await.unwrap();
    r.store.want_run(r.org, wanted(6)).await.unwrap();
    r.store
        .end_run(
            r.org,
            wanted(5).id,
            lease.fencing,
            ends(RunState::Succeeded),
            other,
        )
        .await
        .unwrap();
    let next = r.store.get_run(r.org, other).await.unwrap().unwrap();
    assert_eq!(next.mode, Mode::Full);
}

#[tokio::test]
async fn no_more_runs_than_the_caps_allow_and_none_is_forgotten() {
    let r = room().await;
    let new = |n: u8, stream: &str| NewRun {
        id: RunId::from_bytes([n; 16]),
        connection: r.connection,
        stream: stream.to_owned(),
        mode: Mode::Incremental,
        window: None,
        trigger: Trigger::Schedule,
        app: n.is_multiple_of(2).then(|| "oauth".to_owned()),
        at: later(u64::from(n)),
    };
    for n in 101..=106 {
        r.store.create_run(r.org, new(n, &format!("s{n}"))).await.unwrap();
    }
    let caps = Caps {
        organization: 3,
        connector: 0,
        app: 1,
    };
    let lease = async |store: &sluice_store::Store, at| {
        let leased = store
            .lease_due_runs("w", later(at), LEASE, (10, caps))
            .await
            .unwrap();
        leased
            .into_iter()
            .filter(|lease| lease.run.id.as_bytes()[0] > 100)
            .collect::<Vec<_>>()
    };
    let numbers = |leases: &[sluice_store::run::Lease]| -> Vec<u8> {
        leases.iter().map(|lease| lease.run.id.as_bytes()[0]).collect()
    };
    let first = lease(&r.store, 200).await;
    assert!(first.len() <= 3, "{:?}", numbers(&first));
    assert_eq!(numbers(&first).iter().filter(|n| **n % 2 == 0).count(), 1);
    // What is parked is not due: nobody looks at it again and again.
    assert!(
        r.store
            .next_due(sluice_store::due::Work::Runs)
            .await
            .unwrap()
            .unwrap()
            > later(200)
    );
    assert!(lease(&r.store, 201).await.is_empty());
    // Each that ends lets the next begin, until all have had their turn; a parked one can be cancelled too.
    let parked: Vec<RunId> = (101..=106).map(|n| RunId::from_bytes([n; 16])).collect();
    let parked = parked
        .into_iter()
        .find(|id| !first.iter().any(|lease| lease.run.id == *id))
        .unwrap();
    let cancelled = r.store.request_cancel(r.org, parked, later(202)).await.unwrap();
    assert_eq!(cancelled.state, RunState::Cancelled);
    let (mut held, mut seen) = (first, 1);
    while let Some(lease_of) = held.pop() {
        seen += 1;
        let end = RunEnd {
            state: RunState::Succeeded,
            error: None,
            at: later(203),
        };
        let next = RunId::from_bytes([200; 16]);
        r.store
            .end_run(r.org, lease_of.run.id, lease_of.fencing, end, next)
            .await
            .unwrap();
        held.extend(lease(&r.store, 204).await);
        assert!(held.len() <= 3);
    }
    assert_eq!(seen, 6);
}

/// A slot that is given back belongs to the run that has waited longest; when that one wants it no more, to the next.
#[tokio::test]
async fn a_slot_handed_to_a_run_that_goes_away_is_handed_on() {
    let r = room().await;
    let id = |n: u8| RunId::from_bytes([n; 16]);
    for n in [101, 102, 103] {
        let new = NewRun {
            id: id(n),
            connection: r.connection,
            stream: format!("s{n}"),
            mode: Mode::Incremental,
            window: None,
            trigger: Trigger::Schedule,
            app: None,
            at: later(u64::from(n)),
        };
        r.store.create_run(r.org, new).await.unwrap();
    }
    let one = Caps {
        organization: 1,
        connector: 0,
        app: 0,
    };
    let lease = async |at| {
        let store = &r.store;
        store
            .lease_due_runs("w", later(at), LEASE, (10, one))
            .await
            .unwrap()
    };
    let first = lease(200).await;
    assert_eq!(first.len(), 1);
    let end = RunEnd {
        state: RunState::Succeeded,
        error: None,
        at: later(201),
    };
    let ended = r.store.end_run(r.org, id(101), first[0].fencing, end, NEXT).await;
    ended.unwrap();
    // The second has the slot and nobody works on it yet.
    r.store.request_cancel(r.org, id(102), later(202)).await.unwrap();
    let third = lease(203).await;
    assert_eq!(third.len(), 1, "nobody told it that the slot is free");
    assert_eq!(third[0].run.id, id(103));
}
