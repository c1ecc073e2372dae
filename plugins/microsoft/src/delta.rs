//! What Graph follows by change tokens ("Use delta query to track changes"): messages of a folder, folders, and the days of the
//! calendar. A round is read page after page; its last page has the token of the next round.
//!
//! A change may be told with no more than what changed: such a message is asked for whole. A token that ended (410) begins the round
//! again; so does a calendar whose span has moved on by a week.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, Value};
use sluice_sdk::http::{self, Request};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Item, Page, ReadRequest, log, paging, time};

use crate::{api, config};

/// How often a round may begin again because its token ended.
const MAX_RESTARTS: u8 = 3;
const DAY_MS: u64 = 86_400_000;
/// How far the span of the calendar may lag before it moves on.
const SPAN_LAG_MS: u64 = 7 * DAY_MS;
/// Messages that are asked for at once.
const AT_ONCE: usize = 4;

const MESSAGE: &str = "subject,bodyPreview,from,sender,toRecipients,ccRecipients,replyTo,receivedDateTime,sentDateTime,\
    createdDateTime,lastModifiedDateTime,isRead,isDraft,hasAttachments,importance,categories,flag,conversationId,\
    internetMessageId,parentFolderId,webLink";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// The token of the next round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delta: Option<String>,
    /// The token of the next page of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// Where the calendar's span begins, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    span: Option<u64>,
    #[serde(default)]
    restarts: u8,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(rename = "@odata.nextLink", borrow, default)]
    next: Text<'a>,
    #[serde(rename = "@odata.deltaLink", borrow, default)]
    delta: Text<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(rename = "lastModifiedDateTime", borrow, default)]
    modified: Text<'a>,
    #[serde(rename = "receivedDateTime", default)]
    received: Option<Value>,
    #[serde(rename = "@removed", default)]
    removed: Option<Value>,
}

/// The next page; `now` in milliseconds.
pub(crate) fn read(connection: &Connection, request: &ReadRequest, now: u64) -> Result<Page, Error> {
    let config = config::of(connection)?;
    let mailbox = config.mailbox();
    let folder = match request.stream_name.as_str() {
        "messages" => Some(folder(&config, request)?),
        _ => None,
    };
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let wanted = now.saturating_sub(config.days_back * DAY_MS) / DAY_MS * DAY_MS;
    if request.stream_name == "events" {
        let is_behind = |span: u64| cursor.page.is_none() && wanted.saturating_sub(span) >= SPAN_LAG_MS;
        if cursor.span.is_none_or(is_behind) {
            cursor = Cursor {
                span: Some(wanted),
                ..Cursor::default()
            };
        }
    }
    let path = match (request.stream_name.as_str(), &folder) {
        ("messages", Some(folder)) => format!("{mailbox}/mailFolders/{folder}/messages/delta"),
        ("folders", _) => format!("{mailbox}/mailFolders/delta"),
        _ => format!("{mailbox}/calendarView/delta"),
    };
    let response = asked(&path, &cursor, &config, folder.is_some()).send()?;
    if is_over(&response) {
        return again(cursor);
    }
    let response = api::ok(response).map_err(|error| match &folder {
        Some(_) if response_is_of_a_folder(&error) => error.blame_config("/folders"),
        _ => error,
    })?;
    let answer: Answer<'_> = response.json()?;
    let changes = changes(&mailbox, folder.as_deref(), answer.value)?;
    let (page, delta) = (
        api::token(answer.next.as_str()),
        api::token(answer.delta.as_str()),
    );
    if let Some((_, token)) = page {
        cursor.page = paging::token(&token, cursor.page.as_deref())?;
        return Page::at(changes, &cursor, true);
    }
    let Some((_, token)) = delta else {
        return Err(Error::invalid_data(
            "Graph's page has neither a next page nor a next round",
        ));
    };
    let end = Cursor {
        delta: paging::token(&token, None)?,
        page: None,
        span: cursor.span,
        restarts: 0,
    };
    Page::at(changes, &end, false)
}

fn response_is_of_a_folder(error: &Error) -> bool {
    matches!(error, Error::InvalidData(detail) if detail.message.contains("ErrorItemNotFound") || detail.message.contains("ErrorInvalidIdMalformed"))
}

fn asked(path: &str, cursor: &Cursor, config: &config::Config, is_message: bool) -> Request {
    let request = api::get(path);
    if let Some(token) = &cursor.page {
        return request.query("$skiptoken", token);
    }
    if let Some(token) = &cursor.delta {
        return request.query("$deltatoken", token);
    }
    if is_message {
        return request.query("$select", MESSAGE);
    }
    match cursor.span {
        Some(start) => request.query("startDateTime", &time::format(start)).query(
            "endDateTime",
            &time::format(start + (config.days_back + config.days_ahead) * DAY_MS),
        ),
        None => request,
    }
}

fn is_over(response: &http::Response) -> bool {
    let code = api::code(response).to_ascii_lowercase();
    response.status == 410
        || (response.status == 400 && (code.contains("syncstate") || code == "resyncrequired"))
}

fn again(cursor: Cursor) -> Result<Page, Error> {
    if cursor.restarts >= MAX_RESTARTS || (cursor.page.is_none() && cursor.delta.is_none()) {
        return Err(Error::transient(
            "Graph ends its tokens again and again before they are used",
        ));
    }
    log::info("Graph no longer takes the token: the round begins again");
    let begin = Cursor {
        span: cursor.span,
        restarts: cursor.restarts + 1,
        ..Cursor::default()
    };
    Page::at(Vec::new(), &begin, true)
}

/// The folder of a partition, if it is still one that is read.
fn folder(config: &config::Config, request: &ReadRequest) -> Result<String, Error> {
    let folder = request.partition.clone().unwrap_or_default();
    match config.folders().contains(&folder) {
        true => Ok(folder),
        false => Err(Error::config(
            "the folder is no longer among those that are read",
            "/folders",
        )),
    }
}

fn changes(mailbox: &str, folder: Option<&str>, list: &RawValue) -> Result<Vec<Change>, Error> {
    let id = |id: &str| match folder {
        Some(folder) => record::key(&[folder, id]),
        None => id.to_owned(),
    };
    let upsert = |head: &Head<'_>, text: &str| {
        Ok::<_, Error>(Change::Upsert(Item {
            id: id(head.id.as_str()),
            data: match folder {
                Some(folder) => record::with_member(text, "folder", folder)?,
                None => text.to_owned(),
            },
            modified: head.modified.timestamp(),
        }))
    };
    let mut changes = Vec::new();
    let mut partial = Vec::new();
    for element in record::each::<Head<'_>>(list.get()) {
        let (head, text) = element?;
        if head.removed.is_some() {
            changes.push(Change::Delete(id(head.id.as_str())));
        } else if folder.is_some() && head.received.is_none() {
            partial.push(head.id.as_str().to_owned());
        } else {
            changes.push(upsert(&head, text)?);
        }
    }
    for ids in partial.chunks(AT_ONCE) {
        let whole = |id: &String| {
            let path = format!("{mailbox}/messages/{}", http::encode(id));
            api::get(&path).query("$select", MESSAGE)
        };
        for response in http::send_all(ids.iter().map(whole).collect()) {
            let response = response?;
            // It is gone meanwhile, which the next round says.
            if response.status == 404 {
                continue;
            }
            let response = api::ok(response)?;
            let head: Head<'_> = response.json()?;
            changes.push(upsert(&head, response.text()?)?);
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const NOW: u64 = 1_767_700_000_000; // 2026-01-06

    fn step(stream: &str, cursor: Option<String>, now: u64) -> Result<Page, Error> {
        let mut request = testing::read_request(stream, cursor);
        request.partition = (stream == "messages").then(|| "inbox".to_owned());
        read(&testing::connection(r#"{"tenant":"common"}"#), &request, now)
    }

    fn urls() -> Vec<String> {
        let requests = testing::requests();
        let of = |request: &Request| {
            let rest = request
                .url()
                .strip_prefix("https://graph.microsoft.com/v1.0/")
                .unwrap();
            rest.replace(&format!("%24select={}", http::encode(MESSAGE)), "SELECT")
        };
        requests.iter().map(of).collect()
    }

    fn told(page: &Page) -> Vec<String> {
        let of = |change: &Change| match change {
            Change::Upsert(item) => format!("+{}", item.id),
            Change::Delete(id) => format!("-{id}"),
        };
        page.changes.iter().map(of).collect()
    }

    #[test]
    fn a_folder_is_read_once_and_then_followed() {
        testing::serve(|request| match request.url() {
            url if url.contains("/messages/AAMkSame?") => answer(
                200,
                &[],
                r#"{"id":"AAMkSame","receivedDateTime":"2026-01-05T10:00:00Z","isRead":true}"#,
            ),
            url if url.contains("deltatoken") => {
                answer(200, &[], include_str!("../fixtures/messages-later.json"))
            }
            url if url.contains("skiptoken") => answer(
                200,
                &[],
                r#"{"value":[],"@odata.deltaLink":"https://graph.microsoft.com/v1.0/me/x?$deltatoken=d1"}"#,
            ),
            _ => answer(200, &[], include_str!("../fixtures/messages.json")),
        });
        let first = step("messages", None, NOW).unwrap();
        assert!(first.more);
        assert_eq!(told(&first), ["+inbox/AAMkAGI1AAAoZCfHAAA="]);
        let last = step("messages", first.cursor, NOW).unwrap();
        assert_eq!(last.cursor.as_deref(), Some(r#"{"delta":"d1","restarts":0}"#));
        let later = step("messages", last.cursor, NOW).unwrap();
        assert_eq!(told(&later), ["-inbox/AAMkGone", "+inbox/AAMkSame"]);
        assert_eq!(
            urls(),
            [
                "me/mailFolders/inbox/messages/delta?SELECT",
                "me/mailFolders/inbox/messages/delta?%24skiptoken=s%2B1",
                "me/mailFolders/inbox/messages/delta?%24deltatoken=d1",
                "me/messages/AAMkSame?SELECT",
            ]
        );
        let prefer = testing::requests()[0].header_value("prefer").unwrap().to_owned();
        assert!(prefer.contains("ImmutableId"));
    }

    #[test]
    fn a_token_that_ended_begins_the_round_again_and_that_ends() {
        testing::serve(|request| match request.url().contains("token") {
            true => answer(410, &[], include_str!("../fixtures/gone.json")),
            false => answer(200, &[], include_str!("../fixtures/messages.json")),
        });
        let mut cursor = Some(r#"{"delta":"old"}"#.to_owned());
        let mut steps = 0;
        let error = loop {
            match step("messages", cursor, NOW) {
                Ok(page) => cursor = page.cursor,
                Err(error) => break error,
            }
            steps += 1;
            assert!(steps < 50);
        };
        assert!(matches!(error, Error::Transient(_)), "{error:?}");
    }

    #[test]
    fn the_span_of_the_calendar_moves_on_once_a_week() {
        let link = r#"{"value":[{"id":"e1"}],"@odata.deltaLink":"https://graph.microsoft.com/v1.0/me/x?$deltatoken=d1"}"#;
        testing::serve(move |_| answer(200, &[], link));
        let first = step("events", None, NOW).unwrap();
        let second = step("events", first.cursor, NOW + 6 * DAY_MS).unwrap();
        step("events", second.cursor, NOW + 8 * DAY_MS).unwrap();
        let span = |start: &str, end: &str| {
            format!(
                "me/calendarView/delta?startDateTime={start}T00%3A00%3A00Z&endDateTime={end}T00%3A00%3A00Z"
            )
        };
        assert_eq!(
            urls(),
            [
                span("2025-12-07", "2026-07-05"),
                "me/calendarView/delta?%24deltatoken=d1".to_owned(),
                span("2025-12-15", "2026-07-13"),
            ]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for body in [
            "{}",
            "<html>",
            r#"{"value":[]}"#,
            r#"{"value":{},"@odata.deltaLink":"https://x/?$deltatoken=d"}"#,
        ] {
            testing::serve(move |_| answer(200, &[], body));
            assert!(
                matches!(step("folders", None, NOW), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
        testing::serve(|_| {
            answer(
                200,
                &[],
                r#"{"value":[],"@odata.nextLink":"https://x/?$skiptoken=same"}"#,
            )
        });
        let first = step("folders", None, NOW).unwrap();
        assert!(step("folders", first.cursor, NOW).is_err(), "in circles");
        testing::serve(|_| {
            answer(
                404,
                &[],
                r#"{"error":{"code":"ErrorItemNotFound","message":"no"}}"#,
            )
        });
        assert!(matches!(step("messages", None, NOW), Err(Error::Config(_))));
    }
}
