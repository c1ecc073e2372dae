//! A complete reading takes the old records' place at once, with the power cut anywhere.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sluice_model::id::RunId;
use sluice_model::record::{Change, Counts};
use sluice_model::run::{Mode, RunState};
use sluice_store::cursor::{Leg, Place};
use sluice_store::record::{Op, Quarantined};
use sluice_store::run::{Caps, Run, RunEnd};
use sluice_store::{Page, Store};

use super::disk::{MemoryDisk, Unsynced};
use super::room::{LEASE, NEXT, NOW, Room, code, later, open_on, room, room_on, upsert};

impl Room {
    async fn begin(&self, n: u8) -> u64 {
        self.begin_in(n, Mode::Full).await
    }

    pub(crate) async fn begin_in(&self, n: u8, mode: Mode) -> u64 {
        let fencing = self.run_in(n, mode).await;
        self.store
            .begin_run(self.org, RunId::from_bytes([n; 16]), fencing, "id")
            .await
            .unwrap();
        fencing
    }

    pub(crate) async fn end(&self, n: u8, fencing: u64) {
        let end = RunEnd {
            state: RunState::Succeeded,
            error: None,
            at: NOW,
        };
        self.store
            .end_run(self.org, RunId::from_bytes([n; 16]), fencing, end, NEXT)
            .await
            .unwrap();
    }

    /// A page of the generation that run `n` reads.
    async fn stage(&self, n: u8, fencing: u64, changes: Vec<Change>, last: bool) -> Counts {
        let mut page = self.page(n, fencing, changes, &format!("full {n}"));
        page.place = own(last);
        self.store.commit_page(page).await.unwrap().counts
    }

    async fn fold(&self, n: u8, fencing: u64) {
        let run = RunId::from_bytes([n; 16]);
        let mut fold = Some(self.store.begin_fold(self.org, run, fencing).await.unwrap());
        while let Some(step) = fold {
            fold = self.store.fold_step(step, fencing, NOW).await.unwrap();
        }
    }

    async fn kept(&self, n: u8) -> Run {
        let id = RunId::from_bytes([n; 16]);
        self.store.get_run(self.org, id).await.unwrap().unwrap()
    }

    pub(crate) async fn there(&self) -> BTreeMap<String, String> {
        records(&self.store, self).await
    }

    /// Run 1 has brought `a`, `b` and `c`.
    async fn filled(&self) {
        let fencing = self.begin(1).await;
        let page = self.page(
            1,
            fencing,
            vec![upsert("a", "1"), upsert("b", "1"), upsert("c", "1")],
            "old",
        );
        self.store.commit_page(page).await.unwrap();
        self.end(1, fencing).await;
    }
}

fn own(last: bool) -> Place {
    Place {
        leg: Leg::default(),
        version: 1,
        own: true,
        last,
    }
}

async fn records(store: &Store, room: &Room) -> BTreeMap<String, String> {
    let page = Page {
        after: None,
        limit: 1000,
    };
    let found = store
        .list_records(room.org, room.connection, "issues", page)
        .await
        .unwrap();
    found
        .items
        .into_iter()
        .map(|record| (record.id, record.data))
        .collect()
}

fn map(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter()
        .map(|(id, data)| ((*id).to_owned(), (*data).to_owned()))
        .collect()
}

#[tokio::test]
async fn the_old_records_serve_until_the_new_ones_are_whole() {
    let r = room().await;
    r.filled().await;
    let fencing = r.begin(2).await;
    let counts = r
        .stage(2, fencing, vec![upsert("a", "1"), upsert("b", "2")], false)
        .await;
    assert_eq!((counts.unchanged, counts.updated), (1, 1));
    let counts = r.stage(2, fencing, vec![upsert("d", "1")], true).await;
    assert_eq!(counts.added, 1);
    let old = map(&[("a", "1"), ("b", "1"), ("c", "1")]);
    assert_eq!(r.there().await, old);
    let cursor = r.store.cursor(r.org, r.connection, "issues", None).await.unwrap();
    assert_eq!(cursor.unwrap().text, "old", "the cursor of what serves");

    let run = RunId::from_bytes([2; 16]);
    let mut fold = Some(r.store.begin_fold(r.org, run, fencing).await.unwrap());
    let before = r
        .store
        .changes(r.org, r.connection, None, 0, 100)
        .await
        .unwrap()
        .len();
    while let Some(step) = fold {
        assert_eq!(r.there().await, old, "not half of it");
        let counts = r.store.counts(r.org, r.connection).await.unwrap();
        assert_eq!(counts[0].records, 3, "nor are they counted");
        let feed = r.store.changes(r.org, r.connection, None, 0, 100).await.unwrap();
        assert!(feed.len() <= before && feed.iter().all(|row| row.seq <= 3));
        fold = r.store.fold_step(step, fencing, NOW).await.unwrap();
    }
    assert_eq!(r.there().await, map(&[("a", "1"), ("b", "2"), ("d", "1")]));
    assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), 3);
    let cursor = r.store.cursor(r.org, r.connection, "issues", None).await.unwrap();
    assert_eq!(cursor.unwrap().text, "full 2");
    let run = r.store.get_run(r.org, run).await.unwrap().unwrap();
    assert_eq!(
        (run.counts.vanished, run.counts.received(), run.folded),
        (1, 3, true)
    );
    assert_eq!(run.state, RunState::Committing);
    r.end(2, fencing).await;
    let feed = r.store.changes(r.org, r.connection, None, 3, 100).await.unwrap();
    let told: Vec<_> = feed.iter().map(|row| (row.id.as_str(), row.op)).collect();
    assert_eq!(told, [("b", Op::Updated), ("d", Op::Added), ("c", Op::Deleted)]);
}

#[tokio::test]
async fn what_came_by_another_way_meanwhile_is_newer() {
    let r = room().await;
    r.filled().await;
    let fencing = r.begin(2).await;
    r.stage(
        2,
        fencing,
        vec![upsert("a", "staged"), upsert("b", "staged")],
        true,
    )
    .await;
    // A webhook after the page: `a` is newer than what was staged, and `c`, which was not seen, is known to be there.
    r.hooked(1, &[upsert("a", "live"), upsert("c", "live")]).await;
    r.fold(2, fencing).await;
    assert_eq!(
        r.there().await,
        map(&[("a", "live"), ("b", "staged"), ("c", "live")])
    );
}

#[tokio::test]
async fn a_page_from_before_a_webhook_is_not_staged_after_it() {
    let r = room().await;
    r.filled().await;
    let fencing = r.begin(2).await;
    let mut page = r.page(2, fencing, vec![upsert("a", "2"), upsert("b", "1")], "full 2");
    page.place = own(true);
    page.since = Some(r.store.feed_number(r.org, r.connection).unwrap());
    r.hooked(1, &[upsert("a", "live")]).await;
    let refused = r.store.commit_page(page.clone()).await.unwrap_err();
    assert_eq!(refused.code(), "record.changed", "{refused}");
    assert!(refused.passes());
    page.since = Some(r.store.feed_number(r.org, r.connection).unwrap());
    r.store.commit_page(page).await.unwrap();
    r.fold(2, fencing).await;
    assert_eq!(r.there().await, map(&[("a", "2"), ("b", "1")]));
}

#[tokio::test]
async fn a_refused_record_has_not_vanished() {
    let refused = |id: &str| Quarantined {
        id: id.into(),
        data: "?".into(),
        reason_code: "record.schema".into(),
        reason: "no".into(),
        pointer: None,
    };
    for (id, left) in [("b", &["a", "b"][..]), ("", &["a", "b", "c"])] {
        let r = room().await;
        r.filled().await;
        let fencing = r.begin(2).await;
        let mut page = r.page(2, fencing, vec![upsert("a", "1")], "full 2");
        (page.place, page.quarantined) = (own(true), vec![refused(id)]);
        r.store.commit_page(page).await.unwrap();
        r.fold(2, fencing).await;
        assert_eq!(
            r.there().await.into_keys().collect::<Vec<_>>(),
            left,
            "refused `{id}`"
        );
    }
}

#[tokio::test]
async fn a_generation_that_failed_leaves_nothing() {
    let r = room().await;
    r.filled().await;
    let fencing = r.begin(2).await;
    r.stage(2, fencing, vec![upsert("a", "2"), upsert("x", "2")], false)
        .await;
    r.end(2, fencing).await;
    r.store.drop_generation(r.org, &r.kept(2).await).await.unwrap();
    assert_eq!(r.there().await, map(&[("a", "1"), ("b", "1"), ("c", "1")]));
    // And the next one does not find what it left, even where nobody has cleared it.
    let fencing = r.begin(3).await;
    r.stage(3, fencing, vec![upsert("a", "3")], false).await;
    r.end(3, fencing).await;
    let fencing = r.begin(4).await;
    r.stage(4, fencing, vec![upsert("a", "1"), upsert("b", "4")], true)
        .await;
    r.fold(4, fencing).await;
    assert_eq!(r.there().await, map(&[("a", "1"), ("b", "4")]));
}

/// The worker stalls half-way, a person asks to end the run, and another worker gets it: old and new are never mixed.
#[tokio::test]
async fn a_run_does_not_end_while_its_generation_is_half_in_place() {
    let r = room().await;
    r.filled().await;
    let stalled = r.begin(2).await;
    r.stage(2, stalled, vec![upsert("a", "2"), upsert("x", "2")], true)
        .await;
    let id = RunId::from_bytes([2; 16]);
    let fold = r.store.begin_fold(r.org, id, stalled).await.unwrap();
    let fold = r.store.fold_step(fold, stalled, NOW).await.unwrap().unwrap();
    r.store.request_cancel(r.org, id, NOW).await.unwrap();
    let due = r
        .store
        .lease_due_runs("w", later(61), LEASE, (1, Caps::default()))
        .await
        .unwrap();
    let lease = due.into_iter().next().unwrap();
    assert!(lease.run.is_half_folded() && lease.run.cancel);
    let end = |state| RunEnd {
        state,
        error: None,
        at: NOW,
    };
    let refused = r
        .store
        .end_run(r.org, id, lease.fencing, end(RunState::Cancelled), NEXT)
        .await;
    assert_eq!(code(refused), "store.state");
    assert_eq!(code(r.store.fold_step(fold, stalled, NOW).await), "store.fenced");
    let old = map(&[("a", "1"), ("b", "1"), ("c", "1")]);
    assert_eq!(r.there().await, old);
    r.fold(2, lease.fencing).await;
    r.end(2, lease.fencing).await;
    assert_eq!(r.there().await, map(&[("a", "2"), ("x", "2")]));
}

/// A worker is late with clearing up behind a run that it has ended; the next one reads meanwhile.
#[tokio::test]
async fn a_late_worker_leaves_the_next_generation_alone() {
    let r = room().await;
    r.filled().await;
    let fencing = r.begin(2).await;
    r.stage(2, fencing, vec![upsert("a", "2")], false).await;
    r.end(2, fencing).await;
    let ended = r.kept(2).await;
    let fencing = r.begin(3).await;
    r.stage(3, fencing, vec![upsert("a", "3")], false).await;
    r.store.drop_generation(r.org, &ended).await.unwrap();
    r.stage(3, fencing, vec![upsert("b", "3")], true).await;
    r.fold(3, fencing).await;
    assert_eq!(r.there().await, map(&[("a", "3"), ("b", "3")]));
}

#[tokio::test]
async fn a_stream_without_records_is_filled_as_it_is_read() {
    let r = room().await;
    let fencing = r.begin(1).await;
    let run = r
        .store
        .get_run(r.org, RunId::from_bytes([1; 16]))
        .await
        .unwrap()
        .unwrap();
    assert!(!run.staging);
    let page = r.page(1, fencing, vec![upsert("a", "1")], "c");
    r.store.commit_page(page).await.unwrap();
    assert_eq!(r.there().await, map(&[("a", "1")]));
}

#[tokio::test]
async fn partitions_have_cursors_of_their_own_and_a_generation_brings_its_own_set() {
    let r = room().await;
    let at = |partition: &str, own, last| Place {
        leg: Leg {
            lookback: false,
            partition: Some(partition.into()),
        },
        version: 3,
        own,
        last,
    };
    let cursor = async |partition: Option<&str>| {
        let found = r
            .store
            .cursor(r.org, r.connection, "issues", partition)
            .await
            .unwrap();
        found.map(|cursor| (cursor.text, cursor.version))
    };
    let fencing = r.begin(1).await;
    for (partition, id) in [("x", "1"), ("y", "2")] {
        let mut page = r.page(1, fencing, vec![upsert(id, "1")], &format!("c{partition}"));
        page.place = at(partition, false, true);
        r.store.commit_page(page).await.unwrap();
    }
    r.end(1, fencing).await;
    assert_eq!(cursor(Some("x")).await, Some(("cx".into(), 3)));
    assert_eq!(cursor(None).await, None);
    let fencing = r.begin(2).await;
    for (partition, id, last) in [("y", "2", false), ("y", "3", true), ("z", "4", true)] {
        let mut page = r.page(2, fencing, vec![upsert(id, "1")], &format!("full {partition}"));
        page.place = at(partition, true, last);
        r.store.commit_page(page).await.unwrap();
    }
    assert_eq!(cursor(Some("y")).await, Some(("cy".into(), 3)));
    r.fold(2, fencing).await;
    r.end(2, fencing).await;
    assert_eq!(
        cursor(Some("x")).await,
        None,
        "the partition is gone, its record too"
    );
    assert_eq!(cursor(Some("y")).await, Some(("full y".into(), 3)));
    assert_eq!(cursor(Some("z")).await, Some(("full z".into(), 3)));
    assert_eq!(r.there().await.into_keys().collect::<Vec<_>>(), ["2", "3", "4"]);
    r.store
        .undo_run(r.org, RunId::from_bytes([2; 16]), NOW)
        .await
        .unwrap();
    assert_eq!(cursor(Some("y")).await, Some(("cy".into(), 3)));
}

/// Cuts the power at every sync of a folding; the next start ends it before anybody looks.
#[tokio::test]
async fn a_start_ends_a_folding_that_was_cut_off() {
    let disk = MemoryDisk::default();
    let r = room_on(&disk).await;
    r.filled().await;
    let fencing = r.begin(2).await;
    r.stage(2, fencing, vec![upsert("a", "2"), upsert("d", "2")], true)
        .await;
    let begun = disk.log_len();
    r.fold(2, fencing).await;
    let over = disk.log_len();
    let (old, new) = (
        map(&[("a", "1"), ("b", "1"), ("c", "1")]),
        map(&[("a", "2"), ("d", "2")]),
    );
    let mut seen = [0, 0];
    for cut in begun..=over {
        let store = open_on(&MemoryDisk::of(disk.image(cut, Unsynced::Lost)));
        store.release_leases(NOW).await.unwrap();
        let found = records(&store, &r).await;
        let run = store
            .get_run(r.org, RunId::from_bytes([2; 16]))
            .await
            .unwrap()
            .unwrap();
        let whole = found == new;
        assert!(whole || found == old, "cut at {cut}: {found:?}");
        assert_eq!(whole, run.folded, "cut at {cut}");
        seen[usize::from(whole)] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever was there, and in whatever pages it is read: afterwards there is exactly what was read last.
    #[test]
    fn a_generation_is_what_was_read(
        old in proptest::collection::btree_map("[a-f]", "[0-2]", 1..6),
        pages in proptest::collection::vec(proptest::collection::vec(("[a-h]", "[0-3]", any::<bool>()), 0..4), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let r = room().await;
            let fencing = r.begin(1).await;
            let page = old.iter().map(|(id, data)| upsert(id, data)).collect();
            r.store.commit_page(r.page(1, fencing, page, "old")).await.unwrap();
            r.end(1, fencing).await;
            let fencing = r.begin(2).await;
            let mut read = BTreeMap::new();
            for page in &pages {
                for (id, data, gone) in page {
                    if *gone { read.remove(id); } else { read.insert(id.clone(), data.clone()); }
                }
                let changes = page.iter().map(|(id, data, gone)| {
                    if *gone { Change::Delete(id.clone()) } else { upsert(id, data) }
                });
                let changes: Vec<_> = changes.collect();
                let received = changes.len() as u64;
                prop_assert_eq!(r.stage(2, fencing, changes, false).await.received(), received);
            }
            prop_assert_eq!(r.there().await, old);
            r.fold(2, fencing).await;
            prop_assert_eq!(r.store.count(r.org, r.connection, "issues").await.unwrap(), read.len() as u64);
            prop_assert_eq!(r.there().await, read);
            Ok(())
        })?;
    }
}
