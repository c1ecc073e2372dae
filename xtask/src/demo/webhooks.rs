//! The vendor's side of a webhook: somebody closes issues at GitHub, and GitHub tells about each. The demo sends what GitHub would,
//! with the signature that GitHub would make, then everything once more, then everything with one byte changed.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::NAME;
use super::http::{self, Answer};
use super::stage::Stage;
use crate::stand_in::{REPOSITORY, TOKEN};

/// Issues that are closed.
pub(super) const COUNT: u64 = 20;
/// Handling one takes milliseconds; the first try is not always the last.
const HANDLED_WITHIN: Duration = Duration::from_secs(60);

/// The address at which webhooks arrive, with what is needed to play its sender.
pub(super) struct Hook {
    pub(super) id: String,
    path: String,
    server: SocketAddr,
    key: String,
}

/// What the server answered to each of three rounds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) accepted: u64,
    pub(super) known: u64,
    pub(super) refused: u64,
}

impl Hook {
    /// Of what the command line answered when the hook was made.
    pub(super) fn of(stage: &Stage, created: &Value) -> Result<Self> {
        let text = |name: &str| created.get(name).and_then(Value::as_str).map(str::to_owned);
        let id = text("id").context("the new hook has no id")?;
        Ok(Self {
            path: format!("/hooks/{id}"),
            id,
            server: stage.server_address,
            key: read_key(&stage.key_file())?,
        })
    }

    /// Sends all three rounds.
    pub(super) fn send_all(&self, stage: &Stage) -> Result<Told> {
        let mut told = Told::default();
        for number in 1..=COUNT {
            let body = closed(stage, number)?;
            let headers = self.signed(number, &body)?;
            let first = self.deliver(&headers, &body)?;
            told.accepted += u64::from(is_new(&first)?);
            let again = self.deliver(&headers, &body)?;
            told.known += u64::from(again.status == 200 && !is_new(&again)?);
            let forged = self.deliver(&headers, &with_one_byte_changed(body))?;
            told.refused += u64::from(forged.status == 401);
        }
        Ok(told)
    }

    /// Waits until the connector has handled what was accepted.
    pub(super) fn wait_until_handled(&self) -> Result<()> {
        let deadline = Instant::now() + HANDLED_WITHIN;
        loop {
            let receipts = self.ask(
                "GET",
                &format!("/api/v1/hooks/{}/receipts?limit=1000", self.id),
                b"",
            )?;
            let items = receipts
                .get("items")
                .and_then(Value::as_array)
                .context("the receipts are no list")?;
            let handled = items
                .iter()
                .filter(|item| item.get("state").and_then(Value::as_str) == Some("handled"));
            if handled.count() as u64 >= COUNT {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("not every webhook was handled: {receipts}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Each webhook became one event, and the record says what the last one said.
    pub(super) fn check(&self, stage: &Stage) -> Result<()> {
        let events = self.ask("GET", "/api/v1/events?kind=github.issues.closed&limit=1000", b"")?;
        let count = events.get("items").and_then(Value::as_array).map_or(0, Vec::len);
        if count as u64 != COUNT {
            bail!("{COUNT} webhooks should be as many events, and there are {count}");
        }
        let id = issue(stage, COUNT)?
            .get("id")
            .cloned()
            .context("the issue has no id")?;
        let record = self.ask(
            "GET",
            &format!("/api/v1/connections/{NAME}/records/issues/{id}"),
            b"",
        )?;
        if record.pointer("/data/state").and_then(Value::as_str) != Some("closed") {
            bail!("the record of issue {COUNT} does not say that it was closed: {record}");
        }
        Ok(())
    }

    /// The headers that GitHub sends with this body. The signature is made by the server, which has the hook's secret; at GitHub
    /// the same secret was entered when the webhook was set up.
    fn signed(&self, number: u64, body: &[u8]) -> Result<Vec<(String, String)>> {
        let signature = self.ask("POST", &format!("/api/v1/hooks/{}/sign", self.id), body)?;
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), "GitHub-Hookshot/demo".to_owned()),
            ("x-github-event".to_owned(), "issues".to_owned()),
            (
                "x-github-delivery".to_owned(),
                format!("72d3162e-cc78-11e3-81ab-{number:012x}"),
            ),
        ];
        for header in signature
            .get("headers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let text = |name: &str| {
                header
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            headers.push((text("name"), text("value")));
        }
        Ok(headers)
    }

    fn deliver(&self, headers: &[(String, String)], body: &[u8]) -> Result<Answer> {
        http::send(self.server, "POST", &self.path, headers, body)
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<Value> {
        let headers = [
            ("authorization".to_owned(), format!("Bearer {}", self.key)),
            ("content-type".to_owned(), "application/octet-stream".to_owned()),
        ];
        let answer = http::send(self.server, method, path, &headers, body)?;
        if answer.status >= 300 {
            bail!(
                "{method} {path}: {} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
        answer.json()
    }
}

/// The issue as the stand-in has it.
fn issue(stage: &Stage, number: u64) -> Result<Value> {
    let path = format!("/repos/{REPOSITORY}/issues/{number}");
    let token = [("authorization".to_owned(), format!("token {TOKEN}"))];
    let answer = http::send(stage.vendor.http, "GET", &path, &token, b"")?;
    if answer.status != 200 {
        bail!("the stand-in has no issue {number}: {}", answer.status);
    }
    answer.json()
}

/// What GitHub sends when the issue is closed: the issue, changed as closing changes it.
fn closed(stage: &Stage, number: u64) -> Result<Vec<u8>> {
    let mut issue = issue(stage, number)?;
    for (name, value) in [
        ("state", "closed"),
        ("closed_at", "2026-01-01T12:00:00Z"),
        ("updated_at", "2026-01-01T12:00:00Z"),
    ] {
        if let Some(field) = issue.get_mut(name) {
            *field = json!(value);
        }
    }
    let payload = json!({
        "action": "closed",
        "issue": issue,
        "repository": { "id": 31, "full_name": REPOSITORY, "default_branch": "main" },
        "sender": { "login": "mona", "id": 4711 },
    });
    Ok(payload.to_string().into_bytes())
}

fn is_new(answer: &Answer) -> Result<bool> {
    if answer.status != 200 {
        bail!(
            "a signed webhook was answered with {}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
    }
    Ok(answer.json()?.get("duplicate").and_then(Value::as_bool) == Some(false))
}

/// Still JSON, and still the same length: only the signature can tell.
fn with_one_byte_changed(mut body: Vec<u8>) -> Vec<u8> {
    if let Some(byte) = body.iter_mut().find(|byte| byte.is_ascii_digit()) {
        *byte = if *byte == b'1' { b'2' } else { b'1' };
    }
    body
}

fn read_key(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::with_one_byte_changed;

    #[test]
    fn one_byte_changes_and_it_stays_json() {
        let body = br#"{"id":31}"#.to_vec();
        let changed = with_one_byte_changed(body.clone());
        assert_eq!(body.iter().zip(&changed).filter(|(a, b)| a != b).count(), 1);
        assert!(serde_json::from_slice::<serde_json::Value>(&changed).is_ok());
    }
}
