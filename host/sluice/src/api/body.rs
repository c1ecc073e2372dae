//! Bodies, queries and ids of requests, each bounded and each refused with its own code.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderValue, header};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::app::{App, BODY_BLOCK_BYTES};
use super::problem::Problem;

/// A body in memory, and its share of the memory that all bodies may use.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _memory: Memory,
}

/// A share of the memory that all bodies may use; given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Memory {
    blocks: Vec<OwnedSemaphorePermit>,
    paid: usize,
}

impl Held {
    pub(super) const fn new(bytes: Bytes, memory: Memory) -> Self {
        Self {
            bytes,
            _memory: memory,
        }
    }
}

impl Memory {
    /// Makes the share large enough for so many bytes.
    pub(super) fn pay(&mut self, app: &App, bytes: usize) -> Result<(), Problem> {
        while self.paid < bytes {
            let block = app.body_memory.clone().try_acquire_owned();
            self.blocks.push(
                block.map_err(|_| Problem::new("server.busy", "too many large requests are under way"))?,
            );
            self.paid += usize::try_from(BODY_BLOCK_BYTES).unwrap_or(usize::MAX);
        }
        Ok(())
    }
}

/// Reads a body of at most `cap` bytes within the server's time.
pub(super) async fn read(app: &App, body: Body, cap: u64) -> Result<Held, Problem> {
    let too_large = || {
        Problem::new(
            "request.too_large",
            format!("the body is larger than {cap} bytes"),
        )
    };
    let announced = http_body::Body::size_hint(&body);
    if announced.lower() > cap {
        return Err(too_large());
    }
    let deadline = Instant::now() + app.body_timeout;
    let cap = usize::try_from(cap).unwrap_or(usize::MAX);
    let mut body = std::pin::pin!(body);
    let mut bytes = BytesMut::new();
    let mut memory = Memory::default();
    loop {
        let frame = tokio::time::timeout_at(deadline, body.frame());
        let Some(frame) = frame
            .await
            .map_err(|_| Problem::new("request.slow", "the body did not come in time"))?
        else {
            return Ok(Held::new(bytes.freeze(), memory));
        };
        let frame =
            frame.map_err(|error| Problem::new("request.body", format!("the body ended early: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > cap {
            return Err(too_large());
        }
        memory.pay(app, bytes.len() + data.len())?;
        bytes.extend_from_slice(&data);
    }
}

/// A JSON body of up to [`JSON_BYTES`].
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        // A form or plain text is what a foreign page could send without being asked first.
        if kind.is_none_or(|kind| {
            !kind
                .split(';')
                .any(|part| part.trim().eq_ignore_ascii_case("application/json"))
        }) {
            return Err(Problem::new(
                "request.content_type",
                "the body's content-type is not application/json",
            ));
        }
        let body = read(app, request.into_body(), JSON_BYTES).await?;
        let text: &[u8] = if body.bytes.is_empty() { b"{}" } else { &body.bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| Problem::new("request.body", without_values(&error)))
    }
}

/// What a body lacks, without what it has: serde repeats a value that it did not expect, and that may be a secret in the
/// wrong place. Names of fields are repeated, values never.
fn without_values(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = whole.strip_suffix(&place).unwrap_or(&whole);
    if error.classify() != serde_json::error::Category::Data {
        // The words of the parser itself, which has none of the body's.
        return whole;
    }
    let of_fields = ["missing field `", "unknown field `", "duplicate field `"];
    if of_fields.iter().any(|start| said.starts_with(start)) {
        return whole;
    }
    // `invalid type: string "…", expected a map`: what was expected comes last, after whatever stands in the value.
    let expected = said.rsplit_once(", expected ").map(|(_, expected)| expected);
    let found = said
        .strip_prefix("invalid type: ")
        .or_else(|| said.strip_prefix("invalid value: "))
        .and_then(|found| found.split([' ', ',']).next())
        .filter(|found| found.bytes().all(|byte| byte.is_ascii_alphabetic()));
    match (found, expected) {
        (Some(found), Some(expected)) => format!("a value is a {found}, expected {expected}{place}"),
        (None, Some(expected)) => format!("a value is not one that fits, expected {expected}{place}"),
        _ => format!("a value does not fit{place}"),
    }
}

/// A query without unknown parameters.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(asked)| Self(asked))
            .map_err(|error| Problem::new("request.query", error.body_text()))
    }
}

/// The parameters of the path.
#[derive(Debug)]
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(at)| Self(at))
            .map_err(|error| Problem::new("request.path", error.body_text()))
    }
}

/// Parses an id of a path or query. One that is malformed cannot exist, so the answer is the same.
pub(super) fn id<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|error| Problem::new("request.no_such_id", error))
}

/// An answer as JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => {
            let kind = HeaderValue::from_static("application/json");
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            Problem::new("internal", format!("an answer cannot be written: {error}")).into_response()
        }
    }
}

/// No JSON request of the API is longer; components and webhooks have caps of their own.
const JSON_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::connections::{Creation, SecretChange};
    use super::super::text::SecretText;
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape is of interest")]
    struct Shape {
        mode: Mode,
        number: u8,
        parts: BTreeMap<String, String>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Full,
    }

    fn check<T: DeserializeOwned + std::fmt::Debug>(body: &str, expected: &str) {
        let said = without_values(&serde_json::from_str::<T>(body).unwrap_err());
        assert!(!said.contains("hunter2"), "{body}: {said}");
        assert!(said.contains(expected), "{body}: {said}");
    }

    #[test]
    fn a_value_is_never_repeated() {
        check::<Creation>("\"hunter2\"", "is a string, expected struct Creation");
        check::<Creation>("[\"hunter2\"]", "");
        check::<SecretChange>("\"hunter2\"", "is a string, expected");
        check::<SecretChange>(r#"{"secret":["hunter2"]}"#, "");
        check::<SecretChange>(r#"{"secret":{"a":["hunter2"]}}"#, "");
        check::<SecretText>(r#"["hunter2"]"#, "does not fit");
        check::<Shape>(r#"{"mode":"hunter2"}"#, "expected `full`");
        check::<Shape>(r#"{"number":"hunter2, expected u8"}"#, "expected u8");
        check::<Shape>(r#"{"parts":"hunter2"}"#, "is a string, expected a map");
        check::<Shape>(r#"{"number":300}"#, "is a integer, expected u8");
        check::<Shape>(r#"{"other":"hunter2"}"#, "unknown field `other`");
        check::<Shape>("hunter2", "expected value");
        check::<Shape>(r#"{"mode": hunter2}"#, "expected value");
    }
}
