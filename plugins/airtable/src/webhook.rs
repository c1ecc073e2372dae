//! Webhooks (Airtable docs, "Webhooks overview", "List webhook payloads"). Airtable pings without saying what changed; that is read
//! from it, from where the last ping's reading ended. The host has checked the signature.
//!
//! A ping whose reading is committed twice reads nothing the second time: where it ended is written with the events, or not at all.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::record::Text;
use sluice_sdk::{Error, Event, Handled, Receipt, record, storage};

use crate::{api, subscription};

/// Pages that one ping reads, of at most 50 payloads each. What is left is read with the next one, which asks for itself.
const MOST_PAGES: u32 = 20;

#[derive(Deserialize)]
struct Ping<'a> {
    #[serde(borrow)]
    base: Named<'a>,
    #[serde(borrow)]
    webhook: Named<'a>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    #[serde(borrow)]
    payloads: Vec<&'a RawValue>,
    cursor: u64,
    #[serde(default)]
    might_have_more: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow, default)]
    timestamp: Text<'a>,
    base_transaction_number: u64,
    #[serde(borrow, default)]
    changed_tables_by_id: BTreeMap<String, Table<'a>>,
    #[serde(borrow, default)]
    created_tables_by_id: BTreeMap<String, &'a RawValue>,
    #[serde(borrow, default)]
    destroyed_table_ids: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table<'a> {
    #[serde(borrow, default)]
    created_records_by_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    changed_records_by_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    destroyed_record_ids: Option<&'a RawValue>,
    #[serde(borrow, default)]
    changed_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    created_fields_by_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    changed_fields_by_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    destroyed_field_ids: Option<&'a RawValue>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let text = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the ping is not UTF-8: {error}")))?;
    let ping: Ping<'_> = read(text)?;
    let (base, id) = (ping.base.id.as_str(), ping.webhook.id.as_str());
    let path = format!("{}/payloads", subscription::path(base, id)?);
    let key = format!("cursor {id}");
    let mut cursor = storage::get_json::<u64>(&key)?.unwrap_or(1);
    let mut handled = Handled::nothing();
    for _ in 0..MOST_PAGES {
        let response = api::get(&path).query("cursor", &cursor.to_string()).send()?;
        // The webhook is gone: what it had is gone with it.
        if response.status == 404 {
            return Ok(handled);
        }
        let response = api::ok(response)?;
        let page: Page<'_> = response.json()?;
        for payload in &page.payloads {
            let payload: Payload<'_> = read(payload.get())?;
            told(&mut handled, base, &payload)?;
        }
        let moved = page.cursor > cursor;
        cursor = cursor.max(page.cursor);
        if !page.might_have_more || !moved {
            break;
        }
    }
    storage::set_json(&key, &cursor)?;
    Ok(handled)
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::invalid_data(format!("not Airtable's: {error}")))
}

fn told(handled: &mut Handled, base: &str, payload: &Payload<'_>) -> Result<(), Error> {
    let mut add = |kind: &str, table: &str, what: &[(&str, Option<&RawValue>)]| {
        let there: serde_json::Map<String, serde_json::Value> = what
            .iter()
            .filter_map(|(name, value)| {
                Some((
                    (*name).to_owned(),
                    serde_json::from_str(value.as_ref()?.get()).ok()?,
                ))
            })
            .collect();
        if there.is_empty() {
            return Ok(());
        }
        let mut data = there;
        data.insert("base".to_owned(), base.into());
        if !table.is_empty() {
            data.insert("table".to_owned(), table.into());
        }
        if kind.starts_with("table.") && handled.resync.is_empty() {
            handled.resync.push("tables".to_owned());
        }
        handled.events.push(Event {
            kind: kind.to_owned(),
            id: record::key(&[base, &payload.base_transaction_number.to_string(), table, kind]),
            occurred: payload.timestamp.timestamp(),
            data: record::text(&data)?,
        });
        Ok::<_, Error>(())
    };
    for (id, table) in &payload.changed_tables_by_id {
        add("records.created", id, &[("records", table.created_records_by_id)])?;
        add("records.changed", id, &[("records", table.changed_records_by_id)])?;
        add(
            "records.destroyed",
            id,
            &[("records", table.destroyed_record_ids)],
        )?;
        let of_table = [
            ("metadata", table.changed_metadata),
            ("created_fields", table.created_fields_by_id),
            ("changed_fields", table.changed_fields_by_id),
            ("destroyed_fields", table.destroyed_field_ids),
        ];
        add("table.changed", id, &of_table)?;
    }
    for (id, made) in &payload.created_tables_by_id {
        add("table.created", id, &[("created", Some(made))])?;
    }
    add("table.destroyed", "", &[("tables", payload.destroyed_table_ids)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer, receipt};

    #[test]
    fn a_ping_reads_what_changed_and_no_more_the_next_time() {
        testing::serve(|request| match request.url().ends_with("cursor=1") {
            true => answer(200, &[], include_str!("../fixtures/payloads.json")),
            false => answer(200, &[], r#"{"payloads":[],"cursor":5,"mightHaveMore":false}"#),
        });
        let ping = receipt(&[], include_str!("../fixtures/ping.json"));
        let handled = handle(&ping).unwrap();
        let kinds: Vec<&str> = handled.events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "records.changed",
                "records.created",
                "records.destroyed",
                "table.changed",
                "table.destroyed"
            ]
        );
        assert_eq!(handled.resync, ["tables"]);
        let first = &handled.events[0];
        assert_eq!(first.occurred, Some(1_643_817_743_026));
        let data: serde_json::Value = serde_json::from_str(&first.data).unwrap();
        assert_eq!(
            (&data["base"], &data["table"]),
            (&"appDoorsDoors0001".into(), &"tblDoorsDoors0001".into())
        );
        assert!(data["records"]["recDoorsDoors0001"].is_object());
        let ids: std::collections::BTreeSet<&str> =
            handled.events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids.len(), handled.events.len());
        assert!(handle(&ping).unwrap().events.is_empty());
        assert!(testing::requests()[1].url().ends_with("cursor=5"));
    }

    #[test]
    fn what_is_no_ping_is_refused_and_a_webhook_that_is_gone_is_nothing() {
        for body in [
            "",
            "{}",
            r#"{"base":{"id":"../x"},"webhook":{"id":"achDoorsDoors0002"}}"#,
        ] {
            assert!(
                matches!(handle(&receipt(&[], body)), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
        let ping = receipt(&[], include_str!("../fixtures/ping.json"));
        testing::serve(|_| answer(404, &[], "{}"));
        assert!(handle(&ping).unwrap().events.is_empty());
        testing::serve(|_| answer(200, &[], r#"{"payloads":[{}],"cursor":2}"#));
        assert!(handle(&ping).is_err());
        testing::serve(|_| answer(503, &[], ""));
        assert!(matches!(handle(&ping), Err(Error::Transient(_))));
    }
}
