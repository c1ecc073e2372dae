//! Invoices (Invoicing API, "List invoices"), by number of the page, and disputes (Disputes API, "List disputes"), by token and the
//! time of their last change.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Error, Item, Page, ReadRequest, time};

use crate::api;
use crate::config::Config;

/// The most that PayPal gives at once.
const INVOICES: u64 = 100;
const DISPUTES: &str = "50";
/// More pages are not walked: a number of a page has no end of its own.
const MOST_PAGES: u64 = 100_000;
/// How far before the newest change that is known a pass begins, in milliseconds.
const AGAIN_MS: u64 = 600_000;
/// Changes of longer ago cannot be asked for: 180 days, and a day less.
const OLDEST_MS: u64 = 179 * 86_400_000;

pub(crate) fn invoices(config: &Config, request: &ReadRequest) -> Result<Page, Error> {
    #[derive(Serialize, Deserialize)]
    struct Cursor {
        page: u64,
    }
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(default)]
        total_pages: u64,
        #[serde(borrow, default)]
        items: Option<&'a RawValue>,
    }
    let page = request
        .cursor::<Option<Cursor>>()?
        .flatten()
        .map_or(1, |cursor| cursor.page);
    let response = api::get(config, "/v2/invoicing/invoices")
        .query("page", &page.to_string())
        .query("page_size", &INVOICES.to_string())
        .query("total_required", "true")
        .query("fields", "all")
        .send()?;
    let response = api::ok(response)?;
    let list: List<'_> = response.json()?;
    // An account without invoices has no `items`; one that says how many pages there are has them.
    if list.items.is_none() && list.total_pages > 0 {
        return Err(Error::invalid_data("PayPal's list of invoices has no `items`"));
    }
    let mut changes = Vec::new();
    for element in record::each::<Invoice<'_>>(list.items.map_or("[]", RawValue::get)) {
        let (head, text) = element?;
        changes.push(invoice(&head, text));
    }
    let more = page < list.total_pages;
    if page >= MOST_PAGES {
        return Err(Error::invalid_data("PayPal's list of invoices does not end"));
    }
    let next = more.then_some(Cursor { page: page + 1 });
    Page::at(changes, &next, more)
}

#[derive(Deserialize)]
pub(crate) struct Invoice<'a> {
    #[serde(borrow, default)]
    pub(crate) id: Text<'a>,
}

pub(crate) fn invoice(head: &Invoice<'_>, text: &str) -> Change {
    Change::Upsert(record::item(head.id.as_str(), text, None))
}

#[derive(Deserialize)]
pub(crate) struct Dispute<'a> {
    #[serde(borrow, default)]
    pub(crate) dispute_id: Text<'a>,
    #[serde(borrow, default)]
    update_time: Text<'a>,
}

pub(crate) fn dispute(head: &Dispute<'_>, text: &str) -> Change {
    Change::Upsert(Item {
        id: head.dispute_id.as_str().to_owned(),
        data: text.to_owned(),
        modified: head.update_time.timestamp(),
    })
}

pub(crate) fn disputes(config: &Config, request: &ReadRequest, now: u64) -> Result<Page, Error> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        items: &'a RawValue,
        #[serde(borrow, default)]
        links: Vec<Link<'a>>,
    }
    #[derive(Deserialize)]
    struct Link<'a> {
        #[serde(borrow, default)]
        rel: Text<'a>,
        #[serde(borrow, default)]
        href: Text<'a>,
    }
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let mut asked = api::get(config, "/v1/customer/disputes").query("page_size", DISPUTES);
    if let Some(from) = walk.from() {
        let from = from.max(now.saturating_sub(OLDEST_MS));
        asked = asked.query("update_time_after", &time::format_ms(from));
    }
    if let Some(token) = walk.token() {
        asked = asked.query("next_page_token", token);
    }
    let response = api::ok(asked.send()?)?;
    let list: List<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Dispute<'_>>(list.items.get()) {
        let (head, text) = element?;
        walk.saw(head.update_time.timestamp());
        changes.push(dispute(&head, text));
    }
    let next = list.links.iter().find(|link| link.rel.as_str() == "next");
    let next = match next {
        None => String::new(),
        Some(link) => token(link.href.as_str())
            .ok_or_else(|| Error::invalid_data("PayPal's next page has no `next_page_token`"))?,
    };
    walk.page(changes, &next)
}

/// Of the address of the next page only its token is taken.
fn token(href: &str) -> Option<String> {
    let (_, query) = href.split_once('?')?;
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("next_page_token="))?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    const NOW: u64 = 1_767_700_000_000;

    fn config() -> Config {
        crate::config::of(&testing::connection(r#"{"host":"api-m.sandbox.paypal.com"}"#)).unwrap()
    }

    fn urls() -> Vec<String> {
        let requests = testing::requests();
        requests.iter().map(|request| request.url().to_owned()).collect()
    }

    #[test]
    fn invoices_are_read_page_after_page() {
        testing::serve(|request| match request.url().contains("page=1&") {
            true => answer(200, &[], include_str!("../fixtures/invoices.json")),
            false => answer(
                200,
                &[],
                r#"{"total_items":2,"total_pages":2,"items":[{"id":"INV2-B"}]}"#,
            ),
        });
        let first = invoices(&config(), &testing::read_request("invoices", None)).unwrap();
        assert!(first.more);
        assert_eq!(first.changes[0].id(), "INV2-Z56S-5LLA-Q52L-CPZ5");
        let last = invoices(&config(), &testing::read_request("invoices", first.cursor)).unwrap();
        assert_eq!((last.more, last.cursor.as_deref()), (false, Some("null")));
        testing::serve(|_| answer(200, &[], "{}"));
        assert!(
            invoices(&config(), &testing::read_request("invoices", last.cursor))
                .unwrap()
                .changes
                .is_empty()
        );
        testing::serve(|_| answer(200, &[], r#"{"total_pages":2}"#));
        assert!(invoices(&config(), &testing::read_request("invoices", None)).is_err());
    }

    #[test]
    fn disputes_are_followed_by_their_last_change() {
        testing::serve(|request| match request.url().contains("next_page_token=") {
            true => answer(200, &[], r#"{"items":[]}"#),
            false => answer(200, &[], include_str!("../fixtures/disputes.json")),
        });
        let first = disputes(&config(), &testing::read_request("disputes", None), NOW).unwrap();
        assert!(first.more);
        let last = disputes(&config(), &testing::read_request("disputes", first.cursor), NOW).unwrap();
        disputes(&config(), &testing::read_request("disputes", last.cursor), NOW).unwrap();
        let root = "https://api-m.sandbox.paypal.com/v1/customer/disputes?page_size=50";
        assert_eq!(
            urls(),
            [
                root.to_owned(),
                format!("{root}&next_page_token=a%2Bb%3D"),
                format!("{root}&update_time_after=2026-01-05T09%3A50%3A00.000Z"),
            ]
        );
        testing::serve(|_| {
            answer(
                200,
                &[],
                r#"{"items":[],"links":[{"rel":"next","href":"https://evil.example/x"}]}"#,
            )
        });
        assert!(disputes(&config(), &testing::read_request("disputes", None), NOW).is_err());
    }
}
