//! The end of the event store, live: server-sent events (WHATWG HTML §9.2), one CloudEvent each, with its number as the id, so that
//! `Last-Event-ID` goes on where a connection broke.

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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    after: Option<String>,
    kind: Option<String>,
    connection: Option<String>,
    endpoint: Option<String>,
}

/// What one reader of the tail is at.
struct Tail {
    app: App,
    org: OrgId,
    sought: Sought,
    /// Whose eyes it looks through.
    view: Option<View>,
    after: u64,
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
            let news = self.app.service.store().news();
            let news = news.notified();
            tokio::pin!(news);
            // Registered before looking, so that what is appended in between is not slept through.
            news.as_mut().enable();
            let found = event::seek(&self.app.service, self.org, self.after, 100, &self.sought)
                .await
                .ok()?;
            let was = std::mem::replace(&mut self.after, found.next);
            let text = self.shown(found.items).await?;
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
    /// Events as they go over the wire; a view may take its time for it.
    async fn shown(&self, events: Vec<Event>) -> Option<String> {
        let org = self.org;
        let Some(view) = self.view.clone() else {
            return Some(
                events
                    .iter()
                    .map(|event| wire(event, &event.cloud_event(org)))
                    .collect(),
            );
        };
        if events.is_empty() {
            return Some(String::new());
        }
        let shown = tokio::task::spawn_blocking(move || {
            let seen = events
                .iter()
                .filter_map(|event| Some(wire(event, &view.of(org, event)?)));
            seen.collect()
        });
        shown.await.ok()
    }
}

fn wire(event: &Event, shape: &str) -> String {
    let mut text = format!("id: {}\nevent: {}\n", event.seq, one_line(&event.kind));
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
