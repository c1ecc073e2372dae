//! The vendors' own libraries sign what the real server verifies: Stripe's, GitHub's, Svix's, Standard Webhooks', Slack's, Twilio's,
//! HubSpot's, Discord's, SendGrid's, Braintree's and Atlassian's.

use data_encoding::BASE64;
use serde_json::{Value, json};

use sluice_model::manifest::Manifest;

use super::{PUBLIC, World, now_s, read, recipe, webhook};
use crate::counterpart::Judge;

/// What is judged here by the vendors' libraries is what the connectors have.
#[test]
fn the_connectors_have_the_recipes_that_are_judged() {
    let shipped = [
        (
            include_str!("../../../plugins/discord/connector.toml"),
            "interactions",
            "Discord",
        ),
        (
            include_str!("../../../plugins/discord/connector.toml"),
            "events",
            "Discord",
        ),
        (
            include_str!("../../../plugins/github/connector.toml"),
            "events",
            "GitHub",
        ),
        (
            include_str!("../../../plugins/gitlab/connector.toml"),
            "events",
            "GitLab",
        ),
        (
            include_str!("../../../plugins/gitlab/connector.toml"),
            "signed",
            "Standard Webhooks",
        ),
        (
            include_str!("../../../plugins/slack/connector.toml"),
            "events",
            "Slack",
        ),
        (
            include_str!("../../../plugins/slack/connector.toml"),
            "interactions",
            "Slack",
        ),
        (
            include_str!("../../../plugins/slack/connector.toml"),
            "commands",
            "Slack",
        ),
        (
            include_str!("../../../plugins/zoom/connector.toml"),
            "events",
            "Zoom",
        ),
        (
            include_str!("../../../plugins/mailgun/connector.toml"),
            "events",
            "Mailgun",
        ),
        (
            include_str!("../../../plugins/postmark/connector.toml"),
            "basic",
            "Postmark",
        ),
        (
            include_str!("../../../plugins/sendgrid/connector.toml"),
            "events",
            "SendGrid",
        ),
    ];
    for (manifest, name, system) in shipped {
        let manifest = Manifest::parse(manifest).unwrap_or_else(|error| panic!("{system}: {error}"));
        let webhook = manifest
            .webhook(name)
            .unwrap_or_else(|| panic!("{system} has no {name}"));
        assert_eq!(webhook.recipe, read("one", &recipe(system)).recipe, "{system}");
    }
}

#[test]
fn what_the_vendors_libraries_sign_is_taken_and_nothing_else() {
    let judge = Judge::node("judge/inbound.mjs", &[]);
    let world = World::start();
    let known = judge.ask(&json!({"vendors": true}));
    let known = known["vendors"]
        .as_array()
        .unwrap_or_else(|| panic!("no vendors: {known}"));
    assert!(known.len() >= 14, "{known:?}");
    let text = |row: &Value, name: &str| row[name].as_str().expect(name).to_owned();
    let webhooks: String = known
        .iter()
        .enumerate()
        .map(|(at, row)| webhook(&format!("w{at}"), &recipe(&text(row, "system"))))
        .collect();
    let connection = world.connect("libraries", &webhooks);
    for (at, row) in known.iter().enumerate() {
        let vendor = text(row, "vendor");
        let hook = world.hook(&connection, &format!("w{at}"), Some(&text(row, "secret")));
        let url = format!("{PUBLIC}/hooks/{hook}");
        let signed = judge.ask(&json!({"vendor": vendor, "url": url, "now": now_s()}));
        assert_eq!(signed["method"], "POST", "{vendor}: {signed}");
        let target = text(&signed, "url")[PUBLIC.len()..].to_owned();
        let pair = |pair: &Value| {
            let part = |at: usize| pair[at].as_str().expect("a text").to_owned();
            (part(0), part(1))
        };
        let headers: Vec<(String, String)> = signed["headers"]
            .as_array()
            .expect("headers")
            .iter()
            .map(pair)
            .collect();
        let body = BASE64
            .decode(text(&signed, "body_base64").as_bytes())
            .expect("a body");

        // Every header that proves something, damaged; the body, damaged where it is signed.
        let own = |name: &str| name != "content-type";
        for at in headers
            .iter()
            .enumerate()
            .filter(|(_, (name, _))| own(name))
            .map(|(at, _)| at)
        {
            let mut damaged = headers.clone();
            let value = &mut damaged[at].1;
            let middle = value.len() / 2;
            let other = if &value[middle..=middle] == "1" { "2" } else { "1" };
            value.replace_range(middle..=middle, other);
            let answer = world.send("POST", &target, &damaged, &body);
            assert_eq!(answer.status, 401, "{vendor}: {:?} was taken", damaged[at]);
        }
        // Connect's token says nothing about the body.
        if vendor != "atlassian connect" {
            let mut damaged = body.clone();
            let middle = damaged.len() / 2;
            damaged[middle] ^= 1;
            let answer = world.send("POST", &target, &headers, &damaged);
            assert_eq!(answer.status, 401, "{vendor}: another body was taken");
        }
        let answer = world.send("POST", &target, &headers, &body);
        let log = || world.server.log_tail();
        assert_eq!(answer.status, 200, "{vendor}: {}\n{}", answer.text(), log());
        assert_eq!(world.receipts(&hook).len(), 1, "{vendor}");
    }
}
