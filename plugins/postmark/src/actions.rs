//! What can be done at Postmark: a mail is sent ("Send a single email", "Send email with template"), or many ("Send batch emails"). Postmark
//! knows no idempotency keys, so it is one request.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_sdk::Error;
use sluice_sdk::record::input;

use crate::api;

pub(crate) fn run(stream: &str, name: &str, text: &str) -> Result<String, Error> {
    match name {
        "send_mail" => {
            let mail: Mail = input(text)?;
            let path = if mail.template_alias.is_some() {
                "email/withTemplate"
            } else {
                "email"
            };
            let request = api::request("POST", path).json(&mail.body(stream))?;
            api::ok(request.send()?)?.text().map(str::to_owned)
        }
        "send_batch" => {
            #[derive(Deserialize)]
            struct Batch {
                mails: Vec<Mail>,
            }
            let batch: Batch = input(text)?;
            let mails: Vec<_> = batch.mails.iter().map(|mail| mail.body(stream)).collect();
            let request = api::request("POST", "email/batch").json(&mails)?;
            let response = api::ok(request.send()?)?;
            Ok(format!(r#"{{"results":{}}}"#, response.text()?))
        }
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
    template_alias: Option<String>,
    #[serde(default)]
    template_model: Option<Value>,
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    metadata: Option<Value>,
}

impl Mail {
    fn body(&self, stream: &str) -> Map<String, Value> {
        let list = |all: &[String]| (!all.is_empty()).then(|| json!(all.join(",")));
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        // A template is filled with nothing rather than refused.
        let model = self
            .template_alias
            .is_some()
            .then(|| self.template_model.clone().unwrap_or_else(|| json!({})));
        let members = [
            ("From", Some(json!(self.from))),
            ("To", list(&self.to)),
            ("Cc", list(&self.cc)),
            ("Bcc", list(&self.bcc)),
            ("ReplyTo", text(&self.reply_to)),
            (
                "Subject",
                text(&self.subject).filter(|_| self.template_alias.is_none()),
            ),
            ("TextBody", text(&self.text)),
            ("HtmlBody", text(&self.html)),
            ("TemplateAlias", text(&self.template_alias)),
            ("TemplateModel", model),
            ("Tag", text(&self.tag)),
            ("Metadata", self.metadata.clone()),
            ("MessageStream", Some(json!(stream))),
        ];
        members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn sent(name: &str, input: &str, answer: &'static str) -> (String, Value, String) {
        testing::serve(move |_| testing::answer(200, &[], answer));
        let said = run("outbound", name, input).unwrap();
        let request = &testing::requests()[0];
        let body = serde_json::from_slice(request.content().unwrap()).unwrap();
        (request.url().to_owned(), body, said)
    }

    #[test]
    fn a_mail_has_words_or_a_template() {
        let (url, body, _) = sent(
            "send_mail",
            r#"{"from":"a@doors.example","to":["b@c.d","e@f.g"],"subject":"It creaks","text":"x","metadata":{"door":"cellar"}}"#,
            include_str!("../fixtures/sent.json"),
        );
        assert_eq!(url, "https://api.postmarkapp.com/email");
        assert_eq!(
            body,
            json!({"From": "a@doors.example", "To": "b@c.d,e@f.g", "Subject": "It creaks", "TextBody": "x", "Metadata": {"door": "cellar"}, "MessageStream": "outbound"})
        );
        let (url, body, _) = sent(
            "send_mail",
            r#"{"from":"a@b.c","to":["d@e.f"],"template_alias":"creaks"}"#,
            "{}",
        );
        assert!(url.ends_with("/email/withTemplate"));
        assert_eq!(
            (&body["TemplateAlias"], &body["TemplateModel"]),
            (&json!("creaks"), &json!({}))
        );
    }

    #[test]
    fn many_are_one_request_with_an_outcome_each() {
        let (url, body, said) = sent(
            "send_batch",
            r#"{"mails":[{"from":"a@b.c","to":["d@e.f"],"subject":"1","text":"x"},{"from":"a@b.c","to":["g@h.i"],"subject":"2","text":"y"}]}"#,
            r#"[{"ErrorCode":0,"MessageID":"m"},{"ErrorCode":406,"Message":"inactive"}]"#,
        );
        assert!(url.ends_with("/email/batch") && body.as_array().unwrap().len() == 2);
        assert_eq!(
            said,
            r#"{"results":[{"ErrorCode":0,"MessageID":"m"},{"ErrorCode":406,"Message":"inactive"}]}"#
        );
        testing::serve(|_| {
            testing::answer(
                422,
                &[],
                r#"{"ErrorCode":300,"Message":"Invalid 'From' address"}"#,
            )
        });
        let refused = run("outbound", "send_mail", r#"{"from":"x","to":["y"]}"#);
        assert!(matches!(refused, Err(Error::InvalidData(detail)) if detail.message.contains("'From'")));
        assert!(matches!(
            run("outbound", "dance", "{}"),
            Err(Error::Unsupported(_))
        ));
    }
}
