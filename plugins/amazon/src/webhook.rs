//! What SNS delivers ("HTTP/HTTPS notification JSON format") and, in it, what SES tells ("Amazon SNS notification contents for Amazon
//! SES", "Examples of event data that Amazon SES publishes to Amazon SNS"). The host has checked signature, topic and certificate,
//! and answered the confirmation.
//!
//! SES tells of one message and some of its recipients: one event of ours, and one record for each recipient. A redelivery has the
//! same `MessageId`; the same thing told of a recipient again is the same record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Error, Event, Handled, Item, Receipt};

/// Recipients of one notification that become records: SES sends to fifty at once.
const MOST_RECIPIENTS: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a> {
    #[serde(rename = "Type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    message_id: Text<'a>,
    #[serde(borrow, default)]
    topic_arn: Text<'a>,
    #[serde(borrow, default)]
    subject: Text<'a>,
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(borrow, default)]
    timestamp: Text<'a>,
}

/// What SES says: `notificationType` of an identity's notifications, `eventType` of a configuration set's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(borrow, default)]
    notification_type: Text<'a>,
    #[serde(borrow, default)]
    event_type: Text<'a>,
    #[serde(borrow)]
    mail: Mail<'a>,
    #[serde(borrow, default)]
    bounce: Option<Happened<'a>>,
    #[serde(borrow, default)]
    complaint: Option<Happened<'a>>,
    #[serde(borrow, default)]
    delivery: Option<Happened<'a>>,
    #[serde(borrow, default)]
    delivery_delay: Option<Happened<'a>>,
    #[serde(borrow, default)]
    open: Option<Happened<'a>>,
    #[serde(borrow, default)]
    click: Option<Happened<'a>>,
    #[serde(borrow, default)]
    subscription: Option<Happened<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail<'a> {
    #[serde(borrow, default)]
    message_id: Text<'a>,
    #[serde(borrow, default)]
    timestamp: Text<'a>,
    #[serde(borrow, default)]
    source: Text<'a>,
    #[serde(default)]
    destination: Vec<String>,
    #[serde(borrow, default)]
    common_headers: Option<Headers<'a>>,
    #[serde(borrow, default)]
    tags: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Headers<'a> {
    #[serde(borrow, default)]
    subject: Text<'a>,
}

/// The members of all kinds that matter; each has some of them.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Happened<'a> {
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    feedback_id: Text<'a>,
    #[serde(borrow)]
    bounce_type: Text<'a>,
    #[serde(borrow)]
    bounce_sub_type: Text<'a>,
    #[serde(borrow)]
    complaint_feedback_type: Text<'a>,
    #[serde(borrow)]
    complaint_sub_type: Text<'a>,
    #[serde(borrow)]
    delay_type: Text<'a>,
    #[serde(borrow)]
    smtp_response: Text<'a>,
    /// Texts of a delivery, objects of a delay.
    recipients: Vec<Value>,
    #[serde(borrow)]
    bounced_recipients: Vec<Recipient<'a>>,
    #[serde(borrow)]
    complained_recipients: Vec<Recipient<'a>>,
    #[serde(borrow)]
    delayed_recipients: Vec<Recipient<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Recipient<'a> {
    #[serde(borrow)]
    email_address: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    diagnostic_code: Text<'a>,
}

/// A record of `feedback`.
#[derive(Serialize)]
struct Feedback<'a> {
    message_id: &'a str,
    event: &'a str,
    recipient: &'a str,
    at: Option<&'a str>,
    source: Option<&'a str>,
    subject: Option<&'a str>,
    r#type: Option<&'a str>,
    sub_type: Option<&'a str>,
    status: Option<&'a str>,
    diagnostic: Option<&'a str>,
    feedback_id: Option<&'a str>,
    tags: Option<&'a RawValue>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let body = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the message is not UTF-8: {error}")))?;
    let envelope: Envelope<'_> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("not a message of SNS's: {error}")))?;
    if envelope.message_id.as_str().is_empty() {
        return Err(Error::invalid_data("the message has no `MessageId`"));
    }
    let mut handled = Handled::nothing();
    match envelope.kind.as_str() {
        "Notification" => {}
        "UnsubscribeConfirmation" => {
            handled.events.push(of_topic(&envelope, "sns.unsubscribed")?);
            return Ok(handled);
        }
        // The host answers it, if it is one for it to answer.
        "SubscriptionConfirmation" => return Ok(handled),
        _ => return Err(Error::invalid_data("the message is of no kind that SNS has")),
    }
    let message = envelope.message.as_str();
    let told = serde_json::from_str::<Told<'_>>(message).ok();
    let Some((told, name)) =
        told.and_then(|told| Some((name_of(&told)?, told)).map(|(name, told)| (told, name)))
    else {
        handled.events.push(of_topic(&envelope, "sns.notification")?);
        return Ok(handled);
    };
    let happened = happened(&told, name);
    let at = match happened.map(|of| of.timestamp.timestamp()) {
        Some(Some(at)) => Some(at),
        _ => envelope.timestamp.timestamp(),
    };
    handled.events.push(Event {
        kind: format!("ses.{name}"),
        id: envelope.message_id.as_str().to_owned(),
        occurred: at,
        data: message.to_owned(),
    });
    records(&mut handled, &told, name, happened, at)?;
    // SES puts it on its list; when, it does not say.
    let hard = happened.is_some_and(|of| name == "complaint" || of.bounce_type.as_str() == "Permanent");
    if hard {
        handled.resync.push("suppressed".to_owned());
    }
    Ok(handled)
}

/// What was published by somebody else than SES, or of the subscription itself, without what could end it.
fn of_topic(envelope: &Envelope<'_>, kind: &str) -> Result<Event, Error> {
    let mut data = BTreeMap::from([("topic", envelope.topic_arn.as_str())]);
    if !envelope.subject.as_str().is_empty() {
        data.insert("subject", envelope.subject.as_str());
    }
    if kind == "sns.notification" {
        data.insert("message", envelope.message.as_str());
    }
    Ok(Event {
        kind: kind.to_owned(),
        id: envelope.message_id.as_str().to_owned(),
        occurred: envelope.timestamp.timestamp(),
        data: record::text(&data)?,
    })
}

/// As `connector.toml` names it; none for what it does not.
fn name_of(told: &Told<'_>) -> Option<&'static str> {
    let said = match told.event_type.as_str() {
        "" => told.notification_type.as_str(),
        kind => kind,
    };
    Some(match said {
        "Bounce" => "bounce",
        "Complaint" => "complaint",
        "Delivery" => "delivery",
        "Send" => "send",
        "Reject" => "reject",
        "Open" => "open",
        "Click" => "click",
        "Rendering Failure" => "rendering_failure",
        "DeliveryDelay" => "delivery_delay",
        "Subscription" => "subscription",
        _ => return None,
    })
}

fn happened<'t, 'a>(told: &'t Told<'a>, name: &str) -> Option<&'t Happened<'a>> {
    match name {
        "bounce" => told.bounce.as_ref(),
        "complaint" => told.complaint.as_ref(),
        "delivery" => told.delivery.as_ref(),
        "delivery_delay" => told.delivery_delay.as_ref(),
        "open" => told.open.as_ref(),
        "click" => told.click.as_ref(),
        "subscription" => told.subscription.as_ref(),
        _ => None,
    }
}

fn records(
    handled: &mut Handled,
    told: &Told<'_>,
    name: &str,
    happened: Option<&Happened<'_>>,
    at: Option<u64>,
) -> Result<(), Error> {
    let nothing = Happened::default();
    let happened = happened.unwrap_or(&nothing);
    let message_id = told.mail.message_id.as_str();
    let mut add = |recipient: &str, of: &Recipient<'_>| {
        let record = Feedback {
            message_id,
            event: name,
            recipient,
            at: some(&happened.timestamp).or(some(&told.mail.timestamp)),
            source: some(&told.mail.source),
            subject: told.mail.common_headers.as_ref().and_then(|of| some(&of.subject)),
            r#type: some(&happened.bounce_type)
                .or(some(&happened.complaint_feedback_type))
                .or(some(&happened.delay_type)),
            sub_type: some(&happened.bounce_sub_type).or(some(&happened.complaint_sub_type)),
            status: some(&of.status),
            diagnostic: some(&of.diagnostic_code).or(some(&happened.smtp_response)),
            feedback_id: some(&happened.feedback_id),
            tags: told.mail.tags,
        };
        let change = Change::Upsert(Item {
            id: record::key(&[message_id, name, recipient]),
            data: record::text(&record)?,
            modified: at,
        });
        handled.changes.push(("feedback".to_owned(), change));
        Ok::<_, Error>(())
    };
    let named = [
        &happened.bounced_recipients,
        &happened.complained_recipients,
        &happened.delayed_recipients,
    ];
    let mut named = named.into_iter().flatten().take(MOST_RECIPIENTS).peekable();
    let nobody = Recipient::default();
    if named.peek().is_some() {
        return named.try_for_each(|of| add(of.email_address.as_str(), of));
    }
    let listed: Vec<&str> = happened.recipients.iter().filter_map(Value::as_str).collect();
    // What concerns no recipient in particular concerns all that the message went to.
    let all: Vec<&str> = match listed.is_empty() {
        true => told.mail.destination.iter().map(String::as_str).collect(),
        false => listed,
    };
    all.into_iter()
        .take(MOST_RECIPIENTS)
        .try_for_each(|recipient| add(recipient, &nobody))
}

fn some<'t>(text: &'t Text<'_>) -> Option<&'t str> {
    text.0.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sluice_sdk::testing::receipt;

    fn envelope(message: &str) -> String {
        json!({"Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:mail",
            "Message": message, "Timestamp": "2026-01-05T10:00:01.000Z"})
        .to_string()
    }

    fn of(message: &str) -> Handled {
        handle(&receipt(&[], &envelope(message))).unwrap()
    }

    fn data(handled: &Handled) -> Vec<Value> {
        let upsert = |(stream, change): &(String, Change)| match (stream.as_str(), change) {
            ("feedback", Change::Upsert(item)) => serde_json::from_str(&item.data).unwrap(),
            other => panic!("{other:?}"),
        };
        handled.changes.iter().map(upsert).collect()
    }

    #[test]
    fn a_bounce_is_an_event_and_a_record_for_each_recipient() {
        let handled = of(include_str!("../fixtures/bounce.json"));
        let event = &handled.events[0];
        assert_eq!((event.kind.as_str(), event.id.as_str()), ("ses.bounce", "m-1"));
        assert_eq!(
            event.occurred,
            sluice_sdk::time::parse("2026-01-05T10:00:00.237Z")
        );
        let records = data(&handled);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0]["recipient"], "jane@example.com");
        assert_eq!(records[0]["type"], "Permanent");
        assert_eq!(records[0]["status"], "5.1.1");
        assert_eq!(records[0]["subject"], "Your door");
        assert_eq!(
            handled.changes[0].1.id(),
            "0100-mail-1-000000/bounce/jane@example.com"
        );
        assert_eq!(handled.resync, ["suppressed"]);
    }

    #[test]
    fn complaints_deliveries_and_events_of_a_configuration_set() {
        let handled = of(include_str!("../fixtures/complaint.json"));
        assert_eq!(handled.events[0].kind, "ses.complaint");
        assert_eq!(data(&handled)[0]["type"], "abuse");
        assert_eq!(handled.resync, ["suppressed"]);
        let handled = of(include_str!("../fixtures/delivery.json"));
        assert_eq!(handled.events[0].kind, "ses.delivery");
        assert_eq!(data(&handled)[0]["diagnostic"], "250 ok: Message accepted");
        assert!(handled.resync.is_empty());
        let handled = of(include_str!("../fixtures/open.json"));
        assert_eq!(handled.events[0].kind, "ses.open");
        let records = data(&handled);
        assert_eq!(records[0]["recipient"], "jane@example.com");
        assert_eq!(records[0]["tags"]["campaign"], json!(["doors"]));
    }

    #[test]
    fn what_is_not_ses_is_a_message_and_the_end_is_told_without_its_token() {
        for message in ["hello", "{}", r#"{"eventType":"Other","mail":{}}"#] {
            let handled = of(message);
            assert_eq!(handled.events[0].kind, "sns.notification");
            assert!(handled.changes.is_empty());
        }
        let end = json!({"Type": "UnsubscribeConfirmation", "MessageId": "m-2", "Token": "t0ken", "Message": "x",
            "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Token=t0ken", "TopicArn": "arn:aws:sns:eu-west-1:1:t"});
        let handled = handle(&receipt(&[], &end.to_string())).unwrap();
        assert_eq!(handled.events[0].kind, "sns.unsubscribed");
        assert!(!handled.events[0].data.contains("t0ken"));
    }

    #[test]
    fn what_is_not_of_sns_is_refused() {
        for body in [
            "",
            "[1,",
            "{}",
            r#"{"Type":"Notification"}"#,
            r#"{"Type":"x","MessageId":"m"}"#,
        ] {
            assert!(
                matches!(handle(&receipt(&[], body)), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
    }
}
