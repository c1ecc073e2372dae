//! From a page of events to changes. An event shows its object as it was then, in the account's own API version ("List
//! all events"), so it only tells *which* object changed; the object itself is asked for, in our version and as it is
//! now. That also makes the order of events, and seeing one twice, harmless.

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::{self, Id, Text};
use sluice_sdk::{Change, Error, http, log};

use crate::api;
use crate::nested::{self, Pages};
use crate::streams::{Changes, Stream};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    created: Id<'a>,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    object: Option<Object<'a>>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    id: Id<'a>,
    #[serde(borrow, default)]
    object: Text<'a>,
    /// Of disputes and refunds, whose events are in the group `charge.*`.
    #[serde(borrow, default)]
    charge: Text<'a>,
}

/// A page of events: its first and last event, and the records that they concern.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) newest: Option<String>,
    pub(crate) oldest: Option<String>,
    touched: Vec<Touched>,
}

#[derive(Debug, PartialEq, Eq)]
struct Touched {
    id: String,
    /// In milliseconds, of the newest event of the page.
    at: Option<u64>,
    gone: bool,
}

/// Reads a page of events, newest first as Stripe gives them.
pub(crate) fn events(stream: &Stream, array: &str) -> Result<Events, Error> {
    let mut events = Events::default();
    let deletes = matches!(stream.changes, Changes::Events { deletes: true, .. });
    for element in record::each::<Event<'_>>(array) {
        let (event, _) = element?;
        let id = event.id.to_string();
        if !api::is_id(&id) {
            return Err(Error::invalid_data("an event of Stripe's has no usable `id`"));
        }
        events.newest.get_or_insert_with(|| id.clone());
        events.oldest = Some(id);
        let Some(object) = event.data.as_ref().and_then(|data| data.object.as_ref()) else {
            continue;
        };
        let own = object.object.as_str() == stream.object;
        let id = if own {
            object.id.to_string()
        } else if stream.object == "charge" {
            object.charge.as_str().to_owned()
        } else {
            continue;
        };
        // An upcoming invoice has no id: it does not exist yet ("invoice.upcoming").
        if id.is_empty() || events.touched.iter().any(|touched| touched.id == id) {
            continue;
        }
        if !api::is_id(&id) {
            log::warn(&format!(
                "{}: an event names an object that has no path",
                stream.name
            ));
            continue;
        }
        events.touched.push(Touched {
            id,
            at: match event.created {
                Id::Number(seconds) => seconds.checked_mul(1_000),
                _ => None,
            },
            gone: own && deletes && event.kind.as_str() == format!("{}.deleted", stream.object),
        });
    }
    Ok(events)
}

impl Events {
    /// What they come to: each record as Stripe has it now.
    pub(crate) fn changes(self, stream: &Stream) -> Result<Vec<Change>, Error> {
        let (gone, there): (Vec<_>, Vec<_>) = self.touched.into_iter().partition(|touched| touched.gone);
        let requests = there
            .iter()
            .map(|touched| api::get(&format!("/v1/{}/{}", stream.name, touched.id)))
            .collect();
        let mut changes: Vec<Change> = gone.into_iter().map(|gone| Change::Delete(gone.id)).collect();
        for (touched, response) in there.into_iter().zip(http::send_all(requests)) {
            let response = response?;
            // A draft invoice can be deleted, and later events of its group may name it.
            if response.status == 404 {
                changes.push(Change::Delete(touched.id));
                continue;
            }
            let response = api::ok(response)?;
            let head: Head<'_> = response.json()?;
            changes.push(match head.id.to_string() {
                id if id != touched.id => {
                    return Err(Error::invalid_data(format!(
                        "Stripe answered with another object than `{}`",
                        touched.id
                    )));
                }
                id if head.deleted == Some(true) => Change::Delete(id),
                id => {
                    let text = nested::whole(stream, &id, response.text()?, &head, &mut Pages::default())?;
                    Change::Upsert(record::item(id, &text, touched.at))
                }
            });
        }
        Ok(changes)
    }
}

/// The members of a record that are needed here.
#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow, default)]
    pub(crate) id: Id<'a>,
    /// Of a customer that is gone ("Retrieve a customer").
    #[serde(default)]
    pub(crate) deleted: Option<bool>,
    /// Lists within an invoice and within a subscription.
    #[serde(borrow, default)]
    pub(crate) lines: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) items: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams;
    use sluice_sdk::testing;

    fn of(stream: &str, page: &str) -> Events {
        events(streams::named(stream).unwrap(), page).unwrap()
    }

    fn ids(events: &Events) -> Vec<&str> {
        events.touched.iter().map(|touched| touched.id.as_str()).collect()
    }

    fn event(id: &str, kind: &str, object: &str) -> String {
        format!(r#"{{"id":"{id}","type":"{kind}","created":1714557600,"data":{{"object":{object}}}}}"#)
    }

    #[test]
    fn an_event_names_the_record_it_concerns() {
        let page = format!(
            "[{},{},{},{},{}]",
            event("evt_5", "charge.refunded", r#"{"id":"ch_1","object":"charge"}"#),
            event(
                "evt_4",
                "charge.dispute.created",
                r#"{"id":"dp_1","object":"dispute","charge":"ch_2"}"#
            ),
            event("evt_3", "charge.succeeded", r#"{"id":"ch_1","object":"charge"}"#),
            event(
                "evt_2",
                "charge.refund.updated",
                r#"{"id":"re_1","object":"refund","charge":null}"#
            ),
            r#"{"id":"evt_1","type":"charge.succeeded"}"#,
        );
        let events = of("charges", &page);
        assert_eq!(ids(&events), ["ch_1", "ch_2"]);
        assert_eq!(events.newest.as_deref(), Some("evt_5"));
        assert_eq!(events.oldest.as_deref(), Some("evt_1"));
        assert_eq!(events.touched[0].at, Some(1_714_557_600_000));
    }

    #[test]
    fn what_is_not_of_the_stream_is_passed_over() {
        let page = format!(
            "[{},{}]",
            event(
                "evt_2",
                "customer.subscription.updated",
                r#"{"id":"sub_1","object":"subscription"}"#
            ),
            event(
                "evt_1",
                "customer.updated",
                r#"{"id":"../x","object":"customer"}"#
            ),
        );
        assert!(ids(&of("customers", &page)).is_empty());
        let upcoming = format!(
            "[{}]",
            event("evt_1", "invoice.upcoming", r#"{"object":"invoice"}"#)
        );
        assert!(ids(&of("invoices", &upcoming)).is_empty());
    }

    #[test]
    fn what_is_gone_is_deleted_and_not_asked_for() {
        let page = format!(
            "[{},{},{}]",
            event(
                "evt_3",
                "customer.deleted",
                r#"{"id":"cus_1","object":"customer"}"#
            ),
            event(
                "evt_2",
                "customer.updated",
                r#"{"id":"cus_2","object":"customer"}"#
            ),
            event(
                "evt_1",
                "customer.updated",
                r#"{"id":"cus_3","object":"customer"}"#
            ),
        );
        testing::serve(|request| match request.url() {
            "https://api.stripe.com/v1/customers/cus_2" => {
                testing::answer(200, &[], r#"{"id":"cus_2","object":"customer","deleted":true}"#)
            }
            "https://api.stripe.com/v1/customers/cus_3" => testing::answer(404, &[], "{}"),
            other => panic!("{other}"),
        });
        let customers = streams::named("customers").unwrap();
        let changes = of("customers", &page).changes(customers).unwrap();
        assert!(changes.iter().all(|change| matches!(change, Change::Delete(_))));
        assert_eq!(
            changes.iter().map(Change::id).collect::<Vec<_>>(),
            ["cus_1", "cus_2", "cus_3"]
        );
    }

    #[test]
    fn a_cancelled_subscription_stays() {
        let page = format!(
            "[{}]",
            event(
                "evt_1",
                "customer.subscription.deleted",
                r#"{"id":"sub_1","object":"subscription"}"#
            )
        );
        testing::serve(|_| {
            testing::answer(
                200,
                &[],
                r#"{"id":"sub_1","object":"subscription","status":"canceled"}"#,
            )
        });
        let stream = streams::named("subscriptions").unwrap();
        let changes = of("subscriptions", &page).changes(stream).unwrap();
        assert!(matches!(&changes[..], [Change::Upsert(item)] if item.id == "sub_1"));
    }

    #[test]
    fn another_object_than_asked_for_is_refused() {
        let page = format!(
            "[{}]",
            event("evt_1", "charge.updated", r#"{"id":"ch_1","object":"charge"}"#)
        );
        testing::serve(|_| testing::answer(200, &[], r#"{"id":"ch_9"}"#));
        let stream = streams::named("charges").unwrap();
        let error = of("charges", &page).changes(stream).unwrap_err();
        assert!(matches!(error, Error::InvalidData(_)));
    }
}
