//! The server is killed between every two things that it does with a webhook, from its bytes to the stored answer of whoever the
//! event is delivered to: what was acknowledged has one effect, and what is owed comes at least once, under one id.
//!
//! Every place is reached by a gate, none by a guess of the time. Three counterparts hold their answer: the vendor that is asked for a
//! certificate (everything is there, nothing is verified), the vendor that the connector asks (leased, not handled) and the receiver
//! (attempted, nothing stored). Where the next thing that the server does is a commit, the kernel ends it at the commit's first byte
//! ([`Server::end_at_the_next_write`]): by then it has written nothing, and it was not told before.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::counterpart::Counterpart;
use crate::ledger::Ledger;
use crate::receiver::Receiver;
use crate::server::{Answer, Api, Place, Server, http, wait_for, within};
use crate::vendors::{self, Row};
use crate::{github, package};

/// Signed by the host's own recipe and handled with a question to the vendor; in order about one thing, and by a hook that waits for what
/// the connector answers.
const WEBHOOKS: &str = r#"
[[webhooks]]
name = "plain"
events = [{ kind = "told" }]
dedupe = { pointer = "/id" }
order = { pointer = "/about" }
[webhooks.signature]
scheme = "hmac"
algorithm = "sha256"
encoding = "hex"
header = "x-signature"

[[webhooks]]
name = "asked"
events = [{ kind = "told" }]
dedupe = { pointer = "/id" }
order = { pointer = "/about" }
reply = true
[webhooks.signature]
scheme = "hmac"
algorithm = "sha256"
encoding = "hex"
header = "x-signature"

[[webhooks]]
name = "certified"
events = [{ kind = "told" }]
dedupe = { pointer = "/id" }
"#;

const KIND: &str = "teller.told";
const CERTIFIER: &str = "api.sandbox.paypal.com";

struct World {
    vendor: Ledger,
    certifier: Counterpart,
    receiver: Receiver,
    server: Server,
    connection: String,
}

/// A webhook that was sent, and may have to be sent again.
struct Sent {
    id: String,
    hook: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    acknowledged: bool,
}

/// A sender that waits for its answer.
type Waiting = JoinHandle<std::io::Result<Answer>>;

impl World {
    fn start() -> Self {
        let (vendor, receiver) = (Ledger::start(), Receiver::start());
        let certifier = Counterpart::python("webhooks/main.py", &["--host", CERTIFIER]);
        let mut setup = vendor.setup();
        setup.places.extend([
            Place {
                host: CERTIFIER.to_owned(),
                address: certifier.address(),
                ca: certifier.authority().to_owned(),
            },
            Place {
                host: "authority.example".to_owned(),
                address: certifier.address(),
                ca: certifier.ready["vendor_ca_pem"].as_str().unwrap().to_owned(),
            },
            Place {
                host: "receiver.example".to_owned(),
                address: receiver.address,
                ca: String::new(),
            },
        ]);
        setup.set = vec![
            // Words are bytes too: what the kernel is to stop at is the database.
            ("SLUICE_LOG__FILTER", "error".to_owned()),
            ("SLUICE_ENDPOINTS__RETRY_WAITS_MS", "[20, 20, 20]".to_owned()),
        ];
        let server = Server::start(&setup);
        let api = server.api();
        let code = std::fs::read(package::file("ledger", "fixtures/connectors/ledger")).unwrap();
        let manifest = package::manifest(&code).replacen("id = \"ledger\"", "id = \"teller\"", 1);
        let manifest = format!("{manifest}{WEBHOOKS}{}", vendors::recipe("PayPal"));
        github::install(&api, &package::with_manifest(&code, &manifest));
        let made = api.post(
            "/api/v1/connections",
            &json!({"name": "work", "connector": "teller", "config": {"book": "left"}}),
        );
        let connection = made["id"].as_str().unwrap().to_owned();
        let tested = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
        assert_eq!(tested["ok"], true, "{tested}");
        api.post(
            "/api/v1/endpoints",
            &json!({"name": "out", "url": receiver.url("/held"), "events": [KIND], "ordered": true}),
        );
        Self {
            vendor,
            certifier,
            receiver,
            server,
            connection,
        }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    /// The hook of one of the three webhooks; there is one of each.
    fn hook(&self, webhook: &str) -> String {
        let (api, secret) = (self.api(), if webhook == "certified" { "WH-1" } else { "" });
        let known = api.get("/api/v1/hooks")["items"].as_array().unwrap().clone();
        if let Some(known) = known.iter().find(|hook| hook["webhook"] == webhook) {
            return known["id"].as_str().unwrap().to_owned();
        }
        let mut asked = json!({"connection": self.connection, "webhook": webhook});
        if !secret.is_empty() {
            asked["secret"] = json!(secret);
        }
        api.post("/api/v1/hooks", &asked)["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A signed webhook, which nobody has sent yet.
    fn signed(&self, webhook: &str, id: &str, about: &str) -> Sent {
        let hook = self.hook(webhook);
        let body = json!({"id": id, "about": about}).to_string().into_bytes();
        let headers = github::Hook {
            id: hook.clone(),
            secret: String::new(),
        }
        .sign(&self.api(), &body);
        Sent {
            id: id.to_owned(),
            hook,
            headers,
            body,
            acknowledged: false,
        }
    }

    /// Sends it and does not wait for the answer.
    fn post(&self, sent: &Sent) -> Waiting {
        let address = self.api().address;
        let (hook, headers, body) = (sent.hook.clone(), sent.headers.clone(), sent.body.clone());
        std::thread::spawn(move || github::post(address, &hook, &headers, &body))
    }

    /// Sends it and has it acknowledged.
    fn acknowledged(&self, mut sent: Sent) -> Sent {
        let answer = self.post(&sent).join().unwrap().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        sent.acknowledged = true;
        sent
    }

    /// The receipt of a webhook, if it is kept.
    fn receipt(&self, sent: &Sent) -> Option<Value> {
        let kept = self.api().all(&format!("/api/v1/hooks/{}/receipts", sent.hook));
        let key = format!("id:{}", sent.id);
        let mut found = kept
            .into_iter()
            .filter(|receipt| receipt["dedupe_key"] == key.as_str());
        let receipt = found.next();
        assert!(found.next().is_none(), "{} is kept twice", sent.id);
        receipt
    }

    /// The ids of the events that a webhook became.
    fn events(&self, sent: &Sent) -> Vec<String> {
        let events = self.api().feed(&format!("/api/v1/events?kind={KIND}"));
        let own = events
            .iter()
            .filter(|event| event["source_id"] == sent.id.as_str());
        own.map(|event| event["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The ids under which its event was delivered, one for each try.
    fn delivered(&self, sent: &Sent) -> Vec<String> {
        let got = self.receiver.got("/held").into_iter();
        let own = got.filter(|got| got.json()["data"]["id"] == sent.id.as_str());
        own.map(|got| got.header("webhook-id").to_owned()).collect()
    }

    /// Every event is delivered, and the answer stored.
    fn nothing_is_owed(&self) {
        let mut last = Value::Null;
        let done = within(Duration::from_secs(120), || {
            let events = self.api().feed(&format!("/api/v1/events?kind={KIND}")).len();
            last = self.api().get("/api/v1/endpoints/out");
            (last["delivered"] == events).then_some(())
        });
        let owed = || self.api().get("/api/v1/endpoints/out/deliveries");
        assert!(done.is_some(), "something is owed: {last}: {}", owed());
    }

    fn vendor_is_asked(&self) {
        wait_for("the connector to ask its vendor", || {
            (self.vendor.waiting() == 1).then_some(())
        });
    }

    fn receiver_has(&self, sent: &Sent) {
        wait_for("the delivery", || {
            (!self.delivered(sent).is_empty()).then_some(())
        });
    }
}

/// What a cut is between, how it is reached, and what the next start finds.
struct Cut {
    between: (&'static str, &'static str),
    /// Ends the process and tells what was sent; what others hold stays held.
    cut: fn(&mut World, &str) -> Vec<Sent>,
    /// Whether what was sent last is kept.
    kept: bool,
    /// Whether its event is written.
    written: bool,
    /// How often its event has been delivered when all is done.
    tries: usize,
}

const CUTS: &[Cut] = &[
    Cut {
        between: ("half of the bytes received", "bytes received"),
        cut: half_of_it,
        kept: false,
        written: false,
        tries: 1,
    },
    Cut {
        between: ("bytes received", "verified"),
        cut: before_it_is_verified,
        kept: false,
        written: false,
        tries: 1,
    },
    Cut {
        between: ("verified", "committed"),
        cut: before_it_is_committed,
        kept: false,
        written: false,
        tries: 1,
    },
    Cut {
        between: ("committed", "acknowledged"),
        cut: before_it_is_acknowledged,
        kept: true,
        written: false,
        tries: 1,
    },
    Cut {
        between: ("acknowledged", "leased"),
        cut: before_it_is_leased,
        kept: true,
        written: false,
        tries: 1,
    },
    Cut {
        between: ("leased", "handled"),
        cut: before_it_is_handled,
        kept: true,
        written: false,
        tries: 1,
    },
    Cut {
        between: ("handled", "events written"),
        cut: before_its_event_is_written,
        kept: true,
        written: false,
        tries: 1,
    },
    Cut {
        between: ("events written", "delivery attempted"),
        cut: before_it_is_delivered,
        kept: true,
        written: true,
        tries: 1,
    },
    Cut {
        between: ("delivery attempted", "delivery answered"),
        cut: before_it_is_answered,
        kept: true,
        written: true,
        tries: 2,
    },
    Cut {
        between: ("delivery answered", "answer stored"),
        cut: before_the_answer_is_stored,
        kept: true,
        written: true,
        tries: 2,
    },
    Cut {
        between: ("answer stored", "everything done"),
        cut: after_the_answer_is_stored,
        kept: true,
        written: true,
        tries: 1,
    },
];

#[test]
fn a_kill_between_any_two_steps_leaves_one_effect_and_one_id() {
    let mut world = World::start();
    for (number, case) in CUTS.iter().enumerate() {
        let (from, to) = case.between;
        let name = format!("n{number}");
        let mut sent = (case.cut)(&mut world, &name);
        // Whoever still waits for the process that is gone.
        world.vendor.hold(false);
        world.receiver.hold(false);
        world.certifier.post("hold", &json!({"shut": false}));
        wait_for("the vendor to be idle", || {
            (world.vendor.waiting() == 0).then_some(())
        });

        world.vendor.hold(true);
        world.receiver.hold(true);
        world.server.run();
        let last = sent.last().unwrap();
        let found = (world.receipt(last).is_some(), world.events(last).len());
        assert_eq!(
            found,
            (case.kept, usize::from(case.written)),
            "killed between {from} and {to}"
        );
        for earlier in &sent {
            assert!(
                !earlier.acknowledged || world.receipt(earlier).is_some(),
                "between {from} and {to}"
            );
        }
        world.vendor.hold(false);
        world.receiver.hold(false);

        // Vendors send again what was not acknowledged.
        for again in sent.iter_mut().filter(|sent| !sent.acknowledged) {
            let answer = world.post(again).join().unwrap().unwrap();
            assert_eq!(answer.status, 200, "between {from} and {to}: {}", answer.text());
        }
        for sent in &sent {
            let (receipt, tries) = wait_for("it to be delivered", || {
                let receipt = world
                    .receipt(sent)
                    .filter(|receipt| receipt["state"] == "handled");
                let tries = world.delivered(sent);
                receipt.filter(|_| !tries.is_empty()).zip(Some(tries))
            });
            let events = world.events(sent);
            assert_eq!(events.len(), 1, "between {from} and {to}: {receipt}");
            assert!(tries.iter().all(|id| *id == events[0]), "{events:?} {tries:?}");
        }
        let last = sent.last().unwrap();
        wait_for(
            &format!("the tries of what was cut between {from} and {to}"),
            || (world.delivered(last).len() == case.tries).then_some(()),
        );
        // An answer that is still on its way would be held with what comes next.
        world.nothing_is_owed();
        println!("killed between {from} and {to}");
    }
    let events = world.api().feed(&format!("/api/v1/events?kind={KIND}"));
    let events: BTreeSet<String> = events
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    let got = world.receiver.got("/held").into_iter();
    let got: BTreeSet<String> = got.map(|got| got.header("webhook-id").to_owned()).collect();
    assert_eq!(got, events);
}

fn half_of_it(world: &mut World, id: &str) -> Vec<Sent> {
    let sent = world.signed("plain", id, id);
    let mut stream = TcpStream::connect(world.api().address).unwrap();
    let mut head = format!(
        "POST /hooks/{} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n",
        sent.hook
    );
    for (name, value) in &sent.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", sent.body.len());
    stream.write_all(head.as_bytes()).unwrap();
    // The server reads the body from here on.
    let mut told = String::new();
    BufReader::new(stream.try_clone().unwrap())
        .read_line(&mut told)
        .unwrap();
    assert!(told.starts_with("HTTP/1.1 100"), "{told}");
    stream.write_all(&sent.body[..sent.body.len() / 2]).unwrap();
    world.server.kill();
    vec![sent]
}

/// All of it is there, and the vendor's certificate is not.
fn before_it_is_verified(world: &mut World, _: &str) -> Vec<Sent> {
    let hook = world.hook("certified");
    let url = format!("https://hooks.example.com/hooks/{hook}");
    let made = world
        .certifier
        .post("sign", &json!({"now": vendors::now_s(), "urls": vec![url; 72]}));
    let rows = made["rows"].as_array().unwrap().iter().map(Row::new);
    let row = rows.into_iter().find(|row| row.system == "PayPal").unwrap();
    let certificate = row
        .headers
        .iter()
        .find(|(name, _)| name == "paypal-cert-url")
        .unwrap();
    world
        .certifier
        .post("publish", &json!({"address": certificate.1, "text": row.fetched}));
    world.certifier.post("hold", &json!({"shut": true}));
    let body: Value = serde_json::from_slice(&row.body).unwrap();
    let sent = Sent {
        id: body["id"].as_str().unwrap().to_owned(),
        hook,
        headers: row.headers,
        body: row.body,
        acknowledged: false,
    };
    let waiting = world.post(&sent);
    wait_for("the certificate to be asked for", || {
        (world.certifier.get("held")["answers"] == 1).then_some(())
    });
    world.server.kill();
    assert!(waiting.join().unwrap().is_err());
    vec![sent]
}

/// The one that is forged is answered without a byte written; the other one is not.
fn before_it_is_committed(world: &mut World, id: &str) -> Vec<Sent> {
    let sent = world.signed("plain", id, id);
    world.server.end_at_the_next_write();
    let forged = [("x-signature", "00")];
    let path = format!("/hooks/{}", sent.hook);
    let answer = http::request(world.api().address, "POST", &path, &forged, &sent.body).unwrap();
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert!(!world.server.has_ended());
    assert!(world.post(&sent).join().unwrap().is_err());
    world.server.wait_for_the_write();
    vec![sent]
}

/// Its sender waits for what the connector answers, and the connector has not been asked: another one about the same is before it.
fn before_it_is_acknowledged(world: &mut World, id: &str) -> Vec<Sent> {
    let mut all = Vec::new();
    // Senders do not wait for ever: where the machine took longer than that, the place was missed and is gone to again.
    for attempt in 0..10 {
        world.vendor.hold(true);
        let first = world.signed(
            "asked",
            &format!("{id}-{attempt}-first"),
            &format!("{id}-{attempt}"),
        );
        let mut sent = world.signed("asked", &format!("{id}-{attempt}"), &format!("{id}-{attempt}"));
        let before = world.post(&first);
        world.vendor_is_asked();
        let waiting = world.post(&sent);
        wait_for("it to be committed", || world.receipt(&sent));
        assert_eq!(world.vendor.waiting(), 1);
        world.server.kill();
        drop(before.join().unwrap());
        sent.acknowledged = waiting.join().unwrap().is_ok();
        let missed = sent.acknowledged;
        all.extend([first, sent]);
        if !missed {
            return all;
        }
        world.vendor.hold(false);
        world.server.run();
        wait_for("the others to be handled", || {
            let handled = |sent: &Sent| {
                world
                    .receipt(sent)
                    .is_some_and(|receipt| receipt["state"] == "handled")
            };
            all.iter().all(handled).then_some(())
        });
    }
    panic!("senders do not wait here for as long as a few requests take");
}

/// Another one about the same is before it.
fn before_it_is_leased(world: &mut World, id: &str) -> Vec<Sent> {
    world.vendor.hold(true);
    let first = world.acknowledged(world.signed("plain", &format!("{id}-first"), id));
    world.vendor_is_asked();
    let sent = world.acknowledged(world.signed("plain", id, id));
    let receipt = world.receipt(&sent).unwrap();
    assert_eq!(
        (&receipt["state"], world.vendor.waiting()),
        (&json!("accepted"), 1),
        "{receipt}"
    );
    world.server.kill();
    vec![first, sent]
}

fn before_it_is_handled(world: &mut World, id: &str) -> Vec<Sent> {
    world.vendor.hold(true);
    let sent = world.acknowledged(world.signed("plain", id, id));
    world.vendor_is_asked();
    world.server.kill();
    vec![sent]
}

/// The vendor answers, the connector gives its event, and the commit with it is what is cut.
fn before_its_event_is_written(world: &mut World, id: &str) -> Vec<Sent> {
    world.vendor.hold(true);
    let sent = world.acknowledged(world.signed("plain", id, id));
    world.vendor_is_asked();
    world.server.end_at_the_next_write();
    assert!(world.events(&sent).is_empty() && !world.server.has_ended());
    world.vendor.hold(false);
    world.server.wait_for_the_write();
    vec![sent]
}

/// The receiver has another one, and is given one after the other.
fn before_it_is_delivered(world: &mut World, id: &str) -> Vec<Sent> {
    world.receiver.hold(true);
    let first = world.acknowledged(world.signed("plain", &format!("{id}-first"), id));
    world.receiver_has(&first);
    let sent = world.acknowledged(world.signed("plain", id, id));
    wait_for("its event", || (!world.events(&sent).is_empty()).then_some(()));
    assert!(world.delivered(&sent).is_empty());
    world.server.kill();
    vec![first, sent]
}

fn before_it_is_answered(world: &mut World, id: &str) -> Vec<Sent> {
    world.receiver.hold(true);
    let sent = world.acknowledged(world.signed("plain", id, id));
    world.receiver_has(&sent);
    world.server.kill();
    vec![sent]
}

/// The receiver says that it has it, and the commit with that is what is cut.
fn before_the_answer_is_stored(world: &mut World, id: &str) -> Vec<Sent> {
    world.receiver.hold(true);
    let sent = world.acknowledged(world.signed("plain", id, id));
    world.receiver_has(&sent);
    world.server.end_at_the_next_write();
    assert!(!world.server.has_ended());
    world.receiver.hold(false);
    world.server.wait_for_the_write();
    vec![sent]
}

fn after_the_answer_is_stored(world: &mut World, id: &str) -> Vec<Sent> {
    let sent = world.acknowledged(world.signed("plain", id, id));
    wait_for("its event", || (!world.events(&sent).is_empty()).then_some(()));
    world.nothing_is_owed();
    world.server.kill();
    vec![sent]
}
