//! A page: records, feed, quarantine and cursor at once.

use sluice_model::record::Change;
use sluice_store::Page;
use sluice_store::record::{Op, Quarantined};

use super::room::{room, upsert};

#[tokio::test]
async fn a_page_is_records_feed_and_cursor_at_once() {
    let r = room().await;
    let fencing = r.run(1).await;
    let mut page = r.page(
        1,
        fencing,
        vec![
            upsert("b", "{\"n\":1}"),
            upsert("a", "1"),
            Change::Delete("x".into()),
        ],
        "c1",
    );
    page.quarantined = vec![Quarantined {
        id: "q".into(),
        data: "?".into(),
        reason_code: "x".into(),
        reason: "y".into(),
        pointer: None,
    }];
    let received = page.changes.len() + page.quarantined.len();
    let done = r.store.commit_page(page).await.unwrap();
    assert_eq!(done.counts.received(), received as u64);
    assert_eq!(
        (done.counts.added, done.counts.unchanged, done.counts.quarantined),
        (2, 1, 1)
    );
    assert_eq!(
        r.store
            .cursor(r.org, r.connection, "issues", None)
            .await
            .unwrap()
            .map(|cursor| cursor.text)
            .as_deref(),
        Some("c1")
    );
    let changes = r.store.changes(r.org, r.connection, None, 0, 10).await.unwrap();
    let seen: Vec<_> = changes.iter().map(|c| (c.seq, c.id.as_str(), c.op)).collect();
    assert_eq!(seen, [(1, "b", Op::Added), (2, "a", Op::Added)]);

    // The same again, one changed, one gone, the refused one well.
    let page = r.page(
        1,
        fencing,
        vec![
            upsert("b", "{\"n\":1}"),
            upsert("a", "2"),
            Change::Delete("b".into()),
            upsert("q", "{}"),
        ],
        "c2",
    );
    let done = r.store.commit_page(page).await.unwrap();
    assert_eq!(
        (
            done.counts.added,
            done.counts.updated,
            done.counts.deleted,
            done.counts.unchanged
        ),
        (1, 1, 1, 1)
    );
    let changes = r
        .store
        .changes(r.org, r.connection, Some("issues"), 2, 10)
        .await
        .unwrap();
    let seen: Vec<_> = changes
        .iter()
        .map(|c| (c.seq, c.id.as_str(), c.op, c.data.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            (3, "a", Op::Updated, Some("2")),
            (4, "b", Op::Deleted, None),
            (5, "q", Op::Added, Some("{}"))
        ]
    );
    assert_eq!(
        r.store
            .changes(r.org, r.connection, None, 0, 10)
            .await
            .unwrap()
            .len(),
        3
    );
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 2);
    let quarantined = r
        .store
        .list_quarantined(r.org, r.connection, "issues", Page::first(10))
        .await
        .unwrap();
    assert!(quarantined.items.is_empty());
    let first = r
        .store
        .list_records(r.org, r.connection, "issues", Page::first(1))
        .await
        .unwrap();
    assert_eq!(
        (first.items[0].id.as_str(), first.next.as_deref()),
        ("a", Some("a"))
    );
    let rest = Page {
        after: first.next,
        limit: 5,
    };
    let rest = r
        .store
        .list_records(r.org, r.connection, "issues", rest)
        .await
        .unwrap();
    assert_eq!((rest.items[0].id.as_str(), rest.next), ("q", None));
    assert_eq!(
        r.store
            .get_record(r.org, r.connection, "issues", "b")
            .await
            .unwrap(),
        None
    );

    // Unchanged content writes no feed row.
    let done = r
        .store
        .commit_page(r.page(1, fencing, vec![upsert("a", "2")], "c3"))
        .await
        .unwrap();
    assert_eq!((done.counts.unchanged, done.last_seq), (1, 5));
    // Back after a delete: one row per id.
    r.store
        .commit_page(r.page(1, fencing, vec![upsert("b", "3")], "c4"))
        .await
        .unwrap();
    assert_eq!(
        r.store
            .changes(r.org, r.connection, None, 0, 10)
            .await
            .unwrap()
            .len(),
        3
    );
}
