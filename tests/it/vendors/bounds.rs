//! Sizes and orders as they are promised: the largest body that is taken, kept whole over a kill and given to the connector; what is
//! about the same handled as it came; several secrets while one is rotated.

use serde_json::{Value, json};
use sluice_model::Timestamp;
use sluice_model::secret::Secret;
use sluice_model::signature::Request;

use super::{World, now_s, read, recipe, webhook};
use crate::server::{Answer, http, wait_for};

/// `hooks.body_bytes`, as it is if nobody sets it.
const LARGEST: usize = 25 << 20;

fn signed(secret: &str, body: &[u8]) -> Vec<(String, String)> {
    let request = Request {
        method: "POST",
        url: "",
        headers: &[],
        body,
    };
    let now = Timestamp::from_millis(now_s() * 1000);
    let recipe = read("one", &recipe("GitHub")).recipe;
    recipe.sign(&request, &Secret::new(secret.as_bytes().to_vec()), now)
}

/// A genuine body of just a mebibyte, of one byte more (which waits on disk until it is whole) and of the largest size; one byte more
/// is refused, and nothing is kept of it. What was acknowledged is there whole after a kill.
#[test]
fn bodies_of_every_size_that_is_promised_are_kept_whole() {
    const KEY: &str = "a made up secret";
    let mut world = World::start();
    let connection = world.connect("large", &webhook("events", &recipe("GitHub")));
    let hook = world.hook(&connection, "events", Some(KEY));
    let path = format!("/hooks/{hook}");
    let body = |bytes: usize| {
        let mut body = b"{\"text\":\"".to_vec();
        body.extend((0..bytes - 11).map(|at| b'a' + u8::try_from(at % 23).expect("small")));
        body.extend(b"\"}");
        body
    };
    let mut kept = Vec::new();
    for bytes in [1 << 20, (1 << 20) + 1, 7 << 20, LARGEST] {
        let body = body(bytes);
        assert_eq!(body.len(), bytes);
        let answer = world.send("POST", &path, &signed(KEY, &body), &body);
        assert_eq!(answer.status, 200, "{bytes} bytes: {}", answer.text());
        kept.push((answer.json()["receipt"].clone(), body));
    }
    let over = body(LARGEST + 1);
    let answer = world.send("POST", &path, &signed(KEY, &over), &over);
    assert_eq!(answer.status, 413, "{}", answer.text());
    // Damaged at its very end: it was read whole, and nothing is kept.
    let mut damaged = body(LARGEST);
    let headers = signed(KEY, &damaged);
    let last = damaged.len() - 3;
    damaged[last] ^= 1;
    assert_eq!(world.send("POST", &path, &headers, &damaged).status, 401);
    world.server.restart();
    wait_for("all of them to be handled", || {
        let receipts = world.receipts(&hook);
        let handled = receipts
            .iter()
            .filter(|receipt| receipt["state"] == "handled")
            .count();
        (handled == kept.len()).then_some(())
    });
    assert_eq!(world.receipts(&hook).len(), kept.len());
    for (receipt, body) in kept {
        let path = format!("/api/v1/receipts/{}", receipt.as_str().expect("an id"));
        let found = world.api().get(&path);
        assert_eq!(found["receipt"]["body_bytes"], json!(body.len()));
        let there = found["request"]["body"].as_str().expect("text").as_bytes();
        assert!(there == body, "{} bytes are others", body.len());
    }
}

/// Six resources at once, twenty deliveries of each: the events of each are in the order in which its deliveries came.
#[test]
fn what_is_about_the_same_is_handled_as_it_came() {
    const KEY: &str = "a made up secret";
    let world = World::start();
    let webhook = webhook("events", &recipe("GitHub"));
    let webhook = webhook.replace(
        "dedupe = \"body\"",
        "dedupe = \"body\"\norder = { pointer = \"/about\" }",
    );
    let connection = world.connect("ordered", &webhook);
    let hook = world.hook(&connection, "events", Some(KEY));
    let came: Vec<Vec<String>> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..6)
            .map(|about| {
                let (address, path) = (world.api().address, format!("/hooks/{hook}"));
                scope.spawn(move || {
                    let one = |number: u32| {
                        let body = json!({"about": format!("door {about}"), "number": number}).to_string();
                        let headers = signed(KEY, body.as_bytes());
                        let headers: Vec<(&str, &str)> =
                            headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                        let answer = http::request(address, "POST", &path, &headers, body.as_bytes())
                            .expect("an answer");
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        answer.json()["receipt"].as_str().expect("an id").to_owned()
                    };
                    (0..20).map(one).collect()
                })
            })
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().expect("a sender"))
            .collect()
    });
    let events = wait_for("all of them to be handled", || {
        let events = world.api().feed("/api/v1/events?kind=ordered.thing.changed");
        (events.len() == 120).then_some(events)
    });
    let order: Vec<&str> = events
        .iter()
        .map(|event| event["source_id"].as_str().expect("the receipt"))
        .collect();
    let place = |receipt: &String| {
        order
            .iter()
            .position(|other| other == receipt)
            .expect("its event")
    };
    for receipts in came {
        let places: Vec<usize> = receipts.iter().map(place).collect();
        assert!(places.is_sorted(), "{places:?}");
    }
}

#[test]
fn two_secrets_are_good_while_one_is_rotated() {
    let (old, new, newest) = ("the old secret", "the new secret", "the newest secret");
    let world = World::start();
    let connection = world.connect("rotated", &webhook("events", &recipe("GitHub")));
    let hook = world.hook(&connection, "events", Some(old));
    let mut number = 0;
    let mut send = |secret: &str| -> Answer {
        number += 1;
        let body = json!({ "n": number }).to_string();
        let headers = signed(secret, body.as_bytes());
        world.send("POST", &format!("/hooks/{hook}"), &headers, body.as_bytes())
    };
    let rotate = |asked: &Value| world.api().post(&format!("/api/v1/hooks/{hook}/rotate"), asked);
    assert_eq!((send(old).status, send(new).status), (200, 401));
    let rotated = rotate(&json!({"secret": new}));
    assert_eq!(rotated["secret"], Value::Null, "it was entered");
    assert_eq!(
        rotated["older_until"].as_array().map(Vec::len),
        Some(1),
        "{rotated}"
    );
    assert_eq!((send(old).status, send(new).status), (200, 200));
    // Rotated again before that was over, and now with a short time for all that are older.
    rotate(&json!({"secret": newest, "overlap_s": 3}));
    assert_eq!((send(new).status, send(newest).status), (200, 200));
    wait_for("the old ones to end", || {
        let refused = send(old).status == 401 && send(new).status == 401;
        refused.then_some(())
    });
    assert_eq!(send(newest).status, 200);
    let shown = world.api().get(&format!("/api/v1/hooks/{hook}"));
    assert_eq!(shown["older_until"], Value::Null, "{shown}");
    // One that is made is shown this once, and without an overlap the one before is over at once.
    let made = world
        .server
        .cli(&["--json", "hook", "rotate", &hook, "--overlap", "0"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    let made = made["secret"].as_str().expect("a secret").to_owned();
    assert_eq!((send(newest).status, send(&made).status), (401, 200));
    let shown = world.api().get(&format!("/api/v1/hooks/{hook}"));
    assert_eq!(shown["secret"], Value::Null);
    let events = world.api().feed("/api/v1/events?kind=sluice.hook.rotated");
    assert_eq!(events.len(), 3);
    assert!(!format!("{events:?}").contains(&made));
    let bad = json!({"secret": "short"});
    let bad = world
        .api()
        .try_post(&format!("/api/v1/hooks/{hook}/rotate"), &bad);
    assert_eq!(bad.code(), "hook.secret");
    let none = world
        .api()
        .try_post("/api/v1/hooks/hok_00000000000000000000000000/rotate", &json!({}));
    assert_eq!(none.code(), "hook.not_found");
}
