//! Notifications ("Receive change notifications through webhooks", "Lifecycle notifications"). The host has checked that each bears the
//! hook's secret, and answered the question that Graph asks first. One says which item changed and not how: what changed is asked for.
//!
//! The secret is in the body; nothing of the body goes on that is not named here.

use serde::Deserialize;
use serde_json::json;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Error, Event, Handled, Receipt, log};

use crate::subscription;

/// Notifications of one request; Graph sends some hundreds together.
const MOST: usize = 1_000;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    value: Vec<Notification<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    #[serde(borrow, default)]
    subscription_id: Text<'a>,
    #[serde(borrow, default)]
    change_type: Text<'a>,
    #[serde(borrow, default)]
    lifecycle_event: Text<'a>,
    #[serde(borrow, default)]
    subscription_expiration_date_time: Text<'a>,
    #[serde(borrow, default)]
    resource_data: Option<Resource<'a>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(rename = "@odata.type", borrow, default)]
    kind: Text<'a>,
    #[serde(rename = "@odata.etag", borrow, default)]
    etag: Text<'a>,
    #[serde(borrow, default)]
    id: Text<'a>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let body: Body<'_> = serde_json::from_slice(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("not a notification of Graph's: {error}")))?;
    let mut handled = Handled::nothing();
    for of in body.value.iter().take(MOST) {
        match of.lifecycle_event.as_str() {
            "" => changed(&mut handled, of)?,
            event => lifecycle(&mut handled, of, event)?,
        }
    }
    if body.value.len() > MOST {
        resync(&mut handled, "messages");
        resync(&mut handled, "events");
    }
    Ok(handled)
}

fn changed(handled: &mut Handled, of: &Notification<'_>) -> Result<(), Error> {
    let Some(resource) = &of.resource_data else {
        return Err(Error::invalid_data("the notification does not say what changed"));
    };
    let kind = resource.kind.as_str().to_ascii_lowercase();
    let (group, stream) = match kind.as_str() {
        "#microsoft.graph.message" => ("message", "messages"),
        "#microsoft.graph.event" => ("event", "events"),
        _ => {
            log::info("a notification of another kind of item: passed over");
            return Ok(());
        }
    };
    let change = of.change_type.as_str();
    if !["created", "updated", "deleted"].contains(&change) {
        return Err(Error::invalid_data(
            "the notification does not say how it changed",
        ));
    }
    resync(handled, stream);
    let (id, etag, subscription) = (
        resource.id.as_str(),
        resource.etag.as_str(),
        of.subscription_id.as_str(),
    );
    handled.events.push(Event {
        kind: format!("{group}.{change}"),
        // The same for a redelivery; an item that is changed again has another tag.
        id: record::key(&[id, change, if etag.is_empty() { subscription } else { etag }]),
        occurred: None,
        data: record::text(&json!({"id": id, "etag": etag, "subscription": subscription}))?,
    });
    Ok(())
}

fn lifecycle(handled: &mut Handled, of: &Notification<'_>, event: &str) -> Result<(), Error> {
    let id = of.subscription_id.as_str();
    let kind = match event {
        "missed" => {
            resync(handled, "messages");
            resync(handled, "events");
            "missed"
        }
        "reauthorizationRequired" => {
            subscription::reauthorize(id)?;
            "reauthorized"
        }
        "subscriptionRemoved" => "removed",
        _ => {
            log::info("a lifecycle notification of another kind: passed over");
            return Ok(());
        }
    };
    let expires = of.subscription_expiration_date_time.as_str();
    handled.events.push(Event {
        kind: format!("subscription.{kind}"),
        id: record::key(&[id, kind, if expires.is_empty() { "now" } else { expires }]),
        occurred: None,
        data: record::text(&json!({"subscription": id, "expires": expires}))?,
    });
    Ok(())
}

fn resync(handled: &mut Handled, stream: &str) {
    if !handled.resync.iter().any(|known| known == stream) {
        handled.resync.push(stream.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer, receipt};

    fn handled(body: &str) -> Handled {
        handle(&receipt(&[], body)).unwrap()
    }

    #[test]
    fn what_changed_is_asked_for_and_the_secret_goes_nowhere() {
        let handled = handled(include_str!("../fixtures/notification.json"));
        let kinds: Vec<&str> = handled.events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["message.created", "event.deleted"]);
        assert_eq!(handled.resync, ["messages", "events"]);
        assert!(
            handled
                .events
                .iter()
                .all(|event| !event.data.contains("a made up secret"))
        );
        assert!(handled.events[0].data.contains("AAMkAGI1AAAoZCfHAAA="));
    }

    #[test]
    fn a_subscriptions_life_is_looked_after() {
        testing::serve(|request| {
            assert!(
                request
                    .url()
                    .ends_with("/subscriptions/7f105c7d-2dc5-4530-97cd-4e7ae6534c07/reauthorize")
            );
            answer(200, &[], "")
        });
        let asked = handled(include_str!("../fixtures/lifecycle.json"));
        assert_eq!(asked.events[0].kind, "subscription.reauthorized");
        let of = |event: &str| {
            include_str!("../fixtures/lifecycle.json").replace("reauthorizationRequired", event)
        };
        let missed = handled(&of("missed"));
        assert_eq!(missed.resync, ["messages", "events"]);
        assert_eq!(
            handled(&of("subscriptionRemoved")).events[0].kind,
            "subscription.removed"
        );
        assert!(handled(&of("news")).events.is_empty());
    }

    #[test]
    fn what_is_none_is_refused() {
        for body in [
            "",
            "{}",
            r#"{"value":[{}]}"#,
            r##"{"value":[{"changeType":"x","resourceData":{"@odata.type":"#microsoft.graph.event"}}]}"##,
        ] {
            assert!(
                matches!(handle(&receipt(&[], body)), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
        assert!(handled(r##"{"value":[{"changeType":"created","resourceData":{"@odata.type":"#microsoft.graph.chat"}}]}"##).events.is_empty());
    }
}
