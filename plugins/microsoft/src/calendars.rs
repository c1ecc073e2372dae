//! The mailbox's calendars ("List calendars").

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, paging};

use crate::{api, config};

#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    /// How many were read, as Graph's own link says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skip: Option<String>,
}

pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        value: &'a RawValue,
        #[serde(rename = "@odata.nextLink", borrow, default)]
        next: Text<'a>,
    }
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, default)]
        id: Text<'a>,
    }
    let mailbox = config::of(connection)?.mailbox();
    let cursor: Cursor = request.cursor()?.unwrap_or_default();
    let mut asked = api::get(&format!("{mailbox}/calendars")).query("$top", "50");
    if let Some(skip) = &cursor.skip {
        asked = asked.query("$skip", skip);
    }
    let response = api::ok(asked.send()?)?;
    let answer: Answer<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(answer.value.get()) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(head.id.as_str(), text, None)));
    }
    let next = match api::token(answer.next.as_str()) {
        None => None,
        // A list without an end is one that gives nothing and goes on.
        Some(_) if changes.is_empty() => return Err(Error::invalid_data("Graph's list does not end")),
        Some((_, token)) => paging::token(&token, cursor.skip.as_deref())?,
    };
    let more = next.is_some();
    Page::at(changes, &Cursor { skip: next }, more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    #[test]
    fn they_are_read_to_the_end() {
        testing::serve(|request| match request.url().contains("skip=") {
            true => answer(200, &[], r#"{"value":[{"id":"c2"}]}"#),
            false => answer(200, &[], include_str!("../fixtures/calendars.json")),
        });
        let connection = testing::connection(r#"{"tenant":"doors.example","user":"mona@doors.example"}"#);
        let first = read(&connection, &testing::read_request("calendars", None)).unwrap();
        assert!(first.more);
        let last = read(&connection, &testing::read_request("calendars", first.cursor)).unwrap();
        assert_eq!((last.more, last.changes[0].id()), (false, "c2"));
        assert_eq!(
            testing::requests()[1].url(),
            "https://graph.microsoft.com/v1.0/users/mona@doors.example/calendars?%24top=50&%24skip=1"
        );
    }
}
