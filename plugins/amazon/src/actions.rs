//! What can be done: mail sent ("SendEmail"), an address taken off the suppression list ("DeleteSuppressedDestination"), a message
//! published ("Publish"). AWS knows no idempotency keys for these: what is sent is sent once.

use serde::Deserialize;
use serde_json::{Value, json};
use sluice_sdk::record::{self, input};
use sluice_sdk::{Error, http};

use crate::api;
use crate::config::Config;

pub(crate) fn run(config: &Config, name: &str, text: &str) -> Result<String, Error> {
    match name {
        "send_email" => send_email(config, &input(text)?),
        "unsuppress" => unsuppress(config, &input(text)?),
        "publish" => publish(config, &input(text)?),
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

#[derive(Deserialize)]
struct Mail {
    from: String,
    to: Vec<String>,
    #[serde(default)]
    cc: Vec<String>,
    #[serde(default)]
    bcc: Vec<String>,
    #[serde(default)]
    reply_to: Vec<String>,
    subject: String,
    text: Option<String>,
    html: Option<String>,
    configuration_set: Option<String>,
}

fn send_email(config: &Config, mail: &Mail) -> Result<String, Error> {
    let part = |text: &str| json!({"Data": text, "Charset": "UTF-8"});
    let mut body = serde_json::Map::new();
    for (name, text) in [("Text", &mail.text), ("Html", &mail.html)] {
        if let Some(text) = text {
            body.insert(name.to_owned(), part(text));
        }
    }
    let mut asked = json!({
        "FromEmailAddress": mail.from,
        "Destination": {"ToAddresses": mail.to, "CcAddresses": mail.cc, "BccAddresses": mail.bcc},
        "ReplyToAddresses": mail.reply_to,
        "Content": {"Simple": {"Subject": part(&mail.subject), "Body": body}},
    });
    if let (Some(name), Value::Object(asked)) = (&mail.configuration_set, &mut asked) {
        asked.insert("ConfigurationSetName".to_owned(), json!(name));
    }
    let response = api::ok(api::post(config, "outbound-emails").json(&asked)?.send()?)?;
    response.text().map(str::to_owned)
}

#[derive(Deserialize)]
struct Address {
    address: String,
}

/// One that is not on the list is off it.
fn unsuppress(config: &Config, of: &Address) -> Result<String, Error> {
    let address = http::encode(&of.address);
    if matches!(address.as_str(), "." | "..") {
        return Err(Error::invalid_data("not an address").at("/address"));
    }
    let response = api::delete(config, &format!("suppression/addresses/{address}")).send()?;
    if response.status == 404 && api::says(&response, "NotFoundException") {
        return Ok("{}".to_owned());
    }
    api::ok(response).map(|_| "{}".to_owned())
}

#[derive(Deserialize)]
struct Message {
    message: String,
    subject: Option<String>,
    topic: Option<String>,
}

fn publish(config: &Config, message: &Message) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "PublishResult")]
        result: Published,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Published {
        message_id: String,
    }
    let topic = match &message.topic {
        Some(topic) => topic,
        None => config.topic()?,
    };
    let mut asked = vec![("TopicArn", topic), ("Message", &message.message)];
    if let Some(subject) = &message.subject {
        asked.push(("Subject", subject));
    }
    let response = api::topics(config, "Publish", &asked)?;
    let Answer { result } = api::xml(&response)?;
    record::text(&json!({"message_id": result.message_id}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::connection;
    use sluice_sdk::testing::{self, answer};

    fn act(name: &str, input: &str) -> Result<String, Error> {
        run(&crate::config::of(&connection()).unwrap(), name, input)
    }

    #[test]
    fn a_mail_is_one_request() {
        testing::serve(|_| answer(200, &[], r#"{"MessageId":"0100-mail-1"}"#));
        let input = r#"{"from":"till@doors.example","to":["jane@example.com"],"subject":"Tür","text":"x"}"#;
        assert_eq!(
            act("send_email", input).unwrap(),
            r#"{"MessageId":"0100-mail-1"}"#
        );
        let requests = testing::requests();
        let body: Value = serde_json::from_slice(requests[0].content().unwrap()).unwrap();
        assert_eq!(
            body["Content"]["Simple"],
            json!({"Subject": {"Data": "Tür", "Charset": "UTF-8"}, "Body": {"Text": {"Data": "x", "Charset": "UTF-8"}}})
        );
        assert_eq!(requests.len(), 1);
    }

    #[test]
    fn an_address_stays_one_segment_and_one_that_is_off_is_off() {
        testing::serve(|_| answer(404, &[("x-amzn-errortype", "NotFoundException")], "{}"));
        assert_eq!(
            act("unsuppress", r#"{"address":"a/../b@example.com"}"#).unwrap(),
            "{}"
        );
        let url = testing::requests()[0].url().to_owned();
        assert!(
            url.ends_with("/suppression/addresses/a%2F..%2Fb%40example.com"),
            "{url}"
        );
        assert!(act("unsuppress", r#"{"address":".."}"#).is_err());
    }

    #[test]
    fn a_message_goes_to_the_connections_topic() {
        testing::serve(|_| {
            answer(
                200,
                &[],
                "<PublishResponse><PublishResult><MessageId>m-9</MessageId></PublishResult></PublishResponse>",
            )
        });
        assert_eq!(
            act("publish", r#"{"message":"x & y"}"#).unwrap(),
            r#"{"message_id":"m-9"}"#
        );
        let form = testing::requests()[0].content().unwrap().to_vec();
        let form = String::from_utf8(form).unwrap();
        assert!(
            form.ends_with("TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Amail&Message=x%20%26%20y"),
            "{form}"
        );
        assert!(matches!(act("nothing", "{}"), Err(Error::Unsupported(_))));
    }
}
