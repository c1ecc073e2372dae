//! Linear's GraphQL API: where it is, and how it says no. An error may come under status 200 as well as 400, and a rate
//! limit is one of them ("Rate limiting").

use serde::{Deserialize, Serialize};
use sluice_sdk::Error;
use sluice_sdk::graphql;
use sluice_sdk::http::Response;

/// The only address this connector knows; `connector.toml` asks for nothing else.
pub(crate) const URL: &str = "https://api.linear.app/graphql";

/// Asks.
pub(crate) fn send<V: Serialize + ?Sized>(query: &str, variables: &V) -> Result<Response, Error> {
    graphql::post(URL, query, variables)?.send()
}

/// The `data` of an answer without errors.
pub(crate) fn data<'a, T: Deserialize<'a>>(response: &'a Response) -> Result<T, Error> {
    let limited = graphql::faults(response)
        .into_iter()
        .find(|fault| fault.says("ratelimited"));
    match limited {
        Some(fault) => Err(Error::rate_limited(
            format!("Linear asks to wait: {}", fault.message),
            wait_ms(response),
        )),
        None => graphql::data(response),
    }
}

/// How long until the budget that is used up is whole again: its reset is in milliseconds since the epoch.
fn wait_ms(response: &Response) -> Option<u64> {
    if let Some(told) = response.header("retry-after") {
        return told.trim().parse::<u64>().ok()?.checked_mul(1_000);
    }
    let now = response.date()?;
    ["requests", "complexity", "endpoint-requests"]
        .iter()
        .filter(|budget| {
            let left = response.header(&format!("x-ratelimit-{budget}-remaining"));
            left.and_then(|text| text.trim().parse::<f64>().ok())
                .is_some_and(|left| left < 1.0)
        })
        .filter_map(|budget| {
            let reset = response.header(&format!("x-ratelimit-{budget}-reset"))?;
            reset.trim().parse::<u64>().ok()
        })
        .map(|reset| reset.saturating_sub(now))
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    fn refused(status: u16, headers: &[(&str, &str)], code: &str) -> Error {
        let body = format!(
            r#"{{"errors":[{{"message":"Said by Linear","extensions":{{"code":"{code}","type":"x"}}}}]}}"#
        );
        let response = testing::answer(status, headers, &body).unwrap();
        data::<serde_json::Value>(&response).unwrap_err()
    }

    #[test]
    fn a_rate_limit_is_one_under_any_status() {
        let headers = [
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("x-ratelimit-requests-remaining", "12"),
            ("x-ratelimit-requests-reset", "784111999000"),
            ("x-ratelimit-complexity-remaining", "0"),
            ("x-ratelimit-complexity-reset", "784111787000"),
        ];
        for status in [200, 400, 429] {
            assert!(matches!(
                refused(status, &headers, "RATELIMITED"),
                Error::RateLimited(wait) if wait.retry_after_ms == Some(10_000)
            ));
        }
        assert!(matches!(
            refused(400, &[], "RATELIMITED"),
            Error::RateLimited(wait) if wait.retry_after_ms.is_none()
        ));
    }

    #[test]
    fn the_other_refusals_are_told_apart() {
        assert!(matches!(
            refused(400, &[], "AUTHENTICATION_ERROR"),
            Error::Auth(_)
        ));
        assert!(matches!(refused(200, &[], "FORBIDDEN"), Error::Auth(_)));
        assert!(
            matches!(refused(400, &[], "INPUT_ERROR"), Error::InvalidData(detail) if detail.message.contains("Said by Linear"))
        );
        assert!(matches!(
            refused(200, &[], "INTERNAL_SERVER_ERROR"),
            Error::Transient(_)
        ));
    }
}
