//! Files that connectors keep: they are there with the records that name them or not at all, whoever is killed; no larger and no more
//! than was granted; nobody else's; and never in memory as a whole.

mod attic;

use std::path::Path;

use serde_json::{Value, json};

use crate::github;
use crate::package;
use crate::server::{Api, Server, Setup, http, wait_for};
use attic::Attic;

const MIB: usize = 1 << 20;

fn connect(api: &Api, of: &str) -> String {
    let made = api.try_post(
        "/api/v1/connections",
        &json!({"name": of, "connector": "attic", "config": {"box": of}}),
    );
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let tested = api.post(&format!("/api/v1/connections/{id}/test"), &json!({}));
    assert_eq!(tested["ok"], true, "{tested}");
    id
}

fn install(api: &Api) {
    let file = std::fs::read(package::file("attic", "fixtures/connectors/attic")).unwrap();
    github::install(api, &file);
}

/// A server with the connector and a connection to the box `first`.
fn world(change: impl FnOnce(&mut Setup)) -> (Attic, Server, String) {
    let attic = Attic::start();
    let mut setup = attic.setup();
    change(&mut setup);
    let server = Server::start(&setup);
    let api = server.api();
    install(&api);
    let connection = connect(&api, "first");
    (attic, server, connection)
}

fn sync(api: &Api, connection: &str) -> Value {
    let runs = github::start_sync(api, connection, &["things"], "incremental");
    github::ended(api, &runs[0])
}

/// What the record says of its file.
fn reference(api: &Api, connection: &str, id: &str) -> Value {
    api.get(&format!("/api/v1/connections/{connection}/records/things/{id}"))["data"]["file"].clone()
}

fn files(api: &Api, connection: &str) -> Vec<Value> {
    api.all(&format!("/api/v1/connections/{connection}/files"))
}

fn download(api: &Api, id: &str, headers: &[(&str, &str)]) -> http::Answer {
    let key = format!("Bearer {}", api.key);
    let all: Vec<_> = [("authorization", key.as_str())]
        .into_iter()
        .chain(headers.iter().copied())
        .collect();
    let path = format!("/api/v1/files/{id}/content");
    http::request(api.address, "GET", &path, &all, b"").expect("an answer")
}

/// Every file below the directory for files, whatever it is.
fn on_disk(server: &Server) -> Vec<String> {
    fn below(dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, found);
            } else {
                found.push(path.display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    below(&server.data().join("files"), &mut found);
    found
}

#[test]
fn a_large_attachment_is_kept_whole_and_served_in_parts() {
    let (attic, server, connection) = world(|_| {});
    let api = server.api();
    attic.put("first", "small", json!({ "url": attic::url("small", 1000) }));
    assert_eq!(sync(&api, &connection)["state"], "succeeded");
    let before = server.resident_bytes();
    let size = 48 * MIB;
    attic.put("first", "large", json!({ "url": attic::url("large", size) }));
    let run = sync(&api, &connection);
    assert_eq!(run["state"], "succeeded", "{run}");
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(
        grown < (16 * MIB) as u64,
        "{grown} bytes more for a file of {size}"
    );

    let told = reference(&api, &connection, "large");
    let expected = attic::bytes("large", size);
    assert_eq!((&told["bytes"], &told["found"]), (&json!(size), &json!(true)));
    let id = told["id"].as_str().unwrap();
    let found = api.get(&format!("/api/v1/files/{id}"));
    assert_eq!(found["record"], json!({"stream": "things", "id": "large"}));
    assert_eq!(found["media_type"], "text/html", "{found}");
    let whole = download(&api, id, &[]);
    assert_eq!(whole.status, 200);
    assert!(whole.body == expected, "other bytes");
    // What a browser would run is never served as such.
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "attachment; filename=\"large.bin\""),
    ] {
        assert_eq!(whole.header(name), Some(value));
    }
    let range = |text: &str| download(&api, id, &[("range", text)]);
    let part = range("bytes=1000-1009");
    assert_eq!((part.status, &part.body[..]), (206, &expected[1000..1010]));
    assert_eq!(part.header("content-range"), Some("bytes 1000-1009/50331648"));
    assert_eq!(range("bytes=-3").body, expected[size - 3..]);
    let beyond = range("bytes=50331648-");
    assert_eq!((beyond.status, beyond.code().as_str()), (416, "file.range"));
    let stale = [("range", "bytes=0-1"), ("if-range", "\"other\"")];
    assert_eq!(download(&api, id, &stale).status, 200);

    // The command line checks what it gets.
    let to = server.data().join("got.bin");
    let got = server.cli(&["file", "get", id, "-o", to.to_str().unwrap()]);
    assert_eq!(got.code, Some(0), "{}", got.err);
    assert!(std::fs::read(&to).unwrap() == expected, "other bytes");
    let listed = server.cli(&["file", "list", "first"]);
    assert!(
        listed.out.contains("large.bin") && listed.out.contains(id),
        "{}",
        listed.out
    );
    let again = server.cli(&["file", "get", id, "-o", to.to_str().unwrap()]);
    assert_eq!(again.code, Some(2), "it is there already");

    // It is in the account of what the install uses.
    let install = api.get(&format!("/api/v1/connections/{connection}"))["install"].clone();
    let install = install.as_str().unwrap();
    let counted = wait_for("the usage to be written down", || {
        let advice = api.get(&format!("/api/v1/installs/{install}/advice"));
        let bytes = advice["file_bytes"].as_u64().unwrap();
        (bytes > 0).then_some(bytes)
    });
    assert!(counted >= size as u64, "{counted}");
}

#[test]
fn what_may_not_be_kept_is_told_to_the_connector() {
    let (attic, server, connection) = world(|setup| {
        setup.set = vec![
            ("SLUICE_LIMITS__FILE_BYTES", (64 << 10).to_string()),
            ("SLUICE_LIMITS__FILES_BYTES", (128 << 10).to_string()),
        ];
    });
    let api = server.api();
    attic.put("first", "fits", json!({ "url": attic::url("fits", 64 << 10) }));
    attic.put(
        "first",
        "large",
        json!({ "url": attic::url("large", (64 << 10) + 1) }),
    );
    attic.put(
        "first",
        "none",
        json!({ "url": "http://attic.example:443/nowhere" }),
    );
    attic.put(
        "first",
        "elsewhere",
        json!({ "url": "http://other.example:443/file/a/1" }),
    );
    attic.put(
        "first",
        "second",
        json!({ "url": attic::url("second", 64 << 10) }),
    );
    attic.put("first", "third", json!({ "url": attic::url("third", 1) }));
    let run = sync(&api, &connection);
    assert_eq!(run["state"], "succeeded", "{run}");
    let told = |id: &str| reference(&api, &connection, id);
    assert_eq!(told("large"), json!({ "error": "Error::TooLarge(65536)" }));
    assert_eq!(told("third"), json!({ "error": "Error::Quota(131072)" }));
    assert_eq!(told("none"), json!({ "status": 404 }));
    let denied = told("elsewhere")["error"].as_str().unwrap().to_owned();
    assert!(
        denied.contains("Denied") && denied.contains("GET http://other.example"),
        "{denied}"
    );
    let kept: Vec<_> = files(&api, &connection);
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(on_disk(&server).len(), 2);
}

#[test]
fn room_for_files_that_is_withdrawn_is_gone_for_the_file_that_is_under_way() {
    let (attic, server, connection) = world(|_| {});
    let api = server.api();
    attic.put("first", "good", json!({ "url": attic::url("good", MIB) }));
    assert_eq!(sync(&api, &connection)["state"], "succeeded");
    let good = reference(&api, &connection, "good");
    attic.put("first", "late", json!({ "url": attic::url("late", MIB) }));
    attic.hold(true);
    let run = github::start_sync(&api, &connection, &["things"], "incremental").remove(0);
    wait_for("the file to be under way", || (attic.waiting() > 0).then_some(()));
    let install = api.get(&format!("/api/v1/connections/{connection}"))["install"].clone();
    let grant = format!("/api/v1/installs/{}/grant", install.as_str().unwrap());
    let wrong = api.send("PUT", &grant, "application/json", br#"{"withdraw":["storage"]}"#);
    assert_eq!((wrong.status, wrong.code().as_str()), (404, "install.no_right"));
    let changed = api.put(&grant, &json!({"withdraw": ["files"]}));
    assert_eq!(changed["done"], true, "{changed}");
    assert_eq!(
        changed["diff"]["narrower"].as_array().unwrap().len(),
        2,
        "{changed}"
    );
    attic.hold(false);
    let ended = github::ended(&api, &run);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(
        reference(&api, &connection, "late"),
        json!({ "error": "Error::TooLarge(0)" })
    );
    // What was kept before is there, and nothing else is on the disk.
    assert_eq!(files(&api, &connection).len(), 1);
    assert_eq!(on_disk(&server).len(), 1);
    assert_eq!(download(&api, good["id"].as_str().unwrap(), &[]).status, 200);

    // It is given back by its name.
    let install = api.get(&format!("/api/v1/connections/{connection}"))["install"].clone();
    let grant = format!("/api/v1/installs/{}/grant", install.as_str().unwrap());
    api.put(&grant, &json!({"allow": ["files"]}));
    attic.put("first", "again", json!({ "url": attic::url("again", MIB) }));
    assert_eq!(sync(&api, &connection)["state"], "succeeded");
    assert_eq!(reference(&api, &connection, "again")["bytes"], MIB);
}

#[test]
fn what_was_not_committed_is_not_kept() {
    let (attic, mut server, connection) = world(|_| {});
    let api = server.api();
    attic.put("first", "good", json!({ "url": attic::url("good", MIB) }));
    assert_eq!(sync(&api, &connection)["state"], "succeeded");
    let good = reference(&api, &connection, "good");
    for ends in ["error", "crash"] {
        attic.forget("first");
        attic.put(
            "first",
            "bad",
            json!({ "url": attic::url("bad", MIB), "ends": ends }),
        );
        let run = sync(&api, &connection);
        assert_ne!(run["state"], "succeeded", "{run}");
        assert_eq!(on_disk(&server).len(), 1, "after the {ends}");
    }
    // Killed in the middle of a file: the page is read again, and nothing else is left.
    attic.forget("first");
    attic.put("first", "late", json!({ "url": attic::url("late", 4 * MIB) }));
    attic.hold(true);
    let run = github::start_sync(&api, &connection, &["things"], "incremental").remove(0);
    wait_for("the file to be under way", || (attic.waiting() > 0).then_some(()));
    wait_for("its first half on the disk", || {
        (on_disk(&server).len() == 2).then_some(())
    });
    server.kill();
    assert_eq!(on_disk(&server).len(), 2);
    attic.hold(false);
    server.run();
    let api = server.api();
    let ended = github::ended(&api, &run);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let late = reference(&api, &connection, "late");
    for (told, name, size) in [(&good, "good", MIB), (&late, "late", 4 * MIB)] {
        let got = download(&api, told["id"].as_str().unwrap(), &[]);
        assert!(got.body == attic::bytes(name, size), "{name}");
    }
    assert_eq!(on_disk(&server).len(), 2);
    // Killed when the page is committed: the file is there after the start.
    server.restart();
    assert_eq!(files(&server.api(), &connection).len(), 2);
    let got = download(&server.api(), late["id"].as_str().unwrap(), &[]);
    assert_eq!(got.body.len(), 4 * MIB);
}

#[test]
fn a_key_names_one_file_of_one_organization() {
    let (attic, server, connection) = world(|_| {});
    let api = server.api();
    attic.put("first", "a", json!({ "url": attic::url("one", 5000) }));
    attic.put("first", "b", json!({ "url": attic::url("two", 5000) }));
    assert_eq!(sync(&api, &connection)["state"], "succeeded");
    let (before, kept) = (reference(&api, &connection, "a"), on_disk(&server));
    // The same once more: nothing is written, nothing is kept twice.
    attic.put("first", "a", json!({ "url": attic::url("one", 5000) }));
    assert_eq!(sync(&api, &connection)["counts"]["unchanged"], 1);
    assert_eq!(attic.fetched().len(), 3);
    assert_eq!(on_disk(&server), kept);
    // Others in their place: the id stays.
    attic.put("first", "a", json!({ "url": attic::url("three", 6000) }));
    attic.put("first", "c", json!({ "drop": "thing/b" }));
    assert_eq!(sync(&api, &connection)["state"], "succeeded");
    let after = reference(&api, &connection, "a");
    assert_eq!(before["id"], after["id"]);
    assert_ne!(before["sha256"], after["sha256"]);
    let id = after["id"].as_str().unwrap();
    assert!(download(&api, id, &[]).body == attic::bytes("three", 6000));
    let keys: Vec<_> = files(&api, &connection)
        .iter()
        .map(|file| file["key"].clone())
        .collect();
    assert_eq!(keys, ["thing/a"]);

    // An action keeps files too, under a connection of its own.
    let second = connect(&api, "second");
    let act = json!({"key": "k", "url": attic::url("four", 10)});
    let acted = api.post(&format!("/api/v1/connections/{second}/actions/keep"), &act);
    let of_second = acted["output"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{acted}"))
        .to_owned();
    assert_eq!(download(&api, &of_second, &[]).body, attic::bytes("four", 10));

    // What is removed is gone with its files.
    assert_eq!(
        api.delete(&format!("/api/v1/connections/{connection}")).status,
        200
    );
    assert_eq!(download(&api, id, &[]).code(), "file.not_found");
    assert_eq!(download(&api, &of_second, &[]).status, 200);
}

/// Starts a sync of one file of 64 KiB and waits until that is half here.
fn half_way(attic: &Attic, api: &Api, connection: &str) -> String {
    attic.put("first", "held", json!({ "url": attic::url("held", 64 << 10) }));
    attic.hold(true);
    let run = github::start_sync(api, connection, &["things"], "incremental").remove(0);
    wait_for("the file to be under way", || (attic.waiting() > 0).then_some(()));
    run
}

/// Has the action keep an empty file, which never waits.
fn keep_empty(api: &Api, connection: &str, key: &str) {
    let act = json!({"key": key, "url": attic::url("empty", 0)});
    let acted = api.post(&format!("/api/v1/connections/{connection}/actions/keep"), &act);
    assert_eq!(acted["output"]["bytes"], 0, "{acted}");
}

#[test]
fn room_that_was_taken_meanwhile_ends_the_run() {
    let (attic, server, connection) = world(|setup| {
        setup.set = vec![("SLUICE_LIMITS__FILES_BYTES", (64 << 10).to_string())];
    });
    let api = server.api();
    let run = half_way(&attic, &api, &connection);
    keep_empty(&api, &connection, "small");
    attic.hold(false);
    let ended = github::ended(&api, &run);
    assert_eq!(
        (&ended["state"], &ended["error"]["code"]),
        (&json!("failed"), &json!("file.quota")),
        "{ended}"
    );
    assert_eq!(
        attic.fetched(),
        ["/file/held/65536", "/file/empty/0"],
        "once each"
    );
    assert_eq!(on_disk(&server).len(), 1);
}

#[test]
fn a_file_that_was_changed_meanwhile_is_read_again() {
    let (attic, server, connection) = world(|_| {});
    let api = server.api();
    let run = half_way(&attic, &api, &connection);
    keep_empty(&api, &connection, "thing/held");
    attic.hold(false);
    wait_for("the run to wait", || {
        let found = api.get(&format!("/api/v1/runs/{run}"));
        (found["error"]["code"] == "file.changed").then_some(())
    });
    let ended = github::ended(&api, &run);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(attic.fetched().len(), 3, "twice, and the action's once");
    let told = reference(&api, &connection, "held");
    let kept = files(&api, &connection);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(
        (&kept[0]["id"], &kept[0]["bytes"]),
        (&told["id"], &json!(64 << 10))
    );
}
