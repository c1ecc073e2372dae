//! Google's connector as it is shipped, with its own recipe, at Google's own hosts: an OpenID provider stands where they are, and its
//! metadata names its addresses on the hosts where Google has them.

use serde_json::{Value, json};

use super::{World, code_on, title};
use crate::counterpart::{Counterpart, Judge, run_node};
use crate::github;
use crate::package;
use crate::server::{Place, Server, Setup};

const ISSUER: &str = "https://accounts.google.com";
const HOSTS: [&str; 4] = [
    "accounts.google.com",
    "oauth2.googleapis.com",
    "openidconnect.googleapis.com",
    "www.googleapis.com",
];
const SCOPES: [&str; 2] = [
    "https://www.googleapis.com/auth/calendar.readonly",
    "https://www.googleapis.com/auth/drive.metadata.readonly",
];

fn start() -> World {
    let events = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugins/google/fixtures/events.json"
    );
    let answer = format!("/calendar/v3/calendars/primary/events={events}");
    let mut words = vec!["--issuer", ISSUER, "--answer", &answer];
    for host in &HOSTS[1..] {
        words.extend(["--host", host]);
    }
    for scope in SCOPES {
        words.extend(["--scope", scope]);
    }
    for route in [
        "authorization=/o/oauth2/v2/auth",
        "token=/token",
        "revocation=/revoke",
        "jwks=/oauth2/v3/certs",
        "userinfo=/v1/userinfo",
    ] {
        words.extend(["--route", route]);
    }
    let idp = Counterpart::node("oidc/main.mjs", &words);
    let place = |host: &&str| Place {
        host: (*host).to_owned(),
        address: idp.address(),
        ca: idp.authority().to_owned(),
    };
    let server = Server::start(&Setup {
        places: HOSTS.iter().map(place).collect(),
        ..Setup::default()
    });
    let at = format!("accounts.google.com={}", idp.address());
    let ca = idp.ready["ca_file"].as_str().expect("a file").to_owned();
    let person = Judge::node("browser/walk.mjs", &["--at", &at, "--ca", &ca]);
    let world = World { idp, person, server };
    let file = std::fs::read(package::file("google", "plugins/google")).expect("read the connector");
    github::install(&world.api(), &file);
    let app = &world.idp.ready["clients"]["sluice-post"];
    let parts = json!({"client_id": app["client_id"], "client_secret": app["client_secret"]});
    let kept = world
        .api()
        .put("/api/v1/apps/google/oauth", &json!({"parts": parts}));
    world.idp.post(
        "client",
        &json!({"client_id": "sluice-post", "redirect_uris": [kept["callback_url"]]}),
    );
    // As https://accounts.google.com/.well-known/openid-configuration has them.
    world.fault(&json!({"endpoint": "discovery", "kind": "fields", "fields": {
        "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
        "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
        "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
    }}));
    world
}

fn draft(world: &World, name: &str) -> String {
    let body = json!({"name": name, "connector": "google", "config": {}, "auth": "oauth"});
    let created = world.api().try_post("/api/v1/connections", &body);
    assert_eq!(created.status, 201, "{}", created.text());
    created.json()["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_person_connects_a_google_account_in_a_browser() {
    let world = start();
    let connection = draft(&world, "work");
    let link = world.begin(&connection, &json!({}));
    let map = format!("accounts.google.com={}", world.idp.address());
    let ca = world.idp.ready["ca_file"].as_str().expect("a file");
    let url = link["url"].as_str().expect("a link");
    let seen = run_node(
        "browser/consent.mjs",
        &[
            url,
            "--click",
            "button[type=submit]",
            "--ca",
            ca,
            "--map",
            &map,
            "--allow",
            "--user",
            "mona",
        ],
    );
    assert_eq!(seen["title"], "Connected", "{seen}");
    let shown = world.show(&connection);
    assert_eq!(shown["state"], "active", "{shown}");
    assert_eq!(
        (&shown["account"]["id"], &shown["account"]["name"]),
        (&json!("mona"), &json!("mona@acme.example")),
        "{shown}"
    );
    let given = shown["credential"]["scopes"].as_array().expect("scopes");
    for scope in SCOPES {
        assert!(given.contains(&json!(scope)), "{scope}: {shown}");
    }

    let requests = world.idp.get("requests");
    let requests = requests["requests"].as_array().expect("requests");
    let of = |endpoint: &str| -> Vec<&Value> {
        let found = requests.iter().filter(|request| request["endpoint"] == endpoint);
        found.collect()
    };
    let asked = &of("authorization")[0]["params"];
    for (name, value) in [
        ("access_type", "offline"),
        ("prompt", "consent"),
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[name], value, "{asked}");
    }
    assert!(asked["nonce"].is_string(), "{asked}");
    let token = of("token");
    assert_eq!(token.len(), 1, "{token:?}");
    assert!(token[0]["authorization"].is_null() && token[0]["params"]["client_secret"].is_string());
    assert_eq!(of("jwks").len(), 1, "the ID token was checked against the keys");

    // Its events are read with the token, also after its end.
    let run = github::sync(&world.api(), &connection, "events", "full");
    assert_eq!(run["state"], "succeeded", "{run}");
    // One that is there, one that is cancelled, and an exception of a series.
    assert_eq!(run["counts"]["received"], 3, "{run}");
    assert_eq!(run["counts"]["quarantined"], 0, "{run}");
    world.idp.post("expire", &json!({}));
    let test = world
        .api()
        .post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    assert_eq!(test["ok"], true, "{test}");
    assert_eq!(world.idp.count("refreshes"), 1);
    assert_eq!(world.version(&connection), 2);

    let removed = world
        .api()
        .delete(&format!("/api/v1/connections/{connection}?keep_data=true"));
    assert_eq!(removed.json()["vendor_told"], true, "{}", removed.text());
    assert!(world.idp.count("grants_revoked") >= 1);
}

/// OpenID Connect Core 1.0 §3.1.3.7: an ID token that is not this app's, of this flow, signed by Google, now, connects nobody.
#[test]
fn no_other_id_token_connects_a_google_account() {
    let world = start();
    let first = draft(&world, "first");
    let landed = world.journey(&first, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    let issued = world.idp.get("issued");
    let good = issued["issued"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["kind"] == "id_token")
        .and_then(|one| one["value"].as_str())
        .expect("an ID token")
        .to_owned();
    let parts: Vec<&str> = good.split('.').collect();
    let encoded = |value: Value| data_encoding::BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let claims =
        json!({"iss": ISSUER, "sub": "mona", "aud": "sluice-post", "exp": 9_999_999_999_u64, "iat": 1});
    let mut turned = parts[2].to_owned();
    let last = if turned.ends_with('A') { 'Q' } else { 'A' };
    turned.replace_range(turned.len() - 1.., "");
    turned.insert(0, last);

    let connection = draft(&world, "second");
    for (what, token) in [
        ("none", Value::Null),
        ("another flow's", json!(good)),
        (
            "an unsigned one",
            json!(format!(
                "{}.{}.",
                encoded(json!({"alg": "none"})),
                encoded(claims.clone())
            )),
        ),
        (
            "other claims under the same signature",
            json!(format!("{}.{}.{}", parts[0], encoded(claims.clone()), parts[2])),
        ),
        (
            "a broken signature",
            json!(format!("{}.{}.{turned}", parts[0], parts[1])),
        ),
        (
            "one signed with the app's secret",
            json!(format!(
                "{}.{}.{}",
                encoded(json!({"alg": "HS256"})),
                encoded(claims),
                parts[2]
            )),
        ),
        ("no token at all", json!("mona")),
    ] {
        world.fault(&json!({"kind": "fields", "fields": {"id_token": token}}));
        let landed = world.journey(&connection, "mona", &json!({}));
        assert_eq!(code_on(&landed), "auth.id_token", "{what}: {}", landed.text());
        assert!(world.show(&connection)["credential"].is_null(), "{what}");
    }
    let landed = world.journey(&connection, "mona", &json!({}));
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
}
