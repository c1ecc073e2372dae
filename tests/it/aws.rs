//! The S3 connector against an AWS that checks every signature: what the host signs, from the real server to the wire.

use serde_json::{Value, json};

use crate::counterpart::Counterpart;
use crate::github;
use crate::package;
use crate::server::{Answer, Api, Place, Server, Setup};

const HOST: &str = "s3.us-east-1.amazonaws.com";

struct World {
    aws: Counterpart,
    server: Server,
}

impl World {
    fn start() -> Self {
        let aws = Counterpart::python("moto/main.py", &[]);
        let setup = Setup {
            places: vec![Place {
                host: HOST.to_owned(),
                address: aws.address(),
                ca: aws.authority().to_owned(),
            }],
            set: vec![("SLUICE_LOG__FILTER", "debug".to_owned())],
            ..Setup::default()
        };
        let server = Server::start(&setup);
        let file = std::fs::read(package::file("s3", "plugins/s3")).expect("read the connector");
        github::install(&server.api(), &file);
        Self { aws, server }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    /// A connection with the key of a user of the AWS.
    fn draft(&self, name: &str, secret: &Value) -> String {
        let body = json!({
            "name": name, "connector": "s3", "secret": secret,
            "config": {"endpoint": HOST, "region": "us-east-1", "bucket": "sluice-test"},
        });
        let created = self.api().try_post("/api/v1/connections", &body);
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
    let path = "/api/v1/connections?limit=1000";
    let listed = world.api().send("GET", path, "application/json", b"").text();
    let events = json!(world.api().all("/api/v1/events")).to_string();
    world.server.kill();
    let log = world.server.log();
    for secret in secrets {
        for (place, text) in [("the list", &listed), ("the events", &events), ("the log", &log)] {
            assert!(!text.contains(&secret), "a secret key is in {place}");
        }
        for entry in std::fs::read_dir(world.server.data()).expect("list the data") {
            let path = entry.expect("list the data").path();
            if path.is_file() {
                let bytes = std::fs::read(&path).expect("read the data");
                let found = bytes
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes());
                assert!(!found, "a secret key is in {}", path.display());
            }
        }
    }
}
