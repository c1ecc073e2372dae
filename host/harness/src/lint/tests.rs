use super::*;

const GOOD: &str = r#"manifest = 1
id = "acme"
version = "0.1.0"
contract = "0.1"
name = "Acme"
description = "Reads things."
category = "productivity"
licence = "Apache-2.0"
[[capabilities.egress]]
host = "api.acme.example"
methods = ["GET"]
paths = ["/things"]
reason = "reads the things"
[[auth]]
name = "token"
title = "Token"
scheme = "bearer"
origins = ["https://api.acme.example"]
[[streams]]
name = "things"
title = "Things"
primary_key = ["id"]
cursor = "opaque"
cursor_version = 1
modes = ["full"]
[streams.schema]
type = "object"
required = ["id"]
[streams.schema.properties]
id = { type = "integer" }
title = { type = "string" }
"#;

fn found(manifest: &str) -> Vec<Finding> {
    lint(&Draft {
        manifest,
        component_bytes: 1 << 20,
        ..Draft::default()
    })
}

/// With `from` changed to `to`, exactly these codes are found.
fn check(from: &str, to: &str, expected: &[&str]) {
    assert!(GOOD.contains(from), "{from}");
    let findings = found(&GOOD.replacen(from, to, 1));
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, expected, "{from} -> {to}: {findings:?}");
    assert!(codes.iter().all(|code| Finding::CODES.contains(code)));
}

#[test]
fn nothing_is_said_of_a_manifest_that_asks_for_what_it_needs() {
    assert_eq!(found(GOOD), []);
}

#[test]
fn rights_that_are_too_wide_are_told() {
    check("host = \"api", "host = \"*", &["check.wide_host"]);
    check("[\"/things\"]", "[\"/**\"]", &["check.wide_paths"]);
    check("reason = \"reads the things\"\n", "", &["check.no_reason"]);
    let all = r#"["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]"#;
    check("[\"GET\"]", all, &["check.wide_methods"]);
    let plain = GOOD
        .replace("host = \"api", "scheme = \"http\"\nhost = \"api")
        .replace("https:", "http:");
    let codes: Vec<_> = found(&plain).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["check.plain_http"]);
    check(
        "[[auth]]",
        "[capabilities.limits]\nmemory_bytes = 1073741824\n[[auth]]",
        &["check.most_there_is"],
    );
}

#[test]
fn what_says_nothing_is_told() {
    check("title = { type = \"string\" }\n", "", &["check.schema"]);
    check("required = [\"id\"]\n", "", &["check.key"]);
    check("type = \"integer\"", "type = \"thing\"", &["check.schema"]);
    check("contract = \"0.1\"", "contract = \"0.9\"", &["check.contract"]);
    let streams = GOOD.find("[[streams]]").unwrap();
    let codes: Vec<_> = found(&GOOD[..streams])
        .iter()
        .map(|finding| finding.code)
        .collect();
    assert_eq!(codes, ["check.nothing"]);
}

#[test]
fn a_finding_names_its_place() {
    let findings = found(&GOOD.replace("[\"/things\"]", "[\"/**\"]"));
    assert_eq!(findings[0].at, Some((10, 8)));
    let findings = found(&GOOD.replace("methods = [\"GET\"]", "methods = [\"FETCH\"]"));
    assert_eq!(
        (findings[0].code, findings[0].at.map(|at| at.0)),
        ("check.manifest", Some(11))
    );
}

#[test]
fn a_file_that_is_no_component_is_refused_in_words() {
    let findings = lint(&Draft {
        manifest: GOOD,
        component: Some(b"\0asm\x01\0\0\0"),
        component_bytes: 1 << 20,
        missing: &["README.md"],
    });
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["check.component", "check.missing_file"]);
}
