//! One pass over a stream.
//!
//! Stripe's lists are newest first and know only when an object was made, not when it changed. So a stream is listed
//! once, and from then on followed by the account's events. Before the list is begun, the newest event is noted (the
//! *anchor*): whatever changes meanwhile has an event after it. Later passes ask for the events before the anchor in
//! Stripe's order, which are those after it in time, and move it along.
//!
//! Events are kept for 30 days. An anchor that is gone, or none at all because nothing had happened, is no loss while the
//! last pass is younger than that; otherwise the stream is listed again. The time is Stripe's own, by its responses.
//!
//! Two lists only grow at their front (balance transactions, events): there the anchor is the newest record itself, and the
//! list before it is what is new. What Stripe restates in them (a transaction becomes available) is for the host's look-back.

use serde::{Deserialize, Serialize};
use sluice_sdk::http::{Request, Response};
use sluice_sdk::{Change, Error, Page, ReadRequest, Window, log, record};

use crate::api::{self, List};
use crate::changed::{self, Events, Head};
use crate::nested::{self, Pages};
use crate::streams::{Changes, Stream};

/// How long events are relied on, in seconds: 25 of the 30 days that Stripe keeps them.
const KEPT_S: u64 = 25 * 86_400;

/// Events of one step: each may cost a request for its object.
const EVENTS: &str = "50";

/// How often a pass may begin again because the object it would go on from is gone.
const MAX_RESTARTS: u8 = 3;

/// Where reading a stream stands.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The newest event that is accounted for, or the newest record of a list that only grows; none where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor: Option<String>,
    /// When that was so, in seconds by Stripe's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checked: Option<u64>,
    /// The place of the list or of the events under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
    /// How often this pass began again.
    #[serde(default, skip_serializing_if = "is_zero")]
    restarts: u8,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    /// In the list, after this object.
    List(String),
    /// In the events without an anchor, newest first: the newest one, and the last one that was read.
    Events(String, String),
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
const fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// The next page.
pub(crate) fn read(stream: &Stream, request: &ReadRequest) -> Result<Page, Error> {
    let cursor = request.cursor::<Cursor>()?;
    match (cursor, &request.window) {
        (Some(mut cursor), _) if matches!(cursor.at, Some(Place::List(_))) => {
            let after = match cursor.at.take() {
                Some(Place::List(after)) => Some(after),
                _ => None,
            };
            list(stream, request, cursor, after.as_deref())
        }
        // A window is cut by the time of creation, which is all that a list knows. It leaves the anchor as it is.
        (cursor, Some(_)) => list(stream, request, cursor.unwrap_or_default(), None),
        (Some(cursor), None) if stream.changes == Changes::Added => added(stream, request, cursor),
        (Some(cursor), None) => follow(stream, request, cursor),
        (None, None) => begin(stream, request, 0),
    }
}

/// Notes the newest event and reads the first page of the list.
fn begin(stream: &Stream, request: &ReadRequest, restarts: u8) -> Result<Page, Error> {
    bounded(restarts)?;
    if stream.changes == Changes::Added {
        let cursor = Cursor {
            restarts,
            ..Cursor::default()
        };
        return list(stream, request, cursor, None);
    }
    let response = api::ok(events_of(stream, "1").send()?)?;
    let newest = changed::events(stream, list_of(&response)?.data.get())?.newest;
    let cursor = Cursor {
        anchor: newest,
        checked: api::now_s(&response),
        at: None,
        restarts,
    };
    list(stream, request, cursor, None)
}

/// A page of the list.
fn list(
    stream: &Stream,
    request: &ReadRequest,
    mut cursor: Cursor,
    after: Option<&str>,
) -> Result<Page, Error> {
    let response = list_request(stream, request.window.as_ref(), after).send()?;
    if after.is_some() && api::is_missing_place(&response) {
        log::info("the object that the list would go on from is gone: begun again");
        cursor.restarts += 1;
        if request.window.is_none() {
            return begin(stream, request, cursor.restarts);
        }
        bounded(cursor.restarts)?;
        return list(stream, request, cursor, None);
    }
    let response = api::ok(response)?;
    let page = list_of(&response)?;
    let read = records(stream, page.data.get())?;
    let more = page.has_more || read.is_cut;
    if stream.changes == Changes::Added && after.is_none() && request.window.is_none() {
        cursor.anchor = read.first.clone().filter(|id| api::is_id(id));
    }
    cursor.at = None;
    if more {
        cursor.at = Some(Place::List(onward(read.last, after)?));
    } else {
        cursor.restarts = 0;
    }
    Page::at(read.changes, &cursor, more)
}

/// Records of a page, with the first and the last id.
struct Records {
    changes: Vec<Change>,
    first: Option<String>,
    last: Option<String>,
    /// Whether some were left for the next step, because those before them took many requests.
    is_cut: bool,
}

fn records(stream: &Stream, array: &str) -> Result<Records, Error> {
    let mut read = Records {
        changes: Vec::with_capacity(100),
        first: None,
        last: None,
        is_cut: false,
    };
    let mut pages = Pages::default();
    for element in record::each::<Head<'_>>(array) {
        let (head, text) = element?;
        if pages.are_many() {
            read.is_cut = true;
            break;
        }
        let id = head.id.to_string();
        let text = nested::whole(stream, &id, text, &head, &mut pages)?;
        read.first.get_or_insert_with(|| id.clone());
        read.last = Some(id.clone());
        // Stripe does not tell when an object was changed last.
        read.changes.push(Change::Upsert(record::item(id, &text, None)));
    }
    Ok(read)
}

/// A page of what was added before the newest record that is known.
fn added(stream: &Stream, request: &ReadRequest, mut cursor: Cursor) -> Result<Page, Error> {
    let Some(anchor) = cursor.anchor.take() else {
        return list(stream, request, cursor, None);
    };
    let path = format!("/v1/{}?limit={}", stream.name, api::PER_PAGE);
    let response = api::get(&path).query("ending_before", &anchor).send()?;
    if api::is_missing_place(&response) {
        log::info("the newest record that is known is no longer kept: what there is is listed again");
        return begin(stream, request, cursor.restarts + 1);
    }
    let response = api::ok(response)?;
    let page = list_of(&response)?;
    let read = records(stream, page.data.get())?;
    if page.has_more {
        cursor.anchor = Some(onward(read.first, Some(&anchor))?);
    } else {
        cursor.anchor = read.first.filter(|id| api::is_id(id)).or(Some(anchor));
        cursor.restarts = 0;
    }
    Page::at(read.changes, &cursor, page.has_more)
}

fn bounded(restarts: u8) -> Result<(), Error> {
    if restarts > MAX_RESTARTS {
        return Err(Error::transient(
            "the list changes faster than it can be read: what it would go on from is gone again and again",
        ));
    }
    Ok(())
}

fn list_request(stream: &Stream, window: Option<&Window>, after: Option<&str>) -> Request {
    let path = format!("/v1/{}?limit={}{}", stream.name, api::PER_PAGE, stream.query);
    let mut request = api::get(&path);
    if let Some(window) = window {
        // Whole seconds: both ends are rounded up, so that windows side by side neither overlap nor leave a gap.
        request = request
            .query("created[gte]", &window.start.div_ceil(1_000).to_string())
            .query("created[lt]", &window.end.div_ceil(1_000).to_string());
    }
    match after {
        Some(after) => request.query("starting_after", after),
        None => request,
    }
}

/// A page of the events since the last pass.
fn follow(stream: &Stream, request: &ReadRequest, mut cursor: Cursor) -> Result<Page, Error> {
    let mut asked = events_of(stream, EVENTS);
    if let Some(Place::Events(_, last)) = &cursor.at {
        asked = asked.query("starting_after", last);
    } else if let Some(anchor) = &cursor.anchor {
        asked = asked.query("ending_before", anchor);
    }
    let response = asked.send()?;
    if api::is_missing_place(&response) {
        return without_place(stream, request, cursor, &response);
    }
    let response = api::ok(response)?;
    let now = api::now_s(&response);
    if cursor.anchor.is_none() && cursor.at.is_none() && !cursor.is_recent(now) {
        return begin(stream, request, cursor.restarts + 1);
    }
    let page = list_of(&response)?;
    let events = changed::events(stream, page.data.get())?;
    let Events { newest, oldest, .. } = &events;
    let (newest, oldest) = (newest.clone(), oldest.clone());
    match cursor.at.take() {
        Some(Place::Events(first, last)) if page.has_more => {
            cursor.at = Some(Place::Events(first, onward(oldest, Some(&last))?));
        }
        Some(Place::Events(first, _)) => cursor.anchor = Some(first),
        _ if cursor.anchor.is_some() || !page.has_more => {
            if page.has_more {
                onward(newest.clone(), cursor.anchor.as_deref())?;
            }
            cursor.anchor = newest.or(cursor.anchor.take());
        }
        _ => cursor.at = Some(Place::Events(onward(newest, None)?, onward(oldest, None)?)),
    }
    if !page.has_more {
        cursor.checked = now.or(cursor.checked);
        cursor.restarts = 0;
    }
    Page::at(events.changes(stream)?, &cursor, page.has_more)
}

/// The event to go on from is older than Stripe keeps them. While the last pass is not, every event since is still there.
fn without_place(
    stream: &Stream,
    request: &ReadRequest,
    cursor: Cursor,
    response: &Response,
) -> Result<Page, Error> {
    if cursor.restarts >= MAX_RESTARTS || !cursor.is_recent(api::now_s(response)) {
        log::info("events are missing since the last pass: the stream is listed again");
        return begin(
            stream,
            request,
            cursor.restarts.saturating_add(1).min(MAX_RESTARTS),
        );
    }
    let cursor = Cursor {
        anchor: None,
        at: None,
        restarts: cursor.restarts + 1,
        ..cursor
    };
    Page::at(Vec::new(), &cursor, true)
}

impl Cursor {
    fn is_recent(&self, now: Option<u64>) -> bool {
        matches!((self.checked, now), (Some(checked), Some(now)) if now.saturating_sub(checked) < KEPT_S)
    }
}

fn events_of(stream: &Stream, limit: &str) -> Request {
    let asked = api::get("/v1/events");
    let asked = match stream.changes {
        Changes::Events { kinds: [one], .. } => asked.query("type", one),
        Changes::Events { kinds, .. } => kinds
            .iter()
            .fold(asked, |asked, kind| asked.query("types[]", kind)),
        Changes::Added => asked,
    };
    asked.query("limit", limit)
}

fn list_of(response: &Response) -> Result<List<'_>, Error> {
    response.json()
}

/// The id to go on from: there has to be one, and another than before, or the list has no end.
fn onward(id: Option<String>, before: Option<&str>) -> Result<String, Error> {
    match id {
        Some(id) if api::is_id(&id) && Some(id.as_str()) != before => Ok(id),
        _ => Err(Error::invalid_data(
            "Stripe says that there is more and gives nothing to go on from",
        )),
    }
}

#[cfg(test)]
mod tests;
