//! Where vendors deliver: `/hooks/{hok_…}`, the one public address that takes bodies.
//!
//! A sender learns nothing but the status: who does not exist and who signs wrongly gets the same 401 with the same body.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use sluice_service::hooks::{self, Incoming, Refused};
use utoipa::ToSchema;

use super::app::App;
use super::body::{At, json, read};
use super::problem::Problem;

/// What the sender is told: it is on disk.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Acknowledgement)]
pub(super) struct Acknowledgement {
    receipt: String,
    /// It was there before.
    duplicate: bool,
}

pub(super) async fn receive(
    State(app): State<App>,
    At(hook): At<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let body = read(&app, body, app.hook_body_bytes).await?;
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let incoming = Incoming {
        method: head.method.to_string(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect(),
        body: body.bytes.clone(),
    };
    match hooks::receive(&app.service, &hook, incoming).await {
        Ok(accepted) => {
            let told = Acknowledgement {
                receipt: accepted.receipt.to_string(),
                duplicate: accepted.duplicate,
            };
            Ok((StatusCode::OK, json(&told)).into_response())
        }
        Err(refused) => {
            let words = match &refused {
                Refused::Unauthorized { .. } => "this address or this signature is not known here",
                Refused::TooLarge { .. } => "the body is too large",
                Refused::Unavailable(_) => "it cannot be kept now",
                Refused::Unsupported => "it cannot be verified yet",
            };
            Err(Problem::new(refused.code(), words))
        }
    }
}
