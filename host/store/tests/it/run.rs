//! Runs: fencing, and one at a time for each stream.

use sluice_model::id::RunId;
use sluice_model::run::{Mode, RunState, Trigger};
use sluice_store::run::{Deferral, NewRun, RunEnd};
use sluice_store::{Error, Page};

use super::room::{LEASE, NEXT, NOW, code, later, room, upsert};

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
        .lease_due_runs("w", NOW, LEASE, 10)
        .await
        .unwrap()
        .pop()
        .unwrap();
    r.store.want_run(r.org, wanted(4)).await.unwrap();
    let other = RunId::from_bytes([0xef; 16]);
    r.store
        .end_run(r.org, NEXT, lease.fencing, ends(RunState::Cancelled), other)
        .await
        .unwrap();
    assert!(r.store.get_run(r.org, other).await.unwrap().is_none());
    // Where none is under way it is queued at once.
    r.store.want_run(r.org, wanted(5)).await.unwrap();
    assert!(r.store.get_run(r.org, wanted(5).id).await.unwrap().is_some());
}
