//! Zoom and Discord.

use serde_json::{Value, json};

use super::{World, id_of};

#[test]
fn zoom_is_read_its_question_answered_and_its_events_believed() {
    const SECRET: &str = "a-made-up-secret-token";
    let world = World::at("zoom", &["zoom.us", "api.zoom.us"]);
    let api = world.api();
    let parts = json!({"client_id": "app-id", "client_secret": "app-secret"});
    api.put("/api/v1/apps/zoom/server", &json!({ "parts": parts }));
    let config =
        json!({"account_id": "AccDoors_0001", "users": ["uMonaDoors0000000001"], "start_date": "2024-04-01"});
    let connection = world.draft(&json!({"auth": "server", "config": config}));
    let begun = api.post(
        &format!("/api/v1/connections/{connection}/authorizations"),
        &json!({}),
    );
    assert_eq!(
        (&begun["kind"], &begun["account"]["id"]),
        (&json!("done"), &json!("AccDoors_0001")),
        "{begun}"
    );
    world.reads(&connection, "users", "full", 2);
    world.reads(&connection, "meetings", "full", 1);
    world.reads(&connection, "recordings", "incremental", 1);

    // The app's address, for all accounts that installed it.
    let hook = api.post("/api/v1/hooks", &json!({"connector": "zoom", "secret": SECRET}));
    let question = json!({"event": "endpoint.url_validation", "event_ts": 1_714_557_600_000_u64, "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}});
    let answer = world.takes(&hook, &question.to_string(), SECRET).json();
    let crc = world.vendor.post(
        "crc",
        &json!({"secret": SECRET, "value": "qgg8vlvZRS6UYooatFL8Aw"}),
    );
    assert_eq!(
        answer,
        json!({"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": crc["signature"]})
    );

    let created = include_str!("../../../plugins/zoom/fixtures/webhook-meeting-created.json");
    world.says(
        "GET",
        "https://api.zoom.us/v2/meetings/97763643886",
        404,
        &json!({"code": 3001}),
    );
    world.takes(&hook, created, SECRET);
    world.events("zoom.meeting.created", 1);
    world.records(&connection, "meetings", 0);
    // Zoom tries again with the same body and another time.
    assert_eq!(world.takes(&hook, created, SECRET).json()["duplicate"], true);
    let recorded = include_str!("../../../plugins/zoom/fixtures/webhook-recording-completed.json");
    let mut recorded: Value = serde_json::from_str(recorded).expect("JSON");
    recorded["payload"]["object"]["uuid"] = json!("AnotherRecording0001==");
    world.takes(&hook, &recorded.to_string(), SECRET);
    let events = world.events("zoom.recording.completed", 1);
    assert!(!events[0].to_string().contains("made-up-token"), "{events:?}");
    world.records(&connection, "recordings", 2);
    // Another account's is nobody's here.
    let other = created.replace("AccDoors_0001", "AccOther_0001");
    world.takes(&hook, &other, SECRET);
    world.events("zoom.meeting.created", 1);
}

#[test]
fn discord_is_read_asks_the_address_and_has_its_interactions_answered() {
    let world = World::at("discord", &["discord.com"]);
    let connection = world.connect(&json!({"auth": "bot", "secret": "a made up secret",
        "config": {"guilds": ["197038439483310086"], "members": true}}));
    world.reads(&connection, "guilds", "full", 1);
    world.reads(&connection, "channels", "full", 2);
    world.reads(&connection, "members", "full", 1);
    world.reads(&connection, "messages", "incremental", 1);

    // The key is captured from the app first, so that Discord's questions, one of them forged, are answered as it wants.
    let hook = world.hook(&connection, &json!({"webhook": "interactions"}));
    assert!(
        hook["secret"].is_null(),
        "Discord's public key is nobody's to enter: {hook}"
    );
    world.at_vendor(&hook);
    let events = world.hook(&connection, &json!({"webhook": "events"}));
    let there = world.at_vendor(&events);
    assert!(
        there["types"]
            .as_array()
            .is_some_and(|types| types.contains(&json!("ENTITLEMENT_CREATE"))),
        "{there}"
    );

    let command = include_str!("../../../plugins/discord/fixtures/interaction-command.json");
    let answer = world.takes(&hook, command, "");
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"type": 5, "data": {}}))
    );
    let told = world.events("discord.interaction.command", 1);
    assert_eq!(told[0]["source_id"], "1235000000000000007", "{told:?}");
    assert!(!told[0].to_string().contains("made-up-interaction-token"));
    // A button shows its message as it is now.
    let message = json!({"id": "1235000000000000002", "channel_id": "399942396007890945", "type": 0, "content": "Oil it?",
        "timestamp": "2024-05-01T10:01:00.000000+00:00", "author": {"id": "1"}});
    let pressed = json!({"type": 3, "id": "1235000000000000009", "token": "t", "application_id": "1234567890123456789", "message": message});
    assert_eq!(
        world.takes(&hook, &pressed.to_string(), "").json(),
        json!({"type": 6})
    );
    world.records(&connection, "messages", 2);
    let authorized = include_str!("../../../plugins/discord/fixtures/webhook-application-authorized.json");
    let answer = world.takes(&events, authorized, "");
    assert_eq!((answer.status, answer.text()), (204, String::new()));
    world.events("discord.application_authorized", 1);
    world.remove(&id_of(&events));
    world.forgets(&hook);
}
