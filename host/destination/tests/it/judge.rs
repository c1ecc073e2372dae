//! Readers and servers that we did not write, from `tests/counterparts`: DuckDB for Parquet, Python's `csv`, moto for S3.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sluice_broker::{
    Apply, Broker, Budget, Caller, Config, ConnectTo, Credential, Open, Origin, Request, Trace, Vault,
    VaultError,
};
use sluice_destination::{Access, Destination, DestinationSettings};
use sluice_model::SystemClock;
use sluice_model::auth::Template;
use sluice_model::capability::{EgressRule, HostPattern, MethodSet, PathPattern, Scheme};
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::OrgId;
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;
use tempfile::TempDir;

use crate::file::open;
use crate::rows::{batch, delete, schema, table, upsert};
use crate::server::NoNames;

struct Process {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Process {
    fn start(script: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = root.join("target/counterparts-venv/bin/python");
        assert!(
            python.exists(),
            "{} is missing: `cargo xtask test` makes it, see tests/counterparts/README.md",
            python.display()
        );
        let mut child = Command::new(python)
            .arg(root.join("tests/counterparts").join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            input: child.stdin.take().unwrap(),
            child,
            lines,
        }
    }

    fn line(&mut self) -> Value {
        let line = self.lines.next().expect("it says something").unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.input, "{question}").unwrap();
        self.line()
    }
}

/// The one file below a directory.
fn only_file(root: &Path) -> String {
    let mut path = root.to_owned();
    while path.is_dir() {
        let mut entries = std::fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        path = entries.next().unwrap();
    }
    path.display().to_string()
}

#[tokio::test]
async fn others_read_in_our_files_what_we_wrote() {
    let mut judge = Process::start("judge/files.py");
    let of = schema(&[
        ("t", json!({"type": "string"})),
        ("i", json!({"type": "integer"})),
        ("n", json!({"type": "number"})),
        ("b", json!({"type": "boolean"})),
        ("at", json!({"type": "string", "format": "date-time"})),
        ("on", json!({"type": "string", "format": "date"})),
        ("j", json!({"type": "object"})),
        ("odd \"name\", ü.x", json!({"type": "string"})),
    ]);
    let all = table("all", of);
    let rows = vec![
        upsert(
            1,
            "a",
            r#"{"t":"x\"y\r\n,ü😀\t","i":9007199254740993,"n":19.99,"b":true,"at":"9999-12-31T23:59:59.999999Z","on":"0001-01-01","j":{"k":[1.10,1e400]},"odd \"name\", ü.x":""}"#,
        ),
        upsert(
            2,
            "b\u{0}",
            r#"{"t":"\u0000","i":9223372036854775808,"n":9007199254740993,"b":"no","at":"9999-13-01T00:00:00Z","on":"x","j":null,"more":1}"#,
        ),
        upsert(
            3,
            "c",
            r#"{"i":-9223372036854775808,"n":-1e300,"b":false,"at":"1969-12-31T23:59:59.999999Z","on":"9999-12-31","j":[]}"#,
        ),
        delete(4, "d"),
    ];
    let batch = batch(&all, 0, 4, rows);

    let root = TempDir::new().unwrap();
    let parquet = open(root.path(), json!({"kind": "directory", "format": "parquet"}));
    parquet.load(&batch).await.unwrap();
    let read = judge.ask(&json!({"parquet": only_file(root.path())}));
    assert_eq!(
        read["types"],
        json!({
            "_sluice_id": "VARCHAR", "_sluice_seq": "BIGINT", "_sluice_op": "VARCHAR",
            "_sluice_at": "TIMESTAMP WITH TIME ZONE", "_sluice_rest": "JSON", "at": "TIMESTAMP WITH TIME ZONE", "b": "BOOLEAN",
            "i": "BIGINT", "j": "JSON", "n": "DOUBLE", "odd \"name\", ü.x": "VARCHAR", "on": "DATE", "t": "VARCHAR",
        }),
        "{read}"
    );
    let row = |at: usize| read["rows"][at].clone();
    assert_eq!(
        row(0),
        json!({
            "_sluice_id": "a", "_sluice_seq": "1", "_sluice_op": "upsert", "_sluice_at": "1700000000124000",
            "_sluice_rest": null, "at": "253402300799999999", "b": "true", "i": "9007199254740993",
            "j": r#"{"k":[1.10,1e400]}"#, "n": "19.99", "odd \"name\", ü.x": "", "on": "0001-01-01",
            "t": "x\"y\r\n,ü😀\t",
        })
    );
    let rest: Value = serde_json::from_str(row(1)["_sluice_rest"].as_str().unwrap()).unwrap();
    assert_eq!(
        rest.as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        ["_sluice_id", "at", "b", "i", "more", "n", "on", "t"]
    );
    assert_eq!(rest["t"], json!({"_sluice_text": "\"\\u0000\""}));
    for column in ["t", "i", "n", "b", "at", "on", "j"] {
        assert_eq!(row(1)[column], Value::Null, "{column}");
        assert_eq!(row(3)[column], Value::Null, "{column}");
    }
    let third = row(2);
    assert_eq!(
        [
            &third["i"],
            &third["n"],
            &third["b"],
            &third["at"],
            &third["on"],
            &third["j"]
        ],
        [
            "-9223372036854775808",
            "-1e+300",
            "false",
            "-1",
            "9999-12-31",
            "[]"
        ]
    );
    assert_eq!(row(3)["_sluice_op"], "delete");

    let root = TempDir::new().unwrap();
    let csv = open(root.path(), json!({"kind": "directory", "format": "csv"}));
    csv.load(&batch).await.unwrap();
    let read = judge.ask(&json!({"csv": only_file(root.path())}));
    assert_eq!(
        read["rows"][1],
        json!([
            "a",
            "1",
            "upsert",
            "2023-11-14T22:13:20.124Z",
            "",
            "9999-12-31T23:59:59.999999Z",
            "true",
            "9007199254740993",
            r#"{"k":[1.10,1e400]}"#,
            "19.99",
            "",
            "0001-01-01",
            "x\"y\r\n,ü😀\t",
        ]),
        "{read}"
    );
    assert_eq!(read["rows"].as_array().unwrap().len(), 5);
}

const S3: &str = "s3.us-east-1.amazonaws.com";

/// A key that signs for S3.
struct Keys(Arc<Credential>);

impl Vault for Keys {
    fn credential<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(std::future::ready(Ok(Some(Arc::clone(&self.0)))))
    }
}

fn caller(user: &Value) -> Caller {
    let host = || HostPattern::parse(S3).unwrap();
    let apply = Apply::SigV4 {
        service: "s3".into(),
        region: Template::text("us-east-1"),
    };
    let origin = Origin {
        scheme: Scheme::Https,
        host: host(),
        port: 443,
    };
    let mut credential = Credential::new("aws", Secret::new(Vec::new()), apply, vec![origin]);
    let part = |name: &str| {
        let value = user[name].as_str().unwrap().as_bytes().to_vec();
        (name.to_owned(), Secret::new(value))
    };
    credential.parts = vec![part("access_key_id"), part("secret_access_key")];
    let grant = Grant {
        egress: vec![EgressRule {
            scheme: Scheme::Https,
            host: host(),
            port: 443,
            methods: MethodSet::ALL,
            path: PathPattern::parse("/**").unwrap(),
            optional: false,
            reason: None,
        }],
        ..Grant::default()
    };
    Caller {
        org: OrgId::from_bytes([1; 16]),
        connection: None,
        connector: "destination".into(),
        rights: Arc::new(Rights::new(&grant, &Ceiling::default(), &grant)),
        vault: Arc::new(Keys(Arc::new(credential))),
        trace: Trace::default(),
        budget: Budget::new(&Limits::default()),
        rates: Vec::new(),
        app: None,
    }
}

#[tokio::test]
async fn a_bucket_has_the_files_and_says_why_not() {
    let mut aws = Process::start("moto/main.py");
    let ready = aws.line();
    let port = u16::try_from(ready["port"].as_u64().unwrap()).unwrap();
    let config = Config {
        open: vec![Open {
            net: "127.0.0.1/32".parse().unwrap(),
            port: Some(port),
        }],
        connect: vec![ConnectTo {
            host: S3.into(),
            port: 443,
            address: ([127, 0, 0, 1], port).into(),
        }],
        extra_ca_pem: vec![ready["ca_pem"].as_str().unwrap().into()],
        ..Config::default()
    };
    let broker = Broker::new(config, Arc::new(NoNames), Arc::new(SystemClock)).unwrap();
    let open = |user: &str, bucket: &str| {
        let settings = json!({"kind": "s3", "region": "us-east-1", "bucket": bucket, "prefix": "lake/ü +", "format": "ndjson"});
        let access = Access {
            broker: broker.clone(),
            org: OrgId::from_bytes([1; 16]),
            password: None,
            root: None,
            caller: Some(caller(&ready[user])),
        };
        Destination::open(DestinationSettings::read(&settings).unwrap(), access).unwrap()
    };
    let bucket = open("user", "sluice-test");
    bucket.check().await.unwrap();
    let things = table("things/of~mine", json!(true));
    let of = |rows| batch(&things, 5, 9, rows);
    bucket.load(&of(vec![upsert(6, "old", "{}")])).await.unwrap();
    let batch = of(vec![upsert(6, "a", r#"{"n":1.10}"#), delete(9, "b")]);
    let loaded = bucket.load(&batch).await.unwrap();

    let get = |path: String| {
        let (broker, caller) = (broker.clone(), caller(&ready["user"]));
        async move {
            let url = format!("https://{S3}/sluice-test/{path}");
            let response = broker.send(&caller, Request::new("GET", url)).await.unwrap();
            String::from_utf8(response.collect().await.unwrap().to_vec()).unwrap()
        }
    };
    let listed = get("?list-type=2&encoding-type=url".into()).await;
    assert_eq!(listed.matches("<Key>").count(), 1, "{listed}");
    let name = format!("{}-{:020}.ndjson", things.connection, 5);
    let got = get(format!("lake/%C3%BC%20%2B/things~2Fof~7Emine/{name}")).await;
    assert_eq!(got.len() as u64, loaded.bytes, "{got}\n{listed}");
    assert!(
        got.lines().count() == 2 && got.contains(r#""record":{"n":1.10}"#),
        "{got}"
    );

    let code = async |user: &str, bucket: &str| open(user, bucket).load(&batch).await.unwrap_err().code();
    assert_eq!(code("user", "no-such-bucket").await, "destination.missing");
    assert_eq!(code("reader", "sluice-test").await, "destination.denied");
    let stranger = open("stranger", "sluice-test").check().await.unwrap_err();
    assert_eq!(stranger.code(), "destination.denied");
}
