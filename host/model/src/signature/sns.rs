//! Amazon SNS (also what SES sends): a JSON envelope that says which certificate signed it.
//!
//! What must always hold: the certificate comes from SNS's own address in one of its regions; the topic is the one that
//! the hook's secret names, because everybody may have a topic of their own that signs with the same certificate; no
//! field but the message has a line break, so that the signed text can be read in one way only.

use data_encoding::BASE64;

use super::fetch::{AddressPattern, Fetched, Needs};
use super::key::{self, Key};
use super::place::View;
use super::{MAX_SECRETS, RsaHash, SignatureError, TimestampUnit, Verified};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// How old a message may be: SNS retries for six hours and keeps the first time. A replay is told by its `MessageId`.
const TOLERANCE: std::time::Duration = std::time::Duration::from_secs(7 * 3600);

const CERTIFICATES: [&str; 2] = [
    "https://sns.{region}.amazonaws.com/SimpleNotificationService-*.pem",
    "https://sns.{region}.amazonaws.com.cn/SimpleNotificationService-*.pem",
];

const NAMES: [&str; 2] = ["sns.amazonaws.com", "sns.amazonaws.com.cn"];

const NOTIFICATION: [&str; 6] = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const CONFIRMATION: [&str; 7] = [
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
];

pub(super) fn needs(view: &View<'_>) -> Result<Needs, SignatureError> {
    let address = text(view, "SigningCertURL").ok_or(SignatureError::Missing)?;
    let mut patterns = CERTIFICATES
        .iter()
        .filter_map(|text| AddressPattern::parse(text).ok());
    if !patterns.any(|pattern| pattern.permits(address)) {
        return Err(SignatureError::Address);
    }
    Ok(Needs::Certificate {
        address: address.to_owned(),
        names: NAMES.map(str::to_owned).to_vec(),
    })
}

pub(super) fn verify(
    view: &View<'_>,
    secrets: &[Secret],
    fetched: Option<&Fetched>,
    now: Timestamp,
) -> Result<Verified, SignatureError> {
    let hash = match text(view, "SignatureVersion").ok_or(SignatureError::Missing)? {
        "1" => RsaHash::Sha1,
        "2" => RsaHash::Sha256,
        _ => return Err(SignatureError::Mismatch),
    };
    let signature = text(view, "Signature").ok_or(SignatureError::Missing)?;
    let signature = BASE64
        .decode(signature.as_bytes())
        .map_err(|_| SignatureError::Mismatch)?;
    let time = text(view, "Timestamp").and_then(|text| TimestampUnit::Rfc3339.read(text));
    let time = time
        .filter(|time| now.since(*time) <= TOLERANCE && time.since(now) <= TOLERANCE)
        .ok_or(SignatureError::Timestamp)?;
    let needs = needs(view)?;
    let topic = text(view, "TopicArn").ok_or(SignatureError::Missing)?;
    let mut topics = secrets
        .iter()
        .take(MAX_SECRETS)
        .map(Secret::expose)
        .filter(|text| !text.is_empty())
        .peekable();
    if topics.peek().is_none() {
        return Err(SignatureError::Secret);
    }
    let is_ours = topics.fold(false, |ours, own| ours | key::is_same(own, topic.as_bytes()));
    if !is_ours {
        return Err(SignatureError::Mismatch);
    }
    let signed = signed(view).ok_or(SignatureError::Missing)?;
    let key = fetched
        .and_then(|fetched| fetched.rsa(&needs, now))
        .ok_or(SignatureError::Material)?;
    let key = Key::Public(hash.algorithm(), key.to_vec());
    match key.fits(signed.as_bytes(), std::iter::once(signature.as_slice())) {
        true => Ok(Verified {
            id: text(view, "MessageId").map(str::to_owned),
            time: Some(time),
            one_time: None,
        }),
        false => Err(SignatureError::Mismatch),
    }
}

/// The string to sign of "Verifying the signatures of Amazon SNS messages".
fn signed(view: &View<'_>) -> Option<String> {
    let names = match text(view, "Type")? {
        "Notification" => &NOTIFICATION[..],
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => &CONFIRMATION[..],
        _ => return None,
    };
    let mut signed = String::new();
    for name in names {
        let value = match view.json()?.get(*name) {
            None | Some(serde_json::Value::Null) if *name == "Subject" => continue,
            found => found?.as_str()?,
        };
        if *name != "Message" && value.contains('\n') {
            return None;
        }
        signed.push_str(name);
        signed.push('\n');
        signed.push_str(value);
        signed.push('\n');
    }
    Some(signed)
}

fn text<'v>(view: &'v View<'_>, name: &str) -> Option<&'v str> {
    view.json()?.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::signature::Request;

    fn signed_of(message: &serde_json::Value) -> Option<String> {
        let body = message.to_string();
        let request = Request {
            method: "POST",
            url: "",
            headers: &[],
            body: body.as_bytes(),
        };
        signed(&View::new(&request))
    }

    proptest! {
        /// However a message looks like the lines behind it, two envelopes never have one text.
        #[test]
        fn envelopes_are_injective(
            one in ("[aS\n]{0,3}|a\nMessageId\nm|a\nSubject\ns", "[am\n]{1,2}", prop::option::of("[as]{0,2}"), "[at]{1,2}"),
            two in ("[aS\n]{0,3}|a\nMessageId\nm|a\nSubject\ns", "[am\n]{1,2}", prop::option::of("[as]{0,2}"), "[at]{1,2}"),
        ) {
            let envelope = |(message, id, subject, topic): &(String, String, Option<String>, String)| {
                let mut envelope = json!({
                    "Type": "Notification", "Message": message, "MessageId": id, "TopicArn": topic, "Timestamp": "t",
                });
                if let Some(subject) = subject {
                    envelope["Subject"] = json!(subject);
                }
                envelope
            };
            if let (Some(first), Some(second)) = (signed_of(&envelope(&one)), signed_of(&envelope(&two))) {
                prop_assert_eq!(first == second, one == two);
            }
        }
    }
}
