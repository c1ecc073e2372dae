//! A table's records ("List records"), page by page.
//!
//! Airtable tells of a record when it was made, not when it was changed, but can filter by it. So where the configuration
//! asks for it, a pass reads what was edited since the one before began, by Airtable's own clock; otherwise it reads the
//! table whole.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, paging, time};

use crate::table::Table;
use crate::{api, config};

/// The most records of a page.
const PER_PAGE: u32 = 100;

/// How long before the last pass's beginning the next one begins, in milliseconds.
const AGAIN_MS: u64 = 120_000;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    records: &'a RawValue,
    #[serde(borrow, default)]
    offset: Text<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
}

/// The next page.
pub(crate) fn read(table: &Table, connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let edited_only = config::read(connection)?.edited_only;
    let mut walk = Walk::begin(request, AGAIN_MS)?;
    let size = paging::size(request, PER_PAGE).to_string();
    let mut asked = api::get(&table.path()).query("pageSize", &size);
    let from = walk.from().filter(|_| edited_only || request.window.is_some());
    if let Some(formula) = formula(from, walk.until()) {
        asked = asked.query("filterByFormula", &formula);
    }
    if let Some(offset) = walk.token() {
        asked = asked.query("offset", offset);
    }
    let response = asked.send()?;
    if response.status == 422
        && walk.token().is_some()
        && api::kind(&response).contains("ITERATOR_NOT_AVAILABLE")
    {
        return walk.again();
    }
    let response = api::ok(response)?;
    let answer: Answer<'_> = response.json()?;
    let mut changes = Vec::with_capacity(PER_PAGE as usize);
    for element in record::each::<Head<'_>>(answer.records.get()) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(head.id.as_str(), text, None)));
    }
    if edited_only && walk.token().is_none() {
        walk.saw(response.date());
    }
    walk.page(changes, answer.offset.as_str())
}

/// Made or edited within these bounds; none for all.
fn formula(from: Option<u64>, until: Option<u64>) -> Option<String> {
    let time = |at: u64| format!("DATETIME_PARSE('{}')", time::format_ms(at));
    let within = |of: &str| {
        let from = from.map(|from| format!("NOT(IS_BEFORE({of}, {}))", time(from)));
        let until = until.map(|until| format!("IS_BEFORE({of}, {})", time(until)));
        let bounds: Vec<String> = from.into_iter().chain(until).collect();
        (!bounds.is_empty()).then(|| format!("AND({})", bounds.join(", ")))
    };
    Some(format!(
        "OR({}, {})",
        within("CREATED_TIME()")?,
        within("LAST_MODIFIED_TIME()")?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{Window, testing};

    const DATE: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");

    fn step(config: &str, cursor: Option<String>) -> Result<Page, Error> {
        let table = Table::of("app_doors_doors0001-tbl_doors_doors0001").unwrap();
        read(
            &table,
            &testing::connection(config),
            &testing::read_request("any", cursor),
        )
    }

    fn serve() {
        testing::serve(|request| match request.url().contains("offset=itr1%2Frec1") {
            true => testing::answer(200, &[], r#"{"records":[{"id":"rec3","fields":{}}]}"#),
            false => testing::answer(200, &[DATE], include_str!("../fixtures/records.json")),
        });
    }

    #[test]
    fn a_table_is_read_whole_each_time() {
        serve();
        let first = step("{}", None).unwrap();
        assert!(first.more);
        assert_eq!(
            first.changes.iter().map(Change::id).collect::<Vec<_>>(),
            ["recDoorsDoors0001", "recDoorsDoors0002"]
        );
        let last = step("{}", first.cursor).unwrap();
        assert_eq!((last.more, last.cursor.as_deref()), (false, Some("{}")));
        assert_eq!(
            testing::requests()[0].url(),
            "https://api.airtable.com/v0/appDoorsDoors0001/tblDoorsDoors0001?pageSize=100"
        );
    }

    #[test]
    fn what_was_edited_since_the_last_pass_began() {
        serve();
        let config = r#"{"edited_only":true}"#;
        let first = step(config, None).unwrap();
        let last = step(config, first.cursor).unwrap();
        assert_eq!(last.cursor.as_deref(), Some(r#"{"since":784111777000}"#));
        step(config, last.cursor.clone()).unwrap();
        let requests = testing::requests();
        assert!(!requests[0].url().contains("filterByFormula"));
        let url = requests[2].url();
        assert!(url.contains("LAST_MODIFIED_TIME"), "{url}");
        assert!(url.contains("1994-11-06T08%3A47%3A37.000Z"), "{url}");
        // Without the choice the same cursor reads the table whole.
        step("{}", last.cursor).unwrap();
        assert!(!testing::requests()[3].url().contains("filterByFormula"));
    }

    #[test]
    fn a_window_cuts_both_ends() {
        assert_eq!(formula(None, None), None);
        assert_eq!(
            formula(Some(1_000), Some(5_000)).unwrap(),
            "OR(AND(NOT(IS_BEFORE(CREATED_TIME(), DATETIME_PARSE('1970-01-01T00:00:01.000Z'))), IS_BEFORE(CREATED_TIME(), DATETIME_PARSE('1970-01-01T00:00:05.000Z'))), AND(NOT(IS_BEFORE(LAST_MODIFIED_TIME(), DATETIME_PARSE('1970-01-01T00:00:01.000Z'))), IS_BEFORE(LAST_MODIFIED_TIME(), DATETIME_PARSE('1970-01-01T00:00:05.000Z'))))"
        );
        serve();
        let mut request = testing::read_request("any", None);
        request.window = Some(Window {
            start: 1_000,
            end: 5_000,
        });
        let table = Table::of("app_doors_doors0001-tbl_doors_doors0001").unwrap();
        read(&table, &testing::connection("{}"), &request).unwrap();
        assert!(testing::requests()[0].url().contains("filterByFormula=OR"));
    }

    #[test]
    fn an_offset_that_ended_begins_the_pass_again() {
        testing::serve(|request| match request.url().contains("offset=") {
            true => testing::answer(
                422,
                &[],
                r#"{"error":{"type":"LIST_RECORDS_ITERATOR_NOT_AVAILABLE","message":"m"}}"#,
            ),
            false => testing::answer(200, &[], include_str!("../fixtures/records.json")),
        });
        let first = step("{}", None).unwrap();
        let again = step("{}", first.cursor).unwrap();
        assert!(again.more && again.changes.is_empty());
        assert_eq!(step("{}", again.cursor).unwrap().changes.len(), 2);
    }

    #[test]
    fn bad_pages_are_errors_and_never_a_partial_page() {
        for body in [
            "<html>",
            "{}",
            r#"{"records":{}}"#,
            r#"{"records":[{"id":"a"},7]}"#,
            r#"{"records":[],"offset":"o"}"#,
        ] {
            testing::serve(move |_| testing::answer(200, &[], body));
            let cursor = Some(r#"{"at":{"token":"o"}}"#.to_owned());
            assert!(matches!(step("{}", cursor), Err(Error::InvalidData(_))), "{body}");
        }
    }
}
