//! Webhooks: they are taken once, handled once, and write records beside whatever run is under way.

use std::rc::Rc;
use std::time::Duration;

use sluice_model::event::NewEvent;
use sluice_model::id::{EventId, ReceiptId};
use sluice_model::run::{Mode, Trigger};
use sluice_store::Error;
use sluice_store::receipt::{Accepted, LeasedReceipt, NewReceipt, ReceiptFailure, ReceiptOutcome};
use sluice_store::storage::StorageWrites;

use super::model::By;
use super::people::stall;
use super::syncing::LEASE;
use super::turn::Me;
use super::vendor::change;
use super::world::World;

/// The vendor tells that a record has changed; twice, where it doubts that it was heard.
pub(crate) async fn deliver(world: &World, id: &str) -> Result<(), Error> {
    let room = world.room();
    let number = world.id();
    for again in [false, true] {
        let receipt = ReceiptId::from_bytes(world.id());
        let new = NewReceipt {
            id: receipt,
            hook: room.hook,
            dedupe_key: format!("{number:?}"),
            method: "POST".into(),
            query: String::new(),
            headers: vec![],
            body: id.as_bytes().to_vec(),
            received: world.now(),
            one_time: None,
            order: None,
        };
        let after = world.model.borrow().then(|model| {
            if !again {
                model.receipts.insert(receipt, false);
            }
        });
        match world
            .attempt(vec![after], room.store.accept_receipt(room.org, new))
            .await?
        {
            Accepted::New(_) => assert!(!again, "a delivery was taken twice"),
            Accepted::Duplicate(_) => assert!(again),
            Accepted::Replayed => unreachable!("no delivery has a one-time token here"),
        }
        if world.dice.percent(70) {
            break;
        }
    }
    Ok(())
}

/// Handles receipts, as the service's `hooks/handle.rs` does: the connector looks at the vendor, then what it found is written.
pub(crate) async fn handler(world: Rc<World>, me: Me) -> Result<(), Error> {
    loop {
        me.turn().await;
        let store = world.store();
        let leased = world
            .attempt(
                vec![],
                store.lease_due_receipts(me.name, me.now(&world), LEASE, 1),
            )
            .await?;
        for receipt in leased {
            match handle(&world, &me, &receipt).await {
                Ok(()) | Err(Error::Fenced { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

async fn handle(world: &World, me: &Me, leased: &LeasedReceipt) -> Result<(), Error> {
    let (room, id) = (world.room(), leased.receipt.id);
    let now = me.now(world);
    stall(world, me).await;
    if world.fails(20) {
        let failure = ReceiptFailure {
            next: Some(now.after(Duration::from_secs(5))),
            code: "transient".into(),
            message: "no".into(),
            exchanges: vec![],
            logs: vec![],
        };
        let failed = room.store.fail_receipt(room.org, id, leased.fencing, failure);
        let same = vec![world.model.borrow().clone()];
        return world.attempt(same, failed).await.map(drop);
    }
    let record = String::from_utf8(leased.request.body.clone()).unwrap();
    let (content, saw) = world.vendor.borrow_mut().look(("items", ""), &record);
    let changes = vec![change(&record, &content)];
    stall(world, me).await;
    let after = world.model.borrow().then(|model| {
        model.apply("items", &changes, By::Other { saw });
        model.receipts.insert(id, true);
    });
    let before = world.model.borrow().receipts[&id];
    let event = NewEvent {
        id: EventId::from_bytes(world.id()),
        kind: "github.items".into(),
        subject: room.connection.to_string(),
        source_id: None,
        occurred: None,
        data: "{}".into(),
    };
    let outcome = ReceiptOutcome {
        events: vec![event],
        changes: changes
            .into_iter()
            .map(|change| ("items".into(), change))
            .collect(),
        quarantined: vec![],
        storage: StorageWrites::default(),
        exchanges: vec![],
        logs: vec![],
        now: me.now(world),
    };
    let counts = world
        .attempt(
            vec![after],
            room.store.finish_receipt(room.org, id, leased.fencing, outcome),
        )
        .await?;
    assert!(!before, "a receipt has its effect twice");
    assert_eq!(counts.received(), 1);
    world.note(format!("{} has handled a webhook about {record}", me.name));
    if world.dice.percent(30) {
        // It wants the stream read as well.
        stall(world, me).await;
        let new = world.new_run("items", Mode::Incremental, Trigger::Hook, me.now(world));
        let after = match world.active("items") {
            None => world.queued(&new),
            Some(run) => world
                .model
                .borrow()
                .then(|model| model.runs.get_mut(&run).unwrap().again = true),
        };
        world
            .attempt(vec![after], room.store.want_run(room.org, new))
            .await?;
    }
    Ok(())
}
