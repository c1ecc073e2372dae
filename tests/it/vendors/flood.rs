//! Floods of forged webhooks beside good ones, sources, large bodies and codings.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

use super::{World, comparable, webhook};
use crate::server::{Answer, http, wait_for};

const SIGNED: &str = r#"
[webhooks.signature]
scheme = "hmac"
algorithm = "sha256"
encoding = "hex"
header = "x-signature"
"#;

fn sign(world: &World, hook: &str, body: &[u8]) -> Vec<(String, String)> {
    let answer = world
        .api()
        .post_bytes(&format!("/api/v1/hooks/{hook}/sign"), body)
        .json();
    let part = |header: &serde_json::Value, name: &str| header[name].as_str().expect(name).to_owned();
    let headers = answer["headers"].as_array().expect("headers");
    headers
        .iter()
        .map(|header| (part(header, "name"), part(header, "value")))
        .collect()
}

/// Forged ones as fast as four senders can, from the very address that the good ones come from, half of them large: they take the good
/// ones no turn, are kept nowhere, and leave no memory taken.
#[test]
fn good_webhooks_go_on_beside_a_flood_of_forged_ones() {
    let world = World::start();
    let connection = world.connect("flooded", &webhook("events", SIGNED));
    let (hook, other) = (
        world.hook(&connection, "events", None),
        world.hook(&connection, "events", None),
    );
    let address = world.api().address;
    let (over, forged, turned_away) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let first = world.send(
        "POST",
        &format!("/hooks/{hook}"),
        &sign(&world, &hook, b"{}"),
        b"{}",
    );
    assert_eq!(first.status, 200, "{}", first.text());
    let bodies: Vec<String> = (0..200).map(|number| format!("{{\"n\":{number}}}")).collect();
    let headers: Vec<_> = bodies
        .iter()
        .map(|body| sign(&world, &hook, body.as_bytes()))
        .collect();
    let before = world.server.resident_bytes();
    let bodies_of_forged = [b"{}".to_vec(), vec![b'x'; 64 << 10]];
    let slowest = std::thread::scope(|scope| {
        for number in 0..4 {
            let body = &bodies_of_forged[number % 2];
            let (over, forged, turned_away, other) = (&over, &forged, &turned_away, &other);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let headers = [("x-signature", "00")];
                    let Ok(answer) =
                        http::request(address, "POST", &format!("/hooks/{other}"), &headers, body)
                    else {
                        continue;
                    };
                    match answer.status {
                        401 => forged.fetch_add(1, Ordering::Relaxed),
                        429 => turned_away.fetch_add(1, Ordering::Relaxed),
                        status => panic!("{status}: {}", answer.text()),
                    };
                }
            });
        }
        wait_for("the flood to be noticed", || {
            (turned_away.load(Ordering::Relaxed) > 100).then_some(())
        });
        let mut slowest = Duration::ZERO;
        for (body, headers) in bodies.iter().zip(&headers) {
            let began = Instant::now();
            let answer = world.send("POST", &format!("/hooks/{hook}"), headers, body.as_bytes());
            slowest = slowest.max(began.elapsed());
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        over.store(true, Ordering::Relaxed);
        slowest
    });
    println!(
        "{} forged looked at, {} turned away, the slowest of 200 good ones took {slowest:?}",
        forged.load(Ordering::Relaxed),
        turned_away.load(Ordering::Relaxed)
    );
    let grown = world.server.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    assert_eq!(world.receipts(&hook).len(), 201);
    wait_for("every good one to be handled", || {
        let receipts = world.receipts(&hook);
        receipts
            .iter()
            .all(|receipt| receipt["state"] == "handled")
            .then_some(())
    });
    assert!(world.receipts(&other).is_empty());
    let known = world.send("POST", &format!("/hooks/{other}"), &[], b"{}");
    let nobody = world.send("POST", "/hooks/hok_00000000000000000000000000", &[], b"{}");
    if known.status == nobody.status {
        assert_eq!(
            comparable(&known),
            comparable(&nobody),
            "a flood tells nobody what exists"
        );
    }
}

#[test]
fn a_webhook_from_elsewhere_is_refused() {
    let world = World::with(vec![(
        "SLUICE_SERVER__TRUSTED_PROXIES",
        "[\"127.0.0.0/8\"]".to_owned(),
    )]);
    let ranges = format!("sources = [\"192.0.2.0/24\"]\n{SIGNED}");
    let connection = world.connect("ranged", &webhook("events", &ranges));
    let hook = world.hook(&connection, "events", None);
    let send = |from: &str, body: &str| -> Answer {
        let mut headers = sign(&world, &hook, body.as_bytes());
        headers.push(("x-forwarded-for".to_owned(), from.to_owned()));
        world.send("POST", &format!("/hooks/{hook}"), &headers, body.as_bytes())
    };
    let unknown = comparable(&world.send("POST", "/hooks/hok_00000000000000000000000000", &[], b"{}"));
    assert_eq!(send("192.0.2.7", "{\"n\":1}").status, 200);
    for from in ["198.51.100.1", "192.0.2.7, 198.51.100.1", "", "192.0.2.7, nobody"] {
        assert_eq!(comparable(&send(from, "{\"n\":2}")), unknown, "{from}");
    }
    assert_eq!(world.receipts(&hook).len(), 1);
}

#[test]
fn bodies_are_signed_as_they_are_on_the_wire_and_read_inflated() {
    let world = World::start();
    let connection = world.connect(
        "packed",
        &webhook("events", SIGNED).replace("\"body\"", "{ pointer = \"/id\" }"),
    );
    let hook = world.hook(&connection, "events", None);
    let gzip = |text: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("pack");
        encoder.finish().expect("pack")
    };
    let send = |body: &[u8]| {
        let mut headers = sign(&world, &hook, body);
        headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
        world.send("POST", &format!("/hooks/{hook}"), &headers, body)
    };
    assert_eq!(send(&gzip(b"{\"id\":\"evt_1\"}")).status, 200);
    // The same delivery packed otherwise, and a bomb, which is kept as it came and never read.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(b"{\"id\":\"evt_1\"}").expect("pack");
    let again = send(&encoder.finish().expect("pack"));
    assert_eq!(again.json()["duplicate"], true, "{}", again.text());
    let bomb = gzip(&vec![b' '; 40 << 20]);
    assert_eq!(send(&bomb).status, 200);
    let receipts = wait_for("both to be done with", || {
        let receipts = world.receipts(&hook);
        let over = |receipt: &serde_json::Value| {
            ["handled", "dead"].contains(&receipt["state"].as_str().unwrap_or_default())
        };
        receipts.iter().all(over).then_some(receipts)
    });
    let states: Vec<_> = receipts
        .iter()
        .map(|receipt| (receipt["state"].as_str(), receipt["error"]["code"].as_str()))
        .collect();
    assert_eq!(
        states,
        [(Some("dead"), Some("webhook.coding")), (Some("handled"), None)]
    );
    assert_eq!(receipts[1]["dedupe_key"], "id:evt_1");
}
