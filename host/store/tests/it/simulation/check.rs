//! What must hold between any two steps.

use sluice_model::run::Mode;
use sluice_store::{Page, record::Op};

use super::model::{Model, is_exact};
use super::vendor::{SHELVES, STREAMS, Told, told};
use super::world::World;

/// Where the store is not as the model says, in words.
pub(crate) async fn differences(world: &World, model: &Model) -> Vec<String> {
    let room = world.room();
    let (store, org, connection) = (&room.store, room.org, room.connection);
    let mut found = Vec::new();
    let mut compare = |what: &str, is: String, should: String| {
        if is != should {
            found.push(format!("{what} is {is}, should be {should}"));
        }
    };
    for stream in STREAMS {
        let kept = store
            .list_records(org, connection, stream, Page::first(1000))
            .await
            .unwrap();
        let is: Vec<_> = kept
            .items
            .iter()
            .map(|kept| (kept.id.as_str(), kept.data.as_str(), kept.seq))
            .collect();
        let shown = model.shown(stream);
        let should: Vec<_> = shown
            .iter()
            .map(|(id, (data, seq))| (id.as_str(), &**data, *seq))
            .collect();
        compare(
            &format!("stream {stream}"),
            format!("{is:?}"),
            format!("{should:?}"),
        );
        let count = store.count(org, connection, stream).await.unwrap();
        compare(
            &format!("the count of {stream}"),
            count.to_string(),
            should.len().to_string(),
        );
        let settings = store.stream_settings(org, connection, stream).await.unwrap();
        let next = model.streams.get(stream).and_then(|of| of.next);
        compare(
            &format!("the schedule of {stream}"),
            format!("{:?}", settings.next),
            format!("{next:?}"),
        );
    }
    for (stream, partition) in SHELVES {
        let of = (!partition.is_empty()).then_some(partition);
        let is = store
            .cursor(org, connection, stream, of)
            .await
            .unwrap()
            .map(|cursor| cursor.text);
        let cursors = model.streams.get(stream).map(|of| &of.cursors);
        let should = cursors.and_then(|cursors| cursors.get(partition)?.cursor.clone());
        compare(
            &format!("the cursor of {stream} {partition}"),
            format!("{is:?}"),
            format!("{should:?}"),
        );
    }
    let feed = store.changes(org, connection, None, 0, 1000).await.unwrap();
    let is: Vec<_> = feed
        .iter()
        .map(|row| (row.seq, row.stream.as_str(), row.id.as_str(), row.data.as_deref()))
        .collect();
    let rows = model.feed();
    let should: Vec<_> = rows
        .iter()
        .map(|(seq, stream, id, data)| (*seq, *stream, id.as_str(), data.as_deref()))
        .collect();
    compare("the feed", format!("{is:?}"), format!("{should:?}"));
    assert!(
        feed.iter()
            .all(|row| (row.op == Op::Deleted) == row.data.is_none())
    );
    let runs = store.list_all_runs(org, Page::first(1000)).await.unwrap().items;
    let is: Vec<_> = runs
        .iter()
        .rev()
        .map(|run| {
            assert_eq!(
                run.counts.received(),
                run.counts.added + run.counts.updated + run.counts.unchanged + run.counts.deleted
            );
            (
                run.id,
                run.mode,
                (
                    run.begun,
                    run.staging,
                    run.folded,
                    run.undone.is_some(),
                    run.state.ended(),
                ),
                run.pages,
                run.counts,
                run.progress.clone(),
            )
        })
        .collect();
    let should: Vec<_> = model
        .runs
        .iter()
        .map(|(id, run)| {
            (
                *id,
                run.mode,
                (run.begun, run.staging, run.folded, run.undone, run.state.ended()),
                run.pages,
                run.counts,
                run.progress.clone(),
            )
        })
        .collect();
    for (is, should) in is.iter().zip(&should) {
        compare("a run", format!("{is:?}"), format!("{should:?}"));
    }
    for run in &runs {
        let given = model.runs.get(&run.id).map_or(0, |run| run.fencing);
        compare(
            &format!("whether the number of {} went back", run.id),
            (run.fencing < given).to_string(),
            false.to_string(),
        );
    }
    compare(
        "the number of runs",
        is.len().to_string(),
        should.len().to_string(),
    );
    let receipts = store
        .list_receipts(org, room.hook, Page::first(1000))
        .await
        .unwrap()
        .items;
    let is: Vec<_> = receipts
        .iter()
        .rev()
        .map(|receipt| (receipt.id, receipt.handled.is_some()))
        .collect();
    let should: Vec<_> = model
        .receipts
        .iter()
        .map(|(id, handled)| (*id, *handled))
        .collect();
    compare("the receipts", format!("{is:?}"), format!("{should:?}"));
    for stream in STREAMS {
        let active = runs
            .iter()
            .filter(|run| run.stream == stream && !run.state.ended())
            .count();
        compare(
            &format!("whether {stream} has more than one run under way"),
            (active > 1).to_string(),
            false.to_string(),
        );
    }
    found
}

/// The store is as the model says, and as the vendor was: every record is what the vendor had at the committed cursor, or later.
pub(crate) async fn all(world: &World) {
    let model = world.model.borrow().clone();
    let found = differences(world, &model).await;
    assert!(found.is_empty(), "{}", found.join("\n"));
    against_the_vendor(world, &model);
}

/// No model of the store's own is asked here but for who wrote a record: what a webhook wrote may be older than the cursor.
pub(crate) fn against_the_vendor(world: &World, model: &Model) {
    let mut vendor = world.vendor.borrow_mut();
    for (stream, partition) in SHELVES {
        let Some(of) = model.streams.get(stream) else {
            continue;
        };
        if of
            .generation
            .as_ref()
            .is_some_and(|generation| generation.folding.is_some())
        {
            continue;
        }
        let cursor = of.cursors.get(partition).and_then(|kept| kept.cursor.as_deref());
        let shown = model.shown(stream);
        let shelf = vendor.shelf((stream, partition));
        let (since, upto) = match told(cursor) {
            Told::Nothing => continue,
            Told::Log(at) => (at, None),
            Told::List(at, upto) => (at, Some(upto)),
        };
        for (id, _) in shelf.at(shelf.now()) {
            let written = of.records.get(id).and_then(|versions| versions.last());
            let read = upto.is_none_or(|upto| id <= upto);
            if !read || written.is_some_and(|written| !is_exact(written.by)) {
                continue;
            }
            let content = shown.get(id).map(|(data, _)| &**data);
            assert!(
                shelf.was(id, content, since),
                "record {id} of {stream} is {content:?} behind cursor {cursor:?}: the vendor had that only before"
            );
        }
    }
}

/// Once everything has been read anew, the store and whatever follows it hold what the vendor has.
pub(crate) async fn whole(world: &World) {
    let model = world.model.borrow();
    for (stream, partition) in SHELVES {
        let mut vendor = world.vendor.borrow_mut();
        let shelf = vendor.shelf((stream, partition));
        let there = shelf.at(shelf.now());
        let there: Vec<_> = there
            .into_iter()
            .filter_map(|(id, content)| Some((id, content.as_deref()?)))
            .collect();
        let shown = model.shown(stream);
        let shown = shown.iter().filter(|(id, _)| id.starts_with(partition));
        let shown: Vec<_> = shown.map(|(id, (data, _))| (id.as_str(), &**data)).collect();
        assert_eq!(shown, there, "stream {stream} {partition}");
    }
    for stream in STREAMS {
        let shown: Vec<_> = model
            .shown(stream)
            .into_iter()
            .map(|(id, (data, _))| (id, data.to_string()))
            .collect();
        let place = world.place.borrow();
        let loaded: Vec<_> = place.rows(stream).into_iter().collect();
        assert_eq!(loaded, shown, "the destination's {stream}");
    }
    for run in model.runs.values() {
        assert!(run.state.ended(), "a run of {} is under way", run.stream);
        assert!(run.mode != Mode::Full || run.folded || !run.staging || run.state.name() != "succeeded");
    }
    let handled = model.receipts.values().filter(|handled| !**handled).count();
    assert_eq!(handled, 0, "receipts that were acknowledged have no effect");
}
