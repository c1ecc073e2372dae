//! Webhooks (Plaid docs, "Webhooks", and those of each product). One tells that something is to be asked for; the host has checked the
//! signature over the body.
//!
//! Plaid signs for all its customers alike: what is not of the connection's item is not the connection's.

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Change, Connection, Error, Event, Handled, Receipt, log};

/// The groups of events that `connector.toml` declares.
pub(crate) const GROUPS: [&str; 6] = [
    "transactions",
    "item",
    "holdings",
    "investments_transactions",
    "liabilities",
    "auth",
];

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default)]
    webhook_type: Text<'a>,
    #[serde(borrow, default)]
    webhook_code: Text<'a>,
    #[serde(borrow, default)]
    item_id: Text<'a>,
    #[serde(default)]
    removed_transactions: Vec<String>,
}

pub(crate) fn handle(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
    let body = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the webhook is not UTF-8: {error}")))?;
    let told: Told<'_> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("not a webhook of Plaid's: {error}")))?;
    let group = told.webhook_type.as_str().to_ascii_lowercase();
    let code = told.webhook_code.as_str().to_ascii_lowercase();
    if group.is_empty() || code.is_empty() {
        return Err(Error::invalid_data(
            "the webhook has no `webhook_type` or no `webhook_code`",
        ));
    }
    let mut handled = Handled::nothing();
    if connection.account.as_deref() != Some(told.item_id.as_str()) {
        log::warn("a webhook of another item: passed over");
        return Ok(handled);
    }
    if !GROUPS.contains(&group.as_str()) {
        log::info("a webhook of a kind that the manifest does not have: passed over");
        return Ok(handled);
    }
    let streams: &[&str] = match group.as_str() {
        "transactions" => &["transactions", "accounts"],
        "holdings" | "investments_transactions" => &["holdings", "securities"],
        "item" if code == "new_accounts_available" => &["accounts"],
        _ => &[],
    };
    handled
        .resync
        .extend(streams.iter().map(|stream| (*stream).to_owned()));
    for id in told
        .removed_transactions
        .iter()
        .filter(|_| code == "transactions_removed")
    {
        let gone = Change::Delete(id.clone());
        handled.changes.push(("transactions".to_owned(), gone));
    }
    handled.events.push(Event {
        kind: format!("{group}.{code}"),
        // Plaid gives it none; the same signature is the same receipt.
        id: receipt.id.clone(),
        occurred: None,
        data: body.to_owned(),
    });
    Ok(handled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::connection;
    use sluice_sdk::testing::receipt;

    fn handled(body: &str) -> Handled {
        handle(&connection(), &receipt(&[], body)).unwrap()
    }

    #[test]
    fn what_is_told_is_asked_for() {
        let told = handled(include_str!("../fixtures/webhook-sync-updates.json"));
        assert_eq!(told.events[0].kind, "transactions.sync_updates_available");
        assert_eq!(told.resync, ["transactions", "accounts"]);
        let told = handled(
            r#"{"webhook_type":"TRANSACTIONS","webhook_code":"TRANSACTIONS_REMOVED","item_id":"wz666MBjYWTp2PDzzggYhM6oWWmBb","removed_transactions":["a","b"]}"#,
        );
        assert!(
            matches!(&told.changes[1], (stream, Change::Delete(id)) if stream == "transactions" && id == "b")
        );
        let told = handled(
            r#"{"webhook_type":"ITEM","webhook_code":"ERROR","item_id":"wz666MBjYWTp2PDzzggYhM6oWWmBb"}"#,
        );
        assert_eq!(
            (told.events[0].kind.as_str(), told.resync.len()),
            ("item.error", 0)
        );
    }

    #[test]
    fn another_item_is_nobodys_and_nonsense_is_refused() {
        let other = handled(r#"{"webhook_type":"ITEM","webhook_code":"ERROR","item_id":"another"}"#);
        assert!(other.events.is_empty());
        let mut unknown = connection();
        unknown.account = None;
        let body = include_str!("../fixtures/webhook-sync-updates.json");
        assert!(handle(&unknown, &receipt(&[], body)).unwrap().events.is_empty());
        for body in ["", "{}", "[]", r#"{"webhook_type":"ITEM"}"#] {
            assert!(
                matches!(
                    handle(&connection(), &receipt(&[], body)),
                    Err(Error::InvalidData(_))
                ),
                "{body}"
            );
        }
    }

    #[test]
    fn the_manifest_declares_these_groups() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        for webhook in &manifest.webhooks {
            let kinds: Vec<&str> = webhook.events.iter().map(|event| event.kind.as_str()).collect();
            assert_eq!(kinds, GROUPS.map(|group| format!("{group}.*")));
        }
    }
}
