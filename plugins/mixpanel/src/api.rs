//! Mixpanel's APIs: where they are by region, and how they say no.

use serde::Deserialize;
use sluice_sdk::Error;
use sluice_sdk::http::{self, Incoming, Request, Response};
use sluice_sdk::record::Text;

use crate::config::{Config, Region};

/// What an error's body is read up to.
const MAX_ERROR_BYTES: usize = 16_384;

/// How many bytes are asked for at once.
const PIECE: u32 = 65_536;

impl Region {
    /// Raw events ("Download Data").
    const fn data(self) -> &'static str {
        match self {
            Self::Us => "https://data.mixpanel.com/api/2.0",
            Self::Eu => "https://data-eu.mixpanel.com/api/2.0",
            Self::In => "https://data-in.mixpanel.com/api/2.0",
        }
    }

    /// Profiles and cohorts ("Query API").
    const fn query(self) -> &'static str {
        match self {
            Self::Us => "https://mixpanel.com/api/query",
            Self::Eu => "https://eu.mixpanel.com/api/query",
            Self::In => "https://in.mixpanel.com/api/query",
        }
    }

    /// What is written ("Ingestion API").
    const fn ingestion(self) -> &'static str {
        match self {
            Self::Us => "https://api.mixpanel.com",
            Self::Eu => "https://api-eu.mixpanel.com",
            Self::In => "https://api-in.mixpanel.com",
        }
    }
}

pub(crate) fn export(config: &Config) -> Request {
    http::get(format!("{}/export", config.region.data())).query("project_id", &config.project.to_string())
}

pub(crate) fn query(config: &Config, path: &str, form: String) -> Request {
    http::post(format!("{}{path}", config.region.query()))
        .query("project_id", &config.project.to_string())
        .body("application/x-www-form-urlencoded", form)
}

pub(crate) fn ingestion(config: &Config, path: &str) -> Request {
    http::post(format!("{}{path}", config.region.ingestion()))
}

/// The response if it is one of success. Mixpanel says what is wrong in `error`; a rate limit is 429, or a 400 of the query
/// API that says so.
pub(crate) fn ok(response: Response) -> Result<Response, Error> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow, default)]
        error: Text<'a>,
    }
    if (200..300).contains(&response.status) {
        return Ok(response);
    }
    let refusal: Option<Refusal<'_>> = response.json().ok();
    let words = refusal.map(|refusal| refusal.error.as_str().to_ascii_lowercase());
    let is_limit = words.is_some_and(|words| words.contains("rate limit"));
    let wait = response.retry_after_ms();
    response.ok().map_err(|error| match error {
        Error::InvalidData(detail) if is_limit => Error::rate_limited(detail.message, wait),
        other => other,
    })
}

/// A streamed response if it is one of success. Of another the beginning is read, for its words.
pub(crate) fn streamed(incoming: Incoming) -> Result<Incoming, Error> {
    let status = incoming.status();
    if status == 200 {
        return Ok(incoming);
    }
    let mut body = Vec::new();
    while body.len() < MAX_ERROR_BYTES
        && let Some(piece) = incoming.read(PIECE)?
    {
        body.extend(piece);
    }
    let response = Response {
        status,
        headers: incoming.headers(),
        body,
    };
    match ok(response) {
        Err(error) => Err(error),
        Ok(_) => Err(Error::transient(format!(
            "Mixpanel answered {status} to an export"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn refusals_are_told_apart() {
        let refused = |status: u16, body: &str| {
            let headers = [("retry-after", "60")];
            ok(testing::answer(status, &headers, body).unwrap()).unwrap_err()
        };
        assert!(matches!(
            refused(401, include_str!("../fixtures/refused.json")),
            Error::Auth(detail) if detail.message.contains("Said by Mixpanel")
        ));
        assert!(
            matches!(refused(429, "{}"), Error::RateLimited(wait) if wait.retry_after_ms == Some(60_000))
        );
        assert!(matches!(
            refused(400, r#"{"error":"Query rate limit exceeded"}"#),
            Error::RateLimited(_)
        ));
        assert!(matches!(refused(400, "bad"), Error::InvalidData(_)));
        assert!(matches!(refused(502, "<html>"), Error::Transient(_)));
    }

    #[test]
    fn a_streamed_refusal_has_its_words() {
        testing::serve(|_| testing::answer(402, &[], r#"{"error":"Your plan does not allow API calls"}"#));
        let error = streamed(http::open(http::get("https://data.mixpanel.com/")).unwrap()).unwrap_err();
        assert!(matches!(error, Error::InvalidData(detail) if detail.message.contains("plan")));
        testing::serve(|_| testing::answer(204, &[], ""));
        let error = streamed(http::open(http::get("https://data.mixpanel.com/")).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Transient(_)));
    }
}
