//! Where vendors deliver: `/hooks/{hok_…}`, the one public address that takes bodies.
//!
//! A sender learns nothing but the status: who does not exist and who signs wrongly gets the same 401 with the same body.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use sluice_model::signature::Answer;
use sluice_service::hooks::{self, Incoming, Refused, Taken};
use utoipa::ToSchema;

use super::app::App;
use super::body::{At, json};
use super::problem::Problem;
use super::{source, spool};

/// What the sender is told: it is on disk.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Acknowledgement)]
pub(super) struct Acknowledgement {
    /// Without it, it concerns no account that is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    /// It was there before.
    duplicate: bool,
}

pub(super) async fn receive(
    State(app): State<App>,
    At(hook): At<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let source = source::of(&app.proxies, &head.extensions, &head.headers);
    hooks::knock(&app.service, &hook, source).map_err(|refused| told(&refused))?;
    let body = spool::read(&app, body, app.hook_body_bytes).await?;
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let incoming = Incoming {
        method: head.method.to_string(),
        target: target.to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect(),
        body: body.bytes.clone(),
        source,
    };
    match hooks::receive(&app.service, &hook, incoming).await {
        Ok(Taken::Kept(accepted)) => {
            let told = Acknowledgement {
                receipt: Some(accepted.receipt.to_string()),
                duplicate: accepted.duplicate,
            };
            Ok((StatusCode::OK, json(&told)).into_response())
        }
        Ok(Taken::Unrouted) => {
            let told = Acknowledgement {
                receipt: None,
                duplicate: false,
            };
            Ok((StatusCode::OK, json(&told)).into_response())
        }
        Ok(Taken::Replied(_, reply)) => {
            let response = http::Response::builder().status(reply.status);
            written(
                response
                    .header("content-type", reply.content_type)
                    .body(Body::from(reply.body)),
            )
        }
        Ok(Taken::Answered(answer)) => answered(answer),
        Err(refused) => Err(told(&refused)),
    }
}

/// The answer to a vendor's question, as the recipe has it: its type is plain text or JSON, and the front door says that it
/// is not to be sniffed.
fn answered(answer: Answer) -> Result<Response, Problem> {
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    written(response.body(Body::from(answer.body)))
}

fn written(response: Result<Response, http::Error>) -> Result<Response, Problem> {
    response.map_err(|error| Problem::new("internal", format!("an answer cannot be written: {error}")))
}

fn told(refused: &Refused) -> Problem {
    let words = match refused {
        Refused::Unauthorized { .. } => "this address or this signature is not known here",
        Refused::Flood => "too much of what you sent was refused",
        Refused::TooLarge { .. } => "the body is too large",
        Refused::Unavailable(_) => "it cannot be kept now",
    };
    Problem::new(refused.code(), words)
}
