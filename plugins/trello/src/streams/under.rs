//! What hangs under every board as one list: its lists (Trello docs, "Get Lists on a Board") and its members ("Get the
//! Members of a Board").

use serde::Deserialize;
use sluice_sdk::record::{self, Id};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, http};

use super::boards;
use crate::cursor::{Cursor, Place};
use crate::{api, config};

/// Boards asked in one step: one round of concurrent requests.
const AT_ONCE: usize = 8;

/// A list under every board.
#[derive(Debug)]
pub(crate) struct Under {
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
    /// Whether a quiet board is read as well: a member's new name is no activity of the board's.
    always: bool,
}

pub(crate) const LISTS: Under = Under {
    path: "lists",
    query: &[("filter", "all"), ("fields", "name,closed,idBoard,pos")],
    always: false,
};

pub(crate) const MEMBERS: Under = Under {
    path: "members",
    query: &[("fields", "username,fullName,initials,memberType")],
    always: true,
};

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
}

/// The next few boards.
pub(crate) fn read(connection: &Connection, request: &ReadRequest, under: &Under) -> Result<Page, Error> {
    let config = config::of(connection)?;
    let mut cursor = Cursor::of(request, || boards::of(&config), under.always)?;
    let mut place = cursor.at.take().unwrap_or_default();
    let rest = place.boards.split_off(place.boards.len().min(AT_ONCE));
    let requests = place
        .boards
        .iter()
        .map(|(board, _)| {
            let path = format!("boards/{board}/{}", under.path);
            let asked = api::get(&config, &path);
            under
                .query
                .iter()
                .fold(asked, |asked, (name, value)| asked.query(name, value))
        })
        .collect();
    let mut changes = Vec::new();
    for (board, response) in place.boards.into_iter().zip(http::send_all(requests)) {
        let response = api::ok(response?)?;
        for element in record::each::<Head<'_>>(response.text()?) {
            let (head, text) = element?;
            changes.push(Change::Upsert(record::item(head.id.to_string(), text, None)));
        }
        cursor.done(board);
    }
    let place = Place {
        boards: rest,
        before: None,
    };
    cursor.page(place, changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    /// Ten boards; the last thing that happened on board `n` is in second `n`, on board 3 as it is given.
    fn serve(third: u64) {
        testing::serve(move |request| {
            if request.url().contains("/members/me/boards") {
                let boards: Vec<String> = (1..=10)
                    .map(|n| {
                        let at = sluice_sdk::time::format(if n == 3 { third } else { n } * 1_000);
                        format!(r#"{{"id":"5f00000000000000000000{n:02x}","dateLastActivity":"{at}"}}"#)
                    })
                    .collect();
                return testing::answer(200, &[], &format!("[{}]", boards.join(",")));
            }
            let (_, rest) = request.url().split_once("/boards/").unwrap();
            testing::answer(200, &[], &format!(r#"[{{"id":"under-{}"}}]"#, &rest[22..24]))
        });
    }

    fn pass(under: &Under, mut cursor: Option<String>) -> (Vec<String>, Option<String>) {
        let mut ids = Vec::new();
        for _ in 0..10 {
            let request = testing::read_request("lists", cursor.clone());
            let page = read(&testing::connection("{}"), &request, under).unwrap();
            assert!(
                !page.more || page.cursor != cursor,
                "a page with more moves the cursor"
            );
            ids.extend(page.changes.iter().map(|change| change.id().to_owned()));
            cursor = page.cursor;
            if !page.more {
                return (ids, cursor);
            }
        }
        panic!("the pass does not end")
    }

    #[test]
    fn quiet_boards_are_passed_over() {
        serve(3);
        let (read, cursor) = pass(&LISTS, None);
        assert_eq!(read.len(), 10);
        assert_eq!((read[0].as_str(), read[9].as_str()), ("under-01", "under-0a"));
        let (read, cursor) = pass(&LISTS, cursor);
        assert!(read.is_empty(), "{read:?}");
        assert_eq!(testing::requests().len(), 12);
        serve(99);
        assert_eq!(pass(&LISTS, cursor).0, ["under-03"]);
    }

    #[test]
    fn members_are_always_read() {
        serve(3);
        let (_, cursor) = pass(&MEMBERS, None);
        assert_eq!(pass(&MEMBERS, cursor).0.len(), 10);
    }

    #[test]
    fn a_page_that_is_no_list_is_an_error() {
        for body in ["", "{}", "<html>", r#"[{"id":"a"},{"#] {
            testing::serve(
                move |request| match request.url().contains("/members/me/boards") {
                    true => testing::answer(200, &[], r#"[{"id":"5f0000000000000000000001"}]"#),
                    false => testing::answer(200, &[], body),
                },
            );
            let request = testing::read_request("lists", None);
            let page = read(&testing::connection("{}"), &request, &LISTS);
            assert!(matches!(page, Err(Error::InvalidData(_))), "{body}");
        }
    }
}
