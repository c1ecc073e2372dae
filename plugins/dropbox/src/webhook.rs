//! Notifications (Dropbox docs, "Webhooks"). One tells which accounts have changes and not what changed, and one address
//! serves every account that uses the app: it is routed by the account's id, and asks for a sync of the files. The host has
//! checked the signature.

use serde::Deserialize;
use sluice_sdk::{Connection, Error, Event, Handled, Receipt};

/// The most accounts of one notification that are looked at.
const MAX_ACCOUNTS: usize = 10_000;

#[derive(Deserialize)]
struct Notification {
    #[serde(default)]
    list_folder: Option<Accounts>,
}

#[derive(Deserialize)]
struct Accounts {
    #[serde(default)]
    accounts: Vec<String>,
}

/// The accounts that it concerns.
pub(crate) fn accounts(receipt: &Receipt) -> Result<Vec<String>, Error> {
    let notification: Notification = serde_json::from_slice(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("not a notification of Dropbox's: {error}")))?;
    let mut accounts = notification
        .list_folder
        .map_or_else(Vec::new, |list| list.accounts);
    accounts.truncate(MAX_ACCOUNTS);
    Ok(accounts)
}

pub(crate) fn handle(connection: &Connection, receipt: &Receipt) -> Result<Handled, Error> {
    let accounts = accounts(receipt)?;
    let mut handled = Handled::nothing();
    let is_ours = match &connection.account {
        Some(account) => accounts.contains(account),
        None => !accounts.is_empty(),
    };
    if !is_ours {
        return Ok(handled);
    }
    handled.resync.push("files".to_owned());
    handled.events.push(Event {
        kind: "list_folder".to_owned(),
        // Dropbox gives a notification no id; a redelivery is another receipt, and harmless.
        id: receipt.id.clone(),
        occurred: None,
        data: serde_json::json!({ "account": connection.account }).to_string(),
    });
    Ok(handled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{connection, receipt};

    const BODY: &str = include_str!("../fixtures/webhook-list-folder.json");

    #[test]
    fn a_notification_asks_for_the_files_of_its_accounts() {
        let receipt = receipt(&[], BODY);
        assert_eq!(accounts(&receipt).unwrap(), ["dbid:AADoors", "dbid:AAGates"]);
        let mut ours = connection("{}");
        ours.account = Some("dbid:AADoors".to_owned());
        let handled = handle(&ours, &receipt).unwrap();
        assert_eq!(handled.resync, ["files"]);
        assert_eq!(handled.events[0].data, r#"{"account":"dbid:AADoors"}"#);
        ours.account = Some("dbid:AAOther".to_owned());
        assert!(handle(&ours, &receipt).unwrap().resync.is_empty());
        ours.account = None;
        assert_eq!(handle(&ours, &receipt).unwrap().resync, ["files"]);
    }

    #[test]
    fn what_is_no_notification_is_refused_or_means_nothing() {
        for body in ["", "7", r#"{"list_folder":{"accounts":[7]}}"#] {
            assert!(matches!(
                accounts(&receipt(&[], body)),
                Err(Error::InvalidData(_))
            ));
        }
        assert!(accounts(&receipt(&[], "{}")).unwrap().is_empty());
    }

    /// What the manifest's recipe makes of a payload is what Dropbox's documentation makes of it.
    #[test]
    fn the_recipe_is_dropboxs() {
        use sluice_model::clock::Timestamp;
        use sluice_model::secret::Secret;
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let recipe = &manifest.webhooks[0].recipe;
        let (secret, now) = (Secret::new(b"app secret".to_vec()), Timestamp::from_millis(0));
        let headers = recipe.sign(&sent(&[], BODY.as_bytes()), &secret, now);
        assert_eq!(
            (headers[0].0.as_str(), headers[0].1.len()),
            ("x-dropbox-signature", 64)
        );
        assert!(
            recipe
                .verify(&sent(&headers, BODY.as_bytes()), &[secret], None, now)
                .is_ok()
        );
    }

    /// What Sluice makes of a delivery before it is verified.
    fn sent<'a>(headers: &'a [(String, String)], body: &'a [u8]) -> sluice_model::signature::Request<'a> {
        sluice_model::signature::Request {
            method: "POST",
            url: "",
            headers,
            body,
        }
    }
}
