//! A secret whose host comes from the configuration: bound to that host when it was set, to nothing else, and to no host that the
//! configuration is changed to later.

use serde_json::{Value, json};

use super::canary::Needles;
use super::{World, title};
use crate::github;
use crate::package;

const SECRET: &str = "secret-of-mona-6f0d1c4b8a2e4f57";

/// The auth tests' connector, made to let the configuration say where its key belongs; and a flow that fills the same value in.
fn installed(world: &World) {
    let manifest = package::manifest(package::acme());
    let (head, rest) = manifest.split_once("[config]\n").expect("a configuration");
    let streams = &rest[rest.find("[[streams]]").expect("streams")..];
    let egress = r#"
[[capabilities.egress]]
host = "${config.host}"
methods = ["GET"]
paths = ["/echo"]
reason = "the server that the configuration names"

"#;
    let auth = r#"[config]
additionalProperties = false
[config.properties.host]
type = "string"

[[auth]]
name = "oauth"
title = "Key"
scheme = "bearer"
origins = ["https://${config.host}"]

[[auth]]
name = "odd"
title = "A flow that says where the account is"
scheme = "oauth2"
origins = ["https://id.acme.example"]
[auth.oauth2]
grants = ["authorization-code"]
authorize_url = "https://id.acme.example/authorize"
token_url = "https://id.acme.example/token"
scopes = ["items:read"]
client_auth = "body"
authorize_params = { prompt = "consent" }
fill = [{ config = "host", from = "token", pointer = "/instance_url", take = "host" }]

"#;
    let head = head.replace("id = \"acme\"", "id = \"hosted\"");
    let manifest = format!("{head}{egress}{auth}{streams}");
    let file = package::with_manifest(package::acme(), &manifest);
    github::install(&world.api(), &file);
    let app = &world.idp.ready["clients"]["sluice-post"];
    let parts = json!({"client_id": app["client_id"], "client_secret": app["client_secret"]});
    world
        .api()
        .put("/api/v1/apps/hosted/odd", &json!({"parts": parts}));
}

fn create(world: &World, name: &str, host: &str) -> crate::server::Answer {
    let body = json!({
        "name": name, "connector": "hosted", "config": {"host": host}, "auth": "oauth", "secret": SECRET,
    });
    world.api().try_post("/api/v1/connections", &body)
}

fn created(world: &World, name: &str, host: &str) -> String {
    let created = create(world, name, host);
    assert_eq!(created.status, 201, "{}", created.text());
    created.json()["id"].as_str().expect("an id").to_owned()
}

/// Whether the vendor saw the key in what this request brought back; the key itself is never seen.
fn was_sent(got: &Value) -> bool {
    assert!(!got.to_string().contains(SECRET), "{got}");
    got["body"]
        .as_str()
        .is_some_and(|body| body.contains("\"authorization\""))
}

#[test]
fn a_secret_goes_to_the_host_that_it_was_set_for() {
    let world = World::start();
    installed(&world);
    let here = created(&world, "here", "id.acme.example");
    assert!(was_sent(&world.acts(&here, "echo", &json!({}))));
    let loot = world.acts(&here, "steal", &json!({"how": "elsewhere"}));
    assert!(!was_sent(&loot["asked for"]) && !was_sent(&loot["own"]), "{loot}");

    // Of another host it is another connection's, with a secret that whoever made it has given; it does not go here.
    let there = created(&world, "there", "other.acme.example");
    let refused = world.act(&there, "echo", &json!({}));
    assert!(
        refused.status >= 400 && refused.text().contains("not bound"),
        "{}",
        refused.text()
    );
    let loot = world.acts(&there, "steal", &json!({"how": "elsewhere"}));
    assert!(was_sent(&loot["asked for"]), "{loot}");
    assert!(!was_sent(&loot["redirect 307"]), "{loot}");
}

#[test]
fn a_configuration_names_one_host_and_nothing_more() {
    let world = World::start();
    installed(&world);
    for host in [
        "*",
        "*.acme.example",
        "*.example",
        "",
        ".",
        "id.acme.example/echo",
        "id.acme.example@evil.example",
        "evil.example#id.acme.example",
        "https://id.acme.example",
        "id.acme.example?x",
        "id.acme.example, evil.example",
        "${config.host}",
        "ID.ACME.EXAMPLE ",
        "id.acme.example\r\nx: y",
        "id。acme。example",
        "[::1",
    ] {
        let refused = create(&world, "wrong", host);
        assert!(refused.status >= 400, "{host:?}: {}", refused.text());
        assert!(!refused.text().contains(SECRET), "{host:?}");
    }
    assert!(
        world
            .api()
            .all("/api/v1/connections")
            .iter()
            .all(|found| found["credential"].is_null() && found["state"] == "draft"),
        "nothing was kept that could be used"
    );
    // An address inside is a host like another to the configuration; the road out does not go there.
    for host in ["169.254.169.254", "127.0.0.1", "[::1]"] {
        let made = create(&world, &format!("at {host}"), host);
        assert!(made.status < 500, "{host}: {}", made.text());
        if made.status == 201 {
            let connection = made.json()["id"].as_str().expect("an id").to_owned();
            let acted = world.act(&connection, "echo", &json!({}));
            assert!(acted.status >= 400, "{host}: {}", acted.text());
        }
    }
}

/// There is no door that changes the host under a secret; a flow that fills the value in leaves the secret where it was.
#[test]
fn a_secret_does_not_follow_the_configuration() {
    let world = World::start();
    installed(&world);
    let connection = created(&world, "work", "id.acme.example");
    let path = format!("/api/v1/connections/{connection}");
    for method in ["PUT", "PATCH", "POST"] {
        let body = json!({"config": {"host": "other.acme.example"}}).to_string();
        let refused = world
            .api()
            .send(method, &path, "application/json", body.as_bytes());
        assert_eq!(refused.code(), "request.method", "{method}: {}", refused.text());
    }
    assert!(was_sent(&world.acts(&connection, "echo", &json!({}))));

    // Another scheme's flow, whose vendor says that the account is elsewhere.
    let callback = world.api().get("/api/v1/apps/hosted/odd")["callback_url"].clone();
    world.idp.post(
        "client",
        &json!({"client_id": "sluice-post", "redirect_uris": [callback]}),
    );
    world.fault(&json!({"kind": "fields", "fields": {"instance_url": "https://other.acme.example"}}));
    let landed = world.journey(&connection, "mona", &json!({"auth": "odd"}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    let shown = world.show(&connection);
    assert_eq!(shown["config"]["host"], "other.acme.example", "{shown}");

    let loot = world.acts(&connection, "steal", &json!({"how": "elsewhere"}));
    assert!(
        !was_sent(&loot["asked for"]),
        "the key does not go where the configuration now points: {loot}"
    );
    let loot = world.acts(&connection, "steal", &json!({"how": "named", "names": ["oauth"]}));
    assert!(
        was_sent(&loot["credential oauth"]),
        "it goes where it was set for: {loot}"
    );
    world.refreshes(&connection);
    let loot = world.acts(&connection, "steal", &json!({"how": "elsewhere"}));
    assert!(!was_sent(&loot["asked for"]) && !was_sent(&loot["own"]), "{loot}");
    Needles::of(&world, &[("the key", SECRET)]).assert_absent("what was tried", loot.to_string().as_bytes());
}
