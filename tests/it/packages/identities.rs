//! Packages that are signed without a key of the publisher's own: a sigstore bundle, judged against the operator's trusted root and
//! the organization's policy. Certificates and log entries are made by sigstore's own libraries.

use std::fs;

use serde_json::{Value, json};
use sluice_package::{Identity, Pack, Package, Policy, Publisher, Remembered, TrustedRoot};

use super::{Author, inspect, install, refused};
use crate::counterpart::Judge;
use crate::github::{self, StandIn};
use crate::server::{Api, Server, Setup};

const ISSUER: &str = "https://idp.acme.example";
const RELEASE: &str = "https://code.acme.example/github/.ci/release.yml@refs/heads/main";

/// A certificate authority, its logs, and whoever it believes.
struct Sigstore {
    judge: Judge,
    dir: tempfile::TempDir,
}

impl Sigstore {
    fn start() -> Self {
        let sigstore = Self {
            judge: Judge::node("judge/sigstore.mjs", &[]),
            dir: tempfile::tempdir().expect("make a directory"),
        };
        fs::write(sigstore.dir.path().join("root.json"), sigstore.root().to_string())
            .expect("write the root");
        sigstore
    }

    fn root(&self) -> Value {
        self.judge.ask(&json!({"root": true}))["root"].clone()
    }

    /// What a server is started with that believes this authority.
    fn believed(&self, setup: Setup) -> Setup {
        let path = self.dir.path().join("root.json").display().to_string();
        Setup {
            set: vec![("SLUICE_TRUST__SIGSTORE_ROOT_FILE", path)],
            ..setup
        }
    }

    fn ask(&self, question: &Value) -> String {
        let answer = self.judge.ask(question);
        assert!(answer["bundle"].is_object(), "{answer}");
        answer["bundle"].to_string()
    }

    fn sign(&self, file: &str, issuer: &str, subject: &str) -> String {
        self.ask(&json!({"file": file, "issuer": issuer, "subject": subject}))
    }
}

/// A copy of the package with this bundle in it, by the command line.
fn with_bundle(author: &Author<'_>, package: &str, bundle: &str) -> String {
    let name = format!(
        "bundled-{}",
        fs::read_dir(author.dir.path()).expect("list").count()
    );
    fs::copy(author.path(package), author.path(&name)).expect("copy");
    fs::write(author.path("x.sigstore.json"), bundle).expect("write the bundle");
    author.run(&["sign", &name, "--bundle", "x.sigstore.json"]);
    name
}

fn look(api: &Api, author: &Author<'_>, file: &str) -> (u16, String) {
    inspect(api, "", &fs::read(author.path(file)).expect("read"))
}

fn allow(server: &Server, publisher: &str, subject: &str, name: &str) {
    let words = [
        "connector",
        "trust",
        "allow",
        publisher,
        "--identity",
        ISSUER,
        subject,
        "--name",
        name,
    ];
    let done = server.cli(&words);
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[test]
fn who_is_listed_signs_and_nobody_else() {
    let sigstore = Sigstore::start();
    let server = Server::start(&sigstore.believed(Setup::default()));
    let api = server.api();
    let author = Author::new(&server);
    let key = author.keygen("key");
    let plain = author.make("1.0.0", "", None);
    let file = author.path(&plain);
    let try_file = |file: &str| look(&api, &author, file);
    let untrusted = refused(403, "package.untrusted");

    // Attached, it says whose it is; without a policy that lists him he is nobody, also for a name that nobody has.
    let bundle = sigstore.sign(&file, ISSUER, RELEASE);
    let ours = with_bundle(&author, &plain, &bundle);
    assert_eq!(
        author.run(&["verify", &ours])["claims"],
        json!({"issuer": ISSUER, "subject": RELEASE})
    );
    assert_eq!(try_file(&ours), untrusted);
    allow(&server, "acme", RELEASE, "github");
    let shown = server.cli(&["connector", "trust", "show"]).out;
    assert!(shown.contains(RELEASE) && shown.contains(ISSUER), "{shown}");
    let answer = api.post_bytes(
        "/api/v1/connectors/inspect",
        &fs::read(author.path(&ours)).expect("read"),
    );
    let proposal = answer.json();
    assert_eq!(proposal["standing"], "listed");
    assert_eq!(proposal["signer"]["publisher"], "acme");
    assert_eq!(
        proposal["signer"]["identity"],
        json!({"issuer": ISSUER, "subject": RELEASE})
    );
    assert!(proposal["signer"]["key"].is_null() && proposal["signer"]["expires"].is_null());

    // Somebody else of the same provider, the same name of another provider, a part and a pattern of the name.
    for (issuer, subject) in [
        (
            ISSUER,
            "https://code.acme.example/github/.ci/release.yml@refs/heads/other",
        ),
        ("https://idp.other.example", RELEASE),
        (ISSUER, "https://code.acme.example/github/.ci/release.yml"),
        (ISSUER, "*"),
    ] {
        let theirs = with_bundle(&author, &plain, &sigstore.sign(&file, issuer, subject));
        assert_eq!(try_file(&theirs), untrusted, "{issuer} {subject}");
    }
    // Of another publisher, who is listed for other names.
    allow(&server, "beta", "beta@idp.acme.example", "beta-*");
    let theirs = sigstore.sign(&file, ISSUER, "beta@idp.acme.example");
    assert_eq!(try_file(&with_bundle(&author, &plain, &theirs)), untrusted);
    // The name is not to be had without the identity.
    assert_eq!(try_file(&plain), untrusted);
    author.run(&[
        "sign",
        &author.make("1.0.0", "k", None),
        "--publisher",
        "acme",
        "--key",
        "key",
    ]);
    assert_eq!(try_file("github-1.0.0k-unsigned.wasm"), untrusted);

    // A bundle without an entry of the log, one whose certificate had ended when it was logged, one of another authority's.
    let question = json!({"file": file, "issuer": ISSUER, "subject": RELEASE});
    let but = |name: &str, value: Value| {
        let mut question = question.clone();
        question[name] = value;
        with_bundle(&author, &plain, &sigstore.ask(&question))
    };
    assert_eq!(try_file(&but("age_s", json!(60))).0, 200);
    assert_eq!(try_file(&but("logged", json!(false))), untrusted);
    assert_eq!(try_file(&but("age_s", json!(3600))), untrusted);
    let elsewhere = Sigstore::start().sign(&file, ISSUER, RELEASE);
    assert_eq!(try_file(&with_bundle(&author, &plain, &elsewhere)), untrusted);
    // A true entry of the log, of another signature.
    let mut mixed: Value = serde_json::from_str(&bundle).expect("JSON");
    let other: Value = serde_json::from_str(&sigstore.sign(&file, ISSUER, RELEASE)).expect("JSON");
    mixed["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"].clone();
    assert_eq!(
        try_file(&with_bundle(&author, &plain, &mixed.to_string())),
        untrusted
    );

    // A changed byte of the content; a bundle of another package, garbage, and what is too large or too deep.
    let whole = fs::read(author.path(&ours)).expect("read");
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let (status, code) = inspect(&api, "", &changed);
    assert!((400..500).contains(&status), "{status} {code}");
    author.make("1.0.1", "", None);
    for (garbage, code) in [
        (
            sigstore.sign(&author.path("github-1.0.1-unsigned.wasm"), ISSUER, RELEASE),
            "package.untrusted",
        ),
        ("{}".to_owned(), "package.untrusted"),
        ("[".repeat(60_000), "package.untrusted"),
    ] {
        fs::write(author.path("x.sigstore.json"), garbage).expect("write");
        let done = author.try_run(&["sign", &plain, "--bundle", "x.sigstore.json"]);
        assert_eq!(done.error_code(), code, "{done:?}");
    }
    let bare = fs::read(&file).expect("read");
    for (data, expected) in [
        (vec![b'{'; 100], untrusted.clone()),
        (vec![b'['; 60_000], untrusted.clone()),
        (vec![b' '; (64 << 10) + 1], refused(422, "package.invalid")),
    ] {
        assert_eq!(inspect(&api, "", &appended(&bare, &data)), expected);
    }

    // With a key as well, both must hold: a listed key, and the same publisher's identity.
    let done = server.cli(&[
        "connector",
        "trust",
        "allow",
        "acme",
        "--key",
        &key,
        "--name",
        "github",
    ]);
    assert_eq!(done.code, Some(0), "{done:?}");
    author.run(&["sign", &ours, "--publisher", "acme", "--key", "key"]);
    assert_eq!(try_file(&ours).0, 200);
    author.keygen("other");
    author.run(&["sign", &ours, "--publisher", "acme", "--key", "other"]);
    assert_eq!(try_file(&ours), untrusted);
    let nobody = with_bundle(
        &author,
        &plain,
        &sigstore.sign(&file, ISSUER, "nobody@acme.example"),
    );
    author.run(&["sign", &nobody, "--publisher", "acme", "--key", "key"]);
    assert_eq!(try_file(&nobody), untrusted);
}

/// A package with these bytes where a bundle is.
fn appended(package: &[u8], data: &[u8]) -> Vec<u8> {
    let leb = |mut value: usize| {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    };
    let name = b"sluice:bundle";
    let content = [&leb(name.len())[..], &name[..], data].concat();
    [package, &[0][..], &leb(content.len())[..], &content[..]].concat()
}

#[test]
fn an_identity_goes_only_forward_and_ends() {
    let sigstore = Sigstore::start();
    let stand_in = StandIn::with_issues(3);
    let mut server = Server::start(&sigstore.believed(stand_in.setup()));
    allow(&server, "acme", RELEASE, "github");
    let (connection, bundled, unsigned);
    {
        let author = Author::new(&server);
        let signed = |version: &str, change: &str| {
            let plain = author.make(version, change, None);
            let bundle = sigstore.sign(&author.path(&plain), ISSUER, RELEASE);
            with_bundle(&author, &plain, &bundle)
        };
        let (old, new, changed) = (signed("1.0.0", ""), signed("1.1.0", ""), signed("1.1.0", "x"));
        let api = server.api();
        let asked = server.cli(&["connector", "install", &author.path(&new)]);
        assert!(
            asked.err.contains("acme") && asked.err.contains(RELEASE),
            "{asked:?}"
        );
        let installed = install(&server, &[&author.path(&new)]);
        assert_eq!(installed["signer"]["identity"]["subject"], RELEASE);
        assert_eq!(look(&api, &author, &old), refused(409, "package.rollback"));
        assert_eq!(look(&api, &author, &changed), refused(409, "package.rollback"));
        // Signed anew it is the same version.
        let plain = author.make("1.1.0", "", None);
        let anew = sigstore.sign(&author.path(&plain), ISSUER, RELEASE);
        install(&server, &[&author.path(&with_bundle(&author, &plain, &anew))]);
        assert_eq!(api.all("/api/v1/installs").len(), 1);
        assert_eq!(
            api.all("/api/v1/installs")[0]["signer"]["identity"]["issuer"],
            ISSUER
        );
        let names = api.all("/api/v1/trust/names");
        assert_eq!(names[0]["identity"]["subject"], RELEASE);
        assert_eq!(names[0]["marks"][0]["identity"]["issuer"], ISSUER);
        let told = api.feed("/api/v1/events");
        let told = told
            .iter()
            .find(|event| event["kind"] == "sluice.connector.installed");
        assert_eq!(told.expect("it is told")["data"]["identity"]["subject"], RELEASE);
        connection = github::connect(&api, github::NAME, vendor::TOKEN);
        let bytes = |file: &str| fs::read(author.path(file)).expect("read");
        (bundled, unsigned) = (bytes(&new), bytes(&plain));
    }
    let test = format!("/api/v1/connections/{connection}/test");
    let works = |server: &Server| server.api().post(&test, &json!({}))["ok"] == true;
    let says = |server: &Server, words: &str| {
        let said = server.api().try_post(&test, &json!({})).text();
        assert!(said.contains(words), "{said}");
    };
    assert!(works(&server));
    // Revoked, also for what is installed, at once and over a start; and taken back.
    let done = server.cli(&[
        "connector",
        "trust",
        "revoke",
        "--identity",
        ISSUER,
        RELEASE,
        "--reason",
        "stolen",
    ]);
    assert_eq!(done.code, Some(0), "{done:?}");
    says(&server, "was revoked");
    server.restart();
    says(&server, "was revoked");
    let api = server.api();
    assert_eq!(inspect(&api, "", &bundled), refused(403, "package.untrusted"));
    let mut policy = api.get("/api/v1/trust");
    assert_eq!(policy["policy"]["revoked"][0]["identity"]["subject"], RELEASE);
    policy["policy"]["revoked"] = json!([]);
    // Listed no more, the name stays closed: to an identity that nobody lists, and to a file that nobody signed.
    policy["policy"]["publishers"] = json!([]);
    api.put("/api/v1/trust", &policy);
    assert!(works(&server), "what was installed was believed then");
    for file in [&bundled, &unsigned] {
        assert_eq!(inspect(&api, "", file), refused(403, "package.untrusted"));
    }

    // Without a root there is nothing to judge by, and what an identity signed is not loaded either.
    server.stop();
    server.configure(&stand_in.setup());
    server.run();
    says(&server, "trusted root");
    // With it again, all is as it was.
    server.stop();
    server.configure(&sigstore.believed(stand_in.setup()));
    server.run();
    assert!(works(&server));
}

#[test]
fn without_a_root_bundles_are_refused_and_a_root_that_is_none_ends_the_start() {
    let sigstore = Sigstore::start();
    let mut server = Server::start(&Setup::default());
    {
        let author = Author::new(&server);
        let plain = author.make("1.0.0", "", None);
        let bundle = sigstore.sign(&author.path(&plain), ISSUER, RELEASE);
        let ours = with_bundle(&author, &plain, &bundle);
        allow(&server, "acme", RELEASE, "github");
        let answer = inspect(&server.api(), "", &fs::read(author.path(&ours)).expect("read"));
        assert_eq!(answer, refused(422, "package.no_trusted_root"));
        let told = server.cli(&["connector", "install", &author.path(&ours)]);
        assert!(told.err.contains("trust.sigstore_root_file"), "{told:?}");
    }
    server.stop();
    let path = sigstore.dir.path().join("root.json");
    for (text, words) in [
        (Some("{}"), "is not a trusted root"),
        (Some("-----BEGIN CERTIFICATE-----"), "is not a trusted root"),
        (
            Some(r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#),
            "no certificate authority",
        ),
        (None, "root.json"),
    ] {
        match text {
            Some(text) => fs::write(&path, text).expect("write"),
            None => fs::remove_file(&path).expect("remove"),
        }
        server.configure(&sigstore.believed(Setup::default()));
        assert!(server.launch().is_err(), "it started with {text:?}");
        let log = server.log_tail();
        assert!(log.contains(words), "{text:?}: {log}");
    }
}

/// Whatever byte of the bundle is changed, it is no longer believed: what it says is signed, logged or read in one way only. But for
/// one place: the name beside the signature of the log's checkpoint, which says nothing to whoever has the log's key.
#[test]
fn each_byte_of_a_bundle_counts() {
    let sigstore = Sigstore::start();
    let root = TrustedRoot::read(&sigstore.root().to_string()).expect("a root");
    let manifest = "manifest = 1\nid = \"acme\"\nversion = \"1.0.0\"\ncontract = \"0.1\"\nname = \"Acme\"\ndescription = \"d\"\n\
                    category = \"c\"\nlicence = \"MIT\"\n[config]\ntype = \"object\"\n";
    let component = wat::parse_str("(component (core module (func)))").expect("a component");
    let pack = Pack {
        component: &component,
        manifest,
        ..Pack::default()
    };
    let plain = pack.make().expect("a package").bytes;
    let file = sigstore.dir.path().join("acme.wasm");
    fs::write(&file, &plain).expect("write");
    let bundle = sigstore.sign(&file.display().to_string(), ISSUER, RELEASE);
    let whole = sluice_package::attach_bundle(&plain, &bundle).expect("attach it");
    let policy = Policy {
        publishers: vec![Publisher {
            name: "acme".parse().expect("a name"),
            keys: Vec::new(),
            identities: vec![Identity {
                issuer: ISSUER.to_owned(),
                subject: RELEASE.to_owned(),
            }],
            names: vec!["acme".to_owned()],
        }],
        ..Policy::default()
    };
    let now = sluice_model::Clock::now(&sluice_model::SystemClock);
    let believed = |bytes: &[u8]| {
        Package::read(bytes).is_ok_and(|package| {
            let nothing = Remembered::default();
            policy.judge(&package, &nothing, [], Some(&root), now).is_ok()
        })
    };
    assert!(believed(&whole));
    let mark = "— ".as_bytes();
    let name = "rekor.acme.example".len();
    let note = whole
        .windows(mark.len())
        .position(|at| at == mark)
        .expect("a checkpoint");
    let says_nothing = note + mark.len()..note + mark.len() + name;
    let mut changed = whole.clone();
    for place in 0..whole.len() {
        for bit in [0, 1, 5] {
            changed[place] = whole[place] ^ (1 << bit);
            assert!(
                !believed(&changed) || says_nothing.contains(&place),
                "byte {place}, bit {bit}: {:?}",
                String::from_utf8_lossy(&whole[place.saturating_sub(40)..(place + 40).min(whole.len())])
            );
        }
        changed[place] = whole[place];
    }
    for cut in plain.len()..whole.len() {
        assert!(!believed(&whole[..cut]), "cut at {cut}");
    }
}
