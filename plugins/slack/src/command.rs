//! Slash commands (Slack docs, "Slash commands"): a form, of which the event has every field but the token. The host has checked
//! the signature, and finds the workspace in `team_id`.

use sluice_sdk::record;
use sluice_sdk::{Error, Event, Handled, Receipt};

use crate::form;
use crate::interaction::acknowledged;

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let mut fields = form::fields(receipt)?;
    let mut handled = acknowledged();
    // Slack looks now and then at the address's certificate; nobody used a command.
    if fields.contains_key("ssl_check") {
        return Ok(handled);
    }
    // By it requests were once verified.
    fields.remove("token");
    let Some(trigger) = fields.get("trigger_id").filter(|trigger| !trigger.is_empty()) else {
        return Err(Error::invalid_data("the form has no `trigger_id`"));
    };
    handled.events.push(Event {
        kind: "command".to_owned(),
        // Slack gives a command no id, but a trigger that is its own.
        id: trigger.clone(),
        occurred: None,
        data: record::text(&fields)?,
    });
    Ok(handled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use sluice_sdk::testing::receipt;

    #[test]
    fn a_command_is_an_event_with_its_fields() {
        let handled = handle(&receipt(&[], include_str!("../fixtures/command.form").trim())).unwrap();
        let [event] = &handled.events[..] else {
            panic!("{:?}", handled.events)
        };
        assert_eq!(
            (event.kind.as_str(), event.id.as_str()),
            ("command", "1714557600.105.5e0ab9f6")
        );
        let data: Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(
            data,
            json!({
                "team_id": "T0DOORS", "team_domain": "doors", "channel_id": "C0GENERAL", "channel_name": "general",
                "user_id": "U1MONA", "user_name": "mona", "command": "/door", "text": "öffne + \"front\"",
                "api_app_id": "A0SLUICE", "is_enterprise_install": "false",
                "response_url": "https://hooks.slack.com/commands/T0DOORS/1/e", "trigger_id": "1714557600.105.5e0ab9f6"
            })
        );
        let reply = handled.reply.unwrap();
        assert_eq!((reply.status, reply.body.len()), (200, 0));
    }

    #[test]
    fn what_is_no_command_is_none() {
        let looked = handle(&receipt(&[], "ssl_check=1&token=old")).unwrap();
        assert!(looked.events.is_empty() && looked.reply.is_some());
        for body in ["", "command=%2Fdoor", "trigger_id=", "trigger_id=%zz", "{}"] {
            let refused = handle(&receipt(&[], body));
            assert!(matches!(refused, Err(Error::InvalidData(_))), "{body}");
        }
    }

    #[test]
    fn the_manifest_declares_it() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let webhook = manifest.webhook("commands").unwrap();
        assert_eq!(
            (webhook.events.len(), webhook.events[0].kind.as_str()),
            (1, "command")
        );
        assert!(webhook.reply);
    }
}
