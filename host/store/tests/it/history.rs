//! What records were, and runs that are undone.

use std::time::Duration;

use sluice_model::id::RunId;
use sluice_model::record::Change;
use sluice_model::run::Mode;
use sluice_store::stream_settings::StreamSettings;

use super::disk::{MemoryDisk, Unsynced};
use super::room::{NOW, Room, code, open_on, room, room_on, upsert};

const fn run(n: u8) -> RunId {
    RunId::from_bytes([n; 16])
}

impl Room {
    async fn brings(&self, n: u8, changes: Vec<Change>) {
        let fencing = self.begin_in(n, Mode::Incremental).await;
        let mut page = self.page(n, fencing, changes, &format!("c{n}"));
        page.place.last = true;
        self.store.commit_page(page).await.unwrap();
        self.end(n, fencing).await;
    }

    async fn cursor(&self) -> Option<String> {
        let found = self
            .store
            .cursor(self.org, self.connection, "issues", None)
            .await
            .unwrap();
        found.map(|cursor| cursor.text)
    }

    async fn versions(&self, id: &str) -> Vec<Option<String>> {
        let found = self
            .store
            .history(self.org, self.connection, "issues", id, 10)
            .await
            .unwrap();
        found.into_iter().map(|version| version.data).collect()
    }
}

fn some(data: &str) -> Option<String> {
    Some(data.to_owned())
}

#[tokio::test]
async fn versions_are_kept_for_their_time_and_can_be_restored() {
    let r = room().await;
    r.brings(1, vec![upsert("a", "1")]).await;
    r.brings(2, vec![upsert("a", "2")]).await;
    r.brings(3, vec![Change::Delete("a".into())]).await;
    r.brings(4, vec![upsert("a", "4")]).await;
    assert_eq!(r.versions("a").await, [some("4"), None, some("2"), some("1")]);
    let kept = r
        .store
        .history(r.org, r.connection, "issues", "a", 10)
        .await
        .unwrap();
    assert_eq!(
        kept.iter().map(|version| version.run).collect::<Vec<_>>(),
        [4, 3, 2, 1].map(|n| Some(run(n)))
    );
    let second = &kept[2];
    let restore = |seq| {
        r.store
            .restore_record(r.org, r.connection, "issues", "a", seq, NOW)
    };
    restore(second.seq).await.unwrap();
    assert_eq!(r.versions("a").await[..2], [some("2"), some("4")]);
    assert_eq!(code(restore(99).await), "store.missing");
    // What was deleted can be restored as deleted.
    restore(kept[1].seq).await.unwrap();
    assert!(r.there().await.is_empty());
    // A week later nothing of it is left but what is there.
    let later = NOW.after(Duration::from_secs(7 * 86_400 + 1));
    while r.store.sweep(later, 10).await.unwrap() {}
    assert_eq!(r.versions("a").await, [None]);
}

#[tokio::test]
async fn a_stream_that_keeps_no_history_has_none() {
    let r = room().await;
    let none = StreamSettings {
        history_s: 0,
        ..StreamSettings::default()
    };
    let set = |expected| {
        r.store
            .set_stream_settings(r.org, r.connection, "issues", expected, none.clone())
    };
    assert_eq!(set(0).await.unwrap().revision, 1);
    assert_eq!(code(set(0).await), "store.revision");
    r.brings(1, vec![upsert("a", "1")]).await;
    r.brings(2, vec![upsert("a", "2")]).await;
    assert_eq!(r.versions("a").await, [some("2")]);
}

#[tokio::test]
async fn an_undone_run_leaves_what_was_before_it() {
    let r = room().await;
    r.brings(1, vec![upsert("a", "1"), upsert("b", "1"), upsert("c", "1")])
        .await;
    let before = r.there().await;
    let fencing = r.begin_in(2, Mode::Incremental).await;
    for (changes, cursor) in [
        (
            vec![upsert("a", "2"), upsert("n", "1"), Change::Delete("b".into())],
            "half",
        ),
        (
            vec![upsert("a", "3"), upsert("n", "2"), upsert("b", "back")],
            "c2",
        ),
    ] {
        r.store
            .commit_page(r.page(2, fencing, changes, cursor))
            .await
            .unwrap();
    }
    let undo = |n| r.store.undo_run(r.org, run(n), NOW);
    assert_eq!(code(undo(2).await), "store.state", "it is under way");
    r.end(2, fencing).await;
    let undone = undo(2).await.unwrap();
    assert_eq!((undone.removed, undone.restored, undone.lost), (1, 2, 0));
    assert_eq!(r.there().await, before);
    assert_eq!(r.cursor().await.as_deref(), Some("c1"));
    assert!(
        r.store
            .get_run(r.org, run(2))
            .await
            .unwrap()
            .unwrap()
            .undone
            .is_some()
    );
    let again = undo(2).await.unwrap();
    assert_eq!((again.removed, again.restored), (0, 0), "nothing is left of it");
    assert_eq!(r.there().await, before);
}

#[tokio::test]
async fn what_somebody_else_changed_since_stays() {
    let r = room().await;
    r.brings(1, vec![upsert("a", "1"), upsert("b", "1")]).await;
    r.brings(2, vec![upsert("a", "2"), upsert("b", "2")]).await;
    r.brings(3, vec![upsert("b", "3")]).await;
    let undone = r.store.undo_run(r.org, run(2), NOW).await.unwrap();
    assert_eq!((undone.removed, undone.restored), (0, 1));
    assert_eq!(r.versions("a").await[0], some("1"));
    assert_eq!(r.versions("b").await[0], some("3"));
    assert_eq!(
        r.cursor().await.as_deref(),
        Some("c3"),
        "a later run has moved it"
    );
    // While another run reads the stream, nothing is undone under it.
    r.begin_in(4, Mode::Incremental).await;
    assert_eq!(code(r.store.undo_run(r.org, run(3), NOW).await), "run.active");
}

/// The newest first, as a person goes back: each cursor goes back with its records, so that they are read again.
#[tokio::test]
async fn runs_that_are_undone_one_after_the_other_take_the_cursor_with_them() {
    let r = room().await;
    for n in 1..=3 {
        r.brings(n, vec![upsert(&n.to_string(), "1")]).await;
    }
    for (n, cursor) in [(3, Some("c2")), (2, Some("c1")), (1, None)] {
        r.store.undo_run(r.org, run(n), NOW).await.unwrap();
        assert_eq!(r.cursor().await.as_deref(), cursor, "after undoing {n}");
    }
    assert!(r.there().await.is_empty());
}

/// A record that two runs changed is what the run made of it that stands, in whatever order they are undone.
#[tokio::test]
async fn runs_that_changed_the_same_record_are_undone_in_any_order() {
    for (order, left) in [
        (&[3, 2][..], &["2", "1"][..]),
        (&[2, 3], &["3", "1"]),
        (&[3, 2, 1], &["2", "1", ""]),
        (&[1, 2, 3], &["3", "3", ""]),
        (&[2, 1, 3], &["3", "3", ""]),
    ] {
        let r = room().await;
        for n in 1..=3 {
            r.brings(n, vec![upsert("a", &n.to_string())]).await;
        }
        for (n, left) in order.iter().zip(left) {
            r.store.undo_run(r.org, run(*n), NOW).await.unwrap();
            let there = r.there().await;
            let found = there.get("a").map_or("", String::as_str);
            assert_eq!(found, *left, "after undoing {n} of {order:?}");
        }
    }
    // One that took it away is undone with what stood before it.
    let r = room().await;
    r.brings(1, vec![upsert("a", "1")]).await;
    r.brings(2, vec![Change::Delete("a".into())]).await;
    r.brings(3, vec![upsert("a", "3")]).await;
    for (n, left) in [(3, None), (2, Some("1")), (1, None)] {
        r.store.undo_run(r.org, run(n), NOW).await.unwrap();
        assert_eq!(
            r.there().await.get("a").map(String::as_str),
            left,
            "after undoing {n}"
        );
    }
}

/// The power is cut anywhere while a run is undone: a record that has gone back is never behind the cursor.
#[tokio::test]
async fn an_undoing_that_is_cut_off_misses_nothing() {
    let disk = MemoryDisk::default();
    let r = room_on(&disk).await;
    r.brings(1, vec![upsert("a", "1")]).await;
    let before = r.there().await;
    r.brings(2, vec![upsert("a", "2")]).await;
    let begun = disk.log_len();
    r.store.undo_run(r.org, run(2), NOW).await.unwrap();
    let mut back = 0;
    for cut in begun..=disk.log_len() {
        let cut_off = Room {
            store: open_on(&MemoryDisk::of(disk.image(cut, Unsynced::Lost))),
            ..r
        };
        if cut_off.there().await == before {
            assert_eq!(cut_off.cursor().await.as_deref(), Some("c1"), "cut at {cut}");
            back += 1;
        }
    }
    assert!(back > 1);
}
