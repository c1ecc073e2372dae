//! One pass over an object's records (HubSpot docs, "Search the CRM").
//!
//! A search gives no more than 10,000 results, however it is paged, and an import changes more records than that in one
//! instant. So a pass does not follow `after`: it goes through the records by their ids, each page asking for what was
//! changed since the pass's beginning and has a greater id than the last one. What changes behind its back is later than
//! the newest change that there was when the pass began ([`Place::until`]), and that is where the next one begins.
//!
//! A search shows a change some moments late, so a pass begins five minutes early. It ends with the list of what was
//! archived, which HubSpot cannot filter by time.

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, paging};

use crate::streams::Stream;
use crate::{api, associations, config, properties};

/// Records of a page: a search gives 200, and one with all properties is long.
const PER_PAGE: u32 = 100;

/// How long before the newest known change a pass begins, in milliseconds.
const AGAIN_MS: u64 = 300_000;

/// A search whose body has more characters than 3,000 is refused; this many may be names of properties. Where there are
/// more, the search only finds, and the records are read by their ids ("Objects", batch read).
const MAX_NAMES_CHARS: usize = 2_000;

/// Where reading an object stands.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The newest change that the finished passes were sure of, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    /// The pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// What was changed from then on is read, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    /// The newest change that there was when the pass began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// The greatest id that was read.
    #[serde(default)]
    id: u64,
    /// The page of archived records that comes next, an empty text for the first; none while records are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archived: Option<String>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    results: &'a RawValue,
    #[serde(borrow, default)]
    total: Id<'a>,
    #[serde(borrow, default)]
    paging: Option<Paging<'a>>,
}

#[derive(Deserialize)]
struct Paging<'a> {
    #[serde(borrow, default)]
    next: Option<Next<'a>>,
}

#[derive(Deserialize)]
struct Next<'a> {
    #[serde(borrow, default)]
    after: Id<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(rename = "updatedAt", borrow, default)]
    updated: Text<'a>,
    #[serde(rename = "archivedAt", borrow, default)]
    archived: Text<'a>,
}

/// The next page.
pub(crate) fn read(stream: &Stream, connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    match cursor.at.take() {
        Some(place) if place.archived.is_some() => archived(stream, cursor, place, request),
        Some(place) => records(stream, connection, cursor, place, request, false),
        None => {
            let from = match &request.window {
                Some(window) => Some(window.start),
                None => cursor.since.map(|since| since.saturating_sub(AGAIN_MS)),
            };
            let place = Place {
                from,
                until: newest(stream)?,
                ..Place::default()
            };
            records(stream, connection, cursor, place, request, true)
        }
    }
}

/// When the newest change was made; none where there is no record.
fn newest(stream: &Stream) -> Result<Option<u64>, Error> {
    let asked = json!({
        "filterGroups": [],
        "sorts": [{ "propertyName": stream.modified, "direction": "DESCENDING" }],
        "properties": [stream.modified],
        "limit": 1,
    });
    let response = search(stream, &asked)?;
    let answer: Answer<'_> = response.json()?;
    let first = record::each::<Head<'_>>(answer.results.get()).next();
    first
        .transpose()
        .map(|first| first.and_then(|(head, _)| head.updated.timestamp()))
}

fn records(
    stream: &Stream,
    connection: &Connection,
    mut cursor: Cursor,
    mut place: Place,
    request: &ReadRequest,
    is_first: bool,
) -> Result<Page, Error> {
    let limit = paging::size(request, PER_PAGE);
    let mut filters =
        vec![json!({ "propertyName": "hs_object_id", "operator": "GT", "value": place.id.to_string() })];
    if let Some(from) = place.from {
        filters
            .push(json!({ "propertyName": stream.modified, "operator": "GTE", "value": from.to_string() }));
    }
    if let Some(window) = &request.window {
        filters.push(
            json!({ "propertyName": stream.modified, "operator": "LT", "value": window.end.to_string() }),
        );
    }
    let names = properties::names(stream, connection, is_first)?;
    let only_finds = names.iter().map(|name| name.len() + 3).sum::<usize>() > MAX_NAMES_CHARS;
    let asked = json!({
        "filterGroups": [{ "filters": filters }],
        "sorts": [{ "propertyName": "hs_object_id", "direction": "ASCENDING" }],
        "properties": if only_finds { &[] } else { names.as_slice() },
        "limit": limit,
    });
    let response = search(stream, &asked)?;
    let answer: Answer<'_> = response.json()?;
    let total_hint = match (&answer.total, is_first) {
        (Id::Number(total), true) => Some(*total),
        _ => None,
    };
    let (mut read, mut ids) = (Vec::new(), Vec::new());
    let before = place.id;
    for element in record::each::<Head<'_>>(answer.results.get()) {
        let (head, text) = element?;
        let id = head.id.to_string();
        if let Ok(number) = id.parse::<u64>() {
            place.id = place.id.max(number);
        }
        if api::is_id(&id) {
            ids.push(id.clone());
        }
        read.push((id, text.to_owned(), head.updated.timestamp()));
    }
    let more = answer.paging.and_then(|paging| paging.next).is_some();
    if more && place.id == before {
        return Err(Error::invalid_data(
            "HubSpot says that there is more and gives no record to go on from",
        ));
    }
    if only_finds && !ids.is_empty() {
        // What has no usable id stays as the search gave it, for the host to set aside.
        read.retain(|(id, _, _)| !api::is_id(id));
        read.extend(whole(stream, &names, &ids)?);
    }
    let mut found = match config::read(connection)?.associations && !ids.is_empty() {
        true => associations::of(stream, &ids)?,
        false => associations::Found::new(),
    };
    let mut changes = Vec::with_capacity(read.len());
    for (id, text, modified) in read {
        let data = match found.remove(&id) {
            Some(associated) => record::with_member(&text, "associations", &associated)?,
            None => text,
        };
        changes.push(Change::Upsert(record::item(id, &data, modified)));
    }
    let page = if more {
        cursor.at = Some(place);
        Page::at(changes, &cursor, true)?
    } else if place.from.is_some() {
        place.archived = Some(String::new());
        cursor.at = Some(place);
        Page::at(changes, &cursor, true)?
    } else {
        // At the very beginning nothing is there that could have been archived since.
        ended(cursor, &place, request, changes)?
    };
    Ok(Page { total_hint, ..page })
}

/// A record's id, its text, and when it was changed last.
type Read = (String, String, Option<u64>);

/// The records of these ids with these properties. One that is gone since it was found is left out by HubSpot: it is among
/// the archived ones.
fn whole(stream: &Stream, names: &[String], ids: &[String]) -> Result<Vec<Read>, Error> {
    let inputs: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
    let asked = json!({ "properties": names, "inputs": inputs });
    let request = api::post(&format!("/crm/v3/objects/{}/batch/read", stream.name)).json(&asked)?;
    let response = api::ok(request.send()?)?;
    let answer: Answer<'_> = response.json()?;
    let mut read = Vec::with_capacity(ids.len());
    for element in record::each::<Head<'_>>(answer.results.get()) {
        let (head, text) = element?;
        let id = head.id.to_string();
        if !ids.contains(&id) {
            return Err(Error::invalid_data(
                "HubSpot answers with a record that was not asked for",
            ));
        }
        read.push((id, text.to_owned(), head.updated.timestamp()));
    }
    Ok(read)
}

/// A page of what was archived. HubSpot keeps it for 90 days.
fn archived(
    stream: &Stream,
    mut cursor: Cursor,
    mut place: Place,
    request: &ReadRequest,
) -> Result<Page, Error> {
    let after = place.archived.take().unwrap_or_default();
    let mut asked = api::get(&format!("/crm/v3/objects/{}", stream.name))
        .query("archived", "true")
        .query("limit", "100")
        .query("properties", "hs_object_id");
    if !after.is_empty() {
        asked = asked.query("after", &after);
    }
    let response = api::ok(asked.send()?)?;
    let answer: Answer<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(answer.results.get()) {
        let (head, _) = element?;
        let at = head.archived.timestamp();
        let is_of_the_pass = at.is_none_or(|at| {
            place.from.is_none_or(|from| at >= from)
                && request.window.as_ref().is_none_or(|window| at < window.end)
        });
        if is_of_the_pass {
            changes.push(Change::Delete(head.id.to_string()));
        }
    }
    let next = answer
        .paging
        .and_then(|paging| paging.next)
        .map(|next| next.after.to_string())
        .unwrap_or_default();
    match paging::token(&next, Some(&after))? {
        Some(next) => {
            place.archived = Some(next);
            cursor.at = Some(place);
            Page::at(changes, &cursor, true)
        }
        None => ended(cursor, &place, request, changes),
    }
}

/// The end of a pass. A window leaves the place of the other passes as it is.
fn ended(
    mut cursor: Cursor,
    place: &Place,
    request: &ReadRequest,
    changes: Vec<Change>,
) -> Result<Page, Error> {
    if request.window.is_none() {
        cursor.since = cursor.since.max(place.until);
    }
    Page::at(changes, &cursor, false)
}

fn search(stream: &Stream, asked: &serde_json::Value) -> Result<sluice_sdk::http::Response, Error> {
    let request = api::post(&format!("/crm/v3/objects/{}/search", stream.name)).json(asked)?;
    api::ok(request.send()?)
}

#[cfg(test)]
#[path = "walk/tests.rs"]
mod tests;
