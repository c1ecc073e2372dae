use proptest::prelude::*;

use super::*;
use crate::capability::{Scheme, Target};
use crate::signature::{Encoding, Form};

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
    assert_eq!(
        manifest.capabilities.limits.call_time,
        std::time::Duration::from_secs(20)
    );
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
    let hooks = manifest.webhook("events").unwrap();
    assert_eq!(hooks.dedupe, Dedupe::Header("x-acme-delivery".into()));
    assert!(hooks.recipe.is_signed());
    let Recipe::Hmac(stamped) = &manifest.webhook("stamped").unwrap().recipe else {
        panic!()
    };
    assert_eq!(
        stamped.form,
        Form::Fields {
            separator: ',',
            signature: "v1".into()
        }
    );
    let Recipe::Hmac(list) = &manifest.webhook("listed").unwrap().recipe else {
        panic!()
    };
    assert_eq!(
        list.form,
        Form::Values {
            prefix: "v1,".into(),
            separator: Some(' ')
        }
    );
    assert_eq!(list.secret.encoding, Some(Encoding::Base64));
    assert_eq!(
        manifest.webhook("open").unwrap().recipe,
        Recipe::Unsigned {
            reason: "the vendor signs nothing".into()
        }
    );
    assert!(manifest.action("create_issue").unwrap().input["properties"]["title"].is_object());
    assert_eq!(manifest.rate[0].burst, 20);
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
fn bad_values_are_refused_where_they_stand() {
    let wide = "host = \"api.acme.example\"";
    for (from, to, path, words) in [
        ("manifest = 1", "manifest = 2", "manifest", "manifest = 1"),
        ("manifest = 1\n", "", "manifest", "missing"),
        ("id = \"acme\"", "id = \"Acme\"", "id", "lower-case"),
        ("id = \"acme\"", "id = \"аcme\"", "id", "lower-case"),
        ("id = \"acme\"", "id = 5", "id", "is a whole number, not a text"),
        ("version = \"1.2.0\"", "version = \"1.2\"", "version", "semantic"),
        ("contract = \"0.1\"", "contract = \"1\"", "contract", "contract"),
        ("name = \"Acme\"", "name = \"Ac\\u202Eme\"", "name", "U+202E"),
        ("name = \"Acme\"", "name = \"Ac\\u001B[31mme\"", "name", "U+001B"),
        ("name = \"Acme\"", "name = \"Ac\\u200Bme\"", "name", "U+200B"),
        ("name = \"Acme\"", "name = \"Ac\\nme\"", "name", "U+000A"),
        ("name = \"Acme\"", "name = \" \"", "name", "empty"),
        (
            "https://acme.example\"",
            "javascript:alert(1)\"",
            "links.website",
            "https",
        ),
        (
            "https://acme.example\"",
            "https://acme.example/\\\"><b>\"",
            "links.website",
            "https",
        ),
        ("licence = \"Apache-2.0\"", "licence = \"<b>\"", "licence", "SPDX"),
        (
            "storage_bytes = 1_048_576",
            "storage_bytes = -1",
            "capabilities.storage_bytes",
            "between",
        ),
        (
            "storage_bytes = 1_048_576",
            "storage_bytes = 9_999_999_999_999",
            "capabilities.storage_bytes",
            "between",
        ),
        (
            "storage_bytes = 1_048_576",
            "storage_bytes = 1.5",
            "capabilities.storage_bytes",
            "whole number",
        ),
        (
            "memory_bytes = 33_554_432",
            "memory_bytes = 99_999_999_999",
            "capabilities.limits.memory_bytes",
            "between",
        ),
        (
            "memory_bytes = 33_554_432",
            "memory_bytes = 0",
            "capabilities.limits.memory_bytes",
            "between",
        ),
        (
            "call_time_ms = 20_000",
            "call_time_ms = 3_600_000",
            "capabilities.limits.call_time_ms",
            "between",
        ),
        (
            wide,
            "host = \"*.com\"",
            "capabilities.egress[0].host",
            "top-level",
        ),
        (
            wide,
            "host = \"*acme.example\"",
            "capabilities.egress[0].host",
            "`*`",
        ),
        (
            wide,
            "host = \"acme.example:443\"",
            "capabilities.egress[0].host",
            "port",
        ),
        (
            wide,
            "host = \"${config.hots}\"",
            "capabilities.egress[0].host",
            "no property",
        ),
        (
            wide,
            "host = \"${config.depth}\"",
            "capabilities.egress[0].host",
            "not \"string\"",
        ),
        (
            wide,
            "host = \"api.acme.example\"\nport = 0",
            "capabilities.egress[0].port",
            "between 1",
        ),
        (
            wide,
            "host = \"api.acme.example\"\nscheme = \"ftp\"",
            "capabilities.egress[0].scheme",
            "can only be",
        ),
        (
            "methods = [\"GET\"]",
            "methods = []",
            "capabilities.egress[0].methods",
            "empty",
        ),
        (
            "methods = [\"GET\"]",
            "methods = [\"GET\", \"get\"]",
            "capabilities.egress[0].methods[1]",
            "not one of",
        ),
        (
            "methods = [\"GET\"]",
            "methods = [\"CONNECT\"]",
            "capabilities.egress[0].methods[0]",
            "not one of",
        ),
        (
            "\"/repos/**\"]",
            "\"/a/../b\"]",
            "capabilities.egress[0].paths[1]",
            "segment",
        ),
        (
            "\"/repos/**\"]",
            "\"repos\"]",
            "capabilities.egress[0].paths[1]",
            "begin",
        ),
        (
            "reason = \"deletes what you delete\"",
            "",
            "capabilities.egress[1].reason",
            "optional",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = [\"https://evil.example\"]",
            "auth[0].origins[0]",
            "within",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = [\"http://api.acme.example\"]",
            "auth[0].origins[0]",
            "within",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = [\"https://*.acme.example\"]",
            "auth[0].origins[0]",
            "within",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = [\"https://api.acme.example/x\"]",
            "auth[0].origins[0]",
            "path",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = [\"api.acme.example\"]",
            "auth[0].origins[0]",
            "https://",
        ),
        (
            "origins = [\"https://api.acme.example\"]",
            "origins = []",
            "auth[0].origins",
            "empty",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"oauth2\"",
            "auth[0].scheme",
            "unsupported scheme `oauth2`",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"bearer\"\nheader = \"x\"",
            "auth[0].header",
            "does not belong",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"header\"\nheader = \"Host\"",
            "auth[0].header",
            "lower case",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"header\"\nheader = \"host\"",
            "auth[0].header",
            "itself",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"header\"\nheader = \"x\"\nprefix = \"a\\r\\nb\"",
            "auth[0].prefix",
            "character",
        ),
        (
            "scheme = \"bearer\"",
            "scheme = \"basic\"\nusername = \"a:b\"",
            "auth[0].username",
            "colon",
        ),
        ("name = \"basic\"", "name = \"token\"", "auth[1]", "second"),
        (
            "primary_key = [\"id\"]",
            "primary_key = [\"ident\"]",
            "streams[0].primary_key[0]",
            "no property",
        ),
        (
            "cursor = \"timestamp\"",
            "cursor = \"none\"",
            "streams[0].modes[1]",
            "cursor",
        ),
        (
            "cursor = \"timestamp\"",
            "cursor = \"date\"",
            "streams[0].cursor",
            "can only be",
        ),
        (
            "name = \"issues\"",
            "name = \"Issues\"",
            "streams[0].name",
            "not a name",
        ),
        (
            "kind = \"issues.*\"",
            "kind = \"iss*es\"",
            "webhooks[0].events[0].kind",
            "kind of event",
        ),
        (
            "dedupe = { header",
            "dedupe = { pointer",
            "webhooks[0].dedupe.pointer",
            "pointer",
        ),
        (
            "dedupe = { pointer = \"/id\" }",
            "dedupe = { pointer = \"/~2\" }",
            "webhooks[1].dedupe.pointer",
            "pointer",
        ),
        (
            "dedupe = { pointer = \"/id\" }",
            "dedupe = { pointer = \"/id\", header = \"x\" }",
            "webhooks[1].dedupe",
            "either",
        ),
        (
            "dedupe = \"body\"",
            "dedupe = \"none\"",
            "webhooks[2].dedupe",
            "neither",
        ),
        ("signature = \"none\"\n", "", "webhooks[3].signature", "missing"),
        (
            "reason = \"the vendor signs nothing\"\n",
            "",
            "webhooks[3].reason",
            "why",
        ),
        (
            "signature = \"none\"",
            "signature = \"hmac\"",
            "webhooks[3].signature",
            "neither",
        ),
        (
            "scheme = \"hmac\"",
            "scheme = \"ed25519\"",
            "webhooks[0].signature.scheme",
            "there is `hmac`",
        ),
        (
            "algorithm = \"sha256\"",
            "algorithm = \"md5\"",
            "webhooks[0].signature.algorithm",
            "can only be",
        ),
        (
            "signed = \"{timestamp}.{body}\"",
            "signed = \"{body}\"",
            "webhooks[1].signature.signed",
            "proves nothing",
        ),
        (
            "signed = \"{timestamp}.{body}\"",
            "signed = \"{timestamp}\"",
            "webhooks[1].signature.signed",
            "exactly once",
        ),
        (
            "timestamp = { field = \"t\" }\n",
            "",
            "webhooks[1].signature.timestamp",
            "missing",
        ),
        (
            "tolerance_s = 300",
            "tolerance_s = 0",
            "webhooks[1].signature.tolerance_s",
            "between 1",
        ),
        (
            "tolerance_s = 300",
            "tolerance_s = 90_000",
            "webhooks[1].signature.tolerance_s",
            "between 1",
        ),
        (
            "signature_field = \"v1\"",
            "list_separator = \",\"",
            "webhooks[1].signature.signature_field",
            "missing",
        ),
        (
            "list_separator = \" \"",
            "list_separator = \"ab\"",
            "webhooks[2].signature.list_separator",
            "one character",
        ),
        (
            "host = \"api.acme.example\"\nper",
            "host = \"evil.example\"\nper",
            "rate[0].host",
            "within",
        ),
        (
            "per_second = 10.0",
            "per_second = 0",
            "rate[0].per_second",
            "above 0",
        ),
        (
            "per_second = 10.0",
            "per_second = nan",
            "rate[0].per_second",
            "above 0",
        ),
        (
            "[config.properties.host]",
            "[config.properties.host]\n\"$ref\" = \"https://evil.example/s.json\"",
            "config.properties.host.\"$ref\"",
            "another document",
        ),
        (
            "[config.properties.host]",
            "[config.properties.host]\ndefault = 2026-01-01",
            "config.properties.host.default",
            "date",
        ),
        (
            "[config.properties.host]",
            "[config.properties.host]\nmaximum = inf",
            "config.properties.host.maximum",
            "JSON",
        ),
    ] {
        refused(from, to, path, words);
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
