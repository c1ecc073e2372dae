//! One signed request for each row: taken, with one bit changed refused like what does not exist, and twice the same.

use serde_json::json;
use sluice_model::signature::{Needs, Request};

use super::{PUBLIC, World, comparable, read, recipe, webhook};
use crate::server::wait_for;

/// A manifest has at most fifty webhooks.
const OF_ONE: usize = 40;

#[test]
fn every_vendor_is_taken_once_and_nobody_else() {
    let world = World::start();
    let api = world.api();
    let rows = world.vendors.get("secrets")["rows"]
        .as_array()
        .expect("rows")
        .clone();
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().expect(name).to_owned();
    let mut hooks = Vec::new();
    for (number, part) in rows.chunks(OF_ONE).enumerate() {
        let webhooks: String = part
            .iter()
            .enumerate()
            .map(|(at, row)| webhook(&format!("w{at}"), &recipe(&text(row, "system"))))
            .collect();
        let connection = world.connect(&format!("vendors{number}"), &webhooks);
        for (at, row) in part.iter().enumerate() {
            hooks.push(world.hook(&connection, &format!("w{at}"), Some(&text(row, "secret"))));
        }
    }
    let signed = world.signed(&hooks);
    assert!(signed.len() >= 70, "only {} rows", signed.len());
    for (row, hook) in signed.iter().zip(&hooks) {
        let Some(answer) = &row.fetched else { continue };
        let request = Request {
            method: &row.method,
            url: &row.url,
            headers: &row.headers,
            body: &row.body,
        };
        match read("one", &recipe(&row.system)).recipe.needs(&request) {
            Ok(
                Needs::Certificate { address, .. }
                | Needs::PublicKey { address }
                | Needs::Keys { address, .. },
            ) => {
                world.publish(&address, answer);
            }
            other => panic!("{} at {hook} needs {other:?}", row.system),
        }
    }
    let unknown = world.send("POST", "/hooks/hok_00000000000000000000000000", &[], b"{}");
    let unknown = comparable(&unknown);
    assert_eq!((unknown.0, &unknown.2["code"]), (401, &json!("webhook.refused")));
    for (row, hook) in signed.iter().zip(&hooks) {
        let target = row.target(hook);
        let flipped = row.flipped();
        let answer = world.send(&row.method, &target, &flipped.headers, &flipped.body);
        assert_eq!(comparable(&answer), unknown, "{} with a bit flipped", row.system);
        let answer = world.send(&row.method, &target, &row.headers, &row.body);
        assert_eq!(
            answer.status,
            200,
            "{}: {}\n{}",
            row.system,
            answer.text(),
            world.server.log_tail()
        );
        let first = answer.json();
        assert_eq!(first["duplicate"], false, "{}", row.system);
        let again = world.send(&row.method, &target, &row.headers, &row.body).json();
        assert_eq!(
            (&again["duplicate"], &again["receipt"]),
            (&json!(true), &first["receipt"]),
            "{}",
            row.system
        );
        if row.url.starts_with(PUBLIC) && row.method == "POST" {
            let answer = world.send("GET", &target, &[], b"");
            assert!(
                answer.status == 401,
                "{} asked without proof: {}",
                row.system,
                answer.text()
            );
        }
    }
    let kinds = ["vendors0.thing.changed", "vendors1.thing.changed"];
    wait_for("every webhook to be handled", || {
        let events: usize = kinds
            .iter()
            .map(|kind| api.all(&format!("/api/v1/events?kind={kind}")).len())
            .sum();
        (events >= signed.len()).then_some(())
    });
    let events: usize = kinds
        .iter()
        .map(|kind| api.all(&format!("/api/v1/events?kind={kind}")).len())
        .sum();
    assert_eq!(events, signed.len(), "each has one effect");
    for hook in &hooks {
        assert_eq!(world.receipts(hook).len(), 1, "{hook}");
    }
}

/// A token that may be seen once: with another body it is a replay, and its owner's delivery again is a delivery again.
#[test]
fn a_one_time_token_is_used_once() {
    let world = World::start();
    let connection = world.connect("mailgun", &webhook("events", &recipe("Mailgun")));
    let hook = world.hook(&connection, "events", Some("a made up secret"));
    let rows = world.signed(&vec![hook.clone(); 72]);
    let row = rows.iter().find(|row| row.system == "Mailgun").expect("its row");
    let target = row.target(&hook);
    let other = String::from_utf8(row.body.clone())
        .expect("text")
        .replace("opened", "failed");
    let first = world.send("POST", &target, &row.headers, &row.body).json();
    assert_eq!(first["duplicate"], false, "{first}");
    let replayed = world.send("POST", &target, &row.headers, other.as_bytes());
    assert_eq!(
        replayed.code(),
        "webhook.refused",
        "the rest of the body is not signed"
    );
    let again = world.send("POST", &target, &row.headers, &row.body).json();
    assert_eq!(
        (&again["duplicate"], &again["receipt"]),
        (&json!(true), &first["receipt"])
    );
    assert_eq!(world.receipts(&hook).len(), 1);
}
