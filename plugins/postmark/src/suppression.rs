//! Addresses of the message stream that get no mail ("Suppression dump"), all in one answer.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Page};

use crate::api;

#[derive(Deserialize)]
struct Dump<'a> {
    #[serde(rename = "Suppressions", borrow)]
    suppressions: &'a RawValue,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "EmailAddress", borrow, default)]
    email: Text<'a>,
    #[serde(rename = "CreatedAt", borrow, default)]
    created: Text<'a>,
}

pub(crate) fn read(connection: &Connection) -> Result<Page, Error> {
    let stream = api::message_stream(connection)?;
    let response = api::get(&format!("message-streams/{stream}/suppressions/dump")).send()?;
    let response = api::ok(response).map_err(|error| error.blame_config("/message_stream"))?;
    let dump: Dump<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(dump.suppressions.get()) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(
            head.email.as_str(),
            text,
            head.created.timestamp(),
        )));
    }
    Ok(Page::last(changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn the_dump_is_one_page() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://api.postmarkapp.com/message-streams/outbound/suppressions/dump"
            );
            testing::answer(200, &[], include_str!("../fixtures/suppressions.json"))
        });
        let page = read(&testing::connection("{}")).unwrap();
        assert_eq!((page.changes[0].id(), page.more), ("cellar@doors.example", false));
        testing::serve(|_| {
            testing::answer(
                422,
                &[],
                r#"{"ErrorCode":1226,"Message":"Message stream not found."}"#,
            )
        });
        assert!(matches!(read(&testing::connection("{}")), Err(Error::Config(_))));
    }
}
