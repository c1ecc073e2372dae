//! A token endpoint's answer, read as its recipe says. Nothing in it is believed before it is looked at.

use serde_json::Value;
use sluice_model::Timestamp;
use sluice_model::auth::AnswerRecipe;
use sluice_model::secret::Secret;
use zeroize::Zeroize;

use super::Error;
use super::exchange::Reply;

/// What a token endpoint gave.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) access: Secret,
    /// None: the one that is there goes on.
    pub(super) refresh: Option<Secret>,
    pub(super) expires: Option<Timestamp>,
    /// None: as asked for (RFC 6749 §5.1).
    pub(super) scopes: Option<Vec<String>>,
    pub(super) id_token: Option<Secret>,
    pub(super) account: Option<String>,
    /// The answer itself without its tokens, for what goes into the configuration.
    pub(super) rest: Value,
}

/// Longer tokens are refused: no header of ours carries them.
const MAX_TOKEN_BYTES: usize = 16 << 10;
/// A token that lives longer is not believed; `expires_in` of 2^63 is a bug of the vendor.
const MAX_LIFETIME_S: u64 = 100 * 366 * 86_400;

/// What an answer to a refresh gave.
#[derive(Debug)]
pub(super) enum Renewal {
    Whole(Tokens),
    /// A token whose time nobody can believe is not used. What came with it to bring the next one has to be kept: the refresh
    /// token before may be used up, and the account would be lost.
    Timeless(Option<Secret>),
}

/// Reads the tokens out of an answer to a refresh.
pub(super) fn renewed(recipe: &AnswerRecipe, reply: &Reply, now: Timestamp) -> Result<Renewal, Error> {
    let mut found = read(recipe, reply)?;
    Ok(match expires(recipe, &found.rest, now) {
        Ok(expires) => {
            found.expires = expires;
            Renewal::Whole(found)
        }
        Err(_) => Renewal::Timeless(found.refresh),
    })
}

/// Reads the tokens out of an answer, or says why there are none.
pub(super) fn tokens(recipe: &AnswerRecipe, reply: &Reply, now: Timestamp) -> Result<Tokens, Error> {
    let mut found = read(recipe, reply)?;
    found.expires = expires(recipe, &found.rest, now)?;
    Ok(found)
}

/// Everything but the time.
fn read(recipe: &AnswerRecipe, reply: &Reply) -> Result<Tokens, Error> {
    let mut body = document(reply)?;
    if let Some(refusal) = refusal(recipe, reply.status, &body) {
        return Err(refusal);
    }
    let access = token(&mut body, &recipe.access_token)?.ok_or(Error::Answer("it has no access token"))?;
    let refresh = token(&mut body, &recipe.refresh_token)?;
    let id_token = token(&mut body, &recipe.id_token)?;
    let account = recipe
        .account
        .as_ref()
        .and_then(|pointer| text_at(&body, pointer));
    Ok(Tokens {
        access,
        refresh,
        expires: None,
        scopes: scopes(body.pointer(&recipe.scope)),
        id_token,
        account: account.filter(|account| account.len() <= 512),
        rest: body,
    })
}

/// The answer as JSON, whether it came as JSON or as a form, as some vendors have it.
pub(super) fn document(reply: &Reply) -> Result<Value, Error> {
    if let Ok(value) = serde_json::from_slice::<Value>(&reply.body) {
        return if value.is_object() || value.is_array() {
            Ok(value)
        } else {
            Err(Error::Answer("it is not a JSON object"))
        };
    }
    let is_form = reply
        .content_type
        .starts_with("application/x-www-form-urlencoded")
        || reply.content_type.starts_with("text/plain");
    let text = std::str::from_utf8(&reply.body).unwrap_or_default();
    if is_form && text.contains('=') && !text.contains(['<', '\n', ' ']) {
        let pairs = url::form_urlencoded::parse(text.as_bytes())
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
        return Ok(Value::Object(pairs.collect()));
    }
    Err(if reply.content_type.starts_with("text/html") {
        Error::Answer("it is a web page")
    } else if (500..600).contains(&reply.status) {
        Error::Answer("the vendor has a fault")
    } else {
        Error::Answer("it is neither JSON nor a form")
    })
}

/// Why the vendor gave nothing, if it says so.
pub(super) fn refusal(recipe: &AnswerRecipe, status: u16, body: &Value) -> Option<Error> {
    let code = text_at(body, &recipe.error).filter(|code| !code.is_empty());
    let success = recipe.success.as_ref();
    let failed = success.is_some_and(|success| body.pointer(&success.pointer) != Some(&success.equals));
    if code.is_none() && !failed && (200..300).contains(&status) {
        return None;
    }
    let code = code.unwrap_or_else(|| format!("status {status}"));
    let mut said = plain(&code);
    if let Some(more) = text_at(body, &recipe.error_description).filter(|more| *more != code) {
        said = format!("{said} ({})", plain(&more));
    }
    if recipe.ended.contains(&code) {
        Some(Error::Ended(said))
    } else if code == "access_denied" {
        Some(Error::Denied(said))
    } else {
        Some(Error::Refused(said))
    }
}

/// A vendor's words for a person: one short line. Vendors do quote requests in their errors, so long runs without a space,
/// which is what secrets look like, are left out.
pub(super) fn plain(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        if word.chars().count() > 48 {
            "…".to_owned()
        } else {
            word
        }
    });
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().take(200).collect()
}

fn text_at(body: &Value, pointer: &str) -> Option<String> {
    match body.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Takes a token out of the answer, so that what is left can be looked at.
fn token(body: &mut Value, pointer: &str) -> Result<Option<Secret>, Error> {
    let Some(found) = body.pointer_mut(pointer) else {
        return Ok(None);
    };
    match found.take() {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(mut text) => {
            let fits = text.len() <= MAX_TOKEN_BYTES && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            if !fits {
                text.zeroize();
                return Err(Error::Answer(
                    "a token is too long or has characters that no header may carry",
                ));
            }
            Ok(Some(Secret::new(text.into_bytes())))
        }
        _ => Err(Error::Answer("a token is not a text")),
    }
}

fn expires(recipe: &AnswerRecipe, body: &Value, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    const UNFIT: Error = Error::Lifetime;
    if let Some(found) = recipe
        .expires_at
        .as_ref()
        .and_then(|pointer| body.pointer(pointer))
    {
        let at = match found {
            Value::Number(number) => number.as_u64().map(|seconds| seconds.saturating_mul(1000)),
            Value::String(text) => text
                .parse::<jiff::Timestamp>()
                .ok()
                .map(jiff::Timestamp::as_millisecond)
                .and_then(|millis| u64::try_from(millis).ok())
                .or_else(|| {
                    text.parse::<u64>()
                        .ok()
                        .map(|seconds| seconds.saturating_mul(1000))
                }),
            Value::Null => return Ok(None),
            _ => None,
        };
        let at = Timestamp::from_millis(at.ok_or(UNFIT)?);
        let believable = at > now && at.since(now).as_secs() <= MAX_LIFETIME_S;
        return if believable { Ok(Some(at)) } else { Err(UNFIT) };
    }
    let stated = match body.pointer(&recipe.expires_in) {
        None | Some(Value::Null) => recipe.default_lifetime_s.map(u64::from),
        Some(Value::Number(number)) => Some(whole(number).ok_or(UNFIT)?),
        Some(Value::String(text)) => Some(text.trim().parse().map_err(|_| UNFIT)?),
        Some(_) => return Err(UNFIT),
    };
    match stated {
        // Some vendors write 0 for a token that does not end.
        None | Some(0) => Ok(None),
        Some(seconds) if seconds <= MAX_LIFETIME_S => {
            Ok(Some(now.after(std::time::Duration::from_secs(seconds))))
        }
        Some(_) => Err(UNFIT),
    }
}

fn whole(number: &serde_json::Number) -> Option<u64> {
    let float = number.as_f64()?;
    number
        .as_u64()
        .or_else(|| (float >= 0.0 && float.fract() == 0.0 && float < 1e15).then_some(float as u64))
}

fn scopes(found: Option<&Value>) -> Option<Vec<String>> {
    let all: Vec<String> = match found? {
        Value::String(text) => text
            .split([' ', ','])
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect(),
        Value::Array(items) => items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => return None,
    };
    Some(
        all.into_iter()
            .filter(|scope| scope.len() <= 512)
            .take(200)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluice_model::auth::Success;
    use zeroize::Zeroizing;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn reply(status: u16, kind: &str, body: &str) -> Reply {
        Reply {
            status,
            content_type: kind.to_owned(),
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    fn by_the_rfc(body: &str) -> Result<Tokens, Error> {
        tokens(
            &AnswerRecipe::default(),
            &reply(200, "application/json", body),
            NOW,
        )
    }

    #[test]
    fn an_answer_by_the_rfc() {
        let found = by_the_rfc(
            r#"{"access_token":"a","token_type":"bearer","expires_in":3600,"refresh_token":"r","scope":"x y"}"#,
        )
        .unwrap();
        assert_eq!(found.access.expose(), b"a");
        assert_eq!(found.refresh.unwrap().expose(), b"r");
        assert_eq!(
            found.expires,
            Some(NOW.after(std::time::Duration::from_secs(3600)))
        );
        assert_eq!(found.scopes.unwrap(), ["x", "y"]);
        assert_eq!(found.rest.to_string().matches("\"a\"").count(), 0);
    }

    /// The refresh token that came with it is the only one that is good now.
    #[test]
    fn a_strange_time_costs_no_refresh_token() {
        for time in [
            "-1",
            "\"soon\"",
            "\"-5\"",
            "1e300",
            "0.5",
            "9223372036854775808",
            "{}",
            "true",
        ] {
            let body = format!(r#"{{"access_token":"a","refresh_token":"r","expires_in":{time}}}"#);
            let reply = reply(200, "application/json", &body);
            let found = renewed(&AnswerRecipe::default(), &reply, NOW).unwrap();
            let Renewal::Timeless(Some(refresh)) = found else {
                panic!("{time}: {found:?}")
            };
            assert_eq!(refresh.expose(), b"r", "{time}");
            let first = tokens(&AnswerRecipe::default(), &reply, NOW);
            assert_eq!(first.unwrap_err().code(), "auth.lifetime", "{time}");
        }
        // What vendors do write: a text of digits, nothing, and 0 for a token that does not end.
        for time in ["3600", "\"3600\"", "null", "0"] {
            let body = format!(r#"{{"access_token":"a","refresh_token":"r","expires_in":{time}}}"#);
            let found = renewed(
                &AnswerRecipe::default(),
                &reply(200, "application/json", &body),
                NOW,
            );
            assert!(matches!(found, Ok(Renewal::Whole(_))), "{time}: {found:?}");
        }
    }

    #[test]
    fn a_form_is_read_as_well() {
        let form = reply(
            200,
            "application/x-www-form-urlencoded; charset=utf-8",
            "access_token=a&scope=x%2Cy&expires_in=60",
        );
        let found = tokens(&AnswerRecipe::default(), &form, NOW).unwrap();
        assert_eq!(found.scopes.unwrap(), ["x", "y"]);
        assert!(found.expires.is_some());
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        for (status, kind, body, code) in [
            (200, "text/html", "<html>outage</html>", "auth.bad_answer"),
            (200, "application/json", "", "auth.bad_answer"),
            (200, "application/json", "\"a\"", "auth.bad_answer"),
            (200, "application/json", "{}", "auth.bad_answer"),
            (
                200,
                "application/json",
                r#"{"access_token":7}"#,
                "auth.bad_answer",
            ),
            (
                200,
                "application/json",
                "{\"access_token\":\"a\\nb\"}",
                "auth.bad_answer",
            ),
            (
                200,
                "application/json",
                r#"{"access_token":"a","expires_in":-1}"#,
                "auth.lifetime",
            ),
            (
                200,
                "application/json",
                r#"{"access_token":"a","expires_in":"soon"}"#,
                "auth.lifetime",
            ),
            (
                200,
                "application/json",
                r#"{"access_token":"a","expires_in":9223372036854775808}"#,
                "auth.lifetime",
            ),
            (
                200,
                "application/json",
                r#"{"error":"bad_verification_code"}"#,
                "auth.refused",
            ),
            (
                400,
                "application/json",
                r#"{"error":"invalid_grant","error_description":"gone"}"#,
                "auth.ended",
            ),
            (
                400,
                "application/json",
                r#"{"error":"access_denied"}"#,
                "auth.denied",
            ),
            (500, "application/json", "{}", "auth.refused"),
            (502, "text/html", "<html>", "auth.bad_answer"),
        ] {
            let found = tokens(&AnswerRecipe::default(), &reply(status, kind, body), NOW);
            assert_eq!(found.unwrap_err().code(), code, "{status} {body}");
        }
    }

    #[test]
    fn vendors_own_ways() {
        let recipe = AnswerRecipe {
            access_token: "/authed_user/access_token".to_owned(),
            expires_at: Some("/expires_at".to_owned()),
            account: Some("/team/id".to_owned()),
            success: Some(Success {
                pointer: "/ok".to_owned(),
                equals: Value::Bool(true),
            }),
            ended: vec!["token_revoked".to_owned()],
            ..AnswerRecipe::default()
        };
        let check = |body: &str| tokens(&recipe, &reply(200, "application/json", body), NOW);
        let found = check(
            r#"{"ok":true,"authed_user":{"access_token":"a"},"expires_at":"2023-11-15T00:00:00Z","team":{"id":"T1"}}"#,
        )
        .unwrap();
        assert_eq!(found.account.unwrap(), "T1");
        assert_eq!(found.expires.unwrap().to_string(), "2023-11-15T00:00:00.000Z");
        assert_eq!(
            check(r#"{"ok":false,"error":"token_revoked"}"#)
                .unwrap_err()
                .code(),
            "auth.ended"
        );
        assert_eq!(
            check(r#"{"authed_user":{"access_token":"a"}}"#)
                .unwrap_err()
                .code(),
            "auth.refused"
        );
        assert!(check(r#"{"ok":true,"authed_user":{"access_token":"a"},"expires_at":5}"#).is_err());
    }

    #[test]
    fn a_vendors_words_are_cut_down() {
        let secret = "s".repeat(60);
        let told = plain(&format!("bad\u{1b}[31m secret {secret}\n<b>"));
        assert_eq!(told, "bad[31m secret … <b>");
    }

    proptest! {
        #[test]
        fn never_panics(status in 100u16..600, kind in "(application/json|text/html|text/plain|application/x-www-form-urlencoded)", body in ".{0,200}") {
            let _ = tokens(&AnswerRecipe::default(), &reply(status, &kind, &body), NOW);
        }

        #[test]
        fn never_believes_a_strange_time(expires in proptest::num::f64::ANY) {
            let body = serde_json::json!({"access_token": "a", "expires_in": expires}).to_string();
            if let Ok(found) = by_the_rfc(&body) {
                prop_assert!(found.expires.is_none_or(|at| at >= NOW));
            }
        }
    }
}
