//! Stoplight's Prism plays the vendor of `tests/counterparts/prism/todo.yaml`: a connector is recorded against it and replayed without it,
//! and `connector mock` of the same document answers what Prism answers.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{CREDENTIAL, Played, finish, root, run, rust, said, sluice};
use crate::counterpart::Counterpart;
use crate::server::http;

fn document() -> String {
    let document = root().join("tests/counterparts/prism/todo.yaml");
    document.canonicalize().expect("a document").display().to_string()
}

/// What a value is like: its members and items, and of what kind they are. Two answers with one schema are alike in this.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), shape(value)))
            .collect(),
        Value::Array(items) => items.iter().take(1).map(shape).collect(),
        Value::String(_) => json!("text"),
        Value::Number(number) => json!(if number.is_f64() { "number" } else { "integer" }),
        Value::Bool(_) => json!("boolean"),
        Value::Null => Value::Null,
    }
}

#[test]
fn a_connector_is_recorded_against_prism_and_replayed_without_it() {
    let prism = Counterpart::node("prism/main.mjs", &[&document()]);
    let (dir, place) = rust();
    let to = format!("http://{}", prism.address());
    let record = |secret: &str| {
        let mut record = sluice(&["--json", "connector", "test", "--record", &place]);
        record.args(["--case", "prism", "--config", "list=home", "--to", &to]);
        finish(record.env("SLUICE_TEST_SECRET", secret))
    };
    let recorded = record(CREDENTIAL);
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    // Prism lets nobody in without a credential, so the broker has put it on; and it is in no file.
    let cassette = dir.path().join("tests/prism/cassette.json");
    let text = std::fs::read_to_string(&cassette).expect("read it");
    assert!(
        text.contains("/lists/home/tasks?per_page=100") && !text.contains(CREDENTIAL),
        "{text}"
    );
    drop(prism);
    let tested = run(&["--json", "connector", "test", &place]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    let tested = said(&tested);
    let cases = tested["cases"].as_array().expect("cases");
    let names: Vec<_> = cases.iter().map(|case| &case["records"]).collect();
    assert_eq!(names, [&json!(3), &json!(1)], "{tested}");
}

#[test]
fn what_we_play_by_a_document_is_what_prism_plays() {
    let document = document();
    let prism = Counterpart::node("prism/main.mjs", &[&document]);
    let ours = Played::start(&[&document]);
    let address: SocketAddr = ours
        .url
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let bearer = format!("Bearer {CREDENTIAL}");
    for (method, path, body, status) in [
        ("GET", "/me", "", 200),
        ("GET", "/lists/home/tasks?per_page=100", "", 200),
        ("POST", "/lists/home/tasks", r#"{"title":"Buy bread"}"#, 201),
        ("DELETE", "/lists/home/tasks/7", "", 204),
        ("GET", "/nowhere", "", 404),
        ("DELETE", "/me", "", 405),
    ] {
        let ask = |address| {
            let headers = [
                ("authorization", bearer.as_str()),
                ("content-type", "application/json"),
            ];
            http::request(address, method, path, &headers, body.as_bytes()).expect("an answer")
        };
        let (theirs, own) = (ask(prism.address()), ask(address));
        assert_eq!(
            (theirs.status, own.status),
            (status, status),
            "{method} {path}: {} {}",
            theirs.text(),
            own.text()
        );
        match status {
            // Why there is none is told by each in its own words.
            404 | 405 => {}
            204 => assert_eq!((theirs.body.len(), own.body.len()), (0, 0)),
            _ => assert_eq!(shape(&theirs.json()), shape(&own.json()), "{method} {path}"),
        }
    }
}
