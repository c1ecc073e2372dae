//! Lists within a record, read to their end. Stripe shows the first entries (ten lines of an invoice) and says `has_more`
//! (Stripe API docs, "Pagination", "Retrieve an invoice's line items", "List all subscription items"). The rest is asked for
//! and put where the first entries are, so that a record is whole; every other byte of it stays Stripe's.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Id};
use sluice_sdk::{Error, log};

use crate::api::{self, List};
use crate::changed::Head;
use crate::streams::{Nested, Stream};

/// The most pages of one list: ten thousand entries. What has more keeps its `has_more`, and the log says so.
const MAX_PAGES: u32 = 100;

/// Pages of nested lists after which a step takes no further record up: a step has to end in time.
const PAGES_OF_STEP: u32 = 200;

/// The pages that a step has asked for.
#[derive(Debug, Default)]
pub(crate) struct Pages(u32);

impl Pages {
    pub(crate) const fn are_many(&self) -> bool {
        self.0 >= PAGES_OF_STEP
    }
}

#[derive(Deserialize)]
struct Shown<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    has_more: &'a RawValue,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
}

/// The record with all of its nested list.
pub(crate) fn whole<'t>(
    stream: &Stream,
    id: &str,
    text: &'t str,
    head: &Head<'_>,
    pages: &mut Pages,
) -> Result<Cow<'t, str>, Error> {
    let (Some(kind), true) = (stream.nested, api::is_id(id)) else {
        return Ok(Cow::Borrowed(text));
    };
    let list = match kind {
        Nested::Lines => head.lines,
        Nested::Items => head.items,
    };
    let shown: Option<Shown<'_>> = list.and_then(|list| serde_json::from_str(list.get()).ok());
    let Some(shown) = shown.filter(|shown| shown.has_more.get() == "true") else {
        return Ok(Cow::Borrowed(text));
    };
    let mut last = last_id(shown.data.get())?;
    let mut rest = String::new();
    for _ in 0..MAX_PAGES {
        pages.0 += 1;
        let asked = match kind {
            Nested::Lines => api::get(&format!("/v1/invoices/{id}/lines")),
            Nested::Items => api::get("/v1/subscription_items").query("subscription", id),
        };
        let response = asked
            .query("limit", api::PER_PAGE)
            .query("starting_after", &last)
            .send()?;
        let response = api::ok(response)?;
        let page: List<'_> = response.json()?;
        let inner = entries(page.data.get())?;
        if !inner.is_empty() {
            rest.push(',');
            rest.push_str(inner);
        }
        if !page.has_more {
            return spliced(text, &shown, &rest, "false").map(Cow::Owned);
        }
        let next = last_id(page.data.get())?;
        if next == last {
            return Err(nowhere());
        }
        last = next;
    }
    log::warn(&format!(
        "{}: the list within a record has more entries than are read: the rest is left out, and `has_more` says so",
        stream.name
    ));
    spliced(text, &shown, &rest, "true").map(Cow::Owned)
}

/// The text with more entries at the end of the nested list's, and another `has_more`.
fn spliced(text: &str, shown: &Shown<'_>, rest: &str, has_more: &str) -> Result<String, Error> {
    let end_of_data = place(text, shown.data.get())? + shown.data.get().len() - 1;
    let flag = place(text, shown.has_more.get())?;
    let mut edits = [
        (end_of_data, end_of_data, rest),
        (flag, flag + shown.has_more.get().len(), has_more),
    ];
    edits.sort_unstable();
    let mut whole = String::with_capacity(text.len() + rest.len() + 1);
    let mut at = 0;
    for (from, until, with) in edits {
        whole.push_str(text.get(at..from).unwrap_or_default());
        whole.push_str(with);
        at = until;
    }
    whole.push_str(text.get(at..).unwrap_or_default());
    Ok(whole)
}

/// Where a part of the text is in it. The part was borrowed from the text when that was read.
fn place(text: &str, part: &str) -> Result<usize, Error> {
    let at = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
    at.filter(|at| text.get(*at..at + part.len()) == Some(part))
        .ok_or_else(|| Error::internal("a part of a record is not within it"))
}

/// What is between the brackets of an array.
fn entries(array: &str) -> Result<&str, Error> {
    let inner = array
        .trim()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner
        .map(str::trim)
        .ok_or_else(|| Error::invalid_data("a list within a record is not an array"))
}

fn last_id(array: &str) -> Result<String, Error> {
    let mut last = String::new();
    for element in record::each::<Entry<'_>>(array) {
        last = element?.0.id.to_string();
    }
    if api::is_id(&last) {
        Ok(last)
    } else {
        Err(nowhere())
    }
}

fn nowhere() -> Error {
    Error::invalid_data("a list within a record has more and gives nothing to go on from")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams;
    use sluice_sdk::testing;

    fn read(stream: &str, text: &str) -> Result<String, Error> {
        let head: Head<'_> = serde_json::from_str(text).unwrap();
        let stream = streams::named(stream).unwrap();
        whole(stream, &head.id.to_string(), text, &head, &mut Pages::default()).map(Cow::into_owned)
    }

    #[test]
    fn the_lines_of_an_invoice_are_read_to_their_end() {
        testing::serve(|request| {
            let url = request.url().strip_prefix(api::ROOT).unwrap();
            let body = match url {
                "/v1/invoices/in_1/lines?limit=100&starting_after=il_2" => {
                    include_str!("../fixtures/invoice-lines.json")
                }
                "/v1/invoices/in_1/lines?limit=100&starting_after=il_4" => {
                    r#"{"object":"list","data":[ {"id":"il_5"} ],"has_more":false}"#
                }
                other => panic!("{other}"),
            };
            testing::answer(200, &[], body)
        });
        let text = r#"{"id":"in_1", "lines":{"object":"list","has_more" : true,"data":[{"id":"il_1","amount":1.50},{"id":"il_2"}],"url":"x"},"total":1e2}"#;
        let whole = read("invoices", text).unwrap();
        let value: serde_json::Value = serde_json::from_str(&whole).unwrap();
        let ids: Vec<&str> = value["lines"]["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["il_1", "il_2", "il_3", "il_4", "il_5"]);
        assert_eq!(value["lines"]["has_more"], false);
        assert!(
            whole.contains("1.50") && whole.ends_with(r#""total":1e2}"#),
            "{whole}"
        );
    }

    #[test]
    fn the_items_of_a_subscription_are_asked_for_elsewhere() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://api.stripe.com/v1/subscription_items?subscription=sub_1&limit=100&starting_after=si_1"
            );
            testing::answer(200, &[], r#"{"data":[{"id":"si_2"}],"has_more":false}"#)
        });
        let text = r#"{"id":"sub_1","items":{"data":[{"id":"si_1"}],"has_more":true}}"#;
        assert_eq!(
            read("subscriptions", text).unwrap(),
            r#"{"id":"sub_1","items":{"data":[{"id":"si_1"},{"id":"si_2"}],"has_more":false}}"#
        );
    }

    #[test]
    fn what_is_whole_costs_nothing() {
        testing::serve(|request| panic!("{}", request.url()));
        for text in [
            r#"{"id":"in_1","lines":{"data":[],"has_more":false}}"#,
            r#"{"id":"in_1"}"#,
            r#"{"id":"in_1","lines":null}"#,
            r#"{"id":"in_1","lines":[1]}"#,
            r#"{"id":"../x","lines":{"data":[{"id":"il_1"}],"has_more":true}}"#,
        ] {
            assert_eq!(read("invoices", text).unwrap(), text);
        }
        let customer = r#"{"id":"cus_1","items":{"data":[{"id":"a"}],"has_more":true}}"#;
        assert_eq!(read("customers", customer).unwrap(), customer);
    }

    #[test]
    fn a_list_that_goes_in_circles_or_never_ends_is_stopped() {
        let text = r#"{"id":"in_1","lines":{"data":[{"id":"il_1"}],"has_more":true}}"#;
        testing::serve(|_| testing::answer(200, &[], r#"{"data":[{"id":"il_1"}],"has_more":true}"#));
        assert!(matches!(read("invoices", text), Err(Error::InvalidData(_))));
        let mut line = 1;
        testing::serve(move |_| {
            line += 1;
            testing::answer(
                200,
                &[],
                &format!(r#"{{"data":[{{"id":"il_{line}"}}],"has_more":true}}"#),
            )
        });
        let whole = read("invoices", text).unwrap();
        assert_eq!(testing::requests().len(), 100);
        assert!(whole.ends_with(r#"{"id":"il_101"}],"has_more":true}}"#));
        testing::serve(|_| testing::answer(200, &[], r#"{"data":[],"has_more":true}"#));
        assert!(matches!(read("invoices", text), Err(Error::InvalidData(_))));
    }
}
