//! Endpoints: an event that was committed is owed, once, whatever happens; and what a worker, a person and a replay do to each other.

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::endpoint::{DeliveryState, Health, KeyKind, OffReason, Status};
use sluice_model::event::NewEvent;
use sluice_model::id::{EndpointId, EventId, OrgId, ReplayId};
use sluice_model::secret::Secret;
use sluice_store::delivery::{Attempt, CameTo, LeasedEndpoint, Outcome, Owed, Step};
use sluice_store::due::Work;
use sluice_store::endpoint::{Endpoint, NewEndpoint};
use sluice_store::replay::{EventScope, Replay, ReplayOf, ReplayState, Scope};
use sluice_store::sweep::Keep;
use sluice_store::{Error, Page, Store};

use super::disk::{MemoryDisk, Unsynced};
use super::room::{LEASE, NOW, later, open_on, room_on};

fn event(kind: &str, n: u8) -> NewEvent {
    NewEvent {
        id: EventId::from_bytes([n; 16]),
        kind: kind.into(),
        subject: String::new(),
        source_id: None,
        occurred: None,
        data: "{}".into(),
    }
}

fn endpoint(n: u8, ordered: bool) -> Endpoint {
    Endpoint {
        id: EndpointId::from_bytes([n; 16]),
        name: format!("endpoint {n}"),
        url: "https://example.com/".into(),
        kinds: vec!["*".into()],
        rules: String::new(),
        headers: vec![],
        ordered,
        concurrency: 8,
        per_second: None,
        signing: KeyKind::Hmac,
        public_keys: vec![],
        created: NOW,
        revision: 1,
    }
}

async fn add(store: &Store, org: OrgId, endpoint: Endpoint) -> Result<(), Error> {
    let new = NewEndpoint {
        endpoint,
        keys: Secret::new(b"keys".to_vec()),
        headers: Some(Secret::new(b"headers".to_vec())),
        event: event("sluice.endpoint.created", 0),
        now: NOW,
    };
    store.create_endpoint(org, new).await
}

async fn append(store: &Store, org: OrgId, n: u8, now: Timestamp) -> u64 {
    store
        .append_events(org, vec![event("a.b", n)], now)
        .await
        .unwrap()
}

async fn lease(store: &Store, now: Timestamp) -> Vec<LeasedEndpoint> {
    store.lease_due_endpoints(now, LEASE, 100).await.unwrap()
}

fn step(leased: &LeasedEndpoint, now: Timestamp) -> Step {
    Step {
        outcomes: vec![],
        owed: vec![],
        position: leased.state.position,
        health: Health::default(),
        hold: None,
        off: None,
        events: vec![],
        now,
        until: None,
    }
}

/// Owes everything behind the endpoint's position, and gives it back.
async fn owe_all(store: &Store, leased: &LeasedEndpoint, now: Timestamp) -> usize {
    let found = store
        .events(leased.org, leased.state.position, 1000, "")
        .await
        .unwrap();
    let mut step = step(leased, now);
    step.position = found.next;
    step.owed = found
        .events
        .iter()
        .map(|event| Owed {
            seq: event.seq,
            event: event.id,
            kind: event.kind.clone(),
        })
        .collect();
    let owed = step.owed.len();
    store
        .step_endpoint(leased.org, leased.endpoint.id, leased.fencing, step)
        .await
        .unwrap();
    owed
}

fn attempt(status: u16) -> Attempt {
    Attempt {
        number: 0,
        at: NOW,
        took_ms: 1,
        status: Some(status),
        code: None,
        message: None,
        answer: "ok".into(),
    }
}

async fn settle(store: &Store, leased: &LeasedEndpoint, seq: u64, came_to: CameTo, now: Timestamp) {
    let mut step = step(leased, now);
    step.outcomes = vec![Outcome { seq, came_to }];
    store
        .step_endpoint(leased.org, leased.endpoint.id, leased.fencing, step)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_appended_is_owed_once_and_delivered() {
    let room = room_on(&MemoryDisk::default()).await;
    let (store, org) = (&room.store, room.org);
    append(store, org, 1, NOW).await;
    add(store, org, endpoint(1, false)).await.unwrap();
    assert!(lease(store, NOW).await.is_empty(), "nothing since it was made");
    assert_eq!(store.next_due(Work::Endpoints).await.unwrap(), None);
    let seq = append(store, org, 2, NOW).await;
    let leased = lease(store, NOW).await;
    assert_eq!(leased.len(), 1);
    assert!(lease(store, NOW).await.is_empty(), "somebody has it");
    assert_eq!(owe_all(store, &leased[0], NOW).await, 1);
    let leased = lease(store, NOW).await;
    let due = store
        .due_deliveries(org, &leased[0].endpoint, NOW, 10)
        .await
        .unwrap();
    assert_eq!((due.len(), due[0].seq), (1, seq));
    settle(
        store,
        &leased[0],
        seq,
        CameTo::Failed(attempt(500), Some(later(5))),
        NOW,
    )
    .await;
    assert!(lease(store, later(4)).await.is_empty());
    let leased = lease(store, later(5)).await;
    settle(store, &leased[0], seq, CameTo::Delivered(attempt(200)), later(5)).await;
    assert!(lease(store, later(1_000_000)).await.is_empty());
    let delivery = store
        .get_delivery(org, leased[0].endpoint.id, seq)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (delivery.state, delivery.attempts, delivery.status),
        (DeliveryState::Delivered, 2, Some(200))
    );
    let attempts = store
        .list_attempts(org, leased[0].endpoint.id, seq)
        .await
        .unwrap();
    let numbers: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.number, attempt.status))
        .collect();
    assert_eq!(numbers, [(1, Some(500)), (2, Some(200))]);
    let known = store
        .get_endpoint(org, leased[0].endpoint.id)
        .await
        .unwrap()
        .unwrap()
        .state;
    assert_eq!((known.waiting, known.delivered, known.dead), (0, 1, 0));
}

#[tokio::test]
async fn a_worker_whose_lease_went_on_to_another_writes_nothing() {
    let room = room_on(&MemoryDisk::default()).await;
    let (store, org) = (&room.store, room.org);
    add(store, org, endpoint(1, false)).await.unwrap();
    append(store, org, 1, NOW).await;
    let first = lease(store, NOW).await.remove(0);
    let late = NOW.after(LEASE);
    let second = lease(store, late).await.remove(0);
    let refused = store
        .step_endpoint(org, first.endpoint.id, first.fencing, step(&first, late))
        .await;
    assert_eq!(refused.unwrap_err().code(), "store.fenced");
    assert_eq!(owe_all(store, &second, late).await, 1);
}

#[tokio::test]
async fn in_order_the_oldest_holds_up_the_rest() {
    let room = room_on(&MemoryDisk::default()).await;
    let (store, org) = (&room.store, room.org);
    add(store, org, endpoint(1, true)).await.unwrap();
    let first = append(store, org, 1, NOW).await;
    append(store, org, 2, NOW).await;
    let leased = lease(store, NOW).await.remove(0);
    owe_all(store, &leased, NOW).await;
    let leased = lease(store, NOW).await.remove(0);
    settle(
        store,
        &leased,
        first,
        CameTo::Failed(attempt(500), Some(later(60))),
        NOW,
    )
    .await;
    assert!(
        lease(store, later(59)).await.is_empty(),
        "the second waits for the first"
    );
    let leased = lease(store, later(60)).await.remove(0);
    let due = store
        .due_deliveries(org, &leased.endpoint, later(60), 10)
        .await
        .unwrap();
    let seqs: Vec<_> = due.iter().map(|delivery| delivery.seq).collect();
    assert_eq!(seqs, [first, first + 1]);
}

#[tokio::test]
async fn paused_goes_on_where_it_stopped_and_off_is_owed_nothing() {
    let room = room_on(&MemoryDisk::default()).await;
    let (store, org) = (&room.store, room.org);
    add(store, org, endpoint(1, false)).await.unwrap();
    add(store, org, endpoint(2, false)).await.unwrap();
    let [one, two] = [1, 2].map(|n| EndpointId::from_bytes([n; 16]));
    let set = |id, status, n| store.set_endpoint_status(org, id, status, event("sluice.x", n), NOW);
    set(one, Status::Paused, 10).await.unwrap();
    set(two, Status::Off, 11).await.unwrap();
    let seq = append(store, org, 3, NOW).await;
    assert!(lease(store, NOW).await.is_empty());
    set(one, Status::Active, 12).await.unwrap();
    set(two, Status::Active, 13).await.unwrap();
    let positions: Vec<_> = lease(store, NOW)
        .await
        .into_iter()
        .map(|leased| (leased.endpoint.id, leased.state.position < seq))
        .collect();
    assert!(positions.contains(&(one, true)), "{positions:?}");
    assert!(!positions.contains(&(two, true)), "{positions:?}");
}

#[tokio::test]
async fn dead_letters_are_redriven_and_what_was_missed_recovered() {
    let room = room_on(&MemoryDisk::default()).await;
    let (store, org) = (&room.store, room.org);
    let first = append(store, org, 1, NOW).await;
    add(store, org, endpoint(1, false)).await.unwrap();
    let id = EndpointId::from_bytes([1; 16]);
    let dead = append(store, org, 2, later(1)).await;
    let leased = lease(store, later(1)).await.remove(0);
    owe_all(store, &leased, later(1)).await;
    let leased = lease(store, later(1)).await.remove(0);
    settle(store, &leased, dead, CameTo::Failed(attempt(500), None), later(1)).await;
    let listed = |state| store.list_deliveries(org, id, Some(state), Page::first(10));
    assert_eq!(listed(DeliveryState::Dead).await.unwrap().items.len(), 1);
    let replay = |n: u8, what| Replay {
        id: ReplayId::from_bytes([n; 16]),
        scope: Scope::Events(EventScope {
            endpoint: id,
            kinds: vec!["a.*".into()],
            after: 0,
            last: dead,
            place: 0,
        }),
        what,
        cap: 100,
        looked: 0,
        made: 0,
        state: ReplayState::Running,
        due: Some(later(2)),
        created: later(2),
        ended: None,
    };
    let run = async |replay: Replay| {
        let (id, told) = (replay.id, event("sluice.replay.created", 20));
        store.create_replay(org, replay, told, later(2)).await.unwrap();
        let due = store.due_replays(later(2), 10).await.unwrap();
        assert_eq!(due, [(org, id)]);
        store
            .step_replay(org, id, EventId::from_bytes([99; 16]), later(2))
            .await
            .unwrap()
            .unwrap()
    };
    let done = run(replay(1, ReplayOf::Dead)).await;
    assert_eq!((done.state, done.made), (ReplayState::Done, 1));
    assert!(listed(DeliveryState::Dead).await.unwrap().items.is_empty());
    let done = run(replay(2, ReplayOf::Missed)).await;
    assert_eq!(
        (done.state, done.made),
        (ReplayState::Done, 1),
        "the one from before it was made"
    );
    let waiting = listed(DeliveryState::Waiting).await.unwrap().items;
    let seqs: Vec<_> = waiting.iter().map(|delivery| delivery.seq).collect();
    assert_eq!(seqs, [dead, first]);
    let capped = Replay {
        cap: 1,
        ..replay(3, ReplayOf::All)
    };
    let done = run(capped).await;
    assert_eq!(
        (done.state, done.made),
        (ReplayState::Done, 0),
        "all of it waits already"
    );
    let told = store.events(org, dead, 100, "sluice.replay.ended").await.unwrap();
    assert_eq!(told.events.len(), 3);
}

#[tokio::test]
async fn names_are_one_endpoints_and_removal_takes_everything() {
    let room = room_on(&MemoryDisk::default()).await;
    let (store, org) = (&room.store, room.org);
    add(store, org, endpoint(1, false)).await.unwrap();
    let same = Endpoint {
        name: "endpoint 1".into(),
        ..endpoint(2, false)
    };
    assert_eq!(add(store, org, same).await.unwrap_err().code(), "store.conflict");
    let seq = append(store, org, 1, NOW).await;
    let leased = lease(store, NOW).await.remove(0);
    owe_all(store, &leased, NOW).await;
    let leased = lease(store, NOW).await.remove(0);
    let id = leased.endpoint.id;
    settle(store, &leased, seq, CameTo::Failed(attempt(500), None), NOW).await;
    store
        .remove_endpoint(org, id, event("sluice.endpoint.removed", 9), NOW)
        .await
        .unwrap();
    assert!(store.get_delivery(org, id, seq).await.unwrap().is_none());
    assert!(store.list_attempts(org, id, seq).await.unwrap().is_empty());
    let secret = store
        .get_secret(org, &id.to_string(), sluice_store::endpoint::KEYS)
        .await
        .unwrap();
    assert!(secret.is_none());
    append(store, org, 3, NOW).await;
    assert!(lease(store, later(1_000_000)).await.is_empty());
}

#[tokio::test]
async fn old_events_and_deliveries_go_in_steps() {
    let room = room_on(&MemoryDisk::default()).await;
    let (store, org) = (&room.store, room.org);
    add(store, org, endpoint(1, false)).await.unwrap();
    for n in 0..20 {
        append(store, org, n, later(n.into())).await;
    }
    let leased = lease(store, later(20)).await.remove(0);
    assert_eq!(owe_all(store, &leased, later(20)).await, 20);
    let keep = Keep {
        events: Some(Duration::from_secs(90)),
        deliveries: Some(Duration::from_secs(90)),
    };
    let first = store.events(org, 0, 100, "").await.unwrap().events[0].seq;
    assert!(!store.sweep_events(later(100), keep, 10).await.unwrap());
    let kept = store.events(org, 0, 100, "a.").await.unwrap().events;
    assert_eq!(kept.len(), 10);
    assert_eq!(kept[0].seq, first + 11, "those recorded ten seconds or later");
    assert_eq!(
        store.last_event_before(org, later(15)).await.unwrap(),
        kept[4].seq
    );
    assert!(store.last_event_before(org, later(1)).await.unwrap() < kept[0].seq);
    assert_eq!(
        store.last_event_before(org, later(500)).await.unwrap(),
        kept[9].seq
    );
    assert!(!store.sweep_events(later(111), keep, 10).await.unwrap());
    let id = EndpointId::from_bytes([1; 16]);
    let left = store
        .list_deliveries(org, id, None, Page::first(100))
        .await
        .unwrap();
    assert!(left.items.is_empty());
    assert_eq!(
        store.get_endpoint(org, id).await.unwrap().unwrap().state.waiting,
        0
    );
}

#[tokio::test]
async fn a_start_gives_back_what_a_worker_had() {
    let disk = MemoryDisk::default();
    let room = room_on(&disk).await;
    let (store, org) = (&room.store, room.org);
    add(store, org, endpoint(1, false)).await.unwrap();
    append(store, org, 1, NOW).await;
    let leased = lease(store, NOW).await.remove(0);
    store.release_leases(later(1)).await.unwrap();
    let again = lease(store, later(1)).await.remove(0);
    assert!(again.fencing > leased.fencing);
}

#[tokio::test]
async fn switched_off_by_a_step_it_is_no_longer_due() {
    let room = room_on(&MemoryDisk::default()).await;
    let (store, org) = (&room.store, room.org);
    add(store, org, endpoint(1, false)).await.unwrap();
    append(store, org, 1, NOW).await;
    let leased = lease(store, NOW).await.remove(0);
    let mut off = step(&leased, NOW);
    off.off = Some(OffReason::Gone);
    off.events = vec![event("sluice.endpoint.disabled", 7)];
    let stepped = store
        .step_endpoint(org, leased.endpoint.id, leased.fencing, off)
        .await
        .unwrap();
    assert_eq!(stepped.status, Status::Off);
    append(store, org, 2, NOW).await;
    assert!(lease(store, later(1_000_000)).await.is_empty());
}

/// The power is cut at every write and sync of a workload of appending, owing and settling: what was appended is owed after the
/// next start, or was not acknowledged.
#[tokio::test]
async fn the_power_may_go_at_any_moment() {
    let disk = MemoryDisk::default();
    let room = room_on(&disk).await;
    let (store, org) = (&room.store, room.org);
    add(store, org, endpoint(1, false)).await.unwrap();
    let id = EndpointId::from_bytes([1; 16]);
    let begin = disk.log_len();
    let mut appended = Vec::new();
    for n in 1..6 {
        let seq = append(store, org, n, NOW).await;
        appended.push((seq, disk.log_len()));
        let leased = lease(store, NOW).await.remove(0);
        owe_all(store, &leased, NOW).await;
        let leased = lease(store, NOW).await.remove(0);
        settle(store, &leased, seq, CameTo::Delivered(attempt(200)), NOW).await;
    }
    for cut in (begin..disk.log_len()).step_by(3) {
        let store = open_on(&MemoryDisk::of(disk.image(cut, Unsynced::Lost)));
        store.release_leases(NOW).await.unwrap();
        for leased in lease(&store, NOW).await {
            owe_all(&store, &leased, NOW).await;
        }
        for (seq, at) in &appended {
            let delivery = store.get_delivery(org, id, *seq).await.unwrap();
            assert!(
                delivery.is_some() || *at > cut,
                "cut {cut}: event {seq} is not owed"
            );
        }
    }
}
