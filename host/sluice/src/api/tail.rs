//! The end of the event store, live: server-sent events (WHATWG HTML §9.2), one CloudEvent each, with its number as the id, so that
//! `Last-Event-ID` goes on where a connection broke. Whoever asks for it gets what a replay delivered again too, when the replay ends:
//! that is an event of the store like any other, so none of it is missed by who comes back later.

mod again;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use sluice_model::id::OrgId;
use sluice_service::endpoint::{self, View};
use sluice_service::event::{self, Event, Sought};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::app::{App, Caller};
use super::body::Asked;
use super::problem::Problem;
use super::records::number;
use again::Ended;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    after: Option<String>,
    kind: Option<String>,
    connection: Option<String>,
    endpoint: Option<String>,
    include: Option<String>,
}

/// What one reader of the tail is at.
struct Tail {
    app: App,
    org: OrgId,
    sought: Sought,
    /// Whose eyes it looks through.
    view: Option<View>,
    after: u64,
    /// Whether what replays deliver is wanted too.
    includes_replays: bool,
    /// The replay that is shown before anything that came after its end.
    ended: Option<Ended>,
    /// Tails end by themselves after a while: the client asks again with its last id, and shows its key again.
    until: Instant,
    _turn: OwnedSemaphorePermit,
}

pub(super) async fn tail(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Asked(asked): Asked<Wanted>,
) -> Result<Response, Problem> {
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = match (seen, asked.after.as_deref()) {
        (Some(seen), _) if !seen.is_empty() => number("Last-Event-ID", Some(seen))?,
        (_, Some(after)) => number("after", Some(after))?,
        _ => app.service.store().last_event(caller.org).await?,
    };
    let view = match &asked.endpoint {
        Some(which) => Some(endpoint::view(&app.service, caller.org, which).await?),
        None => None,
    };
    let includes_replays = match asked.include.as_deref() {
        None => false,
        Some("replays") => true,
        Some(_) => return Err(Problem::new("request.query", "`include` is `replays`")),
    };
    let turn = Arc::clone(&app.tails).try_acquire_owned();
    let turn = turn.map_err(|_| Problem::new("server.busy", "too many tails are open"))?;
    let tail = Tail {
        org: caller.org,
        sought: Sought {
            kind: asked.kind.unwrap_or_default(),
            connection: asked.connection,
            ..Sought::default()
        },
        view,
        after,
        includes_replays,
        ended: None,
        until: Instant::now() + LONGEST,
        app,
        _turn: turn,
    };
    let first = Bytes::from(format!("retry: 1000\n: after {after}\n\n"));
    let parts = stream::unfold((Some(first), Some(tail)), |(first, tail)| async move {
        if let Some(first) = first {
            return Some((Ok::<_, std::convert::Infallible>(first), (None, tail)));
        }
        let mut tail = tail?;
        let part = tail.next().await?;
        Some((Ok(part), (None, Some(tail))))
    });
    let mut response = Body::from_stream(parts).into_response();
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    let cache = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, cache);
    Ok(response)
}

impl Tail {
    /// The next events, or a comment that keeps the connection; nothing at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // One part after another: what follows waits until it has been taken.
            if let Some(text) = self.replayed().await? {
                return Some(Bytes::from(text));
            }
            let news = self.app.service.store().news();
            let news = news.notified();
            tokio::pin!(news);
            // Registered before looking, so that what is appended in between is not slept through.
            news.as_mut().enable();
            let all = Sought::default();
            let sought = if self.includes_replays { &all } else { &self.sought };
            let mut found = event::seek(&self.app.service, self.org, self.after, 100, sought)
                .await
                .ok()?;
            if self.includes_replays {
                self.ended = again::first(&mut found);
                found.items.retain(|event| self.sought.has(event));
            }
            let was = std::mem::replace(&mut self.after, found.next);
            let text: String = (self.shown(found.items).await?.iter())
                .map(|(event, shape)| wire(event, &format!("id: {}", event.seq), shape))
                .collect();
            if !text.is_empty() {
                return Some(Bytes::from(text));
            }
            if !found.end && found.next != was {
                continue;
            }
            if Instant::now() >= self.until {
                return None;
            }
            tokio::select! {
                () = news => {}
                () = self.app.stop.cancelled() => return None,
                () = tokio::time::sleep(QUIET) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

impl Tail {
    /// Events as they are shown; a view may take its time for it.
    async fn shown(&self, events: Vec<Event>) -> Option<Vec<(Event, String)>> {
        let org = self.org;
        let Some(view) = self.view.clone() else {
            let shown = events.into_iter().map(|event| {
                let shape = event.cloud_event(org);
                (event, shape)
            });
            return Some(shown.collect());
        };
        if events.is_empty() {
            return Some(Vec::new());
        }
        let shown = tokio::task::spawn_blocking(move || {
            let seen = events.into_iter().filter_map(|event| {
                let shape = view.of(org, &event)?;
                Some((event, shape))
            });
            seen.collect()
        });
        shown.await.ok()
    }
}

/// One event, with the lines that begin it.
fn wire(event: &Event, begin: &str, shape: &str) -> String {
    let mut text = format!("{begin}\nevent: {}\n", one_line(&event.kind));
    for line in shape.split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text
}

fn one_line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

/// How often a quiet tail says that it is there.
const QUIET: Duration = Duration::from_secs(15);
/// How long one tail lasts.
const LONGEST: Duration = Duration::from_secs(300);
/// Tails that are open at once.
pub(super) const MAX_TAILS: usize = 100;
