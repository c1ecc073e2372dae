//! The event store.

use clap::Subcommand;
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{replay, resolve, sse};

/// The event store
#[derive(Debug, Subcommand)]
pub(super) enum Event {
    /// Events, oldest first
    List {
        /// Only after this number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Only kinds that begin so
        #[arg(long)]
        kind: Option<String>,
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// One event
    Show {
        /// Its number
        seq: u64,
    },
    /// Print events as they come in, until Ctrl-C; goes on where it was after the connection broke
    Tail {
        /// Only after this number; from now on without it
        #[arg(long)]
        after: Option<u64>,
        /// Only kinds that begin so
        #[arg(long)]
        kind: Option<String>,
        /// Only about this connection
        #[arg(long)]
        connection: Option<String>,
    },
    /// The kinds of events there can be
    Catalogue,
    /// Print all events up to now as CloudEvents, one a line
    Export {
        /// Only after this number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Only kinds that begin so
        #[arg(long)]
        kind: Option<String>,
        /// Only recorded since, as 2026-01-31T12:00:00Z or 2h, 3d
        #[arg(long)]
        since: Option<String>,
    },
    /// Deliver events to an endpoint again
    Replay {
        /// One event's number; without, those of a time
        seq: Option<u64>,
        /// The endpoint's id or name
        #[arg(long)]
        to: String,
        #[command(flatten)]
        window: replay::Window,
        /// Only what was never delivered
        #[arg(long)]
        missed: bool,
    },
    /// Replays, newest first
    Replays,
    /// End a replay that runs
    CancelReplay { replay: String },
}

/// A part of the event store, its items to the byte.
#[derive(Deserialize)]
struct Events {
    items: Vec<Box<RawValue>>,
}

impl Event {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List { after, kind, limit } => {
                let part = read(client, after, limit, kind.as_deref()).await?;
                print(output, &part.items);
                Ok(Exit::Ok)
            }
            Self::Show { seq } => {
                let answer = client
                    .answer(Method::GET, &format!("/api/v1/events/{seq}"), Body::None)
                    .await?;
                output.data(&format!("{}\n", String::from_utf8_lossy(&answer.body)));
                Ok(Exit::Ok)
            }
            Self::Tail {
                after,
                kind,
                connection,
            } => {
                let mut query = Vec::new();
                query.extend(kind.map(|kind| format!("kind={}", segment(&kind))));
                if let Some(which) = connection {
                    let found = resolve::connection(client, &which).await?;
                    query.push(format!("connection={}", segment(&text(&found, "id"))));
                }
                let path = format!("/api/v1/events/tail?{}", query.join("&"));
                let (sender, mut events) = tokio::sync::mpsc::channel::<sse::Event>(1000);
                let following = sse::follow(client, output, &path, after, sender);
                let printing = async {
                    while let Some(event) = events.recv().await {
                        line(output, &event.data);
                    }
                };
                tokio::select! {
                    ended = following => ended,
                    () = printing => Ok(Exit::Ok),
                }
            }
            Self::Catalogue => {
                let list = client.get("/api/v1/events/catalogue").await?;
                let row = |kind: &Value| ["kind", "connector", "description"].map(|name| text(kind, name));
                output.show(&list, |output| {
                    output.table(["kind", "connector", "tells"], items(&list).iter().map(row));
                });
                Ok(Exit::Ok)
            }
            Self::Export { after, kind, since } => {
                let mut path = format!("/api/v1/events/export?after={after}");
                if let Some(kind) = kind {
                    path.push_str(&format!("&kind={}", segment(&kind)));
                }
                if let Some(since) = since {
                    path.push_str(&format!("&since={}", segment(&replay::moment(&since)?)));
                }
                let mut following = client.follow(&path, None).await?;
                while let Some(part) = following.next().await {
                    output.data(&String::from_utf8_lossy(&part));
                }
                Ok(Exit::Ok)
            }
            Self::Replay {
                seq,
                to,
                window,
                missed,
            } => {
                if let Some(seq) = seq {
                    return replay::one(client, output, &to, seq).await;
                }
                let what = if missed { "missed" } else { "all" };
                replay::begin(client, output, &to, what, window).await
            }
            Self::Replays => replay::list(client, output).await,
            Self::CancelReplay { replay } => replay::cancel(client, output, &replay).await,
        }
    }
}

async fn read(client: &Client, after: u64, limit: u32, kind: Option<&str>) -> Result<Events, Failure> {
    let kind = kind
        .map(|kind| format!("&kind={}", segment(kind)))
        .unwrap_or_default();
    let path = format!("/api/v1/events?after={after}&limit={limit}{kind}");
    let answer = client.answer(Method::GET, &path, Body::None).await?;
    serde_json::from_slice(&answer.body).map_err(|error| Failure::bug(error.to_string()))
}

fn print(output: &Output, events: &[Box<RawValue>]) {
    for event in events {
        if output.json {
            output.data(&format!("{}\n", event.get()));
            continue;
        }
        let event = serde_json::from_str(event.get()).unwrap_or_default();
        let [seq, recorded, kind, subject] =
            ["seq", "recorded", "kind", "subject"].map(|name| text(&event, name));
        output.line(&format!("{seq:>8}  {recorded}  {kind}  {subject}"));
    }
}

/// A CloudEvent as a person reads it.
fn line(output: &Output, event: &str) {
    if output.json {
        return output.data(&format!("{event}\n"));
    }
    let event = serde_json::from_str(event).unwrap_or_default();
    let [seq, recorded, kind, subject] =
        ["sequence", "recordedtime", "type", "subject"].map(|name| text(&event, name));
    let seq = seq.trim_start_matches('0');
    output.line(&format!("{seq:>8}  {recorded}  {kind}  {subject}"));
}
