//! Slack: what people do in it comes to one address of the app, for all its workspaces, signed as Slack's own library accepts it.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{World, id_of};
use crate::counterpart::Judge;
use crate::server::{Answer, http};
use crate::vendors::now_s;

const SECRET: &str = "a made up signing secret";

/// What a person does in this workspace.
fn pressed(team: &str, trigger: &str) -> String {
    let pressed = include_str!("../../../plugins/slack/fixtures/interaction-block-actions.json");
    let pressed = pressed.replace("T0DOORS", team);
    form(&pressed.replace("1714557600.101.5e0ab9f2", trigger))
}

/// A payload as Slack sends it.
fn form(payload: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    let payload: String = payload.trim().bytes().map(letter).collect();
    format!("payload={payload}")
}

/// Slack, which signs as its library wants it.
struct Slack<'w> {
    world: &'w World,
    judge: Judge,
}

impl Slack<'_> {
    fn signed(&self, body: &str, at: u64) -> Vec<(String, String)> {
        let body = BASE64.encode(body.as_bytes());
        let asked = json!({"secret": SECRET, "body_base64": body, "timestamp": at});
        let signed = self.judge.ask(&asked);
        let signature = signed["signature"].as_str();
        let signature = signature.unwrap_or_else(|| panic!("Slack's library does not accept it: {signed}"));
        vec![
            ("x-slack-request-timestamp".to_owned(), at.to_string()),
            ("x-slack-signature".to_owned(), signature.to_owned()),
        ]
    }

    fn send(&self, hook: &Value, headers: &[(String, String)], body: &str) -> Answer {
        let mut all: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        all.push(("content-type", "application/x-www-form-urlencoded"));
        let path = format!("/hooks/{}", id_of(hook));
        http::request(self.world.api().address, "POST", &path, &all, body.as_bytes()).expect("an answer")
    }

    /// Sends it; it is believed only as it was signed.
    fn sends(&self, hook: &Value, body: &str) -> Answer {
        let headers = self.signed(body, now_s());
        let forged = self.send(hook, &headers, &format!("{body}&x=1"));
        assert_eq!(forged.status, 401, "another body: {}", forged.text());
        let answer = self.send(hook, &headers, body);
        assert_eq!(
            answer.status,
            200,
            "{}\n{}",
            answer.text(),
            self.world.server.log_tail()
        );
        answer
    }
}

/// A connection to the workspace.
fn workspace(world: &World, team: &str) -> String {
    let who = json!({"ok": true, "team_id": team, "team": team, "user": "sluice"});
    world.says("GET", "https://slack.com/api/auth.test", 200, &who);
    let asked = json!({"name": team, "connector": "slack", "auth": "bot", "config": {}, "secret": "a made up secret"});
    let made = world.api().post("/api/v1/connections", &asked);
    let connection = id_of(&made);
    let tested = world
        .api()
        .post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    assert_eq!(
        tested["account"]["id"],
        team,
        "{tested}\n{}",
        world.server.log_tail()
    );
    connection
}

#[test]
fn what_people_do_in_slack_reaches_the_connection_of_their_workspace() {
    let world = World::at("slack", &["slack.com"]);
    let (doors, other) = (workspace(&world, "T0DOORS"), workspace(&world, "T0OTHER"));
    let slack = Slack {
        world: &world,
        judge: Judge::node("judge/slack-sign.mjs", &[]),
    };
    let of_the_app = |webhook: &str| {
        let order = json!({"connector": "slack", "webhook": webhook, "secret": SECRET});
        world.api().post("/api/v1/hooks", &order)
    };

    // The workspace stands in JSON within a form, so the connector's code says it.
    let hook = of_the_app("interactions");
    let body = pressed("T0DOORS", "1.1.a");
    let first = slack.sends(&hook, &body);
    assert_eq!(
        first.text(),
        "",
        "the code's answer, and not the host's: {:?}",
        first.headers
    );
    let events = world.events("slack.interaction.block_actions", 1);
    assert_eq!(
        (&events[0]["subject"], &events[0]["source_id"]),
        (&json!(doors), &json!("1.1.a")),
        "{events:?}"
    );
    let data = &events[0]["data"];
    assert_eq!(
        (
            &data["response_url"],
            &data["actions"][0]["value"],
            &data["token"]
        ),
        (
            &json!("https://hooks.slack.com/actions/T0DOORS/1/a"),
            &json!("front"),
            &Value::Null
        ),
        "{data}"
    );
    // The same once more, signed at another time.
    let again = slack.send(&hook, &slack.signed(&body, now_s() - 1), &body);
    assert_eq!(again.json()["duplicate"], true, "{}", again.text());
    slack.sends(&hook, &pressed("T0OTHER", "1.2.b"));
    let events = world.events("slack.interaction.block_actions", 2);
    let of = |trigger: &str| {
        let event = events.iter().find(|event| event["source_id"] == json!(trigger));
        event.map(|event| event["subject"].clone())
    };
    assert_eq!(
        (of("1.1.a"), of("1.2.b")),
        (Some(json!(doors)), Some(json!(other)))
    );
    // A workspace that is not connected: genuine, taken, and nobody's.
    let nobodys = slack.sends(&hook, &pressed("T0NOBODY", "1.3.c")).json();
    assert_eq!(nobodys["receipt"], Value::Null, "{nobodys}");
    // What the code cannot read is not acknowledged.
    let unread = slack.send(&hook, &slack.signed("payload=%7B", now_s()), "payload=%7B");
    assert_eq!(unread.status, 503, "{}", unread.text());

    // A slash command names its workspace in a field.
    let hook = of_the_app("commands");
    let command = include_str!("../../../plugins/slack/fixtures/command.form").trim();
    slack.sends(&hook, command);
    let events = world.events("slack.command", 1);
    assert_eq!(
        (&events[0]["subject"], &events[0]["data"]["command"]),
        (&json!(doors), &json!("/door")),
        "{events:?}"
    );
    assert!(!events[0].to_string().contains("deprecated"), "{events:?}");

    // Slack is answered what it wants, nothing: it shows whatever it is told. At the app's address …
    let answer = slack.sends(&hook, &command.replace("%2Fdoor", "%2Fgate"));
    assert_eq!(answer.text(), "", "{:?}", answer.headers);
    world.events("slack.command", 2);

    // … and at a connection's own.
    let own = world.hook(&other, &json!({"webhook": "commands", "secret": SECRET}));
    let answer = slack.sends(&own, &command.replace("T0DOORS", "T0OTHER"));
    assert_eq!(answer.text(), "", "{:?}", answer.headers);
    world.events("slack.command", 3);
    world.events("slack.interaction.block_actions", 2);
}
