//! OAuth 1.0a with Trello's connector as it is shipped: every request is signed with the app's secret, so an app that changes changes
//! what is signed, at once.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{World, code_on, path_of, title};
use crate::counterpart::{Counterpart, Judge};
use crate::github;
use crate::package;
use crate::server::{Place, Server, Setup, http};

const APP: &str = "/api/v1/apps/trello/oauth";

fn start() -> World {
    let idp = Counterpart::python("oauth1/main.py", &[]);
    let place = |host: &str| Place {
        host: host.to_owned(),
        address: idp.address(),
        ca: idp.authority().to_owned(),
    };
    let server = Server::start(&Setup {
        places: vec![place("trello.com"), place("api.trello.com")],
        ..Setup::default()
    });
    let ca = idp.ready["ca_file"].as_str().expect("a file").to_owned();
    let at = format!("trello.com={}", idp.address());
    let person = Judge::node("browser/walk.mjs", &["--at", &at, "--ca", &ca]);
    let world = World { idp, person, server };
    let file = std::fs::read(package::file("trello", "plugins/trello")).expect("read the connector");
    github::install(&world.api(), &file);
    set_app(&world, &world.idp.ready["client_secret"]);
    world
}

fn set_app(world: &World, secret: &Value) {
    let parts = json!({"client_id": world.idp.ready["client_id"], "client_secret": secret});
    world.api().put(APP, &json!({"parts": parts}));
}

/// Signs in, and allows or denies; gives where the browser is sent.
fn decides(world: &World, location: &str, choice: &str) -> String {
    let port = world.idp.ready["http_port"].as_u64().expect("a port");
    let at = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")));
    let headers = [
        ("host", "trello.com"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let path = path_of(location);
    let mut answer = None;
    for body in ["user=mona".to_owned(), format!("choice={choice}")] {
        answer = Some(http::request(at, "POST", &path, &headers, body.as_bytes()).expect("answer"));
    }
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 302, "{}", answer.text());
    answer.header("location").expect("a location").to_owned()
}

fn connected(world: &World, name: &str) -> String {
    let body = json!({"name": name, "connector": "trello", "config": {}, "auth": "oauth"});
    let created = world.api().try_post("/api/v1/connections", &body);
    assert_eq!(created.status, 201, "{}", created.text());
    let connection = created.json()["id"].as_str().expect("an id").to_owned();
    let followed = world.follow(&world.begin(&connection, &json!({})));
    let landed = world.land(&decides(world, &followed.location, "allow"), &followed.cookie);
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    connection
}

/// Whether the vendor says whose the account is, and gives its boards.
fn is_well(world: &World, connection: &str) -> bool {
    let path = format!("/api/v1/connections/{connection}/test");
    world.api().post(&path, &json!({}))["ok"] == true
}

#[test]
fn what_is_signed_is_signed_with_the_app_of_now() {
    let mut world = start();
    let connection = connected(&world, "work");
    let account = world.show(&connection)["account"].clone();
    assert_eq!(account["name"], "Mona of Acme (@mona)", "{account}");
    assert!(is_well(&world, &connection));
    let refused = world.idp.count("refused");

    // Somebody sets another secret: it is what the next request is signed with, and the vendor sees that.
    set_app(&world, &json!("not-the-secret-of-this-app-0123456789"));
    assert!(!is_well(&world, &connection));
    assert!(world.idp.count("refused") > refused);
    assert_eq!(world.show(&connection)["state"], "needs-reauth");

    // And back again, without anybody connecting anew.
    set_app(&world, &world.idp.ready["client_secret"]);
    assert!(is_well(&world, &connection));
    assert_eq!(world.show(&connection)["state"], "active");

    // Without an app nothing is signed, and no part of what would sign goes out.
    assert_eq!(world.api().delete(APP).status, 204);
    assert!(!is_well(&world, &connection));
    let seen = world.idp.get("requests");
    let last = seen["requests"].as_array().and_then(|requests| requests.last());
    assert!(
        last.is_some_and(|last| last["authorization"].is_null()),
        "{last:?}"
    );
    set_app(&world, &world.idp.ready["client_secret"]);
    world.server.restart();
    assert!(is_well(&world, &connection));
}

#[test]
fn who_denies_connects_nothing() {
    let world = start();
    let body = json!({"name": "work", "connector": "trello", "config": {}, "auth": "oauth"});
    let created = world.api().try_post("/api/v1/connections", &body);
    let connection = created.json()["id"].as_str().expect("an id").to_owned();
    let followed = world.follow(&world.begin(&connection, &json!({})));
    let landed = world.land(&decides(&world, &followed.location, "deny"), &followed.cookie);
    assert_eq!(code_on(&landed), "auth.denied", "{}", landed.text());
    assert!(world.show(&connection)["credential"].is_null());
    assert_eq!(world.idp.count("access_tokens"), 0);
}
