//! Dropbox: a folder whose files are kept with their records, through the sign-in, Dropbox's cursor and its notifications.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{World, id_of};
use crate::package;
use crate::server::{Answer, finish, http, wait_for};

const TOKEN: &str = "sl.made-up-access-token";

/// Signs in at Dropbox, in a browser that does what it is told.
fn connected(world: &World, config: &Value) -> String {
    let api = world.api();
    let install = api.all("/api/v1/installs").remove(0);
    let download = json!({"allow": ["POST https://content.dropboxapi.com/2/files/download"]});
    api.put(&format!("/api/v1/installs/{}/grant", id_of(&install)), &download);
    let app = json!({"parts": {"client_id": "app-key", "client_secret": "app-secret"}});
    api.put("/api/v1/apps/dropbox/oauth", &app);
    let asked = json!({"name": "doors", "connector": "dropbox", "auth": "oauth", "config": config});
    let connection = id_of(&api.post("/api/v1/connections", &asked));
    let scopes = [
        "account_info.read",
        "files.metadata.read",
        "sharing.read",
        "files.content.read",
    ];
    let path = format!("/api/v1/connections/{connection}/authorizations");
    let begun = api.post(&path, &json!({ "scopes": scopes }));
    let link = begun["url"].as_str().expect("a link");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let followed =
        http::request(api.address, "POST", after_host(link), &[form], b"").expect("follow the link");
    assert_eq!(followed.status, 303, "{}", followed.text());
    let cookie = followed
        .header("set-cookie")
        .expect("a cookie")
        .split(';')
        .next()
        .unwrap_or_default();
    let at = url::Url::parse(followed.header("location").expect("a location")).expect("an address");
    assert_eq!(at.host_str(), Some("www.dropbox.com"));
    let said = |name: &str| {
        let found = at.query_pairs().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_else(|| panic!("{at} has no {name}"))
    };
    assert_eq!(said("token_access_type"), "offline");
    let back = format!("{}?code=a-code&state={}", said("redirect_uri"), said("state"));
    let landed =
        http::request(api.address, "GET", after_host(&back), &[("cookie", cookie)], b"").expect("come back");
    assert!(
        landed.text().contains("Connected"),
        "{}\n{}",
        landed.text(),
        world.server.log_tail()
    );
    let tested = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    assert_eq!(tested["ok"], true, "{tested}");
    connection
}

/// Path and query of an address.
fn after_host(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    &after[after.find('/').expect("a path")..]
}

/// What each record says of its file, by path.
fn kept(world: &World, connection: &str) -> Vec<(String, Value)> {
    let records = world.api().all(&format!(
        "/api/v1/connections/{connection}/records?stream=files&latest=true"
    ));
    let live = records.into_iter().filter(|record| record["deleted"] != true);
    let mut kept: Vec<_> = live
        .map(|record| {
            let data = &record["data"];
            (
                data["path_display"].as_str().expect("a path").to_owned(),
                data["kept"].clone(),
            )
        })
        .collect();
    kept.sort_by(|a, b| a.0.cmp(&b.0));
    kept
}

fn content(world: &World, file: &Value) -> Answer {
    let api = world.api();
    api.send(
        "GET",
        &format!("/api/v1/files/{}/content", id_of(file)),
        "application/json",
        b"",
    )
}

fn downloads(world: &World) -> usize {
    world.seen()["downloads"].as_array().expect("downloads").len()
}

/// Every file that is kept, with what the system says of when it was written.
fn on_disk(world: &World) -> BTreeSet<(String, std::time::SystemTime)> {
    fn below(dir: &Path, found: &mut BTreeSet<(String, std::time::SystemTime)>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata().expect("look at it") {
                dir if dir.is_dir() => below(&entry.path(), found),
                file => {
                    found.insert((
                        entry.path().display().to_string(),
                        file.modified().expect("a time"),
                    ));
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    below(&world.server.data().join("files"), &mut found);
    found
}

fn put(world: &World, files: Value) {
    world.vendor.post("set", &json!({ "put": files }));
}

#[test]
fn the_files_of_a_folder_are_kept_with_their_records() {
    let world = World::start("dropbox");
    let connection = connected(&world, &json!({"folder": "/Doors", "keep_up_to_bytes": 1000}));
    // Not before: whoever tests a connection reads a page of it, and keeps nothing.
    put(
        &world,
        json!({"/Doors/Plan.txt": "the plan", "/Doors/Key.txt": "the key", "/Doors/Film.mov": "x".repeat(2000)}),
    );
    assert_eq!(world.sync(&connection, "files", "incremental")["added"], 3);
    let first = kept(&world, &connection);
    let of = |kept: &[(String, Value)], path: &str| {
        kept.iter()
            .find(|(known, _)| known == path)
            .expect(path)
            .1
            .clone()
    };
    assert_eq!(
        of(&first, "/Doors/Film.mov"),
        Value::Null,
        "it is larger than what is kept"
    );
    let (plan, key) = (of(&first, "/Doors/Plan.txt"), of(&first, "/Doors/Key.txt"));
    assert_eq!(
        (&plan["name"], &plan["bytes"]),
        (&json!("Plan.txt"), &json!(8)),
        "{plan}"
    );
    let got = content(&world, &plan);
    assert_eq!((got.status, got.text().as_str()), (200, "the plan"));
    assert_eq!(
        (content(&world, &key).text().as_str(), downloads(&world)),
        ("the key", 2),
        "{}",
        world.seen()
    );
    let found = world.api().get(&format!("/api/v1/files/{}", id_of(&plan)));
    assert_eq!(
        found["record"],
        json!({"stream": "files", "id": "/doors/plan.txt"}),
        "{found}"
    );

    // Everything once more: nothing is downloaded, nothing is written.
    let before = on_disk(&world);
    assert_eq!(before.len(), 2, "{before:?}");
    world.sync(&connection, "files", "full");
    assert_eq!(kept(&world, &connection), first);
    assert_eq!((downloads(&world), on_disk(&world)), (2, before.clone()));

    // Another revision with the same bytes is downloaded, and not written; one with others takes the place.
    put(
        &world,
        json!({"/Doors/Plan.txt": "the plan", "/Doors/Key.txt": "another key"}),
    );
    world.sync(&connection, "files", "incremental");
    let second = kept(&world, &connection);
    assert_eq!(
        (of(&second, "/Doors/Plan.txt"), downloads(&world)),
        (plan.clone(), 4)
    );
    let changed = of(&second, "/Doors/Key.txt");
    assert_eq!(
        (&changed["id"], content(&world, &key).text().as_str()),
        (&key["id"], "another key")
    );
    // What was overtaken goes with the next sweep.
    let after = on_disk(&world);
    assert_eq!(after.len(), 3, "one was written");
    assert!(after.is_superset(&before), "{before:?} {after:?}");

    // What is deleted there is no record here; its file stays as long as the record can come back.
    world.vendor.post("set", &json!({"delete": ["/Doors/Plan.txt"]}));
    assert_eq!(world.sync(&connection, "files", "incremental")["deleted"], 1);
    let third = kept(&world, &connection);
    assert!(
        third.iter().all(|(path, _)| path != "/Doors/Plan.txt"),
        "{third:?}"
    );
    assert_eq!(content(&world, &plan).text(), "the plan");

    // A notification has the files read, and they are kept as well.
    let asked = json!({"connection": connection, "secret": "app-secret"});
    let hook = id_of(&world.api().post("/api/v1/hooks", &asked));
    put(&world, json!({"/Doors/New.txt": "news"}));
    world.deliver(&hook, &world.sign(&json!({"n": 1})));
    let news = wait_for("the new file", || {
        kept(&world, &connection)
            .into_iter()
            .find(|(path, _)| path == "/Doors/New.txt")
    });
    assert_eq!(content(&world, &news.1).text(), "news");

    let removed = world.api().delete(&format!("/api/v1/connections/{connection}"));
    assert!(removed.status < 300, "{}", removed.text());
    assert_eq!(content(&world, &key).code(), "file.not_found");
}

/// What is downloaded while a case is recorded stands in its cassette, and the case is played from there without the vendor.
#[test]
fn a_download_is_recorded_and_played() {
    let world = World::start("dropbox");
    put(
        &world,
        json!({"/Doors/Plan.txt": "the plan", "/Doors/Key.txt": "the key"}),
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dropbox");
    let dir = tempfile::tempdir().expect("make a directory");
    for name in ["connector.toml", "Cargo.toml"] {
        std::fs::copy(root.join(name), dir.path().join(name)).expect("copy what the connector is");
    }
    let component = package::file("dropbox", "plugins/dropbox");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, world.vendor.authority()).expect("write the authority");
    let port = world.vendor.address().port();
    let run = |more: &[String]| {
        let mut command = Command::new(crate::server::binary());
        command
            .args(["--json", "connector", "test"])
            .arg(dir.path())
            .arg("--component")
            .arg(&component)
            .args(more)
            .env("SLUICE_TEST_SECRET", TOKEN);
        finish(&mut command)
    };
    let mut record = vec![
        "--record".to_owned(),
        "--config".to_owned(),
        "keep_up_to_bytes=1000".to_owned(),
    ];
    record.extend(["--ca".to_owned(), ca.display().to_string()]);
    for host in ["api", "content"] {
        record.extend([
            "--to".to_owned(),
            format!("{host}.dropboxapi.com=https://127.0.0.1:{port}"),
        ]);
    }
    let recorded = run(&record);
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    assert_eq!(downloads(&world), 2);
    let case = dir.path().join("tests/basic");
    let read = |name: &str| std::fs::read_to_string(case.join(name)).expect(name);
    let (cassette, expected) = (read("cassette.json"), read("expected.json"));
    assert!(
        cassette.contains("\"the plan\"") && cassette.contains("/2/files/download"),
        "{cassette}"
    );
    assert!(!cassette.contains(TOKEN) && !expected.contains(TOKEN));
    assert!(
        expected.contains("\"kept\"") && expected.contains("Plan.txt"),
        "{expected}"
    );
    drop(world);
    let played = run(&[]);
    assert_eq!(played.code, Some(0), "{played:?}");
}
