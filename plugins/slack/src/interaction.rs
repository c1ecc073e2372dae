//! What people do in messages, menus and modals (Slack docs, "Handling user interaction", "Interaction payloads"): a form whose field
//! `payload` is JSON. Each becomes one event of ours. The host has checked the signature.
//!
//! An event has what its reader needs to react (`response_url`, `trigger_id`), and no token.

use serde::Deserialize;
use serde_json::{Map, Value};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Error, Event, Handled, Receipt, Reply, log};

use crate::{form, ts};

/// The types that `connector.toml` declares, there with `interaction.` before them.
const KINDS: [&str; 5] = [
    "block_actions",
    "message_action",
    "shortcut",
    "view_closed",
    "view_submission",
];

/// Members that are secrets: the token by which requests were once verified, and the one of a workflow's step.
const SECRETS: [&str; 2] = ["token", "bot_access_token"];

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    /// None where the app is installed for a whole organization.
    #[serde(borrow, default)]
    team: Option<Named<'a>>,
    #[serde(borrow, default)]
    enterprise: Option<Named<'a>>,
    #[serde(default)]
    is_enterprise_install: Option<bool>,
    #[serde(borrow, default)]
    trigger_id: Text<'a>,
    /// In a workflow's step it stands in the place of `trigger_id`.
    #[serde(borrow, default)]
    interactivity: Option<Interactivity<'a>>,
    #[serde(borrow, default)]
    view: Option<View<'a>>,
    #[serde(borrow, default)]
    action_ts: Text<'a>,
    #[serde(borrow, default)]
    actions: Vec<Acted<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
}

#[derive(Deserialize)]
struct Interactivity<'a> {
    #[serde(borrow, default)]
    interactivity_pointer: Text<'a>,
}

#[derive(Deserialize)]
struct View<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    hash: Text<'a>,
    #[serde(borrow, default)]
    app_installed_team_id: Text<'a>,
}

#[derive(Deserialize)]
struct Acted<'a> {
    #[serde(borrow, default)]
    action_ts: Text<'a>,
}

impl Payload<'_> {
    /// Whose installation of the app it concerns: the organization's where the app is installed for all of it, else the
    /// workspace's; of a modal, that which the app is installed in, though another company's person may have sent it.
    ///
    /// Whose the person is (`user.team_id`) is no sign: in a channel that companies share, somebody of another workspace, which
    /// may be connected here too, presses this one's buttons.
    fn installation(&self) -> Option<&str> {
        let organization = self.enterprise.as_ref().map(|named| named.id.as_str());
        let modals = self.view.as_ref().map(|view| view.app_installed_team_id.as_str());
        let workspace = self.team.as_ref().map(|named| named.id.as_str());
        let first = organization.filter(|_| self.is_enterprise_install == Some(true));
        [first, modals, workspace, organization]
            .into_iter()
            .flatten()
            .find(|id| !id.is_empty())
    }

    /// The same for a redelivery: Slack gives an interaction no id, but a trigger that is its own, and a closed modal no trigger.
    fn id(&self) -> Option<String> {
        let pointer = self
            .interactivity
            .as_ref()
            .map(|of| of.interactivity_pointer.as_str());
        let trigger = [Some(self.trigger_id.as_str()), pointer];
        if let Some(trigger) = trigger.into_iter().flatten().find(|text| !text.is_empty()) {
            return Some(trigger.to_owned());
        }
        let view = self.view.as_ref().filter(|view| !view.id.as_str().is_empty())?;
        let (kind, id, hash) = (self.kind.as_str(), view.id.as_str(), view.hash.as_str());
        Some(format!("{kind}-{id}-{hash}"))
    }

    /// When it was done, in milliseconds, where it says so.
    fn occurred(&self) -> Option<u64> {
        let acted = self.actions.first().map(|action| action.action_ts.as_str());
        let at = [Some(self.action_ts.as_str()), acted];
        Some(at.into_iter().flatten().find_map(ts::parse)? / 1_000)
    }
}

/// The workspace or organization that it concerns.
pub(crate) fn route(receipt: &Receipt) -> Result<Vec<String>, Error> {
    let text = payload(receipt)?;
    let account = read(&text)?.installation().map(str::to_owned);
    Ok(account.into_iter().collect())
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let text = payload(receipt)?;
    let payload = read(&text)?;
    let kind = payload.kind.as_str();
    if kind.is_empty() {
        return Err(Error::invalid_data("the payload has no `type`"));
    }
    let mut handled = acknowledged();
    if !KINDS.contains(&kind) {
        log::info("an interaction is of a type that the manifest does not have: passed over");
        return Ok(handled);
    }
    let id = payload.id();
    handled.events.push(Event {
        kind: format!("interaction.{kind}"),
        id: id.ok_or_else(|| Error::invalid_data("nothing tells the interaction from others"))?,
        occurred: payload.occurred(),
        data: without_secrets(&text)?,
    });
    Ok(handled)
}

/// Slack's answer for "taken": nothing. Words would be shown as a message, and to a modal they would say what it does next.
pub(crate) fn acknowledged() -> Handled {
    Handled {
        reply: Some(Reply {
            status: 200,
            content_type: "text/plain; charset=utf-8".to_owned(),
            body: Vec::new(),
        }),
        ..Handled::nothing()
    }
}

fn without_secrets(text: &str) -> Result<String, Error> {
    let mut members: Map<String, Value> = serde_json::from_str(text).map_err(not_an_object)?;
    for secret in SECRETS {
        members.remove(secret);
    }
    // By it a workflow's step shows that it acts for the person.
    let person = members
        .get_mut("interactivity")
        .and_then(|of| of.get_mut("interactor"));
    if let Some(Value::Object(person)) = person {
        person.remove("secret");
    }
    record::text(&members)
}

fn payload(receipt: &Receipt) -> Result<String, Error> {
    let payload = form::fields(receipt)?.remove("payload");
    payload.ok_or_else(|| Error::invalid_data("the form has no `payload`"))
}

fn read(text: &str) -> Result<Payload<'_>, Error> {
    serde_json::from_str(text).map_err(not_an_object)
}

fn not_an_object(error: serde_json::Error) -> Error {
    Error::invalid_data(format!("the payload is no interaction of Slack's: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::{http, testing};

    /// It as Slack sends it.
    fn sent(payload: &str) -> Receipt {
        testing::receipt(
            &[("content-type", "application/x-www-form-urlencoded")],
            &format!("payload={}", http::encode(payload)),
        )
    }

    const FIXTURES: [(&str, &str); 5] = [
        (
            "block_actions",
            include_str!("../fixtures/interaction-block-actions.json"),
        ),
        (
            "message_action",
            include_str!("../fixtures/interaction-message-action.json"),
        ),
        ("shortcut", include_str!("../fixtures/interaction-shortcut.json")),
        (
            "view_closed",
            include_str!("../fixtures/interaction-view-closed.json"),
        ),
        (
            "view_submission",
            include_str!("../fixtures/interaction-view-submission.json"),
        ),
    ];

    #[test]
    fn each_is_an_event_of_its_type_and_slack_is_answered_nothing() {
        for (kind, payload) in FIXTURES {
            let handled = handle(&sent(payload)).unwrap();
            let [event] = &handled.events[..] else {
                panic!("{kind}: {:?}", handled.events)
            };
            assert_eq!(event.kind, format!("interaction.{kind}"));
            let mut told: Value = serde_json::from_str(payload).unwrap();
            assert!(told.as_object_mut().unwrap().remove("token").is_some(), "{kind}");
            assert_eq!(serde_json::from_str::<Value>(&event.data).unwrap(), told);
            let id = match kind {
                "view_closed" => "view_closed-V0DOORS-1714557600.door01",
                _ => told["trigger_id"].as_str().unwrap(),
            };
            assert_eq!(event.id, id);
            let occurred = (!kind.starts_with("view")).then_some(1_714_557_600_000);
            assert_eq!(event.occurred, occurred, "{kind}");
            assert!(handled.changes.is_empty() && handled.resync.is_empty());
            let reply = handled.reply.unwrap();
            assert_eq!((reply.status, reply.body.len()), (200, 0));
            assert_eq!(route(&sent(payload)).unwrap(), ["T0DOORS"], "{kind}");
        }
    }

    #[test]
    fn it_concerns_who_has_installed_the_app_and_not_whose_person_it_is() {
        let accounts = |members: &str| {
            let payload =
                format!(r#"{{"type":"view_submission","user":{{"id":"U9","team_id":"T0OTHER"}},{members}}}"#);
            route(&sent(&payload)).unwrap()
        };
        assert_eq!(accounts(r#""team":{"id":"T1","enterprise_id":"E1"}"#), ["T1"]);
        assert_eq!(
            accounts(r#""team":{"id":"T1"},"enterprise":{"id":"E1"},"is_enterprise_install":false"#),
            ["T1"]
        );
        assert_eq!(
            accounts(r#""team":null,"enterprise":{"id":"E1"},"is_enterprise_install":true"#),
            ["E1"]
        );
        assert_eq!(
            accounts(r#""team":{"id":"T1"},"enterprise":{"id":"E1"},"is_enterprise_install":true"#),
            ["E1"]
        );
        assert_eq!(accounts(r#""team":null,"enterprise":{"id":"E1"}"#), ["E1"]);
        assert_eq!(
            accounts(r#""team":{"id":"T2"},"view":{"app_installed_team_id":"T1"}"#),
            ["T1"]
        );
        for nobody in [
            r#""team":null"#,
            r#""team":{}"#,
            r#""team":{"id":7},"enterprise":null"#,
        ] {
            assert!(accounts(nobody).is_empty(), "{nobody}");
        }
    }

    #[test]
    fn no_event_has_a_token() {
        let payload = r#"{"type":"block_actions","token":"hush1","bot_access_token":"hush2","response_url":"https://hooks.slack.com/a",
            "interactivity":{"interactivity_pointer":"1.2.3","interactor":{"id":"U1","secret":"hush3"}}}"#;
        let event = handle(&sent(payload)).unwrap().events.remove(0);
        assert!(!event.data.contains("hush"), "{}", event.data);
        assert!(event.data.contains("https://hooks.slack.com/a") && event.data.contains(r#"{"id":"U1"}"#));
        assert_eq!(event.id, "1.2.3");
    }

    #[test]
    fn a_type_that_nobody_declared_is_passed_over() {
        let handled = handle(&sent(r#"{"type":"block_suggestion","trigger_id":"1.2.3"}"#)).unwrap();
        assert!(handled.events.is_empty() && handled.reply.is_some());
    }

    #[test]
    fn what_is_no_interaction_is_refused() {
        let bodies = [
            "",
            "payload",
            "payload=",
            "payload=%7B",
            "payload=%ff",
            "a=1",
            "{}",
        ];
        for body in bodies {
            let receipt = testing::receipt(&[], body);
            assert!(matches!(handle(&receipt), Err(Error::InvalidData(_))), "{body}");
            assert!(matches!(route(&receipt), Err(Error::InvalidData(_))), "{body}");
        }
        for payload in [
            "[]",
            "{}",
            r#"{"type":"shortcut"}"#,
            r#"{"type":"view_closed","view":{}}"#,
        ] {
            assert!(
                matches!(handle(&sent(payload)), Err(Error::InvalidData(_))),
                "{payload}"
            );
        }
        assert!(matches!(
            route(&sent(r#"{"team":"T1"}"#)),
            Err(Error::InvalidData(_))
        ));
    }

    #[test]
    fn the_manifest_declares_these_kinds() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let webhook = manifest.webhook("interactions").unwrap();
        let declared = webhook.events.iter().map(|event| event.kind.as_str());
        assert!(declared.eq(KINDS.map(|kind| format!("interaction.{kind}"))));
        assert_eq!(webhook.account, Some(sluice_model::manifest::AccountBy::Code));
        assert!(webhook.reply);
    }
}
