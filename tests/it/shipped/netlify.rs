//! Netlify: a notification for each event, a token over the body, and the record that Netlify has now.

use serde_json::{Value, json};

use super::World;

const SITE: &str = "3970e0fe-8564-4903-9a55-c5f8de49fb8b";

fn connected(world: &World) -> String {
    let config = json!({ "sites": [SITE] });
    world.connect(&json!({"auth": "token", "secret": "a made up token", "config": config}))
}

fn deploy(id: &str, state: &str) -> Value {
    json!({"id": id, "site_id": SITE, "state": state, "created_at": "2026-01-06T10:00:00.000Z", "updated_at": "2026-01-06T10:00:00.000Z"})
}

#[test]
fn what_is_told_is_asked_for_and_kept_as_it_is_now() {
    let world = World::start("netlify");
    let connection = connected(&world);
    let two = ["deploy_building", "submission_created"];
    let hook = world.registered(&connection, &json!({ "events": two }));
    let url = format!("https://hooks.example.com/hooks/{hook}");
    assert_eq!(world.seen()["hooks"], json!([[two[0], url], [two[1], url]]));

    world
        .vendor
        .post("set", &json!({"deploys": {"d7": deploy("d7", "ready")}}));
    let told = world.sign(&json!({"event": "deploy_building", "body": deploy("d7", "building")}));
    world.deliver(&hook, &told);
    assert_eq!(world.deliver(&hook, &told).json()["duplicate"], true);
    let events = world.events("netlify.deploy_building", 1);
    assert_eq!(events[0]["data"]["state"], "building", "{events:?}");
    let records = world.records(&connection, "deploys", 1);
    assert_eq!(records[0]["data"]["state"], "ready", "{records:?}");
    let submitted = json!({"id": "s1", "form_id": "f", "data": {"message": "as it was"}, "created_at": "2026-01-06T10:00:00.000Z"});
    world.deliver(
        &hook,
        &world.sign(&json!({"event": "submission_created", "body": submitted})),
    );
    let records = world.records(&connection, "submissions", 1);
    assert_eq!(records[0]["data"]["data"]["message"], "as it is now");

    let next = world.sign(&json!({"event": "deploy_building", "body": deploy("d8", "building")}));
    world.refuses(&hook, &next.altered("d8", "d9"));
    world.refuses(
        &hook,
        &world.sign(&json!({"event": "deploy_building", "body": deploy("d8", "x"), "iss": "somebody"})),
    );
    world.refuses(
        &hook,
        &world.sign(&json!({"event": "deploy_building", "body": deploy("d8", "x"), "alg": "RS256"})),
    );
    world.unregister(&hook);
    assert_eq!(world.seen()["hooks"], json!([]));
}

#[test]
fn deploys_are_read_newest_first_and_a_build_is_triggered() {
    let world = World::start("netlify");
    let connection = connected(&world);
    assert_eq!(world.sync(&connection, "sites", "full")["added"], 1);
    assert_eq!(world.sync(&connection, "deploys", "incremental")["added"], 5);
    let again = world.sync(&connection, "deploys", "incremental");
    assert_eq!(
        (&again["added"], &again["received"]),
        (&json!(0), &json!(3)),
        "one page"
    );
    let built = world.act(&connection, "trigger_build", &json!({ "site": SITE }));
    assert_eq!(built["id"], "b1");
}
