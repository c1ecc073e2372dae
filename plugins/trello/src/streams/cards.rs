//! Cards, open and archived, board by board (Trello docs, "Get filtered Cards on a Board"), newest first by creation.
//!
//! Trello cannot say which cards changed. What it says is when something happened last on a board and on a card: quiet
//! boards are not asked, and of the others only cards on which something happened since are given on. Cards that are gone
//! are read from the board's history ("Get Actions of a Board").

use serde::Deserialize;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, log, time};

use super::boards;
use crate::api;
use crate::config::{self, Config};
use crate::cursor::Cursor;

/// Cards of a page; the API gives up to 1,000, and refuses answers that are too large.
const PAGE: usize = 500;

/// The most deleted cards of one board that one pass is told about, in pages of the history.
const MAX_HISTORY: usize = 10;

const FIELDS: &str = "name,desc,closed,idShort,idBoard,idList,idMembers,idLabels,labels,due,dueComplete,start,pos,\
                      shortLink,url,dateLastActivity";

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default, rename = "dateLastActivity")]
    activity: Text<'a>,
}

/// The next page of the next board.
pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let config = config::of(connection)?;
    let mut cursor = Cursor::of(request, || boards::of(&config), request.window.is_some())?;
    let mut place = cursor.at.take().unwrap_or_default();
    if place.boards.is_empty() {
        return cursor.page(place, Vec::new());
    }
    let board = place.boards.remove(0);
    let mark = cursor.marks.get(&board.0).copied();

    let mut asked = api::get(&config, &format!("boards/{}/cards/all", board.0))
        .query("limit", &PAGE.to_string())
        .query("fields", FIELDS);
    if let Some(before) = &place.before {
        asked = asked.query("before", before);
    }
    let response = api::ok(asked.send()?)?;
    let (mut changes, mut count) = (Vec::with_capacity(PAGE), 0);
    let mut oldest: Option<String> = None;
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        count += 1;
        let (id, activity) = (head.id.to_string(), head.activity.timestamp());
        if api::is_id(&id) && oldest.as_ref().is_none_or(|oldest| id < *oldest) {
            oldest = Some(id.clone());
        }
        let wanted = match (&request.window, activity, mark) {
            (Some(window), Some(activity), _) => (window.start..window.end).contains(&activity),
            (None, Some(activity), Some(mark)) => activity >= mark,
            _ => true,
        };
        if wanted {
            changes.push(Change::Upsert(record::item(id, text, activity)));
        }
    }
    if count < PAGE {
        if let (Some(mark), None) = (mark, &request.window) {
            changes.extend(deleted(&config, &board.0, mark)?);
        }
        cursor.done(board);
        place.before = None;
        return cursor.page(place, changes);
    }
    // A full page that does not go back in time would come again for ever.
    if oldest.is_none() || place.before.is_some() && oldest >= place.before {
        return Ok(Page {
            changes: Vec::new(),
            cursor: request.cursor.clone(),
            more: true,
            total_hint: None,
        });
    }
    place.boards.insert(0, board);
    place.before = oldest;
    cursor.page(place, changes)
}

/// The cards of a board that were deleted since then, by its history.
fn deleted(config: &Config, board: &str, since: u64) -> Result<Vec<Change>, Error> {
    #[derive(Deserialize)]
    struct Action<'a> {
        #[serde(borrow, default)]
        id: Id<'a>,
        #[serde(borrow, default)]
        data: Option<Data<'a>>,
    }
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow, default)]
        card: Option<Card<'a>>,
    }
    #[derive(Deserialize)]
    struct Card<'a> {
        #[serde(borrow, default)]
        id: Id<'a>,
    }

    let mut changes = Vec::new();
    let mut before: Option<String> = None;
    for _ in 0..MAX_HISTORY {
        let mut asked = api::get(config, &format!("boards/{board}/actions"))
            .query("filter", "deleteCard")
            .query("since", &time::format(since))
            .query("limit", &PAGE.to_string())
            .query("fields", "data,date,type")
            .query("memberCreator", "false");
        if let Some(before) = &before {
            asked = asked.query("before", before);
        }
        let response = api::ok(asked.send()?)?;
        let mut count = 0;
        let mut oldest = before.clone();
        for element in record::each::<Action<'_>>(response.text()?) {
            let (action, _) = element?;
            count += 1;
            let id = action.id.to_string();
            if api::is_id(&id) && oldest.as_ref().is_none_or(|oldest| id < *oldest) {
                oldest = Some(id);
            }
            let card = action
                .data
                .and_then(|data| data.card)
                .map(|card| card.id.to_string());
            changes.extend(card.filter(|id| api::is_id(id)).map(Change::Delete));
        }
        if count < PAGE || oldest == before {
            return Ok(changes);
        }
        before = oldest;
    }
    log::warn(&format!(
        "board {board}: more cards were deleted than one pass is told about; a full sync finds the rest"
    ));
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::*;
    use sluice_sdk::http::Request;
    use sluice_sdk::{Window, testing};

    const BOARD: &str = "5f00000000000000000000b1";

    /// The board: card number to the second of its last activity, and the numbers of those that were deleted.
    #[derive(Default)]
    struct World {
        cards: BTreeMap<u32, u64>,
        deleted: Vec<(u32, u64)>,
    }

    fn id(number: u32) -> String {
        format!("5f0000000000000000{number:06x}")
    }

    fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
        let (_, query) = request.url().split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    fn serve(world: &Rc<RefCell<World>>) {
        let world = world.clone();
        testing::serve(move |request| {
            let world = world.borrow();
            let latest = world
                .cards
                .values()
                .copied()
                .chain(world.deleted.iter().map(|(_, at)| *at))
                .max();
            let at = |seconds: u64| time::format(seconds * 1_000);
            if request.url().contains("/members/me/boards") {
                let body = format!(
                    r#"[{{"id":"{BOARD}","dateLastActivity":"{}"}}]"#,
                    at(latest.unwrap_or(0))
                );
                return testing::answer(200, &[], &body);
            }
            if request.url().contains("/actions?filter=deleteCard") {
                let since = parameter(request, "since").unwrap().replace("%3A", ":");
                let body: Vec<String> = world
                    .deleted
                    .iter()
                    .filter(|(_, when)| at(*when) >= since)
                    .map(|(number, _)| {
                        format!(
                            r#"{{"id":"{}","data":{{"card":{{"id":"{}"}}}}}}"#,
                            id(9),
                            id(*number)
                        )
                    })
                    .collect();
                return testing::answer(200, &[], &format!("[{}]", body.join(",")));
            }
            assert!(
                request
                    .url()
                    .contains(&format!("/1/boards/{BOARD}/cards/all?limit=500&"))
            );
            let before = parameter(request, "before").unwrap_or("z");
            let mut body: Vec<String> = world
                .cards
                .iter()
                .rev()
                .filter(|(number, _)| id(**number).as_str() < before)
                .take(PAGE)
                .map(|(number, seconds)| {
                    format!(
                        r#"{{"id":"{}","dateLastActivity":"{}"}}"#,
                        id(*number),
                        at(*seconds)
                    )
                })
                .collect();
            // As they lie on the board, not as they were made.
            body.reverse();
            testing::answer(200, &[], &format!("[{}]", body.join(",")))
        });
    }

    fn one(cursor: Option<String>) -> Result<Page, Error> {
        read(
            &testing::connection("{}"),
            &testing::read_request("cards", cursor),
        )
    }

    fn pass(mut cursor: Option<String>) -> (Vec<Change>, Option<String>) {
        let mut changes = Vec::new();
        for _ in 0..20 {
            let page = one(cursor.clone()).unwrap();
            assert!(
                !page.more || page.cursor != cursor,
                "a page with more moves the cursor"
            );
            changes.extend(page.changes);
            cursor = page.cursor;
            if !page.more {
                return (changes, cursor);
            }
        }
        panic!("the pass does not end")
    }

    #[test]
    fn a_pass_reads_everything_and_the_next_one_what_happened() {
        let world = Rc::new(RefCell::new(World::default()));
        world.borrow_mut().cards = (1..=1_200)
            .map(|number| (number, 1_000 + u64::from(number)))
            .collect();
        serve(&world);
        let (changes, cursor) = pass(None);
        let mut ids: Vec<&str> = changes.iter().map(Change::id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1_200);
        let before = testing::requests().len();
        let (changes, cursor) = pass(cursor);
        assert!(changes.is_empty());
        assert_eq!(
            testing::requests().len(),
            before + 1,
            "a quiet board is not asked"
        );
        world.borrow_mut().cards.insert(7, 5_000);
        world.borrow_mut().cards.remove(&8);
        world.borrow_mut().deleted.push((8, 4_999));
        let (changes, _) = pass(cursor);
        let named: Vec<(bool, String)> = changes
            .iter()
            .map(|change| (matches!(change, Change::Delete(_)), change.id().to_owned()))
            .collect();
        // The newest known one is given once more: two things can happen within a millisecond.
        assert_eq!(named, [(false, id(1_200)), (false, id(7)), (true, id(8))]);
    }

    #[test]
    fn a_vendor_that_goes_in_circles_does_not_move_the_cursor() {
        let cards: Vec<String> = (0..500).map(|n| format!(r#"{{"id":"{}"}}"#, id(n))).collect();
        let cards = format!("[{}]", cards.join(","));
        testing::serve(
            move |request| match request.url().contains("/members/me/boards") {
                true => testing::answer(200, &[], &format!(r#"[{{"id":"{BOARD}"}}]"#)),
                false => testing::answer(200, &[], &cards),
            },
        );
        let first = one(None).unwrap();
        let second = one(first.cursor.clone()).unwrap();
        assert!(second.more && second.cursor == first.cursor && second.changes.is_empty());
    }

    #[test]
    fn a_history_without_end_is_left() {
        testing::serve(|request| {
            let start = request.url().matches("before=").count();
            let last = parameter(request, "before").map_or(u32::MAX >> 8, |before| {
                u32::from_str_radix(&before[18..], 16).unwrap()
            });
            assert!(start <= 1);
            let actions: Vec<String> = (1..=500)
                .map(|n| {
                    format!(
                        r#"{{"id":"{}","data":{{"card":{{"id":"{}"}}}}}}"#,
                        id(last - n),
                        id(n)
                    )
                })
                .collect();
            testing::answer(200, &[], &format!("[{}]", actions.join(",")))
        });
        assert_eq!(deleted(&Config::default(), BOARD, 0).unwrap().len(), 5_000);
        assert_eq!(testing::requests().len(), MAX_HISTORY);
        // One that repeats itself is left at once.
        let same: Vec<String> = (1..=500).map(|n| format!(r#"{{"id":"{}"}}"#, id(n))).collect();
        let same = format!("[{}]", same.join(","));
        testing::serve(move |_| testing::answer(200, &[], &same));
        assert!(deleted(&Config::default(), BOARD, 0).unwrap().is_empty());
        assert_eq!(testing::requests().len(), 2);
    }

    #[test]
    fn a_window_cuts_both_ends() {
        let world = Rc::new(RefCell::new(World::default()));
        world.borrow_mut().cards = (1..=5).map(|number| (number, u64::from(number))).collect();
        serve(&world);
        let mut request = testing::read_request("cards", None);
        request.window = Some(Window {
            start: 2_000,
            end: 4_000,
        });
        let page = read(&testing::connection("{}"), &request).unwrap();
        assert_eq!(
            page.changes.iter().map(Change::id).collect::<Vec<_>>(),
            [id(2), id(3)]
        );
    }

    #[test]
    fn the_fixtures_are_read_and_bad_pages_are_errors() {
        let serve = |cards: &'static str| {
            testing::serve(
                move |request| match request.url().contains("/members/me/boards") {
                    true => testing::answer(200, &[], include_str!("../../fixtures/boards.json")),
                    false => testing::answer(200, &[], cards),
                },
            );
        };
        serve(include_str!("../../fixtures/cards.json"));
        let page = one(None).unwrap();
        let Change::Upsert(item) = &page.changes[0] else {
            panic!("{:?}", page.changes)
        };
        assert_eq!(
            (item.id.as_str(), item.modified),
            ("5f00000000000000000000c1", Some(1_714_557_600_000))
        );
        for body in ["", "{}", "<html>", r#"[{"id":"a"},{"#] {
            serve(body);
            assert!(matches!(one(None), Err(Error::InvalidData(_))), "{body}");
        }
        serve(r#"[{"name":"no id"}]"#);
        assert_eq!(one(None).unwrap().changes[0].id(), "", "the host sets it aside");
    }
}
