//! Endpoints, through a receiver that we do not trust and judges that we did not write.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::counterpart::Judge;
use crate::receiver::Receiver;
use crate::server::{Api, Place, Server, Setup, wait_for};

const CHANGED: &str = "sluice.endpoint.changed";

fn setup(receiver: &Receiver) -> Setup {
    Setup {
        places: vec![Place {
            host: "receiver.example".to_owned(),
            address: receiver.address,
            ca: String::new(),
        }],
        set: vec![
            ("SLUICE_ENDPOINTS__RETRY_WAITS_MS", "[20, 20, 20]".to_owned()),
            ("SLUICE_ENDPOINTS__ATTEMPT_TIMEOUT_S", "2".to_owned()),
            ("SLUICE_ENDPOINTS__PAUSE_MS", "20".to_owned()),
        ],
        ..Setup::default()
    }
}

/// Makes an endpoint that wants what [`ring`] tells of.
fn endpoint(api: &Api, name: &str, url: &str, more: Value) -> Value {
    let mut body = json!({"name": name, "url": url, "events": [CHANGED]});
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    let made = api.try_post("/api/v1/endpoints", &body);
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

/// An endpoint that wants nothing: each of its changes is an event.
fn bell(api: &Api, receiver: &Receiver) {
    endpoint(
        api,
        "bell",
        &receiver.url("/bell"),
        json!({"events": ["nothing"]}),
    );
}

/// Has an event appended.
fn ring(api: &Api) {
    let answer = api.send(
        "PATCH",
        "/api/v1/endpoints/bell",
        "application/json",
        b"{\"ordered\":true}",
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn deliveries(api: &Api, name: &str) -> Vec<Value> {
    api.all(&format!("/api/v1/endpoints/{name}/deliveries"))
}

/// The one delivery of an endpoint, when it has come to this state.
fn settled(api: &Api, name: &str, state: &str) -> Value {
    let seq = wait_for(&format!("{name} {state}"), || {
        let found = deliveries(api, name);
        let found = found.iter().find(|delivery| delivery["state"] == state);
        found.map(|delivery| delivery["seq"].to_string())
    });
    api.get(&format!("/api/v1/endpoints/{name}/deliveries/{seq}"))
}

#[test]
fn what_is_signed_is_believed_by_others() {
    let receiver = Receiver::start();
    let server = Server::start(&setup(&receiver));
    let api = server.api();
    bell(&api, &receiver);
    let made = endpoint(
        &api,
        "hmac",
        &receiver.url("/hmac"),
        json!({"headers": {"X-Team": "blue", "Authorization": "Bearer own-words"}}),
    );
    let old = made["secret"].as_str().expect("a secret").to_owned();
    assert!(old.starts_with("whsec_"));
    let shown = api.get("/api/v1/endpoints/hmac");
    assert!(
        !shown.to_string().contains(&old) && !shown.to_string().contains("own-words"),
        "{shown}"
    );
    let rotated = api.post("/api/v1/endpoints/hmac/rotate", &json!({"overlap_s": 600}));
    let new = rotated["secret"].as_str().expect("a secret").to_owned();
    let pair = endpoint(
        &api,
        "pair",
        &receiver.url("/pair"),
        json!({"signing": "ed25519"}),
    );
    assert!(pair["secret"].is_null(), "{pair}");
    let public = pair["public_keys"][0].as_str().expect("a public key").to_owned();
    ring(&api);
    let [hmac, pair] =
        ["/hmac", "/pair"].map(|path| wait_for(path, || receiver.got(path).into_iter().next()));
    let judge = Judge::node("judge/standard-webhooks.mjs", &[]);
    let ask = |got: &crate::receiver::Got, key: &str| {
        judge.ask(&json!({
            "key": key,
            "id": got.header("webhook-id"),
            "timestamp": got.header("webhook-timestamp"),
            "signature": got.header("webhook-signature"),
            "body_base64": data_encoding::BASE64.encode(&got.body),
        }))
    };
    for key in [&old, &new] {
        let verdict = ask(&hmac, key);
        assert_eq!(
            verdict,
            json!({"standardwebhooks": true, "svix": true}),
            "{verdict}"
        );
    }
    assert_eq!(ask(&pair, &public), json!({"ed25519": true}));
    let mut damaged = hmac.clone();
    damaged.body.push(b' ');
    assert_eq!(ask(&damaged, &new)["verified"], false);
    let event = hmac.json();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], CHANGED);
    assert_eq!(event["id"], hmac.header("webhook-id"));
    assert_eq!(event["data"]["name"], "bell");
    assert_eq!(
        hmac.header("content-type"),
        "application/cloudevents+json; charset=utf-8"
    );
    assert_eq!(hmac.header("x-team"), "blue");
    assert_eq!(hmac.header("authorization"), "Bearer own-words");
    assert_eq!(hmac.header("webhook-id"), pair.header("webhook-id"));
    let tested = api.post("/api/v1/endpoints/hmac/test", &json!({}));
    assert_eq!(
        (&tested["ok"], &tested["answer"]),
        (&json!(true), &json!("thanks")),
        "{tested}"
    );
    let log = server.log();
    assert!(!log.contains(&old) && !log.contains(&new) && !log.contains("own-words"));
}

#[test]
fn a_receiver_may_do_what_it_likes() {
    let receiver = Receiver::start();
    let mut setup = setup(&receiver);
    setup.places.push(Place {
        host: "silent.example".to_owned(),
        address: Receiver::silent(),
        ca: String::new(),
    });
    let server = Server::start(&setup);
    let api = server.api();
    bell(&api, &receiver);
    for name in [
        "fine", "redirect", "gone", "busy", "flaky", "bad", "reset", "huge",
    ] {
        endpoint(&api, name, &receiver.url(&format!("/{name}")), json!({}));
    }
    endpoint(&api, "silent", "https://silent.example/", json!({}));
    let filter =
        json!({"rules": {"filter": {"jq": ".data.name == \"bell\""}, "map": [{"jq": "{text: .type}"}]}});
    endpoint(&api, "mapped", &receiver.url("/mapped"), filter);
    endpoint(
        &api,
        "other",
        &receiver.url("/other"),
        json!({"rules": {"filter": {"field": "/data/name", "is": "x"}}}),
    );
    ring(&api);
    let fine = settled(&api, "fine", "delivered");
    assert_eq!(fine["attempts"][0]["answer"], "thanks");
    settled(&api, "mapped", "delivered");
    assert_eq!(receiver.got("/mapped")[0].json(), json!({"text": CHANGED}));
    let redirect = settled(&api, "redirect", "dead");
    assert_eq!(redirect["attempts"].as_array().expect("tries").len(), 4);
    assert_eq!(redirect["delivery"]["code"], "delivery.redirect");
    assert!(receiver.got("/redirected").is_empty());
    let busy = settled(&api, "busy", "delivered");
    assert_eq!(busy["delivery"]["attempts"], 3, "{busy}");
    let flaky = settled(&api, "flaky", "delivered");
    assert_eq!(flaky["delivery"]["attempts"], 3, "{flaky}");
    let ids: BTreeSet<_> = receiver
        .got("/flaky")
        .iter()
        .map(|got| got.header("webhook-id").to_owned())
        .collect();
    assert_eq!(ids.len(), 1, "one event, one id");
    settled(&api, "bad", "dead");
    settled(&api, "reset", "dead");
    let huge = settled(&api, "huge", "delivered");
    assert_eq!(
        huge["attempts"][0]["answer"].as_str().expect("an answer").len(),
        1024
    );
    wait_for("gone is off", || {
        let gone = api.get("/api/v1/endpoints/gone");
        (gone["status"] == "off" && gone["off_reason"] == "gone").then_some(())
    });
    let told = api.get("/api/v1/events?kind=sluice.endpoint.disabled");
    assert_eq!(told["items"][0]["data"]["reason"], "gone", "{told}");
    assert!(deliveries(&api, "other").is_empty());
    let silent = settled(&api, "silent", "dead");
    assert_eq!(silent["delivery"]["code"], "egress.timeout", "{silent}");
    // A dead letter, delivered at last.
    let moved = json!({"url": receiver.url("/moved")}).to_string();
    let moved = api.send(
        "PATCH",
        "/api/v1/endpoints/redirect",
        "application/json",
        moved.as_bytes(),
    );
    assert_eq!(moved.status, 200, "{}", moved.text());
    let redriven = server.cli(&["--json", "endpoint", "redrive", "redirect"]);
    assert_eq!(redriven.code, Some(0), "{redriven:?}");
    let path = format!(
        "/api/v1/endpoints/redirect/deliveries/{}",
        redirect["delivery"]["seq"]
    );
    let delivery = wait_for("the dead letter", || {
        let found = api.get(&path)["delivery"].clone();
        (found["state"] == "delivered").then_some(found)
    });
    assert_eq!(delivery["redrives"], 1, "{delivery}");
}

#[test]
fn what_is_not_to_be_reached_is_refused_when_it_is_set() {
    let receiver = Receiver::start();
    let server = Server::start(&setup(&receiver));
    let api = server.api();
    let own = format!("http://{}/api/v1/keys", api.address);
    for (url, code) in [
        ("https://10.0.0.1/", "egress.denied_address"),
        ("https://127.0.0.1:1/", "egress.denied_address"),
        ("https://[::ffff:10.0.0.1]/", "endpoint.url"),
        ("https://169.254.169.254/latest", "egress.denied_address"),
        (own.as_str(), "egress.denied_self"),
        ("http://example.com/", "endpoint.url"),
        ("ftp://example.com/", "endpoint.url"),
        ("https://user:word@example.com/", "endpoint.url"),
        ("https://127.0.0.1/a/../b*", "endpoint.url"),
        ("", "endpoint.url"),
    ] {
        let refused = api.try_post("/api/v1/endpoints", &json!({"url": url}));
        assert_eq!(refused.code(), code, "{url}: {}", refused.text());
    }
    let good = receiver.url("/");
    for (more, code) in [
        (json!({"headers": {"webhook-id": "x"}}), "endpoint.headers"),
        (json!({"headers": {"Content-Length": "1"}}), "endpoint.headers"),
        (json!({"headers": {"x-a": "1\r\nhost: x"}}), "endpoint.headers"),
        (json!({"events": []}), "endpoint.kinds"),
        (json!({"rules": {"filter": {"jq": "env"}}}), "mapping.program"),
        (json!({"secret": "whsec_short"}), "endpoint.key"),
        (json!({"concurrency": 1000}), "endpoint.limits"),
        (json!({"name": ""}), "endpoint.name"),
        (json!({"surprise": 1}), "request.body"),
    ] {
        let mut body = more.clone();
        body["url"] = json!(good);
        let refused = api.try_post("/api/v1/endpoints", &body);
        assert_eq!(refused.code(), code, "{more}: {}", refused.text());
    }
    assert!(
        api.get("/api/v1/endpoints")["items"]
            .as_array()
            .expect("items")
            .is_empty()
    );
}

#[test]
fn a_kill_loses_nothing_and_changes_no_id() {
    let receiver = Receiver::start();
    let mut server = Server::start(&setup(&receiver));
    bell(&server.api(), &receiver);
    endpoint(&server.api(), "in", &receiver.url("/in"), json!({}));
    const ROUNDS: usize = 5;
    const EACH: usize = 20;
    for round in 0..ROUNDS {
        for _ in 0..EACH {
            ring(&server.api());
        }
        wait_for("some of it", || {
            (receiver.got("/in").len() > round * EACH).then_some(())
        });
        server.restart();
    }
    let api = server.api();
    let events = api.feed(&format!("/api/v1/events?kind={CHANGED}"));
    let owed: BTreeSet<String> = events
        .iter()
        .map(|event| event["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(owed.len(), ROUNDS * EACH);
    wait_for("all of it", || {
        (api.get("/api/v1/endpoints/in")["delivered"] == owed.len()).then_some(())
    });
    let got: BTreeSet<String> = receiver
        .got("/in")
        .iter()
        .map(|got| got.header("webhook-id").to_owned())
        .collect();
    assert_eq!(got, owed);
}

#[test]
fn fifty_that_hang_cost_the_one_that_is_well_nothing() {
    let receiver = Receiver::start();
    let server = Server::start(&setup(&receiver));
    let api = server.api();
    bell(&api, &receiver);
    endpoint(&api, "well", &receiver.url("/well"), json!({}));
    ring(&api);
    settled(&api, "well", "delivered");
    for number in 0..50 {
        endpoint(
            &api,
            &format!("hangs {number}"),
            &receiver.url("/hang"),
            json!({}),
        );
    }
    for _ in 0..20 {
        ring(&api);
    }
    wait_for("all twenty", || (receiver.got("/well").len() == 21).then_some(()));
    let all = api.get("/api/v1/endpoints");
    let hanging = all["items"].as_array().expect("items").iter();
    let hanging = hanging.filter(|endpoint| {
        endpoint["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("hangs"))
    });
    assert!(
        hanging
            .map(|endpoint| &endpoint["delivered"])
            .all(|delivered| *delivered == 0)
    );
}

#[test]
fn in_order_if_asked_for_and_paused_or_missed_events_come_later() {
    let receiver = Receiver::start();
    let server = Server::start(&setup(&receiver));
    let api = server.api();
    bell(&api, &receiver);
    endpoint(&api, "order", &receiver.url("/flaky"), json!({"ordered": true}));
    endpoint(&api, "late", &receiver.url("/late"), json!({}));
    assert_eq!(server.cli(&["endpoint", "pause", "late"]).code, Some(0));
    for _ in 0..5 {
        ring(&api);
    }
    wait_for("all five", || {
        (api.get("/api/v1/endpoints/order")["delivered"] == 5).then_some(())
    });
    let mut order: Vec<_> = receiver
        .got("/flaky")
        .iter()
        .map(|got| got.json()["sequence"].to_string())
        .collect();
    order.dedup();
    assert!(order.is_sorted() && order.len() == 5, "{order:?}");
    assert!(receiver.got("/late").is_empty());
    assert_eq!(server.cli(&["endpoint", "resume", "late"]).code, Some(0));
    wait_for("what was held back", || {
        (receiver.got("/late").len() == 5).then_some(())
    });
    assert_eq!(server.cli(&["endpoint", "disable", "late"]).code, Some(0));
    ring(&api);
    assert_eq!(server.cli(&["endpoint", "resume", "late"]).code, Some(0));
    ring(&api);
    wait_for("what came since", || {
        (receiver.got("/late").len() == 6).then_some(())
    });
    let recovered = server.cli(&["--json", "endpoint", "recover", "late", "--since", "1h"]);
    assert_eq!(recovered.code, Some(0), "{recovered:?}");
    let recovered: Value = serde_json::from_str(&recovered.out).expect("JSON");
    assert_eq!(
        (&recovered["state"], &recovered["made"]),
        (&json!("done"), &json!(1)),
        "{recovered}"
    );
    wait_for("what was missed", || {
        (receiver.got("/late").len() == 7).then_some(())
    });
    let again = server.cli(&[
        "--json", "event", "replay", "--to", "late", "--event", CHANGED, "--cap", "3",
    ]);
    let again: Value = serde_json::from_str(&again.out).expect("JSON");
    assert_eq!(
        (&again["state"], &again["made"]),
        (&json!("capped"), &json!(3)),
        "{again}"
    );
    wait_for("three again", || {
        (receiver.got("/late").len() == 10).then_some(())
    });
    let told = api.get("/api/v1/events?kind=sluice.replay.ended");
    assert_eq!(told["items"].as_array().expect("items").len(), 2);
}

/// A listener in the place of an endpoint: what it forwards is what the endpoint would get.
#[test]
fn a_listener_forwards_what_an_endpoint_would_get() {
    let receiver = Receiver::start();
    let server = Server::start(&setup(&receiver));
    let api = server.api();
    bell(&api, &receiver);
    endpoint(
        &api,
        "shaped",
        &receiver.url("/shaped"),
        json!({"rules": {"filter": {"jq": ".data.name == \"bell\""}, "map": [{"jq": "{text: .type}"}]}}),
    );
    let (forward, address) = (receiver.url("/local"), format!("http://{}", api.address));
    let mut command = server.command();
    command
        .args(["hook", "listen", "--endpoint", "shaped", "--after", "0", "--json"])
        .args(["--forward", &forward, "--server", &address, "--api-key-file"])
        .arg(server.key_file())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null());
    let mut listener = command.spawn().expect("start the listener");
    ring(&api);
    let first = wait_for("it is forwarded", || receiver.got("/local").into_iter().next());
    assert_eq!(first.json(), json!({"text": CHANGED}));
    assert!(first.header("webhook-signature").starts_with("v1,"), "{first:?}");
    assert!(!first.header("webhook-id").is_empty(), "{first:?}");
    // An event that the endpoint's rules do not let through, and one that they do.
    endpoint(
        &api,
        "other",
        &receiver.url("/other"),
        json!({"events": ["nothing"]}),
    );
    let count = receiver.got("/local").len();
    ring(&api);
    wait_for("the next one is forwarded", || {
        (receiver.got("/local").len() == count + 1).then_some(())
    });
    listener.kill().expect("end the listener");
    let output = listener.wait_with_output().expect("its lines");
    let lines = String::from_utf8_lossy(&output.stdout);
    let told: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(told.iter().all(|line| line["answer"] == "200"), "{lines}");
    assert_eq!(told.len(), count + 1, "{lines}");
    replays_are_forwarded_to_who_asked(&server, &receiver);
    let refused = server.cli(&["hook", "listen", "--endpoint", "nobody", "--forward", &forward]);
    assert!(
        refused.code != Some(0) && refused.err.contains("there is no endpoint"),
        "{refused:?}"
    );
}

/// What is replayed reaches the listener that wants replays, of its endpoint alone and as that has it.
fn replays_are_forwarded_to_who_asked(server: &Server, receiver: &Receiver) {
    let api = server.api();
    let bells = api.feed(&format!("/api/v1/events?kind={CHANGED}"));
    let bells = bells
        .iter()
        .filter(|event| event["data"]["name"] == "bell")
        .count();
    let replay = |endpoint: &str| {
        let ran = server.cli(&["--json", "event", "replay", "--to", endpoint, "--event", CHANGED]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    let last = api.get("/api/v1/events?after=0&limit=1000")["next"].to_string();
    let (forward, address) = (receiver.url("/again"), format!("http://{}", api.address));
    let mut command = server.command();
    command
        .args([
            "hook",
            "listen",
            "--endpoint",
            "shaped",
            "--include",
            "replays",
            "--json",
        ])
        .args([
            "--after",
            &last,
            "--forward",
            &forward,
            "--server",
            &address,
            "--api-key-file",
        ])
        .arg(server.key_file())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null());
    // Of another endpoint, which is no concern of this one's; of this one, while nobody listens; and while somebody does.
    endpoint(&api, "plain", &receiver.url("/plain"), json!({}));
    replay("plain");
    replay("shaped");
    let mut listener = command.spawn().expect("start the listener");
    let got = || receiver.got("/again");
    wait_for("the replay of before", || (got().len() == bells).then_some(()));
    replay("shaped");
    wait_for("the replay of now", || (got().len() == 2 * bells).then_some(()));
    ring(&api);
    wait_for("what is new", || (got().len() == 2 * bells + 1).then_some(()));
    listener.kill().expect("end the listener");
    let output = listener.wait_with_output().expect("its lines");
    let told: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let replayed = told.iter().filter(|line| line["replay"] == true);
    assert_eq!(replayed.count(), 2 * bells, "{told:?}");
    assert!(got().iter().all(|got| got.json() == json!({"text": CHANGED})));
}

/// A tail of the events, as a browser's `EventSource` would read it.
struct Tail(BufReader<TcpStream>);

impl Tail {
    fn open(api: &Api, query: &str, last: &str) -> Self {
        let mut stream = TcpStream::connect(api.address).expect("connect");
        let request = format!(
            "GET /api/v1/events/tail{query} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n{last}\r\n",
            api.address, api.key
        );
        stream.write_all(request.as_bytes()).expect("ask");
        Self(BufReader::new(stream))
    }

    /// The next event's number and shape.
    fn next(&mut self) -> (u64, Value) {
        let (mut id, mut line) = (0, String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("read") > 0, "the tail ended");
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.trim().parse().expect("a number");
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (id, serde_json::from_str(data).expect("an event"));
            }
        }
    }
}

#[test]
fn events_are_followed_and_taken_up_where_it_broke() {
    let receiver = Receiver::start();
    let server = Server::start(&setup(&receiver));
    let api = server.api();
    bell(&api, &receiver);
    let mut tail = Tail::open(&api, &format!("?after=0&kind={CHANGED}"), "");
    ring(&api);
    ring(&api);
    let (first, shape) = tail.next();
    assert_eq!(
        (&shape["type"], &shape["specversion"]),
        (&json!(CHANGED), &json!("1.0"))
    );
    let (second, _) = tail.next();
    drop(tail);
    ring(&api);
    let mut tail = Tail::open(&api, "", &format!("last-event-id: {second}\r\n"));
    let (third, _) = tail.next();
    assert_eq!((second, third), (first + 1, second + 1));
    let listed = api.get("/api/v1/events?after=0&format=cloudevents&limit=1");
    assert_eq!(listed["items"][0]["specversion"], "1.0");
    let exported = api.send("GET", "/api/v1/events/export", "application/json", b"");
    let lines = exported.text().lines().count() as u64;
    assert_eq!(lines, third);
    let none = api.get("/api/v1/events?until=2020-01-01T00:00:00Z");
    assert!(none["items"].as_array().expect("items").is_empty());
    let kinds = api.all("/api/v1/events/catalogue");
    let kind = kinds
        .iter()
        .find(|kind| kind["kind"] == CHANGED)
        .expect("it is there");
    assert_eq!(kind["schema"]["type"], "object");
}
