//! Scheduled meetings of a person ("List meetings"). Zoom can neither sort nor filter them by change: every pass reads them whole.

use serde::{Deserialize, Serialize};
use sluice_sdk::record::{self, Id};
use sluice_sdk::{Change, Error, Page, ReadRequest, paging};

use crate::api;

/// Where a pass stands; empty between passes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
}

pub(crate) fn read(request: &ReadRequest) -> Result<Page, Error> {
    let user = super::users::of(request)?;
    let cursor: Cursor = request.cursor()?.unwrap_or_default();
    let mut asked = api::get(&format!("users/{user}/meetings"))
        .query("type", "scheduled")
        .query("page_size", api::PER_PAGE);
    if let Some(token) = &cursor.token {
        asked = asked.query("next_page_token", token);
    }
    let response = api::ok(asked.send()?).map_err(|error| error.blame_config("/users"))?;
    let listing: api::Listing<'_> = response.json()?;
    let mut changes = Vec::new();
    for element in record::each::<Head<'_>>(api::array(listing.meetings, "meetings")?) {
        let (head, text) = element?;
        changes.push(Change::Upsert(record::item(head.id.to_string(), text, None)));
    }
    let token = paging::token(listing.next_page_token.as_str(), cursor.token.as_deref())?;
    let more = token.is_some();
    Page::at(changes, &Cursor { token }, more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn a_persons_meetings_are_read_page_by_page() {
        testing::serve(|request| match request.url() {
            "https://api.zoom.us/v2/users/u1/meetings?type=scheduled&page_size=300" => {
                testing::answer(200, &[], r#"{"next_page_token":"b","meetings":[{"id":1}]}"#)
            }
            "https://api.zoom.us/v2/users/u1/meetings?type=scheduled&page_size=300&next_page_token=b" => {
                testing::answer(200, &[], include_str!("../../fixtures/meetings.json"))
            }
            other => panic!("{other}"),
        });
        let mut request = testing::read_request("meetings", None);
        assert!(read(&request).is_err(), "no person");
        request.partition = Some("u1".to_owned());
        let first = read(&request).unwrap();
        assert!(first.more);
        request.cursor = first.cursor;
        let second = read(&request).unwrap();
        assert_eq!((second.changes[0].id(), second.more), ("97763643886", false));
        assert_eq!(second.cursor.as_deref(), Some("{}"));
    }
}
