//! Replays, for the commands of events and of endpoints.

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, text};
use super::run::pages;

/// Which events.
#[derive(Debug, Args)]
pub(super) struct Window {
    /// Recorded since, as 2026-01-31T12:00:00Z or 2h, 3d
    #[arg(long)]
    since: Option<String>,
    /// Recorded before
    #[arg(long)]
    until: Option<String>,
    /// Only these kinds, as github.push or github.*
    #[arg(long = "event", value_name = "KIND")]
    events: Vec<String>,
    /// Deliveries at most
    #[arg(long)]
    cap: Option<u64>,
    /// Return at once instead of when everything is made due
    #[arg(long)]
    no_wait: bool,
}

/// Begins a replay and, unless told otherwise, waits for its end.
pub(super) async fn begin(
    client: &Client,
    output: &Output,
    endpoint: &str,
    what: &str,
    window: Window,
) -> Result<Exit, Failure> {
    let mut body = json!({ "endpoint": endpoint, "what": what, "events": window.events });
    if let Value::Object(fields) = &mut body {
        for (name, given) in [("since", window.since), ("until", window.until)] {
            if let Some(given) = given {
                fields.insert(name.to_owned(), Value::String(moment(&given)?));
            }
        }
        fields.extend(window.cap.map(|cap| ("cap".to_owned(), cap.into())));
    }
    follow(client, output, body, !window.no_wait).await
}

/// Begins a replay and, where wanted, waits until everything is due.
pub(super) async fn follow(
    client: &Client,
    output: &Output,
    body: Value,
    wait: bool,
) -> Result<Exit, Failure> {
    let mut replay = client.post("/api/v1/replays", body).await?;
    let path = format!("/api/v1/replays/{}", segment(&text(&replay, "id")));
    let drawn = (output.draws && !output.json).then(ProgressBar::new_spinner);
    while wait && text(&replay, "state") == "running" {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        replay = client.get(&path).await?;
        if let Some(drawn) = &drawn {
            drawn.set_message(format!(
                "{} looked at, {} due",
                text(&replay, "looked"),
                text(&replay, "made")
            ));
            drawn.tick();
        }
    }
    if let Some(drawn) = drawn {
        drawn.finish_and_clear();
    }
    let (id, state, made) = (text(&replay, "id"), text(&replay, "state"), text(&replay, "made"));
    let done = match text(&replay, "hook").as_str() {
        "" => format!("{made} deliveries are due to {}", text(&replay, "endpoint")),
        hook => format!("{made} receipts of {hook} will be handled again"),
    };
    output.show(&replay, |output| output.done(&format!("{id} is {state}: {done}")));
    Ok(Exit::Ok)
}

/// Has one event delivered again.
pub(super) async fn one(client: &Client, output: &Output, endpoint: &str, seq: u64) -> Result<Exit, Failure> {
    let path = format!("/api/v1/endpoints/{}/deliveries/{seq}/redrive", segment(endpoint));
    let delivery = client.post(&path, json!({})).await?;
    output.show(&delivery, |output| {
        output.done(&format!("event {seq} is due to {endpoint}"));
    });
    Ok(Exit::Ok)
}

pub(super) async fn list(client: &Client, output: &Output) -> Result<Exit, Failure> {
    let names = [
        "id", "state", "what", "endpoint", "hook", "looked", "made", "created",
    ];
    let row = |replay: &Value| names.map(|name| text(replay, name));
    pages(client, output, "/api/v1/replays", names, row).await
}

pub(super) async fn cancel(client: &Client, output: &Output, replay: &str) -> Result<Exit, Failure> {
    let path = format!("/api/v1/replays/{}/cancel", segment(replay));
    let cancelled = client.post(&path, json!({})).await?;
    output.show(&cancelled, |output| {
        output.done(&format!("{replay} is cancelled"))
    });
    Ok(Exit::Ok)
}

/// A moment in RFC 3339: given so, or as a time before now (90s, 15m, 2h, 3d).
#[expect(
    clippy::disallowed_methods,
    reason = "what the person at this terminal means by `2h`; nothing durable is told by it"
)]
pub(super) fn moment(given: &str) -> Result<String, Failure> {
    if let Ok(at) = given.parse::<jiff::Timestamp>() {
        return Ok(at.to_string());
    }
    let refused = || {
        Failure::usage(format!(
            "`{given}` is not a time like 2026-01-31T12:00:00Z, 15m, 2h or 3d"
        ))
    };
    let unit = given.chars().last().ok_or_else(refused)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(refused()),
    };
    let count: i64 = given.trim_end_matches(unit).parse().map_err(|_| refused())?;
    let ago = count
        .checked_mul(seconds)
        .filter(|ago| *ago >= 0)
        .ok_or_else(refused)?;
    jiff::Timestamp::now()
        .checked_sub(jiff::SignedDuration::from_secs(ago))
        .map(|at| at.to_string())
        .map_err(|_| refused())
}
