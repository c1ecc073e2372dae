//! Certificates and keys: fetched once however many need them, not at all for what can be refused without, seldom for what
//! is forged, and again after the vendor failed.

use serde_json::{Value, json};

use super::{Row, World, recipe, webhook};
use crate::server::http;

const PAYPAL: &str = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77";

fn paypal(world: &World) -> (String, Row) {
    let connection = world.connect("paypal", &webhook("events", &recipe("PayPal")));
    let hook = world.hook(&connection, "events", Some("WH-1"));
    let rows = world.signed(&vec![hook.clone(); 72]);
    let row = rows
        .into_iter()
        .find(|row| row.system == "PayPal")
        .expect("its row");
    (hook, row)
}

fn with(row: &Row, name: &str, value: &str) -> Row {
    let mut row = row.clone();
    for header in &mut row.headers {
        if header.0 == name {
            value.clone_into(&mut header.1);
        }
    }
    row
}

#[test]
fn a_certificate_is_fetched_once_and_forged_webhooks_fetch_little() {
    let world = World::start();
    let (hook, row) = paypal(&world);
    let target = row.target(&hook);
    let send = |row: &Row| world.send("POST", &target, &row.headers, &row.body);

    // What can be refused without the vendor's key fetches nothing.
    let stale = with(&row, "paypal-transmission-time", "2020-01-01T00:00:00Z");
    assert_eq!(send(&stale).code(), "webhook.refused");
    let elsewhere = with(
        &row,
        "paypal-cert-url",
        "https://api.sandbox.paypal.com.evil.example/v1/notifications/certs/CERT-1",
    );
    assert_eq!(send(&elsewhere).code(), "webhook.refused");
    assert_eq!(world.vendors.get("counts"), json!({}), "nobody was asked");

    // The vendor fails: its webhook is to come again, and the vendor is left alone for a moment.
    world.publish(PAYPAL, row.fetched.as_deref().expect("a certificate"));
    world.vendors.post("fail", &json!({"times": 8}));
    let answer = send(&row);
    assert_eq!(
        (answer.status, answer.code()),
        (503, "webhook.unavailable".to_owned())
    );
    let asked = world.asked(PAYPAL);
    for _ in 0..20 {
        assert_eq!(send(&row).status, 503);
    }
    assert_eq!(
        world.asked(PAYPAL),
        asked,
        "what failed is not asked for again at once"
    );
    world.vendors.post("fail", &json!({"times": 0}));

    // Another hook, another server, so to speak: its vendor is well.
    let other = World::start();
    let (hook, row) = paypal(&other);
    let target = row.target(&hook);
    other.publish(PAYPAL, row.fetched.as_deref().expect("a certificate"));
    let address = other.api().address;
    let headers: Vec<(&str, &str)> = row
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let answer = http::request(address, "POST", &target, &headers, &row.body).expect("an answer");
                assert_eq!(answer.status, 200, "{}", answer.text());
            });
        }
    });
    assert_eq!(other.asked(PAYPAL), 1, "sixteen at once fetch it once");
    assert_eq!(other.receipts(&hook).len(), 1);
    for number in 0..200 {
        let forged = with(
            &row,
            "paypal-cert-url",
            &format!("https://api.sandbox.paypal.com/v1/notifications/certs/CERT-{number}"),
        );
        let answer = other.send("POST", &target, &forged.headers, &forged.body);
        assert!([401, 503].contains(&answer.status), "{}", answer.text());
    }
    let counts = other.vendors.get("counts");
    let asked: u64 = counts
        .as_object()
        .expect("counts")
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert!(
        asked <= 25,
        "{asked} requests to the vendor for 200 forged webhooks"
    );
    let fresh = other.send("POST", &target, &row.headers, &row.body);
    assert_eq!(
        fresh.status,
        200,
        "what is genuine is not held up: {}",
        fresh.text()
    );
}

/// A certificate that nobody trusts vouches for nothing, be the rest right.
#[test]
fn a_certificate_needs_an_authority() {
    let world = World::start();
    let (hook, row) = paypal(&world);
    let untrusted = world.vendors.get("untrusted")["certificate"]
        .as_str()
        .expect("a certificate")
        .to_owned();
    world.publish(PAYPAL, &untrusted);
    let answer = world.send("POST", &row.target(&hook), &row.headers, &row.body);
    assert_eq!(answer.code(), "webhook.refused", "{}", answer.text());
    assert_eq!(world.asked(PAYPAL), 1);
    assert!(world.receipts(&hook).is_empty());
}
