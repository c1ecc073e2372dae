//! Tokens that end: refreshed ahead of their end or at the vendor's refusal, once, while work goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::World;
use crate::github;
use crate::server::{Answer, wait_for};

/// `count` actions at once, each tried again where the server says that it is busy.
fn at_once(world: &World, connection: &str, count: usize) -> Vec<Answer> {
    let path = format!("/api/v1/connections/{connection}/actions/whoami");
    let started = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let (api, path, started) = (world.api(), path.clone(), Arc::clone(&started));
            std::thread::spawn(move || {
                started.fetch_add(1, Ordering::SeqCst);
                while started.load(Ordering::SeqCst) < count {
                    std::thread::yield_now();
                }
                wait_for("a place among the calls", || {
                    let answer = api.try_post(&path, &json!({}));
                    let busy = matches!(
                        answer.code().as_str(),
                        "guest.saturated" | "server.busy" | "egress.saturated"
                    );
                    (!busy).then_some(answer)
                })
            })
        })
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().expect("an answer"))
        .collect()
}

#[test]
fn two_hundred_ask_and_one_refresh_answers() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    // The token is one that has ended at the vendor, whatever our clock says.
    world.idp.post("expire", &json!({}));
    world.idp.post("reset", &json!({}));
    for answer in at_once(&world, &connection, 200) {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(world.idp.count("refresh_requests"), 1);
    assert_eq!(world.idp.count("refreshes"), 1);
    assert_eq!(world.idp.count("reuse_detections"), 0);
    assert_eq!(world.version(&connection), 2);

    // And by our clock: it ends at once, so that every request finds it due.
    world.idp.post("lifetimes", &json!({"access_token_s": 1}));
    world.refreshes(&connection);
    world.idp.post("lifetimes", &json!({"access_token_s": 3600}));
    let ends = world.show(&connection)["credential"]["expires"].clone();
    wait_for("its end", || {
        let clock = world.act(&connection, "whoami", &json!({}));
        assert_eq!(clock.status, 200, "{}", clock.text());
        (world.show(&connection)["credential"]["expires"] != ends).then_some(())
    });
    world.idp.post("reset", &json!({}));
    world.idp.post("expire", &json!({}));
    for answer in at_once(&world, &connection, 50) {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(world.idp.count("refresh_requests"), 1);
    assert_eq!(world.idp.count("reuse_detections"), 0);
}

#[test]
fn a_refused_token_is_refreshed_and_the_request_repeated_once() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    world.idp.post("expire", &json!({}));
    world.idp.post("reset", &json!({}));
    assert_eq!(world.whoami(&connection), "mona");
    let counts = world.idp.get("counts");
    assert_eq!(
        (
            &counts["me"],
            &counts["unauthorized"],
            &counts["refresh_requests"]
        ),
        (&json!(2), &json!(1), &json!(1)),
        "{counts}"
    );
    assert_eq!(world.show(&connection)["state"], "active");

    // A vendor that refuses the new token as well is not asked a third time.
    world.idp.post("reset", &json!({}));
    world.fault(&json!({"endpoint": "me", "kind": "401", "times": 10}));
    let refused = world.act(&connection, "whoami", &json!({}));
    assert_ne!(refused.status, 200, "{}", refused.text());
    let counts = world.idp.get("counts");
    assert!(counts["faults"].as_u64() <= Some(2), "{counts}");
    assert!(counts["refresh_requests"].as_u64() <= Some(1), "{counts}");
}

/// Every token of a sync of many pages ends under it, again and again; nothing is lost, nothing is there twice.
#[test]
fn a_sync_goes_on_with_new_tokens() {
    let world = World::with(&["--items", "2000"], Vec::new());
    let connection = world.connected("work", "mona");
    world.idp.post("reset", &json!({}));
    let run = github::start_sync(&world.api(), &connection, &["items"], "full").remove(0);
    // Pages that were given; and each token lives for some of them, or the new one would end before it is sent.
    let given = || {
        let counts = world.idp.get("counts");
        let count = |name: &str| counts[name].as_u64().expect("a count");
        count("items") - count("unauthorized")
    };
    for round in 1..=4 {
        let before = given();
        wait_for("some pages", || (given() >= before + 3).then_some(()));
        world.idp.post("expire", &json!({}));
        wait_for("a new token", || {
            (world.idp.count("refreshes") >= round).then_some(())
        });
    }
    let run = github::ended(&world.api(), &run);
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(run["counts"]["added"], 2000, "{run}");
    assert_eq!(github::held(&world.api(), &connection, "items"), 2000);
    let counts = world.idp.get("counts");
    let refreshes = counts["refreshes"].as_u64().expect("a count");
    assert_eq!(refreshes, 4, "{counts}");
    assert_eq!(counts["reuse_detections"], 0, "{counts}");
    // Each refusal is one page asked for twice.
    assert!(counts["unauthorized"].as_u64() <= Some(refreshes), "{counts}");
    assert_eq!(world.show(&connection)["state"], "active");
    assert_eq!(world.told(&connection, "needs-reauth"), 0);
}

/// Nobody asks for anything; a worker refreshes ahead of the end.
#[test]
fn a_worker_refreshes_ahead_of_the_end() {
    let world = World::with(&["--access-token-s", "4"], Vec::new());
    let connection = world.connected("work", "mona");
    let first: Value = world.show(&connection)["credential"].clone();
    wait_for("a worker to refresh", || {
        (world.version(&connection) >= 3).then_some(())
    });
    let counts = world.idp.get("counts");
    assert_eq!(counts["reuse_detections"], 0, "{counts}");
    assert_eq!(counts["unauthorized"], 0, "{counts}");
    let later = world.show(&connection)["credential"].clone();
    assert!(later["expires"].as_str() > first["expires"].as_str(), "{later}");
    assert_eq!(world.show(&connection)["state"], "active");
}

/// While a refresh is under way the old token serves, as long as it lives.
#[test]
fn nobody_waits_for_a_refresh_while_the_old_token_lives() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    world.fault(&json!({"kind": "hold", "grant_type": "refresh_token"}));
    let api = world.api();
    let path = format!("/api/v1/connections/{connection}/refresh");
    let refreshing = std::thread::spawn(move || api.try_post(&path, &json!({})));
    wait_for("the refresh to be at the vendor", || {
        (world.idp.count("held") == 1).then_some(())
    });
    assert_eq!(world.whoami(&connection), "mona");
    assert_eq!(world.version(&connection), 1);
    world.idp.post("release", &json!({}));
    let refreshed = refreshing.join().expect("an answer");
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
    assert_eq!(world.version(&connection), 2);
    assert_eq!(world.idp.count("refresh_requests"), 1);
}
