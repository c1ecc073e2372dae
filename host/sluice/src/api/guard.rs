//! Who may pass: the one check of keys.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header;
use http::request::Parts;

use super::app::{App, Caller};
use super::problem::Problem;
use crate::key;

/// Lets a request pass that carries a key which is known and not revoked, and tells the routes whose it is.
pub(super) async fn require_key(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let key = match key_of(&request) {
        Ok(key) => key,
        Err(problem) => return problem.into_response(),
    };
    match caller(&app, key).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Lets a request pass whose key may approve. Only behind [`require_key`].
pub(super) async fn require_approver(request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.approves => next.run(request).await,
        Some(_) => {
            Problem::new("auth.approval", "this key may not approve what connectors may do").into_response()
        }
        None => unknown().into_response(),
    }
}

/// The hash of the key that the request carries.
fn key_of(request: &Request) -> Result<[u8; 32], Problem> {
    let mut fields = request.headers().get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Err(unknown());
    };
    let key = field
        .to_str()
        .ok()
        .and_then(key::from_header)
        .ok_or_else(unknown)?;
    Ok(key::hash(key))
}

async fn caller(app: &App, key: [u8; 32]) -> Result<Caller, Problem> {
    let found = app.service.store().find_api_key(key).await;
    match found? {
        Some((org, row)) if row.revoked.is_none() => Ok(Caller {
            org,
            key: row.id,
            approves: row.approves,
        }),
        // Whether a key once was one is nobody's business who does not hold another.
        _ => Err(unknown()),
    }
}

fn unknown() -> Problem {
    Problem::new("auth.key", "the request carries no valid API key")
}

/// Only behind [`require_key`].
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unknown)
    }
}
