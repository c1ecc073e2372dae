//! A small Mixpanel: events by day, and a clock.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use sluice_sdk::testing;

#[derive(Default)]
struct Vendor {
    /// The day and the line.
    events: Vec<(&'static str, String)>,
    date: &'static str,
}

type Shared = Rc<RefCell<Vendor>>;

fn serve(vendor: Vendor) -> Shared {
    let shared = Rc::new(RefCell::new(vendor));
    let served = shared.clone();
    testing::serve(move |request| {
        let parameter = |name: &str| {
            let (_, query) = request.url().split_once('?').unwrap();
            let value = query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.unwrap().to_owned()
        };
        assert_eq!(parameter("project_id"), "7");
        let (from, to) = (parameter("from_date"), parameter("to_date"));
        let vendor = served.borrow();
        let days = from.as_str()..=to.as_str();
        let lines = vendor.events.iter().filter(|(day, _)| days.contains(day));
        let body: String = lines.map(|(_, line)| format!("{line}\n")).collect();
        testing::answer(200, &[("date", vendor.date)], &body)
    });
    shared
}

const CONFIG: &str = r#"{"project_id":7,"start_date":"2024-05-01"}"#;

fn event(time: u64, insert_id: &str) -> String {
    format!(
        r#"{{"event":"Opened","properties":{{"time":{time},"distinct_id":"mona","$insert_id":"{insert_id}"}}}}"#
    )
}

fn step(config: &str, cursor: Option<String>) -> Result<Page, Error> {
    read(
        &testing::connection(config),
        &testing::read_request("events", cursor),
    )
}

/// The last parts of the ids of a pass, and the cursor.
fn pass(config: &str, mut cursor: Option<String>) -> (Vec<String>, Option<String>) {
    let mut read = Vec::new();
    for _ in 0..50 {
        let page = step(config, cursor.clone()).unwrap();
        assert!(
            !page.more || page.cursor != cursor,
            "a page with more moves the cursor"
        );
        read.extend(
            page.changes
                .iter()
                .map(|change| change.id().rsplit('-').next().unwrap().to_owned()),
        );
        cursor = page.cursor;
        if !page.more {
            return (read, cursor);
        }
    }
    panic!("the pass does not end");
}

fn three_days() -> Vendor {
    Vendor {
        events: vec![
            ("2024-05-01", event(1_714_557_600, "a")),
            ("2024-05-02", event(1_714_644_000, "b")),
            ("2024-05-03", event(1_714_730_400, "c")),
        ],
        date: "Fri, 03 May 2024 12:00:00 GMT",
    }
}

#[test]
fn days_are_read_up_to_now_and_today_is_gone_on_with() {
    let vendor = serve(three_days());
    let (read, cursor) = pass(CONFIG, None);
    assert_eq!(read, ["a", "b", "c"]);
    assert_eq!(testing::requests().len(), 3);
    let (read, cursor) = pass(CONFIG, cursor);
    assert!(read.is_empty(), "nothing is told twice: {read:?}");
    vendor
        .borrow_mut()
        .events
        .push(("2024-05-03", event(1_714_740_000, "d")));
    let (read, cursor) = pass(CONFIG, cursor);
    assert_eq!(read, ["d"]);
    vendor.borrow_mut().date = "Sat, 04 May 2024 00:00:01 GMT";
    vendor
        .borrow_mut()
        .events
        .push(("2024-05-04", event(1_714_780_801, "e")));
    let (read, cursor) = pass(CONFIG, cursor);
    assert_eq!(read, ["e"]);
    assert!(cursor.unwrap().starts_with(r#"{"next":{"from":19847,"bytes":"#));
}

#[test]
fn a_day_whose_beginning_changed_is_read_again() {
    let vendor = serve(three_days());
    let (_, cursor) = pass(CONFIG, None);
    vendor
        .borrow_mut()
        .events
        .insert(0, ("2024-05-03", event(1_714_730_000, "late")));
    let (read, _) = pass(CONFIG, cursor);
    assert_eq!(read, ["late", "c"]);
}

#[test]
fn a_day_may_change_as_often_as_it_is_looked_at() {
    let vendor = serve(three_days());
    let (_, mut cursor) = pass(CONFIG, None);
    for n in 0..10 {
        let late = event(1_714_730_000 + n, &format!("late{n}"));
        vendor.borrow_mut().events.insert(0, ("2024-05-03", late));
        let (read, next) = pass(CONFIG, cursor);
        assert_eq!(read[0], format!("late{n}"));
        cursor = next;
    }
}

#[test]
fn an_order_that_never_stays_is_given_up() {
    let turn = RefCell::new(0_u64);
    testing::serve(move |_| {
        *turn.borrow_mut() += 1;
        let body = format!("{}\n", event(*turn.borrow(), "x")).repeat(MAX_LINES + 1);
        testing::answer(200, &[("date", "Wed, 01 May 2024 12:00:00 GMT")], &body)
    });
    let mut cursor = None;
    for _ in 0..20 {
        match step(CONFIG, cursor) {
            Ok(page) => cursor = page.cursor,
            Err(error) => {
                assert!(matches!(error, Error::Transient(_)));
                return;
            }
        }
    }
    panic!("it goes on for ever")
}

#[test]
fn a_page_is_a_bounded_number_of_lines() {
    let events = (0..25_000)
        .map(|n| ("2024-05-01", event(1_714_557_600, &format!("i{n}"))))
        .collect();
    serve(Vendor {
        events,
        date: "Wed, 01 May 2024 23:00:00 GMT",
    });
    let first = step(CONFIG, None).unwrap();
    assert_eq!((first.changes.len(), first.more), (10_000, true));
    let again = step(CONFIG, None).unwrap();
    assert_eq!(again.changes.len(), 10_000, "a crash repeats the page");
    assert_eq!(again.cursor, first.cursor);
    let mut look = testing::read_request("events", None);
    look.page_hint = 5;
    let few = read(&testing::connection(CONFIG), &look).unwrap();
    assert_eq!(
        (few.changes.len(), few.more),
        (5, true),
        "a test of the connection"
    );
    let (read, _) = pass(CONFIG, first.cursor);
    assert_eq!(read.len(), 15_000);
    assert_eq!((read[0].as_str(), read[14_999].as_str()), ("i10000", "i24999"));
}

#[test]
fn several_days_at_once_but_never_beyond_yesterday() {
    serve(three_days());
    let config = r#"{"project_id":7,"start_date":"2024-04-20","days_per_request":5,"region":"eu"}"#;
    let (read, _) = pass(config, None);
    assert_eq!(read, ["a", "b", "c"]);
    let asked: Vec<String> = testing::requests()
        .iter()
        .map(|request| request.url().split("from_date=").nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(
        asked,
        [
            "2024-04-20&to_date=2024-04-20",
            "2024-04-21&to_date=2024-04-25",
            "2024-04-26&to_date=2024-04-30",
            "2024-05-01&to_date=2024-05-02",
            "2024-05-03&to_date=2024-05-03",
        ]
    );
    assert!(
        testing::requests()[0]
            .url()
            .starts_with("https://data-eu.mixpanel.com/api/2.0/export?project_id=7&")
    );
}

#[test]
fn a_projects_zone_says_when_its_day_is_over() {
    serve(Vendor {
        events: Vec::new(),
        date: "Thu, 02 May 2024 05:00:00 GMT",
    });
    let config = r#"{"project_id":7,"start_date":"2024-05-01","utc_offset_hours":-8}"#;
    let (_, cursor) = pass(config, None);
    assert_eq!(
        cursor.as_deref(),
        Some(r#"{"next":{"from":19844}}"#),
        "still the 1st"
    );
    let page = step(config, None).unwrap();
    assert!(page.changes.is_empty());
}

#[test]
fn a_window_is_cut_at_both_ends_and_leaves_the_place() {
    serve(three_days());
    let cursor = r#"{"next":{"from":19900}}"#.to_owned();
    let mut request = testing::read_request("events", Some(cursor.clone()));
    request.window = Some(Window {
        start: 1_714_557_600_000,
        end: 1_714_644_000_000,
    });
    let mut ids = Vec::new();
    loop {
        let page = read(&testing::connection(CONFIG), &request).unwrap();
        ids.extend(page.changes.iter().map(|change| change.id().to_owned()));
        request.cursor = page.cursor;
        if !page.more {
            break;
        }
    }
    assert_eq!(ids.len(), 1);
    assert!(ids[0].ends_with("-a"));
    assert_eq!(request.cursor, Some(cursor));
}

#[test]
fn an_event_is_known_by_what_mixpanel_knows_it_by() {
    testing::serve(|_| {
        testing::answer(
            200,
            &[("date", "Wed, 01 May 2024 12:00:00 GMT")],
            include_str!("../../fixtures/export.ndjson"),
        )
    });
    let page = step(CONFIG, None).unwrap();
    let [
        Change::Upsert(one),
        Change::Upsert(other),
        Change::Upsert(bare),
        Change::Upsert(broken),
    ] = &page.changes[..]
    else {
        panic!("{:?}", page.changes)
    };
    assert!(one.id.starts_with("1714557600-") && one.id.ends_with("-door-1"));
    assert_eq!(one.modified, Some(1_714_557_601_500));
    assert_ne!(one.id, other.id, "another person's event with the same insert id");
    assert_eq!(bare.modified, Some(1_714_557_700_000));
    assert!(!bare.id.is_empty() && broken.id.is_empty());
    let value: serde_json::Value = serde_json::from_str(&one.data).unwrap();
    assert_eq!(value["id"].as_str(), Some(one.id.as_str()));
    assert_eq!(value["properties"]["size"].to_string(), "12345678901234567890");
}

#[test]
fn an_export_that_broke_off_is_no_page() {
    testing::serve(|_| testing::answer(200, &[], &format!("{}\nterminated early\n", event(1, "a"))));
    assert!(matches!(step(CONFIG, None), Err(Error::Transient(_))));
    testing::serve(|_| testing::answer(200, &[], ""));
    assert!(matches!(step(CONFIG, None), Err(Error::Transient(_))), "no clock");
}
