//! What can be done at Slack. The answer is Slack's own, unchanged; `connector.toml` says which of its members can be relied
//! on.
//!
//! Slack knows no idempotency keys: a message is sent once, and an answer that is lost is an error for a person to look
//! at.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_sdk::Error;
use sluice_sdk::record::{self, input};

use crate::api;

pub(crate) fn run(name: &str, text: &str) -> Result<String, Error> {
    match name {
        "send_message" => send_message(&input(text)?),
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

/// Slack docs, `chat.postMessage`.
#[derive(Deserialize, Serialize)]
struct Message {
    channel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_broadcast: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfurl_links: Option<bool>,
}

fn send_message(message: &Message) -> Result<String, Error> {
    let response = api::send(api::post("chat.postMessage", record::text(message)?))?;
    let response = match response {
        api::Answer::Refused(refusal) if refusal.is_about_the_channel() => {
            return Err(refusal.into_error().at("/channel"));
        }
        answer => answer.ok()?,
    };
    response.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn a_message_is_one_request() {
        testing::serve(|_| {
            testing::answer(200, &[], r#"{"ok":true,"channel":"C1","ts":"1714557600.000100"}"#)
        });
        let input = r#"{"channel":"C1","text":"Die Tür knarrt","thread_ts":"1714557500.000000"}"#;
        assert!(run("send_message", input).unwrap().contains("1714557600.000100"));
        let requests = testing::requests();
        assert_eq!(
            (requests[0].method(), requests[0].url()),
            ("POST", "https://slack.com/api/chat.postMessage")
        );
        assert_eq!(
            std::str::from_utf8(requests[0].content().unwrap()).unwrap(),
            input
        );
        assert_eq!(
            requests[0].header_value("content-type"),
            Some("application/json; charset=utf-8")
        );
    }

    #[test]
    fn a_refusal_says_where() {
        testing::serve(|_| testing::answer(200, &[], r#"{"ok":false,"error":"channel_not_found"}"#));
        let error = run("send_message", r#"{"channel":"C9","text":"x"}"#).unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.pointer.as_deref() == Some("/channel")));
        let error = run("send_message", r#"{"channel":7}"#).unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.pointer.as_deref() == Some("/channel")));
        assert!(matches!(run("unsend", "{}"), Err(Error::Unsupported(_))));
    }
}
