//! What can be done at Mailgun: a mail is sent ("Send an email"). Mailgun knows no idempotency keys, so it is sent by one request.

use serde::Deserialize;
use serde_json::Value;
use sluice_sdk::Error;
use sluice_sdk::record::{self, input};

use crate::api::{self, Api};

pub(crate) fn run(api: &Api, name: &str, text: &str) -> Result<String, Error> {
    match name {
        "send_mail" => send(api, &input(text)?),
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
    reply_to: Option<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    html: Option<String>,
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    template_variables: Option<Value>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    test: bool,
}

fn send(api: &Api, mail: &Mail) -> Result<String, Error> {
    let variables = mail.template_variables.as_ref().map(record::text).transpose()?;
    let mut pairs = vec![("from", mail.from.as_str())];
    for (name, list) in [
        ("to", &mail.to),
        ("cc", &mail.cc),
        ("bcc", &mail.bcc),
        ("o:tag", &mail.tags),
    ] {
        pairs.extend(list.iter().map(|value| (name, value.as_str())));
    }
    let texts = [
        ("h:Reply-To", &mail.reply_to),
        ("subject", &mail.subject),
        ("text", &mail.text),
        ("html", &mail.html),
        ("template", &mail.template),
        ("t:variables", &variables),
    ];
    pairs.extend(
        texts
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_deref()?))),
    );
    if mail.test {
        pairs.push(("o:testmode", "yes"));
    }
    let request = api.request("POST", &format!("v3/{}/messages", api.domain));
    let response = request.body(api::FORM, api::form(&pairs)).send()?.ok()?;
    response.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn a_mail_is_one_form() {
        let api = Api::of(&testing::connection(
            r#"{"domain":"mg.doors.example","region":"eu"}"#,
        ))
        .unwrap();
        testing::serve(|_| testing::answer(200, &[], include_str!("../fixtures/message.json")));
        let input = r#"{"from":"Doors <a@mg.doors.example>","to":["b@c.d","e@f.g"],"subject":"It creaks & more","template":"t","template_variables":{"door":"cellar"},"tags":["x"],"test":true}"#;
        assert!(run(&api, "send_mail", input).unwrap().contains("Queued"));
        let request = &testing::requests()[0];
        assert_eq!(
            request.url(),
            "https://api.eu.mailgun.net/v3/mg.doors.example/messages"
        );
        assert_eq!(
            request.header_value("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        assert_eq!(
            std::str::from_utf8(request.content().unwrap()).unwrap(),
            "from=Doors%20%3Ca%40mg.doors.example%3E&to=b%40c.d&to=e%40f.g&o%3Atag=x&subject=It%20creaks%20%26%20more&template=t&t%3Avariables=%7B%22door%22%3A%22cellar%22%7D&o%3Atestmode=yes"
        );
        testing::serve(|_| {
            testing::answer(
                400,
                &[],
                r#"{"message":"'from' parameter is not a valid address."}"#,
            )
        });
        let refused = run(&api, "send_mail", r#"{"from":"x","to":["y"]}"#);
        assert!(matches!(refused, Err(Error::InvalidData(detail)) if detail.message.contains("not a valid")));
        assert!(matches!(run(&api, "dance", "{}"), Err(Error::Unsupported(_))));
    }
}
