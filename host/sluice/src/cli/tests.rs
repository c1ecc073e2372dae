use clap::{CommandFactory, Parser};

use super::exit::ALL;
use super::failure::Failure;
use super::output::{clean, render};
use super::{Cli, Exit, run};

fn exit(line: &[&str]) -> Exit {
    run(std::iter::once("sluice")
        .chain(line.iter().copied())
        .map(Into::into))
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// The commands that the operators' pages name are there.
#[test]
fn the_commands_in_the_documentation_are_right() {
    let pages = [
        include_str!("../../../../docs/operator/keys.md"),
        include_str!("../../../../docs/operator/endpoints.md"),
        include_str!("../../../../docs/operator/events.md"),
        include_str!("../../../../docs/operator/versions.md"),
    ];
    let lines = pages.iter().flat_map(|page| page.lines());
    let commands = lines.filter_map(|line| line.trim().strip_prefix("sluice "));
    let mut found = 0;
    for command in commands {
        let (command, _) = command.split_once(" < ").unwrap_or((command, ""));
        // What is quoted is one word; which one does not matter here.
        let quoted = command.split('\'').enumerate();
        let command: String = quoted
            .map(|(place, part)| if place.is_multiple_of(2) { part } else { "x" })
            .collect();
        let words = std::iter::once("sluice").chain(command.split(' '));
        assert!(Cli::try_parse_from(words).is_ok(), "{command}");
        found += 1;
    }
    assert!(found >= 5, "{found}");
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    for line in [
        &["no-such-command"][..],
        &["connection", "create"],
        &["connection", "sync"],
        &[
            "connection",
            "create",
            "a",
            "--connector",
            "b",
            "--no-secret",
            "--secret-from-stdin",
        ],
        &["serve", "--listen", "nowhere"],
        &["serve", "--config", "/no/such/file"],
        &["serve", "--listen", "0.0.0.0:0"],
        &["help", "no-such-topic"],
        &["--server", "ftp://x", "key", "list"],
        &["--server", "http://127.0.0.1:1/path", "key", "list"],
    ] {
        assert_eq!(exit(line), Exit::Usage, "{line:?}");
    }
}

#[test]
fn what_needs_no_server_works_without_one() {
    for line in [
        &["version"][..],
        &["--json", "version"],
        &["--help"],
        &["help"],
        &["help", "connection", "sync"],
        &["help", "exit-codes"],
        &["explain"],
        &["explain", "egress.denied"],
        &["explain", "SLU-2001", "--json"],
        &["completion", "bash"],
        &["serve", "--print-config"],
    ] {
        assert_eq!(exit(line), Exit::Ok, "{line:?}");
    }
    assert_eq!(exit(&["explain", "no.such.code"]), Exit::NotFound);
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    // Port 1 of this machine is nobody's.
    assert_eq!(
        exit(&["--server", "http://127.0.0.1:1", "connection", "list"]),
        Exit::Unreachable
    );
}

#[test]
fn answers_become_exit_codes() {
    let problem = |code: &str| {
        format!(r#"{{"code":"{code}","detail":"d","hint":"h","request_id":"req_1","retryable":true}}"#)
    };
    for (status, code, expected) in [
        (400, "request.body", Exit::Usage),
        (401, "auth.key", Exit::Denied),
        (403, "egress.denied", Exit::Denied),
        (404, "run.not_found", Exit::NotFound),
        (409, "package.approval_needed", Exit::Approval),
        (409, "connection.state", Exit::Failed),
        (504, "egress.timeout", Exit::Pending),
        (500, "internal", Exit::Failed),
    ] {
        let failure = Failure::of_answer(status, problem(code).as_bytes());
        assert_eq!((failure.exit, failure.code.as_deref()), (expected, Some(code)));
        assert!(failure.retryable);
    }
    assert_eq!(Failure::of_answer(502, b"<html>").exit, Exit::Failed);
}

#[test]
fn a_failure_reads_like_the_manual_says() {
    let mut failure = Failure::new(Exit::Denied, "github may not talk to \u{1b}[2Juploads.github.com")
        .fact("run", "run_01J9")
        .hint("ask an admin");
    failure.code = Some("egress.denied".to_owned());
    let text = anstream::adapter::strip_str(&render(&failure)).to_string();
    let expected = "error[SLU-2001]: github may not talk to \u{fffd}[2Juploads.github.com\n\
                    \x20 run    run_01J9\n\
                    \x20 hint   ask an admin\n\
                    \x20 more   sluice explain SLU-2001\n";
    assert_eq!(text, expected);
    let json = failure.to_json();
    assert_eq!(json["error"]["code"], "egress.denied");
    assert_eq!(json["error"]["docs"], "sluice explain SLU-2001");
}

#[test]
fn exit_codes_are_those_of_the_manual() {
    let codes: Vec<u8> = ALL.iter().map(|(exit, _)| *exit as u8).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 130]);
    for code in codes {
        assert!(super::exit::page().contains(&format!("{code:>3}  ")));
    }
}

#[test]
fn nothing_from_outside_moves_the_cursor() {
    assert_eq!(
        clean("a\u{1b}[31mb\u{202e}c\n"),
        "a\u{fffd}[31mb\u{fffd}c\u{fffd}"
    );
}

/// Regenerate with `SLUICE_UPDATE_OPENAPI=1 cargo test -p sluice openapi` or `sluice openapi`.
#[test]
fn the_openapi_document_is_the_one_checked_in() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let now = super::api_document().unwrap();
    if std::env::var_os("SLUICE_UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        kept, now,
        "the API changed: regenerate openapi.json and look at the difference"
    );
}
