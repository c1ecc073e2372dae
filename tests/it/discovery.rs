//! Streams that only the account has: discovered, read, written and loaded like those of the manifest; and what becomes of
//! them when the vendor's user takes one away, or when the connector says nonsense.

use serde_json::{Value, json};

use crate::github;
use crate::ledger::Ledger;
use crate::links::{install, open, sync};
use crate::server::{Api, Server};

fn schema(property: &str) -> Value {
    json!({"type": "object", "title": "Shelf", "required": ["id"],
        "properties": {"id": {"type": "string"}, "rev": {"type": "integer"}, property: {"type": "string"}}})
}

fn names(api: &Api, connection: &str) -> Vec<(String, bool)> {
    let streams = api.get(&format!("/api/v1/connections/{connection}/streams"));
    let streams = streams["items"].as_array().unwrap().iter();
    let name = |stream: &Value| {
        let name = stream["stream"].as_str().unwrap().to_owned();
        (name, stream["discovered"] == true)
    };
    streams.map(name).collect()
}

#[test]
fn what_only_the_account_has_is_a_stream_like_any_other() {
    let ledger = Ledger::start();
    ledger.shelve(&[("novels", schema("title")), ("maps", schema("place"))]);
    let server = Server::start(&ledger.setup());
    let api = server.api();
    install(&api);
    let connection = open(&api, "left");
    // The connection's test has asked.
    let found = names(&api, &connection);
    let discovered: Vec<_> = found
        .iter()
        .filter(|(_, discovered)| *discovered)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(discovered, ["maps", "novels"]);
    assert!(found.contains(&("entries".to_owned(), false)), "{found:?}");

    // Its records are held to the schema that was told.
    ledger.edit("left/novels", "", &json!({"title": "Emma"}));
    ledger.edit("left/novels", "", &json!({"title": 7}));
    let run = github::sync(&api, &connection, "novels", "incremental");
    assert_eq!(
        (
            &run["state"],
            &run["counts"]["added"],
            &run["counts"]["quarantined"]
        ),
        (&json!("partial"), &json!(1), &json!(1)),
        "{run}"
    );
    // What can be written is what the manifest says of all of them.
    let place = format!("/api/v1/connections/{connection}/streams/novels/writes");
    let written = api.post(
        &place,
        &json!({"writes": [{"op": "create", "data": {"title": "Persuasion"}, "idempotency_key": "k1"}]}),
    );
    assert_eq!(written["items"][0]["outcome"], "done", "{written}");
    let refused = api.try_post(
        &place,
        &json!({"writes": [{"op": "delete", "id": "e1", "idempotency_key": "k2"}]}),
    );
    assert_eq!(refused.code(), "write.unsupported", "{}", refused.text());
    let unwritten = format!("/api/v1/connections/{connection}/streams/archive/writes");
    let refused = api.try_post(
        &unwritten,
        &json!({"writes": [{"op": "delete", "id": "e1", "idempotency_key": "k3"}]}),
    );
    assert_eq!(refused.code(), "write.unsupported", "{}", refused.text());

    // One goes, one looks different, one is new: said by the command, told as an event, and the records stay.
    ledger.shelve(&[("maps", schema("region")), ("poems", schema("title"))]);
    let said = server.cli(&["connection", "discover", &connection, "--json"]);
    let said: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        said,
        json!({"streams": 2, "added": ["poems"], "changed": ["maps"], "gone": ["novels"], "refused": [], "not_set": {}})
    );
    let events = api.all("/api/v1/events?kind=sluice.connection.streams");
    assert_eq!(events.len(), 2, "{events:?}");
    let order = json!({"streams": ["novels"], "mode": "incremental"});
    let gone = api.try_post(&format!("/api/v1/connections/{connection}/sync"), &order);
    assert_eq!(gone.code(), "sync.stream", "{}", gone.text());
    let kept = api.all(&format!(
        "/api/v1/connections/{connection}/records?stream=novels&latest=true"
    ));
    assert_eq!(kept.len(), 2, "{kept:?}");

    // A list that can't be used is no list: the one of before stays.
    for nonsense in [
        vec![("Poems!", schema("title"))],
        vec![("poems", json!({"type": 7}))],
        vec![("poems", json!({"$ref": "http://127.0.0.1:9/schema"}))],
        vec![("poems", schema("title")), ("poems", schema("verse"))],
    ] {
        ledger.shelve(&nonsense);
        let refused = api.try_post(&format!("/api/v1/connections/{connection}/discovery"), &json!({}));
        assert_eq!(refused.code(), "sync.discovered", "{}", refused.text());
    }
    sync_poems(&ledger, &api, &connection);
}

/// What a contract makes of streams that the account did not have before.
#[test]
fn new_streams_are_read_left_out_or_wait_for_a_person() {
    let ledger = Ledger::start();
    ledger.shelve(&[("maps", schema("place"))]);
    let server = Server::start(&ledger.setup());
    let api = server.api();
    install(&api);
    let connection = open(&api, "left");
    let has = |name: &str| names(&api, &connection).iter().any(|(of, _)| of == name);
    let contract = |words: &[&str]| {
        let said = server.cli(&[&["connection", "new-streams", &connection], words].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
    };
    let discover = |accept: bool| {
        let path = format!("/api/v1/connections/{connection}/discovery?accept={accept}");
        api.post(&path, &json!({}))
    };
    assert!(has("maps"), "the first list is taken whole");

    // Nothing of a list that has a new one, a change included, until a person accepts it; what is known is read meanwhile.
    contract(&["freeze"]);
    ledger.shelve(&[("maps", schema("region")), ("poems", schema("title"))]);
    let found = discover(false);
    assert_eq!(found["refused"], json!(["poems"]), "{found}");
    assert_eq!(
        (&found["added"], &found["changed"]),
        (&json!([]), &json!([])),
        "{found}"
    );
    assert!(!has("poems"));
    ledger.edit("left/maps", "", &json!({"place": "Ur"}));
    let run = github::sync(&api, &connection, "maps", "incremental");
    assert_eq!(run["counts"]["added"], 1, "{run}");
    let said = server.cli(&["connection", "discover", &connection]);
    assert!(said.out.contains("--accept"), "{said:?}");
    let found = discover(true);
    assert_eq!(
        (&found["added"], &found["changed"]),
        (&json!(["poems"]), &json!(["maps"]))
    );
    assert!(has("poems"));

    // Left out, and the rest taken.
    contract(&["discard"]);
    ledger.shelve(&[("maps", schema("place")), ("plays", schema("title"))]);
    let found = discover(false);
    assert_eq!(
        (&found["refused"], &found["gone"]),
        (&json!(["plays"]), &json!(["poems"]))
    );
    assert!(!has("plays") && !has("poems"));

    // Taken, and read by itself; what cannot be read so is said.
    contract(&[
        "evolve",
        "--options",
        r#"{"cadence": {"every_s": 3600}, "mode": "incremental"}"#,
    ]);
    let found = discover(false);
    assert_eq!(
        (&found["added"], &found["not_set"]),
        (&json!(["plays"]), &json!({}))
    );
    let streams = api.get(&format!("/api/v1/connections/{connection}/streams"));
    let plays = streams["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|stream| stream["stream"] == "plays");
    assert_eq!(plays.unwrap()["options"]["cadence"]["every_s"], 3600, "{streams}");
    let path = format!("/api/v1/connections/{connection}/contract");
    let put = |body: &Value| api.send("PUT", &path, "application/json", body.to_string().as_bytes());
    // What no stream could have is refused now, under the code that a stream's own has, and where it is.
    for (options, code, place) in [
        (
            json!({"cadence": {"every_s": 1}}),
            "stream.options",
            "/options/cadence",
        ),
        (
            json!({"history_s": 32_000_000}),
            "stream.options",
            "/options/history_s",
        ),
        (json!({"mode": "backfill"}), "sync.mode", "backfill"),
        (
            json!({"rules": {"map": [{"jq": "."}, {"jq": ".title |"}]}}),
            "mapping.program",
            "/options/rules/map/1",
        ),
        (
            json!({"rules": {"map": [{"cast": {"field": "year", "to": "roman"}}]}}),
            "mapping.settings",
            "/options/rules/map/0",
        ),
        (
            json!({"rules": {"select": ["title", ""]}}),
            "mapping.field",
            "/options/rules/select/1",
        ),
    ] {
        let refused = put(&json!({"new_streams": "evolve", "options": options}));
        let said = refused.text();
        assert_eq!(refused.code(), code, "{said}");
        assert!(said.contains(place), "{said}");
        let own = json!({"options": options});
        let of_one = format!("/api/v1/connections/{connection}/streams/plays");
        let own = api.send("PUT", &of_one, "application/json", own.to_string().as_bytes());
        assert_eq!(own.code(), code, "{}", own.text());
    }
    let wrong = json!({"new_streams": "perhaps"});
    assert_eq!(put(&wrong).status, 400);
    // A field that none of them may have is no mistake.
    let rules = json!({"select": ["title"], "map": [{"cast": {"field": "year", "to": "integer"}}]});
    let set = put(&json!({"new_streams": "evolve", "options": {"mode": "check", "rules": rules}}));
    assert_eq!(set.status, 200, "{}", set.text());
    let kinds = api.all("/api/v1/events?kind=sluice.connection.contract");
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}

fn sync_poems(ledger: &Ledger, api: &Api, connection: &str) {
    ledger.edit("left/poems", "", &json!({"title": "Ode"}));
    let run = github::sync(api, connection, "poems", "full");
    assert_eq!(run["counts"]["added"], 1, "{run}");
    sync(api, &[connection]);
}
