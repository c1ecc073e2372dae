//! What can be done at HubSpot beside writing streams.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sluice_sdk::Error;
use sluice_sdk::record::{self, input};

use crate::api;

pub(crate) fn run(name: &str, text: &str) -> Result<String, Error> {
    match name {
        "upsert_contact" => upsert_contact(input(text)?),
        "create_deal" => create_deal(input(text)?),
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

#[derive(Deserialize)]
struct Contact {
    email: String,
    #[serde(default)]
    properties: Map<String, Value>,
}

/// HubSpot docs, "Contacts", batch upsert by a property that is unique.
fn upsert_contact(mut contact: Contact) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    contact
        .properties
        .insert("email".to_owned(), Value::from(contact.email.as_str()));
    let body = json!({
        "inputs": [{ "idProperty": "email", "id": contact.email, "properties": texts(contact.properties)? }],
    });
    let response = api::ok(
        api::post("/crm/v3/objects/contacts/batch/upsert")
            .json(&body)?
            .send()?,
    )?;
    let answer: Answer<'_> = response.json()?;
    match &answer.results[..] {
        [one] => Ok(one.get().to_owned()),
        _ => Err(Error::invalid_data(
            "HubSpot's answer does not say what became of the contact",
        )),
    }
}

#[derive(Deserialize)]
struct Deal {
    name: String,
    stage: Option<String>,
    pipeline: Option<String>,
    amount: Option<Value>,
    #[serde(default)]
    properties: Map<String, Value>,
}

/// HubSpot docs, "Deals", create.
fn create_deal(deal: Deal) -> Result<String, Error> {
    let mut properties = deal.properties;
    properties.insert("dealname".to_owned(), Value::from(deal.name));
    let named = [
        ("dealstage", deal.stage.map(Value::from)),
        ("pipeline", deal.pipeline.map(Value::from)),
        ("amount", deal.amount),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            properties.insert(name.to_owned(), value);
        }
    }
    let body = json!({ "properties": texts(properties)? });
    let response = api::ok(api::post("/crm/v3/objects/deals").json(&body)?.send()?)?;
    response.text().map(str::to_owned)
}

/// The properties as HubSpot takes them: values are texts, and an empty one takes a value away.
fn texts(properties: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    properties
        .into_iter()
        .map(|(name, value)| {
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                Value::Bool(_) | Value::Number(_) => record::text(&value)?,
                Value::Array(_) | Value::Object(_) => {
                    return Err(
                        Error::invalid_data("a property has no such value").at(format!("/properties/{name}"))
                    );
                }
            };
            Ok((name, Value::String(text)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn sent() -> Value {
        let requests = testing::requests();
        serde_json::from_slice(requests[0].content().unwrap()).unwrap()
    }

    #[test]
    fn a_contact_is_found_by_its_address() {
        testing::serve(|_| {
            testing::answer(
                200,
                &[],
                r#"{"results":[{"id":"101","new":false,"properties":{}}]}"#,
            )
        });
        let given = r#"{"email":"mona@doors.example","properties":{"door_score":7,"phone":null}}"#;
        assert!(run("upsert_contact", given).unwrap().contains(r#""id":"101""#));
        assert_eq!(
            sent(),
            json!({"inputs": [{
                "idProperty": "email",
                "id": "mona@doors.example",
                "properties": {"email": "mona@doors.example", "door_score": "7", "phone": ""},
            }]})
        );
    }

    #[test]
    fn a_deal_has_a_name_and_what_is_given() {
        testing::serve(|_| testing::answer(201, &[], r#"{"id":"301","properties":{}}"#));
        run("create_deal", r#"{"name":"Ten doors","amount":1250.5}"#).unwrap();
        assert_eq!(
            sent(),
            json!({"properties": {"dealname": "Ten doors", "amount": "1250.5"}})
        );
        let error = run("create_deal", r#"{"name":"x","properties":{"a":[1]}}"#).unwrap_err();
        assert!(
            matches!(error, Error::InvalidData(detail) if detail.pointer.as_deref() == Some("/properties/a"))
        );
        assert!(matches!(run("merge", "{}"), Err(Error::Unsupported(_))));
    }
}
