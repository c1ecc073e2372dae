//! The trace of what goes on for ever: the last rows are kept, numbered on, and they go with their connection.

use sluice_store::connection::Data;
use sluice_store::trace::{LAST_ROWS, LogLine, TraceOwner};
use sluice_store::{Page, Store};

use super::room::{Room, later, room};

fn lines(from: u64, to: u64) -> Vec<LogLine> {
    let line = |number: u64| LogLine {
        at: later(number),
        level: "info".into(),
        message: number.to_string(),
        fields: Vec::new(),
    };
    (from..=to).map(line).collect()
}

async fn kept(store: &Store, r: &Room) -> Vec<(u64, String)> {
    let page = Page {
        after: None,
        limit: 10_000,
    };
    let owner = TraceOwner::Connection(r.connection);
    let found = store.logs(r.org, owner, page).await.unwrap();
    let items = found.items.into_iter();
    items.map(|(number, line)| (number, line.message)).collect()
}

#[tokio::test]
async fn the_last_rows_of_a_connection_are_kept() {
    let r = room().await;
    let note = |from, to| {
        r.store
            .note_connection(r.org, r.connection, (Vec::new(), lines(from, to)))
    };
    note(1, LAST_ROWS).await.unwrap();
    let all = kept(&r.store, &r).await;
    assert_eq!((all.len() as u64, all[0].0), (LAST_ROWS, 1));
    // One call may say more than is kept before it; numbers go on.
    note(LAST_ROWS + 1, LAST_ROWS + 3).await.unwrap();
    let all = kept(&r.store, &r).await;
    assert_eq!(all.len() as u64, LAST_ROWS);
    assert_eq!(all[0], (4, "4".to_owned()));
    let last = LAST_ROWS + 3;
    assert_eq!(all[all.len() - 1], (last, last.to_string()));

    // They go with the connection, and nothing is kept of one that is gone.
    r.store
        .remove_connection(r.org, r.connection, Data::Delete, later(0))
        .await
        .unwrap();
    while r.store.sweep(later(0), 10_000).await.unwrap() {}
    assert!(kept(&r.store, &r).await.is_empty());
    note(1, 1).await.unwrap();
    assert!(kept(&r.store, &r).await.is_empty());
}
