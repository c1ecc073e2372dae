//! The journey to a credential on the command line: a browser that is opened and waited for, a code to be typed, or a link to
//! be passed on. Ctrl-C leaves; the link stays good until it expires.

use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::client::{Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, text};

/// How to come by the credential.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Journey {
    /// Show a code to type at the vendor instead of opening a browser
    #[arg(long, conflicts_with = "link")]
    device: bool,
    /// Print a link for somebody else to follow, and do not wait
    #[arg(long)]
    link: bool,
    /// Hours that the link is good for
    #[arg(long, value_name = "HOURS", requires = "link", value_parser = clap::value_parser!(u32).range(1..=168))]
    valid_for: Option<u32>,
    /// Do not open a browser, only print the address
    #[arg(long)]
    no_browser: bool,
    /// Take another account than the connected one
    #[arg(long)]
    any_account: bool,
    /// Ask for this scope; several are allowed
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
}

/// An auth scheme as the API describes it.
#[derive(Debug, Default)]
pub(super) struct Scheme {
    pub(super) name: String,
    /// Empty where a person gives the credential.
    pub(super) flows: Vec<String>,
    /// Name and title of what a person gives, with whether it is secret and whether it may be left out.
    pub(super) parts: Vec<(String, String, bool, bool)>,
}

/// The scheme of a connector that `wanted` names, or its first; none where it has none.
pub(super) async fn scheme(
    client: &Client,
    connector: &str,
    wanted: Option<&str>,
) -> Result<Option<Scheme>, Failure> {
    // An install's id does not name a connector; its detail has the same shape.
    let place = if connector.starts_with("ins_") {
        "installs"
    } else {
        "connectors"
    };
    let found = client
        .get(&format!("/api/v1/{place}/{}", segment(connector)))
        .await?;
    let listed = ["/connector/auth", "/auth"]
        .into_iter()
        .find_map(|at| found.pointer(at)?.as_array().cloned())
        .unwrap_or_default();
    let chosen = match wanted {
        Some(wanted) => listed.iter().find(|scheme| text(scheme, "name") == wanted),
        None => listed.first(),
    };
    let flag = |part: &Value, name: &str| part.get(name).and_then(Value::as_bool).unwrap_or(false);
    let each = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    Ok(chosen.map(|scheme| Scheme {
        name: text(scheme, "name"),
        flows: each(scheme, "flows")
            .iter()
            .filter_map(|flow| flow.as_str().map(str::to_owned))
            .collect(),
        parts: each(scheme, "parts")
            .iter()
            .map(|part| {
                let title = text(part, "title");
                (
                    text(part, "name"),
                    title,
                    flag(part, "secret"),
                    flag(part, "optional"),
                )
            })
            .collect(),
    }))
}

impl Journey {
    /// Walks it for a connection; `auth` is the scheme.
    pub(super) async fn run(
        self,
        client: &Client,
        output: &Output,
        connection: &Value,
        scheme: &Scheme,
    ) -> Result<Exit, Failure> {
        let base = format!(
            "/api/v1/connections/{}/authorizations",
            segment(&text(connection, "id"))
        );
        let name = text(connection, "name");
        let alone = ["client-credentials", "jwt-bearer"];
        let asks_nobody = scheme
            .flows
            .first()
            .is_some_and(|flow| alone.contains(&flow.as_str()));
        // Only a browser of this machine can come back to it.
        let waits = !self.link && !self.device && !asks_nobody && output.may_ask && !self.no_browser;
        let listener = if waits {
            TcpListener::bind(("127.0.0.1", 0)).await.ok()
        } else {
            None
        };
        let back = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let mut asked = Map::new();
        asked.insert("auth".to_owned(), json!(scheme.name));
        asked.insert("any_account".to_owned(), json!(self.any_account));
        if let Some(back) = back {
            asked.insert("return_to".to_owned(), json!(format!("http://{back}/")));
        }
        if self.device {
            asked.insert("grant".to_owned(), json!("device-code"));
        }
        if !self.scopes.is_empty() {
            asked.insert("scopes".to_owned(), json!(self.scopes));
        }
        if let Some(hours) = self.valid_for {
            asked.insert("lifetime_s".to_owned(), json!(u64::from(hours) * 3600));
        }
        let begun = client.post(&base, Value::Object(asked)).await?;
        let status = format!("{base}/{}", segment(&text(&begun, "id")));
        match text(&begun, "kind").as_str() {
            "done" => return connected(client, output, &name, connection).await,
            "device" => {
                output.note(&format!("open {}", text(&begun, "verification_uri")));
                output.note(&format!("and type {}", text(&begun, "user_code")));
            }
            _ if self.link => {
                output.show(&begun, |output| {
                    output.note(&format!("good once, until {}:", text(&begun, "expires")));
                    output.line(&text(&begun, "url"));
                });
                return Ok(Exit::Ok);
            }
            _ => {
                let url = text(&begun, "url");
                let opened = waits && open::that_detached(&url).is_ok();
                output.note(if opened {
                    "a browser was opened; if it was not, open"
                } else {
                    "open"
                });
                output.note(&format!("  {url}"));
            }
        }
        let interval = begun
            .get("interval_s")
            .and_then(Value::as_u64)
            .unwrap_or(2)
            .clamp(1, 60);
        let end = wait(client, &status, listener, Duration::from_secs(interval)).await?;
        match text(&end, "step").as_str() {
            "done" => connected(client, output, &name, connection).await,
            _ => {
                let message = text(&end, "error.message");
                let mut failure = Failure::new(Exit::Failed, format!("{name} is not connected: {message}"));
                failure.code = Some(text(&end, "error.code")).filter(|code| !code.is_empty());
                failure.hint = failure
                    .code
                    .as_deref()
                    .and_then(crate::explain::find)
                    .map(|entry| entry.next.to_owned());
                Err(failure)
            }
        }
    }
}

/// Asks how it stands until it is over: at the vendor's interval, and at once when the browser has come back.
async fn wait(
    client: &Client,
    status: &str,
    listener: Option<TcpListener>,
    interval: Duration,
) -> Result<Value, Failure> {
    loop {
        let now = client.get(status).await?;
        if matches!(text(&now, "step").as_str(), "done" | "failed") {
            return Ok(now);
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = come_back(listener.as_ref()) => {}
            pressed = tokio::signal::ctrl_c() => {
                drop(pressed);
                return Err(Failure::new(Exit::Interrupted, "not waited for; the link stays good until it expires"));
            }
        }
    }
}

/// Answers the browser that comes back.
async fn come_back(listener: Option<&TcpListener>) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let Ok((mut browser, _)) = listener.accept().await else {
        return;
    };
    let mut head = [0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(5), browser.read(&mut head)).await;
    let good = matches!(read, Ok(Ok(count)) if head.get(..count).is_some_and(|head| {
        String::from_utf8_lossy(head).lines().next().is_some_and(|line| line.contains("outcome=ok"))
    }));
    let said = if good {
        "Connected."
    } else {
        "Not connected; the terminal says why."
    };
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Sluice</title><p>{said} You can close this page.</p>"
    );
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
        page.len()
    );
    drop(browser.write_all(answer.as_bytes()).await);
}

async fn connected(
    client: &Client,
    output: &Output,
    name: &str,
    connection: &Value,
) -> Result<Exit, Failure> {
    let now = client
        .get(&format!(
            "/api/v1/connections/{}",
            segment(&text(connection, "id"))
        ))
        .await?;
    output.show(&now, |output| {
        let who = text(&now, "account.name");
        output.line(&text(&now, "id"));
        output.done(&format!(
            "{name} is connected{}{who}",
            if who.is_empty() { "" } else { " as " }
        ));
    });
    Ok(Exit::Ok)
}
