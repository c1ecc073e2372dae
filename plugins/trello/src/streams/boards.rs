//! Boards: those that the configuration names (Trello docs, "Get a Board"), or all of the member's ("Get Boards that Member
//! belongs to"). Other streams walk over them.

use serde::Deserialize;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Connection, Error, Page, http};

use crate::api;
use crate::config::{self, Config};

/// The most boards of a connection: a cursor remembers something about each, and has 64 KiB.
const MAX_BOARDS: usize = 500;

const FIELDS: &str = "name,desc,closed,idOrganization,shortLink,url,dateLastActivity";

/// A board as other streams need it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Board {
    pub(crate) id: String,
    /// The last thing that happened on it, in milliseconds; none where Trello does not tell.
    pub(crate) activity: Option<u64>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default, rename = "dateLastActivity")]
    activity: Text<'a>,
}

/// All boards, in one page.
pub(crate) fn read(connection: &Connection) -> Result<Page, Error> {
    let config = config::of(connection)?;
    let mut changes = Vec::new();
    each(&config, |head, text| {
        changes.push(Change::Upsert(record::item(
            head.id.to_string(),
            text,
            head.activity.timestamp(),
        )));
    })?;
    Ok(Page::last(changes))
}

/// The boards that other streams read, in a stable order and each once.
pub(crate) fn of(config: &Config) -> Result<Vec<Board>, Error> {
    let mut boards = Vec::new();
    each(config, |head, _| {
        let id = head.id.to_string();
        // A board without an id shows in the stream of boards, where the host sets it aside with the reason.
        if api::is_id(&id) {
            let activity = head.activity.timestamp();
            boards.push(Board { id, activity });
        }
    })?;
    boards.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    boards.dedup_by(|a, b| a.id == b.id);
    if boards.len() > MAX_BOARDS {
        let message = format!("has more than {MAX_BOARDS} boards; name those to read");
        return Err(Error::config(message, "/boards"));
    }
    Ok(boards)
}

fn each(config: &Config, mut take: impl FnMut(&Head<'_>, &str)) -> Result<(), Error> {
    if config.boards.is_empty() {
        let response = api::ok(
            api::get(config, "members/me/boards")
                .query("filter", "all")
                .query("fields", FIELDS)
                .send()?,
        )?;
        for element in record::each::<Head<'_>>(response.text()?) {
            let (head, text) = element?;
            take(&head, text);
        }
        return Ok(());
    }
    let requests = config
        .boards
        .iter()
        .map(|board| api::get(config, &format!("boards/{board}")).query("fields", FIELDS))
        .collect();
    for (at, response) in http::send_all(requests).into_iter().enumerate() {
        let response = api::ok(response?).map_err(|error| error.blame_config(format!("/boards/{at}")))?;
        take(&response.json()?, response.text()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn all_boards_are_one_page() {
        testing::serve(|request| {
            assert!(
                request
                    .url()
                    .starts_with("https://api.trello.com/1/members/me/boards?filter=all&fields=")
            );
            testing::answer(200, &[], include_str!("../../fixtures/boards.json"))
        });
        let page = read(&testing::connection("{}")).unwrap();
        let Change::Upsert(item) = &page.changes[0] else {
            panic!("{:?}", page.changes)
        };
        assert_eq!(item.id, "5f00000000000000000000b1");
        assert_eq!(item.modified, Some(1_714_557_600_000));
        assert!(!page.more && page.cursor.is_none());
    }

    #[test]
    fn named_boards_are_asked_for_one_by_one() {
        testing::serve(
            |request| match request.url().contains("/1/boards/abcd1234?key=k1&fields=") {
                true => testing::answer(200, &[], r#"{"id":"5f00000000000000000000b1"}"#),
                false => testing::answer(404, &[("content-type", "text/plain")], "board not found"),
            },
        );
        let connection = testing::connection(r#"{"api_key":"k1","boards":["abcd1234"]}"#);
        assert_eq!(
            read(&connection).unwrap().changes[0].id(),
            "5f00000000000000000000b1"
        );
        let error = read(&testing::connection(
            r#"{"api_key":"k1","boards":["abcd1234","nope"]}"#,
        ))
        .unwrap_err();
        assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/boards/1")));
    }

    #[test]
    fn a_board_that_is_odd_is_not_walked() {
        testing::serve(|_| {
            let body = r#"[{"id":"../x"},{"id":7},{},{"id":"5f00000000000000000000b1"},{"id":"5f00000000000000000000b1"}]"#;
            testing::answer(200, &[], body)
        });
        let boards = of(&Config::default()).unwrap();
        assert_eq!(boards.len(), 1);
        let many: Vec<String> = (0..501)
            .map(|n| format!(r#"{{"id":"5f0000000000000000{n:06x}"}}"#))
            .collect();
        let body = format!("[{}]", many.join(","));
        testing::serve(move |_| testing::answer(200, &[], &body));
        assert!(matches!(of(&Config::default()), Err(Error::Config(_))));
    }
}
