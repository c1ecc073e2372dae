//! Sending a message (Twilio docs, "Create a Message resource"). Twilio knows no idempotency keys there: the request is
//! sent once, and a lost answer is an error to look at.

use std::fmt::Write as _;

use serde::Deserialize;
use sluice_sdk::http::{self, Response};
use sluice_sdk::record::input;
use sluice_sdk::{Connection, Error};

use crate::account::{self, is_sid};

/// The longest text, in UTF-16 units as Twilio counts them ("Message resource", Body).
const MAX_BODY: usize = 1_600;

/// Addresses of pictures and other media in one message ("Message resource", MediaUrl).
const MAX_MEDIA: usize = 10;

#[derive(Deserialize)]
struct Sms {
    to: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    messaging_service_sid: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    media_urls: Vec<String>,
}

pub(crate) fn sms(connection: &Connection, text: &str) -> Result<String, Error> {
    let account = account::of(connection)?;
    let form = form(&input(text)?)?;
    let response = http::post(account.under("Messages"))
        .body("application/x-www-form-urlencoded", form)
        .send()?;
    match response.status {
        200..=299 => response.text().map(str::to_owned),
        _ => Err(refused(&response)),
    }
}

fn form(sms: &Sms) -> Result<String, Error> {
    let wrong = |message: &str, at: &str| Err(Error::invalid_data(message).at(at));
    if sms.to.trim().is_empty() {
        return wrong("say who it goes to", "/to");
    }
    let (name, sender) = match (&sms.from, &sms.messaging_service_sid) {
        (Some(from), None) if !from.is_empty() => ("From", from),
        (None, Some(sid)) if is_sid("MG", sid) => ("MessagingServiceSid", sid),
        (None, Some(_)) => {
            return wrong(
                "not a messaging service's SID: `MG` and 32 hexadecimal digits",
                "/messaging_service_sid",
            );
        }
        _ => return wrong("say either `from` or `messaging_service_sid`", "/from"),
    };
    let body = sms.body.as_deref().unwrap_or_default();
    if body.is_empty() && sms.media_urls.is_empty() {
        return wrong("say what is sent", "/body");
    }
    if body.encode_utf16().count() > MAX_BODY {
        return wrong("is longer than 1,600 characters", "/body");
    }
    if sms.media_urls.len() > MAX_MEDIA {
        return wrong("has more than 10 addresses", "/media_urls");
    }
    let mut form = String::new();
    let media = sms.media_urls.iter().map(|url| ("MediaUrl", url.as_str()));
    let pairs = [("To", sms.to.as_str()), (name, sender.as_str()), ("Body", body)];
    for (name, value) in pairs
        .into_iter()
        .chain(media)
        .filter(|(_, value)| !value.is_empty())
    {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        encode(&mut form, value);
    }
    Ok(form)
}

/// A refusal with a pointer to what is wrong, by Twilio's error code ("Error and warning dictionary"), as far as these
/// codes have kept their meaning. None of them says that the credential is bad, whatever the status.
fn refused(response: &Response) -> Error {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(default)]
        code: u64,
        #[serde(default)]
        message: String,
    }
    let error = Error::from_response(response);
    let Ok(refusal) = response.json::<Refusal>() else {
        return error;
    };
    let pointer = match refusal.code {
        // Not a number, not a mobile one, unsubscribed, not reachable, in a region that is not switched on.
        21211 | 21408 | 21610 | 21612 | 21614 => "/to",
        // Not a number, not the account's, not able to send there.
        21212 | 21606 | 21659 | 21660 => "/from",
        21602 | 21617 => "/body",
        _ => return error,
    };
    let words: String = refusal
        .message
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    Error::invalid_data(format!("Twilio refused it ({}): {words}", refusal.code)).at(pointer)
}

/// Percent-encodes everything but RFC 3986's unreserved characters, which forms read as they read their own encoding.
fn encode(into: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing into a string can't fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::{connection, sid};
    use sluice_sdk::testing;

    #[test]
    fn a_message_is_one_form() {
        testing::serve(|_| testing::answer(201, &[], r#"{"sid":"SM1","status":"queued"}"#));
        let input = r#"{"to":"+15550100","from":"+15550199","body":"Hi & bye é","media_urls":["https://a.example/x?y=1"]}"#;
        assert_eq!(
            sms(&connection(), input).unwrap(),
            r#"{"sid":"SM1","status":"queued"}"#
        );
        let requests = testing::requests();
        assert_eq!(requests.len(), 1);
        let expected = format!(
            "https://api.twilio.com/2010-04-01/Accounts/{}/Messages.json",
            sid()
        );
        assert_eq!(
            (requests[0].method(), requests[0].url()),
            ("POST", expected.as_str())
        );
        assert_eq!(
            std::str::from_utf8(requests[0].content().unwrap()).unwrap(),
            "To=%2B15550100&From=%2B15550199&Body=Hi%20%26%20bye%20%C3%A9&MediaUrl=https%3A%2F%2Fa.example%2Fx%3Fy%3D1"
        );
        let service = format!("MG{}", "1b".repeat(16));
        sms(
            &connection(),
            &format!(r#"{{"to":"+1","messaging_service_sid":"{service}","body":"x"}}"#),
        )
        .unwrap();
        let body = testing::requests()[1].content().unwrap().to_vec();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            format!("To=%2B1&MessagingServiceSid={service}&Body=x")
        );
    }

    #[test]
    fn bad_input_is_pointed_at_and_nothing_is_sent() {
        testing::serve(|_| testing::answer(201, &[], "{}"));
        let check = |input: &str, pointer: &str| match sms(&connection(), input) {
            Err(Error::InvalidData(detail)) => {
                assert_eq!(detail.pointer.as_deref(), Some(pointer), "{input}")
            }
            other => panic!("{input}: {other:?}"),
        };
        check(r#"{"to":"","from":"a","body":"x"}"#, "/to");
        check(r#"{"to":"+1","body":"x"}"#, "/from");
        check(
            r#"{"to":"+1","from":"a","messaging_service_sid":"b","body":"x"}"#,
            "/from",
        );
        check(
            r#"{"to":"+1","messaging_service_sid":"MG1","body":"x"}"#,
            "/messaging_service_sid",
        );
        check(r#"{"to":"+1","from":"a"}"#, "/body");
        check(
            &format!(r#"{{"to":"+1","from":"a","body":"{}"}}"#, "x".repeat(1_601)),
            "/body",
        );
        let urls = [r#""https://a.example""#; 11].join(",");
        check(
            &format!(r#"{{"to":"+1","from":"a","media_urls":[{urls}]}}"#),
            "/media_urls",
        );
        check(r#"{"to":7}"#, "/to");
        assert!(testing::requests().is_empty());
    }

    #[test]
    fn a_refusal_points_at_what_is_wrong() {
        let input = r#"{"to":"+1","from":"+2","body":"x"}"#;
        let refuse = |status: u16, code: u64| {
            testing::serve(move |_| {
                testing::answer(
                    status,
                    &[],
                    &format!(r#"{{"code":{code},"message":"no","status":{status}}}"#),
                )
            });
            sms(&connection(), input).unwrap_err()
        };
        assert!(matches!(refuse(400, 21211), Error::InvalidData(d) if d.pointer.as_deref() == Some("/to")));
        assert!(matches!(refuse(403, 21408), Error::InvalidData(d) if d.pointer.as_deref() == Some("/to")));
        assert!(matches!(refuse(400, 21606), Error::InvalidData(d) if d.pointer.as_deref() == Some("/from")));
        assert!(matches!(refuse(400, 30_000), Error::InvalidData(d) if d.message.contains("no")));
        assert!(matches!(refuse(401, 20003), Error::Auth(_)));
        assert!(matches!(refuse(429, 20429), Error::RateLimited(_)));
        assert!(matches!(refuse(503, 0), Error::Transient(_)));
    }
}
