//! One connector in each language of an SDK that does everything a connector can: `fixtures/sdks/garden`. What it gives is the same in all
//! of them, through the real server.

mod vendor;

use std::time::Duration;

use serde_json::{Value, json};

use self::vendor::{CLIENT, CODE, Garden, MEADOW};
use crate::server::{Api, Server, http, wait_for, within};
use crate::{github, package, sdks};

pub(super) fn component(language: &str) -> Vec<u8> {
    sdks::component(&format!("garden-{language}"))
}

struct World {
    garden: Garden,
    server: Server,
    connector: String,
    connection: String,
}

impl World {
    /// Connected by the connector's own flow, whose code and callback are a browser's matter.
    fn start(language: &str) -> Self {
        let garden = Garden::start();
        let server = Server::start(&garden.setup());
        let api = server.api();
        let installed = github::install(&api, &component(language));
        let connector = installed["connector"].as_str().expect("a connector").to_owned();
        api.put(
            &format!("/api/v1/apps/{connector}/door"),
            &json!({"parts": {"client": CLIENT}}),
        );
        let body = json!({"name": "garden", "connector": connector, "config": {}, "auth": "door"});
        let made = api.post("/api/v1/connections", &body);
        let connection = made["id"].as_str().expect("an id").to_owned();
        knock(&api, &connection);
        Self {
            garden,
            server,
            connector,
            connection,
        }
    }

    fn at(&self, rest: &str) -> String {
        format!("/api/v1/connections/{}{rest}", self.connection)
    }

    fn sync(&self, stream: &str, mode: &str) -> Value {
        let run = github::sync(&self.server.api(), &self.connection, stream, mode);
        assert_eq!(run["state"], "succeeded", "{run}");
        run["counts"].clone()
    }
}

/// The way of a browser from the link to the vendor and back.
fn knock(api: &Api, connection: &str) {
    let begun = api.post(
        &format!("/api/v1/connections/{connection}/authorizations"),
        &json!({}),
    );
    let link = path_of(begun["url"].as_str().expect("a link"));
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let followed = http::request(api.address, "POST", &link, &[kind], b"").expect("follow the link");
    assert_eq!(followed.status, 303, "{}", followed.text());
    let vendor = url::Url::parse(followed.header("location").expect("a place")).expect("an address");
    assert_eq!(
        (vendor.host_str(), vendor.path()),
        (Some("garden.example"), "/door")
    );
    let (_, back) = vendor
        .query_pairs()
        .find(|(name, _)| name == "back")
        .expect("a way back");
    let cookie = followed.header("set-cookie").expect("a cookie");
    let cookie = cookie.split(';').next().unwrap_or_default();
    let landed = http::request(
        api.address,
        "GET",
        &format!("{}&code={CODE}", path_of(&back)),
        &[("cookie", cookie)],
        b"",
    );
    let landed = landed.expect("come back");
    assert!(
        landed.text().contains("<title>Connected</title>"),
        "{}",
        landed.text()
    );
}

/// Path and query of an address.
fn path_of(url: &str) -> String {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    after[after.find('/').expect("a path")..].to_owned()
}

#[test]
fn everything_in_javascript() {
    everything("js");
}

#[test]
fn everything_in_python() {
    everything("python");
}

#[test]
fn everything_in_c() {
    everything("c");
}

fn everything(language: &str) {
    let world = World::start(language);
    a_flow_of_its_own(&world);
    streams(&world);
    writes(&world);
    the_hosts_functions(&world);
    cursors_are_carried_over(&world, language);
    webhooks(&world);
    an_address_of_the_app(&world);
    actions_of_the_account(&world);
    what_was_asked_for_is_told(&world);
    the_end(&world);
}

fn a_flow_of_its_own(world: &World) {
    let api = world.server.api();
    let shown = api.get(&world.at(""));
    assert_eq!(
        (
            &shown["state"],
            &shown["account"]["id"],
            &shown["credential"]["scopes"]
        ),
        (&json!("active"), &json!("7"), &json!(["plants"])),
        "{shown}"
    );
    assert!(shown["credential"]["expires"].is_string(), "{shown}");
    api.post(&world.at("/refresh"), &json!({}));
    assert_eq!(world.garden.count("POST token"), 2);
    // The first stream is read in parts: the first of them is asked for, and where there is none that is no failure.
    for (beds, read) in [
        (&[][..], &[][..]),
        (&["south", "north"], &["/plants/north?after=0"]),
    ] {
        world.garden.dig(beds);
        let tested = api.post(&world.at("/test"), &json!({}));
        assert_eq!(tested["ok"], true, "{tested}");
        assert_eq!(world.garden.read(), read, "{tested}");
    }
}

/// Partitions and streams that only the account has.
fn streams(world: &World) {
    let api = world.server.api();
    assert_eq!(world.sync("plants", "full")["added"], 6);
    let reads = |wanted: &[&str]| {
        let mut read = world.garden.read();
        read.sort();
        assert_eq!(read, wanted);
    };
    reads(&[
        "/plants/north?after=0",
        "/plants/north?after=2",
        "/plants/south?after=0",
        "/plants/south?after=2",
    ]);
    let plant = api.get(&world.at("/records/plants/south-3"));
    assert_eq!(
        (&plant["data"]["bed"], &plant["modified"]),
        (&json!("south"), &json!("2026-01-03T00:00:00.000Z")),
        "{plant}"
    );
    let found = api.all(&world.at("/streams"));
    let seeds = found.iter().find(|stream| stream["stream"] == "seeds");
    assert_eq!(seeds.expect("a stream")["discovered"], true, "{found:?}");
    assert_eq!(world.sync("seeds", "full")["added"], 1);
    let seed = api.get(&world.at("/records/seeds/s1"));
    assert_eq!(seed["data"]["name"], "seeds", "{seed}");
}

fn writes(world: &World) {
    let api = world.server.api();
    let place = world.at("/streams/plants/writes");
    let order = json!({"writes": [
        {"op": "create", "data": {"bed": "north", "name": "rue"}, "idempotency_key": "k1"},
        {"op": "update", "id": "w1", "data": {"name": "sage"}, "idempotency_key": "k2"},
        {"op": "update", "id": "w1", "data": {"name": "late"}, "revision": "stale", "idempotency_key": "k3"},
    ]});
    let written = api.post(&place, &order);
    let outcomes: Vec<&Value> = written["items"]
        .as_array()
        .expect("outcomes")
        .iter()
        .map(|item| &item["outcome"])
        .collect();
    assert_eq!(outcomes, ["done", "done", "conflict"], "{written}");
    assert_eq!(
        world.garden.plants()["w1"],
        json!({"id": "w1", "bed": "north", "name": "sage"})
    );
    let gone = json!({"writes": [{"op": "delete", "id": "w1", "idempotency_key": "k4"}]});
    assert_eq!(api.post(&place, &gone)["items"][0]["outcome"], "done");
    assert!(world.garden.plants().is_empty());
}

/// Storage, bodies in pieces, many requests at once, secrets: one action calls them all.
fn the_hosts_functions(world: &World) {
    let api = world.server.api();
    let output = api.post(&world.at("/actions/tour"), &json!({}))["output"].clone();
    // What one call writes of a key becomes durable as one write.
    let storage = json!({
        "outcomes": ["stored", "conflict", "stored", "invalid-key"], "value": 3, "version": 1, "keys": ["bench/oak"], "gone": true,
    });
    assert_eq!(output["storage"], storage, "{output}");
    assert_eq!(
        output["meadow"],
        json!({"status": 200, "bytes": MEADOW, "in_pieces": true}),
        "{output}"
    );
    assert_eq!(output["many"], json!([1, "config", 3]), "{output}");
    // What the vendor saw is redacted on its way back; that it is a value of each is what counts.
    let seen = output["seen"].as_array().expect("what the vendor saw");
    assert!(
        seen.len() == 2
            && seen
                .iter()
                .all(|one| one.as_str().is_some_and(|one| one.len() > 5)),
        "{output}"
    );
    assert_eq!(
        (&output["wrong"], &output["nobodys"], &output["presigned"]),
        (&json!(false), &json!(false), &json!(false)),
        "{output}"
    );
}

/// Another version has another format of the cursor: its code makes the one of the other, and nothing is read again.
fn cursors_are_carried_over(world: &World, language: &str) {
    let api = world.server.api();
    assert_eq!(world.sync("plants", "incremental")["received"], 0);
    let file = component(language);
    let manifest = package::manifest(&file);
    let second = manifest
        .replacen("version = \"0.1.0\"", "version = \"0.2.0\"", 1)
        .replacen("cursor_version = 1", "cursor_version = 2", 1);
    assert_ne!(second, manifest);
    let installed = github::install(&api, &package::with_manifest(&file, &second));
    let upgraded = api.post(&world.at("/upgrade"), &json!({"install": installed["id"]}));
    assert_eq!(upgraded["done"], true, "{upgraded}");
    world.garden.read();
    assert_eq!(world.sync("plants", "incremental")["received"], 0);
    let mut read = world.garden.read();
    read.sort();
    assert_eq!(read, ["/plants/north?after=3", "/plants/south?after=3"]);
}

/// Registered, renewed, told and ended.
fn webhooks(world: &World) {
    let api = world.server.api();
    let made = api.post(
        "/api/v1/hooks",
        &json!({"connection": world.connection, "webhook": "visits"}),
    );
    let hook = made["id"].as_str().expect("an id").to_owned();
    wait_for("the hook to be registered", || {
        let shown = api.get(&format!("/api/v1/hooks/{hook}"));
        (shown["registration"]["state"] == "registered").then_some(())
    });
    let there = world.garden.hooks();
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(
        (&there[0]["webhook"], &there[0]["url"], &there[0]["events"]),
        (
            &json!("visits"),
            &json!(format!("https://hooks.example.com/hooks/{hook}")),
            &json!(["visit.began"])
        ),
        "{there:?}"
    );
    let secret = there[0]["secret"].as_str().expect("a secret");
    assert!(!secret.contains("placeholder"), "the vendor has the value");

    let answer = told(&api, &hook, "d1", &json!({"visit": {"id": "v1", "name": "mona"}}));
    assert!((200..300).contains(&answer.status), "{}", answer.text());
    let event = event(&api, "visit.began");
    assert_eq!(
        (&event["source_id"], &event["data"]["name"]),
        (&json!("d1"), &json!("mona")),
        "{event}"
    );
    let visit = api.get(&world.at("/records/visits/v1"));
    assert_eq!(visit["data"]["name"], "mona", "{visit}");

    // It was made for some seconds, and is renewed before they are over.
    let renewed = within(Duration::from_secs(60), || {
        (world.garden.count("POST hooks") > 1).then_some(())
    });
    renewed.expect("it is renewed");
    assert_eq!(
        world.garden.hooks().len(),
        1,
        "which the vendor was not asked to make again"
    );
    assert_eq!(api.delete(&format!("/api/v1/hooks/{hook}")).status, 204);
    wait_for("the vendor to forget it", || {
        world.garden.hooks().is_empty().then_some(())
    });
}

/// The garden tells of something, signed.
fn told(api: &Api, hook: &str, delivery: &str, body: &Value) -> http::Answer {
    let body = body.to_string();
    let signed = api.post_bytes(&format!("/api/v1/hooks/{hook}/sign"), body.as_bytes());
    let signed = signed.json();
    let header = &signed["headers"][0];
    let headers = [
        (
            header["name"].as_str().expect("a name"),
            header["value"].as_str().expect("a value"),
        ),
        ("garden-delivery", delivery),
        ("content-type", "application/json"),
    ];
    let at = format!("/hooks/{hook}");
    http::request(api.address, "POST", &at, &headers, body.as_bytes()).expect("an answer")
}

/// The event whose kind ends so.
fn event(api: &Api, kind: &str) -> Value {
    wait_for("the event", || {
        let mut events = api.feed("/api/v1/events?kind=").into_iter();
        events.find(|event| event["kind"].as_str().is_some_and(|found| found.ends_with(kind)))
    })
}

/// One address for all gardens: the code says which accounts a webhook concerns, before it is acknowledged.
fn an_address_of_the_app(world: &World) {
    let api = world.server.api();
    let order = json!({"connector": world.connector, "webhook": "calls", "secret": "the-gardens-own-secret"});
    let made = api.post("/api/v1/hooks", &order);
    let hook = made["id"].as_str().expect("an id");
    let call = |delivery: &str, accounts: Value| {
        let body = json!({"accounts": accounts, "visit": {"id": delivery, "name": "lisa"}});
        told(&api, hook, delivery, &body)
    };
    let mine = call("c1", json!([7, "8"]));
    assert!((200..300).contains(&mine.status), "{}", mine.text());
    let event = event(&api, "visit.called");
    assert_eq!(
        (&event["source_id"], &event["subject"]),
        (&json!("c1"), &json!(world.connection)),
        "the code was told which webhook it is: {event}"
    );
    let again = call("c1", json!([7]));
    assert_eq!(again.json()["duplicate"], true, "{}", again.text());
    let nobodys = call("c2", json!(["8"]));
    assert_eq!(
        nobodys.status, mine.status,
        "it is genuine, and the vendor need not know"
    );
    // Its code can't read it: it is not acknowledged, so the vendor tells it again.
    let unread = told(&api, hook, "c3", &json!({"visit": {"id": "c3"}}));
    assert_eq!(unread.status, 503, "{}", unread.text());
    let hooks = api.get(&format!("/api/v1/hooks?connection={}", world.connection));
    let kept: Vec<Value> = hooks["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|hook| hook["id"].as_str())
        .flat_map(|hook| api.all(&format!("/api/v1/hooks/{hook}/receipts")))
        .collect();
    let keys: Vec<&Value> = kept.iter().map(|receipt| &receipt["dedupe_key"]).collect();
    assert_eq!(keys, [&json!("id:c1")], "{kept:?}");
}

/// What only the account can do is offered, held to its schema, and done.
fn actions_of_the_account(world: &World) {
    let api = world.server.api();
    let offered = api.all(&world.at("/actions"));
    let names: Vec<_> = offered
        .iter()
        .map(|action| (action["name"].as_str(), action["discovered"].as_bool()))
        .collect();
    assert_eq!(
        names,
        [(Some("tour"), Some(false)), (Some("water"), Some(true))],
        "{offered:?}"
    );
    let done = api.post(&world.at("/actions/water"), &json!({"plant": "rue"}));
    assert_eq!(done["output"], json!({"watered": "rue"}));
    let refused = api.try_post(&world.at("/actions/water"), &json!({}));
    assert_eq!(refused.code(), "action.input", "{}", refused.text());
    let unknown = api.try_post(&world.at("/actions/mow"), &json!({}));
    assert_eq!(unknown.code(), "action.unknown", "{}", unknown.text());
    assert!(unknown.text().contains("tour, water"), "{}", unknown.text());

    let cli = |words: &[&str]| world.server.cli(&[&["action"], words].concat());
    let listed = cli(&["list", "garden"]);
    assert!(listed.out.contains("the account's"), "{}", listed.out);
    let shown = cli(&["show", "garden", "water"]);
    assert!(shown.out.contains("\"plant\""), "{}", shown.out);
    let ran = cli(&["run", "garden", "water", "-f", "plant=rue"]);
    assert!(ran.out.contains("\"watered\": \"rue\""), "{}", ran.out);
    let refused = cli(&["run", "garden", "water"]);
    assert!(
        refused.code != Some(0) && refused.err.contains("SLU-4302"),
        "{}",
        refused.err
    );
}

/// What was done on request leaves a trace too.
fn what_was_asked_for_is_told(world: &World) {
    let api = world.server.api();
    let said = wait_for("the log", || {
        let lines = api.all(&world.at("/logs"));
        let told: Vec<String> = lines
            .iter()
            .filter_map(|line| line["message"].as_str().map(str::to_owned))
            .collect();
        let wanted = [
            "action water: done",
            "writes to plants (3): done",
            "the tour begins",
            "register: done",
        ];
        wanted
            .iter()
            .all(|wanted| told.iter().any(|line| line == wanted))
            .then_some(told)
    });
    assert!(said.iter().any(|line| line == "unregister: done"), "{said:?}");
    let asked = api.all(&world.at("/trace"));
    let paths: Vec<&str> = asked
        .iter()
        .filter_map(|exchange| exchange["url"].as_str())
        .collect();
    for path in ["/plants/w1", "/hooks", "/meadow"] {
        assert!(paths.iter().any(|url| url.contains(path)), "{path}: {paths:?}");
    }
    assert!(!paths.iter().any(|url| url.contains("/door")), "{paths:?}");
    let shown = world.server.cli(&["connection", "logs", "garden"]);
    assert!(shown.out.contains("action water: done"), "{}", shown.out);
}

/// A grant that is over is told as that, and one that is given back is told to the vendor.
fn the_end(world: &World) {
    let api = world.server.api();
    let told = api.post(&world.at("/revoke"), &json!({}));
    assert_eq!(told, json!({"vendor_told": true}));
    assert_eq!(world.garden.count("POST revoke"), 1);
    knock(&api, &world.connection);
    world.garden.end();
    let refused = api.try_post(&world.at("/refresh"), &json!({}));
    assert_eq!(
        refused.code(),
        "auth.ended",
        "{}: {}",
        world.connector,
        refused.text()
    );
}
