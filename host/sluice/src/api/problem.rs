//! Errors as callers see them: problem+json (RFC 9457), always with a stable code that `sluice explain` knows.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::explain;

/// What went wrong, before it is known for which request.
#[derive(Debug, Clone)]
pub struct Problem {
    code: &'static str,
    detail: String,
    hint: Option<String>,
    retry_after_s: Option<u64>,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Body<'a> {
    /// A URI that names the kind of problem.
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// Stable; `sluice explain CODE` tells more.
    code: &'a str,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// The number under which the documentation has it.
    docs: String,
    request_id: &'a str,
    /// Whether the same request may succeed later without anybody acting.
    retryable: bool,
}

impl Problem {
    /// A problem with a code of the catalogue; a code that is not in it is a bug and becomes `internal`.
    #[must_use]
    pub fn new(code: &str, detail: impl std::fmt::Display) -> Self {
        let entry = explain::find(code).unwrap_or_else(|| {
            tracing::error!(code, "an error has a code that nothing explains");
            explain::internal()
        });
        Self {
            code: entry.code,
            detail: cut(detail.to_string()),
            hint: None,
            retry_after_s: None,
        }
    }

    /// An error of a room below, with everything that caused it. What only the operator can act on stays in the log.
    #[must_use]
    pub fn of(code: &str, hint: Option<String>, error: &dyn std::error::Error) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some errors repeat their cause; once is enough.
            if !chain.contains(&text) {
                chain.push_str(": ");
                chain.push_str(&text);
            }
            source = cause.source();
        }
        let mut problem = Self::new(code, &chain);
        if problem.status().is_server_error() {
            tracing::error!(code, error = chain, "a request failed");
            problem.detail = cut(error.to_string());
        }
        problem.hint = hint;
        problem
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        let entry = explain::find(self.code).unwrap_or_else(explain::internal);
        StatusCode::from_u16(entry.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The answer to the request with this id.
    #[must_use]
    pub fn render(&self, request_id: &str) -> Response {
        let entry = explain::find(self.code).unwrap_or_else(explain::internal);
        let hint = self
            .hint
            .as_deref()
            .or((!entry.next.is_empty()).then_some(entry.next));
        let body = Body {
            r#type: format!("urn:sluice:problem:{}", self.code),
            title: entry.title,
            status: entry.status,
            detail: &self.detail,
            code: self.code,
            hint,
            docs: format!("sluice explain {}", entry.id()),
            request_id,
            retryable: entry.retryable,
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status(), text).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s.or(entry.retryable.then_some(1)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The front door renders it, because only that knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<sluice_service::install::Error> for Problem {
    fn from(error: sluice_service::install::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::approval::Error> for Problem {
    fn from(error: sluice_service::approval::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::channel::Error> for Problem {
    fn from(error: sluice_service::channel::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::trust::Error> for Problem {
    fn from(error: sluice_service::trust::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::connection::Error> for Problem {
    fn from(error: sluice_service::connection::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::auth::Error> for Problem {
    fn from(error: sluice_service::auth::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::sync::Error> for Problem {
    fn from(error: sluice_service::sync::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::action::Error> for Problem {
    fn from(error: sluice_service::action::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::destination::Error> for Problem {
    fn from(error: sluice_service::destination::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::call::Error> for Problem {
    fn from(error: sluice_service::call::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::sync::discover::Error> for Problem {
    fn from(error: sluice_service::sync::discover::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::sync::trial::Error> for Problem {
    fn from(error: sluice_service::sync::trial::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::link::Error> for Problem {
    fn from(error: sluice_service::link::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::write::Error> for Problem {
    fn from(error: sluice_service::write::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::hooks::Error> for Problem {
    fn from(error: sluice_service::hooks::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::replay::Error> for Problem {
    fn from(error: sluice_service::replay::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_service::endpoint::Error> for Problem {
    fn from(error: sluice_service::endpoint::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

impl From<sluice_store::Error> for Problem {
    fn from(error: sluice_store::Error) -> Self {
        Self::of(error.code(), error.hint(), &error)
    }
}

/// The codes that the API itself gives.
pub const CODES: &[&str] = &[
    "internal",
    "auth.key",
    "auth.approval",
    "request.path",
    "request.host",
    "request.foreign",
    "request.not_found",
    "request.no_such_id",
    "request.method",
    "request.query",
    "request.page_token",
    "request.body",
    "request.content_type",
    "request.too_large",
    "request.slow",
    "server.busy",
    "record.not_found",
    "file.not_found",
    "file.range",
    "event.not_found",
    "key.not_found",
    "key.self",
];

fn cut(mut text: String) -> String {
    if text.len() > DETAIL_BYTES {
        text.truncate(text.floor_char_boundary(DETAIL_BYTES));
        text.push('…');
    }
    text
}

/// A detail is a sentence; longer ones quote what was sent.
const DETAIL_BYTES: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_everything_once() {
        let source = std::io::Error::other("the cause");
        let error = crate::config::ConfigError::Read {
            path: "x.toml".into(),
            source,
        };
        let problem = Problem::of("request.body", error.hint(), &error);
        let response = problem.render("req_1");
        assert_eq!(response.status(), 400);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["detail"], "read x.toml: the cause");
        assert_eq!(body["code"], "request.body");
        assert_eq!(body["status"], 400);
        assert_eq!(body["type"], "urn:sluice:problem:request.body");
        assert_eq!(body["request_id"], "req_1");
        assert_eq!(body["retryable"], false);
        assert!(body["docs"].as_str().unwrap().starts_with("sluice explain SLU-"));
    }

    #[test]
    fn an_unknown_code_is_an_internal_error() {
        assert_eq!(Problem::new("no.such.code", "x").status(), 500);
        assert!(Problem::new("request.body", "ä".repeat(5000)).detail.len() < 2100);
    }
}
