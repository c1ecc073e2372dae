//! The other ways to a credential.

use serde_json::{Value, json};

use super::{World, code_on, key_pair, title};
use crate::github;
use crate::server::wait_for;

#[test]
fn a_device_is_connected_by_typing_a_code() {
    let world = World::start();
    let connection = world.draft("tv", "oauth");
    let begun = world.begin(&connection, &json!({"grant": "device-code"}));
    assert_eq!(begun["kind"], "device", "{begun}");
    assert!(begun["interval_s"].as_u64() >= Some(1), "{begun}");
    let waiting = world.status(&connection, &begun);
    assert_eq!(waiting["step"], "started", "{waiting}");

    let typed = world.person.ask(&json!({
        "url": begun["verification_uri"], "code": begun["user_code"], "user": "mona", "allow": true,
    }));
    assert_eq!(typed["page"], "device-done", "{typed}");
    let done = wait_for("the device to be connected", || {
        let status = world.status(&connection, &begun);
        (status["step"] != "started" && status["step"] != "completing").then_some(status)
    });
    assert_eq!(done["step"], "done", "{done}");
    let shown = world.show(&connection);
    assert_eq!(
        (&shown["state"], &shown["account"]["id"]),
        (&json!("active"), &json!("mona")),
        "{shown}"
    );
    assert_eq!(world.idp.count("device_tokens"), 1);
    // However often we are asked, the vendor is asked as often as it said (RFC 8628 §3.5).
    assert!(
        world.idp.count("device_polls") <= 3,
        "{}",
        world.idp.count("device_polls")
    );
    world.refreshes(&connection);
    assert_eq!(world.whoami(&connection), "mona");
}

#[test]
fn a_device_that_is_refused_is_not_connected() {
    let world = World::start();
    let connection = world.draft("tv", "oauth");
    let begun = world.begin(&connection, &json!({"grant": "device-code"}));
    world.person.ask(&json!({
        "url": begun["verification_uri"], "code": begun["user_code"], "user": "mona", "allow": false,
    }));
    let failed = wait_for("the refusal", || {
        let status = world.status(&connection, &begun);
        (status["step"] == "failed").then_some(status)
    });
    assert_eq!(failed["error"]["code"], "auth.denied", "{failed}");
    assert_eq!(world.show(&connection)["state"], "needs-reauth");
    assert!(world.show(&connection)["credential"].is_null());
}

/// RFC 6749 §2.3.1: id and secret are form-encoded before they go into the Basic header; this client's have every character
/// that matters.
#[test]
fn a_machine_needs_nobody() {
    let world = World::start();
    let connection = world.draft("robot", "machine");
    let begun = world.begin(&connection, &json!({}));
    assert_eq!(begun["kind"], "done", "{begun}");
    assert_eq!(begun["account"]["id"], "sluice odd", "{begun}");
    let shown = world.show(&connection);
    assert_eq!(shown["state"], "active", "{shown}");
    let run = github::sync(&world.api(), &connection, "items", "full");
    assert_eq!(run["counts"]["added"], 120, "{run}");

    // There is no refresh token; the next is asked for by the app alone, once, when this one has ended.
    let before = world.idp.count("client_credentials");
    world.idp.post("expire", &json!({}));
    assert_eq!(world.whoami(&connection), "sluice odd");
    assert_eq!(world.whoami(&connection), "sluice odd");
    assert_eq!(world.idp.count("client_credentials"), before + 1);
    assert_eq!(world.idp.count("refresh_requests"), 0);

    let refused = world.try_begin(&connection, &json!({"grant": "device-code"}));
    assert_eq!(refused.code(), "auth.grant", "{}", refused.text());
}

/// Which flow a token came by is written down: its end is answered by that flow, whichever stands first in the manifest.
#[test]
fn the_flow_that_was_asked_for_goes_on() {
    let world = World::start();
    let connection = world.draft("robot", "either");
    let begun = world.begin(&connection, &json!({"grant": "client-credentials"}));
    assert_eq!(begun["kind"], "done", "{begun}");
    for round in 1..3 {
        world.idp.post("expire", &json!({}));
        assert_eq!(world.whoami(&connection), "sluice odd", "round {round}");
        assert_eq!(world.idp.count("client_credentials"), round + 1);
    }
    assert_eq!(world.idp.count("refresh_requests"), 0);
    assert_eq!(world.told(&connection, "needs-reauth"), 0);

    // The first flow is a person's: without a refresh token its end is an end, and no machine takes the person's place.
    let person = world.draft("person", "either");
    let landed = world.journey(&person, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    assert_eq!(world.whoami(&person), "mona");
    world.refreshes(&person);
    assert_eq!(world.whoami(&person), "mona");
    world.idp.post("disconnect", &json!({}));
    assert_eq!(world.try_refresh(&person).code(), "auth.ended");
    assert_ne!(world.act(&person, "whoami", &json!({})).status, 200);
    assert_eq!(world.show(&person)["account"]["id"], "mona");
}

#[test]
fn a_service_account_signs_for_its_token() {
    let world = World::start();
    let (private, public) = key_pair();
    let account = json!({
        "type": "service_account", "client_email": "robot@acme.example", "private_key_id": "k1", "private_key": private,
    });
    world.idp.post(
        "service-account",
        &json!({"iss": "robot@acme.example", "public_key": public}),
    );
    let early = world.draft("early", "assertion");
    let refused = world.try_begin(&early, &json!({}));
    assert_eq!(refused.code(), "auth.parts", "{}", refused.text());

    let body = json!({
        "name": "robot", "connector": "acme", "config": {}, "auth": "assertion",
        "secret": {"account": account.to_string()},
    });
    let created = world.api().try_post("/api/v1/connections", &body);
    assert_eq!(created.status, 201, "{}", created.text());
    let connection = created.json()["id"].as_str().expect("an id").to_owned();
    let begun = world.begin(&connection, &json!({}));
    assert_eq!(begun["kind"], "done", "{begun}");
    assert_eq!(world.show(&connection)["state"], "active");
    assert_eq!(world.idp.count("assertions"), 1);

    world.idp.post("expire", &json!({}));
    let run = github::sync(&world.api(), &connection, "items", "full");
    assert_eq!(run["counts"]["added"], 120, "{run}");
    assert_eq!(world.idp.count("assertions"), 2);

    // Another's key opens nothing.
    let (other, _) = key_pair();
    let mut stolen = account;
    stolen["private_key"] = json!(other);
    let path = format!("/api/v1/connections/{connection}/secret");
    world
        .api()
        .put(&path, &json!({"secret": {"account": stolen.to_string()}}));
    let refused = world.try_begin(&connection, &json!({}));
    assert_eq!(refused.code(), "auth.ended", "{}", refused.text());
}

/// What no recipe says: code that begins, completes, refreshes and revokes, and sees no token while it does.
#[test]
fn code_runs_a_flow_of_its_own() {
    let world = World::start();
    let connection = world.connected_by("coded", "custom", "mona");
    let shown = world.show(&connection);
    assert!(shown["credential"]["expires"].is_string(), "{shown}");
    assert_eq!(
        shown["credential"]["scopes"],
        json!(["offline_access", "items:read"]),
        "{shown}"
    );
    world.refreshes(&connection);
    assert_eq!(world.idp.count("refreshes"), 1);
    assert_eq!(world.version(&connection), 2);
    assert_eq!(world.whoami(&connection), "mona");
    let run = github::sync(&world.api(), &connection, "items", "full");
    assert_eq!(run["counts"]["added"], 120, "{run}");

    // Its token's end is seen by its refusal as well.
    world.idp.post("expire", &json!({}));
    assert_eq!(world.whoami(&connection), "mona");
    assert_eq!(world.idp.count("refreshes"), 2);

    // Gone for good is gone for good, whoever says it.
    world.idp.post("disconnect", &json!({}));
    let refused = world.try_refresh(&connection);
    assert_eq!(refused.code(), "auth.ended", "{}", refused.text());
    assert_eq!(world.show(&connection)["state"], "needs-reauth");
    assert_eq!(world.told(&connection, "needs-reauth"), 1);

    let landed = world.journey(&connection, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    let path = format!("/api/v1/connections/{connection}/revoke");
    assert_eq!(world.api().post(&path, &json!({})), json!({"vendor_told": true}));
    assert_eq!(world.idp.count("revocations"), 1);
}

/// Addresses without metadata, an app that proves itself in the body, an error in an answer of 200.
#[test]
fn a_vendor_of_its_own_mind() {
    let world = World::start();
    world.fault(&json!({"kind": "error200", "error": "bad_verification_code"}));
    let connection = world.draft("odd", "odd");
    let landed = world.journey(&connection, "mona", &json!({}));
    assert_eq!(code_on(&landed), "auth.refused", "{}", landed.text());
    let landed = world.journey(&connection, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    let requests = world.idp.get("requests");
    let token: Vec<&Value> = requests["requests"]
        .as_array()
        .expect("requests")
        .iter()
        .filter(|request| request["endpoint"] == "token")
        .collect();
    assert!(
        token.iter().all(|request| request["authorization"].is_null()
            && request["params"]["client_id"] == "sluice-post"
            && request["params"]["client_secret"].is_string()),
        "{token:?}"
    );
    world.refreshes(&connection);
    world.fault(&json!({"kind": "error200", "error": "token_revoked"}));
    let refused = world.try_refresh(&connection);
    assert_eq!(refused.code(), "auth.ended", "{}", refused.text());
    // Once for the first try, which failed, and once for this.
    assert_eq!(world.told(&connection, "needs-reauth"), 2);
}

#[test]
fn what_is_taken_back_here_is_taken_back_there() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    let path = format!("/api/v1/connections/{connection}/revoke");

    // A vendor that does not take it back is asked again later: the credential is kept for that.
    world.fault(&json!({"endpoint": "revocation", "kind": "500"}));
    let failed = world.api().try_post(&path, &json!({}));
    assert_eq!(failed.code(), "auth.refused", "{}", failed.text());
    assert_eq!(world.whoami(&connection), "mona");

    // Nor is one that says no by 200 (Slack's `auth.revoke`).
    world.fault(
        &json!({"endpoint": "revocation", "kind": "answer", "headers": {"content-type": "application/json"},
        "body": "{\"ok\":false,\"error\":\"invalid_auth\"}"}),
    );
    let failed = world.api().try_post(&path, &json!({}));
    assert_eq!(failed.code(), "auth.refused", "{}", failed.text());
    assert!(failed.text().contains("invalid_auth"), "{}", failed.text());
    assert_eq!(world.version(&connection), 1, "the credential is kept");

    assert_eq!(world.api().post(&path, &json!({})), json!({"vendor_told": true}));
    let shown = world.show(&connection);
    assert_eq!(shown["state"], "needs-reauth", "{shown}");
    assert!(shown["credential"].is_null(), "{shown}");
    assert!(world.idp.count("grants_revoked") >= 1);
    let refused = world.act(&connection, "whoami", &json!({}));
    assert_ne!(refused.status, 200, "{}", refused.text());
}

#[test]
fn nothing_begins_without_an_app() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let path = "/api/v1/apps/acme/oauth";
    let kept = world.api().get(path);
    assert_eq!(kept["owner"], "organization", "{kept}");
    let secret = world.idp.ready["clients"]["sluice"]["client_secret"]
        .as_str()
        .expect("a secret");
    assert!(!kept.to_string().contains(secret), "{kept}");
    assert_eq!(world.api().delete(path).status, 204);
    assert_eq!(world.api().get(path)["owner"], "nobody");
    let refused = world.try_begin(&connection, &json!({}));
    assert_eq!(refused.code(), "auth.no_app", "{}", refused.text());
    assert!(!refused.json()["hint"].is_null(), "{}", refused.text());

    let put = |body: Value| {
        let body = body.to_string();
        world.api().send("PUT", path, "application/json", body.as_bytes())
    };
    let unknown = put(json!({"parts": {"password": "x"}}));
    assert_eq!(unknown.code(), "auth.no_app", "{}", unknown.text());
    let split = put(json!({"parts": {"client_id": "a\r\nb", "client_secret": "x"}}));
    assert!(split.status >= 400, "{}", split.text());
}
