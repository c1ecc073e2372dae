//! One page of a stream. Linear lists by `updatedAt`, newest first ("Pagination"): what changes while a pass is read moves
//! to the front, where the next pass finds it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Error, Page, ReadRequest, graphql, paging, time};

use crate::api;
use crate::streams::Stream;

/// Records of a page; 50 is Linear's own number, and 100 of the longest keep a query's complexity at a fifth of what is
/// allowed ("Rate limiting", 10,000 points).
const PER_PAGE: u32 = 100;

/// How long before the newest known change a pass begins, in milliseconds: a transaction may show later than its time.
const AGAIN_MS: u64 = 60_000;

#[derive(Serialize)]
struct Variables<'a> {
    first: u32,
    after: Option<&'a str>,
    filter: Option<Filter>,
}

#[derive(Serialize)]
struct Filter {
    #[serde(rename = "updatedAt")]
    updated: Between,
}

#[derive(Serialize)]
struct Between {
    #[serde(skip_serializing_if = "Option::is_none")]
    gte: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lt: Option<String>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    list: List<'a>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    nodes: &'a RawValue,
    #[serde(rename = "pageInfo", borrow)]
    info: Info<'a>,
}

#[derive(Deserialize)]
struct Info<'a> {
    #[serde(rename = "hasNextPage", default)]
    more: bool,
    #[serde(rename = "endCursor", borrow, default)]
    end: Text<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(rename = "updatedAt", borrow, default)]
    updated: Text<'a>,
    #[serde(default)]
    trashed: Option<bool>,
}

/// The next page.
pub(crate) fn read(stream: &Stream, request: &ReadRequest) -> Result<Page, Error> {
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let (gte, lt) = (
        walk.from().map(time::format_ms),
        walk.until().map(time::format_ms),
    );
    let variables = Variables {
        first: paging::size(request, PER_PAGE),
        after: walk.token(),
        filter: (gte.is_some() || lt.is_some()).then_some(Filter {
            updated: Between { gte, lt },
        }),
    };
    let response = api::send(&stream.query(), &variables)?;
    let list = match api::data::<Data<'_>>(&response) {
        Ok(data) => data.list,
        // A cursor is a record's id; one that is gone leads nowhere, and Linear has no code of its own for it.
        Err(Error::InvalidData(_)) if walk.token().is_some() && !graphql::faults(&response).is_empty() => {
            return walk.again();
        }
        Err(error) => return Err(error),
    };
    let mut changes = Vec::with_capacity(PER_PAGE as usize);
    for element in record::each::<Head<'_>>(list.nodes.get()) {
        let (head, text) = element?;
        let modified = head.updated.timestamp();
        walk.saw(modified);
        changes.push(match head.trashed {
            Some(true) => Change::Delete(head.id.as_str().to_owned()),
            _ => Change::Upsert(record::item(head.id.as_str(), text, modified)),
        });
    }
    let next = match (list.info.more, list.info.end.as_str()) {
        (true, "") => {
            return Err(Error::invalid_data(
                "Linear says that there is more and gives nothing to go on from",
            ));
        }
        (true, end) => end,
        (false, _) => "",
    };
    walk.page(changes, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams;
    use sluice_sdk::{Window, testing};

    fn step(stream: &str, cursor: Option<String>) -> Result<Page, Error> {
        read(
            streams::named(stream).unwrap(),
            &testing::read_request(stream, cursor),
        )
    }

    /// The variables of the requests that were sent.
    fn asked() -> Vec<serde_json::Value> {
        testing::requests()
            .iter()
            .map(|request| {
                let body: serde_json::Value = serde_json::from_slice(request.content().unwrap()).unwrap();
                body["variables"].clone()
            })
            .collect()
    }

    #[test]
    fn a_pass_follows_the_cursor_and_the_next_begins_before_the_newest_change() {
        testing::serve(|request| {
            let body = std::str::from_utf8(request.content().unwrap()).unwrap();
            let second = body.contains(r#""after":"iss-2""#);
            testing::answer(
                200,
                &[],
                match second {
                    false => include_str!("../fixtures/issues.json"),
                    true => {
                        r#"{"data":{"list":{"nodes":[{"id":"iss-3","updatedAt":"2024-05-01T08:00:00.000Z"}],"pageInfo":{"hasNextPage":false,"endCursor":"iss-3"}}}}"#
                    }
                },
            )
        });
        let first = step("issues", None).unwrap();
        assert!(first.more);
        assert!(matches!(
            &first.changes[..],
            [Change::Upsert(item), Change::Delete(gone)]
                if item.id == "iss-1" && item.modified == Some(1_714_557_600_250) && gone == "iss-2"
        ));
        let second = step("issues", first.cursor).unwrap();
        assert_eq!(
            (second.more, second.cursor.as_deref()),
            (false, Some(r#"{"since":1714557600250}"#))
        );
        step("issues", second.cursor).unwrap();
        let asked = asked();
        assert_eq!(
            asked[0],
            serde_json::json!({"first": 100, "after": null, "filter": null})
        );
        assert_eq!(asked[1]["after"], "iss-2");
        assert_eq!(
            asked[2]["filter"],
            serde_json::json!({"updatedAt": {"gte": "2024-05-01T09:59:00.250Z"}})
        );
    }

    #[test]
    fn a_window_cuts_both_ends() {
        testing::serve(|_| {
            testing::answer(
                200,
                &[],
                r#"{"data":{"list":{"nodes":[],"pageInfo":{"hasNextPage":false,"endCursor":null}}}}"#,
            )
        });
        let mut request = testing::read_request("comments", Some(r#"{"since":9000000}"#.to_owned()));
        request.window = Some(Window {
            start: 1_000,
            end: 5_000,
        });
        let page = read(streams::named("comments").unwrap(), &request).unwrap();
        assert_eq!(page.cursor, request.cursor);
        assert_eq!(
            asked()[0]["filter"],
            serde_json::json!({"updatedAt": {"gte": "1970-01-01T00:00:01.000Z", "lt": "1970-01-01T00:00:05.000Z"}})
        );
    }

    #[test]
    fn bad_pages_are_errors_and_never_a_partial_page() {
        for body in [
            "<html>",
            "{}",
            r#"{"data":null}"#,
            r#"{"data":{"list":{"nodes":{},"pageInfo":{}}}}"#,
            r#"{"data":{"list":{"nodes":[{"id":"1"},7],"pageInfo":{}}}}"#,
            r#"{"data":{"list":{"nodes":[],"pageInfo":{"hasNextPage":true}}}}"#,
            r#"{"data":{"list":{"nodes":[],"pageInfo":{"hasNextPage":true,"endCursor":"a"}}}}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let cursor = Some(r#"{"at":{"token":"a"}}"#.to_owned());
            assert!(
                matches!(step("issues", cursor), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }

    #[test]
    fn half_an_answer_is_none_and_a_cursor_that_is_gone_begins_the_pass_again() {
        testing::serve(|_| {
            testing::answer(
                200,
                &[],
                r#"{"data":{"list":{"nodes":[],"pageInfo":{}}},"errors":[{"message":"half of it"}]}"#,
            )
        });
        assert!(matches!(step("issues", None), Err(Error::InvalidData(_))));
        let mut cursor = Some(r#"{"at":{"token":"gone","from":5}}"#.to_owned());
        let again = step("issues", cursor).unwrap();
        assert_eq!(
            (again.more, again.cursor.as_deref()),
            (true, Some(r#"{"at":{"from":5,"restarts":1}}"#))
        );
        cursor = Some(r#"{"at":{"token":"gone","restarts":3}}"#.to_owned());
        assert!(matches!(step("issues", cursor), Err(Error::Transient(_))));
    }
}
