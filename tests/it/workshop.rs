//! The loop of a connector's author, as its author goes it: new, build, check and test in each language; a case recorded at a vendor that
//! repeats everything it is sent, and at one that Prism plays; a vendor that is played and misbehaves. No server is needed for any of it.

mod cases;
mod dev;
mod echo;
mod prism;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use self::echo::Echo;
use crate::server::{Finished, binary, finish, http};
use crate::{package, sdks};

/// What the vendor is asked with; it has letters that other forms write in another way.
const CREDENTIAL: &str = "t0ken/with+every=kind of~letter";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The command line, without a server.
fn sluice(words: &[&str]) -> Command {
    let python = root().join("target/sdks-venv/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths(std::iter::once(python).chain(std::env::split_paths(&path))).expect("a path");
    let mut command = Command::new(binary());
    command
        .args(words)
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env_remove("SLUICE_SERVER")
        .env_remove("SLUICE_TEST_SECRET")
        .env("CARGO_TARGET_DIR", sdks::target().join("wasm"))
        .env("ZIG_GLOBAL_CACHE_DIR", sdks::target().join("sdks/zig"));
    command
}

fn run(words: &[&str]) -> Finished {
    finish(&mut sluice(words))
}

fn said(finished: &Finished) -> Value {
    serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

/// A new connector of this language, built.
fn made(language: &str, dir: &Path) {
    let place = dir.display().to_string();
    let made = run(&["connector", "new", "todo", "--lang", language, "--dir", &place]);
    assert_eq!(made.code, Some(0), "{made:?}");
    if language == "js" {
        let packages = root().join("sdk-guest/js/node_modules").canonicalize();
        let packages = packages.expect("the packages are installed");
        std::os::unix::fs::symlink(packages, dir.join("sluice-sdk/node_modules")).expect("link them");
    }
    let built = run(&["--json", "connector", "build", &place]);
    assert_eq!(built.code, Some(0), "{language}: {built:?}");
    assert_eq!(said(&built)["language"], language);
}

/// A connector in Rust, made once, as a copy of one's own.
fn rust() -> (TempDir, String) {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let first = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().expect("make a directory");
        made("rust", &dir.path().join("todo"));
        dir
    });
    let copy = tempfile::tempdir().expect("make a directory");
    let from = first.path().join("todo");
    for file in [
        "connector.toml",
        "Cargo.toml",
        "dist/todo.wasm",
        "tests/basic/case.toml",
        "tests/basic/cassette.json",
        "tests/basic/expected.json",
        "tests/basic/updated.json",
        "tests/basic/removed.json",
    ] {
        let to = copy.path().join(file);
        fs::create_dir_all(to.parent().expect("a directory")).expect("make it");
        fs::copy(from.join(file), to).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let place = copy.path().display().to_string();
    (copy, place)
}

/// How each test of the first case ended.
fn outcomes(said: &Value) -> Vec<(String, String)> {
    let checks = said["cases"][0]["checks"].as_array().expect("tests");
    let one = |check: &Value| {
        let text = |name: &str| check[name].as_str().expect("a text").to_owned();
        (text("check"), text("outcome"))
    };
    checks.iter().map(one).collect()
}

fn new_to_green(language: &str) {
    drop(sdks::component("template-c"));
    let scratch = tempfile::tempdir().expect("make a directory");
    let dir = scratch.path().join("todo");
    made(language, &dir);
    let place = dir.display().to_string();
    let checked = run(&["--json", "connector", "check", &place]);
    assert_eq!(checked.code, Some(0), "{language}: {checked:?}");
    let checked = said(&checked);
    assert_eq!(
        (&checked["built"], &checked["errors"]),
        (&json!(true), &json!(0)),
        "{checked}"
    );
    let tested = run(&["--json", "connector", "test", &place]);
    assert_eq!(tested.code, Some(0), "{language}: {tested:?}");
    let tested = said(&tested);
    assert_eq!(tested["cases"][0]["records"], 3, "{tested}");
    let skipped: Vec<_> = outcomes(&tested)
        .into_iter()
        .filter(|(_, outcome)| outcome != "passed")
        .collect();
    // It has no actions.
    let expected = [("actions_fit".to_owned(), "skipped".to_owned())];
    assert_eq!(skipped, expected, "{language}: {tested}");

    // What was changed after the build is told, by both.
    let manifest = fs::read_to_string(dir.join("connector.toml")).expect("read it");
    fs::write(
        dir.join("connector.toml"),
        manifest.replace("[\"/me\",", "[\"/**\", \"/me\","),
    )
    .expect("write it");
    let checked = run(&["--json", "connector", "check", &place]);
    let codes: Vec<_> = said(&checked)["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| (finding["code"].clone(), finding["line"].clone()))
        .filter(|(code, _)| code != "check.missing_file")
        .collect();
    let expected = [
        (json!("check.stale"), Value::Null),
        (json!("check.wide_paths"), json!(15)),
    ];
    assert_eq!((checked.code, codes.as_slice()), (Some(6), expected.as_slice()));
    assert_eq!(
        run(&["--json", "connector", "test", &place]).error_code(),
        "check.stale"
    );
}

#[test]
fn new_to_green_in_rust() {
    new_to_green("rust");
}

#[test]
fn new_to_green_in_javascript() {
    new_to_green("js");
}

#[test]
fn new_to_green_in_python() {
    new_to_green("python");
}

#[test]
fn new_to_green_in_c() {
    new_to_green("c");
}

#[test]
fn a_missing_tool_is_named_with_what_installs_it() {
    let scratch = tempfile::tempdir().expect("make a directory");
    for (language, words) in [("js", "npm ci"), ("python", "requirements.txt")] {
        let dir = scratch.path().join(language);
        let place = dir.display().to_string();
        assert_eq!(
            run(&["connector", "new", "todo", "--lang", language, "--dir", &place]).code,
            Some(0)
        );
        let mut build = sluice(&["--json", "connector", "build", &place]);
        // Programs are there, the SDK's packages are not.
        let built = finish(build.env("PATH", "/usr/local/bin:/usr/bin:/bin"));
        assert_eq!(built.code, Some(1), "{built:?}");
        assert!(built.err.contains(words), "{built:?}");
        let mut build = sluice(&["--json", "connector", "build", &place]);
        let built = finish(build.env("PATH", scratch.path()));
        assert!(built.err.contains("apt-get install"), "{built:?}");
    }
}

#[test]
fn a_cassette_never_has_the_credential() {
    let (dir, place) = rust();
    let vendor = Echo::start();
    fs::remove_dir_all(dir.path().join("tests")).expect("remove the case");
    let mut record = sluice(&[
        "--json",
        "connector",
        "test",
        "--record",
        "--config",
        "list=home",
        &place,
    ]);
    let recorded = finish(
        record
            .args(["--to", &vendor.url()])
            .env("SLUICE_TEST_SECRET", CREDENTIAL),
    );
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    // The account, two pages, and what changed since.
    assert_eq!(said(&recorded)["exchanges"], 4);
    // The vendor was asked with it, and said it in many forms.
    assert!(
        vendor.heard().iter().all(|head| head.contains(CREDENTIAL)),
        "{:?}",
        vendor.heard()
    );
    let case = dir.path().join("tests/basic");
    for file in ["case.toml", "cassette.json", "expected.json"] {
        let text = fs::read_to_string(case.join(file)).expect("read it");
        for form in echo::forms(CREDENTIAL) {
            assert!(!text.contains(&form), "{file} has it as {form}");
        }
        assert!(!text.to_lowercase().contains("authorization"), "{file}: {text}");
        assert!(!text.contains("session-of-the-day"), "{file} has a cookie");
    }
    let cassette = fs::read_to_string(case.join("cassette.json")).expect("read it");
    assert!(cassette.contains("[redacted:token]"), "{cassette}");
    // And it is played without the vendor, to the same end.
    drop(vendor);
    let tested = run(&["--json", "connector", "test", &place]);
    assert_eq!(tested.code, Some(0), "{tested:?}");

    // Nothing is asked in plain text on another machine, and nothing without a credential.
    let mut elsewhere = sluice(&[
        "--json",
        "connector",
        "test",
        "--record",
        &place,
        "--to",
        "http://192.0.2.1:80",
    ]);
    let refused = finish(elsewhere.env("SLUICE_TEST_SECRET", CREDENTIAL));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let refused = run(&["--json", "connector", "test", "--record", &place]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert_eq!(
        fs::read_to_string(case.join("cassette.json")).expect("read it"),
        cassette
    );
}

#[test]
fn what_does_not_hold_is_found() {
    let (dir, place) = rust();
    let file = dir.path().join("tests/basic/cassette.json");
    let good = fs::read_to_string(&file).expect("read it");
    let check = |from: &str, to: &str, failed: &[&str], words: &str| {
        assert!(good.contains(from), "{from}");
        fs::write(&file, good.replace(from, to)).expect("write it");
        let tested = run(&["--json", "connector", "test", &place]);
        assert_eq!(tested.code, Some(1), "{tested:?}");
        let tested = said(&tested);
        let outcomes = outcomes(&tested);
        let found: Vec<_> = outcomes
            .iter()
            .filter(|(_, outcome)| outcome == "failed")
            .map(|(check, _)| check)
            .collect();
        assert_eq!(found, failed, "{from} -> {to}: {tested}");
        assert!(tested.to_string().contains(words), "{words}: {tested}");
    };
    // A request that was not recorded: the nearest is told, and how it differs.
    check(
        "tasks?per_page=100\"",
        "tasks?per_page=50\"",
        &["answers", "recorded", "golden"],
        "`per_page` is `100`, and `50` was recorded",
    );
    // The last page leads back to itself.
    check(
        "\"headers\": [[\"content-type\", \"application/json\"]],\n        \"body\": { \"json\": [{\"id\":3",
        "\"headers\": [[\"link\", \"<https://api.todo.example/lists/home/tasks?per_page=100&page=2>; rel=\\\"next\\\"\"]],\n        \"body\": { \"json\": [{\"id\":3",
        &["pages_end", "golden"],
        "lead on to the same place",
    );
    // A next page at a place that nobody declared: it is refused, and told.
    check(
        "<https://api.todo.example/lists/home/tasks?per_page=100&page=2>",
        "<https://files.todo.example/2>",
        &["answers", "declared", "golden"],
        "https://files.todo.example/2",
    );
    check(
        "\"title\":\"Read a book\"",
        "\"title\":5",
        &["records_fit", "golden"],
        "/title",
    );
    check("Read a book", "Read two books", &["golden"], "Read two books");

    // What is meant is blessed.
    let blessed = run(&["--json", "connector", "test", "--bless", &place]);
    assert_eq!(blessed.code, Some(0), "{blessed:?}");
    assert_eq!(run(&["connector", "test", &place]).code, Some(0));
    fs::write(&file, &good).expect("write it");
    let tested = run(&["connector", "test", &place]);
    assert_eq!(tested.code, Some(1), "{tested:?}");
    assert!(tested.out.contains("FAIL  golden"), "{}", tested.out);
    // A test that cannot hold is left out with a reason.
    let case = dir.path().join("tests/basic/case.toml");
    let text = fs::read_to_string(&case).expect("read it");
    fs::write(&case, format!("{text}\n[skip]\ngolden = \"the list changes\"\n")).expect("write it");
    assert_eq!(run(&["connector", "test", &place]).code, Some(0));
}

/// A vendor that is played by `connector mock`.
struct Played {
    process: Child,
    url: String,
}

impl Played {
    fn start(words: &[&str]) -> Self {
        let mut command = sluice(&["connector", "mock"]);
        let mut process = command
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start it");
        let mut line = String::new();
        let out = process.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("its address");
        Self {
            process,
            url: line.trim().to_owned(),
        }
    }

    fn order(&self, how: &str) {
        let address = self
            .url
            .trim_start_matches("http://")
            .parse()
            .expect("an address");
        let answer = http::request(address, "POST", "/__faults", &[], how.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn a_vendor_is_played_and_misbehaves_as_it_is_told() {
    let (dir, place) = rust();
    let case = dir.path().join("tests/basic");
    let before = fs::read_to_string(case.join("expected.json")).expect("read it");
    let vendor = Played::start(&[&case.display().to_string()]);
    let record = || {
        let mut record = sluice(&[
            "--json",
            "connector",
            "test",
            "--record",
            &place,
            "--to",
            &vendor.url,
        ]);
        finish(record.env("SLUICE_TEST_SECRET", CREDENTIAL))
    };
    let recorded = record();
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let after = fs::read_to_string(case.join("expected.json")).expect("read it");
    assert_eq!(
        value(&after),
        value(&before),
        "what is recorded of it is what it plays"
    );

    // One refusal and one cut are got over; what comes is the same.
    vendor.order("429,retry-after=1*1@/me");
    vendor.order("reset*1@/lists");
    let recorded = record();
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    // What goes on is told, and recorded.
    vendor.order("404@/lists");
    let recorded = record();
    assert_eq!(recorded.code, Some(1), "{recorded:?}");
    assert!(recorded.out.contains("guest.config"), "{recorded:?}");
}

/// Connectors of this repository with cases of what their vendors document.
const CASES: [&str; 15] = [
    "amazon",
    "discord",
    "github",
    "gitlab",
    "google",
    "mailgun",
    "microsoft",
    "netlify",
    "paypal",
    "plaid",
    "postmark",
    "sendgrid",
    "stripe",
    "trello",
    "zoom",
];

#[test]
fn our_own_connectors_keep_the_contract() {
    for id in CASES {
        let source = format!("plugins/{id}");
        let component = package::file(id, &source);
        let place = root().join(source).display().to_string();
        let component = component.display().to_string();
        let tested = run(&["--json", "connector", "test", &place, "--component", &component]);
        assert_eq!(tested.code, Some(0), "{id}: {tested:?}");
    }
}
