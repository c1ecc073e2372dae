//! The S3 connector, and one for what it does not do, against an AWS that checks every signature: what the host signs, from the real
//! server to the wire, and what it gives away.

mod link;
mod stream;

use std::path::Path;

use serde_json::{Value, json};

use crate::counterpart::Counterpart;
use crate::github;
use crate::package;
use crate::server::{Answer, Api, Place, Server, Setup};

const HOST: &str = "s3.us-east-1.amazonaws.com";
const SNS: &str = "sns.us-east-1.amazonaws.com";
const SES: &str = "email.us-east-1.amazonaws.com";

struct World {
    aws: Counterpart,
    server: Server,
}

impl World {
    fn start() -> Self {
        Self::with(&package::file("s3", "plugins/s3"))
    }

    /// With the connector of `fixtures/connectors/aws`.
    fn odd() -> Self {
        Self::with(&package::file("aws", "fixtures/connectors/aws"))
    }

    fn with(connector: &Path) -> Self {
        let aws = Counterpart::python("moto/main.py", &[]);
        let place = |host: &str| Place {
            host: host.to_owned(),
            address: aws.address(),
            ca: aws.authority().to_owned(),
        };
        let setup = Setup {
            places: [HOST, SNS, SES].map(place).into(),
            set: vec![("SLUICE_LOG__FILTER", "debug".to_owned())],
            ..Setup::default()
        };
        let server = Server::start(&setup);
        let file = std::fs::read(connector).expect("read the connector");
        github::install(&server.api(), &file);
        Self { aws, server }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    /// A connection with the key of a user of the AWS.
    fn draft(&self, name: &str, secret: &Value) -> String {
        self.created(&json!({
            "name": name, "connector": "s3", "secret": secret,
            "config": {"endpoint": HOST, "region": "us-east-1", "bucket": "sluice-test"},
        }))
    }

    /// A connection of the other connector, for one service.
    fn key_for(&self, scheme: &str) -> String {
        let connection = self.created(&json!({
            "name": scheme, "connector": "aws", "auth": scheme, "secret": self.aws.ready["user"],
            "config": {"region": "us-east-1"},
        }));
        assert_eq!(self.test(&connection)["ok"], true);
        connection
    }

    fn created(&self, body: &Value) -> String {
        let created = self.api().try_post("/api/v1/connections", body);
        assert_eq!(created.status, 201, "{}", created.text());
        created.json()["id"].as_str().expect("an id").to_owned()
    }

    fn test(&self, connection: &str) -> Value {
        let path = format!("/api/v1/connections/{connection}/test");
        self.api().post(&path, &json!({}))
    }

    fn act(&self, connection: &str, action: &str, input: &Value) -> Answer {
        let path = format!("/api/v1/connections/{connection}/actions/{action}");
        self.api().try_post(&path, input)
    }

    fn acts(&self, connection: &str, action: &str, input: &Value) -> Value {
        let acted = self.act(connection, action, input);
        assert_eq!(acted.status, 200, "{action} {input}: {}", acted.text());
        acted.json()["output"].clone()
    }
}

/// Nowhere that the server keeps or says something is this text. Ends the server.
fn assert_nowhere(world: &mut World, texts: &[String]) {
    let mut places: Vec<(String, String)> = ["connections?limit=1000", "connectors", "installs"]
        .iter()
        .map(|path| {
            let path = format!("/api/v1/{path}");
            let page = world.api().send("GET", &path, "application/json", b"").text();
            (path, page)
        })
        .collect();
    places.push((
        "/metrics".to_owned(),
        world.api().send("GET", "/metrics", "text/plain", b"").text(),
    ));
    places.push((
        "the events".to_owned(),
        json!(world.api().all("/api/v1/events")).to_string(),
    ));
    world.server.kill();
    places.push(("the log".to_owned(), world.server.log()));
    for text in texts {
        for (place, content) in &places {
            assert!(!content.contains(text), "a secret is in {place}");
        }
        for entry in std::fs::read_dir(world.server.data()).expect("list the data") {
            let path = entry.expect("list the data").path();
            if path.is_file() {
                let bytes = std::fs::read(&path).expect("read the data");
                let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                assert!(!found, "a secret is in {}", path.display());
            }
        }
    }
}

/// Keys whose characters a signature has to write its own way.
const KEYS: [&str; 10] = [
    "plain.txt",
    "a/b/c.txt",
    "with space and+plus.txt",
    "umlaut-äöü-漢字.txt",
    "q?x=1&y=2#z.txt",
    "tilde~paren(1)!'*.txt",
    "percent%.txt",
    "equals=colon:at@.txt",
    "quote\"semi;comma,.txt",
    "$dollar^caret`tick|pipe.txt",
];

#[test]
fn everything_that_is_signed_is_believed() {
    let world = World::start();
    let connection = world.draft("bucket", &world.aws.ready["user"]);
    let report = world.test(&connection);
    assert_eq!(report["ok"], true, "{report}");

    for key in KEYS {
        let put = json!({"key": key, "content": format!("content of {key}"), "content_type": "text/plain"});
        world.acts(&connection, "put_object", &put);
        let got = world.acts(&connection, "get_object", &json!({"key": key}));
        assert_eq!(got["content"], format!("content of {key}"), "{got}");
    }
    world.acts(&connection, "put_object", &json!({"key": "empty", "content": ""}));
    // Larger than one chunk of anything.
    let large = "x".repeat(700 << 10);
    world.acts(
        &connection,
        "put_object",
        &json!({"key": "large", "content": large}),
    );
    let got = world.acts(&connection, "get_object", &json!({"key": "large"}));
    assert_eq!(got["content"].as_str().map(str::len), Some(700 << 10));

    let run = github::sync(&world.api(), &connection, "objects", "full");
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(run["counts"]["added"], KEYS.len() + 2, "{run}");
    let path = format!("/api/v1/connections/{connection}/records?stream=objects");
    let records = world.api().feed(&path);
    for key in KEYS {
        assert!(records.iter().any(|record| record["data"]["key"] == key), "{key}");
    }
    world.acts(&connection, "delete_object", &json!({"key": KEYS[0]}));
    let gone = world.act(&connection, "get_object", &json!({"key": KEYS[0]}));
    assert!(gone.status >= 400, "{}", gone.text());

    let counts = world.aws.get("counts");
    assert!(counts["accepted"].as_u64() >= Some(24), "{counts}");
    // Only what was not there was not given.
    let refused = counts["refused"].as_object().expect("counts");
    assert!(
        refused.keys().all(|code| code == "404" || code == "NoSuchKey"),
        "{counts}"
    );
    let requests = world.aws.get("requests");
    for request in requests["requests"].as_array().expect("requests") {
        assert_eq!(
            (&request["region"], &request["service"]),
            (&json!("us-east-1"), &json!("s3")),
            "{request}"
        );
        assert_eq!(request["signed"], "header", "{request}");
    }
}

#[test]
fn who_may_not_is_refused_and_the_key_stays_hidden() {
    let mut world = World::start();
    let reader = world.draft("reader", &world.aws.ready["reader"]);
    assert_eq!(world.test(&reader)["ok"], true);
    let refused = world.act(&reader, "put_object", &json!({"key": "x", "content": "x"}));
    assert!(refused.status >= 400, "{}", refused.text());
    let path = format!("/api/v1/connections/{reader}");
    assert_eq!(
        world.api().get(&path)["state"],
        "active",
        "one refusal is not the connection's end"
    );
    let stranger = world.draft("stranger", &world.aws.ready["stranger"]);
    assert_eq!(world.test(&stranger)["ok"], false);

    let mut wrong = world.aws.ready["user"].clone();
    wrong["secret_access_key"] = json!("not-the-right-secret-access-key-of-it-");
    let wrong = world.draft("wrong", &wrong);
    let report = world.test(&wrong);
    assert_eq!(report["ok"], false, "{report}");
    let counts = world.aws.get("counts");
    assert!(
        counts["refused"]["SignatureDoesNotMatch"].as_u64() >= Some(1),
        "{counts}"
    );
    assert!(counts["refused"]["AccessDenied"].as_u64() >= Some(1), "{counts}");

    let missing = json!({"name": "half", "connector": "s3", "secret": {"access_key_id": "AKIAEXAMPLE"},
        "config": {"endpoint": HOST, "region": "us-east-1", "bucket": "sluice-test"}});
    let half = world.api().try_post("/api/v1/connections", &missing);
    assert!(half.status >= 400, "{}", half.text());

    let secrets: Vec<String> = ["user", "reader", "stranger"]
        .iter()
        .map(|who| {
            let secret = &world.aws.ready[who]["secret_access_key"];
            secret.as_str().expect("a secret").to_owned()
        })
        .collect();
    assert_nowhere(&mut world, &secrets);
}

#[test]
fn a_message_and_a_mail_are_signed_for_their_own_services() {
    let world = World::odd();
    let (messages, mail) = (world.key_for("messages"), world.key_for("mail"));
    let ask = |connection: &str, host: &str, form: Value| {
        let answer = world.acts(connection, "query", &json!({"host": host, "form": form}));
        assert_eq!(answer["status"], 200, "{answer}");
        answer["body"].as_str().expect("a body").to_owned()
    };
    let topic = ask(
        &messages,
        SNS,
        json!({"Action": "CreateTopic", "Name": "news", "Version": "2010-03-31"}),
    );
    let (_, topic) = topic.split_once("<TopicArn>").expect("a topic");
    let (topic, _) = topic.split_once("</TopicArn>").expect("a topic");
    let published = ask(
        &messages,
        SNS,
        json!({"Action": "Publish", "TopicArn": topic, "Message": "1 + 1 = 2 & ~ä", "Version": "2010-03-31"}),
    );
    assert!(published.contains("<MessageId>"), "{published}");

    let version = "2010-12-01";
    ask(
        &mail,
        SES,
        json!({"Action": "VerifyEmailIdentity", "EmailAddress": "a@acme.example", "Version": version}),
    );
    let sent = ask(
        &mail,
        SES,
        json!({
            "Action": "SendEmail", "Version": version, "Source": "a@acme.example",
            "Destination.ToAddresses.member.1": "b@acme.example",
            "Message.Subject.Data": "Hello", "Message.Body.Text.Data": "1 + 1 = 2 & ~ä",
        }),
    );
    assert!(sent.contains("<MessageId>"), "{sent}");

    // One service's key signs for nobody else.
    let elsewhere = json!({"host": SES, "form": {"Action": "GetSendQuota", "Version": version}});
    let refused = world.act(&messages, "query", &elsewhere);
    assert!(refused.status >= 400, "{}", refused.text());
    let requests = world.aws.get("requests");
    let requests = requests["requests"].as_array().expect("requests");
    for (host, service, count) in [(SNS, "sns", 2), (SES, "ses", 2)] {
        let of: Vec<_> = requests
            .iter()
            .filter(|request| request["host"] == host)
            .collect();
        assert_eq!(of.len(), count, "{of:?}");
        for request in of {
            assert_eq!(
                (&request["service"], &request["region"], &request["signed"]),
                (&json!(service), &json!("us-east-1"), &json!("header")),
                "{request}"
            );
        }
    }
}

#[test]
fn a_credential_is_unsealed_once_however_many_requests_it_signs() {
    let world = World::start();
    let opened = || {
        let page = world.api().send("GET", "/metrics", "text/plain", b"").text();
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix("sluice_secrets_opened_total "));
        line.expect("the metric").parse::<u64>().expect("a number")
    };
    let connection = world.draft("bucket", &world.aws.ready["user"]);
    assert_eq!(world.test(&connection)["ok"], true);
    // Set anew, so that nobody has opened it yet.
    let path = format!("/api/v1/connections/{connection}/secret");
    world
        .api()
        .put(&path, &json!({"secret": world.aws.ready["user"]}));
    let before = opened();
    let signed = world.aws.count("requests");
    for n in 0..20 {
        let put = json!({"key": format!("k{n}"), "content": "x"});
        world.acts(&connection, "put_object", &put);
        world.acts(&connection, "get_object", &json!({"key": format!("k{n}")}));
    }
    assert_eq!(world.aws.count("requests") - signed, 60);
    assert_eq!(opened() - before, 1);
}
