//! A connector as its author hands it on and an organization takes it: packed, signed and published with the command line, through
//! a registry, an index and a directory, and refused wherever somebody changed, replaced or held back anything on the way.

mod identities;
mod source;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::counterpart;
use crate::github::{self, StandIn};
use crate::package;
use crate::sdks;
use crate::server::{self, Api, Finished, Place, Server, Setup};
use source::{Registry, serve};

/// An author's directory, and the command line in it.
struct Author<'s> {
    server: &'s Server,
    dir: tempfile::TempDir,
}

impl<'s> Author<'s> {
    fn new(server: &'s Server) -> Self {
        let dir = tempfile::tempdir().expect("make a directory");
        Self { server, dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn try_run(&self, words: &[&str]) -> Finished {
        let mut command = self.server.command();
        server::finish(
            command
                .current_dir(self.dir.path())
                .args(["--json", "connector"])
                .args(words),
        )
    }

    fn run(&self, words: &[&str]) -> Value {
        let finished = self.try_run(words);
        assert_eq!(finished.code, Some(0), "{words:?}: {finished:?}");
        serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
    }

    fn keygen(&self, name: &str) -> String {
        let made = self.run(&["keygen", "--out", name]);
        made["key"].as_str().expect("a key").to_owned()
    }

    /// The GitHub connector in this version, packed and, with a key, signed; the file.
    fn make(&self, version: &str, change: &str, key: Option<&str>) -> String {
        let component = package::github();
        let manifest = package::manifest(component)
            .replacen("version = \"0.1.0\"", &format!("version = {version:?}"), 1)
            .replacen("description = \"", &format!("description = \"{change}"), 1);
        assert!(
            manifest.contains(version) && manifest.contains(change),
            "{manifest:.300}"
        );
        fs::write(self.path("connector.toml"), &manifest).expect("write the manifest");
        fs::write(self.path("README.md"), "# GitHub\n\nreads issues\n").expect("write the readme");
        let bare = package::with_manifest(component, &manifest);
        fs::write(self.path("bare.wasm"), bare).expect("write the component");
        let file = format!("github-{version}{change}-{}.wasm", key.unwrap_or("unsigned"));
        self.run(&["pack", "bare.wasm", "-o", &file]);
        if let Some(key) = key {
            self.run(&["sign", &file, "--publisher", "acme", "--key", key]);
        }
        file
    }
}

/// A server that may reach this loopback port.
fn reaching(address: SocketAddr) -> Setup {
    Setup {
        places: vec![Place {
            host: "unused.example".to_owned(),
            address,
            ca: String::new(),
        }],
        ..Setup::default()
    }
}

fn inspect(api: &Api, query: &str, body: &[u8]) -> (u16, String) {
    let answer = api.post_bytes(&format!("/api/v1/connectors/inspect{query}"), body);
    (answer.status, answer.code())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Installs with the command line and gives the install; the digest is what the refusal without one names.
fn install(server: &Server, words: &[&str]) -> Value {
    let words = [&["--json", "connector", "install"], words].concat();
    let asked = server.cli(&words);
    assert_eq!(
        (asked.code, asked.error_code().as_str()),
        (Some(5), "package.approval_needed")
    );
    let start = asked.err.rfind("sha256:").expect("a digest");
    let digest = &asked.err[start..start + 71];
    let done = server.cli(&[&words[..], &["--accept", digest]].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
    serde_json::from_str(&done.out).expect("JSON")
}

#[test]
fn a_registry_hands_on_what_was_signed_and_nothing_else() {
    let registry = Registry::start();
    let server = Server::start(&reaching(registry.address));
    let author = Author::new(&server);
    let key = author.keygen("key");
    let package = author.make("0.2.0", "", Some("key"));
    let place = format!("oci://{}/sluice/github", registry.address);
    let published = author.run(&["publish", &package, &place]);
    assert_eq!(published["reference"], format!("{place}:0.2.0"));
    let again = author.run(&["publish", &package, &place]);
    assert_eq!(
        again["digest"], published["digest"],
        "the same package is the same image"
    );

    // Another client reads it as a component.
    let address = registry.address.to_string();
    let fetched = author.path("fetched.wasm");
    let read = counterpart::run_python(
        "judge/registry.py",
        &["pull", &address, "sluice/github", "0.2.0", &fetched],
    );
    assert_eq!(
        fs::read(&fetched).expect("read"),
        fs::read(author.path(&package)).expect("read")
    );
    assert_eq!(
        read["manifest"]["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    assert_eq!(read["config"]["layerDigests"][0], published["package"]);
    assert!(
        !read["config"]["component"]["exports"]
            .as_array()
            .expect("exports")
            .is_empty()
    );

    // We read it, by tag and by digest, and what another client published.
    let installed = install(
        &server,
        &["github@0.2.0", "--from", &format!("oci://{address}/sluice")],
    );
    assert_eq!(installed["signer"]["publisher"], "acme");
    assert_eq!(installed["signer"]["key"], key);
    let api = server.api();
    let digest = published["digest"].as_str().expect("a digest");
    let by_digest = format!("?from=oci://{address}/sluice/github@{digest}");
    assert_eq!(inspect(&api, &by_digest, b"").0, 200);
    let next = author.make("0.3.0", "", Some("key"));
    counterpart::run_python(
        "judge/registry.py",
        &["push", &address, "other/github", "0.3.0", &author.path(&next)],
    );
    let theirs = format!("?from=oci://{address}/other/github:0.3.0");
    assert_eq!(inspect(&api, &theirs, b"").0, 200);

    // What is not there, what is not a component's, and what was changed where it is kept.
    let missing = format!("?from=oci://{address}/sluice/github:9.9.9");
    assert_eq!(inspect(&api, &missing, b""), refused(404, "package.not_found"));
    assert_eq!(
        inspect(&api, "?from=oci://nowhere", b""),
        refused(502, "package.source")
    );
    assert_eq!(
        inspect(&api, "?from=file:///etc/passwd", b""),
        refused(502, "package.source")
    );
    let blob = registry.blob(published["package"].as_str().expect("a digest"));
    let mut bytes = fs::read(&blob).expect("read the blob");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blob, &bytes).expect("change the blob");
    let (_, code) = inspect(&api, &format!("?from={place}:0.2.0"), b"");
    assert_eq!(code, "package.digest_mismatch");
    // Between looking and installing.
    let other = api.post_bytes(
        &format!("/api/v1/installs?accept=x&component=sha256:00&{}", &theirs[1..]),
        b"",
    );
    assert_eq!(other.code(), "package.digest_mismatch", "{}", other.text());
}

#[test]
fn wkg_fetches_what_is_published_and_publishes_what_is_installed() {
    let registry = Registry::start();
    let server = Server::start(&reaching(registry.address));
    let author = Author::new(&server);
    let key = author.keygen("key");
    let package = author.make("0.2.0", "", Some("key"));
    let address = registry.address.to_string();
    author.run(&["publish", &package, &format!("oci://{address}/sluice/github")]);
    let wkg = |words: &[&str]| {
        let tool = sdks::target().join("tools/bin/wkg");
        let mut command = Command::new(&tool);
        // Nobody's settings or credentials of this machine.
        command.env("HOME", author.path("")).args(words);
        let told = command.args(["--insecure", &address]).output();
        let told = told.unwrap_or_else(|error| {
            panic!("{}: {error}; `cargo xtask test` builds it", tool.display());
        });
        assert!(told.status.success(), "{words:?}: {told:?}");
    };
    let fetched = author.path("fetched.wasm");
    wkg(&[
        "oci",
        "pull",
        &format!("{address}/sluice/github:0.2.0"),
        "--output",
        &fetched,
    ]);
    assert_eq!(
        fs::read(&fetched).expect("read"),
        fs::read(author.path(&package)).expect("read")
    );
    // What it publishes is the same package, signed by the same author.
    wkg(&["oci", "push", &format!("{address}/other/github:0.2.0"), &fetched]);
    let installed = install(&server, &[&format!("oci://{address}/other/github:0.2.0")]);
    assert_eq!(installed["signer"]["key"], key);
}

#[test]
fn a_server_reaches_no_registry_that_the_operator_did_not_open() {
    let registry = Registry::start();
    let server = Server::start(&Setup::default());
    let from = format!("?from=oci://{}/sluice/github:0.2.0", registry.address);
    let (status, code) = inspect(&server.api(), &from, b"");
    assert!(code.starts_with("egress."), "{status} {code}");
}

#[test]
fn a_name_stays_whose_it_was_and_goes_only_forward() {
    let stand_in = StandIn::with_issues(3);
    let mut server = Server::start(&stand_in.setup());
    let dir;
    let key;
    {
        let author = Author::new(&server);
        key = author.keygen("key");
        author.keygen("other");
        let api = server.api();
        let try_file = |file: &str| inspect(&api, "", &fs::read(author.path(file)).expect("read"));
        let first = author.make("1.0.0", "", Some("key"));
        let unsigned = author.make("1.0.0", "", None);
        // By consent alone, as long as nobody signs the name.
        assert_eq!(try_file(&unsigned).0, 200);
        install(&server, &[&author.path(&first)]);
        assert_eq!(try_file(&unsigned), refused(403, "package.untrusted"));
        assert_eq!(
            try_file(&author.make("1.1.0", "", Some("other"))),
            refused(403, "package.untrusted")
        );
        assert_eq!(
            try_file(&author.make("1.0.0", "x", Some("key"))),
            refused(409, "package.rollback")
        );
        assert_eq!(
            try_file(&author.make("0.9.0", "", Some("key"))),
            refused(409, "package.rollback")
        );
        let whole = fs::read(author.path(&first)).expect("read");
        for place in [whole.len() / 2, whole.len() - 2_000, whole.len() - 20] {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            let answer = inspect(&api, "", &changed);
            assert!(
                (400..500).contains(&answer.0),
                "{answer:?} for a change at {place}"
            );
        }
        let answer = api.post_bytes(
            "/api/v1/installs?accept=x",
            &fs::read(author.path(&unsigned)).expect("read"),
        );
        assert_eq!(answer.code(), "package.untrusted");
        assert_eq!(api.all("/api/v1/installs").len(), 1, "nothing was installed");

        // Signed anew it is the same version; nothing changes.
        author.run(&[
            "sign",
            &first,
            "--publisher",
            "acme",
            "--key",
            "key",
            "--days",
            "7",
        ]);
        install(&server, &[&author.path(&first)]);
        assert_eq!(api.all("/api/v1/installs").len(), 1);
        // The signature beside the package is taken too.
        let newest = author.make("1.1.0", "", None);
        author.run(&[
            "sign",
            &newest,
            "--publisher",
            "acme",
            "--key",
            "key",
            "--detached",
        ]);
        install(&server, &[&author.path(&newest)]);
        dir = author.dir;
    }
    // All of it is remembered over a power cut and over a removal.
    let connection = github::connect(&server.api(), github::NAME, vendor::TOKEN);
    server.restart();
    let api = server.api();
    let old = api
        .all("/api/v1/installs")
        .into_iter()
        .find(|install| install["version"] == "1.0.0");
    let old = old.expect("the first")["id"].as_str().expect("an id").to_owned();
    assert_eq!(api.delete(&format!("/api/v1/installs/{old}")).status, 204);
    let file = fs::read(dir.path().join("github-1.0.0-key.wasm")).expect("read");
    assert_eq!(inspect(&api, "", &file), refused(409, "package.rollback"));
    let names = api.all("/api/v1/trust/names");
    assert_eq!(
        (&names[0]["name"], &names[0]["publisher"]),
        (&json!("github"), &json!("acme"))
    );
    assert_eq!(names[0]["marks"][0]["version"], "1.1.0");

    // What is installed is judged again when it is loaded, and a revoked key ends the next call.
    let test = format!("/api/v1/connections/{connection}/test");
    assert_eq!(api.post(&test, &json!({}))["ok"], true);
    let revoked = server.cli(&[
        "connector",
        "trust",
        "revoke",
        &key,
        "--reason",
        "it was published",
    ]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    let said = api.try_post(&test, &json!({})).text();
    assert!(
        said.contains("package.untrusted") || said.contains("was revoked"),
        "{said}"
    );
    server.restart();
    let api = server.api();
    let said = api.try_post(&test, &json!({})).text();
    assert!(
        said.contains("package.untrusted") || said.contains("was revoked"),
        "{said}"
    );
    let mut policy = api.get("/api/v1/trust");
    policy["policy"]["revoked"] = json!([]);
    api.put("/api/v1/trust", &policy);
    assert_eq!(api.post(&test, &json!({}))["ok"], true);
    // Of two who change the policy the second is told.
    let body = policy.to_string();
    let stale = api.send("PUT", "/api/v1/trust", "application/json", body.as_bytes());
    assert_eq!(stale.code(), "store.revision");

    // Forgotten, the name may be anybody's again, and any version.
    assert_eq!(
        server.cli(&["connector", "trust", "forget", "github"]).code,
        Some(0)
    );
    assert_eq!(inspect(&api, "", &file).0, 200);
    let forget = server.cli(&["--json", "connector", "trust", "forget", "github"]);
    assert_eq!(
        (forget.code, forget.error_code().as_str()),
        (Some(3), "trust.not_found")
    );
    let kinds: Vec<Value> = api
        .feed("/api/v1/events")
        .into_iter()
        .map(|event| event["kind"].clone())
        .collect();
    assert!(
        kinds.contains(&json!("sluice.trust.changed")) && kinds.contains(&json!("sluice.trust.forgotten"))
    );
}

#[test]
fn a_policy_says_who_may() {
    let server = Server::start(&Setup::default());
    let author = Author::new(&server);
    let (key, other) = (author.keygen("key"), author.keygen("other"));
    let api = server.api();
    let trust = |words: &[&str]| {
        let done = server.cli(&[&["connector", "trust"], words].concat());
        assert_eq!(done.code, Some(0), "{words:?}: {done:?}");
        done.out
    };
    let try_file = |file: &str| inspect(&api, "", &fs::read(author.path(file)).expect("read"));
    let signed = author.make("1.0.0", "", Some("key"));
    trust(&["require", "signatures"]);
    assert_eq!(
        try_file(&author.make("1.0.0", "", None)),
        refused(403, "package.untrusted")
    );
    trust(&["require", "known-keys"]);
    assert_eq!(try_file(&signed), refused(403, "package.untrusted"));
    trust(&["allow", "acme", "--key", &key, "--name", "git*"]);
    assert_eq!(try_file(&signed).0, 200);
    assert_eq!(
        try_file(&author.make("1.0.0", "", Some("other"))),
        refused(403, "package.untrusted")
    );
    trust(&["minimum", "github", "1.0.1"]);
    assert_eq!(try_file(&signed), refused(409, "package.rollback"));
    let shown = trust(&["show"]);
    assert!(
        shown.contains(&key) && shown.contains("git*") && !shown.contains(&other),
        "{shown}"
    );
    let wrong =
        json!({"revision": 4, "policy": {"publishers": [{"name": "acme", "keys": [], "names": ["a"]}]}});
    let answer = api.send(
        "PUT",
        "/api/v1/trust",
        "application/json",
        wrong.to_string().as_bytes(),
    );
    assert_eq!((answer.status, answer.code().as_str()), (422, "trust.policy"));
}

#[test]
fn an_index_crosses_an_air_gap_and_is_not_held_back() {
    let mirror = tempfile::tempdir().expect("make a directory");
    let place = mirror.path().display().to_string();
    let served = serve(mirror.path().to_owned());
    let server = Server::start(&reaching(served));
    let author = Author::new(&server);
    author.keygen("key");
    let from = format!("http://{served}/");
    for version in ["0.9.0", "1.0.0"] {
        let package = author.make(version, "", Some("key"));
        author.run(&["publish", &package, &place, "--key", "key"]);
        if version == "0.9.0" {
            fs::create_dir(mirror.path().join("old")).expect("make a directory");
            for name in ["index.json", "index.sig"] {
                fs::copy(mirror.path().join(name), mirror.path().join("old").join(name)).expect("copy");
            }
        }
    }
    let api = server.api();
    let of_index = |name: &str| inspect(&api, &format!("?from=index%2B{from}%23{name}"), b"");
    assert_eq!(of_index("other"), refused(404, "package.not_found"));
    let installed = install(&server, &["github", "--from", &from]);
    assert_eq!(installed["version"], "1.0.0");

    // The list changed, the signature away, and a package in the place of another.
    let list = mirror.path().join("index.json");
    let good = fs::read_to_string(&list).expect("read");
    fs::write(&list, good.replace("1.0.0\"", "1.0.1\"")).expect("write");
    assert_eq!(of_index("github"), refused(403, "package.untrusted"));
    fs::write(&list, &good).expect("write");
    let signature = mirror.path().join("index.sig");
    let kept = fs::read(&signature).expect("read");
    fs::remove_file(&signature).expect("remove");
    assert_eq!(of_index("github"), refused(403, "package.untrusted"));
    fs::write(&signature, kept).expect("write");
    assert_eq!(of_index("github").0, 200);
    fs::copy(
        mirror.path().join("github-0.9.0.wasm"),
        mirror.path().join("github-1.0.0.wasm"),
    )
    .expect("copy");
    let (_, code) = of_index("github");
    assert!(
        matches!(code.as_str(), "package.digest_mismatch" | "package.too_large"),
        "{code}"
    );

    // Out of one server, over the gap, into another.
    let out = author.path("mirror");
    let done = server.cli(&["connector", "mirror", &out, "github"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let inside = Server::start(&Setup::default());
    let installed = install(&inside, &["github@1.0.0", "--from", &out]);
    assert_eq!(installed["signer"]["publisher"], "acme");
    fs::write(Path::new(&out).join("github-1.0.0.wasm"), b"\0asm").expect("write");
    let broken = inside.cli(&["--json", "connector", "install", "github", "--from", &out]);
    assert_eq!(broken.error_code(), "package.digest_mismatch");
}

#[test]
fn keys_and_packages_that_are_none_are_told() {
    let server = Server::prepare(&Setup::default());
    let author = Author::new(&server);
    author.keygen("key");
    assert_eq!(
        author.try_run(&["keygen", "--out", "key"]).code,
        Some(2),
        "a key is never overwritten"
    );
    let package = author.make("1.0.0", "", Some("key"));
    let verified = author.run(&["verify", &package]);
    assert_eq!(
        (&verified["publisher"], &verified["connector"]),
        (&json!("acme"), &json!("github"))
    );
    let mut bytes = fs::read(author.path(&package)).expect("read");
    bytes[100] ^= 1;
    fs::write(author.path("changed.wasm"), bytes).expect("write");
    assert_eq!(
        author.try_run(&["verify", "changed.wasm"]).error_code(),
        "package.untrusted"
    );
    fs::write(author.path("text.wasm"), "text").expect("write");
    assert_eq!(
        author.try_run(&["verify", "text.wasm"]).error_code(),
        "package.not_component"
    );
    // A key goes by a file that only its owner reads, or by the environment; of a wrong one nothing is repeated.
    let pem = fs::read_to_string(author.path("key")).expect("read");
    fs::write(author.path("open"), &pem).expect("write");
    let done = author.try_run(&["sign", &package, "--publisher", "acme", "--key", "open"]);
    assert!(done.code == Some(2) && done.err.contains("chmod 600"), "{done:?}");
    let mut command = server.command();
    command
        .current_dir(author.dir.path())
        .env("SLUICE_SIGNING_KEY", &pem);
    let done = server::finish(command.args(["connector", "sign", &package, "--publisher", "acme"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let mut command = server.command();
    command
        .current_dir(author.dir.path())
        .env("SLUICE_SIGNING_KEY", "hunter2");
    let done = server::finish(command.args(["connector", "sign", &package, "--publisher", "acme"]));
    assert!(done.code == Some(2) && !done.err.contains("hunter2"), "{done:?}");
    let done = author.try_run(&["sign", &package, "--publisher", "Acme\u{2011}Inc", "--key", "key"]);
    assert_eq!(done.code, Some(2), "{done:?}");
}
