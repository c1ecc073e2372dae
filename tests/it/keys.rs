//! Keys are rotated under a real server: the work goes on, a key that is still needed cannot be left out, and a secret
//! that went in at first is still the one that the vendor gets.

use serde_json::{Value, json};

use crate::github::{self, StandIn};
use crate::server::{Server, Setup, wait_for};

const OLD: &str = "aa0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW: &str = "bb0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The master keys in the environment, the present one first.
fn with(setup: &Setup, keys: &[&'static str]) -> Setup {
    let mut set = vec![
        ("KEY_OLD", OLD.to_owned()),
        ("KEY_NEW", NEW.to_owned()),
        ("SLUICE_DATA__MASTER_KEY", format!("{{ env = \"{}\" }}", keys[0])),
    ];
    if let Some(previous) = keys.get(1) {
        let name = "SLUICE_DATA__PREVIOUS_MASTER_KEYS";
        set.push((name, format!("[{{ env = \"{previous}\" }}]")));
    }
    Setup { set, ..setup.clone() }
}

/// Waits until nothing is under a previous master key.
fn settled(server: &Server) -> Value {
    let api = server.api();
    wait_for("the end of the rotation", || {
        let keys = api.get("/api/v1/keys/master");
        (keys["left"] == 0).then_some(keys)
    })
}

fn is_refused(server: &mut Server, code: &str) {
    assert!(server.launch().is_err(), "it started");
    let log = server.log();
    assert!(
        log.contains(code) || log.contains("master key"),
        "it does not say why:\n{log}"
    );
}

#[test]
fn keys_are_rotated_while_the_work_goes_on() {
    let stand_in = StandIn::with_issues(30);
    let setup = stand_in.setup();
    let mut server = Server::start(&with(&setup, &["KEY_OLD"]));
    let connection = github::ready(&server);
    let works = |server: &Server| {
        let api = server.api();
        let report = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
        assert_eq!(report["ok"], true, "{report}");
    };

    // The organization's key, with the server under way and then killed.
    let rotated = server.cli(&["--json", "secret", "rotate-key"]);
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let key: Value = serde_json::from_str(&rotated.out).unwrap();
    assert_eq!((&key["version"], &key["left"]), (&json!(2), &json!(0)));
    server.restart();
    works(&server);
    let listed = server.cli(&["--json", "secret", "list", github::NAME]);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    let item = &listed["items"][0];
    assert_eq!(
        (&item["kind"], &item["key_version"]),
        (&json!("credential"), &json!(2))
    );
    assert_eq!(item["used_by"], json!([github::NAME]));
    assert!(item["last_used"].is_string() && item["obtained"].is_string());
    assert!(!listed.to_string().contains(vendor::TOKEN));

    // The master key: not with the new one alone, and then for good.
    server.stop();
    server.configure(&with(&setup, &["KEY_NEW"]));
    is_refused(&mut server, "key.wrong");
    server.configure(&with(&setup, &["KEY_NEW", "KEY_OLD"]));
    server.run();
    works(&server);
    assert_eq!(settled(&server)["previous"], 1);
    let doctor = server.cli(&["doctor"]);
    assert!(doctor.out.contains("can be removed"), "{doctor:?}");
    server.kill();
    assert!(server.log().contains("data.previous_master_keys can be removed"));
    server.configure(&with(&setup, &["KEY_OLD"]));
    is_refused(&mut server, "key.wrong");
    server.configure(&with(&setup, &["KEY_NEW"]));
    server.run();
    works(&server);
}
