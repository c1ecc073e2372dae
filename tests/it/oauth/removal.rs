//! The end of a connection: the vendor is told as far as it listens, the credential and the storage go, the records go or stay
//! as their owner says, and nothing comes back.

use serde_json::{Value, json};

use super::World;
use super::canary::Needles;
use crate::github;
use crate::server::wait_for;

fn path(connection: &str) -> String {
    format!("/api/v1/connections/{connection}")
}

/// The one event that tells of the removal.
fn told(world: &World, connection: &str) -> Value {
    let events = world.api().feed("/api/v1/events?kind=sluice.connection.removed");
    let mut of: Vec<Value> = events
        .into_iter()
        .filter(|event| event["subject"] == connection)
        .collect();
    assert_eq!(of.len(), 1, "{of:?}");
    of.remove(0)["data"].clone()
}

#[test]
fn what_is_kept_is_the_records_alone() {
    let mut world = World::start();
    let connection = world.connected("work", "mona");
    let run = github::sync(&world.api(), &connection, "items", "full");
    assert_eq!(run["counts"]["added"], 120, "{run}");
    let kept = world.acts(&connection, "steal", &json!({"how": "storage"}));
    assert!(
        kept["kept"].is_string(),
        "there is something in its storage: {kept}"
    );

    let address = format!("{}?keep_data=true", path(&connection));
    let removed = world.api().delete(&address);
    assert_eq!(removed.status, 200, "{}", removed.text());
    assert_eq!(
        removed.json(),
        json!({"id": connection, "data_kept": true, "vendor_told": true})
    );
    assert_eq!(world.idp.count("revocations"), 1);
    assert!(world.idp.count("grants_revoked") >= 1);
    let event = told(&world, &connection);
    assert_eq!(
        (&event["name"], &event["data_kept"], &event["vendor_told"]),
        (&json!("work"), &json!(true), &json!(true)),
        "{event}"
    );

    for restarted in [false, true] {
        if restarted {
            world.restart();
        }
        let api = world.api();
        let records = api.feed(&format!("{}/records", path(&connection)));
        assert_eq!(records.len(), 120);
        let latest = api.all(&format!("{}/records?stream=items&latest=true", path(&connection)));
        assert_eq!(latest.len(), 120);
        let one = api.get(&format!("{}/records/items/item-7", path(&connection)));
        assert_eq!(one["data"]["name"], "Item 7", "{one}");
        let counts = api.get(&format!("{}/streams", path(&connection)));
        assert_eq!(counts["items"][0]["records"], 120, "{counts}");
        let stones = api.all("/api/v1/tombstones");
        let stone = stones.iter().find(|stone| stone["id"] == connection.as_str());
        let stone = stone.expect("a tombstone");
        assert_eq!(
            (&stone["name"], &stone["data_kept"]),
            (&json!("work"), &json!(true))
        );

        // Nothing else of it is there, and nothing brings it back.
        let get = |path: &str| api.send("GET", path, "application/json", b"");
        assert_eq!(get(&path(&connection)).code(), "connection.not_found");
        for (action, body) in [
            ("test", json!({})),
            ("refresh", json!({})),
            ("revoke", json!({})),
            ("resume", json!({})),
            ("authorizations", json!({})),
            ("actions/whoami", json!({})),
            ("sync", json!({"streams": ["items"], "mode": "full"})),
        ] {
            let refused = api.try_post(&format!("{}/{action}", path(&connection)), &body);
            assert_eq!(
                refused.code(),
                "connection.not_found",
                "{action}: {}",
                refused.text()
            );
        }
        let secrets = api.all("/api/v1/secrets");
        assert!(
            !json!(secrets).to_string().contains(&connection),
            "its credential is gone: {secrets:?}"
        );
        let again = api.delete(&address);
        assert_eq!(again.code(), "connection.not_found", "{}", again.text());
    }

    // The command line reads them too, by the name that it had.
    for name in ["work", connection.as_str()] {
        let exported = world.server.cli(&["connection", "export", name]);
        assert_eq!(exported.code, Some(0), "{exported:?}");
        assert_eq!(exported.out.lines().count(), 120);
    }
    let listed = world.server.cli(&["connection", "list", "--removed"]);
    assert!(listed.out.contains(&connection), "{listed:?}");

    // The name is free; whoever has it now has nothing of the other.
    let next = world.connected("work", "mona");
    assert!(world.api().feed(&format!("{}/records", path(&next))).is_empty());

    let deleted = world.server.cli(&["connection", "remove", &connection, "--yes"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    let gone = world.api().send(
        "GET",
        &format!("{}/records", path(&connection)),
        "application/json",
        b"",
    );
    assert_eq!(gone.code(), "connection.not_found", "{}", gone.text());
    let again = world.api().delete(&path(&connection));
    assert_eq!(again.code(), "connection.not_found", "{}", again.text());
    assert_eq!(world.show(&next)["state"], "active");
    let stones = world.api().all("/api/v1/tombstones");
    assert_eq!(stones[0]["data_kept"], false, "{stones:?}");
}

#[test]
fn without_a_word_everything_goes() {
    let mut world = World::start();
    let connection = world.connected("work", "mona");
    github::sync(&world.api(), &connection, "items", "full");
    let needles = Needles::of(&world, &[]);
    let removed = world
        .server
        .cli(&["connection", "remove", "work", "--yes", "--json"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert_eq!(told(&world, &connection)["data_kept"], false);
    for restarted in [false, true] {
        if restarted {
            world.restart();
        }
        for rest in ["", "/records", "/streams", "/records/items/item-7"] {
            let path = format!("{}{rest}", path(&connection));
            let gone = world.api().send("GET", &path, "application/json", b"");
            assert_eq!(gone.code(), "connection.not_found", "{path}: {}", gone.text());
        }
    }
    let events = json!(world.api().all("/api/v1/events")).to_string();
    needles.assert_absent("the events", events.as_bytes());
    needles.assert_absent("the answer", removed.out.as_bytes());
}

/// Whatever the vendor does, the connection goes; what it did is told.
#[test]
fn no_vendor_keeps_a_connection() {
    let world = World::start();
    let plain = json!({"content-type": "application/json"});
    for (name, fault, code) in [
        ("down", json!({"kind": "500"}), "auth.refused"),
        // It says that nothing was revoked, by 200.
        (
            "lying",
            json!({"kind": "answer", "headers": plain, "body": "{\"error\":\"invalid_auth\"}"}),
            "auth.refused",
        ),
        ("silent", json!({"kind": "hold"}), "egress.timeout"),
    ] {
        let connection = world.connected(name, "mona");
        let mut fault = fault;
        fault["endpoint"] = json!("revocation");
        world.fault(&fault);
        let removed = world.api().delete(&path(&connection));
        assert_eq!(removed.status, 200, "{name}: {}", removed.text());
        let removed = removed.json();
        assert_eq!(removed["vendor_told"], false, "{name}: {removed}");
        assert_eq!(removed["error"]["code"], code, "{name}: {removed}");
        let event = told(&world, &connection);
        assert_eq!(
            (&event["vendor_told"], &event["code"]),
            (&json!(false), &json!(code)),
            "{event}"
        );
        let gone = world
            .api()
            .send("GET", &path(&connection), "application/json", b"");
        assert_eq!(gone.status, 404, "{name}: {}", gone.text());
        world.idp.post("reset", &json!({}));
    }
}

/// Code revokes as well; a key that a person gave is theirs to revoke.
#[test]
fn who_has_nobody_to_tell_says_so() {
    let world = World::start();
    let coded = world.connected_by("coded", "custom", "mona");
    let removed = world.api().delete(&path(&coded)).json();
    assert_eq!(removed["vendor_told"], true, "{removed}");
    assert_eq!(world.idp.count("revocations"), 1);

    let draft = world.draft("draft", "oauth");
    let removed = world.api().delete(&path(&draft)).json();
    assert_eq!(
        removed,
        json!({"id": draft, "data_kept": false, "vendor_told": false})
    );
    assert_eq!(
        world.idp.count("revocations"),
        1,
        "there was nothing to give back"
    );
}

/// A token that comes for a connection that is gone belongs to nobody: it is given back too.
#[test]
fn a_token_that_comes_too_late_is_given_back() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    world.fault(&json!({"kind": "hold_answer", "grant_type": "refresh_token"}));
    let (api, refresh) = (world.api(), format!("{}/refresh", path(&connection)));
    let aside = std::thread::spawn(move || api.try_post(&refresh, &json!({})));
    wait_for("the refresh to be at the vendor", || {
        (world.idp.count("held") == 1).then_some(())
    });
    assert_eq!(world.api().delete(&path(&connection)).status, 200);
    assert_eq!(world.idp.count("revocations"), 1);
    world.idp.post("release", &json!({}));
    assert_eq!(aside.join().expect("an answer").status, 404);
    assert_eq!(world.idp.count("revocations"), 2, "the new one as well");
    assert!(world.api().all("/api/v1/connections").is_empty());
}
