//! The item: who it is (`/item/get`), and the one address that its webhooks go to (`/item/webhook/update`).
//!
//! An item has one address. One that is somebody else's is not taken away from them; what is ended is ours alone.

use serde::Deserialize;
use serde_json::json;
use sluice_sdk::record::Text;
use sluice_sdk::{Account, Connection, Error, Registration, record};

use crate::api;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    item: Item<'a>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default)]
    item_id: Text<'a>,
    #[serde(borrow, default)]
    institution_name: Text<'a>,
    #[serde(borrow, default)]
    institution_id: Text<'a>,
    #[serde(borrow, default)]
    webhook: Text<'a>,
}

pub(crate) fn account(connection: &Connection) -> Result<Account, Error> {
    let response = api::ok(api::of_item(connection, "/item/get", json!({}))?)?;
    let Answer { item } = response.json()?;
    let id = item.item_id.as_str();
    if id.is_empty() {
        return Err(Error::invalid_data("Plaid's item has no `item_id`"));
    }
    let names = [item.institution_name.as_str(), item.institution_id.as_str(), id];
    let name = names
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or_default();
    Ok(Account {
        id: id.to_owned(),
        name: name.to_owned(),
        scopes: Vec::new(),
    })
}

/// What is kept of a registration, and what is told of one of which nothing else is known.
#[derive(Deserialize)]
struct State {
    url: String,
}

pub(crate) fn register(connection: &Connection, url: &str) -> Result<Registration, Error> {
    let (id, there) = address(connection)?;
    if !there.is_empty() && there != url {
        return Err(Error::unsupported(
            "the item's webhooks go to another address already, and an item has one: have it forgotten first",
        ));
    }
    if there.is_empty() {
        api::ok(api::of_item(
            connection,
            "/item/webhook/update",
            json!({ "webhook": url }),
        )?)?;
    }
    Ok(Registration {
        id,
        expires: None,
        state: json!({ "url": url }).to_string(),
    })
}

pub(crate) fn unregister(connection: &Connection, registration: &Registration) -> Result<(), Error> {
    let State { url } = record::input(&registration.state)?;
    // An item that is gone has no webhooks.
    let response = api::of_item(connection, "/item/get", json!({}))?;
    if api::says(&response, "ITEM_NOT_FOUND") {
        return Ok(());
    }
    let response = api::ok(response)?;
    let Answer { item } = response.json()?;
    if item.webhook.as_str() != url {
        return Ok(());
    }
    api::ok(api::of_item(
        connection,
        "/item/webhook/update",
        json!({ "webhook": null }),
    )?)
    .map(drop)
}

/// The item's id and the address that it has.
fn address(connection: &Connection) -> Result<(String, String), Error> {
    let response = api::ok(api::of_item(connection, "/item/get", json!({}))?)?;
    let Answer { item } = response.json()?;
    Ok((item.item_id.as_str().to_owned(), item.webhook.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::connection;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";

    fn serve(webhook: &'static str) {
        testing::serve(move |request| match request.url().ends_with("/item/get") {
            true => {
                let item = include_str!("../fixtures/item.json")
                    .replace(r#""webhook": """#, &format!(r#""webhook": "{webhook}""#));
                answer(200, &[], &item)
            }
            false => answer(200, &[], "{}"),
        });
    }

    fn updates() -> Vec<serde_json::Value> {
        let requests = testing::requests();
        let mut found = Vec::new();
        for request in requests
            .iter()
            .filter(|request| request.url().ends_with("/update"))
        {
            let body: serde_json::Value = serde_json::from_slice(request.content().unwrap()).unwrap();
            found.push(body["webhook"].clone());
        }
        found
    }

    #[test]
    fn the_address_is_told_once_and_forgotten() {
        serve("");
        let made = register(&connection(), URL).unwrap();
        assert_eq!(
            (made.id.as_str(), updates()),
            ("wz666MBjYWTp2PDzzggYhM6oWWmBb", vec![json!(URL)])
        );
        serve(URL);
        register(&connection(), URL).unwrap();
        assert!(updates().is_empty());
        unregister(&connection(), &made).unwrap();
        assert_eq!(updates(), [json!(null)]);
    }

    #[test]
    fn what_is_somebody_elses_stays() {
        serve("https://example.com/theirs");
        assert!(matches!(register(&connection(), URL), Err(Error::Unsupported(_))));
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({ "url": URL }).to_string(),
        };
        unregister(&connection(), &lost).unwrap();
        assert!(updates().is_empty());
    }
}
