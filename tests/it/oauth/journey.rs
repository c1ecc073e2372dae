//! The journey of a person, in a real browser.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use super::{World, code_on, title};
use crate::counterpart::run_node;
use crate::github;

/// A person with a browser: opens the link, presses our button, and decides at the vendor.
fn browse(world: &World, link: &Value, words: &[&str]) -> Value {
    let map = format!("id.acme.example={}", world.idp.address());
    let ca = world.idp.ready["ca_file"].as_str().expect("a file");
    let url = link["url"].as_str().expect("a link");
    let mut all = vec![url, "--click", "button[type=submit]", "--ca", ca, "--map", &map];
    all.extend_from_slice(words);
    run_node("browser/consent.mjs", &all)
}

#[test]
fn a_person_connects_an_account_and_it_syncs() {
    let world = World::start();
    let api = world.api();
    let connection = world.draft("work", "oauth");
    assert_eq!(world.show(&connection)["state"], "draft");
    let link = world.begin(&connection, &json!({}));
    assert_eq!(link["kind"], "link", "{link}");
    assert_eq!(world.show(&connection)["state"], "authorizing");
    assert_eq!(world.status(&connection, &link)["step"], "waiting");

    let seen = browse(&world, &link, &["--allow", "--user", "mona"]);
    assert_eq!(seen["title"], "Connected", "{seen}");
    let text = seen["text"].as_str().expect("a text");
    assert!(text.contains("Mona of Acme"), "{text}");
    let status = world.status(&connection, &link);
    assert_eq!(status["step"], "done", "{status}");

    let shown = world.show(&connection);
    assert_eq!(shown["state"], "active", "{shown}");
    assert_eq!(
        (&shown["account"]["id"], &shown["account"]["name"], &shown["auth"]),
        (&json!("mona"), &json!("Mona of Acme"), &json!("oauth")),
        "{shown}"
    );
    let credential = &shown["credential"];
    assert_eq!(credential["version"], 1, "{shown}");
    for known in ["obtained", "expires", "refresh_due"] {
        assert!(credential[known].is_string(), "{known}: {shown}");
    }
    assert!(
        credential["refresh_due"].as_str() < credential["expires"].as_str(),
        "{shown}"
    );
    let scopes = credential["scopes"].as_array().expect("scopes");
    assert!(scopes.contains(&json!("items:read")), "{shown}");
    assert_eq!(world.idp.count("code_exchanges"), 1);

    let requests = world.idp.get("requests");
    let requests = requests["requests"].as_array().expect("requests");
    let begun = requests
        .iter()
        .find(|request| request["endpoint"] == "authorization");
    let asked = &begun.expect("a person came")["params"];
    assert_eq!(asked["code_challenge_method"], "S256", "{asked}");
    assert!(
        asked["state"].as_str().is_some_and(|state| state.len() >= 43),
        "{asked}"
    );

    let run = github::sync(&api, &connection, "items", "full");
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(run["counts"]["added"], 120, "{run}");
    assert!(
        world.show(&connection)["credential"]["last_used"].is_string(),
        "its last use is known"
    );
}

#[test]
fn a_person_who_says_no_is_believed() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let link = world.begin(&connection, &json!({}));
    let seen = browse(&world, &link, &["--deny", "--user", "mona"]);
    assert_eq!(seen["title"], "Not connected", "{seen}");
    let text = seen["text"].as_str().expect("a text");
    assert!(text.contains("auth.denied"), "{text}");
    assert!(text.to_lowercase().contains("permission"), "{text}");

    let status = world.status(&connection, &link);
    assert_eq!(
        (&status["step"], &status["error"]["code"]),
        (&json!("failed"), &json!("auth.denied")),
        "{status}"
    );
    let shown = world.show(&connection);
    assert_eq!(shown["state"], "needs-reauth", "{shown}");
    assert!(shown["credential"].is_null(), "nothing is kept: {shown}");
    assert_eq!(world.idp.count("token_requests"), 0);
    assert_eq!(world.told(&connection, "needs-reauth"), 1);

    // And may change their mind.
    let landed = world.journey(&connection, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    assert_eq!(world.show(&connection)["state"], "active");
}

#[test]
fn a_scope_that_was_not_given_is_not_claimed() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let asked = json!({"scopes": ["openid", "offline_access", "items:read", "items:write"]});
    let link = world.begin(&connection, &asked);
    let seen = browse(
        &world,
        &link,
        &["--allow", "--user", "mona", "--without", "items:write"],
    );
    assert_eq!(seen["title"], "Connected", "{seen}");
    let shown = world.show(&connection);
    let scopes = shown["credential"]["scopes"].as_array().expect("scopes");
    assert!(scopes.contains(&json!("items:read")), "{shown}");
    assert!(!scopes.contains(&json!("items:write")), "{shown}");

    let refused = world.try_begin(&connection, &json!({"scopes": ["admin:everything"]}));
    assert_eq!(refused.code(), "auth.scope", "{}", refused.text());
}

/// A command that waits on this machine is told how it went; nobody else is.
#[test]
fn the_browser_returns_to_its_own_machine_only() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let waiting = TcpListener::bind(("127.0.0.1", 0)).expect("listen");
    let to = format!(
        "http://{}/done?from=here",
        waiting.local_addr().expect("an address")
    );
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = waiting.accept().expect("a browser");
        let mut head = [0; 4096];
        let read = stream.read(&mut head).expect("a request");
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: 24\r\n\r\n<title>Back here</title>";
        stream.write_all(answer.as_bytes()).expect("answer");
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    let link = world.begin(&connection, &json!({"return_to": to}));
    let seen = browse(&world, &link, &["--allow", "--user", "mona"]);
    assert_eq!(seen["title"], "Back here", "{seen}");
    let asked = serving.join().expect("served");
    let line = asked.lines().next().unwrap_or_default().to_owned();
    assert!(
        line.starts_with("GET /done?from=here&connection=work&outcome=ok "),
        "{line}"
    );

    let link = world.begin(&connection, &json!({"return_to": to}));
    let followed = world.follow(&link);
    let callback = world.answers(&followed.location, "mona", false);
    let landed = world.land(&callback, &followed.cookie);
    assert_eq!(landed.status, 303, "{}", landed.text());
    let location = landed.header("location").expect("a location");
    assert!(location.ends_with("&outcome=auth.denied"), "{location}");

    for to in [
        "https://evil.example/",
        "//evil.example",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1@evil.example/",
        "http://evil.example#@127.0.0.1/",
        "http://2130706433.evil.example/",
        "http://[::ffff:198.51.100.7]/",
        "http://localhost.evil.example/",
        "javascript:alert(1)",
        "/relative",
        "\\\\evil.example",
        "http://127.0.0.1\r\nlocation: https://evil.example/",
        "",
    ] {
        let refused = world.try_begin(&connection, &json!({"return_to": to}));
        assert_eq!(refused.code(), "auth.return_to", "{to}: {}", refused.text());
    }
}

/// The same for a person without a button of ours, and for a link that was looked at before: programs preview links.
#[test]
fn looking_at_a_link_uses_nothing_up() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let link = world.begin(&connection, &json!({}));
    let path = super::path_of(link["url"].as_str().expect("a link"));
    for _ in 0..3 {
        let looked = crate::server::http::request(world.api().address, "GET", &path, &[], b"");
        let looked = looked.expect("look");
        assert_eq!(looked.status, 200, "{}", looked.text());
        assert!(looked.header("set-cookie").is_none());
        assert!(looked.text().contains("work"), "{}", looked.text());
        assert!(looked.text().contains("type=\"submit\""), "{}", looked.text());
    }
    let followed = world.follow(&link);
    let callback = world.answers(&followed.location, "mona", true);
    assert_eq!(title(&world.land(&callback, &followed.cookie)), "Connected");
    let again = crate::server::http::request(world.api().address, "GET", &path, &[], b"").expect("look");
    assert_eq!(code_on(&again), "auth.used", "{}", again.text());
}
