//! PayPal: a webhook whose id is its secret, events asked for again before they are believed, and time read in steps.

use serde_json::{Value, json};

use super::World;
use crate::server::wait_for;

fn connected(world: &World, since: &str) -> String {
    let api = world.api();
    let app = json!({"parts": {"client_id": "a-made-up-app", "client_secret": "a made up secret"}});
    api.put("/api/v1/apps/paypal/oauth", &app);
    let config = json!({"host": "api-m.sandbox.paypal.com", "since": since});
    let asked = json!({"name": "paypal", "connector": "paypal", "auth": "oauth", "config": config});
    let made = api.post("/api/v1/connections", &asked);
    let id = made["id"].as_str().expect("an id").to_owned();
    // Client credentials need nobody.
    let begun = api.post(&format!("/api/v1/connections/{id}/authorizations"), &json!({}));
    assert_eq!(begun["kind"], "done", "{begun}");
    assert_eq!(begun["account"]["id"], "WDJJHEBZ4X2LY", "{begun}");
    id
}

fn fixture(name: &str) -> Value {
    let file = format!(
        "{}/../plugins/paypal/fixtures/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&std::fs::read(file).expect("a fixture")).expect("JSON")
}

#[test]
fn an_event_is_paypals_own_word_and_not_the_bodys() {
    let world = World::start("paypal");
    let connection = connected(&world, "2026-01-01");
    let hook = world.registered(&connection, &json!({}));
    assert_eq!(
        world.seen()["webhooks"],
        json!([format!("https://hooks.example.com/hooks/{hook}")])
    );
    let capture = world.sign(&json!({"event": fixture("event-capture")}));
    world.deliver(&hook, &capture);
    assert_eq!(world.deliver(&hook, &capture).json()["duplicate"], true);
    let events = world.events("paypal.payment.capture.completed", 1);
    assert_eq!(events[0]["data"]["resource"]["status"], "COMPLETED", "{events:?}");
    world.deliver(&hook, &world.sign(&json!({"event": fixture("event-invoice")})));
    world.deliver(&hook, &world.sign(&json!({"event": fixture("event-dispute")})));
    let invoices = world.records(&connection, "invoices", 1);
    assert_eq!(invoices[0]["data"]["status"], "PAID", "{invoices:?}");
    world.records(&connection, "disputes", 1);

    // Signed for it all the same, and unknown to PayPal: nothing is believed of it.
    let mut made_up = fixture("event-capture");
    made_up["id"] = json!("WH-MADEUP");
    world.deliver(&hook, &world.sign(&json!({"event": made_up, "unknown": true})));
    wait_for("it is tried and put off", || {
        let receipts = world.receipts(&hook);
        receipts
            .iter()
            .any(|receipt| receipt["state"] == "retry-at")
            .then_some(())
    });
    world.events("paypal.payment.capture.completed", 1);

    let next = world.sign(&json!({"event": fixture("event-capture")}));
    world.refuses(&hook, &next.altered("19.00", "91.00"));
    world.refuses(
        &hook,
        &next.with_header(
            "paypal-cert-url",
            "https://api.sandbox.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        ),
    );
    world.refuses(&hook, &next.with_header("paypal-auth-algo", "none"));
    // Another app's webhook has another id.
    world.refuses(
        &hook,
        &world.sign(&json!({"event": fixture("event-capture"), "webhook": "0EH40505U7160970P"})),
    );
    world.unregister(&hook);
    assert_eq!(world.seen()["webhooks"], json!([]));
}

#[test]
fn time_is_read_in_steps_and_money_goes_back_once() {
    let world = World::start("paypal");
    let connection = connected(&world, "2026-10-25");
    let counts = world.sync(&connection, "transactions", "incremental");
    assert!(counts["added"].as_u64() > Some(20), "{counts}");
    assert_eq!(world.sync(&connection, "transactions", "incremental")["added"], 0);
    assert_eq!(world.sync(&connection, "invoices", "full")["added"], 6);
    assert_eq!(world.sync(&connection, "disputes", "incremental")["added"], 1);
    let refunded = world.act(
        &connection,
        "refund_capture",
        &json!({"capture": "2GG279541U471931P"}),
    );
    assert_eq!(refunded["status"], "COMPLETED");
    assert_eq!(world.seen()["refunds"], 1);
    assert_eq!(world.seen()["tokens"], 1);
}
