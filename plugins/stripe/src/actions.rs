//! What can be done at Stripe. The answers are Stripe's own, unchanged; `connector.toml` says which of their members can be
//! relied on.
//!
//! Every request carries the call's idempotency key ("Idempotent requests"): Stripe answers a repeated one with what it
//! answered first, for at least 24 hours, so the host may repeat it after a lost answer.

use std::fmt::Write as _;

use serde_json::Value;
use sluice_sdk::Error;
use sluice_sdk::http;
use sluice_sdk::record::input;

use crate::api;

/// How deep an input may be nested: Stripe's own parameters are at most four levels deep.
const MAX_DEPTH: usize = 4;

/// An action: where it is posted to and the parameters that it takes.
struct Action {
    name: &'static str,
    path: &'static str,
    parameters: &'static [&'static str],
}

const ACTIONS: [Action; 4] = [
    // Stripe API docs, "Create a customer".
    Action {
        name: "create_customer",
        path: "/v1/customers",
        parameters: &["address", "description", "email", "metadata", "name", "phone"],
    },
    // "Create an invoice item": what the next invoice of a customer, or a draft, asks money for.
    Action {
        name: "create_invoice_item",
        path: "/v1/invoiceitems",
        parameters: &[
            "amount",
            "currency",
            "customer",
            "description",
            "invoice",
            "metadata",
        ],
    },
    // "Create an invoice".
    Action {
        name: "create_invoice",
        path: "/v1/invoices",
        parameters: &[
            "auto_advance",
            "collection_method",
            "currency",
            "customer",
            "days_until_due",
            "description",
            "metadata",
            "pending_invoice_items_behavior",
            "subscription",
        ],
    },
    // "Create a refund".
    Action {
        name: "create_refund",
        path: "/v1/refunds",
        parameters: &["amount", "charge", "metadata", "payment_intent", "reason"],
    },
];

pub(crate) fn run(name: &str, text: &str, idempotency_key: &str) -> Result<String, Error> {
    let Some(action) = ACTIONS.iter().find(|action| action.name == name) else {
        return Err(Error::unsupported(format!("there is no action `{name}`")));
    };
    let parameters: serde_json::Map<String, Value> = input(text)?;
    if let Some(other) = parameters
        .keys()
        .find(|key| !action.parameters.contains(&key.as_str()))
    {
        return Err(Error::invalid_data("this action has no such parameter").at(format!("/{other}")));
    }
    let request = api::post(action.path, form(&parameters)?).idempotency_key(idempotency_key);
    api::ok(request.send()?)?.text().map(str::to_owned)
}

/// The parameters as the form that Stripe reads: `metadata[door]=7`, `items[0]=a`.
fn form(parameters: &serde_json::Map<String, Value>) -> Result<String, Error> {
    let mut form = String::new();
    for (name, value) in parameters {
        add(&mut form, &http::encode(name), value, 0).map_err(|error| error.at(format!("/{name}")))?;
    }
    Ok(form)
}

fn add(form: &mut String, name: &str, value: &Value, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid_data("is nested too deeply"));
    }
    let text = match value {
        // An empty text would unset a value; a null is one that was not given.
        Value::Null => return Ok(()),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => http::encode(text),
        Value::Array(list) => {
            return (0..).zip(list).try_for_each(|(at, value): (usize, _)| {
                add(form, &format!("{name}%5B{at}%5D"), value, depth + 1)
            });
        }
        Value::Object(map) => {
            return map.iter().try_for_each(|(key, value)| {
                add(
                    form,
                    &format!("{name}%5B{}%5D", http::encode(key)),
                    value,
                    depth + 1,
                )
            });
        }
    };
    let between = if form.is_empty() { "" } else { "&" };
    // Writing into a string can't fail.
    let _ = write!(form, "{between}{name}={text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn check(name: &str, input: &str, url: &str, body: &str) {
        testing::serve(|_| testing::answer(200, &[], r#"{"id":"x_1"}"#));
        assert_eq!(run(name, input, "key-1").unwrap(), r#"{"id":"x_1"}"#);
        let requests = testing::requests();
        assert_eq!((requests[0].method(), requests[0].url()), ("POST", url));
        assert_eq!(std::str::from_utf8(requests[0].content().unwrap()).unwrap(), body);
        assert_eq!(
            requests[0].header_value("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        assert!(format!("{:?}", requests[0]).contains(r#"Some("key-1")"#));
    }

    #[test]
    fn each_action_is_one_form_with_a_key() {
        check(
            "create_customer",
            r#"{"email":"mona+1@example.com","name":"Möna","metadata":{"door":"7&8"},"address":{"city":"Kiel"},"phone":null}"#,
            "https://api.stripe.com/v1/customers",
            "address%5Bcity%5D=Kiel&email=mona%2B1%40example.com&metadata%5Bdoor%5D=7%268&name=M%C3%B6na",
        );
        check(
            "create_invoice_item",
            r#"{"customer":"cus_1","amount":1900,"currency":"eur"}"#,
            "https://api.stripe.com/v1/invoiceitems",
            "amount=1900&currency=eur&customer=cus_1",
        );
        check(
            "create_invoice",
            r#"{"customer":"cus_1","collection_method":"send_invoice","days_until_due":14,"auto_advance":false}"#,
            "https://api.stripe.com/v1/invoices",
            "auto_advance=false&collection_method=send_invoice&customer=cus_1&days_until_due=14",
        );
        check(
            "create_refund",
            r#"{"charge":"ch_1","reason":"requested_by_customer"}"#,
            "https://api.stripe.com/v1/refunds",
            "charge=ch_1&reason=requested_by_customer",
        );
    }

    #[test]
    fn lists_are_numbered_and_depth_is_bounded() {
        let value: serde_json::Map<String, Value> = serde_json::from_str(r#"{"a":[1,{"b":true}]}"#).unwrap();
        assert_eq!(form(&value).unwrap(), "a%5B0%5D=1&a%5B1%5D%5Bb%5D=true");
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(9), "]".repeat(9));
        let value: serde_json::Map<String, Value> = serde_json::from_str(&deep).unwrap();
        assert!(form(&value).is_err());
    }

    #[test]
    fn bad_input_is_pointed_at() {
        let error = run("create_refund", r#"{"charge":"ch_1","expand":"all"}"#, "k").unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.pointer.as_deref() == Some("/expand")));
        assert!(matches!(
            run("create_refund", "[]", "k"),
            Err(Error::InvalidData(_))
        ));
        assert!(matches!(run("pay_out", "{}", "k"), Err(Error::Unsupported(_))));
    }

    #[test]
    fn a_refusal_carries_stripes_words() {
        let body = r#"{"error":{"message":"No such customer: 'cus_9'","param":"customer","type":"invalid_request_error"}}"#;
        testing::serve(move |_| testing::answer(400, &[], body));
        let error = run("create_invoice", r#"{"customer":"cus_9"}"#, "k").unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.message.contains("No such customer")));
    }

    /// The manifest's input schemas and this file name the same parameters.
    #[test]
    fn the_manifest_says_the_same() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        assert_eq!(manifest.actions.len(), ACTIONS.len());
        for action in &ACTIONS {
            let declared = &manifest.action(action.name).unwrap().input;
            assert_eq!(declared["additionalProperties"], false);
            let names: Vec<&str> = declared["properties"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(names, action.parameters, "{}", action.name);
        }
    }
}
