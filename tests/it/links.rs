//! Links: two vendors' records are kept saying the same, whoever edits what, whatever is lost on the way, and whoever is killed.

use local_postgres::{PASSWORD, Postgres};
use serde_json::{Value, json};

use crate::github;
use crate::ledger::Ledger;
use crate::package;
use crate::server::{Api, Place, Server, wait_for};

pub(crate) fn install(api: &Api) {
    let file = std::fs::read(package::file("ledger", "fixtures/connectors/ledger")).unwrap();
    github::install(api, &file);
}

/// A connection to a book of the vendor.
pub(crate) fn open(api: &Api, book: &str) -> String {
    let body = json!({"name": book, "connector": "ledger", "config": {"book": book}});
    let made = api.try_post("/api/v1/connections", &body);
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let tested = api.post(&format!("/api/v1/connections/{id}/test"), &json!({}));
    assert_eq!(tested["ok"], true, "{tested}");
    id
}

pub(crate) fn sync(api: &Api, connections: &[&str]) {
    for connection in connections {
        let run = github::sync(api, connection, "entries", "incremental");
        assert_eq!(run["state"], "succeeded", "{run}");
    }
}

fn both_ways(policy: &Value) -> Value {
    json!({
        "direction": "both-ways",
        "fields": [{"source": "name", "target": "name"}, {"source": "amount", "target": "amount"}],
        "policy": policy,
    })
}

fn link(api: &Api, name: &str, ends: (&str, &str), settings: &Value) -> Value {
    let body = json!({
        "name": name,
        "source": {"connection": ends.0, "stream": "entries"},
        "target": {"connection": ends.1, "stream": "entries"},
        "settings": settings,
    });
    let made = api.try_post("/api/v1/links", &body);
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

fn up_to_date(api: &Api, link: &str) -> Value {
    wait_for(&format!("{link} to be up to date"), || {
        let found = api.get(&format!("/api/v1/links/{link}"));
        assert_ne!(found["state"], "failing", "{found}");
        (found["state"] == "up-to-date").then_some(found)
    })
}

struct World {
    ledger: Ledger,
    server: Server,
    left: String,
    right: String,
}

fn world(settings: &Value) -> World {
    let ledger = Ledger::start();
    let server = Server::start(&ledger.setup());
    let api = server.api();
    install(&api);
    let (left, right) = (open(&api, "left"), open(&api, "right"));
    link(&api, "pair", (&left, &right), settings);
    World {
        ledger,
        server,
        left,
        right,
    }
}

impl World {
    /// Reads both vendors until there is no news, and the link has nothing left to do.
    fn settle(&self) -> Value {
        let api = self.server.api();
        sync(&api, &[&self.left, &self.right]);
        up_to_date(&api, "pair");
        sync(&api, &[&self.left, &self.right]);
        up_to_date(&api, "pair")
    }

    fn both_say(&self, expected: &Value) {
        for book in ["left", "right"] {
            assert_eq!(json!(self.ledger.says(book)), *expected, "{book}");
        }
    }
}

#[test]
fn both_sides_say_the_same_and_nothing_echoes() {
    let world = world(&both_ways(&json!({"kind": "manual"})));
    let one = world.ledger.edit(
        "left",
        "",
        &json!({"name": "one", "amount": 9007199254740993_u64}),
    );
    world
        .ledger
        .edit("right", "", &json!({"name": "two", "amount": 2}));
    world.settle();
    let both = json!([{"amount": 2, "name": "two"}, {"amount": 9007199254740993_u64, "name": "one"}]);
    world.both_say(&both);
    assert_eq!(world.ledger.writes(), 2);

    // What was asked of the vendors is in the link's trace.
    let trace = world.server.api().all("/api/v1/links/pair/trace");
    let mut asked: Vec<_> = trace
        .iter()
        .map(|row| (row["method"].as_str().unwrap(), row["url"].as_str().unwrap()))
        .collect();
    asked.sort_unstable();
    let entries = |book: &str| format!("http://ledger.example:443/{book}/entries");
    assert_eq!(
        asked,
        [("POST", entries("left").as_str()), ("POST", &entries("right"))]
    );
    let shown = world.server.cli(&["link", "trace", "pair"]);
    assert!(shown.out.contains("/right/entries"), "{shown:?}");

    // What one side changes the other is told, and only that; members that are nobody's business stay.
    world
        .ledger
        .edit("left", &one, &json!({"note": "mine", "amount": 11}));
    world.settle();
    assert_eq!(world.ledger.writes(), 3);
    assert_eq!(
        json!(world.ledger.says("right")),
        json!([{"amount": 11, "name": "one"}, {"amount": 2, "name": "two"}])
    );
    // An echo would be a write: there is none, however often both are read.
    for _ in 0..2 {
        world.settle();
    }
    assert_eq!(world.ledger.writes(), 3);
    // A delete goes over too, and a record made anew is a new one.
    world.ledger.remove("left", &one);
    let link = world.settle();
    world.both_say(&json!([{"amount": 2, "name": "two"}]));
    assert_eq!(
        (&link["pairs"], &link["conflicts"]),
        (&json!(1), &json!(0)),
        "{link}"
    );

    // Settings that cannot work are refused before anything is written.
    let api = world.server.api();
    for (settings, code) in [
        (json!({}), "link.settings"),
        (
            json!({"fields": [{"source": "a", "target": "a"}], "policy": {"kind": "rule", "jq": "input"}}),
            "link.policy",
        ),
        (
            json!({"fields": [{"source": "a", "target": "a"}], "nonsense": 1}),
            "link.settings",
        ),
    ] {
        let body = json!({"name": "no", "source": {"connection": world.left, "stream": "entries"},
            "target": {"connection": world.right, "stream": "entries"}, "settings": settings});
        let refused = api.try_post("/api/v1/links", &body);
        assert_eq!(refused.code(), code, "{}", refused.text());
    }
    let body = json!({"name": "no", "source": {"connection": world.left, "stream": "entries"},
        "target": {"connection": world.right, "stream": "archive"},
        "settings": {"fields": [{"source": "a", "target": "a"}]}});
    assert_eq!(api.try_post("/api/v1/links", &body).code(), "write.unsupported");
}

/// A page that was read before a link's write, and would be committed after it, says what the vendor does not say any more.
#[test]
fn a_page_from_before_a_links_write_does_not_take_it_back() {
    let world = world(&both_ways(&json!({"kind": "source-wins"})));
    let api = world.server.api();
    let left = world
        .ledger
        .edit("left", "", &json!({"name": "one", "amount": 1}));
    world.settle();
    let right = api.all(&format!(
        "/api/v1/connections/{}/records?stream=entries&latest=true",
        world.right
    ));
    let right = right[0]["id"].as_str().unwrap();
    let before = world.ledger.writes();
    // The page has this record, because somebody made a note on it; it is read, and does not come yet.
    world.ledger.edit("right", right, &json!({"note": "mine"}));
    world.ledger.hold_readers("right");
    let late = github::start_sync(&api, &world.right, &["entries"], "incremental");
    wait_for("the page to be read", || {
        (world.ledger.readers_waiting() == 1).then_some(())
    });
    world.ledger.edit("left", &left, &json!({"amount": 11}));
    sync(&api, &[&world.left]);
    up_to_date(&api, "pair");
    assert_eq!(world.ledger.writes(), before + 1);
    world.ledger.read();
    world.ledger.answer_readers();
    let ended = github::ended(&api, &late[0]);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(world.ledger.read().len(), 1, "the page is read again, once");
    let trace = api.all(&format!("/api/v1/runs/{}/trace", late[0]));
    assert_eq!(trace.len(), 2, "what was refused is told too: {trace:?}");
    let metrics = api.send("GET", "/metrics", "text/plain", b"").text();
    let put_off = "sluice_runs_total{outcome=\"deferred\"}";
    assert!(metrics.contains(&format!("{put_off} 0\n")), "{metrics}");
    world.settle();
    assert_eq!(world.ledger.writes(), before + 1, "nothing was written back");
    assert_eq!(world.ledger.entry("left", &left).unwrap()["amount"], 11);
    assert_eq!(
        world.ledger.entry("right", right).unwrap(),
        json!({"id": right, "rev": 3, "name": "one", "amount": 11, "note": "mine"})
    );
}

#[test]
fn what_both_sides_changed_is_decided_by_the_policy_or_a_person() {
    // A write says which revision it builds on: what somebody else changed meanwhile is not overwritten unseen.
    let mut settings = both_ways(&json!({"kind": "merge"}));
    settings["revision"] = json!({"source": "rev", "target": "rev"});
    let world = world(&settings);
    let api = world.server.api();
    let ids: Vec<String> = (0..4)
        .map(|n| {
            world
                .ledger
                .edit("left", "", &json!({"name": format!("n{n}"), "amount": n}))
        })
        .collect();
    world.settle();
    let right_of = |name: &str| {
        let all = api.all(&format!(
            "/api/v1/connections/{}/records?stream=entries&latest=true",
            world.right
        ));
        let found = all.iter().find(|record| record["data"]["name"] == name).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let rights: Vec<String> = (0..4).map(|n| right_of(&format!("n{n}"))).collect();
    // Different members: both are kept. The same member: a person. The link looks when both sides are read.
    let order = |word: &str| api.post(&format!("/api/v1/links/pair/{word}"), &json!({}));
    order("pause");
    world.ledger.edit("left", &ids[0], &json!({"name": "left's"}));
    world.ledger.edit("right", &rights[0], &json!({"amount": 100}));
    for n in 1..4 {
        world.ledger.edit("left", &ids[n], &json!({"amount": 200 + n}));
        world
            .ledger
            .edit("right", &rights[n], &json!({"amount": 300 + n}));
    }
    let before = world.ledger.writes();
    sync(&api, &[&world.left, &world.right]);
    order("resume");
    up_to_date(&api, "pair");
    let link = world.settle();
    assert_eq!(link["conflicts"], 3, "{link}");
    assert_eq!(
        world.ledger.writes(),
        before + 2,
        "one write for each side of the merged one"
    );
    let merged = json!({"amount": 100, "name": "left's"});
    for book in ["left", "right"] {
        assert!(world.ledger.says(book).contains(&merged), "{book}");
    }
    let waiting = api.all("/api/v1/links/pair/conflicts");
    assert_eq!(waiting.len(), 3);
    let first = &waiting[0];
    assert_eq!(first["fields"], json!(["amount"]), "{first}");
    let amounts = ["source", "target", "base_source"].map(|side| first[side]["amount"].clone());
    assert_eq!(amounts, [json!(201), json!(301), json!(1)], "{first}");
    // Meanwhile neither side is overwritten; then one word for one of them, another for what is like it.
    let number = first["number"].to_string();
    let settled = world
        .server
        .cli(&["link", "resolve", "pair", &number, "--take", "source", "--json"]);
    assert_eq!(settled.code, Some(0), "{settled:?}");
    let number = waiting[1]["number"].to_string();
    let settled = world.server.cli(&[
        "link",
        "resolve",
        "pair",
        &number,
        "--take",
        "target",
        "--similar",
        "--json",
    ]);
    assert!(
        settled.out.contains("\"settled\": 2") || settled.out.contains("\"settled\":2"),
        "{settled:?}"
    );
    let link = world.settle();
    assert_eq!(link["conflicts"], 0, "{link}");
    world.both_say(&json!([
        {"amount": 100, "name": "left's"}, {"amount": 201, "name": "n1"},
        {"amount": 302, "name": "n2"}, {"amount": 303, "name": "n3"},
    ]));
    let again = api.try_post("/api/v1/links/pair/conflicts/1", &json!({"take": "source"}));
    assert_eq!(again.code(), "link.no_conflict", "{}", again.text());
    // A record that the vendor refuses holds up nobody else.
    world.ledger.refuse(Some("bad"));
    world
        .ledger
        .edit("left", "", &json!({"name": "bad", "amount": 1}));
    world
        .ledger
        .edit("left", "", &json!({"name": "good", "amount": 1}));
    let link = world.settle();
    assert_eq!(link["conflicts"], 1, "{link}");
    assert!(
        world
            .ledger
            .says("right")
            .contains(&json!({"amount": 1, "name": "good"}))
    );
    world.ledger.refuse(None);
    let waiting = api.all("/api/v1/links/pair/conflicts");
    assert_eq!(waiting[0]["reason"]["code"], "guest.invalid_data", "{waiting:?}");
    let place = format!("/api/v1/links/pair/conflicts/{}", waiting[0]["number"]);
    api.post(&place, &json!({"take": "source"}));
    world.settle();
    assert_eq!(world.ledger.says("left"), world.ledger.says("right"));
}

/// Both books are edited while answers are lost and the server is killed, at points that nobody chose; what the right one
/// says goes into a database. `SLUICE_KILLS=200` for a night.
#[test]
fn a_write_is_made_once_whatever_is_lost_and_whoever_is_killed() {
    let kills: u64 = std::env::var("SLUICE_KILLS").map_or(6, |text| text.parse().expect("a number"));
    let ledger = Ledger::start();
    let postgres = Postgres::start();
    let mut setup = ledger.setup();
    setup.places.push(Place {
        host: "db.test".to_owned(),
        address: ([127, 0, 0, 1], postgres.port()).into(),
        ca: String::new(),
    });
    let mut server = Server::start(&setup);
    let api = server.api();
    install(&api);
    let (left, right) = (open(&api, "left"), open(&api, "right"));
    link(
        &api,
        "pair",
        (&left, &right),
        &both_ways(&json!({"kind": "source-wins"})),
    );
    let settings = json!({"kind": "postgres", "host": "db.test", "port": 443, "database": "postgres",
        "user": "postgres", "tls": "disable"});
    let body = json!({"name": "warehouse", "settings": settings, "secrets": {"password": PASSWORD}});
    assert_eq!(api.try_post("/api/v1/destinations", &body).status, 201);
    api.put(
        &format!("/api/v1/destinations/warehouse/loads/{right}"),
        &json!({"every_s": 0}),
    );

    let mut seed = 1_795_000_000_u64;
    let mut chance = |below: u64| {
        // xorshift64
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let (mut made, mut lefts) = (0, Vec::new());
    for kill in 0..kills {
        let api = server.api();
        for _ in 0..chance(40) {
            let book = if chance(3) == 0 { "right" } else { "left" };
            let id = ledger.edit(book, "", &json!({"name": format!("n{made}"), "amount": made}));
            made += 1;
            if book == "left" {
                lefts.push(id);
            }
        }
        for _ in 0..chance(10) {
            if let Some(id) = lefts.get(usize::try_from(chance(lefts.len().max(1) as u64)).unwrap()) {
                ledger.edit("left", id, &json!({"amount": 1_000_000 + kill}));
            }
        }
        ledger.lose(chance(3));
        let busy = [&left, &right].map(|connection| {
            let body = json!({"streams": ["entries"], "mode": "incremental"});
            api.try_post(&format!("/api/v1/connections/{connection}/sync"), &body)
                .status
        });
        assert!(busy.iter().all(|status| [202, 409].contains(status)), "{busy:?}");
        let (before, wanted) = (ledger.requests(), 2 + chance(30));
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(2);
        while ledger.requests() < before + wanted && std::time::Instant::now() < patience {
            // What failed waits; a person need not.
            api.try_post("/api/v1/links/pair/retry", &json!({}));
        }
        server.kill();
        server.run();
    }
    let world = World {
        ledger,
        server,
        left,
        right,
    };
    let api = world.server.api();
    wait_for("the last runs", || {
        let runs = api.get("/api/v1/runs?limit=20");
        let all = runs["items"].as_array().unwrap();
        all.iter().all(|run| run["over"] == true).then_some(())
    });
    wait_for("both books", || {
        api.try_post("/api/v1/links/pair/retry", &json!({}));
        let link = api.get("/api/v1/links/pair");
        (link["state"] == "up-to-date").then_some(())
    });
    let end = world.settle();
    assert_eq!(end["conflicts"], 0, "{end}");
    // Each record once on each side, although answers were lost and processes with them.
    assert_eq!(world.ledger.says("right").len(), made);
    assert_eq!(world.ledger.says("left"), world.ledger.says("right"));
    let load = wait_for("the database", || {
        api.try_post(
            &format!("/api/v1/destinations/warehouse/loads/{}/retry", world.right),
            &json!({}),
        );
        let found = api.get("/api/v1/destinations/warehouse/loads")["items"][0].clone();
        (found["state"] == "up-to-date").then_some(found)
    });
    let mut rows = postgres.ask("SELECT name, amount FROM entries").unwrap();
    rows.sort();
    let mut said: Vec<String> = world
        .ledger
        .says("right")
        .iter()
        .map(|entry| format!("{}|{}", entry["name"].as_str().unwrap(), entry["amount"]))
        .collect();
    said.sort();
    assert_eq!(rows, said, "{load}");
}

#[test]
fn records_are_written_one_by_one_with_outcomes() {
    let ledger = Ledger::start();
    let server = Server::start(&ledger.setup());
    let api = server.api();
    install(&api);
    let connection = open(&api, "left");
    let id = ledger.edit("left", "", &json!({"name": "old"}));
    ledger.refuse(Some("bad"));
    let place = format!("/api/v1/connections/{connection}/streams/entries/writes");
    let body = json!({"writes": [
        {"op": "create", "data": {"name": "new", "amount": 1e2}, "idempotency_key": "k1"},
        {"op": "update", "id": id, "data": {"name": "newer"}, "revision": "1", "idempotency_key": "k2"},
        {"op": "update", "id": id, "data": {"name": "late"}, "revision": "1", "idempotency_key": "k3"},
        {"op": "create", "data": {"name": "bad"}, "idempotency_key": "k4"},
        {"op": "delete", "id": "e2", "idempotency_key": "k5"},
    ]});
    let written = api.post(&place, &body);
    let outcomes: Vec<&Value> = written["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["outcome"])
        .collect();
    assert_eq!(
        json!(outcomes),
        json!(["done", "done", "conflict", "failed", "done"]),
        "{written}"
    );
    assert_eq!(written["items"][2]["data"]["name"], "newer", "{written}");
    assert_eq!(written["items"][3]["code"], "guest.invalid_data", "{written}");
    // What the vendor has is here at once, and the same again writes nothing.
    let record = api.get(&format!("/api/v1/connections/{connection}/records/entries/{id}"));
    assert_eq!(record["data"], ledger.entry("left", &id).unwrap(), "{record}");
    let writes = ledger.writes();
    api.post(&place, &body);
    assert_eq!(ledger.writes(), writes);
    for (body, code) in [
        (
            json!({"writes": [{"op": "upsert", "idempotency_key": "k"}]}),
            "write.record",
        ),
        (
            json!({"writes": [{"op": "create", "data": [1], "idempotency_key": "k"}]}),
            "write.record",
        ),
        (
            json!({"writes": vec![json!({"op": "delete", "id": "e", "idempotency_key": "k"}); 101]}),
            "write.too_many",
        ),
    ] {
        let refused = api.try_post(&place, &body);
        assert_eq!(refused.code(), code, "{}", refused.text());
    }
    let archive = format!("/api/v1/connections/{connection}/streams/archive/writes");
    let refused = api.try_post(
        &archive,
        &json!({"writes": [{"op": "delete", "id": "e", "idempotency_key": "k"}]}),
    );
    assert_eq!(refused.code(), "write.unsupported", "{}", refused.text());
}
