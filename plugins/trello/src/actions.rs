//! What can be done at Trello. The answers are Trello's own, unchanged.
//!
//! Trello knows no idempotency keys: a card is created by a request that is sent once, and a lost answer is an error to
//! look at. Moving a card to where it is already does nothing.

use serde::{Deserialize, Serialize};
use sluice_sdk::http::Request;
use sluice_sdk::record::input;
use sluice_sdk::{Connection, Error};

use crate::api;
use crate::config::{self, Config};

pub(crate) fn run(connection: &Connection, name: &str, text: &str) -> Result<String, Error> {
    let config = config::of(connection)?;
    let request = match name {
        "create_card" => create_card(&config, &input(text)?)?,
        "move_card" => move_card(&config, &input(text)?)?,
        other => return Err(Error::unsupported(format!("there is no action `{other}`"))),
    };
    api::ok(request.send()?)?.text().map(str::to_owned)
}

/// Trello docs, "Create a new Card". Read by our names, written by Trello's.
#[derive(Deserialize, Serialize)]
struct Card {
    #[serde(rename(serialize = "idList"))]
    list_id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    desc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(rename(serialize = "pos"), skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    #[serde(
        rename(serialize = "idMembers"),
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    member_ids: Vec<String>,
    #[serde(
        rename(serialize = "idLabels"),
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    label_ids: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Position {
    Top,
    Bottom,
}

fn create_card(config: &Config, card: &Card) -> Result<Request, Error> {
    id(&card.list_id, "/list_id")?;
    for (at, member) in card.member_ids.iter().enumerate() {
        id(member, &format!("/member_ids/{at}"))?;
    }
    for (at, label) in card.label_ids.iter().enumerate() {
        id(label, &format!("/label_ids/{at}"))?;
    }
    api::request(config, "POST", "cards").json(card)
}

/// Trello docs, "Update a Card".
#[derive(Deserialize, Serialize)]
struct Move {
    #[serde(skip_serializing)]
    card_id: String,
    #[serde(rename(serialize = "idList"))]
    list_id: String,
    #[serde(rename(serialize = "idBoard"), skip_serializing_if = "Option::is_none")]
    board_id: Option<String>,
    #[serde(rename(serialize = "pos"), skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

fn move_card(config: &Config, moved: &Move) -> Result<Request, Error> {
    id(&moved.card_id, "/card_id")?;
    id(&moved.list_id, "/list_id")?;
    if let Some(board) = &moved.board_id {
        id(board, "/board_id")?;
    }
    api::request(config, "PUT", &format!("cards/{}", moved.card_id)).json(moved)
}

fn id(text: &str, at: &str) -> Result<(), Error> {
    if api::is_id(text) {
        return Ok(());
    }
    Err(Error::invalid_data("not an id of Trello's: 24 hexadecimal digits").at(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    const ID: &str = "5f00000000000000000000a1";

    fn check(name: &str, input: &str, method: &str, url: &str, body: &str) {
        testing::serve(|_| testing::answer(200, &[], r#"{"id":"x"}"#));
        let connection = testing::connection(r#"{"api_key":"k1"}"#);
        assert_eq!(run(&connection, name, input).unwrap(), r#"{"id":"x"}"#);
        let requests = testing::requests();
        assert_eq!((requests[0].method(), requests[0].url()), (method, url));
        assert_eq!(std::str::from_utf8(requests[0].content().unwrap()).unwrap(), body);
    }

    #[test]
    fn each_action_is_one_request() {
        check(
            "create_card",
            &format!(r#"{{"list_id":"{ID}","name":"Call","position":"top","label_ids":["{ID}"]}}"#),
            "POST",
            "https://api.trello.com/1/cards?key=k1",
            &format!(r#"{{"idList":"{ID}","name":"Call","pos":"top","idLabels":["{ID}"]}}"#),
        );
        check(
            "move_card",
            &format!(r#"{{"card_id":"{ID}","list_id":"{ID}"}}"#),
            "PUT",
            &format!("https://api.trello.com/1/cards/{ID}?key=k1"),
            &format!(r#"{{"idList":"{ID}"}}"#),
        );
    }

    #[test]
    fn bad_input_is_pointed_at_and_never_becomes_a_path() {
        testing::serve(|_| testing::answer(200, &[], "{}"));
        let check =
            |name: &str, input: &str, pointer: &str| match run(&testing::connection("{}"), name, input) {
                Err(Error::InvalidData(detail)) => {
                    assert_eq!(detail.pointer.as_deref(), Some(pointer), "{input}")
                }
                other => panic!("{input}: {other:?}"),
            };
        check("create_card", r#"{"list_id":"x","name":"a"}"#, "/list_id");
        check(
            "create_card",
            &format!(r#"{{"list_id":"{ID}","name":"a","member_ids":["{ID}",""]}}"#),
            "/member_ids/1",
        );
        check(
            "create_card",
            &format!(r#"{{"list_id":"{ID}","name":"a","position":"left"}}"#),
            "/position",
        );
        check(
            "move_card",
            &format!(r#"{{"card_id":"../members/me","list_id":"{ID}"}}"#),
            "/card_id",
        );
        assert!(testing::requests().is_empty());
        let unknown = run(&testing::connection("{}"), "archive", "{}");
        assert!(matches!(unknown, Err(Error::Unsupported(_))));
    }

    #[test]
    fn a_refusal_carries_trellos_words() {
        testing::serve(|_| {
            testing::answer(400, &[("content-type", "text/plain")], "invalid value for idList")
        });
        let input = format!(r#"{{"list_id":"{ID}","name":"a"}}"#);
        let error = run(&testing::connection("{}"), "create_card", &input).unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.message.contains("idList")));
    }
}
