//! Messages that were sent ("Outbound message search") and those that came back ("Get bounces"), newest first. Postmark gives at most
//! 10,000 of a search; from there on it is searched anew up to where it has come. Its filters take times of the US East Coast without an
//! offset, which is also how it writes them: the end of a search is a time that it has said, and its beginning is earlier than need
//! be, by an hour in summer.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Error, Page, ReadRequest, time};

use crate::api;

/// What a search gives at once.
const PER_PAGE: usize = 500;

/// How far a search goes.
const MOST: usize = 10_000;

/// A new pass begins an hour before the newest that is known.
const AGAIN_MS: u64 = 3_600_000;

/// The US East Coast in winter, in milliseconds behind UTC.
const BEHIND_MS: u64 = 5 * 3_600_000;

/// A search.
#[derive(Debug)]
pub(crate) struct Search {
    path: &'static str,
}

pub(crate) const MESSAGES: Search = Search {
    path: "messages/outbound",
};
pub(crate) const BOUNCES: Search = Search { path: "bounces" };

#[derive(Deserialize)]
struct Listing<'a> {
    #[serde(rename = "Messages", alias = "Bounces", borrow)]
    records: &'a RawValue,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "MessageID", borrow, default)]
    message: Id<'a>,
    #[serde(rename = "ID", borrow, default)]
    bounce: Id<'a>,
    #[serde(rename = "ReceivedAt", alias = "BouncedAt", borrow, default)]
    at: Text<'a>,
}

impl Head<'_> {
    /// A bounce also says which message it is of.
    fn id(&self) -> String {
        match self.bounce {
            Id::Absent => self.message.to_string(),
            _ => self.bounce.to_string(),
        }
    }
}

/// A bounce as a change.
pub(crate) fn upsert(text: &str) -> Result<Change, Error> {
    let head: Head<'_> = serde_json::from_str(text)
        .map_err(|error| Error::invalid_data(format!("not a record of Postmark's: {error}")))?;
    Ok(Change::Upsert(record::item(head.id(), text, head.at.timestamp())))
}

/// Where a pass stands: up to which time is searched, and how many of those are read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    until: String,
    offset: usize,
}

impl Place {
    fn of(walk: &Walk) -> Result<Self, Error> {
        let Some(token) = walk.token() else {
            return Ok(Self::default());
        };
        let wrong = || Error::invalid_data("the cursor has no place in a search").at("/at/token");
        let (until, offset) = token.split_once('/').ok_or_else(wrong)?;
        Ok(Self {
            until: until.to_owned(),
            offset: offset.parse().map_err(|_| wrong())?,
        })
    }

    /// The place after a full page that ends at this time.
    fn after(&self, last: &str) -> Result<String, Error> {
        let offset = self.offset.saturating_add(PER_PAGE);
        if offset + PER_PAGE <= MOST {
            return Ok(format!("{}/{offset}", self.until));
        }
        let until: String = last.chars().take(19).collect();
        if until.len() != 19 || until == self.until {
            return Err(Error::invalid_data(
                "Postmark has more records of one second than it gives",
            ));
        }
        Ok(format!("{until}/0"))
    }
}

pub(crate) fn read(request: &ReadRequest, search: &Search) -> Result<Page, Error> {
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let place = Place::of(&walk)?;
    let mut asked = api::get(search.path)
        .query("count", &PER_PAGE.to_string())
        .query("offset", &place.offset.to_string());
    if let Some(from) = walk.from() {
        let from = time::format(from.saturating_sub(BEHIND_MS));
        asked = asked.query("fromdate", from.trim_end_matches('Z'));
    }
    if !place.until.is_empty() {
        asked = asked.query("todate", &place.until);
    }
    let response = api::ok(asked.send()?)?;
    let listing: Listing<'_> = response.json()?;
    let (mut changes, mut last) = (Vec::with_capacity(PER_PAGE), String::new());
    for element in record::each::<Head<'_>>(listing.records.get()) {
        let (head, text) = element?;
        let at = head.at.timestamp();
        walk.saw(at);
        last = head.at.as_str().to_owned();
        changes.push(Change::Upsert(record::item(head.id(), text, at)));
    }
    let next = match changes.len() < PER_PAGE {
        true => String::new(),
        false => place.after(&last)?,
    };
    walk.page(changes, &next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn step(cursor: Option<String>) -> Result<Page, Error> {
        read(&testing::read_request("messages", cursor), &MESSAGES)
    }

    fn urls() -> Vec<String> {
        let requests = testing::requests();
        let query = |request: &sluice_sdk::http::Request| request.url().split_once('?').unwrap().1.to_owned();
        requests.iter().map(query).collect()
    }

    #[test]
    fn a_search_goes_on_where_it_ends_after_ten_thousand() {
        testing::serve(|request| {
            let count = if request.url().contains("todate") { 3 } else { 500 };
            let records: Vec<String> = (0..count)
                .map(|n| {
                    format!(
                        r#"{{"MessageID":"m{n}","ReceivedAt":"2024-05-01T05:59:{:02}.1234567-04:00"}}"#,
                        59 - n / 9
                    )
                })
                .collect();
            testing::answer(
                200,
                &[],
                &format!(r#"{{"TotalCount":9,"Messages":[{}]}}"#, records.join(",")),
            )
        });
        let (mut cursor, mut pages) = (None, 0);
        loop {
            let page = step(cursor).unwrap();
            pages += 1;
            cursor = page.cursor;
            if !page.more {
                break;
            }
        }
        assert_eq!(pages, 21);
        assert_eq!(urls()[19], "count=500&offset=9500");
        assert_eq!(urls()[20], "count=500&offset=0&todate=2024-05-01T05%3A59%3A04");
        assert_eq!(cursor.as_deref(), Some(r#"{"since":1714557599123}"#));
        drop(step(cursor));
        assert_eq!(urls()[21], "count=500&offset=0&fromdate=2024-05-01T03%3A59%3A59");
    }

    #[test]
    fn the_documented_records_are_read() {
        testing::serve(|request| match request.url().contains("/bounces") {
            true => testing::answer(200, &[], include_str!("../fixtures/bounces.json")),
            false => testing::answer(200, &[], include_str!("../fixtures/messages.json")),
        });
        let message = step(None).unwrap();
        assert_eq!(
            (message.changes[0].id(), message.more),
            ("0ac29aee-e1cd-480d-b08d-4f48548ff48d", false)
        );
        let bounce = read(&testing::read_request("bounces", None), &BOUNCES).unwrap();
        let [Change::Upsert(item)] = &bounce.changes[..] else {
            panic!()
        };
        assert_eq!(
            (item.id.as_str(), item.modified),
            ("692560173", Some(1_714_557_600_000))
        );
    }

    #[test]
    fn bad_pages_and_cursors_are_errors() {
        for body in ["<html>", "{}", r#"{"Messages":[7]}"#] {
            testing::serve(move |_| testing::answer(200, &[], body));
            assert!(matches!(step(None), Err(Error::InvalidData(_))), "{body}");
        }
        assert!(step(Some(r#"{"at":{"token":"x"}}"#.to_owned())).is_err());
        let place = Place {
            until: "2024-05-01T05:59:04".to_owned(),
            offset: 9_500,
        };
        assert!(place.after("2024-05-01T05:59:04.1-04:00").is_err());
    }
}
