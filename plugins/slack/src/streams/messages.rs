//! Messages, channel by channel (Slack docs, `conversations.history`), newest first within one. Replies in threads are
//! not in a channel's history; webhooks bring them.
//!
//! Slack cannot tell what changed. A pass therefore begins a day before the newest message it knows of a channel, which
//! sees edits and reactions of that day again; later edits, and deletions, are told by webhooks only.
//!
//! `ts` is unique within a channel, so a record's id is `channel/ts`, and each record says its channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_sdk::http::Request;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Item, Page, ReadRequest, log};

use crate::api::{self, Answer, Listing};
use crate::{config, ts};

/// A day, in microseconds: how far back a pass looks behind the newest known message.
const AGAIN_US: u64 = 86_400_000_000;

/// The most channels of one connection: a cursor remembers something about each, and has 64 KiB.
const MAX_CHANNELS: usize = 500;

/// The most pages of channels that are asked for at the beginning of a pass.
const MAX_CHANNEL_PAGES: usize = 20;

/// How often a channel may begin again because its cursor was no longer good.
const MAX_RESTARTS: u8 = 2;

/// Where reading stands.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// The newest message that finished passes know of each channel, in microseconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    marks: BTreeMap<String, u64>,
    /// The place of the pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
    /// The channels of the pass under way, where the configuration names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    list: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    channel: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The newest message of this pass so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<u64>,
    #[serde(default)]
    restarts: u8,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    ts: Text<'a>,
    #[serde(borrow, default)]
    edited: Option<Edited<'a>>,
}

#[derive(Deserialize)]
struct Edited<'a> {
    #[serde(borrow, default)]
    ts: Text<'a>,
}

/// The next page.
pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let named = config::channels(connection)?;
    let is_named = named.is_some();
    let channels = match named {
        Some(named) => named,
        None => {
            if cursor.at.is_none() {
                cursor.list = channels_of_the_app()?;
            }
            cursor.list.clone()
        }
    };
    cursor.marks.retain(|channel, _| channels.contains(channel));
    let Some(first) = channels.first() else {
        return finish(cursor, Vec::new());
    };
    let place = cursor
        .at
        .take()
        .filter(|place| channels.contains(&place.channel))
        .unwrap_or_else(|| begin(first));
    let at = channels
        .iter()
        .position(|channel| *channel == place.channel)
        .unwrap_or_default();
    let response = match api::send(history(&place, &cursor, request))? {
        Answer::Fine(response) => response,
        Answer::Refused(refusal) if refusal.is_about_the_cursor() && place.restarts < MAX_RESTARTS => {
            cursor.at = Some(Place {
                restarts: place.restarts + 1,
                ..begin(&place.channel)
            });
            return Page::at(Vec::new(), &cursor, true);
        }
        Answer::Refused(refusal) if refusal.is_about_the_channel() && !is_named => {
            log::info(&format!(
                "{}: passed over, Slack answered `{}`",
                place.channel, refusal.code
            ));
            return next_channel(cursor, &channels, at, Vec::new());
        }
        Answer::Refused(refusal) if refusal.is_about_the_channel() => {
            return Err(refusal.into_error().blame_config(format!("/channels/{at}")));
        }
        refused => refused.ok()?,
    };
    let listing: Listing<'_> = response.json()?;
    let array = listing.messages.ok_or_else(|| api::no_array("messages"))?;
    let mut changes = Vec::with_capacity(200);
    let mut newest = place.newest;
    for element in record::each::<Head<'_>>(array.get()) {
        let (head, text) = element?;
        newest = newest.max(ts::parse(head.ts.as_str()));
        changes.push(Change::Upsert(item(&place.channel, &head, text)?));
    }
    match listing.next(place.next.as_deref())? {
        Some(next) => {
            cursor.at = Some(Place {
                next: Some(next),
                newest,
                ..place
            });
            Page::at(changes, &cursor, true)
        }
        None => {
            // A window leaves the place of the other passes as it is.
            let newest = newest.max(cursor.marks.get(&place.channel).copied());
            if let (Some(newest), None) = (newest, &request.window) {
                cursor.marks.insert(place.channel, newest);
            }
            next_channel(cursor, &channels, at, changes)
        }
    }
}

/// What a message, as Slack gives it in a channel's history or in an event, is as a record.
pub(crate) fn record_of(channel: &str, text: &str) -> Result<Item, Error> {
    let head: Head<'_> =
        serde_json::from_str(text).map_err(|error| Error::invalid_data(format!("not a message: {error}")))?;
    item(channel, &head, text)
}

/// The id of a message's record; empty where the vendor sent no time, and the host sets it aside.
pub(crate) fn id(channel: &str, ts: &str) -> String {
    match ts::parse(ts) {
        Some(_) if config::is_channel(channel) => format!("{channel}/{ts}"),
        _ => String::new(),
    }
}

fn item(channel: &str, head: &Head<'_>, text: &str) -> Result<Item, Error> {
    let time = head
        .edited
        .as_ref()
        .map_or(head.ts.as_str(), |edited| edited.ts.as_str());
    let modified = ts::parse(time).or(ts::parse(head.ts.as_str()));
    Ok(Item {
        id: id(channel, head.ts.as_str()),
        // As the last member it is the one that counts where Slack wrote one as well.
        data: record::with_member(text, "channel", channel)?,
        modified: modified.map(|micros| micros / 1_000),
    })
}

fn begin(channel: &str) -> Place {
    Place {
        channel: channel.to_owned(),
        next: None,
        newest: None,
        restarts: 0,
    }
}

fn history(place: &Place, cursor: &Cursor, request: &ReadRequest) -> Request {
    let mut call = api::get("conversations.history")
        .query("channel", &place.channel)
        .query("limit", api::PER_PAGE);
    let mark = cursor.marks.get(&place.channel);
    match (&request.window, mark) {
        (Some(window), _) => {
            // Both ends are left out where `inclusive` is, so the beginning lies a microsecond earlier.
            call = call
                .query(
                    "oldest",
                    &ts::format(window.start.saturating_mul(1_000).saturating_sub(1)),
                )
                .query("latest", &ts::format(window.end.saturating_mul(1_000)));
        }
        (None, Some(mark)) => call = call.query("oldest", &ts::format(mark.saturating_sub(AGAIN_US))),
        (None, None) => {}
    }
    match &place.next {
        Some(next) => call.query("cursor", next),
        None => call,
    }
}

/// The channels that the app is in (Slack docs, `users.conversations`), in a stable order.
fn channels_of_the_app() -> Result<Vec<String>, Error> {
    #[derive(Deserialize)]
    struct Channel<'a> {
        #[serde(borrow, default)]
        id: Text<'a>,
    }
    let mut channels = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_CHANNEL_PAGES {
        let mut call = api::get("users.conversations")
            .query("limit", api::PER_PAGE)
            .query("types", "public_channel,private_channel")
            .query("exclude_archived", "true");
        if let Some(next) = &cursor {
            call = call.query("cursor", next);
        }
        let response = api::send(call)?.ok()?;
        let listing: Listing<'_> = response.json()?;
        let array = listing.channels.ok_or_else(|| api::no_array("channels"))?;
        for element in record::each::<Channel<'_>>(array.get()) {
            let (channel, _) = element?;
            if config::is_channel(channel.id.as_str()) {
                channels.push(channel.id.as_str().to_owned());
            }
        }
        if channels.len() > MAX_CHANNELS {
            break;
        }
        cursor = listing.next(cursor.as_deref())?;
        if cursor.is_none() {
            channels.sort_unstable();
            channels.dedup();
            return Ok(channels);
        }
    }
    let message =
        format!("the app is in more than {MAX_CHANNELS} channels; name those to read in `channels`");
    Err(Error::config(message, "/channels"))
}

fn next_channel(
    mut cursor: Cursor,
    channels: &[String],
    at: usize,
    changes: Vec<Change>,
) -> Result<Page, Error> {
    let Some(next) = channels.get(at + 1) else {
        return finish(cursor, changes);
    };
    cursor.at = Some(begin(next));
    Page::at(changes, &cursor, true)
}

fn finish(mut cursor: Cursor, changes: Vec<Change>) -> Result<Page, Error> {
    cursor.list.clear();
    Page::at(changes, &cursor, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{Window, testing};

    const TWO: &str = r#"{"channels":["C1","C2"]}"#;

    fn step(config: &str, cursor: Option<String>) -> Result<Page, Error> {
        read(
            &testing::connection(config),
            &testing::read_request("messages", cursor),
        )
    }

    fn pass(config: &str, mut cursor: Option<String>) -> (Vec<String>, Option<String>) {
        let mut ids = Vec::new();
        for _ in 0..50 {
            let page = step(config, cursor.clone()).unwrap();
            assert!(
                !page.more || page.cursor != cursor,
                "a page with more moves the cursor"
            );
            ids.extend(page.changes.iter().map(|change| change.id().to_owned()));
            cursor = page.cursor;
            if !page.more {
                return (ids, cursor);
            }
        }
        panic!("the pass does not end");
    }

    fn urls() -> Vec<String> {
        let urls = testing::requests();
        urls.iter()
            .map(|request| {
                request
                    .url()
                    .trim_start_matches("https://slack.com/api/")
                    .to_owned()
            })
            .collect()
    }

    fn history_page(messages: &[&str], next: &str) -> String {
        let messages: Vec<String> = messages
            .iter()
            .map(|ts| format!(r#"{{"type":"message","ts":"{ts}","text":"x"}}"#))
            .collect();
        format!(
            r#"{{"ok":true,"messages":[{}],"has_more":{},"response_metadata":{{"next_cursor":"{next}"}}}}"#,
            messages.join(","),
            !next.is_empty()
        )
    }

    #[test]
    fn channels_are_read_one_after_another_and_then_from_a_day_before_the_newest() {
        testing::serve(|request| {
            let body = match (
                request.url().contains("channel=C1"),
                request.url().contains("cursor="),
            ) {
                (true, false) => history_page(&["1714557603.000100", "1714557602.000100"], "more"),
                (true, true) => history_page(&["1714557601.000100"], ""),
                _ => history_page(&[], ""),
            };
            testing::answer(200, &[], &body)
        });
        let (ids, cursor) = pass(TWO, None);
        assert_eq!(
            ids,
            [
                "C1/1714557603.000100",
                "C1/1714557602.000100",
                "C1/1714557601.000100"
            ]
        );
        assert_eq!(
            urls(),
            [
                "conversations.history?channel=C1&limit=200",
                "conversations.history?channel=C1&limit=200&cursor=more",
                "conversations.history?channel=C2&limit=200",
            ]
        );
        pass(TWO, cursor);
        assert_eq!(
            urls()[3],
            "conversations.history?channel=C1&limit=200&oldest=1714471203.000100"
        );
        assert_eq!(
            urls().last().unwrap(),
            "conversations.history?channel=C2&limit=200"
        );
    }

    #[test]
    fn without_names_it_is_the_channels_that_the_app_is_in() {
        testing::serve(|request| {
            let body = match request.url() {
                url if url.contains("users.conversations") => {
                    r#"{"ok":true,"channels":[{"id":"C9"},{"id":"../x"},{"id":"C3"}]}"#.to_owned()
                }
                url if url.contains("C3") => r#"{"ok":false,"error":"channel_not_found"}"#.to_owned(),
                _ => history_page(&["1714557603.000100"], ""),
            };
            testing::answer(200, &[], &body)
        });
        let (ids, cursor) = pass("{}", None);
        assert_eq!(ids, ["C9/1714557603.000100"]);
        assert_eq!(cursor.as_deref(), Some(r#"{"marks":{"C9":1714557603000100}}"#));
    }

    #[test]
    fn a_channel_that_is_not_there_is_blamed_on_the_configuration() {
        testing::serve(|request| match request.url().contains("C1") {
            true => testing::answer(200, &[], &history_page(&[], "")),
            false => testing::answer(200, &[], r#"{"ok":false,"error":"not_in_channel"}"#),
        });
        let page = step(TWO, None).unwrap();
        let error = step(TWO, page.cursor).unwrap_err();
        assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/channels/1")));
    }

    #[test]
    fn too_many_channels_are_the_users_to_name() {
        let many: Vec<String> = (0..200).map(|n| format!(r#"{{"id":"C{n}"}}"#)).collect();
        let mut page = 0;
        testing::serve(move |_| {
            page += 1;
            let many = many.join(",");
            let body = format!(
                r#"{{"ok":true,"channels":[{many}],"response_metadata":{{"next_cursor":"p{page}"}}}}"#
            );
            testing::answer(200, &[], &body)
        });
        assert!(matches!(step("{}", None), Err(Error::Config(_))));
        let mut page = 0;
        testing::serve(move |_| {
            page += 1;
            let body =
                format!(r#"{{"ok":true,"channels":[],"response_metadata":{{"next_cursor":"p{page}"}}}}"#);
            testing::answer(200, &[], &body)
        });
        assert!(
            matches!(step("{}", None), Err(Error::Config(_))),
            "empty pages without an end"
        );
    }

    #[test]
    fn a_record_says_its_channel_and_when_it_was_edited() {
        let item = record_of(
            "C1",
            r#"{"type":"message","ts":"1714557600.000100","text":"}","edited":{"user":"U1","ts":"1714557700.000000"}}"#,
        )
        .unwrap();
        assert_eq!(item.modified, Some(1_714_557_700_000));
        let value: serde_json::Value = serde_json::from_str(&item.data).unwrap();
        assert_eq!(
            (value["channel"].as_str(), value["text"].as_str()),
            (Some("C1"), Some("}"))
        );
        assert!(record_of("C1", r#"["1714557600.000100"]"#).is_err());
        assert_eq!(
            record_of("C1", r#"{"ts":"soon"}"#).unwrap().id,
            "",
            "the host sets it aside"
        );
    }

    #[test]
    fn a_window_cuts_both_ends() {
        testing::serve(|request| {
            assert!(
                request.url().ends_with("&oldest=1.999999&latest=5.000000"),
                "{}",
                request.url()
            );
            testing::answer(200, &[], &history_page(&["4.000000"], ""))
        });
        let mut request = testing::read_request("messages", None);
        request.window = Some(Window {
            start: 2_000,
            end: 5_000,
        });
        let page = read(&testing::connection(r#"{"channels":["C1"]}"#), &request).unwrap();
        assert_eq!((page.changes.len(), page.cursor.as_deref()), (1, Some("{}")));
    }

    #[test]
    fn a_vendor_that_goes_in_circles_is_an_error() {
        testing::serve(|_| testing::answer(200, &[], &history_page(&["1714557603.000100"], "same")));
        let first = step(TWO, None).unwrap();
        assert!(matches!(step(TWO, first.cursor), Err(Error::InvalidData(_))));
    }

    #[test]
    fn the_fixture_is_read() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../../fixtures/messages.json")));
        let (ids, _) = pass(r#"{"channels":["C0GENERAL"]}"#, None);
        assert_eq!(ids, ["C0GENERAL/1714557600.000100"]);
    }
}
