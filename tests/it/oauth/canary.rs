//! Every secret that the provider handed out, and every one that was given to us, looked for wherever anybody can read: the API, the
//! command line, the log, the database (THREATS, SCAN).

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use serde_json::{Value, json};

use super::{Followed, World, key_pair, title};
use crate::github;

/// Secrets in the forms in which they could lie somewhere, found by their first bytes.
pub(super) struct Needles {
    by_start: HashMap<[u8; START], Vec<(String, Vec<u8>)>>,
}

const START: usize = 8;

impl Needles {
    /// What the provider has issued until now, its clients' secrets, and more.
    pub(super) fn of(world: &World, more: &[(&str, &str)]) -> Self {
        let issued = world.idp.get("issued");
        let mut all: Vec<(String, String)> = issued["issued"]
            .as_array()
            .expect("what was issued")
            .iter()
            .map(|one| {
                let text = |name: &str| one[name].as_str().expect("a text").to_owned();
                (text("kind"), text("value"))
            })
            .collect();
        assert!(!all.is_empty(), "there is something to look for");
        for (name, client) in world.idp.ready["clients"].as_object().expect("clients") {
            if let Some(secret) = client["client_secret"].as_str() {
                all.push((format!("the secret of `{name}`"), secret.to_owned()));
            }
        }
        all.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let mut needles = Self {
            by_start: HashMap::new(),
        };
        for (name, value) in all {
            assert!(value.len() >= 20, "{name} is too short to be looked for");
            for (form, bytes) in forms(&value) {
                let start = *bytes.first_chunk::<START>().expect("a long form");
                needles
                    .by_start
                    .entry(start)
                    .or_default()
                    .push((format!("{name}, as {form}"), bytes));
            }
        }
        needles
    }

    fn found(&self, bytes: &[u8]) -> Option<&str> {
        bytes.windows(START).enumerate().find_map(|(at, window)| {
            let start: &[u8; START] = window.try_into().expect("a window");
            let candidates = self.by_start.get(start)?;
            let found = candidates
                .iter()
                .find(|(_, needle)| bytes[at..].starts_with(needle));
            found.map(|(name, _)| name.as_str())
        })
    }

    /// Each form of each.
    pub(super) fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.by_start.values().flatten().cloned().collect()
    }

    pub(super) fn assert_absent(&self, place: &str, bytes: &[u8]) {
        if let Some(name) = self.found(bytes) {
            panic!("{place} has {name}");
        }
    }

    fn assert_absent_in_files(&self, directory: &Path) -> usize {
        let mut count = 0;
        for entry in fs::read_dir(directory).expect("list the data") {
            let path = entry.expect("list the data").path();
            if path.is_dir() {
                count += self.assert_absent_in_files(&path);
            } else {
                let bytes = fs::read(&path).expect("read the data");
                self.assert_absent(&path.display().to_string(), &bytes);
                count += 1;
            }
        }
        count
    }
}

fn forms(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = value.as_bytes();
    let percent: String = bytes
        .iter()
        .map(
            |byte| match byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
                true => char::from(*byte).to_string(),
                false => format!("%{byte:02X}"),
            },
        )
        .collect();
    let mut forms = vec![
        ("it is", bytes.to_vec()),
        // What a text that was cut at its beginning still has.
        ("its end", bytes[bytes.len() - 16..].to_vec()),
        ("hex", HEXLOWER.encode(bytes).into_bytes()),
        ("upper-case hex", HEXUPPER.encode(bytes).into_bytes()),
        ("percent", percent.into_bytes()),
        (
            "JSON",
            json!(value).to_string().trim_matches('"').as_bytes().to_vec(),
        ),
        (
            "a list of bytes",
            format!("{bytes:?}").trim_matches(['[', ']']).as_bytes().to_vec(),
        ),
    ];
    for shift in 0..3 {
        let shifted = [&b"\0\0"[..shift], bytes].concat();
        for encoding in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
            let text = encoding.encode(&shifted);
            forms.push(("base64", text.as_bytes()[4..text.len() - 2].to_vec()));
        }
    }
    forms
}

/// Everything that the API and the command line tell.
fn scan(world: &World, needles: &Needles, connections: &[String]) {
    let api = world.api();
    let mut paths: Vec<String> = [
        "/metrics",
        "/api/v1/connections?limit=1000",
        "/api/v1/runs?limit=1000",
        "/api/v1/events?limit=1000",
        "/api/v1/installs",
        "/api/v1/connectors",
        "/api/v1/connectors/acme",
    ]
    .map(str::to_owned)
    .to_vec();
    for scheme in ["oauth", "odd", "machine", "custom"] {
        paths.push(format!("/api/v1/apps/acme/{scheme}"));
    }
    for connection in connections {
        for part in ["", "/streams", "/records?limit=1000", "/quarantine?stream=items"] {
            paths.push(format!("/api/v1/connections/{connection}{part}"));
        }
    }
    for run in api.all("/api/v1/runs") {
        let id = run["id"].as_str().expect("an id");
        paths.extend(["", "/trace", "/logs"].map(|part| format!("/api/v1/runs/{id}{part}")));
    }
    for path in paths {
        let answer = api.send("GET", &path, "application/json", b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        needles.assert_absent(&path, &answer.body);
    }
    for words in [
        &["connection", "show", "work"][..],
        &["--json", "connection", "list"],
        &["--json", "-v", "connection", "test", "work"],
        &["--json", "event", "list"],
        &["status"],
        &["doctor"],
    ] {
        let said = world.server.cli(words);
        needles.assert_absent(&words.join(" "), format!("{}{}", said.out, said.err).as_bytes());
    }
}

#[test]
fn no_token_can_be_read_anywhere() {
    let mut world = World::with(&[], vec![("SLUICE_LOG__FILTER", "debug".to_owned())]);
    let api = world.api();
    let mut given: Vec<(String, String)> = Vec::new();

    // A journey step by step, because its links, states and cookies are secret as well.
    let work = world.draft("work", "oauth");
    let link = world.begin(&work, &json!({}));
    let url = link["url"].as_str().expect("a link");
    given.push((
        "a link".to_owned(),
        url.rsplit('/').next().unwrap_or_default().to_owned(),
    ));
    let followed: Followed = world.follow(&link);
    given.push(("a state".to_owned(), super::param(&followed.location, "state")));
    let cookie = followed.cookie.split_once('=').expect("a cookie").1.to_owned();
    given.push(("a cookie".to_owned(), cookie));
    let callback = world.answers(&followed.location, "mona", true);
    given.push(("a code".to_owned(), super::param(&callback, "code")));
    let landed = world.land(&callback, &followed.cookie);
    assert_eq!(title(&landed), "Connected", "{}", landed.text());
    let again = world.land(&callback, &followed.cookie);
    let stray = world.land(&callback, "");

    let coded = world.connected_by("coded", "custom", "mona");
    let odd = world.connected_by("odd", "odd", "mona");
    let robot = world.draft("robot", "machine");
    world.begin(&robot, &json!({}));
    let (private, public) = key_pair();
    let lines: Vec<&str> = private.lines().collect();
    given.push(("a private key".to_owned(), lines[3].to_owned()));
    world.idp.post(
        "service-account",
        &json!({"iss": "r@acme.example", "public_key": public}),
    );
    let account =
        json!({"client_email": "r@acme.example", "private_key": private, "private_key_id": "k"}).to_string();
    let body = json!({"name": "signs", "connector": "acme", "config": {}, "auth": "assertion", "secret": {"account": account}});
    let created = api.try_post("/api/v1/connections", &body);
    assert_eq!(created.status, 201, "{}", created.text());
    let signs = created.json()["id"].as_str().expect("an id").to_owned();
    world.begin(&signs, &json!({}));
    let tv = world.draft("tv", "oauth");
    world.begin(&tv, &json!({"grant": "device-code"}));

    let mut said: Vec<(String, String)> = vec![
        ("a page".to_owned(), landed.text()),
        ("a second page".to_owned(), again.text()),
        ("a refusal".to_owned(), stray.text()),
    ];
    let all = [work, coded, odd, robot, signs, tv];
    let faults = [
        json!({"kind": "html"}),
        json!({"kind": "half_json"}),
        json!({"kind": "no_access_token"}),
        json!({"kind": "error200", "error": "invalid_request"}),
        json!({"kind": "fields", "fields": {"refresh_token": 7}}),
        json!({"endpoint": "me", "kind": "401", "times": 2}),
        json!({"endpoint": "me", "kind": "half_json"}),
    ];
    for connection in &all[..5] {
        for fault in &faults {
            world.fault(fault);
            said.push((format!("{fault}"), world.try_refresh(connection).text()));
            let acted = world.act(connection, "whoami", &json!({}));
            said.push((format!("{fault}"), acted.text()));
            world.idp.post("reset", &json!({}));
        }
        for how in ["handle", "capture", "elsewhere", "log", "storage", "fault"] {
            let stolen = world.act(
                connection,
                "steal",
                &json!({"how": how, "names": ["oauth", "custom", "odd"]}),
            );
            said.push((how.to_owned(), stolen.text()));
        }
        let started = api.try_post(
            &format!("/api/v1/connections/{connection}/sync"),
            &json!({"streams": ["items"], "mode": "full"}),
        );
        if let Some(run) = started.json()["items"][0]["id"].as_str() {
            github::ended(&api, run);
        }
    }
    // Secrets where none belongs are not repeated either.
    let secret: &Value = &world.idp.ready["clients"]["sluice"]["client_secret"];
    for (method, path, body) in [
        ("PUT", "/api/v1/apps/acme/oauth", json!({"parts": secret})),
        ("PUT", "/api/v1/apps/acme/oauth", json!({"parts": [secret]})),
        (
            "PUT",
            "/api/v1/apps/acme/oauth",
            json!({"parts": {"client_secret": [secret]}}),
        ),
        (
            "PUT",
            "/api/v1/apps/acme/nothing",
            json!({"parts": {"client_secret": secret}}),
        ),
        (
            "POST",
            "/api/v1/connections",
            json!({"name": "x", "connector": "acme", "config": {}, "auth": "oauth", "secret": {"token": secret}}),
        ),
    ] {
        let answer = api.send(method, path, "application/json", body.to_string().as_bytes());
        assert!(answer.status >= 400, "{path}: {}", answer.text());
        said.push((path.to_owned(), answer.text()));
    }

    let given: Vec<(&str, &str)> = given.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let needles = Needles::of(&world, &given);
    for (what, text) in &said {
        needles.assert_absent(&format!("an answer to {what}"), text.as_bytes());
    }
    scan(&world, &needles, &all);
    world.server.kill();
    let needles = {
        // What was issued meanwhile is looked for as well.
        drop(needles);
        Needles::of(&world, &given)
    };
    assert!(world.server.log().len() > 1000, "there is a log to look at");
    needles.assert_absent("the log", world.server.log().as_bytes());
    assert!(needles.assert_absent_in_files(world.server.data()) >= 2);
    let config = fs::read(world.server.config()).expect("read the configuration");
    needles.assert_absent("the configuration", &config);
}

#[test]
fn the_needles_find_what_they_look_for() {
    let world = World::start();
    world.connected("work", "mona");
    let needles = Needles::of(&world, &[("more", "a-secret-of-our-own/with+more")]);
    let issued = world.idp.get("issued");
    for one in issued["issued"].as_array().expect("issued") {
        let value = one["value"].as_str().expect("a value");
        for text in [
            format!("x={value};"),
            BASE64_NOPAD.encode(format!("id:{value}").as_bytes()),
            HEXLOWER.encode(value.as_bytes()),
            json!({"a": value}).to_string(),
            format!("{:?}", value.as_bytes()),
            value[4..].to_owned(),
        ] {
            assert!(needles.found(text.as_bytes()).is_some(), "{text}");
        }
    }
    assert!(needles.found(b"nothing of the kind is in here").is_none());
    assert!(needles.found(b"a-secret-of-our-own/with+more").is_some());
}
