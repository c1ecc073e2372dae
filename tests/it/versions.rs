//! Other versions and other grants of a connector: what asks for more waits, what does not may come by itself, what is withdrawn is
//! gone for calls under way, and whoever went over comes back with his cursors.

mod back;

use std::fs;

use serde_json::{Value, json};

use crate::github;
use crate::ledger::Ledger;
use crate::links::open;
use crate::package;
use crate::server::{self, Api, Server, wait_for};

/// The rule of the ledger's manifest, in two.
const READ: &str = "GET http://ledger.example:443/**";
const WRITE: &str = "POST, PATCH, DELETE http://ledger.example:443/**";

/// A server, the vendor that it reaches, and a directory for packages.
struct World {
    ledger: Ledger,
    server: Server,
    dir: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        let ledger = Ledger::start();
        Self {
            server: Server::start(&ledger.setup()),
            dir: tempfile::tempdir().unwrap(),
            ledger,
        }
    }

    /// The same with another key, whose holder may not approve.
    fn member(&self) -> Api {
        let made = self
            .server
            .api()
            .post("/api/v1/keys", &json!({"name": "member", "approves": false}));
        Api {
            key: made["key"].as_str().unwrap().to_owned(),
            ..self.server.api()
        }
    }

    fn run(&self, words: &[&str]) -> Value {
        let mut command = self.server.command();
        let words = [&["--json", "connector"], words].concat();
        let done = server::finish(command.current_dir(self.dir.path()).args(words));
        assert_eq!(done.code, Some(0), "{done:?}");
        serde_json::from_str(&done.out).unwrap()
    }

    /// The ledger's connector in this version with changes of its manifest, signed by the same key each time.
    fn signed(&self, version: &str, changes: &[(&str, &str)]) -> Vec<u8> {
        let at = |name: &str| self.dir.path().join(name);
        if !at("key").exists() {
            self.run(&["keygen", "--out", "key"]);
        }
        let bare = version_of(version, changes);
        fs::write(at("connector.toml"), package::manifest(&bare)).unwrap();
        fs::write(at("bare.wasm"), bare).unwrap();
        let file = format!("{version}.wasm");
        self.run(&["pack", "bare.wasm", "-o", &file]);
        self.run(&["sign", &file, "--publisher", "acme", "--key", "key"]);
        fs::read(at(&file)).unwrap()
    }
}

/// The ledger's connector in this version, reading and writing under rules of their own.
fn version_of(version: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    let file = fs::read(package::file("ledger", "fixtures/connectors/ledger")).unwrap();
    let mut manifest = package::manifest(&file);
    let version = format!("version = {version:?}");
    let both =
        "methods = [\"GET\", \"POST\", \"PATCH\", \"DELETE\"]\npaths = [\"/**\"]\nreason = \"the books\"";
    let apart = "methods = [\"GET\"]\npaths = [\"/**\"]\n\n[[capabilities.egress]]\nscheme = \"http\"\nhost = \"ledger.example\"\n\
                 port = 443\nmethods = [\"POST\", \"PATCH\", \"DELETE\"]\npaths = [\"/**\"]\nreason = \"writes entries\"";
    let own = [("version = \"0.1.0\"", version.as_str()), (both, apart)];
    for (from, to) in own.iter().chain(changes) {
        assert!(manifest.contains(from), "{from}");
        manifest = manifest.replacen(from, to, 1);
    }
    package::with_manifest(&file, &manifest)
}

/// More than the version before has.
const WIDER: (&str, &str) = (
    "methods = [\"POST\", \"PATCH\", \"DELETE\"]",
    "methods = [\"POST\", \"PATCH\", \"DELETE\", \"PUT\"]",
);

/// Another format of the entries' cursor.
const SECOND_FORMAT: (&str, &str) = (
    "modes = [\"incremental\", \"full\"]\nwrite = [\"create\", \"update\", \"delete\"]",
    "cursor_version = 2\nmodes = [\"incremental\", \"full\"]\nwrite = [\"create\", \"update\", \"delete\"]",
);

fn writes(connection: &str, names: &[&str]) -> (String, Value) {
    let entry = |name: &&str| json!({"op": "create", "data": {"name": name}, "idempotency_key": format!("key-{name}")});
    (
        format!("/api/v1/connections/{connection}/streams/entries/writes"),
        json!({"writes": names.iter().map(entry).collect::<Vec<_>>()}),
    )
}

fn version(api: &Api, connection: &str) -> String {
    let install = api.get(&format!("/api/v1/connections/{connection}"))["install"].clone();
    let found = api.get(&format!("/api/v1/installs/{}", install.as_str().unwrap()));
    found["install"]["version"].as_str().unwrap().to_owned()
}

fn events(api: &Api, prefix: &str) -> Vec<String> {
    let found = api.feed(&format!("/api/v1/events?kind={prefix}"));
    let kind = |event: &Value| event["kind"].as_str().unwrap_or_default().to_owned();
    found.iter().map(kind).collect()
}

#[test]
fn a_right_that_is_withdrawn_is_gone_for_the_call_that_is_under_way() {
    let world = World::start();
    let api = world.server.api();
    let install = github::install(&api, &version_of("0.1.0", &[]));
    let connection = open(&api, "left");
    // Two writes are one call of the connector's code; the vendor keeps the answer of the first.
    world.ledger.hold(true);
    let (place, body) = writes(&connection, &["one", "two"]);
    let answer = std::thread::scope(|scope| {
        let of = &api;
        let under_way = scope.spawn(move || of.post(&place, &body));
        wait_for("the first write", || (world.ledger.waiting() == 1).then_some(()));
        let grant = format!("/api/v1/installs/{}/grant", install["id"].as_str().unwrap());
        let wrong = api.send(
            "PUT",
            &grant,
            "application/json",
            br#"{"withdraw":["GET http://no/"]}"#,
        );
        assert_eq!((wrong.status, wrong.code().as_str()), (404, "install.no_right"));
        let looked = api.put(&grant, &json!({"withdraw": [WRITE], "dry_run": true}));
        assert_eq!(looked["done"], false, "{looked}");
        let changed = api.put(&grant, &json!({"withdraw": [WRITE]}));
        assert_eq!(changed["diff"]["narrower"], json!([format!("no longer {WRITE}")]));
        assert_eq!(
            (&changed["done"], &changed["moved"]),
            (&json!(true), &json!([connection]))
        );
        world.ledger.hold(false);
        under_way.join().unwrap()
    });
    assert_eq!(
        world.ledger.writes(),
        1,
        "the second write did not leave: {answer}"
    );
    let outcome = |place: usize| answer["items"][place]["outcome"].clone();
    assert_eq!(outcome(0), "done", "{answer}");
    assert_eq!(outcome(1), "failed", "{answer}");
    // Calls that begin later have the other grant, and a later version does not bring it back unseen.
    let run = github::sync(&api, &connection, "entries", "incremental");
    assert_eq!(run["state"], "succeeded", "{run}");
    let (place, body) = writes(&connection, &["three"]);
    api.try_post(&place, &body);
    assert_eq!(world.ledger.writes(), 1);
    let later = api.post_bytes("/api/v1/connectors/inspect", &version_of("0.2.0", &[]));
    let later = later.json();
    assert_eq!(later["diff"]["new"], json!([]), "{later}");
    assert!(
        !later["permissions"]["text"].as_str().unwrap().contains("DELETE"),
        "{later}"
    );
    // It is given back by whoever may, and by nobody else.
    let now = api.get(&format!("/api/v1/connections/{connection}"))["install"].clone();
    let grant = format!("/api/v1/installs/{}/grant", now.as_str().unwrap());
    let body = json!({"allow": [WRITE]});
    let refused = world
        .member()
        .send("PUT", &grant, "application/json", body.to_string().as_bytes());
    assert_eq!((refused.status, refused.code().as_str()), (403, "auth.approval"));
    let gone = api.send(
        "GET",
        &format!("/api/v1/installs/{}", install["id"].as_str().unwrap()),
        "",
        b"",
    );
    assert_eq!(gone.status, 404, "nobody comes by what had it");
    assert_eq!(api.put(&grant, &body)["diff"]["new"], json!([WRITE]));
    let (place, body) = writes(&connection, &["four"]);
    assert_eq!(api.post(&place, &body)["items"][0]["outcome"], "done");
}

#[test]
fn what_asks_for_more_waits_and_what_does_not_comes_by_itself() {
    let world = World::start();
    let (api, member) = (world.server.api(), world.member());
    let first = github::install(&api, &world.signed("0.1.0", &[]));
    let connection = open(&api, "left");
    let place = "/api/v1/connectors/ledger/channels/stable";
    api.put(place, &json!({"install": first["id"]}));
    let followed = api.put(
        &format!("/api/v1/connections/{connection}/channel"),
        &json!({"channel": "stable"}),
    );
    assert_eq!(followed["channel"], "stable", "{followed}");

    // Who may not approve may not install; he asks.
    let narrow = world.signed(
        "0.2.0",
        &[(
            "methods = [\"POST\", \"PATCH\", \"DELETE\"]",
            "methods = [\"POST\"]",
        )],
    );
    let digest = api.post_bytes("/api/v1/connectors/inspect", &narrow).json()["digest"].clone();
    let path = format!("/api/v1/installs?accept={}", digest.as_str().unwrap());
    let refused = member.post_bytes(&path, &narrow);
    assert_eq!((refused.status, refused.code().as_str()), (403, "auth.approval"));
    let offer = "/api/v1/approvals?channel=stable&reason=less";
    let asked = member.post_bytes(offer, &narrow).json();
    assert_eq!(asked["outcome"], "waits", "without a policy, all wait: {asked}");
    let of = |answer: &Value| format!("/api/v1/approvals/{}", answer["approval"]["id"].as_str().unwrap());
    let consent = json!({ "accept": digest });
    let refused = member.try_post(&format!("{}/approve", of(&asked)), &consent);
    assert_eq!((refused.status, refused.code().as_str()), (403, "auth.approval"));
    let declined = api.post(&format!("{}/decline", of(&asked)), &json!({"reason": "not now"}));
    assert_eq!(
        (&declined["state"], &declined["decision"]["reason"]),
        (&json!("declined"), &json!("not now"))
    );
    let again = api.try_post(&format!("{}/approve", of(&asked)), &consent);
    assert_eq!((again.status, again.code().as_str()), (409, "approval.ended"));
    assert_eq!(version(&api, &connection), "0.1.0");

    // The organization lets what does not ask for more come by itself.
    let policy = api.get("/api/v1/upgrades");
    let wanted = json!({"revision": policy["revision"], "auto": "narrower", "approval_days": 7});
    api.put("/api/v1/upgrades", &wanted);
    let came = member.post_bytes(offer, &narrow).json();
    assert_eq!(
        (&came["outcome"], &came["moved"]),
        (&json!("installed"), &json!([connection])),
        "{came}"
    );
    assert_eq!(version(&api, &connection), "0.2.0");

    // What asks for more waits, and the version of before serves.
    let wide = world.signed("0.3.0", &[WIDER]);
    let asked = member.post_bytes(offer, &wide).json();
    assert_eq!(asked["outcome"], "waits", "{asked}");
    assert_eq!(
        asked["approval"]["diff"]["wider"],
        json!(["POST, PUT, PATCH, DELETE http://ledger.example:443/**"]),
        "{asked}"
    );
    assert_eq!(version(&api, &connection), "0.2.0");
    world.ledger.edit("left", "", &json!({"name": "n0"}));
    let run = github::sync(&api, &connection, "entries", "incremental");
    assert_eq!(run["counts"]["added"], 1, "{run}");
    // A restart forgets nothing of what waits.
    let mut world = world;
    world.server.restart();
    let api = world.server.api();
    let shown = api.get(&of(&asked));
    assert!(
        shown["permissions"]["text"].as_str().unwrap().contains("PUT"),
        "{shown}"
    );
    let wrong = api.try_post(&format!("{}/approve", of(&asked)), &consent);
    assert_eq!(wrong.code(), "package.approval_needed");
    let consent = json!({ "accept": shown["approval"]["digest"] });
    let done = api.post(&format!("{}/approve", of(&asked)), &consent);
    assert_eq!(done["moved"], json!([connection]), "{done}");
    assert_eq!(version(&api, &connection), "0.3.0");

    // Nobody vouches for a file without a signature, however little it asks for.
    let unsigned = api.post_bytes("/api/v1/approvals", &version_of("0.4.0", &[]));
    assert_ne!(unsigned.json()["outcome"], "installed", "{}", unsigned.text());
    let told = events(&api, "sluice.approval.");
    for kind in ["asked", "declined", "approved"] {
        assert!(
            told.contains(&format!("sluice.approval.{kind}")),
            "{kind}: {told:?}"
        );
    }
    let listed = world.server.cli(&["connector", "approval", "list"]);
    assert!(
        listed.out.contains("declined") && listed.out.contains("stable"),
        "{listed:?}"
    );
}

#[test]
fn the_cursors_of_partitions_are_tried_too() {
    let world = World::start();
    let api = world.server.api();
    github::install(&api, &version_of("0.1.0", &[]));
    let connection = open(&api, "left");
    let schema = json!({"type": "object"});
    world
        .ledger
        .shelve(&[("maps", schema.clone()), ("novels", schema)]);
    for shelf in ["maps", "novels"] {
        world
            .ledger
            .edit(&format!("left/{shelf}"), "", &json!({"name": shelf}));
    }
    let run = github::sync(&api, &connection, "shelved", "incremental");
    assert_eq!(run["state"], "succeeded", "{run}");
    let second = ("partitioned = true", "partitioned = true\ncursor_version = 2");
    let second = github::install(&api, &version_of("0.2.0", &[second]));
    let body = json!({"install": second["id"], "dry_run": true});
    let told = api.post(&format!("/api/v1/connections/{connection}/upgrade"), &body);
    let tried = |partition: &str| json!({"stream": "shelved", "partition": partition, "carried": true});
    assert_eq!(told["cursors"], json!([tried("maps"), tried("novels")]), "{told}");
}

#[test]
fn what_was_never_used_is_advised_and_taken_away() {
    let world = World::start();
    let api = world.server.api();
    let install = github::install(&api, &version_of("0.1.0", &[]));
    let connection = open(&api, "left");
    github::sync(&api, &connection, "entries", "incremental");
    let place = format!("/api/v1/installs/{}", install["id"].as_str().unwrap());
    let advice = api.get(&format!("{place}/advice?days=7"));
    assert_eq!(
        (&advice["unused"], &advice["used"], &advice["days_with_calls"]),
        (&json!([WRITE]), &json!([READ]), &json!(1)),
        "{advice}"
    );
    let shown = world
        .server
        .cli(&["connector", "permissions", "advice", "ledger"]);
    assert!(shown.out.contains("never used"), "{shown:?}");
    let changed = world.server.cli(&[
        "--json",
        "connector",
        "permissions",
        "change",
        "ledger",
        "--unused-days",
        "7",
    ]);
    let changed: Value = serde_json::from_str(&changed.out).unwrap();
    assert_eq!(
        (&changed["done"], &changed["moved"]),
        (&json!(true), &json!([connection])),
        "{changed}"
    );
    let (place, body) = writes(&connection, &["one"]);
    api.try_post(&place, &body);
    assert_eq!(world.ledger.writes(), 0);
    // What was used is remembered across grants, and across a restart.
    let mut world = world;
    world.server.restart();
    let id = changed["install"]["id"].as_str().unwrap();
    let advice = world.server.api().get(&format!("/api/v1/installs/{id}/advice"));
    assert_eq!(
        (&advice["unused"], &advice["used"]),
        (&json!([]), &json!([READ])),
        "{advice}"
    );
}

#[test]
fn a_hook_is_not_left_behind() {
    let stand_in = github::StandIn::with_issues(1);
    let server = Server::start(&stand_in.setup());
    let api = server.api();
    let connection = github::ready(&server);
    github::Hook::create(&api, &connection);
    let manifest = package::manifest(package::github());
    let webhook = manifest.find("[[webhooks]]").unwrap();
    let name = manifest[webhook..]
        .lines()
        .find(|line| line.starts_with("name = "))
        .unwrap();
    let other = manifest
        .replacen("version = \"0.1.0\"", "version = \"0.2.0\"", 1)
        .replacen(
            &manifest[webhook..],
            &manifest[webhook..].replacen(name, "name = \"elsewhere\"", 1),
            1,
        );
    github::install(&api, &package::with_manifest(package::github(), &other));
    let place = format!("/api/v1/connections/{connection}/upgrade");
    for dry_run in [true, false] {
        let refused = api.try_post(&place, &json!({ "dry_run": dry_run }));
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (409, "connection.hook_lost")
        );
    }
    assert_eq!(version(&api, &connection), "0.1.0");
}

#[test]
fn no_call_is_dropped_while_versions_change() {
    let world = World::start();
    let api = world.server.api();
    let first = github::install(&api, &version_of("0.1.0", &[]))["id"].clone();
    let connection = open(&api, "left");
    let second = github::install(&api, &version_of("0.2.0", &[]))["id"].clone();
    let done = std::sync::atomic::AtomicBool::new(false);
    let moves = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|caller| {
                let (api, connection) = (&api, &connection);
                scope.spawn(move || {
                    for n in 0..40 {
                        let (place, body) = writes(connection, &[&format!("{caller}-{n}")]);
                        let answer = api.post(&place, &body);
                        assert_eq!(answer["items"][0]["outcome"], "done", "{answer}");
                    }
                })
            })
            .collect();
        let mover = scope.spawn(|| {
            let mut moves = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) || moves < 2 {
                for install in [&second, &first] {
                    let place = format!("/api/v1/connections/{connection}/upgrade");
                    api.post(&place, &json!({ "install": install }));
                    moves += 1;
                }
            }
            moves
        });
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        mover.join().unwrap()
    });
    assert!(moves >= 2);
    assert_eq!(world.ledger.writes(), 120);
}

/// What the connection's configuration becomes in format 2: it needs a number that was not asked for before.
const FORMAT_2: &[(&str, &str)] = &[
    (
        "licence = \"Apache-2.0\"",
        "licence = \"Apache-2.0\"\nstate_version = 2\n\n[[migrations]]\nfrom = 1\nreason = \"pages have a size\"\n\
         config = [{ default = { field = \"pages\", value = 50 } }]\nstorage = [{ rename = \"etag/\", to = \"etags/\" }]",
    ),
    ("required = [\"book\"]", "required = [\"book\", \"pages\"]"),
    (
        "book = { type = \"string\", pattern = \"^[a-z]+$\" }",
        "book = { type = \"string\", pattern = \"^l[a-z]+$\" }\npages = { type = \"integer\" }",
    ),
];

#[test]
fn what_a_connection_keeps_is_migrated_after_it_was_tried() {
    let world = World::start();
    let api = world.server.api();
    let first = github::install(&api, &version_of("0.1.0", &[]));
    let (left, right) = (open(&api, "left"), open(&api, "right"));
    world.ledger.edit("left", "", &json!({"name": "n"}));
    github::sync(&api, &left, "entries", "incremental");
    let changes = [FORMAT_2, &[SECOND_FORMAT]].concat();
    let second = github::install(&api, &version_of("0.2.0", &changes));
    let of = |connection: &str| api.get(&format!("/api/v1/connections/{connection}"));
    let before = [of(&left), of(&right)];

    // Every connection is tried, and none is changed.
    let trial = format!("/api/v1/installs/{}/trial", second["id"].as_str().unwrap());
    let tried = api.get(&trial);
    let (one, other) = (&tried["items"][0], &tried["items"][1]);
    assert_eq!(
        (&one["name"], &one["outcome"]),
        (&json!("left"), &json!("changes")),
        "{tried}"
    );
    let migrated = &one["upgrade"]["migrated"];
    assert_eq!(
        migrated["config"],
        json!({"book": "left", "pages": 50}),
        "{tried}"
    );
    assert_eq!(migrated["reasons"], json!(["pages have a size"]), "{tried}");
    assert_eq!(
        one["upgrade"]["cursors"],
        json!([{"stream": "entries", "carried": true}]),
        "{tried}"
    );
    assert_eq!(
        (&other["outcome"], &other["problem"]["code"]),
        (&json!("fails"), &json!("connection.config")),
        "{tried}"
    );
    let told = world
        .server
        .cli(&["connector", "trial", second["id"].as_str().unwrap()]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.out.contains("pages have a size"), "{told:?}");
    assert_eq!([of(&left), of(&right)], before);

    // It is done in the commit that moves, or not at all.
    let upgrade = |connection: &str, to: &Value| {
        api.try_post(
            &format!("/api/v1/connections/{connection}/upgrade"),
            &json!({"install": to}),
        )
    };
    let done = upgrade(&left, &second["id"]).json();
    assert_eq!(done["done"], true, "{done}");
    assert_eq!(of(&left)["config"], json!({"book": "left", "pages": 50}));
    let run = github::sync(&api, &left, "entries", "incremental");
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(upgrade(&right, &second["id"]).code(), "connection.config");
    assert_eq!(of(&right), before[1]);

    // What an older version reads is not made of it again, and comes back with what was kept.
    let back = upgrade(&left, &first["id"]);
    assert_eq!(
        (back.status, back.code().as_str()),
        (409, "connection.state_newer")
    );
    api.post(&format!("/api/v1/connections/{left}/rollback"), &json!({}));
    assert_eq!(of(&left)["config"], json!({"book": "left"}));
    assert_eq!(version(&api, &left), "0.1.0");

    // A version that does not say how is none to go over to, and steps that cannot be done are none.
    let silent = [
        ("[[migrations]]\nfrom = 1", "[[migrations]]\nfrom = 2"),
        ("state_version = 2", "state_version = 3"),
    ];
    let silent = [FORMAT_2, &silent].concat();
    let third = github::install(&api, &version_of("0.3.0", &silent));
    assert_eq!(upgrade(&left, &third["id"]).code(), "connection.migration");
    let hashed = (
        "{ default = { field = \"pages\", value = 50 } }",
        "{ hash = [\"book\"] }",
    );
    let hashed = version_of("0.4.0", &[FORMAT_2, &[hashed]].concat());
    let refused = api.post_bytes("/api/v1/connectors/inspect", &hashed);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (422, "manifest.migration")
    );
}
