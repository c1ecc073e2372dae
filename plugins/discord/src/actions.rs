//! What can be done at Discord: a message ("Create Message"), a channel ("Create Guild Channel"), and the answer to an interaction
//! ("Edit Original Interaction Response"). Nobody is notified by a text unless the input says so.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_sdk::Error;
use sluice_sdk::http::Request;
use sluice_sdk::record::input;

use crate::{api, interaction};

pub(crate) fn run(name: &str, text: &str, idempotency_key: &str) -> Result<String, Error> {
    let request = match name {
        "send_message" => send(&input(text)?, idempotency_key)?,
        "create_channel" => create(&input(text)?)?,
        "answer_interaction" => answer(&input(text)?, idempotency_key)?,
        other => return Err(Error::unsupported(format!("there is no action `{other}`"))),
    };
    request.send()?.ok()?.text().map(str::to_owned)
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    embeds: Option<Vec<Value>>,
    #[serde(default)]
    mentions: Vec<String>,
}

impl Words {
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("allowed_mentions".to_owned(), json!({ "parse": self.mentions }));
        if let Some(content) = &self.content {
            body.insert("content".to_owned(), json!(content));
        }
        if let Some(embeds) = &self.embeds {
            body.insert("embeds".to_owned(), json!(embeds));
        }
        body
    }
}

#[derive(Deserialize)]
struct Message {
    channel_id: String,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    embeds: Option<Vec<Value>>,
    #[serde(default)]
    mentions: Vec<String>,
    #[serde(default)]
    reply_to: Option<String>,
}

/// Discord answers a nonce that it has seen in the last minutes with the message that it made then, so the host may try again.
fn send(message: &Message, key: &str) -> Result<Request, Error> {
    let channel = id(&message.channel_id, "/channel_id")?;
    let words = Words {
        content: message.content.clone(),
        embeds: message.embeds.clone(),
        mentions: message.mentions.clone(),
    };
    let mut body = words.body();
    body.insert("nonce".to_owned(), json!(nonce(key)));
    body.insert("enforce_nonce".to_owned(), json!(true));
    if let Some(other) = &message.reply_to {
        let other = id(other, "/reply_to")?;
        body.insert("message_reference".to_owned(), json!({ "message_id": other }));
    }
    let request = api::request("POST", &format!("channels/{channel}/messages"));
    Ok(request.json(&body)?.idempotency_key(key))
}

/// A nonce has at most 25 letters: FNV-1a, 64 bits of it.
fn nonce(key: &str) -> String {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[derive(Deserialize)]
struct Channel {
    guild_id: String,
    name: String,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    parent_id: Option<String>,
}

fn create(channel: &Channel) -> Result<Request, Error> {
    let guild = id(&channel.guild_id, "/guild_id")?;
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(channel.name));
    body.insert("type".to_owned(), json!(0));
    if let Some(topic) = &channel.topic {
        body.insert("topic".to_owned(), json!(topic));
    }
    if let Some(parent) = &channel.parent_id {
        body.insert("parent_id".to_owned(), json!(id(parent, "/parent_id")?));
    }
    api::request("POST", &format!("guilds/{guild}/channels")).json(&body)
}

#[derive(Deserialize)]
struct Answer {
    interaction_id: String,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    embeds: Option<Vec<Value>>,
    #[serde(default)]
    mentions: Vec<String>,
}

/// The interaction's token stands for the bot's: no other credential goes with it.
fn answer(answer: &Answer, key: &str) -> Result<Request, Error> {
    let interaction = id(&answer.interaction_id, "/interaction_id")?;
    let pending = interaction::pending(interaction)?;
    let words = Words {
        content: answer.content.clone(),
        embeds: answer.embeds.clone(),
        mentions: answer.mentions.clone(),
    };
    let path = format!(
        "webhooks/{}/{}/messages/@original",
        pending.application, pending.token
    );
    let request = api::request("PATCH", &path).anonymous();
    Ok(request.json(&words.body())?.idempotency_key(key))
}

fn id<'a>(text: &'a str, pointer: &str) -> Result<&'a str, Error> {
    match api::is_id(text) {
        true => Ok(text),
        false => Err(Error::invalid_data("not one of Discord's ids").at(pointer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interaction::Pending;
    use sluice_sdk::testing;

    fn check(name: &str, input: &str, path: &str, body: Value) {
        testing::serve(|_| testing::answer(200, &[], r#"{"id":"1"}"#));
        assert_eq!(run(name, input, "key-1").unwrap(), r#"{"id":"1"}"#);
        let request = &testing::requests()[0];
        assert_eq!(request.url(), format!("https://discord.com/api/v10/{path}"));
        assert_eq!(
            serde_json::from_slice::<Value>(request.content().unwrap()).unwrap(),
            body
        );
    }

    #[test]
    fn each_action_is_one_request() {
        check(
            "send_message",
            r#"{"channel_id":"399942396007890945","content":"@everyone it creaks","reply_to":"1235000000000000001"}"#,
            "channels/399942396007890945/messages",
            json!({"content": "@everyone it creaks", "allowed_mentions": {"parse": []}, "nonce": nonce("key-1"),
                "enforce_nonce": true, "message_reference": {"message_id": "1235000000000000001"}}),
        );
        check(
            "create_channel",
            r#"{"guild_id":"197038439483310086","name":"hinges","topic":"Oil"}"#,
            "guilds/197038439483310086/channels",
            json!({"name": "hinges", "type": 0, "topic": "Oil"}),
        );
        let pending = Pending {
            application: "1234567890123456789".to_owned(),
            token: "tok".to_owned(),
        };
        interaction::keep("1235000000000000007", &pending).unwrap();
        check(
            "answer_interaction",
            r#"{"interaction_id":"1235000000000000007","content":"Oiled.","mentions":["users"]}"#,
            "webhooks/1234567890123456789/tok/messages/@original",
            json!({"content": "Oiled.", "allowed_mentions": {"parse": ["users"]}}),
        );
    }

    #[test]
    fn bad_input_is_pointed_at_and_never_becomes_a_path() {
        testing::serve(|_| testing::answer(500, &[], ""));
        let check = |name: &str, input: &str, pointer: &str| match run(name, input, "k") {
            Err(Error::InvalidData(detail)) => {
                assert_eq!(detail.pointer.as_deref(), Some(pointer), "{input}")
            }
            other => panic!("{input}: {other:?}"),
        };
        check(
            "send_message",
            r#"{"channel_id":"../x","content":"a"}"#,
            "/channel_id",
        );
        check("create_channel", r#"{"guild_id":"1/2","name":"a"}"#, "/guild_id");
        check(
            "answer_interaction",
            r#"{"interaction_id":"1235000000000009999","content":"a"}"#,
            "/interaction_id",
        );
        assert!(testing::requests().is_empty());
        assert!(matches!(run("ban", "{}", "k"), Err(Error::Unsupported(_))));
        assert!(nonce("some key").len() <= 25 && nonce("a") != nonce("b"));
    }
}
