//! Records that are not what anybody expects, and a connector that changes its mind: each page comes to one typed outcome, what
//! came in is what went somewhere, and numbers and texts are kept as they came.

use serde_json::{Value, json};

use crate::github;
use crate::ledger::Ledger;
use crate::links::{install, open};
use crate::package;
use crate::server::{Api, Server};

fn place() -> (Ledger, Server, String) {
    let ledger = Ledger::start();
    let server = Server::start(&ledger.setup());
    let api = server.api();
    install(&api);
    let connection = open(&api, "left");
    (ledger, server, connection)
}

/// A page of the vendor's with these texts as the data of its records.
fn page(ids: &[(&str, &[u8])]) -> Vec<u8> {
    let mut page = b"{\"rows\":[".to_vec();
    for (place, (id, data)) in ids.iter().enumerate() {
        if place > 0 {
            page.push(b',');
        }
        page.extend_from_slice(
            format!("{{\"id\":\"{id}\",\"deleted\":false,\"modified\":1000,\"data\":").as_bytes(),
        );
        page.extend_from_slice(data);
        page.push(b'}');
    }
    page.extend_from_slice(b"],\"next\":7,\"more\":false,\"total\":null}");
    page
}

fn archive(api: &Api, connection: &str) -> Value {
    github::sync(api, connection, "archive", "incremental")
}

fn text_of(api: &Api, connection: &str, id: &str) -> String {
    let place = format!("/api/v1/connections/{connection}/records/archive/{id}");
    let found = api.send("GET", &place, "", &[]);
    assert_eq!(found.status, 200, "{}", found.text());
    found.text()
}

#[test]
fn what_is_strange_is_kept_exactly_or_set_aside() {
    let (ledger, server, connection) = place();
    let api = server.api();
    // Twice in a page: the later one is the record.
    ledger.say(Some(page(&[("a", br#"{"n":1}"#), ("a", br#"{"n":2}"#)])));
    let run = archive(&api, &connection);
    assert_eq!(
        (&run["counts"]["received"], &run["counts"]["added"]),
        (&json!(2), &json!(1)),
        "{run}"
    );
    assert!(text_of(&api, &connection, "a").contains("\"n\":2"));
    // Deeper than any stack: that one is set aside, and its neighbour is kept.
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    ledger.say(Some(page(&[("deep", deep.as_bytes()), ("flat", b"{}")])));
    let run = archive(&api, &connection);
    assert_eq!(
        (
            &run["state"],
            &run["counts"]["quarantined"],
            &run["counts"]["added"]
        ),
        (&json!("partial"), &json!(1), &json!(1)),
        "{run}"
    );
    // Numbers that no float holds, a date beyond every calendar, a null character, an escape that is half a pair.
    let strange = br#"{"big":9007199254740993,"huge":123456789012345678901234567890.5e3,"when":"+999999-13-45T99:99:99Z","nul":"a\u0000b"}"#;
    ledger.say(Some(page(&[("exact", strange)])));
    let run = archive(&api, &connection);
    assert_eq!(run["counts"]["added"], 1, "{run}");
    let kept = text_of(&api, &connection, "exact");
    for exact in [
        "9007199254740993",
        "123456789012345678901234567890.5e3",
        "+999999-13-45T99:99:99Z",
        "a\\u0000b",
    ] {
        assert!(kept.contains(exact), "{exact}: {kept}");
    }
    // Larger than a record may be: that one is set aside or the page is refused, and the other records are not lost.
    let large = [b"{\"note\":\"", "x".repeat(10 << 20).as_bytes(), b"\"}"].concat();
    ledger.say(Some(page(&[("large", &large), ("small", br#"{"n":1}"#)])));
    let run = archive(&api, &connection);
    assert!(
        run["state"] == "partial" || run["error"]["code"].is_string(),
        "{run}"
    );
    ledger.say(Some(page(&[("small", br#"{"n":1}"#)])));
    assert_eq!(archive(&api, &connection)["state"], "succeeded");
    assert!(text_of(&api, &connection, "small").contains("\"n\""));
}

#[test]
fn what_cannot_be_read_ends_the_run_with_a_reason_and_moves_nothing() {
    let (ledger, server, connection) = place();
    let api = server.api();
    let cases: [(&str, Vec<u8>); 3] = [
        ("not UTF-8", page(&[("a", b"{\"n\":\"\xff\xfe\"}")])),
        ("cut off", page(&[("a", b"{}")])[..40].to_vec()),
        ("a list", b"[]".to_vec()),
    ];
    for (what, answer) in cases {
        ledger.say(Some(answer));
        let run = archive(&api, &connection);
        assert_eq!(run["state"], "failed", "{what}: {run}");
        assert_eq!(run["error"]["code"], "guest.invalid_data", "{what}: {run}");
        assert_eq!(run["counts"]["received"], 0, "{what}: {run}");
    }
    ledger.read();
    ledger.say(None);
    ledger.edit("left", "", &json!({"n": 1}));
    let run = archive(&api, &connection);
    assert_eq!(run["counts"]["added"], 1, "{run}");
    assert_eq!(
        ledger.read(),
        ["/left/entries?after=0"],
        "the cursor was never moved"
    );
}

#[test]
fn a_vendor_that_lies_about_totals_changes_nothing() {
    let (ledger, server, connection) = place();
    let api = server.api();
    for (number, total) in [Some(0), Some(1), Some(u64::MAX), None].into_iter().enumerate() {
        ledger.boast(total);
        for _ in 0..60 {
            ledger.edit("left", "", &json!({"n": number}));
        }
        let run = archive(&api, &connection);
        assert_eq!(
            (&run["state"], &run["counts"]["added"]),
            (&json!("succeeded"), &json!(60)),
            "{run}"
        );
    }
}

/// The connector as its next version would be.
fn later(changes: &[(&str, &str)]) -> Vec<u8> {
    let file = std::fs::read(package::file("ledger", "fixtures/connectors/ledger")).unwrap();
    let mut manifest = package::manifest(&file);
    for (from, to) in [("version = \"0.1.0\"", "version = \"0.2.0\"")]
        .iter()
        .chain(changes)
    {
        assert!(manifest.contains(from), "{from}");
        manifest = manifest.replacen(from, to, 1);
    }
    package::with_manifest(&file, &manifest)
}

#[test]
fn another_version_goes_on_where_the_first_was() {
    let (ledger, mut server, connection) = place();
    let api = server.api();
    for n in 0..3 {
        ledger.edit("left", "", &json!({"name": format!("n{n}")}));
    }
    let run = github::sync(&api, &connection, "entries", "incremental");
    assert_eq!(run["counts"]["added"], 3, "{run}");
    let first = api.get(&format!("/api/v1/connections/{connection}"))["install"].clone();
    // The next version's cursors of the entries have another format.
    github::install(
        &api,
        &later(&[(
            "modes = [\"incremental\", \"full\"]\nwrite = [\"create\", \"update\", \"delete\"]",
            "cursor_version = 2\nmodes = [\"incremental\", \"full\"]\nwrite = [\"create\", \"update\", \"delete\"]",
        )]),
    );
    let told = server.cli(&["connection", "upgrade", &connection, "--dry-run", "--json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(
        (&told["done"], &told["carried"], &told["read_anew"]),
        (&json!(false), &json!(["entries"]), &json!([])),
        "{told}"
    );
    let place = format!("/api/v1/connections/{connection}/upgrade");
    let done = api.post(&place, &json!({}));
    assert_eq!(
        (&done["done"], &done["to"]["version"]),
        (&json!(true), &json!("0.2.0")),
        "{done}"
    );
    // A kill in between takes nothing back.
    server.kill();
    server.run();
    let api = server.api();
    ledger.edit("left", "", &json!({"name": "n3"}));
    ledger.read();
    let run = github::sync(&api, &connection, "entries", "incremental");
    assert_eq!(run["counts"]["received"], 1, "only what is new: {run}");
    assert_eq!(ledger.read(), ["/left/entries?after=3"]);
    // Back again: the first version does not read such cursors, and says so instead of beginning anew.
    api.post(&place, &json!({"install": first}));
    let run = github::sync(&api, &connection, "entries", "incremental");
    assert_eq!(
        (&run["state"], &run["error"]["code"]),
        (&json!("failed"), &json!("sync.cursor_newer")),
        "{run}"
    );
    let run = github::sync(&api, &connection, "entries", "full");
    assert_eq!(
        (&run["state"], &run["counts"]["unchanged"]),
        (&json!("succeeded"), &json!(4)),
        "{run}"
    );

    // A version that names records by something else: nothing is put beside the old ones.
    let by_name = [
        ("version = \"0.2.0\"", "version = \"0.3.0\""),
        ("primary_key = [\"id\"]", "primary_key = [\"name\"]"),
    ];
    github::install(&api, &later(&by_name));
    let told = api.post(&place, &json!({"dry_run": true}));
    assert_eq!(told["read_anew"], json!(["entries"]), "{told}");
    api.post(&place, &json!({}));
    let run = github::sync(&api, &connection, "entries", "incremental");
    assert_eq!(
        (&run["state"], &run["error"]["code"]),
        (&json!("failed"), &json!("sync.key_changed")),
        "{run}"
    );
    let run = github::sync(&api, &connection, "entries", "full");
    assert_eq!(run["state"], "succeeded", "{run}");
    let run = github::sync(&api, &connection, "entries", "incremental");
    assert_eq!(run["state"], "succeeded", "{run}");

    // An install of another connector is none for it.
    github::install(&api, package::github());
    let refused = api.try_post(&place, &json!({"install": "github"}));
    assert_eq!(refused.code(), "connection.connector", "{}", refused.text());
}

#[test]
fn partitions_have_cursors_of_their_own_and_windows_touch_none() {
    let (ledger, mut server, connection) = place();
    let shelf = json!({"type": "object"});
    ledger.shelve(&[("b", shelf.clone()), ("a", shelf.clone())]);
    let api = server.api();
    for n in 0..120 {
        ledger.edit(if n % 2 == 0 { "left/a" } else { "left/b" }, "", &json!({"n": n}));
    }
    let run = github::sync(&api, &connection, "shelved", "incremental");
    assert_eq!(run["counts"]["added"], 120, "{run}");
    // One more shelf, one record on an old one: what was read is not read again, in any of them.
    ledger.shelve(&[("b", shelf.clone()), ("a", shelf.clone()), ("c", shelf)]);
    ledger.edit("left/a", "", &json!({"n": 1000}));
    ledger.edit("left/c", "", &json!({"n": 1001}));
    ledger.read();
    server.kill();
    server.run();
    let api = server.api();
    let run = github::sync(&api, &connection, "shelved", "incremental");
    assert_eq!(run["counts"]["received"], 2, "{run}");
    assert_eq!(
        ledger.read(),
        ["/left/a?after=119", "/left/b?after=120", "/left/c?after=0"]
    );
    // A window is read beside the cursors: they stay where they are.
    let order = json!({"streams": ["shelved"], "mode": "backfill",
        "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:10Z"});
    let runs = api.post(&format!("/api/v1/connections/{connection}/sync"), &order);
    let id = runs["items"][0]["id"].as_str().unwrap().to_owned();
    let run = github::ended(&api, &id);
    assert_eq!(
        (&run["state"], &run["counts"]["unchanged"]),
        (&json!("succeeded"), &json!(9)),
        "{run}"
    );
    ledger.read();
    github::sync(&api, &connection, "shelved", "incremental");
    assert_eq!(
        ledger.read(),
        ["/left/a?after=121", "/left/b?after=120", "/left/c?after=122"]
    );
}
