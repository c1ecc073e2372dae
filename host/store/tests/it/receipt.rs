//! Receipts: once per delivery, handled, retried, set aside, replayed, forgotten.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::id::HookId;
use sluice_model::receipt::ReceiptState;
use sluice_model::secret::Secret;
use sluice_store::Page;
use sluice_store::app_hook::AppHook;
use sluice_store::chore::ChoresDone;
use sluice_store::connection::{ConnectionChange, Data};
use sluice_store::hook::HookState;
use sluice_store::receipt::{Accepted, DEDUPE_FOR, NewReceipt, ReceiptFailure};

use super::room::{LEASE, NOW, code, later, room};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_deliveries_of_one_webhook_are_one_receipt() {
    let r = Arc::new(room().await);
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let r = r.clone();
            tokio::spawn(async move { r.store.accept_receipt(r.org, r.receipt(n, "same")).await.unwrap() })
        })
        .collect();
    let (mut new, mut named) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.unwrap() {
            Accepted::New(id) => new.push(id),
            Accepted::Duplicate(id) => named.push(id),
            Accepted::Replayed => panic!("there is no token"),
        }
    }
    assert_eq!((new.len(), named.len()), (1, 99));
    assert!(named.iter().all(|id| *id == new[0]));
    assert_eq!(
        r.store
            .list_receipts(r.org, r.hook, Page::first(10))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[tokio::test]
async fn a_receipt_is_handled_retried_set_aside_and_replayed() {
    let r = room().await;
    let Accepted::New(id) = r.store.accept_receipt(r.org, r.receipt(1, "k")).await.unwrap() else {
        panic!()
    };
    let leased = r
        .store
        .lease_due_receipts("w", NOW, LEASE, 5)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(
        (leased.request.body.as_slice(), leased.failures),
        (b"{}".as_slice(), 0)
    );
    assert!(
        r.store
            .lease_due_receipts("w", NOW, LEASE, 5)
            .await
            .unwrap()
            .is_empty()
    );
    let failure = |next| ReceiptFailure {
        next,
        code: "c".into(),
        message: "m".into(),
        exchanges: vec![],
        logs: vec![],
    };
    r.store
        .fail_receipt(r.org, id, leased.fencing, failure(Some(later(1))))
        .await
        .unwrap();
    assert_eq!(
        code(
            r.store
                .finish_receipt(r.org, id, leased.fencing, r.outcome())
                .await
        ),
        "store.fenced"
    );
    let leased = r
        .store
        .lease_due_receipts("w", later(1), LEASE, 5)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(leased.failures, 1);
    let dead = r
        .store
        .fail_receipt(r.org, id, leased.fencing, failure(None))
        .await
        .unwrap();
    assert_eq!(dead.state, ReceiptState::Dead);
    r.store.replay_receipt(r.org, id, later(2)).await.unwrap();
    assert_eq!(
        r.store.accept_receipt(r.org, r.receipt(2, "k")).await.unwrap(),
        Accepted::Duplicate(id)
    );
    let leased = r
        .store
        .lease_due_receipts("w", later(2), LEASE, 5)
        .await
        .unwrap()
        .pop()
        .unwrap();
    let counts = r
        .store
        .finish_receipt(r.org, id, leased.fencing, r.outcome())
        .await
        .unwrap();
    assert_eq!(counts.added, 1);
    assert_eq!(
        r.store.get_receipt(r.org, id).await.unwrap().unwrap().state,
        ReceiptState::Handled
    );
    assert_eq!(
        r.store.next_due(sluice_store::due::Work::Receipts).await.unwrap(),
        None
    );
    let events = r.store.events(r.org, 0, 10, "github.").await.unwrap();
    assert_eq!(
        (events.events[0].seq, events.events[0].data.as_str(), events.end),
        (1, "{\"a\":1}", true)
    );
    let none = r.store.events(r.org, 0, 10, "other.").await.unwrap();
    assert_eq!((none.events.len(), none.next), (0, 1));
}

#[tokio::test]
async fn dedupe_keys_are_forgotten_after_a_week_and_not_before() {
    let r = room().await;
    let Accepted::New(id) = r.store.accept_receipt(r.org, r.receipt(1, "k")).await.unwrap() else {
        panic!()
    };
    r.store.sweep(NOW.after(DEDUPE_FOR), 100).await.unwrap();
    assert_eq!(
        r.store.accept_receipt(r.org, r.receipt(2, "k")).await.unwrap(),
        Accepted::Duplicate(id)
    );
    assert!(
        !r.store
            .sweep(NOW.after(DEDUPE_FOR + Duration::from_millis(1)), 100)
            .await
            .unwrap()
    );
    assert!(matches!(
        r.store.accept_receipt(r.org, r.receipt(3, "k")).await.unwrap(),
        Accepted::New(_)
    ));
}

#[tokio::test]
async fn a_one_time_token_is_one_webhooks() {
    let r = room().await;
    let with = |n, key: &str, body: &str| NewReceipt {
        one_time: Some("token".into()),
        body: body.into(),
        ..r.receipt(n, key)
    };
    let accept = |new| r.store.accept_receipt(r.org, new);
    let Accepted::New(first) = accept(with(1, "id:1", "{}")).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        accept(with(2, "id:1", "{}")).await.unwrap(),
        Accepted::Duplicate(first)
    );
    assert_eq!(
        accept(with(3, "own:3", "{}")).await.unwrap(),
        Accepted::Duplicate(first)
    );
    assert_eq!(accept(with(4, "id:4", "{ }")).await.unwrap(), Accepted::Replayed);
    // Both are forgotten together.
    let later = NOW.after(DEDUPE_FOR).after(Duration::from_secs(1));
    while r.store.sweep(later, 16).await.unwrap() {}
    assert!(matches!(
        accept(with(5, "id:1", "{}")).await.unwrap(),
        Accepted::New(_)
    ));
}

/// What is about the same is handled one after another, whatever becomes of each; the rest at once.
#[tokio::test]
async fn receipts_about_the_same_wait_for_each_other() {
    let r = room().await;
    let about = |n: u64, order: &str| NewReceipt {
        order: Some(order.into()),
        ..r.receipt(n, &format!("k{n}"))
    };
    let mut ids = Vec::new();
    for (n, order) in [(1, "a"), (2, "a"), (3, "a"), (4, "b")] {
        let Accepted::New(id) = r.store.accept_receipt(r.org, about(n, order)).await.unwrap() else {
            panic!()
        };
        ids.push(id);
    }
    let lease = async |at| {
        let leased = r.store.lease_due_receipts("w", at, LEASE, 10).await.unwrap();
        leased
            .into_iter()
            .map(|leased| (leased.receipt.id, leased.fencing))
            .collect::<Vec<_>>()
    };
    let first = lease(NOW).await;
    assert_eq!(
        first.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [ids[0], ids[3]]
    );
    // A try that fails keeps its place.
    let again = ReceiptFailure {
        next: Some(later(10)),
        code: "c".into(),
        message: "m".into(),
        exchanges: vec![],
        logs: vec![],
    };
    r.store
        .fail_receipt(r.org, ids[0], first[0].1, again.clone())
        .await
        .unwrap();
    assert!(lease(later(5)).await.is_empty());
    let second = lease(later(10)).await;
    assert_eq!(second[0].0, ids[0]);
    // One that is given up, and one that is handled, make way for the next.
    let dead = ReceiptFailure { next: None, ..again };
    r.store
        .fail_receipt(r.org, ids[0], second[0].1, dead)
        .await
        .unwrap();
    let third = lease(later(11)).await;
    assert_eq!(third.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [ids[1]]);
    r.store
        .finish_receipt(r.org, ids[1], third[0].1, r.outcome())
        .await
        .unwrap();
    assert_eq!(lease(later(12)).await[0].0, ids[2]);
}

/// A delivery of an app is kept at each connection that it concerns, which has a hook of its own for it from then on.
#[tokio::test]
async fn an_apps_hook_leads_to_the_connections_of_an_account() {
    let r = room().await;
    let app = AppHook {
        id: HookId::from_bytes([0xaa; 16]),
        connector: "github".into(),
        webhook: "events".into(),
        state: HookState::Active,
        created: NOW,
        older_secrets: Vec::new(),
    };
    r.store.create_app_hook(r.org, app.clone()).await.unwrap();
    assert_eq!(
        r.store.get_app_hook_public(app.id).await.unwrap(),
        Some((r.org, app.clone()))
    );
    assert!(r.store.get_hook_public(app.id).await.unwrap().is_none());
    let of = async |account: &str| {
        r.store
            .connections_of_account(r.org, "github", account)
            .await
            .unwrap()
    };
    assert!(of("acme").await.is_empty());
    let set = async |account: &str| {
        let now = r
            .store
            .get_connection(r.org, r.connection)
            .await
            .unwrap()
            .unwrap();
        let change = ConnectionChange {
            account: Some(account.into()),
            ..ConnectionChange::default()
        };
        r.store
            .update_connection(r.org, r.connection, now.revision, change, NOW)
            .await
            .unwrap();
    };
    set("other").await;
    set("acme").await;
    assert_eq!(
        (of("acme").await, of("other").await.len()),
        (vec![r.connection], 0)
    );
    let new = |n: u64, hook: u8| NewReceipt {
        hook: HookId::from_bytes([hook; 16]),
        ..r.receipt(n, "same")
    };
    let Accepted::New(first) = r
        .store
        .accept_routed(r.org, app.id, r.connection, new(1, 0xb1))
        .await
        .unwrap()
    else {
        panic!()
    };
    let again = r
        .store
        .accept_routed(r.org, app.id, r.connection, new(2, 0xb2))
        .await
        .unwrap();
    assert_eq!(
        again,
        Accepted::Duplicate(first),
        "its hook is the one that was made first"
    );
    let mine = r.store.list_hooks(r.org, Some(r.connection)).await.unwrap();
    let mine: Vec<_> = mine.iter().filter(|hook| hook.app == Some(app.id)).collect();
    assert_eq!(mine.len(), 1);
    assert!(
        r.store.get_hook_public(mine[0].id).await.unwrap().is_none(),
        "it has no address"
    );
    r.store.remove_app_hook(r.org, app.id).await.unwrap();
    let gone = r
        .store
        .accept_routed(r.org, app.id, r.connection, new(3, 0xb3))
        .await;
    assert_eq!(code(gone), "store.missing");
    assert_eq!(
        r.store.list_hooks(r.org, Some(r.connection)).await.unwrap().len(),
        1
    );
    r.store
        .remove_connection(r.org, r.connection, Data::Delete, NOW)
        .await
        .unwrap();
    assert!(of("acme").await.is_empty());
}

/// A chore is struck off by who has it, and what came up meanwhile stays.
#[tokio::test]
async fn chores_are_done_once_and_none_is_lost() {
    let r = room().await;
    let lease = async |at| r.store.lease_due_chores(at, LEASE, 5).await.unwrap();
    assert!(lease(NOW).await.is_empty());
    r.store
        .owe_visit(r.org, r.hook, "https://a.test/?1".into(), NOW)
        .await
        .unwrap();
    let (_, first) = lease(NOW).await.pop().unwrap();
    assert!(lease(NOW).await.is_empty(), "one worker has it");
    r.store
        .owe_visit(r.org, r.hook, "https://a.test/?2".into(), NOW)
        .await
        .unwrap();
    let done = |visited: &str| ChoresDone {
        visited: Some(visited.into()),
        now: NOW,
        ..ChoresDone::default()
    };
    let finish = async |fencing, done| r.store.finish_chores(r.org, r.hook, fencing, done).await;
    finish(first.chores.fencing, done("https://a.test/?1"))
        .await
        .unwrap();
    let (_, second) = lease(NOW).await.pop().unwrap();
    assert_eq!(second.chores.visit.as_deref(), Some("https://a.test/?2"));
    assert_eq!(
        code(finish(first.chores.fencing, done("https://a.test/?2")).await),
        "store.fenced"
    );
    // A start gives back what a worker had.
    r.store.release_leases(later(1)).await.unwrap();
    let (_, third) = lease(later(1)).await.pop().unwrap();
    let settled = finish(third.chores.fencing, done("https://a.test/?2"))
        .await
        .unwrap();
    assert_eq!((settled.chores.visit, settled.chores.due), (None, None));
    assert!(lease(later(1_000_000)).await.is_empty());
}

/// What comes up while a worker has the hook does not take the lease away, and an answer to an earlier wish settles no later one.
#[tokio::test]
async fn a_registration_is_durable_before_and_after_the_vendor_is_asked() {
    use sluice_store::registration::{Became, Given, HOOK_SECRET, Progress, RegistrationState};
    let r = room().await;
    let url = |n: u8| format!("https://a.test/{n}");
    let want = async |n| {
        let events = Some(vec!["push".to_owned()]);
        r.store
            .want_registration(r.org, r.hook, url(n), events, NOW)
            .await
            .unwrap()
    };
    let lease = async |at| r.store.lease_due_chores(at, LEASE, 5).await.unwrap();
    assert!(!want(1).await.registration.unwrap().may_be_known());
    let (_, first) = lease(NOW).await.pop().unwrap();
    assert!(
        first.registration.as_ref().unwrap().may_be_known(),
        "asked, for all that is known"
    );
    // Somebody wants another address, and a visit comes up: the worker keeps its lease.
    want(2).await;
    r.store
        .owe_visit(r.org, r.hook, "https://a.test/?1".into(), NOW)
        .await
        .unwrap();
    assert!(lease(NOW).await.is_empty());
    let given = |n| Given {
        id: "w1".into(),
        expires: None,
        state: "{}".into(),
        url: url(n),
        at: NOW,
    };
    let progress = |wishes, became, secret: Option<&str>| ChoresDone {
        registration: Some(Progress {
            wishes,
            became,
            secret: secret.map(|text| Secret::new(text.as_bytes().to_vec())),
        }),
        now: NOW,
        ..ChoresDone::default()
    };
    let finish = async |fencing, done| r.store.finish_chores(r.org, r.hook, fencing, done).await.unwrap();
    let registered = |n| Became::Registered {
        given: given(n),
        next: None,
    };
    let wishes = first.registration.unwrap().wishes;
    let now = finish(
        first.chores.fencing,
        progress(wishes, registered(1), Some("s3cret")),
    )
    .await;
    let of = now.registration.unwrap();
    assert_eq!(
        (of.state, of.next),
        (RegistrationState::Pending, Some(NOW)),
        "the later wish stands"
    );
    let owner = r.hook.to_string();
    let kept = r
        .store
        .get_secret(r.org, &owner, HOOK_SECRET)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.expose(), b"s3cret");
    let (_, second) = lease(NOW).await.pop().unwrap();
    let of = second.registration.unwrap();
    let mut done = progress(of.wishes, registered(2), None);
    done.visited = second.chores.visit;
    let now = finish(second.chores.fencing, done).await;
    assert_eq!(now.registration.unwrap().state, RegistrationState::Registered);
    assert_eq!(now.chores.due, None);
    // Removed: it stays for the worker alone, until the vendor was told.
    r.store.remove_hook(r.org, r.hook, NOW).await.unwrap();
    assert_eq!(
        code(r.store.remove_hook(r.org, r.hook, NOW).await),
        "store.missing"
    );
    let (_, third) = lease(NOW).await.pop().unwrap();
    assert_eq!(third.state, HookState::Ending);
    let of = third.registration.unwrap();
    finish(third.chores.fencing, progress(of.wishes, Became::Ended, None)).await;
    assert!(r.store.get_hook(r.org, r.hook).await.unwrap().is_none());
    assert!(
        r.store
            .get_secret(r.org, &owner, HOOK_SECRET)
            .await
            .unwrap()
            .is_none()
    );
    assert!(lease(later(1_000_000)).await.is_empty());
}

#[tokio::test]
async fn a_rotated_secret_is_valid_until_its_time_and_gone_after_it() {
    use sluice_store::registration::HOOK_SECRET;
    use sluice_store::rotation::MAX_OLDER;
    let r = room().await;
    let owner = r.hook.to_string();
    let rotate = async |n: u8, until, now| {
        let secret = Secret::new(vec![n; 8]);
        r.store
            .rotate_hook_secret(r.org, r.hook, secret, until, now)
            .await
            .unwrap()
    };
    assert!(
        rotate(1, later(10), NOW).await.is_empty(),
        "there was none before"
    );
    let older = rotate(2, later(10), NOW).await;
    assert_eq!((older.len(), older[0].until), (1, later(10)));
    let read = async |field: &str| {
        let found = r.store.get_secret(r.org, &owner, field).await.unwrap();
        found.map(|secret| secret.expose()[0])
    };
    assert_eq!(
        (read(HOOK_SECRET).await, read(&older[0].field).await),
        (Some(2), Some(1))
    );
    r.store.drop_older_secrets(r.org, r.hook, later(9)).await.unwrap();
    assert_eq!(read(&older[0].field).await, Some(1));
    r.store
        .drop_older_secrets(r.org, r.hook, later(10))
        .await
        .unwrap();
    assert_eq!(read(&older[0].field).await, None);
    for n in 3..9 {
        assert!(rotate(n, later(20), NOW).await.len() <= MAX_OLDER);
    }
    let left = rotate(9, NOW, NOW).await;
    assert!(
        left.is_empty(),
        "without an overlap none is valid beside the newest"
    );
    assert_eq!(read(HOOK_SECRET).await, Some(9));
}

#[tokio::test]
async fn a_secret_is_learned_once() {
    let r = Arc::new(room().await);
    let tasks: Vec<_> = (0..20)
        .map(|n: u8| {
            let r = r.clone();
            tokio::spawn(async move {
                let secret = Secret::new(vec![n; 8]);
                r.store
                    .put_first_secret(r.org, "hok", "f", secret, NOW)
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut kept = 0;
    for task in tasks {
        kept += usize::from(task.await.unwrap());
    }
    assert_eq!(kept, 1);
}
