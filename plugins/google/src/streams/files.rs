//! Files of Drive: listed once (Drive API, `files.list`), then followed by changes ("Retrieve changes", `changes.list`).
//! The change token is taken before the list is begun, so what changes meanwhile is seen again.
//!
//! What was removed is deleted: it was deleted for good, or is out of the account's reach. What is in the bin stays, with
//! `trashed: true`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::http::{Request, Response};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Error, Page, ReadRequest, log, time};

use crate::api;

/// What is asked for of each file; `connector.toml` declares the same.
const FIELDS: &str = "id,name,mimeType,description,starred,trashed,parents,driveId,createdTime,modifiedTime,version,size,\
                      md5Checksum,webViewLink,owners(emailAddress,displayName),lastModifyingUser(emailAddress,displayName),shared";

/// Fewer than the 1,000 that both lists can give, since a file has long fields.
const PER_PAGE: &str = "500";

/// How often a pass may begin again because its token was no longer good: a page's lasts some hours.
const MAX_RESTARTS: u8 = 2;

/// Where reading stands.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// From where changes are asked for, when the list is through; none before there was a list of everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changes: Option<String>,
    /// The page of the list under way: an empty text for the first one; none when it is through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restarts: Option<u8>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(rename = "modifiedTime", borrow, default)]
    modified: Text<'a>,
}

/// The next page.
pub(crate) fn read(request: &ReadRequest) -> Result<Page, Error> {
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    if cursor.list.is_some() {
        return list(cursor, request);
    }
    // A window lists what was modified in it, and leaves the place among the changes as it is.
    if request.window.is_some() {
        cursor.list = Some(String::new());
        return list(cursor, request);
    }
    match cursor.changes.take() {
        Some(token) => changes(cursor, &token),
        None => list(begin(0)?, request),
    }
}

/// Takes the token that changes are asked for from (`changes.getStartPageToken`).
fn begin(restarts: u8) -> Result<Cursor, Error> {
    #[derive(Deserialize)]
    struct Start<'a> {
        #[serde(rename = "startPageToken", borrow, default)]
        token: Text<'a>,
    }
    let asked =
        api::get(format!("{}/drive/v3/changes/startPageToken", api::ROOT)).query("supportsAllDrives", "true");
    let response = api::ok(asked.send()?)?;
    let start: Start<'_> = response.json()?;
    let Some(token) = api::token(&start.token, None)? else {
        return Err(Error::invalid_data("Google gives no `startPageToken`"));
    };
    Ok(Cursor {
        changes: Some(token),
        list: Some(String::new()),
        restarts: Some(restarts).filter(|restarts| *restarts > 0),
    })
}

/// A page of the list.
fn list(mut cursor: Cursor, request: &ReadRequest) -> Result<Page, Error> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        files: &'a RawValue,
        #[serde(rename = "nextPageToken", borrow, default)]
        page: Text<'a>,
    }
    let page = cursor.list.take().unwrap_or_default();
    let mut asked = everywhere("files")
        .query("fields", &format!("nextPageToken,files({FIELDS})"))
        .query("orderBy", "createdTime");
    if let Some(window) = &request.window {
        let (start, end) = (time::format(window.start), time::format(window.end));
        asked = asked.query(
            "q",
            &format!("modifiedTime >= '{start}' and modifiedTime < '{end}'"),
        );
    }
    if !page.is_empty() {
        asked = asked.query("pageToken", &page);
    }
    let response = asked.send()?;
    if !page.is_empty() && is_stale(&response) {
        return again(cursor, request.window.is_some());
    }
    let response = api::ok(response)?;
    let list: List<'_> = response.json()?;
    let mut changes = Vec::with_capacity(500);
    for element in record::each::<Head<'_>>(list.files.get()) {
        let (head, text) = element?;
        changes.push(upsert(&head, text));
    }
    cursor.list = api::token(&list.page, Some(&page))?;
    if cursor.list.is_none() {
        cursor.restarts = None;
    }
    let more = cursor.list.is_some();
    Page::at(changes, &cursor, more)
}

/// A page of changes.
fn changes(mut cursor: Cursor, token: &str) -> Result<Page, Error> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        changes: &'a RawValue,
        #[serde(rename = "nextPageToken", borrow, default)]
        page: Text<'a>,
        #[serde(rename = "newStartPageToken", borrow, default)]
        start: Text<'a>,
    }
    #[derive(Deserialize)]
    struct One<'a> {
        #[serde(rename = "changeType", borrow, default)]
        kind: Text<'a>,
        #[serde(default)]
        removed: Option<bool>,
        #[serde(rename = "fileId", borrow, default)]
        id: Text<'a>,
        #[serde(borrow, default)]
        file: Option<&'a RawValue>,
    }
    let asked = everywhere("changes")
        .query("pageToken", token)
        .query("includeRemoved", "true")
        .query(
            "fields",
            &format!("nextPageToken,newStartPageToken,changes(changeType,removed,fileId,file({FIELDS}))"),
        );
    let response = asked.send()?;
    if is_stale(&response) {
        return again(cursor, false);
    }
    let response = api::ok(response)?;
    let list: List<'_> = response.json()?;
    let mut changes = Vec::with_capacity(500);
    for element in record::each::<One<'_>>(list.changes.get()) {
        let (one, _) = element?;
        // The other kind is a shared drive itself.
        if !matches!(one.kind.as_str(), "" | "file") {
            continue;
        }
        match one.file {
            _ if one.removed == Some(true) => changes.push(Change::Delete(one.id.as_str().to_owned())),
            Some(file) => {
                let head: Head<'_> = serde_json::from_str(file.get()).map_err(|error| {
                    Error::invalid_data(format!("a change has no usable `file`: {error}"))
                })?;
                changes.push(upsert(&head, file.get()));
            }
            None => log::info("a change names a file and neither shows nor removes it: passed over"),
        }
    }
    cursor.restarts = None;
    cursor.changes = api::token(&list.page, Some(token))?;
    if cursor.changes.is_some() {
        return Page::at(changes, &cursor, true);
    }
    let Some(start) = api::token(&list.start, None)? else {
        return Err(Error::invalid_data(
            "Google's changes end without a token to go on from",
        ));
    };
    cursor.changes = Some(start);
    Page::at(changes, &cursor, false)
}

/// A list over the account's own files, those shared with it and those of shared drives.
fn everywhere(what: &str) -> Request {
    api::get(format!("{}/drive/v3/{what}", api::ROOT))
        .query("pageSize", PER_PAGE)
        .query("spaces", "drive")
        .query("supportsAllDrives", "true")
        .query("includeItemsFromAllDrives", "true")
}

/// Whether the token that was sent is no longer one. Drive says 400 or 404 to it, and 410 to one that is too old.
const fn is_stale(response: &Response) -> bool {
    matches!(response.status, 400 | 404 | 410)
}

/// Lists again: a window with the place among the changes as it is, everything with a new one.
fn again(cursor: Cursor, is_window: bool) -> Result<Page, Error> {
    let restarts = cursor.restarts.unwrap_or_default() + 1;
    if restarts > MAX_RESTARTS {
        return Err(Error::transient(
            "Google ends its tokens again and again before they are used",
        ));
    }
    log::info("Google no longer takes the token: the files are listed again");
    if is_window {
        let cursor = Cursor {
            list: Some(String::new()),
            restarts: Some(restarts),
            ..cursor
        };
        return Page::at(Vec::new(), &cursor, true);
    }
    Page::at(Vec::new(), &begin(restarts)?, true)
}

fn upsert(head: &Head<'_>, text: &str) -> Change {
    Change::Upsert(record::item(head.id.as_str(), text, head.modified.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{Window, testing};

    fn step(cursor: Option<String>) -> Result<Page, Error> {
        read(&testing::read_request("files", cursor))
    }

    fn following(token: &str) -> Option<String> {
        Some(format!(r#"{{"changes":"{token}"}}"#))
    }

    fn ids(page: &Page) -> Vec<String> {
        page.changes
            .iter()
            .map(|change| match change {
                Change::Upsert(item) => format!("+{}", item.id),
                Change::Delete(id) => format!("-{id}"),
            })
            .collect()
    }

    fn parameter(request: &Request, name: &str) -> Option<String> {
        let (_, query) = request.url().split_once('?')?;
        let value = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.map(str::to_owned)
    }

    #[test]
    fn the_first_pass_lists_and_the_next_ones_follow_changes() {
        testing::serve(|request| {
            let token = parameter(request, "pageToken");
            let body = match (request.url().split('?').next().unwrap(), token.as_deref()) {
                ("https://www.googleapis.com/drive/v3/changes/startPageToken", None) => {
                    r#"{"startPageToken":"70"}"#
                }
                ("https://www.googleapis.com/drive/v3/files", None) => {
                    include_str!("../../fixtures/files.json")
                }
                ("https://www.googleapis.com/drive/v3/files", Some("p2")) => r#"{"files":[{"id":"f2"}]}"#,
                ("https://www.googleapis.com/drive/v3/changes", Some("70")) => {
                    include_str!("../../fixtures/changes.json")
                }
                ("https://www.googleapis.com/drive/v3/changes", Some("75")) => {
                    r#"{"changes":[{"changeType":"file","removed":true,"fileId":"f9"}],"newStartPageToken":"80"}"#
                }
                other => panic!("{other:?}"),
            };
            testing::answer(200, &[], body)
        });
        let first = step(None).unwrap();
        assert_eq!((ids(&first), first.more), (vec!["+1DoorPlan".to_owned()], true));
        assert!(
            matches!(&first.changes[0], Change::Upsert(item) if item.modified == Some(1_714_557_600_000))
        );
        let second = step(first.cursor).unwrap();
        assert_eq!((ids(&second), second.more), (vec!["+f2".to_owned()], false));
        assert_eq!(second.cursor, following("70"));
        let third = step(second.cursor).unwrap();
        assert_eq!(
            (ids(&third), third.more),
            (vec!["+1DoorPlan".to_owned(), "-1OldPlan".to_owned()], true)
        );
        let fourth = step(third.cursor).unwrap();
        assert_eq!((ids(&fourth), fourth.more), (vec!["-f9".to_owned()], false));
        assert_eq!(fourth.cursor, following("80"));
        let fields = parameter(&testing::requests()[1], "fields").unwrap();
        assert!(
            fields.starts_with("nextPageToken%2Cfiles%28id%2Cname%2C"),
            "{fields}"
        );
    }

    #[test]
    fn a_token_that_is_no_longer_one_starts_over_but_not_for_ever() {
        testing::serve(|request| match request.url() {
            url if url.contains("startPageToken?") => testing::answer(200, &[], r#"{"startPageToken":"9"}"#),
            url if url.contains("pageToken=") => {
                testing::answer(400, &[], r#"{"error":{"message":"Invalid Value"}}"#)
            }
            _ => testing::answer(200, &[], r#"{"files":[],"nextPageToken":"p2"}"#),
        });
        let mut cursor = following("old");
        for _ in 0..MAX_RESTARTS {
            let again = step(cursor).unwrap();
            assert!(again.more && again.changes.is_empty());
            cursor = step(again.cursor).unwrap().cursor;
        }
        assert!(matches!(step(cursor), Err(Error::Transient(_))));
    }

    #[test]
    fn a_window_is_a_list_of_what_was_modified_in_it() {
        testing::serve(|request| {
            let q = parameter(request, "q").unwrap();
            assert_eq!(
                q,
                "modifiedTime%20%3E%3D%20%271970-01-01T00%3A00%3A01Z%27%20and%20modifiedTime%20%3C%20%271970-01-01T00%3A00%3A05Z%27"
            );
            testing::answer(200, &[], r#"{"files":[]}"#)
        });
        let mut request = testing::read_request("files", following("70"));
        request.window = Some(Window {
            start: 1_000,
            end: 5_000,
        });
        let page = read(&request).unwrap();
        assert_eq!((page.more, page.cursor), (false, following("70")));
        // What was never listed whole still has to be.
        request.cursor = None;
        assert_eq!(read(&request).unwrap().cursor.as_deref(), Some("{}"));
    }

    #[test]
    fn bad_pages_are_errors_and_never_a_partial_page() {
        for body in [
            "<html>",
            "{}",
            r#"{"changes":{}}"#,
            r#"{"changes":[{"file":7,"fileId":"a"}],"newStartPageToken":"2"}"#,
            r#"{"changes":[]}"#,
            r#"{"changes":[],"nextPageToken":"70"}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(
                matches!(step(following("70")), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
        testing::serve(|_| testing::answer(200, &[], r#"{"startPageToken":null}"#));
        assert!(matches!(step(None), Err(Error::InvalidData(_))));
    }

    #[test]
    fn what_has_no_file_is_passed_over() {
        let body =
            r#"{"changes":[{"changeType":"drive","driveId":"d"},{"fileId":"x"}],"newStartPageToken":"71"}"#;
        testing::serve(move |_| testing::answer(200, &[], body));
        assert!(step(following("70")).unwrap().changes.is_empty());
    }
}
