use super::*;
use serde_json::{Value, json};
use sluice_sdk::http::Request;
use sluice_sdk::testing::{self, answer};

const CONFIG: &str = r#"{"login_host":"login.salesforce.com","instance":"doors.my.salesforce.com"}"#;
const CUSTOM: &str = "https://doors.my.salesforce.com/services/data/v62.0/actions/custom/";

type Answered = Result<Response, http::Error>;

/// Lets the organization of the fixtures answer, but where `instead` does.
fn serve(instead: impl Fn(&str) -> Option<(u16, String)> + 'static) {
    testing::serve(move |request: &Request| -> Answered {
        let below = request
            .url()
            .strip_prefix(CUSTOM)
            .unwrap_or_else(|| panic!("{}", request.url()));
        if let Some((status, body)) = instead(below) {
            return answer(status, &[], &body);
        }
        let body = match below {
            "flow" => include_str!("../../fixtures/actions-flow.json"),
            "apex" => include_str!("../../fixtures/actions-apex.json"),
            "apex/DoorRating" => include_str!("../../fixtures/action-apex.json"),
            _ => include_str!("../../fixtures/action-flow.json"),
        };
        answer(200, &[], body)
    });
}

fn listed() -> Result<Vec<ActionInfo>, Error> {
    list(&testing::connection(CONFIG))
}

fn names(actions: &[ActionInfo]) -> Vec<&str> {
    actions.iter().map(|action| action.name.as_str()).collect()
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (
        status,
        json!([{"message": "Said by Salesforce", "errorCode": code}]).to_string(),
    )
}

/// What the log has said so far of actions that were left out.
fn left_out() -> Vec<String> {
    let lines = testing::lines().into_iter().map(|(_, line)| line);
    lines.filter(|line| line.contains("left out")).collect()
}

#[test]
fn the_organizations_actions_are_described() {
    serve(|_| None);
    let found = listed().unwrap();
    assert_eq!(
        names(&found),
        ["flow.Oil_Door", "flow.doors__Close_All", "apex.DoorRating"]
    );
    assert_eq!(found[0].title, "Oil a door");
    let schema = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        schema(&found[0].input),
        json!({
            "type": "object",
            "description": "Sends somebody to oil a door.",
            "required": ["doorId"],
            "additionalProperties": false,
            "properties": {
                "doorId": {"type": "string", "title": "Door", "description": "Which door."},
                "drops": {"type": "number"},
                "on": {"type": "string", "format": "date", "title": "On"},
                "tell": {"type": "array", "items": {"type": "string"}, "maxItems": 2000, "title": "Whom to tell"},
                "account": {"type": "object", "title": "Account",
                    "description": "For whom. (records of Account, each with its `attributes.type`)"},
            },
        })
    );
    assert_eq!(
        schema(&found[0].output),
        json!({
            "type": "object",
            "properties": {
                "Flow__InterviewStatus": {"type": ["string", "null"], "title": "Interview Status",
                    "examples": ["Finished", "Error"]},
                "drips": {"type": ["number", "null"]},
                "told": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
            },
        })
    );
    // A class of Apex's own is not described any further.
    assert_eq!(schema(&found[2].input)["properties"]["how"], json!({}));
    assert_eq!(schema(&found[2].input)["required"], json!(["ids"]));
    assert_eq!(testing::requests().len(), 5);
}

#[test]
fn more_than_a_hundred_are_not_described_and_the_log_says_which() {
    serve(|below| {
        let actions: Vec<_> = (0..103)
            .map(|at| json!({"name": format!("Flow_{at:03}")}))
            .collect();
        (below == "flow").then(|| (200, json!({ "actions": actions }).to_string()))
    });
    let found = listed().unwrap();
    assert_eq!((found.len(), found[99].name.as_str()), (100, "flow.Flow_099"));
    assert_eq!(testing::requests().len(), 102);
    assert_eq!(
        left_out(),
        [
            "4 actions are left out, more than are described: flow.Flow_100, flow.Flow_101, flow.Flow_102, apex.DoorRating"
        ]
    );
}

#[test]
fn what_the_user_may_not_see_is_left_out_and_the_rest_is_there() {
    for (status, code) in [(403, "INSUFFICIENT_ACCESS"), (404, "NOT_FOUND")] {
        serve(move |below| below.starts_with("apex/").then(|| refusal(status, code)));
        assert_eq!(
            names(&listed().unwrap()),
            ["flow.Oil_Door", "flow.doors__Close_All"]
        );
    }
    assert_eq!(
        left_out()[0],
        "1 actions are left out, Salesforce does not let this user see them: apex.DoorRating"
    );
    for (status, code) in [(403, "INSUFFICIENT_ACCESS"), (404, "NOT_FOUND")] {
        serve(move |below| (below == "apex").then(|| refusal(status, code)));
        assert_eq!(listed().unwrap().len(), 2);
    }
}

#[test]
fn a_name_that_is_none_becomes_no_address() {
    serve(|below| {
        let odd = ["", "../sobjects", "a/b", "a?b", "a b", "Oil_Door", "Oil_Door"];
        let actions: Vec<_> = odd.iter().map(|name| json!({ "name": name })).collect();
        (below == "flow").then(|| (200, json!({ "actions": actions }).to_string()))
    });
    assert_eq!(names(&listed().unwrap()), ["flow.Oil_Door", "apex.DoorRating"]);
    assert_eq!(left_out().len(), 5);
}

#[test]
fn what_stops_all_of_them_is_said_by_who_must_act() {
    for place in ["flow", "flow/Oil_Door"] {
        let stopped = |status, code| {
            serve(move |below| (below == place).then(|| refusal(status, code)));
            listed().unwrap_err()
        };
        assert!(matches!(stopped(401, "INVALID_SESSION_ID"), Error::Auth(_)));
        assert!(matches!(
            stopped(403, "REQUEST_LIMIT_EXCEEDED"),
            Error::RateLimited(_)
        ));
        assert!(matches!(stopped(503, "SERVER_UNAVAILABLE"), Error::Transient(_)));
        serve(move |below| (below == place).then(|| (200, "<html>".to_owned())));
        assert!(matches!(listed(), Err(Error::InvalidData(_))));
    }
    // The permission is optional, so the connection is not at fault for being without it.
    testing::serve(|_| Err(http::Error::Denied("GET /services/data".to_owned())));
    assert!(
        matches!(listed(), Err(Error::Unsupported(detail)) if detail.message.contains("GET /services/data"))
    );
}

fn ran(name: &str, status: u16, body: &str) -> Result<String, Error> {
    let body = body.to_owned();
    testing::serve(move |_| answer(status, &[], &body));
    run(&testing::connection(CONFIG), name, r#"{"doorId":"d1","drops":3}"#)
}

#[test]
fn an_action_is_run_once_and_gives_what_it_puts_out() {
    let output = ran("flow.Oil_Door", 200, include_str!("../../fixtures/ran.json")).unwrap();
    assert_eq!(
        output,
        r#"{"Flow__InterviewStatus":"Finished","drips":3.0,"told":["mona"]}"#
    );
    let requests = testing::requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].method(), requests[0].url()),
        ("POST", format!("{CUSTOM}flow/Oil_Door").as_str())
    );
    assert_eq!(
        requests[0].content().unwrap(),
        br#"{"inputs":[{"doorId":"d1","drops":3}]}"#
    );
    let silent = r#"[{"actionName":"DoorRating","errors":null,"isSuccess":true,"outputValues":null}]"#;
    assert_eq!(ran("apex.DoorRating", 200, silent).unwrap(), "{}");
}

#[test]
fn a_refusal_is_the_vendors_with_its_words() {
    let refused = include_str!("../../fixtures/ran-refused.json");
    for status in [200, 400] {
        let error = ran("flow.Oil_Door", status, refused).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidData(detail) if detail.message == "the action failed with `UNKNOWN_EXCEPTION`: The door is stuck"),
            "{error:?}"
        );
    }
    let locked = refused.replace("UNKNOWN_EXCEPTION", "UNABLE_TO_LOCK_ROW");
    assert!(matches!(
        ran("flow.Oil_Door", 400, &locked),
        Err(Error::Transient(_))
    ));
    let wordless = r#"[{"isSuccess":false,"errors":[]}]"#;
    assert!(matches!(
        ran("flow.Oil_Door", 400, wordless),
        Err(Error::InvalidData(_))
    ));
    let by = |status, code| {
        let (status, body) = refusal(status, code);
        ran("apex.DoorRating", status, &body).unwrap_err()
    };
    assert!(matches!(by(400, "JSON_PARSER_ERROR"), Error::InvalidData(_)));
    assert!(matches!(by(401, "INVALID_SESSION_ID"), Error::Auth(_)));
    assert!(
        matches!(by(403, "INSUFFICIENT_ACCESS"), Error::InvalidData(_)),
        "the credential is as good as before"
    );
    assert!(matches!(by(403, "REQUEST_LIMIT_EXCEEDED"), Error::RateLimited(_)));
    assert!(matches!(by(404, "NOT_FOUND"), Error::Unsupported(_)));
    assert!(matches!(by(503, "SERVER_UNAVAILABLE"), Error::Transient(_)));
}

#[test]
fn an_answer_that_cannot_be_read_does_not_say_that_nothing_was_done() {
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"[{"isSuccess":true},{"isSuccess":true}]"#,
    ] {
        assert!(
            matches!(ran("flow.Oil_Door", 200, body), Err(Error::Internal(_))),
            "{body}"
        );
    }
}

#[test]
fn only_an_actions_name_becomes_an_address() {
    for name in [
        "Oil_Door",
        "quickAction.X",
        "flow.",
        "flow.../query",
        "flow.a/b",
        "flow.a.b",
        "Flow.A",
    ] {
        testing::serve(|request| panic!("{}", request.url()));
        let asked = run(&testing::connection(CONFIG), name, "{}");
        assert!(matches!(asked, Err(Error::Unsupported(_))), "{name}");
    }
}

/// Where this asks is what the manifest permits, and no more of the actions is.
#[test]
fn the_manifest_permits_these_addresses() {
    let manifest = sluice_model::manifest::Manifest::parse(include_str!("../../connector.toml")).unwrap();
    assert!(manifest.discovered_actions && manifest.discovered.is_none());
    let text = include_str!("../../connector.toml");
    for kind in TYPES {
        assert!(text.contains(&format!("\"/services/data/v62.0/actions/custom/{kind}/*\"")));
    }
    assert!(!text.contains("actions/custom/*") && !text.contains("actions/standard"));
}
