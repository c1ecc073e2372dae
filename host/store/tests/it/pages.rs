//! Pages that were read while a commit was under way share the next one.

use sluice_model::id::RunId;
use sluice_model::record::Change;
use sluice_store::record::Op;

use super::disk::MemoryDisk;
use super::room::{code, room_on, upsert};

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
        .get_run(r.org, RunId::from_bytes([1; 16]))
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

#[tokio::test]
async fn a_page_is_older_than_what_others_wrote_while_it_was_read() {
    let r = room_on(&MemoryDisk::default()).await;
    let fencing = r.run(1).await;
    let number = || r.store.feed_number(r.org, r.connection).unwrap();
    let page = |since: Option<u64>, says: &str| {
        let mut page = r.page(1, fencing, vec![upsert("a", says), upsert("b", says)], "c");
        page.since = since;
        page
    };
    let began = Some(number());
    // What the run itself wrote is an earlier page of the same reading.
    r.store.commit_page(page(began, "1")).await.unwrap();
    r.store.commit_page(page(began, "2")).await.unwrap();

    let before = number();
    r.hooked(1, &[upsert("b", "live"), upsert("c", "live")]).await;
    let refused = r.store.commit_page(page(Some(before), "3")).await.unwrap_err();
    assert_eq!(refused.code(), "record.changed");
    assert_eq!(number(), before + 2, "nothing was written");
    // Two pages in one commit are as old as the older one; what the webhook says too is not older.
    let mut both = page(Some(before), "live");
    both.append(page(Some(number()), "live"));
    r.store.commit_page(both.clone()).await.unwrap();
    r.hooked(2, &[upsert("b", "later")]).await;
    assert_eq!(code(r.store.commit_page(both).await), "record.changed");
    // Read again, or committed whatever was written meanwhile.
    r.store.commit_page(page(Some(number()), "4")).await.unwrap();
    r.hooked(3, &[Change::Delete("b".into())]).await;
    assert_eq!(
        code(r.store.commit_page(page(Some(before), "5")).await),
        "record.changed"
    );
    r.store.commit_page(page(None, "5")).await.unwrap();
    let run = r
        .store
        .get_run(r.org, RunId::from_bytes([1; 16]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((run.pages, run.counts.received()), (6, 12));
}
