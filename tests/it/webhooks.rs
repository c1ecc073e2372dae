//! Webhooks on the wire: GitHub's own example payloads, signed by GitHub's own library, posted to the real server; the
//! same ones damaged, sent twice, and sent while the server is being killed.

mod kills;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use serde_json::{Value, json};
use sluice_model::Timestamp;
use sluice_model::manifest::Manifest;
use sluice_model::secret::Secret;
use sluice_model::signature::Request;

use crate::github::{self, Hook, NAME, StandIn};
use crate::server::{Answer, Server, Setup, http, wait_for, within};
use crate::{guests, package};

/// Deliveries as `tests/counterparts/sign.mjs` prints them.
#[derive(Debug, serde::Deserialize)]
struct Delivery {
    event: String,
    action: Option<String>,
    delivery: String,
    headers: BTreeMap<String, String>,
    body_base64: String,
}

impl Delivery {
    fn body(&self) -> Vec<u8> {
        BASE64.decode(self.body_base64.as_bytes()).expect("a body")
    }

    fn headers(&self) -> Vec<(String, String)> {
        self.headers.clone().into_iter().collect()
    }

    /// The kind of the event that it becomes.
    fn kind(&self) -> String {
        match &self.action {
            Some(action) => format!("github.{}.{action}", self.event),
            None => format!("github.{}", self.event),
        }
    }
}

/// Every example, signed with this secret by GitHub's library.
fn examples(secret: &str) -> Vec<Delivery> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("counterparts");
    assert!(
        directory.join("node_modules/@octokit/webhooks").exists(),
        "GitHub's library is missing: `npm ci` in {} installs it",
        directory.display()
    );
    let output = Command::new("node")
        .arg("sign.mjs")
        .current_dir(&directory)
        .env("WEBHOOK_SECRET", secret)
        .output()
        .expect("run node");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("text");
    let all: Vec<Delivery> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a delivery"))
        .collect();
    assert!(all.len() >= 329, "only {} examples", all.len());
    all
}

/// The events of the connector, by the vendor's delivery id.
fn events(server: &Server) -> BTreeMap<String, Value> {
    let events = server.api().feed("/api/v1/events?kind=github.");
    let count = events.len();
    let by_id: BTreeMap<String, Value> = events
        .into_iter()
        .map(|event| (event["source_id"].as_str().expect("an id").to_owned(), event))
        .collect();
    assert_eq!(by_id.len(), count, "an event is there twice");
    by_id
}

/// What a stranger may compare: everything of an answer but its id and date.
fn comparable(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let headers = answer.headers.iter();
    let headers = headers
        .filter(|(name, _)| name != "date" && name != "x-request-id")
        .cloned()
        .collect();
    let mut body = answer.json();
    body["request_id"] = Value::Null;
    (answer.status, headers, body)
}

#[test]
fn every_example_of_github_is_kept_and_handled_once() {
    let stand_in = StandIn::start(vendor::Options::default());
    let server = Server::start(&stand_in.setup());
    let connection = github::ready(&server);
    let api = server.api();
    let hook = Hook::create(&api, &connection);
    let examples = examples(&hook.secret);
    let send = |headers: &[(String, String)], body: &[u8]| {
        github::post(api.address, &hook.id, headers, body).expect("an answer")
    };

    // One byte flipped, in the body or in the signature: nothing is kept.
    let unknown = github::post(
        api.address,
        "hok_00000000000000000000000000",
        &examples[0].headers(),
        &examples[0].body(),
    );
    let unknown = comparable(&unknown.expect("an answer"));
    assert_eq!(unknown.0, 401);
    for (at, example) in examples.iter().enumerate() {
        let mut body = example.body();
        let place = (at * 131) % body.len();
        body[place] ^= 1;
        let flipped = comparable(&send(&example.headers(), &body));
        assert_eq!(flipped, unknown, "{}: byte {place} of the body", example.delivery);

        let mut headers = example.headers();
        let signature = headers
            .iter_mut()
            .find(|(name, _)| name == "x-hub-signature-256")
            .expect("a signature");
        let place = "sha256=".len() + at % 64;
        let other = if &signature.1[place..=place] == "0" {
            "1"
        } else {
            "0"
        };
        signature.1.replace_range(place..=place, other);
        let flipped = comparable(&send(&headers, &example.body()));
        assert_eq!(
            flipped, unknown,
            "{}: character {place} of the signature",
            example.delivery
        );
    }
    assert_eq!(
        hook.receipts(&api),
        Vec::<Value>::new(),
        "what is refused is not kept"
    );
    assert!(events(&server).is_empty());

    // As they are: all of them, each handled.
    let mut receipts = BTreeMap::new();
    for example in &examples {
        let answer = send(&example.headers(), &example.body());
        assert_eq!(answer.status, 200, "{}: {}", example.event, answer.text());
        let answer = answer.json();
        assert_eq!(answer["duplicate"], false, "{}", example.event);
        let id = answer["receipt"].as_str().expect("an id").to_owned();
        receipts.insert(example.delivery.clone(), id);
    }
    let kept = hook.settled(&api);
    assert_eq!(kept.len(), examples.len());
    let bad: Vec<String> = kept
        .iter()
        .filter(|receipt| receipt["state"] != "handled")
        .map(|receipt| {
            let key = receipt["dedupe_key"].as_str().unwrap_or_default();
            let of = examples.iter().find(|example| key.ends_with(&example.delivery));
            format!(
                "{}: {} {}",
                of.map(Delivery::kind).unwrap_or_default(),
                receipt["state"],
                receipt["error"]
            )
        })
        .collect();
    assert_eq!(bad, Vec::<String>::new());
    let once = events(&server);
    assert_eq!(once.len(), examples.len());
    for example in &examples {
        assert_eq!(
            once[&example.delivery]["kind"],
            example.kind(),
            "{}",
            example.delivery
        );
    }
    let sent: Value = serde_json::from_slice(&examples[5].body()).expect("JSON");
    assert_eq!(
        once[&examples[5].delivery]["data"], sent,
        "an event carries the payload"
    );

    // The same set again: the same receipts, and no second effect.
    let feed = api.feed(&format!("/api/v1/connections/{connection}/records"));
    for example in &examples {
        let answer = send(&example.headers(), &example.body());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(
            (&answer["duplicate"], answer["receipt"].as_str()),
            (&json!(true), receipts.get(&example.delivery).map(String::as_str)),
            "{}",
            example.delivery
        );
    }
    assert_eq!(hook.settled(&api).len(), examples.len());
    assert_eq!(events(&server), once);
    let records = |feed: &[Value]| -> BTreeSet<String> {
        feed.iter()
            .filter(|row| row["stream"] != "commits")
            .map(Value::to_string)
            .collect()
    };
    let again = api.feed(&format!("/api/v1/connections/{connection}/records"));
    assert_eq!(
        records(&again),
        records(&feed),
        "only a resync that a push asked for may add"
    );
}

#[test]
fn a_stranger_learns_nothing_and_a_large_body_is_refused() {
    let stand_in = StandIn::with_issues(1);
    let server = Server::start(&stand_in.setup());
    let connection = github::ready(&server);
    let api = server.api();
    let hook = Hook::create(&api, &connection);
    let headers = |signature: &str| {
        vec![
            ("x-github-event".to_owned(), "ping".to_owned()),
            ("x-github-delivery".to_owned(), "d".to_owned()),
            ("x-hub-signature-256".to_owned(), signature.to_owned()),
        ]
    };
    let good = hook.sign(&api, b"{}");
    let (_, good) = good.first().expect("a signature");
    let sha1 = vec![("x-hub-signature".to_owned(), "sha1=00".to_owned())];
    let send = |hook: &str, headers: &[(String, String)]| {
        github::post(api.address, hook, headers, b"{}").expect("an answer")
    };
    let unknown = comparable(&send("hok_00000000000000000000000000", &headers(good)));
    assert_eq!((unknown.0, &unknown.2["code"]), (401, &json!("webhook.refused")));
    let wrong = format!("sha256={}", "0".repeat(64));
    let long = format!("{good}{}", ",sha256=00".repeat(2000));
    for (what, answer) in [
        ("a wrong signature", send(&hook.id, &headers(&wrong))),
        ("no signature", send(&hook.id, &[])),
        ("an empty one", send(&hook.id, &headers(""))),
        ("another algorithm", send(&hook.id, &sha1)),
        ("a thousand of them", send(&hook.id, &headers(&long))),
        ("no such hook, malformed", send("hok_x", &headers(good))),
        ("no such hook, not an id", send("%20", &headers(good))),
    ] {
        assert_eq!(comparable(&answer), unknown, "{what}");
    }
    let other = Hook::create(&api, &connection);
    assert_eq!(
        comparable(&send(&other.id, &headers(good))),
        unknown,
        "the signature of another hook's secret"
    );

    // 26 MB: refused before it is read where it is announced, and when it is too much where it is not.
    let large = vec![b' '; 26 * 1024 * 1024];
    let answer = github::post(api.address, &hook.id, &headers(good), &large).expect("an answer");
    assert_eq!(answer.status, 413, "{}", answer.text());
    let head = format!(
        "POST /hooks/{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        hook.id,
        large.len()
    );
    let answer = http::raw(api.address, head.as_bytes(), b"").expect("an answer");
    assert_eq!(answer.status, 413, "{}", answer.text());
    let head = format!(
        "POST /hooks/{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
        hook.id
    );
    let mut chunked = format!("{:x}\r\n", large.len()).into_bytes();
    chunked.extend_from_slice(&large);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let answer = http::raw(api.address, head.as_bytes(), &chunked).expect("an answer");
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(hook.receipts(&api), Vec::<Value>::new());
    assert!(
        server.resident_bytes() < 400 << 20,
        "{} bytes resident",
        server.resident_bytes()
    );
    let served = hook.deliver(&api, "ping", "after", b"{}");
    assert_eq!(served.status, 200, "good deliveries go on: {}", served.text());
}

/// How often the server is killed while webhooks come in.
const KILLS: u64 = 20;

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let stand_in = StandIn::with_issues(1);
    let mut server = Server::start(&stand_in.setup());
    let connection = github::ready(&server);
    let hook = Hook::create(&server.api(), &connection);
    let body = br#"{"zen":"Keep it logically awesome."}"#;
    let mut headers = hook.sign(&server.api(), body);
    headers.push(("x-github-event".to_owned(), "ping".to_owned()));
    let mut acknowledged = BTreeSet::new();
    for round in 0..KILLS {
        let address = server.api().address;
        let (sender, acks) = mpsc::channel();
        let (hook, headers) = (hook.id.clone(), headers.clone());
        let poster = std::thread::spawn(move || {
            for number in 0_u64.. {
                let delivery = format!("r{round}-{number}");
                let mut headers = headers.clone();
                headers.push(("x-github-delivery".to_owned(), delivery.clone()));
                match github::post(address, &hook, &headers, body) {
                    Ok(answer) if answer.status == 200 => {
                        if sender.send(delivery).is_err() {
                            return;
                        }
                    }
                    // The server is gone: this one was not acknowledged.
                    _ => return,
                }
            }
        });
        for _ in 0..=(round * 7) % 23 {
            acknowledged.insert(
                acks.recv_timeout(Duration::from_secs(60))
                    .expect("an acknowledgement"),
            );
        }
        // The last 2xx has just left the socket.
        server.kill();
        poster.join().expect("the sender");
        acknowledged.extend(acks);
        server.run();
    }
    let api = server.api();
    let receipts = hook.settled(&api);
    let mut keys = BTreeMap::new();
    for receipt in &receipts {
        assert_eq!(receipt["state"], "handled", "{receipt}");
        let key = receipt["dedupe_key"].as_str().expect("a key").to_owned();
        assert!(keys.insert(key.clone(), ()).is_none(), "{key} was kept twice");
    }
    let events = events(&server);
    for delivery in &acknowledged {
        assert!(
            keys.contains_key(&format!("id:{delivery}")),
            "{delivery} was acknowledged and is gone"
        );
        assert!(
            events.contains_key(delivery),
            "{delivery} was acknowledged and not handled"
        );
    }
    assert_eq!(events.len(), receipts.len(), "each has one effect");
    println!(
        "{} acknowledged over {KILLS} kills, {} kept",
        acknowledged.len(),
        receipts.len()
    );
}

/// A recipe with a timestamp (family 2), which GitHub's is not.
const STAMPED: &str = r#"
manifest = 1
id = "stamped"
version = "0.1.0"
contract = "0.1"
name = "Stamped"
description = "Signs its time."
category = "test"
licence = "Apache-2.0"
[links]
website = "https://stamped.example"
[[streams]]
name = "things"
title = "Things"
primary_key = ["id"]
cursor = "none"
cursor_version = 1
modes = ["full"]
[streams.schema]
type = "object"
[[webhooks]]
name = "events"
events = [{ kind = "thing.*", description = "a thing" }]
dedupe = "body"
[webhooks.signature]
scheme = "hmac"
algorithm = "sha256"
encoding = "hex"
header = "x-signature"
signed = "{timestamp}.{body}"
timestamp = { field = "t" }
signature_field = "v1"
tolerance_s = 300
"#;

#[test]
fn a_clock_that_is_off_is_refused() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    let file = package::with_manifest(&guests::component("neighbour"), STAMPED);
    github::install(&api, &file);
    let made = api.post(
        "/api/v1/connections",
        &json!({"name": NAME, "connector": "stamped"}),
    );
    let connection = made["id"].as_str().expect("an id");
    let hook = Hook::create(&api, connection);
    let manifest = Manifest::parse(STAMPED).expect("a manifest");
    let recipe = &manifest.webhooks[0].recipe;
    let secret = Secret::new(hook.secret.clone().into_bytes());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_millis();
    let now = i64::try_from(now).expect("a time");
    for (off_s, expected) in [
        (0, 200),
        (-240, 200),
        (240, 200),
        (-600, 401),
        (600, 401),
        (-86_400, 401),
    ] {
        let at = Timestamp::from_millis(u64::try_from(now + off_s * 1000).expect("a time"));
        let body = format!("{{\"off\":{off_s}}}");
        let request = Request {
            method: "POST",
            url: "",
            headers: &[],
            body: body.as_bytes(),
        };
        let headers = recipe.sign(&request, &secret, at);
        let answer = github::post(api.address, &hook.id, &headers, body.as_bytes()).expect("an answer");
        assert_eq!(answer.status, expected, "{off_s} s off: {}", answer.text());
    }
    for header in [
        "t=,v1=00",
        "t=-1,v1=00",
        "t=99999999999999999999,v1=00",
        "v1=00",
        "",
    ] {
        let headers = [("x-signature".to_owned(), header.to_owned())];
        let answer = github::post(api.address, &hook.id, &headers, b"{}").expect("an answer");
        assert_eq!(answer.status, 401, "{header}");
    }
    let kept = within(Duration::from_secs(1), || {
        let receipts = hook.receipts(&api);
        (receipts.len() == 3).then_some(receipts)
    });
    assert!(kept.is_some(), "{:?}", hook.receipts(&api));
}

#[test]
fn one_bad_record_is_set_aside_and_the_event_is_kept() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    let file = package::with_manifest(&guests::component("bad_change"), STAMPED);
    github::install(&api, &file);
    let made = api.post(
        "/api/v1/connections",
        &json!({"name": NAME, "connector": "stamped"}),
    );
    let connection = made["id"].as_str().expect("an id");
    let tested = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    assert_eq!(
        api.get(&format!("/api/v1/connections/{connection}"))["state"],
        "active",
        "{tested}"
    );
    let hook = Hook::create(&api, connection);
    let headers = hook.sign(&api, b"{}");
    let answer = github::post(api.address, &hook.id, &headers, b"{}").expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let receipt = wait_for("the receipt to be handled", || {
        let found = hook.receipts(&api).pop()?;
        ["handled", "dead"]
            .contains(&found["state"].as_str()?)
            .then_some(found)
    });
    assert_eq!(receipt["state"], "handled", "{receipt}");
    assert_eq!(github::held(&api, connection, "things"), 2);
    let aside = api.all(&format!(
        "/api/v1/connections/{connection}/quarantine?stream=things"
    ));
    assert_eq!(aside.len(), 1);
    assert_eq!(
        (aside[0]["id"].as_str(), aside[0]["code"].as_str()),
        (Some("2"), Some("record.schema")),
        "{aside:?}"
    );
    let events = api.all("/api/v1/events?kind=stamped.thing");
    assert_eq!(events.len(), 1, "{events:?}");
}

#[test]
fn an_event_that_is_not_what_the_catalogue_promises_is_set_aside_with_all_of_its_receipt() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    let promise = r#"
[webhooks.event_schema]
type = "object"
required = ["promised"]
[[webhooks.event_schema.examples]]
promised = 1
"#;
    let manifest = format!("{STAMPED}{promise}");
    let file = package::with_manifest(&guests::component("bad_change"), &manifest);
    github::install(&api, &file);
    let made = api.post(
        "/api/v1/connections",
        &json!({"name": NAME, "connector": "stamped"}),
    );
    let connection = made["id"].as_str().expect("an id");
    api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    let known = api.get("/api/v1/events/catalogue");
    let thing = known["items"]
        .as_array()
        .and_then(|kinds| kinds.iter().find(|kind| kind["kind"] == "stamped.thing.*"));
    let thing = thing.expect("the connector's kind");
    assert_eq!(thing["schema"]["required"], json!(["promised"]), "{thing}");
    assert_eq!(thing["sample"], json!({"promised": 1}), "{thing}");
    let hook = Hook::create(&api, connection);
    let headers = hook.sign(&api, b"{}");
    let answer = github::post(api.address, &hook.id, &headers, b"{}").expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let receipt = wait_for("the receipt to be set aside", || {
        let found = hook.receipts(&api).pop()?;
        ["handled", "dead"]
            .contains(&found["state"].as_str()?)
            .then_some(found)
    });
    assert_eq!(receipt["state"], "dead", "{receipt}");
    assert_eq!(receipt["error"]["code"], "webhook.bad_event", "{receipt}");
    assert!(receipt.to_string().contains("promised"), "{receipt}");
    assert_eq!(github::held(&api, connection, "things"), 0);
    assert!(api.all("/api/v1/events?kind=stamped.thing").is_empty());
}
