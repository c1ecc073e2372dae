//! Outlook by Microsoft Graph: subscriptions that answer Graph's question, are kept up and made anew, and change tokens that are followed.

use serde_json::{Value, json};

use super::World;
use crate::server::wait_for;

fn connected(world: &World) -> String {
    let api = world.api();
    let app = json!({"parts": {"client_id": "24d3b144-21ae-4080-943f-7067b395b913", "client_secret": "a made up secret"}});
    api.put("/api/v1/apps/microsoft/app", &app);
    let config = json!({"tenant": "doors.example", "user": "mona@doors.example"});
    let asked = json!({"name": "microsoft", "connector": "microsoft", "auth": "app", "config": config});
    let made = api.post("/api/v1/connections", &asked);
    let id = made["id"].as_str().expect("an id").to_owned();
    let begun = api.post(&format!("/api/v1/connections/{id}/authorizations"), &json!({}));
    assert_eq!(begun["kind"], "done", "{begun}\n{}", world.server.log_tail());
    assert_eq!(begun["account"]["name"], "mona@doors.example", "{begun}");
    id
}

#[test]
fn what_changed_is_told_by_subscriptions_and_asked_for() {
    let world = World::start("microsoft");
    let connection = connected(&world);
    assert_eq!(world.sync(&connection, "messages", "incremental")["added"], 7);
    let hook = world.registered(&connection, &json!({}));
    let user = "users/mona@doors.example";
    let all = "created,updated,deleted";
    assert_eq!(
        world.seen()["subscriptions"],
        json!([
            [format!("{user}/events"), all],
            [format!("{user}/mailFolders('inbox')/messages"), all]
        ])
    );

    world
        .vendor
        .post("set", &json!({"read": ["m1"], "remove": ["m2"]}));
    let changes = json!([["Message", "updated", "m1"], ["Message", "deleted", "m2"]]);
    world.deliver(&hook, &world.sign(&json!({ "changes": changes })));
    let events = world.events("microsoft.message.updated", 1);
    assert_eq!(events[0]["data"]["id"], "m1", "{events:?}");
    let records = world.records(&connection, "messages", 6);
    let read = |record: &&Value| record["data"]["id"] == "m1" && record["data"]["isRead"] == true;
    // Graph told no more than what changed; the record is whole all the same.
    let found = records.iter().find(read).expect("the message");
    assert_eq!(found["data"]["subject"], "Message m1");
    world.events("microsoft.message.deleted", 1);
    let shown = world.api().all("/api/v1/events");
    assert!(
        !json!(shown).to_string().contains("clientState"),
        "the secret stays here"
    );

    world.deliver(
        &hook,
        &world.sign(&json!({"lifecycle": "reauthorizationRequired"})),
    );
    world.events("microsoft.subscription.reauthorized", 1);
    assert_eq!(world.seen()["reauthorized"], 1);

    world.refuses(
        &hook,
        &world.sign(&json!({"changes": changes, "state": "guessed"})),
    );
    // Every item has to bear it.
    world.refuses(&hook, &world.sign(&json!({"changes": changes, "bare": true})));
    world.unregister(&hook);
    assert_eq!(world.seen()["subscriptions"], json!([]));
}

#[test]
fn subscriptions_are_kept_up_and_made_anew() {
    let world = World::start("microsoft");
    world.vendor.post("set", &json!({"life_s": 9}));
    let connection = connected(&world);
    let hook = world.registered(&connection, &json!({"events": ["message.created"]}));
    wait_for("it is renewed", || {
        (world.seen()["renewed"].as_u64() > Some(0)).then_some(())
    });
    assert_eq!(world.seen()["made"], 1);
    world.vendor.post("set", &json!({"forget": true, "life_s": 600}));
    wait_for("it is made anew", || (world.seen()["made"] == 2).then_some(()));
    world.when(&hook, "registered");
    world.deliver(
        &hook,
        &world.sign(&json!({"changes": [["Message", "created", "m1"]]})),
    );
    world.events("microsoft.message.created", 1);
}

#[test]
fn calendars_are_read_mail_is_sent_and_an_event_is_created_once() {
    let world = World::start("microsoft");
    let connection = connected(&world);
    let mail = json!({"to": ["jane@example.com"], "subject": "A door", "text": "It is open."});
    world.act(&connection, "send_mail", &mail);
    assert_eq!(world.seen()["sent"][0]["message"]["subject"], "A door");
    let event = json!({"subject": "Oil the door", "start": "2026-11-23T10:00", "end": "2026-11-23T10:30", "time_zone": "UTC"});
    assert_eq!(world.act(&connection, "create_event", &event)["id"], "e0");
    for stream in ["events", "folders", "calendars"] {
        let counts = world.sync(&connection, stream, "full");
        assert_eq!(counts["added"], 1, "{stream}: {counts}");
    }
}
