//! Amazon SES and SNS: a topic's subscription made and confirmed, bounces, complaints and deliveries as events and records.

use serde_json::{Value, json};

use super::World;
use crate::server::wait_for;

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:mail";

fn connected(world: &World) -> String {
    let key = json!({"access_key_id": "AKIAMADEUP", "secret_access_key": "a made up secret"});
    let config = json!({"region": "eu-west-1", "ses": "email.eu-west-1.amazonaws.com", "sns": "sns.eu-west-1.amazonaws.com", "topic": TOPIC});
    world.connect(&json!({"auth": "key", "secret": key, "config": config}))
}

fn give_topics_key(world: &World, connection: &str) {
    let key = json!({"access_key_id": "AKIAMADEUP2", "secret_access_key": "another made up secret"});
    let path = format!("/api/v1/connections/{connection}/secret");
    let body = json!({"auth": "topics", "secret": key}).to_string();
    let given = world
        .api()
        .send("PUT", &path, "application/json", body.as_bytes());
    assert_eq!(given.status, 204, "{}", given.text());
}

fn fixture(name: &str) -> String {
    let file = format!(
        "{}/../plugins/amazon/fixtures/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(file).expect("a fixture")
}

#[test]
fn what_ses_tells_by_sns_is_events_and_records() {
    let world = World::start("amazon");
    let connection = connected(&world);
    // Without a key for SNS, subscribing is a person's.
    let api = world.api();
    let refused = api.try_post("/api/v1/hooks", &json!({ "connection": connection }));
    assert_eq!(
        refused.code(),
        "hook.secret",
        "the topic has to be told: {}",
        refused.text()
    );
    let by_hand = api.post(
        "/api/v1/hooks",
        &json!({"connection": connection, "secret": TOPIC}),
    );
    world.when(by_hand["id"].as_str().expect("an id"), "by-hand");
    give_topics_key(&world, &connection);
    let hook = world.registered(&connection, &json!({ "secret": TOPIC }));
    wait_for("SNS sees its confirmation", || {
        (world.seen()["confirmed"] == 1).then_some(())
    });
    assert_eq!(
        world.seen()["subscriptions"],
        json!([format!("https://hooks.example.com/hooks/{hook}")])
    );

    let bounce = world.sign(&json!({"id": "m-1", "message": fixture("bounce")}));
    world.deliver(&hook, &bounce);
    // SNS delivers again what it had no answer for.
    assert_eq!(world.deliver(&hook, &bounce).json()["duplicate"], true);
    for (version, name) in [("1", "complaint"), ("2", "delivery")] {
        world.deliver(
            &hook,
            &world.sign(&json!({"version": version, "message": fixture(name)})),
        );
    }
    world.deliver(&hook, &world.sign(&json!({"message": "a door opened"})));
    let events = world.events("amazon.ses.bounce", 1);
    assert_eq!(
        events[0]["data"]["bounce"]["bounceType"], "Permanent",
        "{events:?}"
    );
    world.events("amazon.ses.complaint", 1);
    world.events("amazon.ses.delivery", 1);
    let told = world.events("amazon.sns.notification", 1);
    assert_eq!(told[0]["data"]["message"], "a door opened");
    let records = world.records(&connection, "feedback", 3);
    let of = |event: &str| -> &Value {
        let found = records.iter().find(|record| record["data"]["event"] == event);
        &found.expect("a record")["data"]
    };
    assert_eq!(of("bounce")["recipient"], "jane@example.com");
    assert_eq!(of("delivery")["recipient"], "mary@example.com");
    // A bounce that lasts puts the address on the list, which is read.
    world.records(&connection, "suppressed", 5);

    let forged = world.sign(&json!({"message": fixture("bounce")}));
    world.refuses(&hook, &forged.altered("0100-mail-1", "0100-mail-2"));
    world.refuses(&hook, &forged.altered("sns.eu-west-1", "sns.eu-west-1.evil"));
    let elsewhere = json!({"topic": "arn:aws:sns:eu-west-1:999999999999:mail", "message": fixture("bounce")});
    world.refuses(&hook, &world.sign(&elsewhere));
    world.unregister(&hook);
    assert_eq!(world.seen()["subscriptions"], json!([]));
}

#[test]
fn lists_are_read_and_mail_is_sent_once() {
    let world = World::start("amazon");
    let connection = connected(&world);
    give_topics_key(&world, &connection);
    assert_eq!(world.sync(&connection, "suppressed", "incremental")["added"], 5);
    assert_eq!(world.sync(&connection, "suppressed", "incremental")["added"], 0);
    assert_eq!(world.sync(&connection, "identities", "full")["added"], 1);
    assert_eq!(world.sync(&connection, "topics", "full")["added"], 1);
    let mail = json!({"from": "till@doors.example", "to": ["jane@example.com"], "subject": "A door", "text": "It is open."});
    let sent = world.act(&connection, "send_email", &mail);
    assert_eq!(sent["MessageId"], "0100-1");
    assert_eq!(
        world.seen()["sent"][0]["Destination"]["ToAddresses"],
        json!(["jane@example.com"])
    );
}
