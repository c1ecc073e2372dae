//! Whether the server is alive and may be sent work. Public, so it says nothing else.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::body::json;
use super::problem::Problem;

/// The answer of a healthy server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct Health {
    status: &'static str,
}

pub(super) async fn live() -> Response {
    json(&Health { status: "live" })
}

pub(super) async fn ready(State(app): State<App>) -> Result<Response, Problem> {
    app.service.ready().await.map_err(|error| {
        tracing::error!(%error, "not ready");
        Problem::new("store.failed", "the database does not answer")
    })?;
    Ok(json(&Health { status: "ready" }))
}
