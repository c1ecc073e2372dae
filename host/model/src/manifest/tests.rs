mod values;

use proptest::prelude::*;

use super::*;
use crate::capability::{Scheme, Target};
use crate::signature::{Encoding, Form, KeyEncoding};

/// A manifest with everything in it.
const FULL: &str = include_str!("../../tests/connector.toml");

fn full() -> Manifest {
    Manifest::parse(FULL).unwrap_or_else(|error| panic!("{error}"))
}

/// The full manifest with one text in it replaced has to be refused, at this path and with these words.
fn refused(from: &str, to: &str, path: &str, words: &str) -> ManifestError {
    assert!(FULL.contains(from), "{from}");
    let text = FULL.replacen(from, to, 1);
    match Manifest::parse(&text) {
        Ok(_) => panic!("{to} was accepted"),
        Err(error) => {
            assert_eq!(error.path, path, "{to}: {error}");
            assert!(error.message.contains(words), "{to}: {error}");
            error
        }
    }
}

#[test]
fn a_full_manifest_is_read() {
    let manifest = full();
    assert_eq!(
        (
            manifest.id.as_str(),
            manifest.version.as_str(),
            manifest.contract.as_str()
        ),
        ("acme", "1.2.0", "0.1")
    );
    assert_eq!(manifest.capabilities.egress.len(), 4);
    assert_eq!(
        manifest.capabilities.egress[0].to_string(),
        "GET https://api.acme.example/user"
    );
    assert_eq!(
        manifest.capabilities.egress[1].to_string(),
        "GET https://api.acme.example/repos/**"
    );
    assert!(manifest.capabilities.egress[2].optional);
    assert_eq!(manifest.capabilities.without_optional().egress.len(), 3);
    assert_eq!(manifest.capabilities.storage_bytes, 1 << 20);
    assert_eq!(manifest.capabilities.limits.memory_bytes, 32 << 20);
    assert_eq!(manifest.capabilities.limits.call_time, Duration::from_secs(20));
    assert_eq!(manifest.config_schema["type"], "object");
    assert_eq!(manifest.config_schema["properties"]["host"]["type"], "string");
    assert_eq!(manifest.auth("token").unwrap().apply, Apply::Bearer);
    assert_eq!(
        manifest.auth("token").unwrap().origins[0].to_string(),
        "https://api.acme.example"
    );
    let issues = manifest.stream("issues").unwrap();
    assert_eq!(
        (issues.cursor, issues.cursor_version, issues.modes.len()),
        (CursorKind::Timestamp, 2, 2)
    );
    assert!(issues.partitioned && issues.windows);
    assert_eq!(issues.lookback, Duration::from_secs(7 * 86_400));
    assert_eq!(issues.writes, [WriteKind::Create, WriteKind::Update]);
    let hooks = manifest.webhook("events").unwrap();
    assert_eq!(hooks.dedupe, Dedupe::Header("x-acme-delivery".into()));
    assert!(hooks.recipe.is_signed());
    let Recipe::Signed(stamped) = &manifest.webhook("stamped").unwrap().recipe else {
        panic!()
    };
    assert_eq!(
        stamped.form,
        Form::Fields {
            separator: ',',
            signature: "v1".into()
        }
    );
    let Recipe::Signed(list) = &manifest.webhook("listed").unwrap().recipe else {
        panic!()
    };
    assert_eq!(
        list.form,
        Form::Values {
            prefix: "v1,".into(),
            separator: Some(' ')
        }
    );
    assert_eq!(list.secret.encoding, KeyEncoding::Written(Encoding::Base64));
    assert_eq!(
        manifest.webhook("open").unwrap().recipe,
        Recipe::Unsigned {
            reason: "the vendor signs nothing".into()
        }
    );
    assert!(manifest.action("create_issue").unwrap().input["properties"]["title"].is_object());
    let [rate, search] = manifest.rate.as_slice() else {
        panic!("{:?}", manifest.rate)
    };
    assert_eq!((rate.burst, rate.scope), (20, RateScope::Connection));
    assert_eq!((rate.path.as_ref(), rate.per_day), (None, None));
    assert!(search.path.as_ref().unwrap().matches("/search/code"));
    assert_eq!((search.scope, search.per_day), (RateScope::App, Some(5_000)));
    assert_eq!(search.bucket_header.as_deref(), Some("x-acme-budget"));
}

#[test]
fn the_digest_is_of_the_exact_text() {
    let digest = Manifest::digest("abc");
    assert_eq!(
        digest,
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_ne!(Manifest::digest("abc "), digest);
}

#[test]
fn an_error_says_where() {
    let error = refused(
        "host = \"api.acme.example\"",
        "host = \"a.*.example\"",
        "capabilities.egress[0].host",
        "leading",
    );
    let line = FULL.lines().position(|line| line.starts_with("host =")).unwrap() + 1;
    assert_eq!((error.line as usize, error.column), (line, 8));
    assert_eq!(
        error.to_string(),
        format!(
            "line {line}, column 8: `capabilities.egress[0].host`: `a.*.example` has a `*` elsewhere than in a leading `*.`"
        )
    );
    assert!(ManifestError::CODES.contains(&error.code()));
    let error = Manifest::parse("manifest = 1\nid = \"ä\" x").unwrap_err();
    assert_eq!((error.line, error.path.as_str()), (2, ""));
    assert!(error.to_string().starts_with("line 2, column 1"), "{error}");
    let error = Manifest::parse("manifest = 1\n# ä\nid = 'x' # ä\n").unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.message.as_str()),
        (
            "id",
            "is `x`, not 2 to 63 lower-case letters, digits and `-`, beginning with a letter"
        )
    );
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    for (from, to, path, near) in [
        (
            "description = \"Every",
            "descripton = \"Every",
            "descripton",
            "`description`",
        ),
        ("website =", "web =", "links.web", "there are"),
        (
            "storage_bytes",
            "storage_byte",
            "capabilities.storage_byte",
            "`storage_bytes`",
        ),
        (
            "memory_bytes",
            "memory",
            "capabilities.limits.memory",
            "there are",
        ),
        (
            "methods = [\"GET\"]",
            "method = [\"GET\"]",
            "capabilities.egress[0].method",
            "`methods`",
        ),
        (
            "primary_key",
            "primary-key",
            "streams[0].primary-key",
            "`primary_key`",
        ),
        (
            "event_header",
            "event_headr",
            "webhooks[0].event_headr",
            "`event_header`",
        ),
        (
            "algorithm",
            "algoritm",
            "webhooks[0].signature.algoritm",
            "`algorithm`",
        ),
        (
            "idempotent",
            "idempotend",
            "actions[0].idempotend",
            "`idempotent`",
        ),
        ("per_second", "per_minute", "rate[0].per_minute", "there are"),
    ] {
        refused(from, to, path, near);
    }
}

#[test]
fn sizes_are_bounded() {
    let pattern = format!("[config.properties.host]\npattern = \"{}\"", "a".repeat(300));
    refused(
        "[config.properties.host]",
        &pattern,
        "config.properties.host.pattern",
        "256 bytes",
    );
    let deep = format!(
        "[config.properties.host]\nnot = {}1{}",
        "{ not = ".repeat(40),
        " }".repeat(40)
    );
    let error = Manifest::parse(&FULL.replace("[config.properties.host]", &deep)).unwrap_err();
    assert!(error.message.contains("32 levels"), "{error}");
    let long = format!("[config.properties.host]\nenum = [{}]", "1,".repeat(10_001));
    let error = Manifest::parse(&FULL.replace("[config.properties.host]", &long)).unwrap_err();
    assert!(error.message.contains("10000"), "{error}");
    let paths = format!("paths = [{}]", "\"/a\",".repeat(499));
    refused(
        "paths = [\"/user\", \"/repos/**\"]",
        &paths,
        "capabilities.egress[2].paths[0]",
        "500",
    );
    let streams = "[[streams]]\nname = \"x\"\n".repeat(200);
    let error = Manifest::parse(&format!("{FULL}\n{streams}")).unwrap_err();
    assert_eq!(error.path, "streams");
    let error = Manifest::parse(&format!("{FULL}#{}", " ".repeat(1 << 20))).unwrap_err();
    assert!(error.message.contains("1 MiB"), "{error}");
    let error = Manifest::parse(&format!("x = {}", "[".repeat(10_000))).unwrap_err();
    assert!(error.message.contains("TOML"), "{error}");
}

#[test]
fn a_placeholder_is_kept_until_a_connection_fills_it_in() {
    let manifest = full();
    let rule = manifest.capabilities.egress.last().unwrap();
    assert_eq!(rule.to_string(), "GET https://${config.host}/**");
    let target = Target {
        scheme: Scheme::Https,
        host: "acme.corp.example",
        port: 8443,
        method: "GET",
        path: "/x",
    };
    assert!(!rule.permits(&target));
    let config = serde_json::json!({ "host": "acme.corp.example:8443" });
    assert!(rule.expand(&config).unwrap().permits(&target));
    let origin = manifest.auth("basic").unwrap().origins[0]
        .expand(&config)
        .unwrap();
    assert!(origin.permits(&target));
    assert!(!origin.permits(&Target { port: 443, ..target }));
}

proptest! {
    /// Any one character of the manifest replaced by another gives a manifest or an error with a place within the text.
    #[test]
    fn a_changed_character_gives_a_place(at in 0..FULL.len(), with in prop_oneof![Just('"'), Just('['), Just('\n'), Just('ä'), Just('x'), Just('=')]) {
        let text: String = FULL.char_indices().map(|(place, c)| if place == at { with } else { c }).collect();
        if let Err(error) = Manifest::parse(&text) {
            prop_assert!(error.line as usize <= text.lines().count() + 1);
            prop_assert!(error.line > 0 && error.column > 0);
        }
    }

    #[test]
    fn nonsense_never_panics(text in "[a-z=\\[\\]{}\"\n.]{0,80}") {
        let _ = Manifest::parse(&text);
    }
}

#[test]
fn migrations_go_from_one_format_to_the_next() {
    let with = |more: &str| FULL.replacen("licence = ", &format!("{more}\nlicence = "), 1);
    let read = |state: &str, tables: &str| Manifest::parse(&format!("{}\n{tables}", with(state)));
    let manifest = read(
        "state_version = 3",
        "[[migrations]]\nfrom = 2\nreason = \"b\"\n[[migrations]]\nfrom = 1\nreason = \"a\"\n\
         config = [{ rename = { from = \"repo\", to = \"repository\" } }]\n\
         storage = [{ rename = \"etag/\", to = \"etags/\" }, { remove = \"tmp/\" }]\n",
    )
    .unwrap();
    assert_eq!(manifest.state_version, 3);
    let first = &manifest.migrations[0];
    assert_eq!((first.from, first.reason.as_str()), (1, "a"));
    assert_eq!(first.config[0]["rename"]["to"], "repository");
    assert_eq!(first.storage[1], StorageStep::Remove("tmp/".to_owned()));
    for (tables, path) in [
        ("from = 3\nreason = \"x\"", "migrations[0].from"),
        ("from = 0\nreason = \"x\"", "migrations[0].from"),
        ("from = 1", "migrations[0].reason"),
        ("from = 1\nreason = \"x\"\nconfig = {}", "migrations[0].config"),
        (
            "from = 1\nreason = \"x\"\nstorage = [{ rename = \"a\" }]",
            "migrations[0].storage[0].to",
        ),
        (
            "from = 1\nreason = \"x\"\nstorage = [{ remove = \"\" }]",
            "migrations[0].storage[0].remove",
        ),
        (
            "from = 1\nreason = \"x\"\nstorage = [{ remove = \"a\", to = \"b\" }]",
            "migrations[0].storage[0]",
        ),
        (
            "from = 1\nreason = \"x\"\n[[migrations]]\nfrom = 1\nreason = \"y\"",
            "migrations[1]",
        ),
    ] {
        let error = read("state_version = 3", &format!("[[migrations]]\n{tables}")).unwrap_err();
        assert_eq!(error.path, path, "{tables}: {error}");
    }
}
