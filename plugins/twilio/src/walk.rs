//! One pass over a list, page by page, newest first.
//!
//! Twilio filters by the day on which something was sent or began, not by change, and what was sent goes on changing for
//! a while: it is delivered, it is billed. A pass therefore reads again from a few days before the newest known record.
//! Pages are taken by the token that Twilio gives (Twilio docs, "Pagination"), which keeps its place when new records come.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{Id, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, http, record};

use crate::{account, when};

/// Records of a page; the API gives up to 1,000.
const PAGE_SIZE: &str = "500";

/// How long records are read again after they were sent or began, in milliseconds. A call ends after a day at most
/// ("Call resource", TimeLimit); a message's last status and price come within hours, seldom days.
const AGAIN_MS: u64 = 3 * 86_400_000;

/// The longest page address that is followed, in bytes: a cursor has room for it.
const MAX_QUERY_BYTES: usize = 2_048;

/// A list of the account's.
pub(crate) trait List {
    /// Its name in addresses.
    const PATH: &'static str;
    /// Its name in pages.
    const MEMBER: &'static str;
    /// The parameter that filters by day.
    const FILTER: &'static str;
    /// When a record was sent or began; none where that is still to come.
    fn position(head: &Head<'_>) -> Option<u64>;
}

/// Twilio docs, "Read multiple Message resources".
pub(crate) struct Messages;

impl List for Messages {
    const PATH: &'static str = "Messages";
    const MEMBER: &'static str = "messages";
    const FILTER: &'static str = "DateSent";

    fn position(head: &Head<'_>) -> Option<u64> {
        when::parse(head.date_sent.as_str())
    }
}

/// Twilio docs, "Read multiple Call resources".
pub(crate) struct Calls;

impl List for Calls {
    const PATH: &'static str = "Calls";
    const MEMBER: &'static str = "calls";
    const FILTER: &'static str = "StartTime";

    fn position(head: &Head<'_>) -> Option<u64> {
        when::parse(head.start_time.as_str())
    }
}

/// The members of a record that the walk needs.
#[derive(Debug, Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow, default)]
    sid: Id<'a>,
    #[serde(borrow, default)]
    date_created: Text<'a>,
    #[serde(borrow, default)]
    date_updated: Text<'a>,
    #[serde(borrow, default)]
    date_sent: Text<'a>,
    #[serde(borrow, default)]
    start_time: Text<'a>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cursor {
    /// When the newest record of the finished passes was sent or began, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    /// The place of the pass under way; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    /// The next page's query, as Twilio gave it.
    query: String,
    /// The newest record of this pass so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<u64>,
    /// The first record of the page before: one that comes again is a vendor going in circles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<String>,
}

/// The next page.
pub(crate) fn read<L: List>(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let account = account::of(connection)?;
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let place = cursor.at.take();
    let url = account.under(L::PATH);
    let asked = match &place {
        Some(place) => http::get(format!("{url}?{}", place.query)),
        None => filtered::<L>(http::get(url).query("PageSize", PAGE_SIZE), &cursor, request),
    };
    let response = asked
        .send()?
        .ok()
        .map_err(|error| error.blame_config("/account_sid"))?;
    let page = page(L::MEMBER, response.text()?)?;

    let mut newest = place.as_ref().map_or(cursor.since, |place| place.newest);
    let mut first = None;
    let mut changes = Vec::with_capacity(512);
    for element in record::each::<Head<'_>>(page.records) {
        let (head, text) = element?;
        let position = L::position(&head);
        newest = newest.max(position);
        let id = head.sid.to_string();
        first.get_or_insert_with(|| id.clone());
        let created = when::parse(head.date_created.as_str());
        let in_window = match (&request.window, position.or(created)) {
            (Some(window), Some(at)) => (window.start..window.end).contains(&at),
            _ => true,
        };
        if in_window {
            let modified = when::parse(head.date_updated.as_str()).or(created);
            changes.push(Change::Upsert(record::item(id, text, modified)));
        }
    }

    match page.next {
        Some(query) => {
            let circle = place
                .as_ref()
                .is_some_and(|place| place.query == query || place.first == first);
            if circle || first.is_none() {
                return Ok(Page {
                    changes: Vec::new(),
                    cursor: request.cursor.clone(),
                    more: true,
                    total_hint: None,
                });
            }
            cursor.at = Some(Place { query, newest, first });
        }
        None => cursor.since = newest,
    }
    let more = cursor.at.is_some();
    Page::at(changes, &cursor, more)
}

/// The first page, of the days that matter. The inequality is part of the parameter's name: `DateSent>=2024-01-31`.
fn filtered<L: List>(asked: http::Request, cursor: &Cursor, request: &ReadRequest) -> http::Request {
    let after = format!("{}>", L::FILTER);
    if let Some(window) = &request.window {
        let before = format!("{}<", L::FILTER);
        // A day too many at the end, in case the vendor means the day's beginning; the window itself is cut here.
        let end = when::day(window.end.saturating_add(86_400_000));
        return asked.query(&after, &when::day(window.start)).query(&before, &end);
    }
    match cursor.since {
        Some(since) => asked.query(&after, &when::day(since.saturating_sub(AGAIN_MS))),
        None => asked,
    }
}

/// A page's records as text, and the query of the next page.
struct Listed<'a> {
    records: &'a str,
    next: Option<String>,
}

/// `{"messages": [..], "next_page_uri": "/2010-04-01/Accounts/AC../Messages.json?PageToken=.."}`. Of the address only the
/// query counts: a page must not lead anywhere else.
fn page<'a>(member: &str, text: &'a str) -> Result<Listed<'a>, Error> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        messages: Option<&'a RawValue>,
        #[serde(borrow, default)]
        calls: Option<&'a RawValue>,
        #[serde(default, deserialize_with = "query")]
        next_page_uri: Option<String>,
    }
    let body: Body<'_> = serde_json::from_str(text)
        .map_err(|error| Error::invalid_data(format!("the page is not a list of {member}: {error}")))?;
    let records = if member == "calls" {
        body.calls
    } else {
        body.messages
    };
    let records = records
        .ok_or_else(|| Error::invalid_data(format!("the page is not a list of {member}: it has none")))?;
    Ok(Listed {
        records: records.get(),
        next: body.next_page_uri,
    })
}

/// The query of an address; none where there is no address. An address without a query leads nowhere.
fn query<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(uri) = Option::<String>::deserialize(deserializer)?.filter(|uri| !uri.is_empty()) else {
        return Ok(None);
    };
    let query = uri.split_once('?').map(|(_, query)| query);
    let plain = |query: &&str| {
        query.len() <= MAX_QUERY_BYTES
            && query
                .bytes()
                .all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\')
    };
    match query.filter(plain) {
        Some(query) => Ok(Some(query.to_owned())),
        None => Err(D::Error::custom("the next page's address is not one")),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::account::tests::{connection, sid};
    use sluice_sdk::http::Request;
    use sluice_sdk::{Window, testing};

    const DAY: u64 = 86_400_000;

    /// The list, oldest first: id and time of sending in milliseconds.
    type Sent = Rc<RefCell<Vec<(u64, u64)>>>;

    const PER_PAGE: usize = 3;

    fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
        let (_, query) = request.url().split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// `2024-01-31T12:00:00Z` as RFC 2822; the day of the week does not matter.
    fn date(timestamp: u64) -> String {
        let text = sluice_sdk::time::format(timestamp);
        let month: usize = text[5..7].parse().unwrap();
        let names = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        format!(
            "Mon, {} {} {} {} +0000",
            &text[8..10],
            names[month - 1],
            &text[..4],
            &text[11..19]
        )
    }

    /// Serves the list as Twilio does: newest first, filtered by day, with a token that is the last id.
    fn serve(sent: &Sent) {
        let sent = sent.clone();
        testing::serve(move |request| {
            assert!(
                request
                    .url()
                    .contains(&format!("/Accounts/{}/Messages.json?", sid()))
            );
            let from = parameter(request, "DateSent%3E").unwrap_or_default();
            let token: u64 = parameter(request, "PageToken").map_or(u64::MAX, |token| token.parse().unwrap());
            let sent = sent.borrow();
            let mut rest = sent
                .iter()
                .rev()
                .filter(|(id, at)| *id < token && when::day(*at).as_str() >= from);
            let page: Vec<_> = rest.by_ref().take(PER_PAGE).collect();
            let records: Vec<String> = page
                .iter()
                .map(|(id, at)| {
                    format!(
                        r#"{{"sid":"SM{id}","date_sent":"{0}","date_updated":"{0}"}}"#,
                        date(*at)
                    )
                })
                .collect();
            let next = match (rest.next(), page.last()) {
                (Some(_), Some((id, _))) => {
                    format!(r#""/2010-04-01/Elsewhere.json?DateSent%3E={from}&PageToken={id}""#)
                }
                _ => "null".to_owned(),
            };
            let body = format!(r#"{{"messages":[{}],"next_page_uri":{next}}}"#, records.join(","));
            testing::answer(200, &[], &body)
        });
    }

    fn one(cursor: Option<String>) -> Result<Page, Error> {
        read::<Messages>(&connection(), &testing::read_request("messages", cursor))
    }

    fn pass(mut cursor: Option<String>) -> (Vec<String>, Option<String>) {
        let mut ids = Vec::new();
        for _ in 0..100 {
            let page = one(cursor.clone()).unwrap();
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

    #[test]
    fn a_pass_reads_everything_and_the_next_one_the_last_days() {
        let sent: Sent = Rc::new(RefCell::new((1..=10).map(|id| (id, id * DAY)).collect()));
        serve(&sent);
        let (read, cursor) = pass(None);
        assert_eq!(read.len(), 10);
        assert_eq!(read[0], "SM10");
        sent.borrow_mut().push((11, 10 * DAY + 5_000));
        let (read, cursor) = pass(cursor);
        assert_eq!(read, ["SM11", "SM10", "SM9", "SM8", "SM7"]);
        let (read, _) = pass(cursor);
        assert_eq!(read.len(), 5, "the last three days are given again");
    }

    #[test]
    fn a_message_that_comes_during_a_pass_repeats_nothing_and_hides_nothing() {
        let sent: Sent = Rc::new(RefCell::new((1..=7).map(|id| (id, id * DAY)).collect()));
        serve(&sent);
        let first = one(None).unwrap();
        sent.borrow_mut().push((8, 8 * DAY));
        let (rest, cursor) = pass(first.cursor);
        assert_eq!(rest, ["SM4", "SM3", "SM2", "SM1"]);
        let (read, _) = pass(cursor);
        assert_eq!(read[0], "SM8");
    }

    #[test]
    fn a_window_asks_for_its_days_and_cuts_both_ends() {
        let sent: Sent = Rc::new(RefCell::new((1..=9).map(|id| (id, id * DAY / 2)).collect()));
        serve(&sent);
        let mut request = testing::read_request("messages", None);
        request.window = Some(Window {
            start: DAY,
            end: 2 * DAY,
        });
        let mut ids = Vec::new();
        loop {
            let page = read::<Messages>(&connection(), &request).unwrap();
            ids.extend(page.changes.iter().map(|change| change.id().to_owned()));
            request.cursor = page.cursor;
            if !page.more {
                break;
            }
        }
        assert_eq!(ids, ["SM3", "SM2"]);
        let url = testing::requests()[0].url().to_owned();
        assert!(
            url.ends_with("?PageSize=500&DateSent%3E=1970-01-02&DateSent%3C=1970-01-04"),
            "{url}"
        );
    }

    #[test]
    fn a_vendor_that_goes_in_circles_does_not_move_the_cursor() {
        for records in [r#"{"sid":"SM1"}"#, ""] {
            let mut token = 0;
            testing::serve(move |_| {
                token += 1;
                let body = format!(r#"{{"messages":[{records}],"next_page_uri":"/x?PageToken={token}"}}"#);
                testing::answer(200, &[], &body)
            });
            let first = one(None).unwrap();
            let second = one(first.cursor.clone()).unwrap();
            assert!(
                second.more && second.cursor == first.cursor && second.changes.is_empty(),
                "{records}"
            );
        }
    }

    #[test]
    fn bad_pages_are_errors_and_never_a_partial_page() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"calls":[]}"#,
            r#"{"messages":{}}"#,
            r#"{"messages":[{"sid":"SM1"},{"#,
            r#"{"messages":[],"next_page_uri":7}"#,
            r#"{"messages":[{"sid":"SM1"}],"next_page_uri":"/x"}"#,
            r#"{"messages":[{"sid":"SM1"}],"next_page_uri":"/x?a b"}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(one(None), Err(Error::InvalidData(_))), "{body}");
        }
        testing::serve(|_| testing::answer(200, &[], r#"{"messages":[{"body":"no sid"}]}"#));
        assert_eq!(one(None).unwrap().changes[0].id(), "", "the host sets it aside");
    }

    #[test]
    fn the_fixtures_are_read() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/messages.json")));
        let page = one(None).unwrap();
        let Change::Upsert(item) = &page.changes[0] else {
            panic!("{:?}", page.changes)
        };
        assert_eq!(item.id, "SM-made-up-1");
        assert_eq!(item.modified, Some(1_714_557_605_000));
        assert_eq!(
            page.changes.len(),
            2,
            "one that is still queued has no time of sending"
        );
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/calls.json")));
        let request = testing::read_request("calls", None);
        let page = read::<Calls>(&connection(), &request).unwrap();
        assert_eq!(page.changes[0].id(), "CA-made-up-1");
        assert_eq!(page.cursor.as_deref(), Some(r#"{"since":1714557600000}"#));
    }

    #[test]
    fn a_refusal_is_mapped() {
        let body = r#"{"code":20429,"message":"Too Many Requests","status":429}"#;
        testing::serve(move |_| testing::answer(429, &[("retry-after", "2")], body));
        assert!(matches!(one(None), Err(Error::RateLimited(wait)) if wait.retry_after_ms == Some(2_000)));
        testing::serve(|_| testing::answer(401, &[], r#"{"code":20003,"message":"Authenticate"}"#));
        assert!(matches!(one(None), Err(Error::Auth(_))));
    }
}
