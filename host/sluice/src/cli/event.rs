//! The event store.

use std::time::Duration;

use clap::Subcommand;
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, text};

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
    /// Print events as they come in, until Ctrl-C
    Tail {
        /// Only after this number; from now on without it
        #[arg(long)]
        after: Option<u64>,
        /// Only kinds that begin so
        #[arg(long)]
        kind: Option<String>,
    },
}

/// A part of the event store, its items to the byte.
#[derive(Deserialize)]
struct Events {
    items: Vec<Box<RawValue>>,
    next: u64,
    end: bool,
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
            Self::Tail { after, kind } => {
                let mut place = match after {
                    Some(after) => after,
                    None => end(client).await?,
                };
                loop {
                    let part = read(client, place, 1000, kind.as_deref()).await?;
                    print(output, &part.items);
                    place = part.next;
                    if part.end {
                        tokio::select! {
                            () = tokio::time::sleep(POLL) => {}
                            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
                        }
                    }
                }
            }
        }
    }
}

/// The number of the last event there is.
async fn end(client: &Client) -> Result<u64, Failure> {
    let mut place = 0;
    loop {
        let part = read(client, place, 1000, None).await?;
        place = part.next;
        if part.end {
            return Ok(place);
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

/// How often the end of the store is looked at.
const POLL: Duration = Duration::from_millis(500);
