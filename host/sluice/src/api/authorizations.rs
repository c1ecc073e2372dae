//! Authorizations: coming by a connection's credential with a person's consent, or without.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json as object;
use sluice_model::auth::OAuthGrant;
use sluice_service::auth::{self, Begin, Begun};
use sluice_service::connection;
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{At, Json, id, json};
use super::connections::{AccountView, Reason, account, view};
use super::problem::Problem;

/// How to come by a credential.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = NewAuthorization)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Beginning {
    /// Without it: the scheme that the connection uses.
    auth: Option<String>,
    /// `authorization-code`, `device-code`, `client-credentials` or `jwt-bearer`; without it the first that the connector offers.
    grant: Option<String>,
    /// Without them: what the connector asks for.
    scopes: Option<Vec<String>>,
    /// Where the browser goes in the end: an http address of its own machine.
    return_to: Option<String>,
    /// Whether another account than the connected one is welcome.
    any_account: bool,
    /// How long the link is good for; at most a week, an hour without it.
    lifetime_s: Option<u32>,
}

/// An authorization that has begun.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = BegunAuthorization)]
pub(super) struct BegunView {
    /// `link`, `device` or `done`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// To be opened once, in the browser of whoever consents.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_uri_complete: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// How an authorization stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Authorization)]
pub(super) struct StatusView {
    id: String,
    connection: String,
    auth: String,
    /// `waiting`, `started`, `completing`, `done` or `failed`.
    step: &'static str,
    #[schema(format = "date-time")]
    expires: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
}

fn grant(word: &str) -> Result<OAuthGrant, Problem> {
    let all = [
        OAuthGrant::AuthorizationCode,
        OAuthGrant::DeviceCode,
        OAuthGrant::ClientCredentials,
        OAuthGrant::JwtBearer,
    ];
    let found = all.into_iter().find(|grant| auth::grant_name(*grant) == word);
    found.ok_or_else(|| Problem::new("auth.grant", format!("there is no flow `{word}`")))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    At(connection): At<String>,
    Json(asked): Json<Beginning>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &connection).await?;
    let begin = Begin {
        scheme: asked.auth,
        grant: asked.grant.as_deref().map(grant).transpose()?,
        scopes: asked.scopes,
        return_to: asked.return_to,
        any_account: asked.any_account,
        lifetime: asked
            .lifetime_s
            .map(|seconds| Duration::from_secs(seconds.into())),
    };
    let begun = match auth::begin(&app.service, caller.org, found.id, begin).await? {
        Begun::Link { id, path, expires } => BegunView {
            kind: "link",
            id: Some(id.to_string()),
            url: Some(format!("{}{path}", app.public_url.as_deref().unwrap_or_default())),
            expires: Some(expires.to_string()),
            ..BegunView::default()
        },
        Begun::Device {
            id,
            code,
            verify_at,
            verify_at_complete,
            interval,
            expires,
        } => BegunView {
            kind: "device",
            id: Some(id.to_string()),
            user_code: Some(code),
            verification_uri: Some(verify_at),
            verification_uri_complete: verify_at_complete,
            interval_s: Some(interval.as_secs()),
            expires: Some(expires.to_string()),
            ..BegunView::default()
        },
        Begun::Done(adopted) => BegunView {
            kind: "done",
            account: adopted.account.map(account),
            expires: adopted.expires.map(|expires| expires.to_string()),
            ..BegunView::default()
        },
    };
    Ok((StatusCode::CREATED, json(&begun)).into_response())
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At((connection, authorization)): At<(String, String)>,
) -> Result<Response, Problem> {
    let of = connection::get(&app.service, caller.org, &connection).await?;
    let found = auth::status(&app.service, caller.org, id(&authorization)?).await?;
    if found.connection != of.id {
        return Err(auth::Error::Missing.into());
    }
    Ok(json(&StatusView {
        id: found.id.to_string(),
        connection: found.connection.to_string(),
        auth: found.scheme,
        step: found.step.name(),
        expires: found.expires.to_string(),
        error: found.problem.map(Reason::from),
    }))
}

pub(super) async fn refresh(
    State(app): State<App>,
    caller: Caller,
    At(connection): At<String>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &connection).await?;
    if let Err(problem) = auth::refresh(&app.service, caller.org, found.id).await? {
        return Err(Problem::new(&problem.code, problem.message));
    }
    let now = connection::get(&app.service, caller.org, &connection).await?;
    let credential = connection::credential(&app.service, caller.org, &now).await?;
    Ok(json(&view(now, credential)))
}

pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    At(connection): At<String>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &connection).await?;
    let told = auth::revoke(&app.service, caller.org, found.id).await?;
    Ok(json(&object!({ "vendor_told": told })))
}
