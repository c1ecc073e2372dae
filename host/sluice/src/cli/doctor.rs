//! `sluice doctor`: looks for what commonly keeps things from working, one line for each.

use serde_json::{Value, json};

use super::client::{Body, Client};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::{Global, context};

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    ok: bool,
    said: String,
}

/// How a rotation of the master key stands. One that is under way is no problem.
fn master(keys: &Value) -> Result<String, Failure> {
    let number = |name| keys.get(name).and_then(Value::as_u64).unwrap_or(0);
    if number("unreadable") > 0 {
        let said = format!(
            "{} organization keys open under no master key",
            number("unreadable")
        );
        return Err(Failure::new(Exit::Failed, said)
            .hint("give the key that is missing in data.previous_master_keys, or restore a backup"));
    }
    Ok(match (number("left"), number("previous")) {
        (0, 0) => "everything is under it".to_owned(),
        (0, _) => "everything is under it: data.previous_master_keys can be removed".to_owned(),
        (left, _) => {
            format!("{left} keys are still under a previous one, which is needed until they are not")
        }
    })
}

pub(super) async fn run(global: &Global, output: &Output) -> Result<Exit, Failure> {
    let mut findings = Vec::new();
    let mut find = |what, result: Result<String, Failure>| {
        let ok = result.is_ok();
        let said = result.unwrap_or_else(|failure| match failure.hint {
            Some(hint) => format!("{} ({hint})", failure.message),
            None => failure.message,
        });
        findings.push(Finding { what, ok, said });
        ok
    };
    find(
        "context",
        context::load().map(|context| context.server.unwrap_or_else(|| "none remembered".to_owned())),
    );
    let client = Client::new(global);
    match client {
        Err(failure) => {
            find("settings", Err(failure));
        }
        Ok(client) => {
            let live = client
                .exchange(http::Method::GET, "/health/live", Body::None)
                .await;
            let reached = find(
                "server",
                live.map(|answer| format!("{} answers {}", client.server, answer.status)),
            );
            if reached {
                find(
                    "ready",
                    client
                        .get("/health/ready")
                        .await
                        .map(|_| "the database answers".to_owned()),
                );
                find(
                    "api key",
                    client.get("/api/v1/keys").await.map(|_| "accepted".to_owned()),
                );
                find(
                    "master key",
                    client
                        .get("/api/v1/keys/master")
                        .await
                        .and_then(|keys| master(&keys)),
                );
            }
        }
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    find(
        "descriptors",
        match limit {
            Some(limit) if limit < 1024 => Err(Failure::new(
                Exit::Failed,
                format!("{limit} file descriptors are few"),
            )
            .hint("ulimit -n 4096")),
            other => Ok(other.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())),
        },
    );
    let all_well = findings.iter().all(|finding| finding.ok);
    if output.json {
        let list: Vec<_> = findings
            .iter()
            .map(|f| json!({"what": f.what, "ok": f.ok, "said": f.said}))
            .collect();
        output.show(&json!({ "ok": all_well, "findings": list }), |_| {});
    } else {
        let sign = |ok| if ok { "ok" } else { "problem" }.to_owned();
        let rows = findings
            .iter()
            .map(|finding| [finding.what.to_owned(), sign(finding.ok), finding.said.clone()]);
        output.table(["what", "", "said"], rows);
    }
    Ok(if all_well { Exit::Ok } else { Exit::Findings })
}
