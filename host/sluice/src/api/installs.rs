//! Installs: what was approved, and approving.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sluice_service::install::{self, Install};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, json, read};
use super::connectors::{ConnectorView, PermissionsView};
use super::page::{Paging, listed, page};
use super::problem::Problem;

/// One organization's installed connector version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Install)]
pub(super) struct InstallView {
    id: String,
    /// The connector's id.
    connector: String,
    version: String,
    name: String,
    description: String,
    /// Of the manifest: what was approved.
    digest: String,
    component_digest: String,
    #[schema(format = "date-time")]
    installed_at: String,
    /// The API key that approved it.
    approved_by: String,
}

/// An install with everything its connector offers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InstallDetail)]
pub(super) struct InstallDetail {
    install: InstallView,
    connector: ConnectorView,
    permissions: PermissionsView,
}

pub(super) fn view(install: &Install) -> InstallView {
    InstallView {
        id: install.id.to_string(),
        connector: install.connector.clone(),
        version: install.version.clone(),
        name: install.name.clone(),
        description: install.description.clone(),
        digest: install.digest.clone(),
        component_digest: install.component_digest.clone(),
        installed_at: install.installed_at.to_string(),
        approved_by: install.approved_by.clone(),
    }
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Response, Problem> {
    let page = page("installs", asked.limit, asked.after.as_deref())?;
    let found = install::list(&app.service, caller.org, &page).await?;
    Ok(json(&listed("installs", found, |install| view(&install))))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    /// The digest of the manifest whose permissions were read.
    #[serde(default)]
    accept: String,
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Asked(approval): Asked<Approval>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let body = read(&app, request.into_body(), app.component_bytes).await?;
    let actor = caller.key.to_string();
    // Compiling goes on even if the caller leaves: half an install would have to be compiled again.
    let service = app.service.clone();
    let bytes = body.bytes.clone();
    let work = async move { install::install(&service, caller.org, bytes, &approval.accept, &actor).await };
    let installed = tokio::spawn(work)
        .await
        .map_err(|error| Problem::new("internal", error))??;
    Ok((StatusCode::CREATED, json(&view(&installed))).into_response())
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let install = install::get(&app.service, caller.org, &id).await?;
    let permissions = install::permissions(&app.service, caller.org, install.id).await?;
    Ok(json(&InstallDetail {
        connector: ConnectorView::of(&install.manifest),
        permissions: PermissionsView::of(&permissions),
        install: view(&install),
    }))
}

pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let install = install::get(&app.service, caller.org, &id).await?;
    install::remove(&app.service, caller.org, install.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
