//! Plaid's API: where it is, what every request to it says, and how it says no (Plaid docs, "Errors"). The host adds the secret as a
//! header; the item's access token stands in the body as a placeholder.

use serde::Deserialize;
use serde_json::Value;
use sluice_sdk::http::{self, Response};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Connection, Error, secrets};

/// The version whose shapes `connector.toml` declares.
const VERSION: &str = "2020-09-14";

#[derive(Debug, Deserialize)]
struct Config {
    host: String,
    client_id: String,
}

/// Asks about the connection's item.
pub(crate) fn of_item(connection: &Connection, path: &str, mut body: Value) -> Result<Response, Error> {
    if let Value::Object(members) = &mut body {
        members.insert("access_token".to_owned(), Value::String(token()?));
    }
    ask(connection, path, &body)
}

/// Asks for something that is not about an item.
pub(crate) fn ask(connection: &Connection, path: &str, body: &Value) -> Result<Response, Error> {
    let config: Config = connection.config()?;
    let request = http::post(format!("https://{}{path}", config.host))
        .header("plaid-client-id", config.client_id)
        .header("plaid-version", VERSION);
    request.json(body)?.send()
}

fn token() -> Result<String, Error> {
    match secrets::open("plaid.item_token") {
        Some(token) => Ok(token.placeholder()),
        // There are no secrets outside the sandbox.
        None if cfg!(test) => Ok("access-token".to_owned()),
        None => Err(Error::auth("the connection has no access token of an item")),
    }
}

/// The response if it is one of success. Plaid's code says who has to act, and its status hardly anything.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow, default)]
        error_type: Text<'a>,
        #[serde(borrow, default)]
        error_code: Text<'a>,
        #[serde(borrow, default)]
        error_message: Text<'a>,
    }
    let Ok(refusal) = response.json::<Refusal<'_>>() else {
        return Err(Error::from_response(&response));
    };
    let code = record::words(refusal.error_code.as_str(), 100);
    let words = record::words(refusal.error_message.as_str(), 300);
    let words = format!("Plaid answered {}: {code}: {words}", response.status);
    Err(match (refusal.error_type.as_str(), code.as_str()) {
        (_, "") => Error::from_response(&response),
        ("RATE_LIMIT_EXCEEDED", _) => Error::rate_limited(words, response.retry_after_ms().or(Some(60_000))),
        (_, "PRODUCT_NOT_READY") | ("API_ERROR" | "INSTITUTION_ERROR", _) => Error::transient(words),
        (
            _,
            "PRODUCTS_NOT_SUPPORTED" | "NO_INVESTMENT_ACCOUNTS" | "PRODUCT_NOT_ENABLED" | "INVALID_PRODUCT",
        ) => Error::unsupported(words),
        (_, "INVALID_API_KEYS" | "INVALID_ACCESS_TOKEN" | "ITEM_NOT_FOUND" | "UNAUTHORIZED_ENVIRONMENT")
        | ("ITEM_ERROR", _) => Error::auth(words),
        _ => match Error::from_response(&response) {
            Error::Auth(_) => Error::auth(words),
            Error::Transient(_) => Error::transient(words),
            _ => Error::invalid_data(words),
        },
    })
}

/// Whether the answer says this code.
pub(crate) fn says(response: &Response, code: &str) -> bool {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow, default)]
        error_code: Text<'a>,
    }
    response.status >= 400
        && response
            .json::<Refusal<'_>>()
            .is_ok_and(|refusal| refusal.error_code.as_str() == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::answer;

    #[test]
    fn a_code_says_who_must_act() {
        let of = |status: u16, kind: &str, code: &str| {
            let body =
                format!(r#"{{"error_type":"{kind}","error_code":"{code}","error_message":"Said by Plaid"}}"#);
            ok(answer(status, &[], &body).unwrap()).unwrap_err()
        };
        assert!(matches!(
            of(400, "ITEM_ERROR", "ITEM_LOGIN_REQUIRED"),
            Error::Auth(_)
        ));
        assert!(matches!(
            of(400, "INVALID_INPUT", "INVALID_API_KEYS"),
            Error::Auth(_)
        ));
        assert!(matches!(
            of(400, "ITEM_ERROR", "PRODUCT_NOT_READY"),
            Error::Transient(_)
        ));
        assert!(matches!(
            of(400, "ITEM_ERROR", "NO_INVESTMENT_ACCOUNTS"),
            Error::Unsupported(_)
        ));
        assert!(matches!(
            of(429, "RATE_LIMIT_EXCEEDED", "TRANSACTIONS_LIMIT"),
            Error::RateLimited(_)
        ));
        assert!(matches!(
            of(400, "INVALID_REQUEST", "MISSING_FIELDS"),
            Error::InvalidData(_)
        ));
        assert!(matches!(
            of(500, "API_ERROR", "INTERNAL_SERVER_ERROR"),
            Error::Transient(_)
        ));
        for (status, body) in [(503, "<html>"), (502, "{}")] {
            assert!(matches!(
                ok(answer(status, &[], body).unwrap()),
                Err(Error::Transient(_))
            ));
        }
    }
}
