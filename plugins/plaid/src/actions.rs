//! What can be done: a token for Plaid Link (`/link/token/create`), and the bank asked now (`/transactions/refresh`).

use serde::Deserialize;
use serde_json::{Map, json};
use sluice_sdk::record::input;
use sluice_sdk::{Connection, Error};

use crate::api;

pub(crate) fn run(connection: &Connection, name: &str, text: &str) -> Result<String, Error> {
    match name {
        "create_link_token" => create_link_token(connection, input(text)?),
        "refresh_transactions" => {
            let response = api::of_item(connection, "/transactions/refresh", json!({}))?;
            api::ok(response).map(|_| "{}".to_owned())
        }
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

#[derive(Deserialize)]
struct Link {
    client_name: String,
    user: String,
    products: Option<Vec<String>>,
    country_codes: Option<Vec<String>>,
    language: Option<String>,
    redirect_uri: Option<String>,
    webhook: Option<String>,
}

fn create_link_token(connection: &Connection, of: Link) -> Result<String, Error> {
    let mut asked = Map::new();
    asked.insert("client_name".to_owned(), json!(of.client_name));
    asked.insert("user".to_owned(), json!({"client_user_id": of.user}));
    asked.insert(
        "language".to_owned(),
        json!(of.language.unwrap_or_else(|| "en".to_owned())),
    );
    let countries = of.country_codes.unwrap_or_else(|| vec!["US".to_owned()]);
    asked.insert("country_codes".to_owned(), json!(countries));
    for (name, value) in [("redirect_uri", of.redirect_uri), ("webhook", of.webhook)] {
        if let Some(value) = value {
            asked.insert(name.to_owned(), json!(value));
        }
    }
    let path = "/link/token/create";
    let response = match of.products {
        Some(products) => {
            asked.insert("products".to_owned(), json!(products));
            api::ask(connection, path, &asked.into())?
        }
        None => api::of_item(connection, path, asked.into())?,
    };
    api::ok(response)?.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::connection;
    use sluice_sdk::testing::{self, answer};

    #[test]
    fn a_link_token_is_for_new_items_or_for_this_one() {
        testing::serve(|_| {
            answer(
                200,
                &[],
                r#"{"link_token":"link-sandbox-1","expiration":"2026-01-05T14:00:00Z","request_id":"r"}"#,
            )
        });
        let new = r#"{"client_name":"Doors","user":"u-1","products":["transactions"],"country_codes":["DE"],"language":"de"}"#;
        assert!(
            run(&connection(), "create_link_token", new)
                .unwrap()
                .contains("link-sandbox-1")
        );
        run(
            &connection(),
            "create_link_token",
            r#"{"client_name":"Doors","user":"u-1"}"#,
        )
        .unwrap();
        let bodies: Vec<serde_json::Value> = testing::requests()
            .iter()
            .map(|request| serde_json::from_slice(request.content().unwrap()).unwrap())
            .collect();
        assert!(bodies[0]["access_token"].is_null() && bodies[0]["products"] == json!(["transactions"]));
        assert!(bodies[1]["access_token"].is_string() && bodies[1]["products"].is_null());
    }
}
