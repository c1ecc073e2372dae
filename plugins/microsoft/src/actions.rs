//! What can be done: a mail sent ("user: sendMail"), an event created ("Create event", with the host's key as its `transactionId`, by which
//! Graph makes it once).

use serde::Deserialize;
use serde_json::{Value, json};
use sluice_sdk::record::input;
use sluice_sdk::{Connection, Error};

use crate::{api, config};

pub(crate) fn run(connection: &Connection, name: &str, text: &str, key: &str) -> Result<String, Error> {
    let mailbox = config::of(connection)?.mailbox();
    match name {
        "send_mail" => {
            let asked = api::request("POST", &format!("{mailbox}/sendMail")).json(&mail(&input(text)?))?;
            api::ok(asked.send()?).map(|_| "{}".to_owned())
        }
        "create_event" => {
            let asked =
                api::request("POST", &format!("{mailbox}/events")).json(&event(&input(text)?, key))?;
            api::ok(asked.send()?)?.text().map(str::to_owned)
        }
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

#[derive(Deserialize)]
struct Mail {
    to: Vec<String>,
    #[serde(default)]
    cc: Vec<String>,
    #[serde(default)]
    bcc: Vec<String>,
    subject: String,
    text: Option<String>,
    html: Option<String>,
    save: Option<bool>,
}

fn mail(mail: &Mail) -> Value {
    let people = |addresses: &[String]| -> Vec<Value> {
        let of = |address: &String| json!({"emailAddress": {"address": address}});
        addresses.iter().map(of).collect()
    };
    let body = match (&mail.html, &mail.text) {
        (Some(html), _) => json!({"contentType": "HTML", "content": html}),
        (None, text) => json!({"contentType": "Text", "content": text}),
    };
    json!({
        "message": {
            "subject": mail.subject, "body": body, "toRecipients": people(&mail.to),
            "ccRecipients": people(&mail.cc), "bccRecipients": people(&mail.bcc),
        },
        "saveToSentItems": mail.save.unwrap_or(true),
    })
}

#[derive(Deserialize)]
struct NewEvent {
    subject: String,
    start: String,
    end: String,
    time_zone: String,
    text: Option<String>,
    location: Option<String>,
    #[serde(default)]
    attendees: Vec<String>,
    #[serde(default)]
    online: bool,
}

fn event(of: &NewEvent, key: &str) -> Value {
    let at = |time: &String| json!({"dateTime": time, "timeZone": of.time_zone});
    let guest = |address: &String| json!({"emailAddress": {"address": address}, "type": "required"});
    let mut event = json!({
        "subject": of.subject, "start": at(&of.start), "end": at(&of.end), "transactionId": key,
        "attendees": of.attendees.iter().map(guest).collect::<Vec<_>>(), "isOnlineMeeting": of.online,
    });
    if let Value::Object(event) = &mut event {
        if let Some(text) = &of.text {
            event.insert("body".to_owned(), json!({"contentType": "Text", "content": text}));
        }
        if let Some(location) = &of.location {
            event.insert("location".to_owned(), json!({"displayName": location}));
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    fn act(name: &str, input: &str) -> Result<String, Error> {
        run(
            &testing::connection(r#"{"tenant":"common"}"#),
            name,
            input,
            "key-1",
        )
    }

    #[test]
    fn each_is_one_request() {
        testing::serve(|request| match request.url().ends_with("/sendMail") {
            true => answer(202, &[], ""),
            false => answer(201, &[], r#"{"id":"AAMkEvent"}"#),
        });
        assert_eq!(
            act(
                "send_mail",
                r#"{"to":["jane@example.com"],"subject":"Tür","text":"x"}"#
            )
            .unwrap(),
            "{}"
        );
        let input = r#"{"subject":"Oil","start":"2026-01-05T10:00","end":"2026-01-05T11:00","time_zone":"UTC","attendees":["jane@example.com"]}"#;
        assert!(act("create_event", input).unwrap().contains("AAMkEvent"));
        let body = |at: usize| -> Value {
            serde_json::from_slice(testing::requests()[at].content().unwrap()).unwrap()
        };
        assert_eq!(
            body(0)["message"]["body"],
            json!({"contentType": "Text", "content": "x"})
        );
        assert_eq!(body(1)["transactionId"], "key-1");
        assert_eq!(
            body(1)["attendees"][0]["emailAddress"]["address"],
            "jane@example.com"
        );
        assert_eq!(testing::requests().len(), 2);
    }
}
