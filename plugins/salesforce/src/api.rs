//! Salesforce's REST API: where it is, how a query is answered, and how it says no (Salesforce REST API Developer Guide).

use serde::Deserialize;
use serde_json::value::RawValue;
use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::record::{Id, Text};
use sluice_sdk::{Account, Error};

/// The version whose shapes `connector.toml` declares.
const DATA: &str = "/services/data/v62.0";

/// What a used-up daily quota asks for, in milliseconds: it is a rolling window of 24 hours, so a quarter of an hour gives
/// something back.
const QUOTA_MS: u64 = 15 * 60_000;

/// A query over what is there.
pub(crate) fn query(instance: &str, soql: &str) -> Request {
    http::get(format!("https://{instance}{DATA}/query")).query("q", soql)
}

/// A query over what is there and what was deleted ("QueryAll"). Half of the 2,000 records that an answer may have ("Query
/// Options Header"): they can be long.
pub(crate) fn query_all(instance: &str, soql: &str) -> Request {
    http::get(format!("https://{instance}{DATA}/queryAll"))
        .query("q", soql)
        .header("sforce-query-options", "batchSize=1000")
}

/// The next records of a query ("QueryAll More Results").
pub(crate) fn more(instance: &str, locator: &str) -> Request {
    http::get(format!("https://{instance}{DATA}/query/{locator}"))
}

/// What an object is made of ("sObject Describe").
pub(crate) fn describe(instance: &str, object: &str) -> Request {
    http::get(format!("https://{instance}{DATA}/sobjects/{object}/describe"))
}

/// Query jobs of Bulk API 2.0, or what is below them.
pub(crate) fn jobs(instance: &str, below: &str) -> String {
    let between = if below.is_empty() { "" } else { "/" };
    format!("https://{instance}{DATA}/jobs/query{between}{below}")
}

/// Several records at once ("sObject Collections"), or those of an object.
pub(crate) fn collections(instance: &str, object: &str) -> String {
    let between = if object.is_empty() { "" } else { "/" };
    format!("https://{instance}{DATA}/composite/sobjects{between}{object}")
}

/// The custom actions of a type ("Custom Invocable Actions").
pub(crate) fn actions(instance: &str, kind: &str) -> String {
    format!("https://{instance}{DATA}/actions/custom/{kind}")
}

/// One of them: what it takes and gives, and where it is run.
pub(crate) fn action(instance: &str, kind: &str, name: &str) -> String {
    format!("{}/{name}", actions(instance, kind))
}

/// Where a record lies, as its `attributes` say.
pub(crate) fn path(object: &str, id: &str) -> String {
    format!("{DATA}/sobjects/{object}/{id}")
}

/// A query's answer.
#[derive(Deserialize)]
pub(crate) struct Answer<'a> {
    /// An array, taken apart by [`sluice_sdk::record::each`].
    #[serde(borrow)]
    pub(crate) records: &'a RawValue,
    #[serde(rename = "totalSize", borrow, default)]
    pub(crate) total: Id<'a>,
    #[serde(default)]
    done: Option<bool>,
    #[serde(rename = "nextRecordsUrl", borrow, default)]
    next: Text<'a>,
}

impl Answer<'_> {
    /// The locator of the next records, where there are any; `before` is the one that led here. The path is ours: a link
    /// must not lead anywhere else.
    pub(crate) fn next(&self, before: Option<&str>) -> Result<Option<String>, Error> {
        let locator = self.next.as_str().rsplit('/').next().unwrap_or_default();
        if locator.is_empty() {
            return match self.done {
                Some(false) => Err(Error::invalid_data(
                    "Salesforce says that there is more and gives nothing to go on from",
                )),
                _ => Ok(None),
            };
        }
        if !is_locator(locator) || Some(locator) == before {
            return Err(Error::invalid_data(
                "Salesforce's `nextRecordsUrl` leads nowhere: it is the same again, or no address of a query",
            ));
        }
        Ok(Some(locator.to_owned()))
    }
}

/// Whether it may stand in a path: `01gRO0000016PIAYA2-2000`.
pub(crate) fn is_locator(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The code of a refusal: the body is an array of them, `[{"message": …, "errorCode": …}]` ("Status Codes and Error
/// Responses").
pub(crate) fn code(response: &Response) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(rename = "errorCode", borrow, default)]
        code: Text<'a>,
        #[serde(borrow, default)]
        message: Text<'a>,
    }
    if (200..300).contains(&response.status) {
        return None;
    }
    let refusals: Vec<Refusal<'_>> = response.json().ok()?;
    let first = refusals.first()?;
    let short = |text: &Text<'_>, most| {
        let plain = text.as_str().chars().filter(|c| !c.is_control());
        plain.take(most).collect::<String>()
    };
    Some((short(&first.code, 80), short(&first.message, 300)))
}

/// The response if it is one of success.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    let Some((code, words)) = code(&response) else {
        return response.ok();
    };
    let message = format!("Salesforce answered {} `{code}`: {words}", response.status);
    Err(match code.as_str() {
        "REQUEST_LIMIT_EXCEEDED" => Error::rate_limited(message, Some(QUOTA_MS)),
        "INVALID_SESSION_ID"
        | "INVALID_AUTH_HEADER"
        | "API_DISABLED_FOR_ORG"
        | "API_CURRENTLY_DISABLED"
        | "INSUFFICIENT_ACCESS"
        | "INSUFFICIENT_ACCESS_OR_READONLY" => Error::auth(message),
        "QUERY_TIMEOUT" | "SERVER_UNAVAILABLE" | "UNABLE_TO_LOCK_ROW" | "UNKNOWN_EXCEPTION" => {
            Error::transient(message)
        }
        _ => match Error::from_response(&response) {
            Error::Auth(_) => Error::auth(message),
            Error::RateLimited(throttle) => Error::rate_limited(message, throttle.retry_after_ms),
            Error::Transient(_) => Error::transient(message),
            _ => Error::invalid_data(message),
        },
    })
}

/// Whose instance it is.
pub(crate) fn organization(instance: &str) -> Result<Account, Error> {
    #[derive(Deserialize)]
    struct Organizations<'a> {
        #[serde(borrow)]
        records: Vec<Organization<'a>>,
    }
    #[derive(Deserialize)]
    struct Organization<'a> {
        #[serde(rename = "Id", borrow, default)]
        id: Text<'a>,
        #[serde(rename = "Name", borrow, default)]
        name: Text<'a>,
        #[serde(rename = "IsSandbox", default)]
        is_sandbox: Option<bool>,
    }
    let request = query(instance, "SELECT Id, Name, IsSandbox FROM Organization LIMIT 1");
    let response = ok(request.send()?)?;
    let answer: Organizations<'_> = response.json()?;
    let Some(found) = answer
        .records
        .first()
        .filter(|found| !found.id.as_str().is_empty())
    else {
        return Err(Error::invalid_data("Salesforce's answer names no organization"));
    };
    let mut name = found.name.as_str().to_owned();
    if name.is_empty() {
        instance.clone_into(&mut name);
    }
    if found.is_sandbox == Some(true) {
        name.push_str(" (sandbox)");
    }
    Ok(Account {
        id: found.id.as_str().to_owned(),
        name,
        scopes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn refused(status: u16, code: &str) -> Error {
        let body = format!(r#"[{{"message":"Said by Salesforce","errorCode":"{code}"}}]"#);
        ok(testing::answer(status, &[], &body).unwrap()).unwrap_err()
    }

    #[test]
    fn a_code_becomes_the_case_of_who_must_act() {
        assert!(matches!(
            refused(401, "INVALID_SESSION_ID"),
            Error::Auth(detail) if detail.message.contains("Said by Salesforce")
        ));
        assert!(matches!(
            refused(403, "REQUEST_LIMIT_EXCEEDED"),
            Error::RateLimited(wait) if wait.retry_after_ms == Some(900_000)
        ));
        assert!(matches!(refused(403, "API_DISABLED_FOR_ORG"), Error::Auth(_)));
        assert!(matches!(refused(400, "QUERY_TIMEOUT"), Error::Transient(_)));
        assert!(matches!(refused(400, "MALFORMED_QUERY"), Error::InvalidData(_)));
        assert!(matches!(refused(503, "SOMETHING"), Error::Transient(_)));
        let page = testing::answer(500, &[], "<html>").unwrap();
        assert!(matches!(ok(page), Err(Error::Transient(_))));
        let odd = testing::answer(401, &[], "[]").unwrap();
        assert!(matches!(ok(odd), Err(Error::Auth(_))));
    }

    #[test]
    fn a_link_gives_its_locator_and_not_its_place() {
        let next = |text: &str, before: Option<&str>| {
            let body = format!(r#"{{"records":[],"done":false,"nextRecordsUrl":{text}}}"#);
            serde_json::from_str::<Answer<'_>>(&body).unwrap().next(before)
        };
        let url = r#""/services/data/v62.0/query/01gRO0000016PIAYA2-2000""#;
        assert_eq!(
            next(url, None).unwrap().as_deref(),
            Some("01gRO0000016PIAYA2-2000")
        );
        assert!(next(url, Some("01gRO0000016PIAYA2-2000")).is_err());
        assert_eq!(
            next(r#""https://evil.example/01g-1""#, None).unwrap().as_deref(),
            Some("01g-1")
        );
        for bad in [
            "null",
            r#""""#,
            r#""/query/""#,
            r#""/query/a?b""#,
            r#""/query/..""#,
        ] {
            assert!(next(bad, None).is_err(), "{bad}");
        }
    }
}
