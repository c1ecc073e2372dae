//! Plaid: a key asked for by its id with the connection's own credential, a token over the body, and a cursor that is followed.

use serde_json::json;

use super::World;

fn connected(world: &World) -> String {
    let secret = json!({"secret": "a made up secret", "item_token": "access-sandbox-made-up"});
    let config = json!({"host": "sandbox.plaid.com", "client_id": "0123456789abcdef01234567"});
    world.connect(&json!({"auth": "plaid", "secret": secret, "config": config}))
}

#[test]
fn what_plaid_tells_is_verified_and_asked_for() {
    let world = World::start("plaid");
    let connection = connected(&world);
    let counts = world.sync(&connection, "transactions", "incremental");
    assert_eq!(counts["deleted"], 1, "{counts}");
    world.records(&connection, "transactions", 24);
    assert_eq!(world.sync(&connection, "accounts", "full")["added"], 1);

    let hook = world.registered(&connection, &json!({"webhook": "sandbox"}));
    assert_eq!(
        world.seen()["webhook"],
        json!(format!("https://hooks.example.com/hooks/{hook}"))
    );
    world.vendor.post("set", &json!({"add": ["t90", "t91"]}));
    let updates = json!({"webhook_type": "TRANSACTIONS", "webhook_code": "SYNC_UPDATES_AVAILABLE"});
    let told = world.sign(&json!({ "body": updates }));
    world.deliver(&hook, &told);
    assert_eq!(world.deliver(&hook, &told).json()["duplicate"], true);
    world.events("plaid.transactions.sync_updates_available", 1);
    world.records(&connection, "transactions", 26);
    // The same news once more is no duplicate of the first.
    let again = world.deliver(&hook, &world.sign(&json!({ "body": updates })));
    assert_eq!(again.json()["duplicate"], false);
    let removed = json!({"webhook_type": "TRANSACTIONS", "webhook_code": "TRANSACTIONS_REMOVED", "removed_transactions": ["t90"]});
    world.deliver(&hook, &world.sign(&json!({ "body": removed })));
    world.events("plaid.transactions.transactions_removed", 1);
    // Signed by Plaid, of somebody else's item.
    let other = json!({"webhook_type": "ITEM", "webhook_code": "ERROR", "item_id": "another"});
    world.deliver(&hook, &world.sign(&json!({ "body": other })));
    world.deliver(
        &hook,
        &world.sign(&json!({"body": {"webhook_type": "ITEM", "webhook_code": "ERROR"}})),
    );
    world.events("plaid.item.error", 1);
    assert_eq!(world.seen()["keys"], 1, "a key is asked for once");

    world.refuses(&hook, &told.altered("SYNC_UPDATES", "SINC_UPDATES"));
    world.refuses(&hook, &world.sign(&json!({"body": updates, "age": 600})));
    world.refuses(&hook, &world.sign(&json!({"body": updates, "alg": "HS256"})));
    world.unregister(&hook);
    assert_eq!(world.seen()["webhook"], "");
}

#[test]
fn a_link_token_is_made_and_a_refusal_is_told() {
    let world = World::start("plaid");
    let connection = connected(&world);
    let made = world.act(
        &connection,
        "create_link_token",
        &json!({"client_name": "Doors", "user": "u-1"}),
    );
    assert_eq!(made["link_token"], "link-sandbox-1");
    world.act(&connection, "refresh_transactions", &json!({}));
    let run = crate::github::sync(&world.api(), &connection, "holdings", "full");
    assert_ne!(run["state"], "succeeded", "{run}");
}
