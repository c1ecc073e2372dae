//! Destinations: what a connection has is in the database and in the files too, whoever is killed on the way.

use std::collections::BTreeSet;
use std::path::Path;

use local_postgres::{PASSWORD, Postgres};
use serde_json::{Value, json};

use crate::github::{self, REPOSITORY, StandIn};
use crate::server::{Api, Place, Server, Setup, wait_for};

/// The name that the server finds the database by.
const HOST: &str = "db.test";

/// A setup that also finds the database, and may write files.
fn setup(stand_in: &StandIn, postgres: &Postgres, files: &Path) -> Setup {
    let mut setup = stand_in.setup();
    setup.places.push(Place {
        host: HOST.to_owned(),
        address: ([127, 0, 0, 1], postgres.port()).into(),
        ca: String::new(),
    });
    setup
        .set
        .push(("SLUICE_DESTINATIONS__FILES_DIR", files.display().to_string()));
    setup
}

fn database() -> Value {
    json!({"kind": "postgres", "host": HOST, "port": 443, "database": "postgres", "user": "postgres", "tls": "disable"})
}

fn create(api: &Api, name: &str, settings: &Value, secrets: &Value) {
    let body = json!({"name": name, "settings": settings, "secrets": secrets});
    let made = api.try_post("/api/v1/destinations", &body);
    assert_eq!(made.status, 201, "{}", made.text());
}

fn load(api: &Api, destination: &str, connection: &str, body: &Value) -> Value {
    api.put(
        &format!("/api/v1/destinations/{destination}/loads/{connection}"),
        body,
    )
}

fn loads(api: &Api, destination: &str) -> Vec<Value> {
    let found = api.get(&format!("/api/v1/destinations/{destination}/loads"));
    found["items"].as_array().expect("items").clone()
}

fn up_to_date(api: &Api, destination: &str) -> Value {
    wait_for(&format!("everything in {destination}"), || {
        let found = loads(api, destination).remove(0);
        (found["state"] == "up-to-date").then_some(found)
    })
}

/// The stream's records as `id|title`.
fn there(api: &Api, connection: &str) -> BTreeSet<String> {
    let path = format!("/api/v1/connections/{connection}/records?stream=issues&latest=true");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let all = api.all(&path);
    all.iter()
        .map(|record| format!("{}|{}", text(&record["id"]), text(&record["data"]["title"])))
        .collect()
}

fn in_database(postgres: &Postgres) -> BTreeSet<String> {
    let rows = postgres.ask("SELECT _sluice_id, title FROM gh_issues").unwrap();
    let count = rows.len();
    let rows: BTreeSet<String> = rows.into_iter().collect();
    assert_eq!(rows.len(), count, "each row once");
    rows
}

/// What the files of a table come to: of each id the row with the highest number.
fn in_files(table: &Path) -> BTreeSet<String> {
    let mut latest = std::collections::BTreeMap::new();
    for file in std::fs::read_dir(table).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let (id, seq) = (
                row["_sluice_id"].as_str().unwrap().to_owned(),
                row["_sluice_seq"].as_u64().unwrap(),
            );
            let known = latest.entry(id).or_insert((seq, row.clone()));
            if known.0 <= seq {
                *known = (seq, row);
            }
        }
    }
    let kept = latest
        .into_iter()
        .filter(|(_, (_, row))| row["_sluice_op"] == "upsert");
    kept.map(|(id, (_, row))| format!("{id}|{}", row["record"]["title"].as_str().unwrap()))
        .collect()
}

#[test]
fn whoever_is_killed_the_destinations_have_what_the_connection_has() {
    let stand_in = StandIn::with_issues(3000);
    let mut postgres = Postgres::start();
    let files = tempfile::tempdir().unwrap();
    let mut server = Server::start(&setup(&stand_in, &postgres, files.path()));
    let connection = github::ready(&server);
    let api = server.api();
    create(&api, "warehouse", &database(), &json!({"password": PASSWORD}));
    create(
        &api,
        "lake",
        &json!({"kind": "directory", "directory": "crm", "format": "ndjson"}),
        &json!({}),
    );
    let tested = server.cli(&["destination", "test", "warehouse", "--json"]);
    assert!(tested.out.contains("PostgreSQL 1"), "{tested:?}");
    for destination in ["warehouse", "lake"] {
        load(
            &api,
            destination,
            &connection,
            &json!({"prefix": "gh_", "streams": ["issues"], "every_s": 0}),
        );
    }
    let run = github::start_sync(&api, &connection, &["issues"], "incremental").remove(0);
    for (rows, kills_database) in [(1, false), (700, true), (1500, false)] {
        wait_for("rows in the database", || {
            let count = postgres.ask("SELECT count(*) FROM gh_issues").ok()?;
            (count.first()?.parse::<u64>().ok()? >= rows).then_some(())
        });
        if kills_database {
            postgres.kill();
            postgres.revive();
        } else {
            server.kill();
            server.run();
        }
    }
    let api = server.api();
    assert_eq!(github::ended(&api, &run)["state"], "succeeded");
    for number in 1..=100 {
        assert!(stand_in.control().remove(REPOSITORY, number * 7));
    }
    assert!(stand_in.control().touch(REPOSITORY, 9, "Touched"));
    let full = github::sync(&api, &connection, "issues", "full");
    assert_eq!(full["counts"]["vanished"], 100, "{full}");
    // What failed while the database was down waits; a person need not.
    for destination in ["warehouse", "lake"] {
        server.cli(&["destination", "retry", destination, github::NAME]);
        let load = up_to_date(&api, destination);
        assert_eq!(load["owed"], json!([]), "{load}");
    }
    let expected = there(&api, &connection);
    assert_eq!(expected.len(), 2900);
    assert_eq!(in_database(&postgres), expected);
    assert_eq!(in_files(&files.path().join("crm/gh_issues")), expected);

    // A run that is taken back is taken back there too.
    assert!(stand_in.control().touch(REPOSITORY, 10, "Wrong"));
    let wrong = github::sync(&api, &connection, "issues", "incremental");
    up_to_date(&api, "warehouse");
    assert_ne!(in_database(&postgres), expected);
    let run = wrong["id"].as_str().unwrap();
    let undone = api.post(&format!("/api/v1/runs/{run}/undo"), &json!({}));
    assert_eq!(
        undone["delivered_to"].as_array().map(Vec::len),
        Some(2),
        "{undone}"
    );
    up_to_date(&api, "warehouse");
    assert_eq!(in_database(&postgres), expected);

    for place in [server.log(), api.get("/api/v1/destinations").to_string()] {
        assert!(!place.contains("c4n4ry"), "the password is told");
    }
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_lost_meanwhile() {
    let stand_in = StandIn::with_issues(20);
    let postgres = Postgres::start();
    let files = tempfile::tempdir().unwrap();
    let server = Server::start(&setup(&stand_in, &postgres, files.path()));
    let connection = github::ready(&server);
    let api = server.api();
    let refused = |body: &Value, code: &str| {
        let answer = api.try_post("/api/v1/destinations", body);
        assert_eq!(answer.code(), code, "{body}: {}", answer.text());
        assert!(!answer.text().contains("c4n4ry"));
    };
    refused(&json!({"name": "", "settings": database()}), "destination.name");
    refused(
        &json!({"name": "a", "settings": {"kind": "mysql"}}),
        "destination.settings",
    );
    refused(
        &json!({"name": "a", "settings": database(), "secrets": {"token": "c4n4ry"}}),
        "destination.secret",
    );
    refused(
        &json!({"name": "a", "settings": {"kind": "s3", "region": "r", "bucket": "b", "format": "csv"},
            "secrets": {"access_key_id": "c4n4ry"}}),
        "destination.secret",
    );
    // Where the server may not go.
    let mut elsewhere = database();
    elsewhere["host"] = json!("127.0.0.1");
    elsewhere["port"] = json!(1);
    create(&api, "elsewhere", &elsewhere, &json!({}));
    let tested = api.try_post("/api/v1/destinations/elsewhere/test", &json!({}));
    assert_eq!(tested.code(), "destination.refused", "{}", tested.text());

    create(
        &api,
        "warehouse",
        &database(),
        &json!({"password": "wr0ng c4n4ry"}),
    );
    let unknown = api.send(
        "PUT",
        &format!("/api/v1/destinations/warehouse/loads/{connection}"),
        "application/json",
        br#"{"streams": ["no such"]}"#,
    );
    assert_eq!(unknown.code(), "sync.stream", "{}", unknown.text());
    load(
        &api,
        "warehouse",
        &connection,
        &json!({"prefix": "gh_", "every_s": 0}),
    );
    github::sync(&api, &connection, "issues", "incremental");
    let failing = wait_for("the failure", || {
        let found = loads(&api, "warehouse").remove(0);
        (found["state"] == "failing").then_some(found)
    });
    assert_eq!(failing["error"]["code"], "destination.auth", "{failing}");
    assert_eq!(failing["owed"], json!(["issues"]), "{failing}");
    let used = api.delete("/api/v1/destinations/warehouse");
    assert_eq!(used.code(), "store.state", "{}", used.text());
    let second = github::connect(&api, "second", vendor::TOKEN);
    let taken = api.send(
        "PUT",
        &format!("/api/v1/destinations/warehouse/loads/{second}"),
        "application/json",
        br#"{"prefix": "gh_"}"#,
    );
    assert_eq!(taken.code(), "destination.prefix", "{}", taken.text());

    // The right password, and what waited goes.
    let found = api.get("/api/v1/destinations/warehouse");
    api.put(
        "/api/v1/destinations/warehouse",
        &json!({"settings": found["settings"], "revision": found["revision"], "secrets": {"password": PASSWORD}}),
    );
    up_to_date(&api, "warehouse");
    assert_eq!(in_database(&postgres), there(&api, &connection));
    let kinds: Vec<Value> = api
        .feed("/api/v1/events")
        .into_iter()
        .map(|event| event["kind"].clone())
        .collect();
    for kind in ["sluice.load.failing", "sluice.load.recovered"] {
        assert!(kinds.contains(&json!(kind)), "{kinds:?}");
    }
    // A table that somebody dropped is written anew.
    postgres.ask("DROP TABLE gh_issues").unwrap();
    assert!(stand_in.control().touch(REPOSITORY, 3, "After the drop"));
    github::sync(&api, &connection, "issues", "incremental");
    up_to_date(&api, "warehouse");
    assert_eq!(in_database(&postgres), there(&api, &connection));
    // With the connection its loads go.
    assert!(api.delete(&format!("/api/v1/connections/{connection}")).status < 300);
    assert_eq!(loads(&api, "warehouse"), Vec::<Value>::new());
    assert_eq!(api.delete("/api/v1/destinations/warehouse").status, 204);
}
