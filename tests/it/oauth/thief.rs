//! A connector that wants a token (THREATS C): its code is `fixtures/connectors/acme/src/thief.rs`, what it got is looked at here.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::canary::Needles;
use super::{World, title};

fn steals(world: &World, connection: &str, how: &str, names: &[&str]) -> Value {
    world.acts(connection, "steal", &json!({"how": how, "names": names}))
}

#[test]
fn reflections_say_nothing() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    let echoed = world.acts(&connection, "echo", &json!({}));
    let body = echoed["body"].as_str().expect("a body");
    assert!(body.contains("authorization"), "the token was sent: {body}");
    let loot = steals(&world, &connection, "handle", &["oauth"]);
    assert!(
        loot.as_object().is_some_and(|loot| loot.len() >= 7),
        "it tried: {loot}"
    );
    for (what, got) in loot.as_object().expect("an object") {
        let is_elsewhere = what.contains("elsewhere") || what.contains("derived");
        assert!(
            !is_elsewhere || got["error"].as_str().is_some_and(|why| why.contains("enied")),
            "{what}: {got}"
        );
    }
    let stored = steals(&world, &connection, "storage", &[]);
    let logged = steals(&world, &connection, "log", &[]);
    let fault = world.act(&connection, "steal", &json!({"how": "fault"}));
    assert!(fault.status >= 400, "{}", fault.text());
    let needles = Needles::of(&world, &[]);
    for (what, text) in [
        ("an echo", echoed.to_string()),
        ("handles", loot.to_string()),
        ("its storage", stored.to_string()),
        ("its answer", logged.to_string()),
        ("its fault", fault.text()),
    ] {
        needles.assert_absent(what, text.as_bytes());
    }
    assert_eq!(world.show(&connection)["state"], "active");
}

/// The credential of another scheme, of another connection, of the app; by name and as a handle.
#[test]
fn nobody_elses_credential_has_a_name() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    let other = world.connected("other", "hubot");
    let coded = world.connected_by("coded", "custom", "mona");
    let names = [
        other.as_str(),
        "other",
        &format!("{other}/oauth"),
        &format!("{other}.oauth"),
        coded.as_str(),
        "custom",
        "custom.access_token",
        "custom.refresh_token",
        "odd",
        "machine",
        "assertion",
        "assertion.account",
        "oauth.access_token",
        "oauth.refresh_token",
        "oauth.previous_refresh_token",
        "oauth.secret",
        "oauth.app.client_secret",
        "oauth.app.client_id",
        "odd.app.client_secret",
        "machine.app.client_secret",
        "app/acme",
        "app/acme.oauth",
        "../oauth",
        "OAUTH",
        "oauth ",
        "flow",
    ];
    let loot = steals(&world, &connection, "named", &names);
    for name in names {
        assert_eq!(loot[format!("handle {name}")], json!(false), "{name}");
        let got = &loot[format!("credential {name}")];
        let sent = got["body"]
            .as_str()
            .is_some_and(|body| body.contains("\"authorization\""));
        assert!(!sent, "{name}: {got}");
    }
    Needles::of(&world, &[]).assert_absent("what was named", loot.to_string().as_bytes());
}

#[test]
fn nothing_is_carried_off_its_origin() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    let loot = steals(&world, &connection, "elsewhere", &[]);
    let loot = loot.as_object().expect("an object");
    assert_eq!(loot.len(), 12, "{loot:?}");
    let mut followed = 0;
    for (what, got) in loot {
        let Some(body) = got["body"].as_str().filter(|_| got["status"] == 200) else {
            continue;
        };
        let seen: Value =
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error}: {body}"));
        assert!(seen["headers"]["authorization"].is_null(), "{what}: {body}");
        followed += 1;
    }
    assert!(followed >= 1, "at least the plain request arrives: {loot:?}");
    for never in ["outside", "down", "user", "port", "asked for", "host header"] {
        assert_ne!(loot[never]["status"], 200, "{never}: {}", loot[never]);
    }
    let text = serde_json::to_string(loot).expect("a text");
    Needles::of(&world, &[]).assert_absent("what came from elsewhere", text.as_bytes());

    for (to, status) in [
        ("https://other.acme.example/echo", 307),
        ("//other.acme.example/echo", 302),
        ("https://id.acme.example:8443/echo", 302),
        ("/echo", 302),
    ] {
        let got = world.acts(&connection, "redirect", &json!({"to": to, "status": status}));
        let body = got["body"].as_str().unwrap_or_default();
        let is_own = to == "/echo";
        assert!(
            is_own || !body.contains("\"authorization\""),
            "{to}: the token went along: {got}"
        );
        Needles::of(&world, &[]).assert_absent(to, got.to_string().as_bytes());
    }
}

/// All of its memory is a connector's own to read: nothing that was handed out to the host is in it, in whatever form.
#[test]
fn no_secret_is_in_its_memory() {
    let world = World::start();
    for (scheme, name) in [("oauth", "plain"), ("custom", "coded")] {
        let connection = world.connected_by(name, scheme, "mona");
        let turned = |bytes: &[u8]| {
            let turned: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
            HEXLOWER.encode(&turned)
        };
        let mut wanted = Vec::new();
        for (what, bytes) in Needles::of(&world, &[]).all() {
            wanted.push((what, turned(&bytes[..bytes.len().min(24)])));
        }
        assert!(wanted.len() > 50, "{}", wanted.len());
        // The same way finds what is there: the address that it asked, and a part of the answer.
        let there = [turned(b"id.acme.example/echo"), turned(b"x-echo-authorization")];
        let mut names: Vec<&str> = wanted.iter().map(|(_, turned)| turned.as_str()).collect();
        names.extend(there.iter().map(String::as_str));
        let loot = steals(&world, &connection, "memory", &names);
        assert!(loot["used"].as_u64() >= Some(18), "{scheme}: {}", loot["used"]);
        for there in &there {
            assert!(
                loot[there].as_u64() >= Some(1),
                "{scheme}: what is there is found"
            );
        }
        for (what, turned) in &wanted {
            assert_eq!(loot[turned], 0, "{scheme}: the connector's memory has {what}");
        }
    }
}

#[test]
fn what_is_captured_is_not_read() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    let before = world.show(&connection);
    let loot = steals(&world, &connection, "capture", &[]);
    let needles = Needles::of(&world, &[]);
    needles.assert_absent("captures", loot.to_string().as_bytes());
    let after = world.show(&connection);
    needles.assert_absent("the connection", after.to_string().as_bytes());
    assert_eq!(before["account"], after["account"], "{after}");
    assert_eq!(before["credential"]["scopes"], after["credential"]["scopes"]);
    assert_eq!(before["credential"]["expires"], after["credential"]["expires"]);
    assert_eq!(before["credential"]["version"], after["credential"]["version"]);
    assert_eq!(
        world.whoami(&connection),
        "mona",
        "the token is still the right one"
    );
}

/// A flow in code that wants its token among the scopes, where everybody reads it.
#[test]
fn a_flow_in_code_cannot_put_its_token_where_it_is_read() {
    let world = World::start();
    assert_eq!(world.api().delete("/api/v1/apps/acme/custom").status, 204);
    let app = &world.idp.ready["clients"]["sluice-post"];
    let parts = json!({"client_id": app["client_id"], "client_secret": app["client_secret"]});
    world
        .api()
        .put("/api/v1/apps/acme/leaky", &json!({"parts": parts}));
    let connection = world.draft("leaky", "leaky");
    let landed = world.journey(&connection, "mona", &json!({}));
    let needles = Needles::of(&world, &[]);
    needles.assert_absent("the page", landed.text().as_bytes());
    let shown = world.show(&connection);
    needles.assert_absent("the connection", shown.to_string().as_bytes());
    let status = world.api().all("/api/v1/events");
    needles.assert_absent("the events", json!(status).to_string().as_bytes());
    if title(&landed) == "Connected" {
        assert_eq!(world.whoami(&connection), "mona");
    }
}
