//! What `connector test` holds every connector to: a connector that keeps the contract passes, and one that breaks a part of it fails by
//! that part. The connector is `fixtures/connectors/fickle`, whose configuration names the part.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::package;
use crate::server::{binary, finish};

/// What is broken, and the tests that say so. The first is what the others are compared with.
const FAULTS: &[(&str, &[&str])] = &[
    ("none", &[]),
    ("refused_as_transient", &["auth", "classifies"]),
    ("broken_as_config", &["classifies"]),
    ("any_stream_is_empty", &["unknown"]),
    ("writes_what_is_read", &["unknown"]),
    ("asks_for_any_action", &["unknown"]),
    ("output_unlike_its_schema", &["actions_fit"]),
    ("outcomes_reversed", &["writes_fit"]),
    ("one_outcome_less", &["answers", "writes_fit"]),
    ("a_key_of_its_own", &["keys_hold"]),
    ("event_of_another_kind", &["hooks_fit"]),
    ("event_unlike_its_schema", &["hooks_fit"]),
    ("event_of_its_receipt", &["hooks_repeat"]),
    ("event_that_counts", &["hooks_repeat"]),
    ("unknown_is_an_error", &["hooks_unknown"]),
    ("unknown_is_told", &["hooks_unknown"]),
    ("malformed_is_a_bug", &["hooks_malformed"]),
    ("malformed_is_nothing", &["hooks_malformed"]),
];

const CASE: &str = r#"
[config]
fault = "FAULT"

[[actions]]
name = "send"
input = { to = "mona" }

[[writes]]
stream = "notes"
op = "create"
data = { text = "one" }
[[writes]]
stream = "notes"
op = "create"
data = { text = "two" }
[[writes]]
stream = "notes"
op = "update"
id = "n1"
data = { text = "three" }
[[writes]]
stream = "notes"
op = "delete"
id = "n2"

[[hooks]]
name = "a note is another"
webhook = "WEBHOOK"
body = "hook.json"
"#;

const HOOK: &str = r#"{"id":"e1","type":"note.changed","note":{"id":"n1","text":"three"}}"#;

fn exchange(method: &str, path: &str, body: &str, answer: &str) -> Value {
    let url = format!("https://api.fickle.example{path}");
    let parsed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let mut request = json!({"method": method, "url": url});
    if !body.is_empty() {
        request["body"] = json!({"json": parsed(body)});
    }
    json!({
        "request": request,
        "response": {
            "status": 200, "headers": [["content-type", "application/json"]], "body": {"json": parsed(answer)}
        }
    })
}

fn cassette() -> String {
    let note = |id: &str, text: &str| json!({"id": id, "text": text}).to_string();
    let exchanges = [
        exchange("GET", "/me", "", r#"{"id":"mona"}"#),
        exchange("GET", "/notes", "", &format!("[{}]", note("n0", "zero"))),
        exchange("GET", "/readings", "", r#"[{"id":"r1"}]"#),
        exchange("POST", "/send", r#"{"to":"mona"}"#, r#"{"sent":"now"}"#),
        exchange("POST", "/notes", r#"{"text":"one"}"#, &note("n1", "one")),
        exchange("POST", "/notes", r#"{"text":"two"}"#, &note("n2", "two")),
        exchange("PUT", "/notes/n1", r#"{"text":"three"}"#, &note("n1", "three")),
        exchange("DELETE", "/notes/n2", "{}", r#"{"id":"n2"}"#),
    ];
    json!({"cassette": 1, "recorded_ms": 1_767_323_045_000_u64, "exchanges": exchanges}).to_string()
}

fn case(dir: &Path, name: &str, fault: &str, webhook: &str) {
    let place = dir.join("tests").join(name);
    fs::create_dir_all(&place).expect("make a case");
    let text = CASE.replace("FAULT", fault).replace("WEBHOOK", webhook);
    fs::write(place.join("case.toml"), text).expect("write it");
    fs::write(place.join("cassette.json"), cassette()).expect("write it");
    fs::write(place.join("hook.json"), HOOK).expect("write it");
}

#[test]
fn each_part_of_the_contract_can_be_broken_and_is_found_then() {
    let source = "fixtures/connectors/fickle";
    let component = package::file("fickle", source);
    let dir = tempfile::tempdir().expect("make a directory");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(source);
    for file in ["connector.toml", "Cargo.toml"] {
        fs::copy(source.join(file), dir.path().join(file)).expect("copy it");
    }
    for (fault, _) in FAULTS {
        case(dir.path(), fault, fault, "notes");
    }
    case(dir.path(), "taken_for_a_question", "none", "questions");
    // Where an author's build is, its machine code is kept for the next case.
    let built = dir.path().join("dist");
    fs::create_dir(&built).expect("make a directory");
    fs::copy(component, built.join("fickle.wasm")).expect("copy it");
    let mut test = Command::new(binary());
    let tested = finish(test.args(["--json", "connector", "test"]).arg(dir.path()));
    assert_eq!(tested.code, Some(1), "{tested:?}");
    let tested: Value = serde_json::from_str(&tested.out).expect("JSON");
    let mut found = BTreeMap::new();
    for case in tested["cases"].as_array().expect("cases") {
        let checks = case["checks"].as_array().expect("tests");
        let failed: Vec<_> = checks
            .iter()
            .filter(|check| check["outcome"] == "failed")
            .map(|check| check["check"].as_str().expect("a name"))
            .collect();
        found.insert(case["case"].as_str().expect("a name"), (failed, checks));
    }
    for (fault, expected) in FAULTS
        .iter()
        .chain(&[("taken_for_a_question", &["hooks_verified"][..])])
    {
        let (failed, checks) = &found[fault];
        assert_eq!(failed, expected, "{fault}: {checks:#?}");
    }
    // What keeps the contract is tried by every test that there is.
    let (_, checks) = &found["none"];
    let skipped: Vec<_> = checks
        .iter()
        .filter(|check| check["outcome"] == "skipped")
        .map(|check| check["check"].as_str().expect("a name"))
        .collect();
    assert_eq!(skipped, ["resumes", "golden"], "{checks:#?}");
}
