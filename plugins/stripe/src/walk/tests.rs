//! A small Stripe: customers, the events about them, and a clock.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::streams;
use sluice_sdk::{http, testing};

#[derive(Default)]
struct Vendor {
    /// Newest first, as Stripe lists them.
    customers: Vec<String>,
    /// Newest first: the event's id, its kind and the customer's id.
    events: Vec<(String, &'static str, String)>,
    now_s: u64,
}

type Shared = Rc<RefCell<Vendor>>;

fn serve(vendor: Vendor) -> Shared {
    let shared = Rc::new(RefCell::new(vendor));
    let served = shared.clone();
    testing::serve(move |request| served.borrow().answer(request));
    shared
}

/// Kept small, so that pages are many.
const PAGE: usize = 3;

impl Vendor {
    fn with(customers: u32) -> Self {
        Self {
            customers: (1..=customers).rev().map(|n| format!("cus_{n}")).collect(),
            events: Vec::new(),
            now_s: 1_714_557_600,
        }
    }

    fn happens(&mut self, kind: &'static str, customer: &str) {
        let id = format!("evt_{}", self.events.len() + 1);
        self.events.insert(0, (id, kind, customer.to_owned()));
        self.customers.retain(|id| id != customer);
        if kind != "customer.deleted" {
            self.customers.insert(0, customer.to_owned());
        }
    }

    fn answer(&self, request: &Request) -> Result<Response, http::Error> {
        let date = http_date(self.now_s);
        let headers = [("date", date.as_str())];
        let (path, query) = request
            .url()
            .strip_prefix(api::ROOT)
            .unwrap()
            .split_once('?')
            .unwrap_or((&request.url()[api::ROOT.len()..], ""));
        let parameter = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let (ids, texts): (Vec<&str>, Vec<String>) = match path {
            "/v1/customers" => self
                .customers
                .iter()
                .map(|id| (id.as_str(), customer(id)))
                .unzip(),
            "/v1/events" => {
                assert_eq!(parameter("type"), Some("customer.%2A"));
                let text = |(id, kind, customer): &(String, &str, String)| {
                    format!(
                        r#"{{"id":"{id}","type":"{kind}","created":1,"data":{{"object":{{"id":"{customer}","object":"customer"}}}}}}"#
                    )
                };
                self.events
                    .iter()
                    .map(|event| (event.0.as_str(), text(event)))
                    .unzip()
            }
            one => {
                let id = one.strip_prefix("/v1/customers/").unwrap();
                let body = match self.customers.iter().any(|other| other == id) {
                    true => customer(id),
                    false => format!(r#"{{"id":"{id}","object":"customer","deleted":true}}"#),
                };
                return testing::answer(200, &headers, &body);
            }
        };
        let place = |name: &str| match parameter(name) {
            None => Ok(None),
            Some(id) => ids
                .iter()
                .position(|other| *other == id)
                .map(Some)
                .ok_or(name.to_owned()),
        };
        let limit = PAGE.min(parameter("limit").unwrap().parse().unwrap());
        let range = match (place("starting_after"), place("ending_before")) {
            (Ok(None), Ok(None)) => 0..limit.min(ids.len()),
            (Ok(Some(at)), Ok(None)) => at + 1..(at + 1 + limit).min(ids.len()),
            (Ok(None), Ok(Some(at))) => at.saturating_sub(limit)..at,
            (Err(parameter), _) | (_, Err(parameter)) => {
                let body = format!(r#"{{"error":{{"code":"resource_missing","param":"{parameter}"}}}}"#);
                return testing::answer(400, &headers, &body);
            }
            (Ok(Some(_)), Ok(Some(_))) => panic!("both directions"),
        };
        let has_more = match parameter("ending_before") {
            Some(_) => range.start > 0,
            None => range.end < ids.len(),
        };
        let body = format!(
            r#"{{"object":"list","data":[{}],"has_more":{has_more}}}"#,
            texts[range].join(",")
        );
        testing::answer(200, &headers, &body)
    }
}

fn customer(id: &str) -> String {
    format!(r#"{{"id":"{id}","object":"customer","created":1}}"#)
}

/// RFC 9110 §5.6.7; only the parts that are read need to be right.
fn http_date(seconds: u64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = sluice_sdk::time::format(seconds * 1_000);
    let month: usize = text[5..7].parse().unwrap();
    format!(
        "Mon, {} {} {} {} GMT",
        &text[8..10],
        MONTHS[month - 1],
        &text[..4],
        &text[11..19]
    )
}

fn step(cursor: Option<String>) -> Result<Page, Error> {
    read(
        streams::named("customers").unwrap(),
        &testing::read_request("customers", cursor),
    )
}

/// A whole pass: `+id` and `-id` in the order they came, and the cursor.
fn pass(mut cursor: Option<String>) -> (Vec<String>, Option<String>) {
    let mut read = Vec::new();
    for _ in 0..100 {
        let page = step(cursor.clone()).unwrap();
        assert!(
            !page.more || page.cursor != cursor,
            "a page with more moves the cursor"
        );
        read.extend(page.changes.iter().map(|change| match change {
            Change::Upsert(item) => format!("+{}", item.id),
            Change::Delete(id) => format!("-{id}"),
        }));
        cursor = page.cursor;
        if !page.more {
            return (read, cursor);
        }
    }
    panic!("the pass does not end");
}

fn listed(range: impl Iterator<Item = u32>) -> Vec<String> {
    range.map(|n| format!("+cus_{n}")).collect()
}

#[test]
fn the_first_pass_lists_and_the_next_ones_follow_events() {
    let mut vendor = Vendor::with(8);
    vendor.happens("customer.created", "cus_8");
    let vendor = serve(vendor);
    let (read, cursor) = pass(None);
    assert_eq!(read, listed((1..=8).rev()));
    let (read, cursor) = pass(cursor);
    assert!(read.is_empty());
    for n in 1..=5 {
        vendor
            .borrow_mut()
            .happens("customer.updated", &format!("cus_{n}"));
    }
    vendor.borrow_mut().happens("customer.deleted", "cus_2");
    let (mut read, cursor) = pass(cursor);
    read.sort();
    assert_eq!(read, ["+cus_1", "+cus_3", "+cus_4", "+cus_5", "-cus_2", "-cus_2"]);
    assert!(pass(cursor).0.is_empty());
}

#[test]
fn what_happens_while_the_list_is_read_is_not_lost() {
    let vendor = serve(Vendor::with(7));
    let page = step(None).unwrap();
    vendor.borrow_mut().happens("customer.updated", "cus_1");
    vendor.borrow_mut().happens("customer.created", "cus_9");
    let (_, cursor) = pass(page.cursor);
    let (read, _) = pass(cursor);
    assert_eq!(read, ["+cus_9", "+cus_1"]);
}

#[test]
fn many_events_without_an_anchor_are_walked_backwards() {
    let vendor = serve(Vendor::with(9));
    let (_, cursor) = pass(None);
    for n in 1..=7 {
        vendor
            .borrow_mut()
            .happens("customer.updated", &format!("cus_{n}"));
    }
    let (read, cursor) = pass(cursor);
    assert_eq!(read, listed((1..=7).rev()));
    vendor.borrow_mut().happens("customer.updated", "cus_9");
    assert_eq!(pass(cursor).0, ["+cus_9"]);
}

#[test]
fn events_that_are_kept_no_longer_are_missed_only_after_a_long_time() {
    let mut vendor = Vendor::with(4);
    vendor.happens("customer.updated", "cus_1");
    let vendor = serve(vendor);
    let (_, cursor) = pass(None);
    // The anchor is gone, but the last pass is young: whatever happened since is still there.
    vendor.borrow_mut().events.clear();
    vendor.borrow_mut().now_s += 10 * 86_400;
    let (read, cursor) = pass(cursor);
    assert!(read.is_empty());
    // Nobody looked for a month and a half.
    vendor.borrow_mut().now_s += 45 * 86_400;
    let (read, _) = pass(cursor);
    assert_eq!(read.len(), 4);
}

#[test]
fn an_old_anchor_that_is_gone_lists_everything_again() {
    let mut vendor = Vendor::with(4);
    vendor.happens("customer.updated", "cus_1");
    let vendor = serve(vendor);
    let (_, cursor) = pass(None);
    vendor.borrow_mut().events.clear();
    vendor.borrow_mut().now_s += 45 * 86_400;
    assert_eq!(pass(cursor).0.len(), 4);
}

#[test]
fn a_list_whose_place_is_gone_is_begun_again_but_not_for_ever() {
    let vendor = serve(Vendor::with(7));
    let mut cursor = None;
    for _ in 0..=MAX_RESTARTS {
        let page = step(cursor).unwrap();
        let last = page.changes.last().unwrap().id().to_owned();
        vendor.borrow_mut().customers.retain(|id| *id != last);
        cursor = page.cursor;
    }
    assert!(matches!(step(cursor), Err(Error::Transient(_))));
}

#[test]
fn a_window_is_a_list_of_what_was_created_in_it_and_leaves_the_anchor() {
    testing::serve(|request| {
        assert_eq!(
            request.url(),
            "https://api.stripe.com/v1/customers?limit=100&created%5Bgte%5D=2&created%5Blt%5D=6"
        );
        testing::answer(200, &[], r#"{"data":[],"has_more":false}"#)
    });
    let cursor = r#"{"anchor":"evt_7","checked":5}"#.to_owned();
    let mut request = testing::read_request("customers", Some(cursor));
    request.window = Some(Window {
        start: 1_001,
        end: 6_000,
    });
    let page = read(streams::named("customers").unwrap(), &request).unwrap();
    assert_eq!((page.more, page.cursor), (false, request.cursor));
    // What was never listed whole still has to be.
    request.cursor = None;
    let page = read(streams::named("customers").unwrap(), &request).unwrap();
    assert_eq!(page.cursor.as_deref(), Some("{}"));
    let vendor = serve(Vendor::with(2));
    assert_eq!(pass(page.cursor).0, listed((1..=2).rev()));
    drop(vendor);
}

#[test]
fn a_vendor_that_goes_in_circles_is_an_error() {
    for body in [
        r#"{"data":[{"id":"cus_1"}],"has_more":true}"#,
        r#"{"data":[],"has_more":true}"#,
        r#"{"data":[{"id":"../1"}],"has_more":true}"#,
    ] {
        testing::serve(move |request| match request.url().contains("/v1/events") {
            true => testing::answer(200, &[], r#"{"data":[],"has_more":false}"#),
            false => testing::answer(200, &[], body),
        });
        let cursor = r#"{"at":{"list":"cus_1"}}"#.to_owned();
        assert!(matches!(step(Some(cursor)), Err(Error::InvalidData(_))), "{body}");
    }
}

#[test]
fn bad_pages_are_errors_and_never_a_partial_page() {
    for body in [
        "<html>",
        "",
        "[]",
        "{}",
        r#"{"data":{}}"#,
        r#"{"data":[{"id":1},{"id"#,
    ] {
        testing::serve(move |_| testing::answer(200, &[], body));
        assert!(matches!(step(None), Err(Error::InvalidData(_))), "{body}");
    }
    let page = r#"{"data":[{"email":"no id"}],"has_more":false}"#;
    testing::serve(move |request| match request.url().contains("/v1/events") {
        true => testing::answer(200, &[], r#"{"data":[],"has_more":false}"#),
        false => testing::answer(200, &[], page),
    });
    assert_eq!(step(None).unwrap().changes[0].id(), "", "the host sets it aside");
}

#[test]
fn the_fixtures_are_read() {
    for (name, body, id) in [
        (
            "customers",
            include_str!("../../fixtures/customers.json"),
            "cus_Q1oil",
        ),
        (
            "invoices",
            include_str!("../../fixtures/invoices.json"),
            "in_1PbDoor",
        ),
        (
            "charges",
            include_str!("../../fixtures/charges.json"),
            "ch_3PbDoor",
        ),
        (
            "subscriptions",
            include_str!("../../fixtures/subscriptions.json"),
            "sub_1PbDoor",
        ),
    ] {
        testing::serve(move |request| match request.url().contains("/v1/events") {
            true => testing::answer(200, &[], r#"{"data":[],"has_more":false}"#),
            false => testing::answer(200, &[], body),
        });
        let page = read(streams::named(name).unwrap(), &testing::read_request(name, None)).unwrap();
        assert_eq!(page.changes.iter().map(Change::id).collect::<Vec<_>>(), [id]);
    }
}

mod growing {
    //! A list that only grows: balance transactions.

    use super::*;

    fn step(cursor: Option<String>) -> Page {
        let stream = streams::named("balance_transactions").unwrap();
        read(stream, &testing::read_request("balance_transactions", cursor)).unwrap()
    }

    fn ids(page: &Page) -> Vec<&str> {
        page.changes.iter().map(Change::id).collect()
    }

    #[test]
    fn what_is_added_is_asked_for_before_the_newest_known() {
        testing::serve(|request| {
            let url = request.url().strip_prefix(api::ROOT).unwrap();
            let body = match url {
                "/v1/balance_transactions?limit=100" => {
                    include_str!("../../fixtures/balance-transactions.json")
                }
                "/v1/balance_transactions?limit=100&ending_before=txn_2" => {
                    r#"{"data":[{"id":"txn_4"},{"id":"txn_3"}],"has_more":true}"#
                }
                "/v1/balance_transactions?limit=100&ending_before=txn_4" => r#"{"data":[],"has_more":false}"#,
                other => panic!("{other}"),
            };
            testing::answer(200, &[], body)
        });
        let first = step(None);
        assert_eq!((ids(&first), first.more), (vec!["txn_2", "txn_1"], false));
        assert_eq!(first.cursor.as_deref(), Some(r#"{"anchor":"txn_2"}"#));
        let second = step(first.cursor);
        assert_eq!((ids(&second), second.more), (vec!["txn_4", "txn_3"], true));
        let third = step(second.cursor);
        assert_eq!((ids(&third), third.more), (Vec::new(), false));
        assert_eq!(third.cursor.as_deref(), Some(r#"{"anchor":"txn_4"}"#));
    }

    #[test]
    fn a_first_pass_of_several_pages_keeps_its_first_record_as_the_anchor() {
        testing::serve(|request| match request.url().contains("starting_after=txn_8") {
            true => testing::answer(200, &[], r#"{"data":[{"id":"txn_7"}],"has_more":false}"#),
            false => testing::answer(
                200,
                &[],
                r#"{"data":[{"id":"txn_9"},{"id":"txn_8"}],"has_more":true}"#,
            ),
        });
        let first = step(None);
        let second = step(first.cursor);
        assert_eq!(second.cursor.as_deref(), Some(r#"{"anchor":"txn_9"}"#));
    }

    #[test]
    fn an_empty_list_and_one_whose_newest_is_forgotten_are_listed_again() {
        testing::serve(|request| match request.url().contains("ending_before") {
            true => testing::answer(
                400,
                &[],
                r#"{"error":{"code":"resource_missing","param":"ending_before"}}"#,
            ),
            false => testing::answer(200, &[], r#"{"data":[],"has_more":false}"#),
        });
        let first = step(None);
        assert_eq!((first.cursor.as_deref(), first.more), (Some("{}"), false));
        assert!(!step(first.cursor).more);
        let again = step(Some(r#"{"anchor":"txn_gone"}"#.to_owned()));
        assert_eq!((again.cursor.as_deref(), again.more), (Some("{}"), false));
    }

    #[test]
    fn a_window_leaves_the_anchor() {
        testing::serve(|request| {
            assert!(request.url().ends_with("&created%5Bgte%5D=1&created%5Blt%5D=5"));
            testing::answer(200, &[], r#"{"data":[{"id":"txn_1"}],"has_more":false}"#)
        });
        let stream = streams::named("balance_transactions").unwrap();
        let cursor = Some(r#"{"anchor":"txn_9"}"#.to_owned());
        let mut request = testing::read_request("balance_transactions", cursor);
        request.window = Some(Window {
            start: 1_000,
            end: 5_000,
        });
        assert_eq!(read(stream, &request).unwrap().cursor, request.cursor);
    }

    #[test]
    fn records_with_long_lists_are_left_for_the_next_step() {
        // Each invoice has twenty pages of lines: the twelfth is not begun.
        let mut line = 0;
        testing::serve(move |request| {
            line += 1;
            let body = match request.url().contains("/lines") {
                true => format!(
                    r#"{{"data":[{{"id":"il_{line}"}}],"has_more":{}}}"#,
                    line % 21 != 0
                ),
                false => {
                    line = 1;
                    let invoice = |n| {
                        format!(r#"{{"id":"in_{n}","lines":{{"data":[{{"id":"il_0"}}],"has_more":true}}}}"#)
                    };
                    let invoices: Vec<String> = (1..=30).map(invoice).collect();
                    format!(r#"{{"data":[{}],"has_more":false}}"#, invoices.join(","))
                }
            };
            testing::answer(200, &[], &body)
        });
        let stream = streams::named("invoices").unwrap();
        let cursor = Some(r#"{"anchor":"evt_1","at":{"list":"in_0"}}"#.to_owned());
        let page = read(stream, &testing::read_request("invoices", cursor)).unwrap();
        assert!(page.more && page.changes.len() < 30, "{}", page.changes.len());
        let last = page.changes.last().unwrap().id();
        assert!(page.cursor.unwrap().contains(&format!(r#""list":"{last}""#)));
    }
}
