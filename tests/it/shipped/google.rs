//! Google Calendar and Drive: channels with the hook's secret as their token, made anew before they end, and pings that have what changed
//! asked for.

use serde_json::json;

use super::World;
use crate::server::wait_for;

fn connected(world: &World) -> String {
    let api = world.api();
    let secret = json!({"account": world.vendor.ready["account"]});
    let asked = json!({"name": "google", "connector": "google", "auth": "service-account", "secret": secret, "config": {}});
    let made = api.post("/api/v1/connections", &asked);
    let id = made["id"].as_str().expect("an id").to_owned();
    let begun = api.post(&format!("/api/v1/connections/{id}/authorizations"), &json!({}));
    assert_eq!(begun["kind"], "done", "{begun}\n{}", world.server.log_tail());
    id
}

#[test]
fn a_ping_has_what_changed_asked_for() {
    let world = World::start("google");
    let connection = connected(&world);
    assert_eq!(world.sync(&connection, "events", "incremental")["added"], 3);
    assert_eq!(world.sync(&connection, "files", "incremental")["added"], 2);
    let hook = world.registered(&connection, &json!({}));
    let root = "https://www.googleapis.com";
    assert_eq!(
        world.seen()["channels"],
        json!([
            format!("{root}/calendar/v3/calendars/primary/events?alt=json"),
            format!("{root}/calendar/v3/users/me/calendarList?alt=json"),
            format!("{root}/drive/v3/changes?alt=json"),
        ])
    );
    // The first says that the channel is open.
    world.deliver(&hook, &world.sign(&json!({"of": "/events", "state": "sync"})));
    world
        .vendor
        .post("set", &json!({"events": ["v9"], "files": ["f9"]}));
    world.deliver(&hook, &world.sign(&json!({"of": "/events"})));
    world.records(&connection, "events", 4);
    world.deliver(&hook, &world.sign(&json!({"of": "/drive", "state": "change"})));
    world.records(&connection, "files", 3);
    let told = world.events("google.events.changed", 1);
    assert_eq!(told[0]["data"]["state"], "exists", "{told:?}");
    world.events("google.files.changed", 1);
    let ping = world.sign(&json!({"of": "/events"}));
    world.refuses(&hook, &ping.with_header("x-goog-channel-token", "guessed"));
    world.unregister(&hook);
    assert_eq!(world.seen()["channels"], json!([]));
}

#[test]
fn a_channel_is_made_anew_before_it_ends() {
    let mut world = World::start("google");
    world.vendor.post("set", &json!({"life_s": 9}));
    let connection = connected(&world);
    let hook = world.registered(&connection, &json!({"events": ["events.changed"]}));
    wait_for("a new one is there and the old one stopped", || {
        let seen = world.seen();
        (seen["stopped"].as_u64() > Some(0)).then_some(())
    });
    world.vendor.post("set", &json!({"life_s": 600}));
    world.server.restart();
    world.when(&hook, "registered");
    wait_for("one is left", || {
        let channels = world.seen()["channels"].as_array().map(Vec::len);
        (channels == Some(1)).then_some(())
    });
    world.deliver(&hook, &world.sign(&json!({"of": "/events"})));
    world.events("google.events.changed", 1);
}
