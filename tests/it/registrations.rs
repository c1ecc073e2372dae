//! Webhooks that connectors set up at their vendors, with the connectors as they are shipped and vendors that promise what they
//! document: made once whatever is lost and whoever is killed, kept up, changed, and ended with the hook or the connection; and webhooks
//! that somebody here sends or has handled again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::counterpart::Counterpart;
use crate::server::{Answer, Api, Place, Server, Setup, http, wait_for, within};
use crate::{github, package};

const PUBLIC: &str = "https://hooks.example.com";
const HOSTS: [&str; 3] = ["api.github.com", "api.stripe.com", "api.airtable.com"];

struct World {
    vendors: Counterpart,
    server: Server,
}

impl World {
    fn start(public: Option<&str>) -> Self {
        let words: Vec<&str> = HOSTS.iter().flat_map(|host| ["--host", host]).collect();
        let vendors = Counterpart::python("registrar/main.py", &words);
        let place = |host: &str| Place {
            host: host.to_owned(),
            address: vendors.address(),
            ca: vendors.authority().to_owned(),
        };
        let setup = Setup {
            places: HOSTS.map(place).to_vec(),
            set: public
                .map(|public| ("SLUICE_SERVER__PUBLIC_URL", public.to_owned()))
                .into_iter()
                .collect(),
            ..Setup::default()
        };
        Self {
            server: Server::start(&setup),
            vendors,
        }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    fn connect(&self, vendor: &str) -> String {
        let file = package::file(vendor, &format!("plugins/{vendor}"));
        let api = self.api();
        github::install(&api, &std::fs::read(file).expect("read the connector"));
        let config = match vendor {
            "github" => json!({"repositories": ["acme/web"]}),
            "airtable" => json!({"bases": ["appDoorsDoors0001"]}),
            _ => json!({}),
        };
        let auth = match vendor {
            "stripe" => "key",
            _ => "token",
        };
        let made = api.post(
            "/api/v1/connections",
            &json!({"name": vendor, "connector": vendor, "auth": auth, "secret": "a made up secret", "config": config}),
        );
        let id = made["id"].as_str().expect("an id").to_owned();
        let tested = api.post(&format!("/api/v1/connections/{id}/test"), &json!({}));
        assert_eq!(tested["ok"], true, "{tested}");
        id
    }

    fn hook(&self, connection: &str) -> Value {
        self.api()
            .post("/api/v1/hooks", &json!({ "connection": connection }))
    }

    /// The hook when its registration stands so.
    fn when(&self, hook: &str, state: &str) -> Value {
        let path = format!("/api/v1/hooks/{hook}");
        let api = self.api();
        let found = within(Duration::from_secs(60), || {
            Some(api.get(&path)).filter(|hook| hook["registration"]["state"] == state)
        });
        found.unwrap_or_else(|| panic!("not {state}: {}\n{}", api.get(&path), self.server.log_tail()))
    }

    /// What the vendor has, if it is one.
    fn only(&self, vendor: &str) -> Value {
        let all = self.vendors.get("registered");
        let all = all["hooks"].as_array().expect("hooks");
        let of: Vec<&Value> = all.iter().filter(|hook| hook["vendor"] == vendor).collect();
        assert_eq!(of.len(), 1, "{all:?}");
        of[0].clone()
    }

    fn held(&self) {
        until("the vendor's answer is held back", || {
            self.vendors.count("held") > 0
        });
    }

    fn hold(&self, hold: bool) {
        self.vendors.post("hold", &json!({ "hold": hold }));
    }

    /// Delivers as the vendor, signed with the secret that the vendor has.
    fn deliver(&self, vendor: &str, hook: &str, body: &str, payload: Option<Value>) -> Answer {
        let mut asked = json!({"vendor": vendor, "id": self.only(vendor)["id"], "body": body});
        if let Some(payload) = payload {
            asked["payload"] = payload;
        }
        let signed = self.vendors.post("sign", &asked);
        let headers = signed["headers"].as_object().expect("headers");
        let mut headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().expect("text")))
            .collect();
        headers.push(("content-type", "application/json"));
        let path = format!("/hooks/{hook}");
        http::request(self.api().address, "POST", &path, &headers, body.as_bytes()).expect("an answer")
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, || is_so().then_some(()));
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

/// Killed after the vendor has done what it was asked and before anybody knew: with GitHub (the same address), Stripe (the same key, the
/// secret once) and Airtable (the secret once).
#[test]
fn a_registration_is_made_once_whoever_is_killed() {
    let mut world = World::start(Some(PUBLIC));
    for vendor in ["github", "stripe", "airtable"] {
        let connection = world.connect(vendor);
        let before = world.vendors.count("held");
        world.hold(true);
        let made = world.hook(&connection);
        let hook = id(&made);
        assert_eq!(made["registration"]["state"], "pending", "{made}");
        assert_eq!(made["secret"], Value::Null, "nobody needs it");
        until("the vendor's answer is held back", || {
            world.vendors.count("held") > before
        });
        world.server.kill();
        world.hold(false);
        world.server.run();
        let registered = world.when(&hook, "registered");
        let there = world.only(vendor);
        assert_eq!(there["url"], json!(format!("{PUBLIC}/hooks/{hook}")));
        let known = registered["registration"]["id"].as_str().expect("an id");
        assert!(
            known.ends_with(there["id"].as_str().expect("an id")),
            "{registered} {there}"
        );
        // A restart and another wish make no other.
        let count = world.vendors.count("made");
        world.server.restart();
        world
            .api()
            .post(&format!("/api/v1/hooks/{hook}/register"), &json!({}));
        world.when(&hook, "registered");
        assert_eq!(id(&world.only(vendor)), id(&there));
        assert_eq!(world.vendors.count("made"), count);
        // The secret that the vendor has is the one that is verified with.
        let body = match vendor {
            "airtable" => {
                json!({"base": {"id": "appDoorsDoors0001"}, "webhook": {"id": there["id"]}}).to_string()
            }
            "stripe" => json!({"id": "evt_1", "object": "event", "type": "invoice.paid"}).to_string(),
            _ => "{}".to_owned(),
        };
        let payload = json!({"timestamp": "2022-02-02T16:02:23.026Z", "baseTransactionNumber": 4,
            "changedTablesById": {"tblDoorsDoors0001": {"destroyedRecordIds": ["recDoorsDoors0001"]}}});
        let answer = world.deliver(vendor, &hook, &body, Some(payload));
        assert!((200..300).contains(&answer.status), "{vendor}: {}", answer.text());
        let kind = match vendor {
            "airtable" => "airtable.records.destroyed",
            "stripe" => "stripe.invoice.paid",
            _ => "github.push",
        };
        let path = format!("/api/v1/events?kind={kind}");
        until("it is handled", || !world.api().feed(&path).is_empty());
    }
}

#[test]
fn what_ends_is_renewed_and_what_is_gone_at_the_vendor_is_made_anew() {
    let world = World::start(Some(PUBLIC));
    world.vendors.post("set", &json!({"life_s": 6}));
    let connection = world.connect("airtable");
    let hook = id(&world.hook(&connection));
    let first = world.when(&hook, "registered");
    assert!(first["registration"]["expires"].is_string(), "{first}");
    until("it is renewed", || world.vendors.count("renewed") > 1);
    assert_eq!(world.vendors.count("made"), 1);
    world
        .vendors
        .post("set", &json!({"forget": "airtable", "life_s": 600}));
    until("it is made anew", || world.vendors.count("made") == 2);
    let again = world.when(&hook, "registered");
    assert_ne!(again["registration"]["id"], first["registration"]["id"]);
    let there = world.only("airtable");
    let body = json!({"base": {"id": "appDoorsDoors0001"}, "webhook": {"id": there["id"]}}).to_string();
    let answer = world.deliver("airtable", &hook, &body, None);
    assert!((200..300).contains(&answer.status), "{}", answer.text());
}

/// Killed while the vendor is told of the end, too; and where the making itself was cut off.
#[test]
fn what_is_removed_here_is_ended_there() {
    let mut world = World::start(Some(PUBLIC));
    let connection = world.connect("stripe");
    let api = world.api();
    let hook = id(&world.hook(&connection));
    world.when(&hook, "registered");
    world.hold(true);
    assert_eq!(api.delete(&format!("/api/v1/hooks/{hook}")).status, 204);
    let gone = api.send("GET", &format!("/api/v1/hooks/{hook}"), "application/json", b"");
    assert_eq!(gone.status, 404);
    assert_eq!(api.get("/api/v1/hooks")["items"], json!([]));
    world.held();
    world.server.kill();
    world.hold(false);
    world.server.run();
    let path = "/api/v1/events?kind=sluice.hook.unregistered";
    until("the end is told", || world.api().feed(path).len() == 1);
    assert_eq!(world.vendors.count("removed"), 1);

    // Removed while it is being made: the answer is lost, and with it the id.
    world.hold(true);
    let held = world.vendors.count("held");
    let hook = id(&world.hook(&connection));
    until("it is being made", || world.vendors.count("held") > held);
    let api = world.api();
    assert_eq!(api.delete(&format!("/api/v1/hooks/{hook}")).status, 204);
    world.server.kill();
    world.hold(false);
    world.server.run();
    until("the end is told", || world.api().feed(path).len() == 2);
    assert_eq!(world.vendors.get("registered")["hooks"], json!([]));

    // With the connection, before its credential goes.
    let hook = id(&world.hook(&connection));
    world.when(&hook, "registered");
    let removed = world.api().delete(&format!("/api/v1/connections/{connection}"));
    assert!((200..300).contains(&removed.status), "{}", removed.text());
    assert_eq!(world.vendors.get("registered")["hooks"], json!([]));
}

#[test]
fn what_cannot_be_done_is_a_persons_with_steps() {
    let world = World::start(Some(PUBLIC));
    let connection = world.connect("github");
    world.vendors.post("set", &json!({"deny": true}));
    let hook = id(&world.hook(&connection));
    let found = world.when(&hook, "by-hand");
    assert_eq!(
        found["registration"]["error"]["code"], "guest.unsupported",
        "{found}"
    );
    let steps = found["steps"].as_array().expect("steps");
    assert!(
        steps
            .iter()
            .any(|step| step.as_str().is_some_and(|step| step.contains(&hook))),
        "{steps:?}"
    );
    let shown = world.server.cli(&["hook", "show", &hook]);
    assert!(
        shown.out.contains("Payload URL") && shown.out.contains("by-hand"),
        "{shown:?}"
    );
    let path = "/api/v1/events?kind=sluice.hook.registration_failed";
    until("its owner is told", || world.api().feed(path).len() == 1);
    world.vendors.post("set", &json!({"deny": false}));
    let again = world.server.cli(&["hook", "register", &hook, "--event", "push"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    world.when(&hook, "registered");
    assert_eq!(world.only("github")["events"], json!(["push"]));
    let wrong = world
        .server
        .cli(&["hook", "register", &hook, "--event", "nothing", "--json"]);
    assert_eq!(wrong.error_code(), "hook.event");

    let world = World::start(None);
    let connection = world.connect("github");
    let made = world.hook(&connection);
    assert_eq!(made["registration"]["state"], "by-hand", "{made}");
    assert_eq!(made["registration"]["error"]["code"], "hook.public_url");
    assert!(
        made["secret"].is_string() && made["steps"][0].is_string(),
        "{made}"
    );
    assert_eq!(world.vendors.count("made"), 0);
}

/// From the command line: an event sent as the vendor would, the last one with a value changed, and what was given up handled again.
#[test]
fn events_are_triggered_and_receipts_handled_again() {
    let world = World::start(None);
    let connection = world.connect("github");
    let hook = id(&world.hook(&connection));
    let api = world.api();
    let events = |kind: &str| api.feed(&format!("/api/v1/events?kind={kind}"));
    let file = world.server.data().join("../issue.json");
    let issue = json!({"action": "opened", "issue": {"id": 7, "title": "A door", "updated_at": "2026-01-05T10:00:00Z"}});
    std::fs::write(&file, issue.to_string()).expect("write the body");
    let file = file.display().to_string();
    let none = world.server.cli(&["hook", "trigger", "github.issues.opened"]);
    assert_eq!(none.code, Some(2), "there is nothing to be sent yet: {none:?}");
    let sent = world
        .server
        .cli(&["hook", "trigger", "github.issues.opened", "--data", &file]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    until("it is handled", || events("github.issues.opened").len() == 1);
    let words = [
        "hook",
        "trigger",
        "github.issues.opened",
        "--hook",
        &hook,
        "--set",
        "issue.title=A window",
    ];
    let again = world.server.cli(&words);
    assert_eq!(again.code, Some(0), "{again:?}");
    until("it is handled", || events("github.issues.opened").len() == 2);
    let last = events("github.issues.opened").remove(1);
    assert_eq!(last["data"]["issue"]["title"], "A window", "{last}");

    let count = |out: &str| {
        let done: Value = serde_json::from_str(out).expect("JSON");
        assert_eq!(done["state"], "done", "{done}");
        done["made"].as_u64().expect("a count")
    };
    // What can't be read is given up; it is handled again by its hook, with others that were not.
    let broken = ["hook", "trigger", "github.ping", "--data", "/dev/null"];
    assert_eq!(world.server.cli(&broken).code, Some(0));
    let receipts = || api.all(&format!("/api/v1/hooks/{hook}/receipts"));
    let dead = || {
        receipts()
            .iter()
            .filter(|receipt| receipt["state"] == "dead")
            .count()
    };
    until("it is given up", || dead() == 1);
    let replayed = world.server.cli(&[
        "--json", "hook", "replay", &hook, "--status", "failed", "--since", "1h",
    ]);
    assert!(count(&replayed.out) == 1, "{replayed:?}");
    until("it is given up again", || {
        receipts()
            .iter()
            .any(|receipt| receipt["replays"] == 1 && receipt["state"] == "dead")
    });
    let all = world.server.cli(&["--json", "hook", "replay", &hook]);
    assert!(count(&all.out) == 3, "{all:?}");
    until("all are handled again", || {
        receipts()
            .iter()
            .all(|receipt| receipt["replays"].as_u64() > Some(0) && receipt["state"] != "accepted")
    });
    let before = world
        .server
        .cli(&["--json", "hook", "replay", &hook, "--until", "1d"]);
    assert!(count(&before.out) == 0, "{before:?}");

    // By an install that is named, which has to be one of this connector.
    let found = api.get(&format!("/api/v1/connections/{connection}"));
    let install = found["install"].as_str().expect("its install").to_owned();
    let named = world
        .server
        .cli(&["--json", "hook", "replay", &hook, "--with", &install]);
    assert!(count(&named.out) == 3, "{named:?}");
    let other = world.server.cli(&["hook", "replay", &hook, "--with", "nobody"]);
    assert!(
        other.code != Some(0) && other.err.contains("SLU-5332"),
        "{other:?}"
    );
    let told = api.feed("/api/v1/events?kind=sluice.replay.ended");
    assert!(
        told.len() == 4 && told[1]["data"]["hook"] == hook.as_str(),
        "{told:?}"
    );
}
