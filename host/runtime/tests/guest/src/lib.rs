//! A connector whose configuration is the JSON text of one word (and perhaps an argument after a space): what to do.

mod bindings {
    wit_bindgen::generate!({ path: "../../../../wit/0.1", world: "connector", generate_all });
}

use std::time::{Duration, Instant};

use bindings::exports::sluice::connector::{actions, auth, sync, webhook};
use bindings::sluice::connector::types::{Connection, Detail, Error, Throttle};
use bindings::sluice::connector::{http, log, metrics, secrets, storage};

struct Guest;

bindings::export!(Guest with_types_in bindings);

fn internal(message: impl Into<String>) -> Error {
    Error::Internal(Detail {
        message: message.into(),
        pointer: None,
    })
}

fn unsupported() -> Error {
    Error::Unsupported(Detail {
        message: "not offered".into(),
        pointer: None,
    })
}

fn request(method: &str, url: &str) -> http::Request {
    http::Request {
        method: method.into(),
        url: url.into(),
        headers: Vec::new(),
        body: None,
        credential: Some(String::new()),
        idempotency_key: None,
        captures: Vec::new(),
        timeout_ms: None,
    }
}

#[inline(never)]
fn deep_inside(depth: u32) -> u32 {
    if depth == 0 {
        panic!("boom of the guest");
    }
    std::hint::black_box(deep_inside(depth - 1) + 1)
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if std::hint::black_box(depth) == u64::MAX {
        0
    } else {
        recurse(depth + 1) + frame[63]
    }
}

fn env() -> String {
    let stream = std::net::TcpStream::connect("127.0.0.1:9")
        .map(|_| ())
        .map_err(|error| error.kind());
    let names = std::net::ToSocketAddrs::to_socket_addrs("localhost:80")
        .map(|_| ())
        .is_err();
    let mut stdin = String::new();
    let read = std::io::Read::read_to_string(&mut std::io::stdin(), &mut stdin).unwrap_or(99);
    format!(
        "vars={} args={} file={} write={} tcp={} names={} udp={} stdin={}",
        std::env::vars().count(),
        std::env::args().count(),
        std::fs::read("/etc/passwd").is_err(),
        std::fs::write("x", "y").is_err(),
        stream.is_err(),
        names,
        std::net::UdpSocket::bind("0.0.0.0:0").is_err(),
        read,
    )
}

/// The smallest step that the clock was seen to take, in nanoseconds.
fn clock() -> String {
    let start = Instant::now();
    let mut last = start;
    let mut smallest = Duration::MAX;
    while start.elapsed() < Duration::from_millis(20) {
        let now = Instant::now();
        if now != last {
            smallest = smallest.min(now - last);
            last = now;
        }
    }
    let wall = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    format!("{} {}", smallest.as_nanos(), wall.subsec_nanos() % 1_000_000)
}

fn secret_tour() -> Result<String, Error> {
    if secrets::open("somebody-elses").is_some() || secrets::open("").is_some() {
        return Err(internal("opened what is not ours"));
    }
    let secret = secrets::open("token").ok_or_else(|| internal("no token"))?;
    let tag = secret.hmac(secrets::Algorithm::HmacSha256, b"message", secrets::Encoding::Hex);
    let jwt = secret.sign_jwt(r#"{"alg":"HS256"}"#, "{}").map_err(internal)?;
    let refused = secret
        .sign_jwt(r#"{"alg":"none"}"#, "{}")
        .err()
        .unwrap_or_default();
    let verified = secret.verify_hmac(secrets::Algorithm::HmacSha256, b"message", b"wrong");
    let texts = [secret.placeholder(), tag.placeholder(), jwt.placeholder()];
    Ok(format!("{} {verified} {refused}", texts.join(" ")))
}

fn storage_tour() -> Result<String, Error> {
    let before = storage::get("old").map(|entry| (entry.value, entry.version));
    storage::set("new", b"1", Some(0)).map_err(|error| internal(format!("{error:?}")))?;
    let own = storage::get("new").map(|entry| (entry.value, entry.version));
    let conflict = storage::set("old", b"2", Some(7)).is_err();
    storage::delete("old").map_err(|error| internal(format!("{error:?}")))?;
    let quota = format!("{:?}", storage::set("big", &vec![0; 5000], None));
    Ok(format!(
        "{before:?} {own:?} {conflict} {:?} {quota}",
        storage::list_keys("", None, 10)
    ))
}

fn fetch(url: &str) -> String {
    match http::send(&request("GET", url)) {
        Ok(response) => format!("{} {}", response.status, String::from_utf8_lossy(&response.body)),
        Err(error) => format!("{error:?}"),
    }
}

fn fetch_all(base: &str) -> String {
    let requests: Vec<_> = (0..5)
        .map(|number| request("GET", &format!("{base}{number}")))
        .collect();
    let answers = http::send_all(&requests).into_iter().map(|answer| match answer {
        Ok(response) => String::from_utf8_lossy(&response.body).into_owned(),
        Err(error) => format!("{error:?}"),
    });
    answers.collect::<Vec<_>>().join(",")
}

fn fetch_pieces(url: &str) -> String {
    let incoming = match http::open(&request("GET", url)) {
        Ok(incoming) => incoming,
        Err(error) => return format!("{error:?}"),
    };
    let mut body = Vec::new();
    while let Ok(Some(piece)) = incoming.read(3) {
        assert!((1..=3).contains(&piece.len()));
        body.extend(piece);
    }
    format!("{} {}", incoming.status(), String::from_utf8_lossy(&body))
}

impl auth::Guest for Guest {
    fn check(connection: Connection) -> Result<auth::Account, Error> {
        let config = connection.config.trim_matches('"').to_owned();
        let (word, argument) = config.split_once(' ').unwrap_or((&config, ""));
        let name = match word {
            "hello" => "hello".to_owned(),
            "loop" => loop {
                std::hint::black_box(());
            },
            "grow" => {
                let mut all: Vec<Vec<u8>> = Vec::new();
                loop {
                    all.push(vec![1; 1 << 20]);
                    std::hint::black_box(&all);
                }
            }
            "panic" => deep_inside(3).to_string(),
            "recurse" => recurse(0).to_string(),
            "exit" => std::process::exit(7),
            "log" => {
                log::write(
                    log::Level::Warn,
                    "one\u{1b}[31m red\u{1b}[0m\ntwo",
                    Some(r#"{"a":1}"#),
                );
                println!("to stdout");
                eprintln!("to stderr\rforged");
                print!("without end");
                // Nobody flushes for a component: it does not exit.
                std::io::Write::flush(&mut std::io::stdout()).unwrap();
                metrics::count("pages", 2);
                metrics::count("pages", 3);
                metrics::gauge("BAD", 1.0);
                "logged".to_owned()
            }
            "flood" => {
                for _ in 0..5_000 {
                    log::write(log::Level::Info, "the same line over and over again", None);
                }
                "flooded".to_owned()
            }
            "flood-stdout" => {
                for _ in 0..200 {
                    print!("{}", "x".repeat(60_000));
                }
                for _ in 0..5_000 {
                    println!("line");
                }
                "flooded".to_owned()
            }
            "env" => env(),
            "clock" => clock(),
            "sleep" => {
                std::thread::sleep(Duration::from_secs(3600));
                "slept".to_owned()
            }
            "calls" => loop {
                storage::get("x");
            },
            "wasi-calls" => loop {
                std::hint::black_box(Instant::now());
            },
            "fault" => {
                return Err(Error::Config(Detail {
                    message: "no \u{1b}[1mowner".into(),
                    pointer: Some("/owner".into()),
                }));
            }
            "throttled" => {
                return Err(Error::RateLimited(Throttle {
                    message: "wait".into(),
                    retry_after_ms: Some(u64::MAX),
                }));
            }
            "handles" => {
                let mut all = Vec::new();
                for _ in 0..100_000 {
                    all.push(secrets::open("token"));
                }
                all.len().to_string()
            }
            "secrets" => secret_tour()?,
            "storage" => storage_tour()?,
            "storage-then-fail" => {
                storage::set("new", b"1", None).map_err(|error| internal(format!("{error:?}")))?;
                println!("wrote");
                match argument {
                    "trap" => deep_inside(1).to_string(),
                    _ => return Err(internal("failed")),
                }
            }
            "fetch" => fetch(argument),
            "fetch-all" => fetch_all(argument),
            "fetch-pieces" => fetch_pieces(argument),
            _ => return Err(unsupported()),
        };
        Ok(auth::Account {
            id: connection.id,
            name,
            scopes: connection.account.into_iter().collect(),
        })
    }

    fn begin(_: Connection, callback_url: String) -> Result<auth::Redirect, Error> {
        Ok(auth::Redirect {
            url: callback_url,
            state: "{}".into(),
        })
    }

    fn complete(_: Connection, state: String, query: Vec<(String, String)>) -> Result<(), Error> {
        if state == "{}" && query == [("code".to_owned(), "1".to_owned())] {
            Ok(())
        } else {
            Err(unsupported())
        }
    }

    fn refresh(_: Connection) -> Result<(), Error> {
        Ok(())
    }

    fn revoke(_: Connection) -> Result<(), Error> {
        Err(unsupported())
    }
}

impl sync::Guest for Guest {
    fn discover(_: Connection) -> Result<Vec<sync::StreamInfo>, Error> {
        Ok(vec![sync::StreamInfo {
            name: "things".into(),
            schema: "{}".into(),
            primary_key: vec!["id".into()],
            cursor_version: 2,
        }])
    }

    fn partitions(_: Connection, stream_name: String) -> Result<Vec<String>, Error> {
        Ok(vec![stream_name, "two".into()])
    }

    fn read(connection: Connection, request: sync::ReadRequest) -> Result<sync::Page, Error> {
        let (id, many, cursor) = match connection.config.trim_matches('"') {
            "empty-id" => (String::new(), 1, 1),
            "long-id" => ("x".repeat(513), 1, 1),
            "many" => ("x".to_owned(), 10_001, 1),
            "big-cursor" => ("x".to_owned(), 1, 65_537),
            "huge" => ("x".repeat(512), 10_000, 1),
            _ => ("x".to_owned(), 1, 1),
        };
        let data = if connection.config == "\"huge\"" {
            "0".repeat(2_000)
        } else {
            format!("{request:?}")
        };
        let item = sync::Item {
            id,
            data,
            modified: request.window.map(|window| window.start),
        };
        let mut changes = vec![sync::Change::Upsert(item); many];
        if many == 1 {
            changes.push(sync::Change::Delete("gone".into()));
        }
        Ok(sync::Page {
            changes,
            cursor: Some("1".repeat(cursor)),
            more: true,
            total_hint: Some(2),
        })
    }

    fn write(
        _: Connection,
        stream_name: String,
        writes: Vec<sync::PendingWrite>,
    ) -> Result<Vec<sync::WriteOutcome>, Error> {
        if stream_name == "short" {
            return Ok(Vec::new());
        }
        let outcome = |write: sync::PendingWrite| match write.op {
            sync::WriteOp::Create(data) => sync::WriteOutcome::Done(sync::Item {
                id: write.idempotency_key,
                data,
                modified: Some(5),
            }),
            sync::WriteOp::Update(item) => sync::WriteOutcome::Conflict(Some(item)),
            sync::WriteOp::Delete(_) => sync::WriteOutcome::Failed(unsupported()),
        };
        Ok(writes.into_iter().map(outcome).collect())
    }

    fn migrate_cursor(_: String, from_version: u32, cursor: String) -> Result<Option<String>, Error> {
        Ok((from_version == 1).then(|| format!("[{cursor}]")))
    }
}

impl webhook::Guest for Guest {
    fn register(
        _: Connection,
        webhook: String,
        url: String,
        events: Vec<String>,
    ) -> Result<webhook::Registration, Error> {
        Ok(webhook::Registration {
            id: url,
            expires: Some(9),
            state: format!("{webhook}:{}", events.join(",")),
        })
    }

    fn renew(_: Connection, registration: webhook::Registration) -> Result<webhook::Registration, Error> {
        Ok(registration)
    }

    fn unregister(_: Connection, _: webhook::Registration) -> Result<(), Error> {
        Ok(())
    }

    fn route(receipt: webhook::Receipt) -> Result<Vec<String>, Error> {
        Ok(vec![format!("{}:{}", receipt.webhook, receipt.id)])
    }

    fn handle(connection: Connection, receipt: webhook::Receipt) -> Result<webhook::Handled, Error> {
        storage::set("last", &receipt.body, None).map_err(|error| internal(format!("{error:?}")))?;
        let status = if connection.config == "\"bad-reply\"" {
            99
        } else {
            200
        };
        Ok(webhook::Handled {
            events: vec![webhook::Event {
                kind: "thing.made".into(),
                id: receipt.id,
                occurred: Some(receipt.received),
                data: format!("{:?}", receipt.headers),
            }],
            changes: vec![("things".into(), sync::Change::Delete("x".into()))],
            resync: vec!["others".into()],
            reply: Some(webhook::Reply {
                status,
                content_type: "text/plain".into(),
                body: receipt.body,
            }),
        })
    }
}

impl actions::Guest for Guest {
    fn list(_: Connection) -> Result<Vec<actions::ActionInfo>, Error> {
        Ok(vec![actions::ActionInfo {
            name: "echo".into(),
            title: "Echo".into(),
            input: "{}".into(),
            output: "{}".into(),
        }])
    }

    fn run(_: Connection, name: String, input: String, idempotency_key: String) -> Result<String, Error> {
        Ok(format!("[\"{name}\",{input},\"{idempotency_key}\"]"))
    }
}
