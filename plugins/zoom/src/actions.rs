//! What can be done at Zoom: a meeting is made ("Create a meeting") and deleted ("Delete a meeting"). Zoom knows no idempotency keys, so a
//! meeting is made by one request; deleting may be repeated.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_sdk::Error;
use sluice_sdk::record::input;

use crate::api;

/// Meetings that begin at once, and those at a time.
const INSTANT: u8 = 1;
const SCHEDULED: u8 = 2;

pub(crate) fn run(name: &str, text: &str) -> Result<String, Error> {
    match name {
        "create_meeting" => create(input(text)?),
        "delete_meeting" => delete(&input(text)?),
        other => Err(Error::unsupported(format!("there is no action `{other}`"))),
    }
}

#[derive(Deserialize, Serialize)]
struct Meeting {
    #[serde(default, skip_serializing)]
    user: Option<String>,
    topic: String,
    #[serde(rename = "type", default)]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agenda: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Value>,
}

fn create(mut meeting: Meeting) -> Result<String, Error> {
    let user = meeting.user.as_deref().unwrap_or("me");
    if !api::is_user(user) {
        return Err(Error::invalid_data("not the id or email address of a person").at("/user"));
    }
    let path = format!("users/{user}/meetings");
    meeting.kind = if meeting.start_time.is_some() {
        SCHEDULED
    } else {
        INSTANT
    };
    let response = api::ok(api::request("POST", &path).json(&meeting)?.send()?)?;
    response.text().map(str::to_owned)
}

#[derive(Deserialize)]
struct Deletion {
    meeting_id: u64,
    #[serde(default)]
    notify: bool,
}

fn delete(deletion: &Deletion) -> Result<String, Error> {
    let request = api::request("DELETE", &format!("meetings/{}", deletion.meeting_id)).query(
        "schedule_for_reminder",
        if deletion.notify { "true" } else { "false" },
    );
    let response = request.send()?;
    let deleted = response.status != 404;
    if deleted {
        api::ok(response)?;
    }
    Ok(format!(r#"{{"deleted":{deleted}}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn a_meeting_is_made_at_a_time_or_at_once() {
        let sent = |input: &str| {
            testing::serve(|_| testing::answer(201, &[], r#"{"id":1,"join_url":"https://zoom.us/j/1"}"#));
            assert!(run("create_meeting", input).unwrap().contains("join_url"));
            let request = &testing::requests()[0];
            let body = String::from_utf8(request.content().unwrap().to_vec()).unwrap();
            (request.url().to_owned(), body)
        };
        assert_eq!(
            sent(r#"{"topic":"Doors","start_time":"2024-05-02T10:00:00Z","duration":30}"#),
            (
                "https://api.zoom.us/v2/users/me/meetings".to_owned(),
                r#"{"topic":"Doors","type":2,"start_time":"2024-05-02T10:00:00Z","duration":30}"#.to_owned()
            )
        );
        let (url, body) = sent(r#"{"topic":"Now","user":"mona@doors.example"}"#);
        assert!(url.ends_with("/users/mona@doors.example/meetings") && body.contains(r#""type":1"#));
    }

    #[test]
    fn deleting_twice_is_deleting_once() {
        testing::serve(|_| testing::answer(204, &[], ""));
        assert_eq!(
            run("delete_meeting", r#"{"meeting_id":7}"#).unwrap(),
            r#"{"deleted":true}"#
        );
        testing::serve(|_| testing::answer(404, &[], r#"{"code":3001}"#));
        assert_eq!(
            run("delete_meeting", r#"{"meeting_id":7}"#).unwrap(),
            r#"{"deleted":false}"#
        );
        testing::serve(|_| testing::answer(401, &[], "{}"));
        assert!(matches!(
            run("delete_meeting", r#"{"meeting_id":7}"#),
            Err(Error::Auth(_))
        ));
    }

    #[test]
    fn bad_input_is_pointed_at_and_never_becomes_a_path() {
        let refused = run("create_meeting", r#"{"topic":"x","user":"a/../b"}"#);
        assert!(
            matches!(refused, Err(Error::InvalidData(detail)) if detail.pointer.as_deref() == Some("/user"))
        );
        assert!(matches!(run("dance", "{}"), Err(Error::Unsupported(_))));
    }
}
