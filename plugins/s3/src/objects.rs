//! The stream of the bucket's objects.
//!
//! S3 lists by key and cannot say what changed. A pass therefore walks the whole list, and gives on only what was changed
//! since the pass before; or, where the configuration says that new objects always sort last, it goes on after the last
//! key. That an object is gone shows in a full sync.

use serde::{Deserialize, Serialize};
use sluice_sdk::http::Response;
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, record, time};

use crate::bucket::{self, Bucket};
use crate::{listing, refusal};

/// The most keys that a page has (S3 API, "ListObjectsV2").
const MAX_KEYS: u32 = 1_000;

/// Objects changed up to this much before the newest known one are given again, in milliseconds: a multipart upload is
/// dated by its beginning and listed at its end ("System-defined object metadata"), and may take days. A week is what
/// buckets usually let an upload live.
const AGAIN_MS: u64 = 7 * 86_400_000;

/// Pages without an object, one after another, that end a pass as an error.
const MAX_EMPTY: u32 = 100;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cursor {
    /// The newest change that a finished pass has seen, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    /// The last key of a finished pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    /// The place of the pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Place {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// The last key so far: keys that follow are greater, and a token that the service forgot can be done without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<u64>,
    #[serde(default)]
    empty: u32,
}

pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let bucket = bucket::of(connection)?;
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let append = bucket.append_only && request.window.is_none();
    let place = cursor.at.take().unwrap_or_else(|| Place {
        last: cursor.last.clone().filter(|_| append),
        newest: cursor.since,
        ..Place::default()
    });
    let response = ask(&bucket, &place)?;
    let listing = listing::parse(response.text()?)?;

    let from = match (&request.window, cursor.since) {
        (None, Some(since)) if !append => since.saturating_sub(AGAIN_MS),
        _ => 0,
    };
    let (mut last, mut newest) = (place.last.clone(), place.newest);
    let mut changes = Vec::with_capacity(listing.objects.len());
    for object in &listing.objects {
        // A list that does not go forward has no end.
        if !object.key.is_empty() && last.as_ref().is_some_and(|last| *last >= object.key) {
            return Ok(circle(request));
        }
        if !object.key.is_empty() {
            last = Some(object.key.clone());
        }
        let modified = object.last_modified.as_deref().and_then(time::parse);
        newest = newest.max(modified);
        let wanted = match (&request.window, modified) {
            (Some(window), Some(modified)) => (window.start..window.end).contains(&modified),
            (None, Some(modified)) => modified >= from,
            (_, None) => true,
        };
        if wanted {
            changes.push(Change::Upsert(record::item(
                object.id(),
                &record::text(object)?,
                modified,
            )));
        }
    }
    if listing.next.is_some() && listing.next == place.token {
        return Ok(circle(request));
    }
    let empty = if listing.objects.is_empty() {
        place.empty + 1
    } else {
        0
    };
    if empty > MAX_EMPTY {
        return Err(Error::transient("the list goes on without an object in it"));
    }
    let more = listing.next.is_some();
    if more {
        cursor.at = Some(Place {
            token: listing.next,
            last,
            newest,
            empty,
        });
    } else {
        cursor.since = newest;
        cursor.last = last.filter(|_| bucket.append_only);
    }
    Ok(Page {
        changes,
        cursor: Some(record::text(&cursor)?),
        more,
        total_hint: None,
    })
}

/// The next page; by key where the service does not know its own token any more.
fn ask(bucket: &Bucket, place: &Place) -> Result<Response, Error> {
    let last = place.last.as_deref();
    let mut response = bucket.list(place.token.as_deref(), last, MAX_KEYS).send()?;
    if response.status == 400
        && place.token.is_some()
        && last.is_some()
        && refusal::is(&response, "InvalidArgument")
    {
        response = bucket.list(None, last, MAX_KEYS).send()?;
    }
    if response.status == 200 {
        return Ok(response);
    }
    Err(refusal::of(&response))
}

/// The cursor stays, and the host sees that the vendor goes in circles.
fn circle(request: &ReadRequest) -> Page {
    Page {
        changes: Vec::new(),
        cursor: request.cursor.clone(),
        more: true,
        total_hint: None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::*;
    use sluice_sdk::http::Request;
    use sluice_sdk::{Window, testing};

    const CONFIG: &str = r#"{"endpoint":"s3.example","region":"auto","bucket":"acme"}"#;
    const APPEND: &str = r#"{"endpoint":"s3.example","region":"auto","bucket":"acme","append_only":true}"#;

    /// The bucket: key to the second of its last change.
    type Objects = Rc<RefCell<BTreeMap<String, u64>>>;

    const PER_PAGE: usize = 3;

    fn objects(entries: &[(&str, u64)]) -> Objects {
        let entries = entries.iter().map(|(key, at)| ((*key).to_owned(), *at));
        Rc::new(RefCell::new(entries.collect()))
    }

    fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
        let (_, query) = request.url().split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// Serves `objects`; a token is the last key and `.`.
    fn serve(objects: &Objects) {
        let objects = objects.clone();
        testing::serve(move |request| {
            let after = match parameter(request, "continuation-token") {
                Some(token) => token.strip_suffix('.').unwrap(),
                None => parameter(request, "start-after").unwrap_or_default(),
            };
            let objects = objects.borrow();
            let mut rest = objects.iter().filter(|(key, _)| key.as_str() > after);
            let page: Vec<_> = rest.by_ref().take(PER_PAGE).collect();
            let contents: String = page
                .iter()
                .map(|(key, at)| {
                    let at = time::format(**at * 1_000);
                    format!(
                        "<Contents><Key>{key}</Key><LastModified>{at}</LastModified><Size>1</Size></Contents>"
                    )
                })
                .collect();
            let next = match (rest.next(), page.last()) {
                (Some(_), Some((key, _))) => {
                    format!(
                        "<IsTruncated>true</IsTruncated><NextContinuationToken>{key}.</NextContinuationToken>"
                    )
                }
                _ => "<IsTruncated>false</IsTruncated>".to_owned(),
            };
            testing::answer(
                200,
                &[],
                &format!("<ListBucketResult>{next}{contents}</ListBucketResult>"),
            )
        });
    }

    fn one(config: &str, cursor: Option<String>) -> Result<Page, Error> {
        read(
            &testing::connection(config),
            &testing::read_request("objects", cursor),
        )
    }

    fn pass(config: &str, mut cursor: Option<String>) -> (Vec<String>, Option<String>) {
        let mut ids = Vec::new();
        for _ in 0..100 {
            let page = one(config, cursor.clone()).unwrap();
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
        panic!("the pass does not end")
    }

    const DAY: u64 = 86_400;

    #[test]
    fn a_pass_reads_everything_and_the_next_one_what_changed() {
        let list = objects(&[("a", DAY), ("b", DAY), ("c", DAY), ("d", DAY), ("e", 50 * DAY)]);
        serve(&list);
        let (read, cursor) = pass(CONFIG, None);
        assert_eq!(read, ["a", "b", "c", "d", "e"]);
        list.borrow_mut().insert("b".to_owned(), 51 * DAY);
        // An upload that began before the newest known object and ended after it.
        list.borrow_mut().insert("bb".to_owned(), 45 * DAY);
        let (read, cursor) = pass(CONFIG, cursor);
        assert_eq!(read, ["b", "bb", "e"]);
        let (read, _) = pass(CONFIG, cursor);
        assert_eq!(read, ["b", "bb", "e"], "the last week is given again");
    }

    #[test]
    fn an_append_only_bucket_is_read_on_after_its_last_key() {
        let list = objects(&[("2024-01", 1), ("2024-02", 2), ("2024-03", 3), ("2024-04", 4)]);
        serve(&list);
        let (read, cursor) = pass(APPEND, None);
        assert_eq!(read.len(), 4);
        let (read, cursor) = pass(APPEND, cursor);
        assert!(read.is_empty(), "{read:?}");
        list.borrow_mut().insert("2024-05".to_owned(), 5);
        let (read, _) = pass(APPEND, cursor);
        assert_eq!(read, ["2024-05"]);
    }

    #[test]
    fn a_forgotten_token_is_done_without() {
        let list = objects(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
        serve(&list);
        let first = one(CONFIG, None).unwrap();
        testing::serve(|request| match parameter(request, "continuation-token") {
            Some(_) => testing::answer(
                400,
                &[],
                "<Error><Code>InvalidArgument</Code><Message>The continuation token provided is incorrect</Message></Error>",
            ),
            None => {
                assert_eq!(parameter(request, "start-after"), Some("c"));
                testing::answer(
                    200,
                    &[],
                    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>d</Key></Contents></ListBucketResult>",
                )
            }
        });
        let second = one(CONFIG, first.cursor).unwrap();
        assert_eq!((second.changes[0].id(), second.more), ("d", false));
    }

    #[test]
    fn a_vendor_that_goes_in_circles_does_not_move_the_cursor() {
        let page = |key: &str, token: u32| {
            let contents = match key {
                "" => String::new(),
                key => format!("<Contents><Key>{key}</Key></Contents>"),
            };
            format!(
                "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>{contents}</ListBucketResult>"
            )
        };
        // The same keys under ever new tokens.
        let mut token = 0;
        testing::serve(move |_| {
            token += 1;
            testing::answer(200, &[], &page("a", token))
        });
        let first = one(CONFIG, None).unwrap();
        let second = one(CONFIG, first.cursor.clone()).unwrap();
        assert!(second.more && second.changes.is_empty() && second.cursor == first.cursor);
        // The same token.
        testing::serve(move |_| testing::answer(200, &[], &page("", 7)));
        let first = one(CONFIG, None).unwrap();
        let second = one(CONFIG, first.cursor.clone()).unwrap();
        assert!(second.more && second.cursor == first.cursor);
        // Nothing, for ever.
        let mut token = 0;
        testing::serve(move |_| {
            token += 1;
            testing::answer(200, &[], &page("", token))
        });
        let mut cursor = None;
        for _ in 0..MAX_EMPTY {
            cursor = one(CONFIG, cursor).unwrap().cursor;
        }
        assert!(matches!(one(CONFIG, cursor), Err(Error::Transient(_))));
    }

    #[test]
    fn a_window_cuts_both_ends() {
        serve(&objects(&[("a", 1), ("b", 2), ("c", 3)]));
        let mut request = testing::read_request("objects", None);
        request.window = Some(Window {
            start: 2_000,
            end: 3_000,
        });
        let page = read(&testing::connection(CONFIG), &request).unwrap();
        assert_eq!(page.changes.iter().map(Change::id).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_record_is_what_the_schema_says() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/list-page.xml")));
        let page = one(CONFIG, None).unwrap();
        let Change::Upsert(item) = &page.changes[0] else {
            panic!("{:?}", page.changes)
        };
        assert_eq!(
            item.data,
            r#"{"key":"reports/2024 Q1 & more/ä.csv","size":1234,"etag":"9b2cf535f27731c974343645a3985328","last_modified":"2024-05-01T10:00:00.000Z","storage_class":"STANDARD"}"#
        );
        assert_eq!(item.modified, Some(1_714_557_600_000));
    }
}
