//! What can be done: money given back ("Refund captured payment"), taken ("Capture payment for order"), and an invoice drafted ("Create
//! draft invoice"). Each carries the host's key as `PayPal-Request-Id`, by which PayPal does it once.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sluice_sdk::Error;
use sluice_sdk::record::input;

use crate::api;
use crate::config::Config;

pub(crate) fn run(config: &Config, name: &str, text: &str, key: &str) -> Result<String, Error> {
    let (path, body) = match name {
        "refund_capture" => refund(&input(text)?)?,
        "capture_order" => capture(&input(text)?)?,
        "create_invoice" => ("/v2/invoicing/invoices".to_owned(), Value::Object(input(text)?)),
        other => return Err(Error::unsupported(format!("there is no action `{other}`"))),
    };
    let request = api::request("POST", config, &path)
        .header("paypal-request-id", key)
        .header("prefer", "return=representation")
        .json(&body)?;
    let response = api::ok(request.send()?)?;
    let text = response.text()?;
    // A draft is answered by its address, or as the whole invoice, which has it among its links.
    if name == "create_invoice" {
        let answer: Map<String, Value> = input(text)?;
        let of_self = |links: &Value| {
            let found = links
                .as_array()?
                .iter()
                .find(|link| link.get("rel").is_some_and(|rel| rel == "self"))?;
            found.get("href").cloned()
        };
        let href = answer
            .get("href")
            .cloned()
            .or_else(|| of_self(answer.get("links")?));
        let href =
            href.ok_or_else(|| Error::invalid_data("PayPal's answer does not say where the draft is"))?;
        return Ok(json!({ "href": href, "id": answer.get("id") }).to_string());
    }
    Ok(text.to_owned())
}

#[derive(Deserialize)]
struct Refund {
    capture: String,
    value: Option<String>,
    currency: Option<String>,
    note: Option<String>,
}

fn refund(of: &Refund) -> Result<(String, Value), Error> {
    let mut body = Map::new();
    if let (Some(value), Some(currency)) = (&of.value, &of.currency) {
        body.insert(
            "amount".to_owned(),
            json!({"value": value, "currency_code": currency}),
        );
    }
    if let Some(note) = &of.note {
        body.insert("note_to_payer".to_owned(), json!(note));
    }
    Ok((
        format!("/v2/payments/captures/{}/refund", id(&of.capture, "/capture")?),
        Value::Object(body),
    ))
}

#[derive(Deserialize)]
struct Order {
    order: String,
}

fn capture(of: &Order) -> Result<(String, Value), Error> {
    Ok((
        format!("/v2/checkout/orders/{}/capture", id(&of.order, "/order")?),
        json!({}),
    ))
}

fn id<'t>(text: &'t str, pointer: &str) -> Result<&'t str, Error> {
    match api::is_id(text) {
        true => Ok(text),
        false => Err(Error::invalid_data("not an id of PayPal's").at(pointer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer};

    fn act(name: &str, input: &str) -> Result<String, Error> {
        let config =
            crate::config::of(&testing::connection(r#"{"host":"api-m.sandbox.paypal.com"}"#)).unwrap();
        run(&config, name, input, "key-1")
    }

    #[test]
    fn each_is_one_request_with_its_key() {
        testing::serve(|_| answer(201, &[], r#"{"id":"1JU08902781691411","status":"COMPLETED"}"#));
        let answered = act(
            "refund_capture",
            r#"{"capture":"2GG279541U471931P","value":"5.00","currency":"EUR"}"#,
        );
        assert!(answered.unwrap().contains("COMPLETED"));
        act("capture_order", r#"{"order":"5O190127TN364715T"}"#).unwrap();
        let requests = testing::requests();
        assert_eq!(requests[0].header_value("paypal-request-id"), Some("key-1"));
        assert_eq!(
            requests[0].content(),
            Some(br#"{"amount":{"currency_code":"EUR","value":"5.00"}}"#.as_slice())
        );
        assert!(
            requests[1]
                .url()
                .ends_with("/v2/checkout/orders/5O190127TN364715T/capture")
        );
        assert!(act("refund_capture", r#"{"capture":"../x"}"#).is_err());
    }

    #[test]
    fn a_draft_is_told_by_its_address() {
        for body in [
            r#"{"rel":"self","href":"https://api-m.paypal.com/v2/invoicing/invoices/INV2-A"}"#,
            r#"{"id":"INV2-A","links":[{"rel":"self","href":"https://api-m.paypal.com/v2/invoicing/invoices/INV2-A"}]}"#,
        ] {
            testing::serve(move |_| answer(201, &[], body));
            let made = act("create_invoice", r#"{"detail":{"currency_code":"EUR"}}"#).unwrap();
            assert!(made.contains("invoices/INV2-A"), "{made}");
        }
        testing::serve(|_| answer(201, &[], "{}"));
        assert!(act("create_invoice", r#"{"detail":{"currency_code":"EUR"}}"#).is_err());
    }
}
