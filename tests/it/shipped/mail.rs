//! SendGrid, Mailgun and Postmark.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{Delivery, World, id_of};

#[test]
fn sendgrid_is_read_and_its_webhook_is_signed_before_it_is_switched_on() {
    let world = World::at("sendgrid", &["api.sendgrid.com"]);
    let connection = world.connect(&json!({"auth": "key", "secret": "a made up secret", "config": {}}));
    for stream in [
        "bounces",
        "blocks",
        "invalid_emails",
        "spam_reports",
        "unsubscribes",
    ] {
        world.reads(&connection, stream, "incremental", 1);
    }
    let hook = world.hook(&connection, &json!({"webhook": "events"}));
    assert!(hook["secret"].is_null(), "SendGrid's key is captured: {hook}");
    let there = world.at_vendor(&hook);
    let switched_on = || world.vendor.get("registered")["hooks"][0]["enabled"] == true;
    crate::server::wait_for("SendGrid to switch it on", || switched_on().then_some(()));
    assert_eq!(
        (&there["spam_report"], &there["friendly_name"]),
        (&json!(true), &json!("Sluice"))
    );
    let body = include_str!("../../../plugins/sendgrid/fixtures/webhook-events.json");
    let body = body.replace("cellar@doors.example", "garret@doors.example");
    world.when(&id_of(&hook), "registered");
    world.takes(&hook, &body, "");
    // One delivery, an event for each of its entries, and what they say in the streams.
    world.events("sendgrid.delivered", 1);
    let bounced = world.events("sendgrid.bounce", 2);
    let ids: Vec<&Value> = bounced.iter().map(|event| &event["source_id"]).collect();
    assert!(ids.contains(&&json!("Ym91bmNlLTE=")), "{ids:?}");
    world.records(&connection, "bounces", 2);
    world.records(&connection, "blocks", 1);
    world.forgets(&hook);
}

#[test]
fn mailgun_is_read_and_a_signature_of_its_is_used_once() {
    let world = World::at("mailgun", &["api.mailgun.net"]);
    let connection = world.connect(&json!({"auth": "key", "secret": "a made up secret",
        "config": {"domain": "mg.doors.example"}}));
    world.reads(&connection, "events", "incremental", 1);
    for stream in ["bounces", "complaints", "unsubscribes"] {
        world.reads(&connection, stream, "full", 1);
    }
    let hook = world.hook(&connection, &json!({"webhook": "events"}));
    let there = world.at_vendor(&hook);
    assert!(
        there["types"]
            .as_array()
            .is_some_and(|types| types.contains(&json!("permanent_fail"))),
        "{there}"
    );
    world.when(&id_of(&hook), "registered");

    let failed = include_str!("../../../plugins/mailgun/fixtures/webhook-failed.json");
    // Signed with another key, at another time.
    let address = id_of(&hook);
    world.refuses(&address, &Delivery::of(&[], failed));
    // The address has come on the list, and the list is asked.
    let next = "https://api.mailgun.net/v3/mg.doors.example/bounces";
    let two = json!({"items": [{"address": "cellar@doors.example", "code": "550"}, {"address": "garret@doors.example", "code": "605"}],
        "paging": {"next": format!("{next}?page=next&address=cellar%40doors.example&limit=1000")}});
    world.says("GET", &format!("{next}?limit=1000"), 200, &two);
    let signed = world.signed(failed, "");
    assert_eq!(world.deliver(&address, &signed).json()["duplicate"], false);
    let events = world.events("mailgun.failed.permanent", 1);
    assert_eq!(events[0]["source_id"], "G9Bn5sl1TC6nu79C8C0bwg", "{events:?}");
    assert!(events[0]["data"]["signature"].is_null() || !events[0].to_string().contains("\"token\""));
    world.records(&connection, "bounces", 2);
    // The same signature with other words is a replay; Mailgun's own next try is the same event.
    let replayed = signed.altered("G9Bn5sl1TC6nu79C8C0bwg", "another_event_of_mine");
    world.refuses(&address, &replayed);
    let again = world.signed(failed, "");
    assert_eq!(world.deliver(&address, &again).json()["duplicate"], true);
    world.forgets(&hook);
}

#[test]
fn postmark_is_read_and_its_webhooks_are_taken_by_token_and_by_password() {
    let world = World::at("postmark", &["api.postmarkapp.com"]);
    let connection = world.connect(&json!({"auth": "token", "secret": "a made up secret", "config": {}}));
    world.reads(&connection, "messages", "incremental", 1);
    world.reads(&connection, "bounces", "incremental", 1);
    world.reads(&connection, "suppressions", "full", 1);

    let hook = world.hook(&connection, &json!({"webhook": "events"}));
    let there = world.at_vendor(&hook);
    assert_eq!(there["more"]["Triggers"]["Bounce"]["Enabled"], true, "{there}");
    let header = &there["more"]["HttpHeaders"][0];
    let token = header["Value"].as_str().expect("a token").to_owned();
    let name = header["Name"].as_str().expect("a name").to_lowercase();
    let body = include_str!("../../../plugins/postmark/fixtures/webhook-bounce.json");
    let body = body.replace("692560173", "692560174");
    let sent = |token: &str| world.send(&id_of(&hook), &Delivery::of(&[(&name, token)], &body));
    assert_eq!(sent("another token, as long as it is").status, 401);
    world.refuses(&id_of(&hook), &Delivery::of(&[], &body));
    // What it says of the bounce is not believed; Postmark says it again.
    let bounce = json!({"ID": 692_560_174, "Type": "SoftBounce", "Email": "attic@doors.example", "BouncedAt": "2024-05-01T06:00:00-04:00"});
    world.says(
        "GET",
        "https://api.postmarkapp.com/bounces/692560174",
        200,
        &bounce,
    );
    assert_eq!(sent(&token).json()["duplicate"], false);
    assert_eq!(sent(&token).json()["duplicate"], true);
    world.events("postmark.bounce", 1);
    world.records(&connection, "bounces", 2);

    // With user and password, which a person has entered on both sides.
    let basic = world.hook(
        &connection,
        &json!({"webhook": "basic", "secret": "doors:a made up password"}),
    );
    let open = json!({"RecordType": "Open", "MessageID": "0ac29aee-e1cd-480d-b08d-4f48548ff48d", "ReceivedAt": "2024-05-01T10:05:00Z"});
    let open = open.to_string();
    let sent = |text: &str| {
        let given = format!("Basic {}", BASE64.encode(text.as_bytes()));
        Delivery::of(&[("authorization", &given)], &open)
    };
    world.refuses(&id_of(&basic), &sent("doors:another password"));
    let answer = world.deliver(&id_of(&basic), &sent("doors:a made up password"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.events("postmark.open", 1);
    world.forgets(&hook);
}
