//! What token endpoints answer when they are not well (THREATS O06): a typed error, the tokens that are there kept and used while they
//! live, and another try that goes well as soon as the vendor is well.

use serde_json::{Value, json};

use super::{World, code_on, title};
use crate::server::{Answer, wait_for};

/// A refresh that is answered so; a failure of a moment ago is waited out.
fn refreshed_under(world: &World, connection: &str, fault: &Value) -> Answer {
    wait_for("the vendor to be asked", || {
        world.idp.post("reset", &json!({}));
        world.fault(fault);
        let answer = world.try_refresh(connection);
        (world.idp.count("faults") > 0).then_some(answer)
    })
}

/// The vendor's failure came before it changed anything.
#[test]
fn a_failure_that_passes_costs_nothing() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    let huge = [
        "auth.bad_answer",
        "response.too_large",
        "egress.too_large",
        "http.too_large",
    ];
    for (fault, codes) in [
        (json!({"kind": "html"}), &["auth.bad_answer"][..]),
        (json!({"kind": "500"}), &["auth.bad_answer", "auth.refused"]),
        (json!({"kind": "empty"}), &["auth.bad_answer"]),
        (
            json!({"kind": "error200", "error": "temporarily_unavailable"}),
            &["auth.refused"],
        ),
        (json!({"kind": "401"}), &["auth.refused"]),
        (json!({"kind": "huge"}), &huge),
        (
            json!({"kind": "redirect", "location": "https://evil.example/"}),
            &[],
        ),
        (
            json!({"kind": "redirect", "location": "https://other.acme.example/token"}),
            &[],
        ),
        (
            json!({"kind": "redirect", "location": "https://id.acme.example/token"}),
            &[],
        ),
        (json!({"kind": "drop", "times": 5}), &[]),
        (
            json!({"kind": "answer", "status": 200, "body": "[1,2]"}),
            &["auth.bad_answer"],
        ),
        (
            json!({"kind": "answer", "status": 200, "body": "{\"access_token\":{\"a\":1}}"}),
            &["auth.bad_answer"],
        ),
        (
            json!({"kind": "answer", "status": 200, "headers": {"content-type": "application/json"},
                   "body": "{\"access_token\":\"a\\r\\nx-injected: 1\"}"}),
            &["auth.bad_answer"],
        ),
    ] {
        let before = world.version(&connection);
        let failed = refreshed_under(&world, &connection, &fault);
        assert!(failed.status >= 400, "{fault}: {}", failed.text());
        let code = failed.code();
        assert!(
            codes.is_empty() || codes.contains(&code.as_str()),
            "{fault}: {}",
            failed.text()
        );
        assert!(
            !code.is_empty() && code != "internal",
            "{fault}: {}",
            failed.text()
        );
        assert_eq!(world.version(&connection), before, "{fault}");
        assert_eq!(world.whoami(&connection), "mona", "{fault}: the old token serves");
        assert_eq!(world.show(&connection)["state"], "active", "{fault}");
        world.idp.post("reset", &json!({}));
    }
    world.refreshes(&connection);
    assert_eq!(world.idp.count("reuse_detections"), 0);
    assert_eq!(world.told(&connection, "needs-reauth"), 0);
    assert_eq!(world.whoami(&connection), "mona");
}

/// A time that nobody can believe (THREATS O06): the token that came with it is not used, the one before it is, and what brings
/// the next one is kept, since the one before it is used up. Whoever looks sees it, and it is told once.
#[test]
fn a_strange_lifetime_is_refused_and_loses_no_account() {
    let world = World::start();
    for (scheme, kinds) in [
        (
            "oauth",
            &["negative_expiry", "nonsense_expiry", "vast_expiry"][..],
        ),
        ("custom", &["negative_expiry"]),
    ] {
        let connection = world.connected_by(scheme, scheme, "mona");
        let expires = world.show(&connection)["credential"]["expires"].clone();
        for (number, kind) in kinds.iter().enumerate() {
            let before = world.version(&connection);
            for again in 0..2 {
                let failed = refreshed_under(&world, &connection, &json!({"kind": kind}));
                assert_eq!(failed.code(), "auth.lifetime", "{kind}: {}", failed.text());
                assert_eq!(
                    world.version(&connection),
                    before + 1 + again,
                    "{kind}: the next refresh token"
                );
                let shown = world.show(&connection);
                assert_eq!(shown["state"], "degraded", "{kind}: {shown}");
                assert_eq!(shown["error"]["code"], "auth.lifetime", "{kind}: {shown}");
                assert_eq!(
                    world.told(&connection, "degraded"),
                    number + 1,
                    "{kind}: it is told once"
                );
                assert_eq!(world.whoami(&connection), "mona", "{kind}: the old token serves");
            }
            if number == 0 {
                let shown = world.show(&connection);
                assert_eq!(shown["credential"]["expires"], expires, "{kind}: {shown}");
            }
            // The vendor is well again: what was kept brings a token, and none was used twice.
            world.refreshes(&connection);
            let shown = world.show(&connection);
            assert_eq!(shown["state"], "active", "{kind}: {shown}");
            assert!(shown["error"].is_null(), "{kind}: {shown}");
            assert_eq!(world.idp.count("reuse_detections"), 0, "{kind}");
            assert_eq!(world.whoami(&connection), "mona", "{kind}");
        }
        assert_eq!(world.told(&connection, "needs-reauth"), 0);
    }
}

/// What vendors write instead of a number: a text of digits, or nothing.
#[test]
fn an_unusual_lifetime_is_read() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    for (kind, known) in [("string_expiry", true), ("no_expiry", false)] {
        let answer = refreshed_under(&world, &connection, &json!({"kind": kind}));
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
        let shown = world.show(&connection);
        assert_eq!(
            shown["credential"]["expires"].is_string(),
            known,
            "{kind}: {shown}"
        );
        world.idp.post("expire", &json!({}));
        assert_eq!(
            world.whoami(&connection),
            "mona",
            "{kind}: its end is seen by its refusal"
        );
    }
}

/// A vendor that goes on answering so, after the last good token has ended, is not asked by everybody who wants something.
#[test]
fn a_strange_lifetime_raises_no_storm() {
    let mut world = World::start();
    let connection = world.connected("work", "mona");
    world.idp.post("expire", &json!({}));
    world.fault(&json!({"kind": "negative_expiry", "times": 1000}));
    for _ in 0..40 {
        let refused = world.act(&connection, "whoami", &json!({}));
        assert_ne!(refused.status, 200, "{}", refused.text());
    }
    assert!(
        world.idp.count("refresh_requests") < 10,
        "{}",
        world.idp.count("refresh_requests")
    );
    assert_eq!(world.told(&connection, "degraded"), 1);
    // A start forgets who failed a moment ago, and neither the account nor what was told.
    world.restart();
    drop(world.act(&connection, "whoami", &json!({})));
    assert_eq!(world.told(&connection, "degraded"), 1);
    world.idp.post("reset", &json!({}));
    let told = world.told(&connection, "needs-reauth");
    world.refreshes(&connection);
    assert_eq!(world.whoami(&connection), "mona");
    assert_eq!(world.idp.count("reuse_detections"), 0);
    assert_eq!(
        world.show(&connection)["state"],
        if told == 0 { "active" } else { "needs-reauth" }
    );
}

/// A vendor that gives no new refresh token means the one before.
#[test]
fn without_a_new_refresh_token_the_old_one_stays() {
    let world = World::start();
    let connection = world.connected("work", "mona");
    let body =
        json!({"access_token": "from-nowhere", "token_type": "Bearer", "expires_in": 3600}).to_string();
    let fault = json!({"kind": "answer", "headers": {"content-type": "application/json"}, "body": body});
    let answer = refreshed_under(&world, &connection, &fault);
    assert_eq!(answer.status, 200, "{}", answer.text());
    // That token is nobody's: it is refused, and the refresh token of before brings a good one.
    assert_eq!(world.whoami(&connection), "mona");
    assert_eq!(world.idp.count("reuse_detections"), 0);
}

/// The vendor has rotated, and its answer is lost: the account can't be saved, but the owner is told, once.
#[test]
fn an_answer_that_is_lost_is_told_at_the_latest_when_it_matters() {
    let world = World::start();
    for (number, kind) in ["lost_answer", "truncated", "half_json", "no_access_token"]
        .into_iter()
        .enumerate()
    {
        let connection = world.connected(&format!("work-{number}"), "mona");
        let before = world.version(&connection);
        let failed = refreshed_under(&world, &connection, &json!({"kind": kind}));
        assert!(failed.status >= 400, "{kind}: {}", failed.text());
        assert!(!failed.code().is_empty(), "{kind}: {}", failed.text());
        assert_eq!(world.version(&connection), before, "{kind}");
        assert_eq!(world.show(&connection)["state"], "active", "{kind}");
        assert_eq!(world.whoami(&connection), "mona", "{kind}: the old token serves");
        wait_for("the vendor to be asked again", || {
            (world.try_refresh(&connection).code() == "auth.ended").then_some(())
        });
        assert_eq!(world.show(&connection)["state"], "needs-reauth", "{kind}");
        assert_eq!(world.told(&connection, "needs-reauth"), 1, "{kind}");
        let landed = world.journey(&connection, "mona", &json!({}));
        assert_eq!(title(&landed), "Connected", "{kind}: {}", landed.text());
    }
}

/// `invalid_grant` in an answer of 200 is `invalid_grant`.
#[test]
fn an_end_is_an_end_whatever_the_status() {
    let world = World::start();
    for (name, fault) in [
        ("200", json!({"kind": "error200", "error": "invalid_grant"})),
        ("400", json!({"kind": "invalid_grant"})),
    ] {
        let connection = world.connected(name, "mona");
        let failed = refreshed_under(&world, &connection, &fault);
        assert_eq!(failed.code(), "auth.ended", "{}", failed.text());
        assert_eq!(world.show(&connection)["state"], "needs-reauth");
        assert_eq!(world.told(&connection, "needs-reauth"), 1);
    }
}

/// The same for the first token: nothing is kept, the person is told, and may try again.
#[test]
fn a_first_token_that_is_none_is_not_kept() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    for (fault, code) in [
        // First, because keys that were read once are kept.
        (json!({"endpoint": "jwks", "kind": "html"}), "auth.bad_answer"),
        (json!({"kind": "html"}), "auth.bad_answer"),
        (json!({"kind": "half_json"}), "auth.bad_answer"),
        (json!({"kind": "no_access_token"}), "auth.bad_answer"),
        (
            json!({"kind": "error200", "error": "server_error", "error_description": "<script>alert(1)</script>"}),
            "auth.refused",
        ),
        (
            json!({"kind": "fields", "fields": {"id_token": null}}),
            "auth.id_token",
        ),
        (
            json!({"kind": "fields", "fields": {"id_token": "eyJhbGciOiJub25lIn0.e30."}}),
            "auth.id_token",
        ),
        (
            json!({"kind": "fields", "fields": {"access_token": "from-nowhere"}}),
            "auth.refused",
        ),
    ] {
        world.fault(&fault);
        let landed = world.journey(&connection, "mona", &json!({}));
        assert_eq!(title(&landed), "Not connected", "{fault}: {}", landed.text());
        assert_eq!(code_on(&landed), code, "{fault}: {}", landed.text());
        assert!(!landed.text().contains("<script>"), "{}", landed.text());
        assert!(world.show(&connection)["credential"].is_null(), "{fault}");
        world.idp.post("reset", &json!({}));
    }
    let landed = world.journey(&connection, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
}

/// Metadata that cannot be had, or is another's, begins nothing.
#[test]
fn metadata_of_another_is_not_believed() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let other = json!({
        "issuer": "https://other.acme.example", "authorization_endpoint": "https://other.acme.example/authorize",
        "token_endpoint": "https://other.acme.example/token", "code_challenge_methods_supported": ["S256"],
    });
    let weak = json!({
        "issuer": super::ISSUER, "authorization_endpoint": "https://id.acme.example/authorize",
        "token_endpoint": "https://id.acme.example/token", "code_challenge_methods_supported": ["plain"],
    });
    for (body, code) in [(other, "auth.issuer"), (weak, "auth.pkce")] {
        let fault = json!({"endpoint": "discovery", "kind": "answer", "headers": {"content-type": "application/json"},
            "body": body.to_string()});
        world.fault(&fault);
        // What was refused is not remembered: the next is asked for anew.
        let refused = world.try_follow(&world.begin(&connection, &json!({})));
        assert_eq!(code_on(&refused), code, "{}", refused.text());
    }
}

/// Metadata names addresses, the manifest says where they may be: an app's secret does not follow to another host.
#[test]
fn metadata_leads_to_no_other_host() {
    let world = World::start();
    let connection = world.draft("work", "oauth");
    let fields = json!({
        "token_endpoint": "https://other.acme.example/token", "jwks_uri": "https://other.acme.example/jwks",
        "revocation_endpoint": "https://other.acme.example/revoke",
    });
    world.fault(&json!({"endpoint": "discovery", "kind": "fields", "fields": fields}));
    let landed = world.journey(&connection, "mona", &json!({}));
    assert_eq!(code_on(&landed), "auth.bad_answer", "{}", landed.text());
    assert_eq!(
        world.idp.count("token_requests"),
        0,
        "the code and the app's secret stay"
    );
    assert!(world.show(&connection)["credential"].is_null());
}
