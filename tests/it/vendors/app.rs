//! One address for all accounts of a vendor's app: what comes in goes to the connections of the account that it names.

use serde_json::{Value, json};

use super::{World, webhook};
use crate::server::wait_for;

const SIGNED: &str = r#"
account = { pointer = "/teams/*" }
[webhooks.signature]
scheme = "hmac"
algorithm = "sha256"
encoding = "hex"
header = "x-signature"
"#;

#[test]
fn an_app_has_one_address_for_all_its_accounts() {
    let mut world = World::start();
    let webhooks = webhook("events", SIGNED).replace("dedupe = \"body\"", "dedupe = { pointer = \"/id\" }");
    let plain = webhook("plain", SIGNED).replace("account = { pointer = \"/teams/*\" }\n", "");
    let first = world.connect("app", &format!("{webhooks}{plain}"));
    let api = world.api();
    // The guest says of every connection that its account is `1`.
    let made = api.post(
        "/api/v1/connections",
        &json!({"name": "second", "connector": "app", "auth": "plaid", "secret": "a made up secret"}),
    );
    let second = made["id"].as_str().expect("an id").to_owned();
    let refused = api.try_post("/api/v1/hooks", &json!({"connector": "app", "webhook": "plain"}));
    assert_eq!(refused.code(), "hook.no_account", "{}", refused.text());
    let refused = api.try_post("/api/v1/hooks", &json!({"connector": "nothing"}));
    assert_eq!(refused.code(), "hook.connector", "{}", refused.text());
    let made = api.post("/api/v1/hooks", &json!({"connector": "app"}));
    let app = made["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        (&made["connection"], &made["connector"]),
        (&Value::Null, &json!("app")),
        "{made}"
    );
    let send = |world: &World, body: &Value| {
        let body = body.to_string();
        let signed = world
            .api()
            .post_bytes(&format!("/api/v1/hooks/{app}/sign"), body.as_bytes())
            .json();
        let part = |header: &Value, name: &str| header[name].as_str().expect(name).to_owned();
        let headers: Vec<_> = signed["headers"]
            .as_array()
            .expect("headers")
            .iter()
            .map(|header| (part(header, "name"), part(header, "value")))
            .collect();
        world.send("POST", &format!("/hooks/{app}"), &headers, body.as_bytes())
    };
    let hooks_of = |world: &World, connection: &str| {
        let found = world.api().get(&format!("/api/v1/hooks?connection={connection}"));
        found["items"].as_array().expect("items").clone()
    };
    let receipts_of = |world: &World, connection: &str| -> usize {
        let hooks = hooks_of(world, connection);
        let id = |hook: &Value| hook["id"].as_str().expect("an id").to_owned();
        hooks.iter().map(|hook| world.receipts(&id(hook)).len()).sum()
    };
    // Only the first has been tested, so only its account is known.
    let answer = send(&world, &json!({"id": "e1", "teams": ["1", "7"]}));
    assert_eq!(
        (answer.status, answer.json()["duplicate"].as_bool()),
        (200, Some(false)),
        "{}",
        answer.text()
    );
    assert_eq!(
        (receipts_of(&world, &first), receipts_of(&world, &second)),
        (1, 0)
    );
    let nobody = send(&world, &json!({"id": "e2", "teams": ["7"]}));
    assert_eq!(
        (nobody.status, &nobody.json()["receipt"]),
        (200, &Value::Null),
        "{}",
        nobody.text()
    );
    let tested = api.post(&format!("/api/v1/connections/{second}/test"), &json!({}));
    assert_eq!(tested["account"]["id"], "1", "{tested}");
    assert_eq!(send(&world, &json!({"id": "e3", "teams": ["1"]})).status, 200);
    world.server.restart();
    let again = send(&world, &json!({"id": "e3", "teams": ["1"]}));
    assert_eq!(again.json()["duplicate"], true, "{}", again.text());
    assert_eq!(
        (receipts_of(&world, &first), receipts_of(&world, &second)),
        (2, 1)
    );
    let mine = hooks_of(&world, &second);
    assert_eq!(mine[0]["app"], json!(app), "{mine:?}");
    let own = world.send(
        "POST",
        &format!("/hooks/{}", mine[0]["id"].as_str().expect("an id")),
        &[],
        b"{}",
    );
    assert_eq!(
        own.code(),
        "webhook.refused",
        "its deliveries come by the app's address alone"
    );
    wait_for("each to be handled", || {
        let events = world.api().all("/api/v1/events?kind=app.thing.changed");
        (events.len() == 3).then_some(())
    });
    let removed = world
        .api()
        .send("DELETE", &format!("/api/v1/hooks/{app}"), "application/json", b"");
    assert_eq!(removed.status, 204, "{}", removed.text());
    assert!(hooks_of(&world, &second).is_empty());
    assert_eq!(
        world.send("POST", &format!("/hooks/{app}"), &[], b"{}").code(),
        "webhook.refused"
    );
}
