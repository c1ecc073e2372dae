//! Slack's Web API: where it is, and how it says no. Nearly every answer has status 200; `ok` tells, and `error` why
//! (Slack docs, "Using the Slack Web API", "Evaluating responses").

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::Error;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::Text;

/// The only address this connector knows; `connector.toml` asks for nothing else.
const ROOT: &str = "https://slack.com/api";

/// Records of one page: Slack recommends no more than 200 ("Pagination").
pub(crate) const PER_PAGE: &str = "200";

/// The longest `next_cursor` that is carried on.
const MAX_CURSOR_BYTES: usize = 1_024;

/// A call of a method that reads.
pub(crate) fn get(method: &str) -> Request {
    http::get(format!("{ROOT}/{method}"))
}

/// A call of a method with a JSON body. Slack warns about a JSON type without a charset.
pub(crate) fn post(method: &str, json: String) -> Request {
    http::post(format!("{ROOT}/{method}")).body("application/json; charset=utf-8", json)
}

/// What a method answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Fine(Response),
    Refused(Refusal),
}

/// A no, with the code that Slack gives.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    /// The scope that is missing.
    needed: String,
}

/// Sends it; an error is one of the way there or of the status.
pub(crate) fn send(request: Request) -> Result<Answer, Error> {
    #[derive(Deserialize)]
    struct Head<'a> {
        ok: bool,
        #[serde(borrow, default)]
        error: Text<'a>,
        #[serde(borrow, default)]
        needed: Text<'a>,
    }
    let response = request.send()?.ok()?;
    let head: Head<'_> = response.json()?;
    if head.ok {
        return Ok(Answer::Fine(response));
    }
    let short = |text: &Text<'_>| {
        let plain = text.as_str().chars().filter(|c| !c.is_control());
        plain.take(100).collect::<String>()
    };
    let refusal = Refusal {
        code: short(&head.error),
        needed: short(&head.needed),
    };
    Ok(Answer::Refused(refusal))
}

impl Answer {
    /// The response, or what the refusal means.
    pub(crate) fn ok(self) -> Result<Response, Error> {
        match self {
            Self::Fine(response) => Ok(response),
            Self::Refused(refusal) => Err(refusal.into_error()),
        }
    }
}

impl Refusal {
    /// Whether the channel that was asked for is not there, or not for this token.
    pub(crate) fn is_about_the_channel(&self) -> bool {
        matches!(
            self.code.as_str(),
            "channel_not_found" | "not_in_channel" | "is_archived"
        )
    }

    /// Whether the cursor that was sent is no longer one.
    pub(crate) fn is_about_the_cursor(&self) -> bool {
        self.code == "invalid_cursor"
    }

    pub(crate) fn into_error(self) -> Error {
        let message = match self.needed.as_str() {
            "" => format!("Slack answered `{}`", self.code),
            needed => format!("Slack answered `{}`: it needs the scope `{needed}`", self.code),
        };
        match self.code.as_str() {
            "ratelimited" | "rate_limited" => Error::rate_limited(message, None),
            "access_denied"
            | "account_inactive"
            | "ekm_access_denied"
            | "enterprise_is_restricted"
            | "invalid_auth"
            | "missing_scope"
            | "no_permission"
            | "not_allowed_token_type"
            | "not_authed"
            | "org_login_required"
            | "team_access_not_granted"
            | "token_expired"
            | "token_revoked"
            | "two_factor_setup_required" => Error::auth(message),
            "accesslimited"
            | "fatal_error"
            | "internal_error"
            | "request_timeout"
            | "service_unavailable"
            | "team_added_to_org" => Error::transient(message),
            _ => Error::invalid_data(message),
        }
    }
}

/// The members of a list's answer; each method fills one of the arrays.
#[derive(Deserialize)]
pub(crate) struct Listing<'a> {
    #[serde(borrow, default)]
    pub(crate) members: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) channels: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_metadata: Option<Metadata<'a>>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    next_cursor: Text<'a>,
}

impl Listing<'_> {
    /// The cursor of the next page, where there is one; `before` is the one that led here.
    pub(crate) fn next(&self, before: Option<&str>) -> Result<Option<String>, Error> {
        let next = self
            .response_metadata
            .as_ref()
            .map_or("", |metadata| metadata.next_cursor.as_str());
        if next.is_empty() {
            return Ok(None);
        }
        if next.len() > MAX_CURSOR_BYTES || Some(next) == before {
            return Err(Error::invalid_data(
                "Slack's `next_cursor` leads nowhere: it is the same again, or too long",
            ));
        }
        Ok(Some(next.to_owned()))
    }
}

/// What a list without its array is.
pub(crate) fn no_array(name: &str) -> Error {
    Error::invalid_data(format!("Slack's answer has no `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn refused(body: &'static str) -> Error {
        testing::serve(move |_| testing::answer(200, &[], body));
        send(get("users.list")).unwrap().ok().unwrap_err()
    }

    #[test]
    fn a_code_becomes_the_case_of_who_must_act() {
        let missing = refused(r#"{"ok":false,"error":"missing_scope","needed":"users:read"}"#);
        assert!(matches!(missing, Error::Auth(detail) if detail.message.contains("users:read")));
        assert!(matches!(
            refused(r#"{"ok":false,"error":"ratelimited"}"#),
            Error::RateLimited(_)
        ));
        assert!(matches!(
            refused(r#"{"ok":false,"error":"internal_error"}"#),
            Error::Transient(_)
        ));
        assert!(matches!(
            refused(r#"{"ok":false,"error":"too_long"}"#),
            Error::InvalidData(_)
        ));
        assert!(matches!(refused(r#"{"ok":false}"#), Error::InvalidData(_)));
    }

    #[test]
    fn a_rate_limit_says_how_long() {
        testing::serve(|_| {
            testing::answer(
                429,
                &[("retry-after", "30")],
                r#"{"ok":false,"error":"ratelimited"}"#,
            )
        });
        let Err(Error::RateLimited(wait)) = send(get("users.list")) else {
            panic!("429 is a rate limit")
        };
        assert_eq!(wait.retry_after_ms, Some(30_000));
    }

    #[test]
    fn a_cursor_has_to_lead_on() {
        let next = |cursor: &str, before: Option<&str>| {
            let text = format!(r#"{{"response_metadata":{{"next_cursor":"{cursor}"}}}}"#);
            serde_json::from_str::<Listing<'_>>(&text).unwrap().next(before)
        };
        assert_eq!(next("", None).unwrap(), None);
        assert_eq!(next("b", Some("a")).unwrap().as_deref(), Some("b"));
        assert!(next("a", Some("a")).is_err());
        assert!(next(&"a".repeat(2_000), None).is_err());
    }
}
