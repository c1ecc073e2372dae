//! What can be done at SendGrid: a mail is sent ("Mail Send"), and an address is taken off a list ("Delete a bounce" and the like). SendGrid
//! knows no idempotency keys, so a mail is sent by one request.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_sdk::Error;
use sluice_sdk::record::{self, input};

use crate::api;

/// The lists that an address can be taken off.
const LISTS: [&str; 4] = ["bounces", "blocks", "invalid_emails", "spam_reports"];

pub(crate) fn run(name: &str, text: &str) -> Result<String, Error> {
    match name {
        "send_mail" => send(input(text)?),
        "remove_suppression" => remove(&input(text)?),
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

#[derive(Deserialize)]
struct Mail {
    from: String,
    #[serde(default)]
    from_name: Option<String>,
    #[serde(default)]
    reply_to: Option<String>,
    to: Vec<String>,
    #[serde(default)]
    cc: Vec<String>,
    #[serde(default)]
    bcc: Vec<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    html: Option<String>,
    #[serde(default)]
    template_id: Option<String>,
    #[serde(default)]
    template_data: Option<Value>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    send_at: Option<u64>,
    #[serde(default)]
    sandbox: bool,
}

fn send(mail: Mail) -> Result<String, Error> {
    let people =
        |list: &[String]| -> Vec<Value> { list.iter().map(|email| json!({ "email": email })).collect() };
    let mut personal = Map::new();
    personal.insert("to".to_owned(), json!(people(&mail.to)));
    for (name, list) in [("cc", &mail.cc), ("bcc", &mail.bcc)] {
        if !list.is_empty() {
            personal.insert(name.to_owned(), json!(people(list)));
        }
    }
    if let Some(data) = mail.template_data {
        personal.insert("dynamic_template_data".to_owned(), data);
    }
    let from = match mail.from_name {
        Some(name) => json!({"email": mail.from, "name": name}),
        None => json!({ "email": mail.from }),
    };
    let mut body = Map::new();
    body.insert("personalizations".to_owned(), json!([personal]));
    body.insert("from".to_owned(), from);
    // Plain text comes first: the order is the one of preference.
    let words = [("text/plain", mail.text), ("text/html", mail.html)];
    let content: Vec<Value> = words
        .into_iter()
        .filter_map(|(kind, value)| Some(json!({"type": kind, "value": value?})))
        .collect();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    add("content", (!content.is_empty()).then(|| json!(content)));
    add("reply_to", mail.reply_to.map(|email| json!({ "email": email })));
    add("subject", mail.subject.map(Value::from));
    add("template_id", mail.template_id.map(Value::from));
    add("send_at", mail.send_at.map(Value::from));
    add(
        "categories",
        (!mail.categories.is_empty()).then(|| json!(mail.categories)),
    );
    add(
        "mail_settings",
        mail.sandbox.then(|| json!({"sandbox_mode": {"enable": true}})),
    );
    let response = api::ok(api::request("POST", "mail/send").json(&body)?.send()?)?;
    record::text(&match response.header("x-message-id") {
        Some(id) => json!({"accepted": true, "message_id": id}),
        None => json!({"accepted": true}),
    })
}

#[derive(Deserialize)]
struct Removal {
    list: String,
    email: String,
}

fn remove(removal: &Removal) -> Result<String, Error> {
    if !LISTS.contains(&removal.list.as_str()) {
        return Err(Error::invalid_data("not a list that an address can be taken off").at("/list"));
    }
    let (name, domain) = removal.email.split_once('@').unwrap_or_default();
    let is_part = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte))
    };
    if !is_part(name) || !is_part(domain) {
        return Err(Error::invalid_data("not an email address").at("/email"));
    }
    let response = api::request(
        "DELETE",
        &format!("suppression/{}/{}", removal.list, removal.email),
    )
    .send()?;
    let removed = response.status != 404;
    if removed {
        api::ok(response)?;
    }
    Ok(format!(r#"{{"removed":{removed}}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn sent(input: &str) -> Value {
        testing::serve(|_| testing::answer(202, &[("X-Message-Id", "made-up-id")], ""));
        assert_eq!(
            run("send_mail", input).unwrap(),
            r#"{"accepted":true,"message_id":"made-up-id"}"#
        );
        let request = &testing::requests()[0];
        assert_eq!(
            (request.method(), request.url()),
            ("POST", "https://api.sendgrid.com/v3/mail/send")
        );
        serde_json::from_slice(request.content().unwrap()).unwrap()
    }

    #[test]
    fn a_mail_has_words_or_a_template() {
        assert_eq!(
            sent(
                r#"{"from":"a@doors.example","from_name":"Doors","to":["b@c.d"],"subject":"It creaks","html":"<p>","text":"x"}"#
            ),
            json!({"personalizations": [{"to": [{"email": "b@c.d"}]}], "from": {"email": "a@doors.example", "name": "Doors"},
                "subject": "It creaks", "content": [{"type": "text/plain", "value": "x"}, {"type": "text/html", "value": "<p>"}]})
        );
        assert_eq!(
            sent(
                r#"{"from":"a@doors.example","to":["b@c.d"],"bcc":["e@f.g"],"template_id":"d-1","template_data":{"door":"cellar"},"sandbox":true}"#
            ),
            json!({"personalizations": [{"to": [{"email": "b@c.d"}], "bcc": [{"email": "e@f.g"}], "dynamic_template_data": {"door": "cellar"}}],
                "from": {"email": "a@doors.example"}, "template_id": "d-1", "mail_settings": {"sandbox_mode": {"enable": true}}})
        );
    }

    #[test]
    fn an_address_is_taken_off_once_and_never_becomes_another_path() {
        testing::serve(|_| testing::answer(204, &[], ""));
        let off = r#"{"list":"bounces","email":"a+b@doors.example"}"#;
        assert_eq!(run("remove_suppression", off).unwrap(), r#"{"removed":true}"#);
        assert_eq!(
            testing::requests()[0].url(),
            "https://api.sendgrid.com/v3/suppression/bounces/a+b@doors.example"
        );
        testing::serve(|_| testing::answer(404, &[], "{}"));
        assert_eq!(run("remove_suppression", off).unwrap(), r#"{"removed":false}"#);
        for bad in [
            r#"{"list":"bounces","email":"../x@y"}"#,
            r#"{"list":"groups","email":"a@b"}"#,
            r#"{"list":"bounces","email":"x"}"#,
        ] {
            assert!(
                matches!(run("remove_suppression", bad), Err(Error::InvalidData(_))),
                "{bad}"
            );
        }
        assert!(matches!(run("dance", "{}"), Err(Error::Unsupported(_))));
    }
}
