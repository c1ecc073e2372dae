//! What vendors ask before they send: answered as each wants it, for its hook alone, as text or JSON that nobody sniffs.

use data_encoding::HEXLOWER;
use serde_json::json;
use sluice_model::secret::Secret;
use sluice_model::signature::verify_token;

use super::{World, comparable, recipe, webhook};
use crate::server::{Answer, wait_for};

const SECRET: &str = "a made up secret";

/// A question with a verify token, as Meta asks it.
const META: &str = r#"
[webhooks.signature]
scheme = "hmac"
algorithm = "sha256"
encoding = "hex"
header = "x-hub-signature-256"
prefix = "sha256="
[[webhooks.challenges]]
method = "GET"
when = [{ query = "hub.mode", is = "subscribe" }]
verified = false
token = { query = "hub.verify_token" }
value = { query = "hub.challenge" }
text = "{value}"
"#;

const SCRIPT: &str = "<script>alert(1)</script>";

fn header(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

/// Nothing in it that a browser would run.
fn is_harmless(answer: &Answer) {
    let of = |name: &str| {
        answer
            .headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(
        of("x-content-type-options"),
        Some("nosniff"),
        "{:?}",
        answer.headers
    );
    let kind = of("content-type").unwrap_or("text/plain");
    let harmless = ["text/plain", "application/json", "application/problem+json"];
    assert!(harmless.iter().any(|known| kind.starts_with(known)), "{kind}");
}

#[test]
fn questions_are_answered_as_each_vendor_asks() {
    let world = World::start();
    let systems = [
        "Slack",
        "Zoom",
        "Asana",
        "Dropbox",
        "Trello",
        "Microsoft Teams (Graph)",
        "Notion",
    ];
    let webhooks: String = systems
        .iter()
        .enumerate()
        .map(|(at, system)| webhook(&format!("w{at}"), &recipe(system)))
        .collect();
    let connection = world.connect("asking", &format!("{webhooks}{}", webhook("meta", META)));
    let hook = |system: &str, secret: Option<&str>| {
        let at = systems
            .iter()
            .position(|other| *other == system)
            .expect("a system");
        world.hook(&connection, &format!("w{at}"), secret)
    };
    let unknown = comparable(&world.send("POST", "/hooks/hok_00000000000000000000000000", &[], b"{}"));
    let refused = |what: &str, answer: &Answer| {
        let mut found = comparable(answer);
        if answer.body.is_empty() {
            found = (found.0, unknown.1.clone(), unknown.2.clone());
        }
        assert_eq!(found, unknown, "{what}");
    };
    let ok = |what: &str, answer: Answer| {
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        is_harmless(&answer);
        answer
    };

    let slack = hook("Slack", Some(SECRET));
    let asked = json!({"token": "t", "challenge": "3eZbrw1aB", "type": "url_verification"}).to_string();
    let unsigned = world.send("POST", &format!("/hooks/{slack}"), &[], asked.as_bytes());
    refused("Slack signs its question", &unsigned);
    let signed = world
        .api()
        .post_bytes(&format!("/api/v1/hooks/{slack}/sign"), asked.as_bytes())
        .json();
    let headers: Vec<_> = signed["headers"]
        .as_array()
        .expect("headers")
        .iter()
        .map(|header| {
            let part = |name: &str| header[name].as_str().expect(name).to_owned();
            (part("name"), part("value"))
        })
        .collect();
    let answer = ok(
        "Slack",
        world.send("POST", &format!("/hooks/{slack}"), &headers, asked.as_bytes()),
    );
    assert!(answer.text().contains("3eZbrw1aB"), "{}", answer.text());

    let dropbox = hook("Dropbox", Some(SECRET));
    let at = format!("/hooks/{dropbox}?challenge=%3Cscript%3Ealert(1)%3C/script%3E");
    let answer = ok("Dropbox", world.send("GET", &at, &[], b""));
    assert_eq!(answer.text(), SCRIPT, "as plain text, whatever it is");
    refused(
        "another question",
        &world.send("GET", &format!("/hooks/{dropbox}"), &[], b""),
    );
    refused(
        "the same of nobody",
        &world.send(
            "GET",
            "/hooks/hok_00000000000000000000000000?challenge=1",
            &[],
            b"",
        ),
    );
    refused(
        "the same of another vendor's hook",
        &world.send("GET", &format!("/hooks/{slack}?challenge=1"), &[], b""),
    );

    let graph = hook("Microsoft Teams (Graph)", Some(SECRET));
    let answer = ok(
        "Graph",
        world.send(
            "POST",
            &format!("/hooks/{graph}?validationToken=Validation%3a+1"),
            &[],
            b"",
        ),
    );
    assert_eq!(answer.text(), "Validation: 1");

    let trello = hook("Trello", Some(SECRET));
    ok(
        "Trello",
        world.send("HEAD", &format!("/hooks/{trello}"), &[], b""),
    );
    refused(
        "Trello with GET",
        &world.send("GET", &format!("/hooks/{trello}"), &[], b""),
    );

    let meta = world.hook(&connection, "meta", Some(SECRET));
    let token = verify_token(&Secret::new(SECRET.into())).expect("a token");
    let at =
        |token: &str| format!("/hooks/{meta}?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=77");
    assert_eq!(ok("Meta", world.send("GET", &at(&token), &[], b"")).text(), "77");
    refused("another's verify token", &world.send("GET", &at("0"), &[], b""));
    let shown = world.api().get(&format!("/api/v1/hooks/{meta}"));
    assert_eq!(
        shown["verify_token"],
        json!(token),
        "its owner is shown what to enter: {shown}"
    );

    let asana = hook("Asana", None);
    let body = br#"{"events":[]}"#;
    let target = format!("/hooks/{asana}");
    let mac = |secret: &str, body: &[u8]| {
        let key = Secret::new(secret.into());
        header("x-hook-signature", &HEXLOWER.encode(&hmac(&key, body)))
    };
    refused(
        "a webhook before there is a secret",
        &world.send("POST", &target, &mac("x", body), body),
    );
    let answer = ok(
        "Asana",
        world.send(
            "POST",
            &target,
            &header("x-hook-secret", "learned-secret-1"),
            b"{}",
        ),
    );
    let echoed = answer.headers.iter().find(|(name, _)| name == "x-hook-secret");
    assert_eq!(echoed.map(|(_, value)| value.as_str()), Some("learned-secret-1"));
    let mut world = world;
    world.server.restart();
    let refused = |what: &str, answer: &Answer| assert_eq!(answer.code(), "webhook.refused", "{what}");
    let other = world.send("POST", &target, &header("x-hook-secret", "another-secret"), b"{}");
    refused("a second secret", &other);
    let again = world.send(
        "POST",
        &target,
        &header("x-hook-secret", "learned-secret-1"),
        b"{}",
    );
    assert_eq!(
        again.status, 200,
        "the same once more: its vendor has not seen the answer"
    );
    let answer = world.send("POST", &target, &mac("learned-secret-1", body), body);
    assert_eq!(
        answer.status,
        200,
        "it was learned before the answer left: {}",
        answer.text()
    );
    assert_eq!(world.receipts(&asana).len(), 1);
    for (place, text) in [
        ("the log", world.server.log()),
        ("the events", json!(world.api().all("/api/v1/events")).to_string()),
    ] {
        assert!(!text.contains("learned-secret-1"), "the secret is in {place}");
    }
}

fn hmac(secret: &Secret, body: &[u8]) -> Vec<u8> {
    let recipe = super::read(
        "x",
        "[webhooks.signature]\nscheme = \"hmac\"\nalgorithm = \"sha256\"\nencoding = \"hex\"\nheader = \"x\"\n",
    );
    let request = sluice_model::signature::Request {
        method: "POST",
        url: "",
        headers: &[],
        body,
    };
    let made = recipe
        .recipe
        .sign(&request, secret, sluice_model::Timestamp::from_millis(0));
    HEXLOWER.decode(made[0].1.as_bytes()).expect("hex")
}

/// SNS wants an address visited: it is noted before the answer leaves, visited once the vendor can be reached, also by the
/// next start, and only at SNS's own addresses.
#[test]
fn a_subscription_is_confirmed_after_a_kill() {
    let mut world = World::start();
    let connection = world.connect("sns", &webhook("events", &recipe("Amazon SNS")));
    let topic = "arn:aws:sns:us-west-2:1:t";
    let hook = world.hook(&connection, "events", Some(topic));
    let address = "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=abcdef0123456789";
    let asked = world.vendors.post(
        "confirmation",
        &json!({"now": super::now_s(), "topic": topic, "url": address}),
    );
    world.publish(
        asked["certificate_url"].as_str().expect("an address"),
        asked["certificate"].as_str().expect("a certificate"),
    );
    let body = asked["body"].as_str().expect("a body").to_owned();
    // The vendor is not there when it is visited first, and the server is killed.
    let target = format!("/hooks/{hook}");
    let forged = body.replace("Token=abcdef0123456789", "Token=abcdef012345678a");
    assert_eq!(
        world.send("POST", &target, &[], forged.as_bytes()).code(),
        "webhook.refused"
    );
    let answer = world.send("POST", &target, &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.server.kill();
    world.publish(address, "<ConfirmSubscriptionResponse/>");
    world.server.run();
    wait_for("the address to be visited", || {
        let confirmed = world.api().all("/api/v1/events?kind=sluice.hook.confirmed");
        (!confirmed.is_empty()).then_some(())
    });
    assert!(world.asked(address) >= 1);
    assert_eq!(
        world.asked("https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=abcdef012345678a"),
        0
    );
    assert!(world.receipts(&hook).is_empty(), "a question is no receipt");
    let log = world.server.log();
    let told = log.lines().find(|line| line.contains("Token=abcdef0123456789"));
    assert_eq!(told, None, "the vendor's token is in the log");
}
