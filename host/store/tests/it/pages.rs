//! Pages that were read while a commit was under way share the next one.

use sluice_model::record::Change;
use sluice_store::record::Op;

use super::disk::MemoryDisk;
use super::room::{room_on, upsert};

#[tokio::test]
async fn pages_of_one_commit_count_as_if_they_had_come_alone() {
    let r = room_on(&MemoryDisk::default()).await;
    let fencing = r.run(1).await;
    let mut pages = r.page(1, fencing, vec![upsert("a", "1"), upsert("b", "1")], "c1");
    pages.append(r.page(1, fencing, vec![upsert("a", "2"), upsert("c", "1")], "c2"));
    let mut last = r.page(1, fencing, vec![Change::Delete("b".into())], "c3");
    last.cursor = None;
    pages.append(last);
    let received: usize = pages.changes.len();
    let done = r.store.commit_page(pages).await.unwrap();
    assert_eq!(done.counts.received(), received as u64);

    let run = r
        .store
        .get_run(r.org, sluice_model::id::RunId::from_bytes([1; 16]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((run.pages, run.counts.received()), (3, 5));
    let cursor = r
        .store
        .cursor(r.org, r.connection, "issues", None)
        .await
        .unwrap()
        .map(|cursor| cursor.text);
    assert_eq!(cursor.as_deref(), Some("c2"));
    let changes = r.store.changes(r.org, r.connection, None, 0, 10).await.unwrap();
    let seen: Vec<_> = changes
        .iter()
        .map(|change| (change.id.as_str(), change.op, change.data.as_deref()))
        .collect();
    assert_eq!(seen, [("a", Op::Added, Some("2")), ("c", Op::Added, Some("1"))]);
}

#[tokio::test]
async fn pages_behind_a_stale_lease_leave_nothing() {
    let r = room_on(&MemoryDisk::default()).await;
    let fencing = r.run(1).await;
    let mut pages = r.page(1, fencing + 1, vec![upsert("a", "1")], "c1");
    pages.append(r.page(1, fencing + 1, vec![upsert("b", "1")], "c2"));
    assert!(r.store.commit_page(pages).await.is_err());
    assert_eq!(
        r.store
            .cursor(r.org, r.connection, "issues", None)
            .await
            .unwrap()
            .map(|cursor| cursor.text),
        None
    );
    assert!(
        r.store
            .changes(r.org, r.connection, None, 0, 10)
            .await
            .unwrap()
            .is_empty()
    );
}
