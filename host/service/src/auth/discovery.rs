//! What a provider says about itself: OpenID Connect Discovery 1.0 §4, RFC 8414, and its keys (RFC 7517). Kept for an
//! hour; keys are asked for again when a token names one that is not there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use sluice_model::Timestamp;

use super::answer;
use super::exchange::{Ask, Reply};
use super::flow::Flow;
use super::oauth2::Endpoints;
use super::{Error, id_token};

/// Documents by address, with when they were read.
#[derive(Debug, Default)]
pub(crate) struct Discovered {
    documents: Mutex<HashMap<String, (Timestamp, Arc<Value>)>>,
}

/// A provider's addresses change rarely and its keys are asked for by name.
const FRESH: Duration = Duration::from_secs(3600);
/// Keys are not asked for again more often than this, however many tokens name unknown ones.
const KEYS_AT_MOST: Duration = Duration::from_secs(60);
/// Providers of one server's connections.
const MAX_DOCUMENTS: usize = 1000;

/// A provider's metadata, checked.
pub(super) async fn metadata(flow: &Flow, issuer: &str, pkce: bool) -> Result<Endpoints, Error> {
    let base = issuer.trim_end_matches('/');
    let mut url = format!("{base}/.well-known/openid-configuration");
    let document = match read(flow, &url, FRESH).await {
        Err(Error::Refused(_)) => {
            let (origin, path) = split(base);
            url = format!("{origin}/.well-known/oauth-authorization-server{path}");
            read(flow, &url, FRESH).await?
        }
        other => other?,
    };
    let endpoints = checked(&document, issuer, pkce);
    if endpoints.is_err() {
        // Whoever answered for the provider a moment ago does not do so for an hour.
        forget(flow, &url);
    }
    endpoints
}

fn checked(document: &Value, issuer: &str, pkce: bool) -> Result<Endpoints, Error> {
    let text = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
    let found = text("issuer").unwrap_or_default();
    // RFC 8414 §3.3: exactly the issuer that was asked, or another's metadata has been put in its place.
    if found != issuer {
        return Err(Error::Issuer {
            expected: issuer.to_owned(),
            found: answer::plain(&found),
        });
    }
    let methods = document
        .get("code_challenge_methods_supported")
        .and_then(Value::as_array);
    if pkce && !methods.is_some_and(|methods| methods.iter().any(|method| method == "S256")) {
        return Err(Error::Pkce);
    }
    Ok(Endpoints {
        authorize: text("authorization_endpoint"),
        token: text("token_endpoint"),
        device: text("device_authorization_endpoint"),
        revoke: text("revocation_endpoint"),
        jwks: text("jwks_uri"),
        issuer: Some(found),
        names_itself: document.get("authorization_response_iss_parameter_supported")
            == Some(&Value::Bool(true)),
    })
}

/// The provider's keys; read again if what was kept does not satisfy `fits`.
pub(super) async fn keys(flow: &Flow, url: &str, fits: impl Fn(&Value) -> bool) -> Result<Arc<Value>, Error> {
    let kept = read(flow, url, FRESH).await?;
    if fits(&kept) {
        return Ok(kept);
    }
    read(flow, url, KEYS_AT_MOST).await
}

async fn read(flow: &Flow, url: &str, fresh: Duration) -> Result<Arc<Value>, Error> {
    let documents = &flow.service.discovered().documents;
    let now = flow.service.now();
    if let Some((at, kept)) = documents.lock().unwrap_or_else(PoisonError::into_inner).get(url)
        && *at <= now
        && now.since(*at) < fresh
    {
        return Ok(Arc::clone(kept));
    }
    let Reply {
        status,
        content_type,
        body,
    } = Ask::get(url).send(&flow.service, &flow.asker()?).await?;
    if status != 200 {
        return Err(Error::Refused(format!("its metadata: status {status}")));
    }
    let document = Arc::new(answer::document(&Reply {
        status,
        content_type,
        body,
    })?);
    let mut documents = documents.lock().unwrap_or_else(PoisonError::into_inner);
    if documents.len() >= MAX_DOCUMENTS {
        documents.clear();
    }
    documents.insert(url.to_owned(), (now, Arc::clone(&document)));
    Ok(document)
}

fn forget(flow: &Flow, url: &str) {
    let documents = &flow.service.discovered().documents;
    documents
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(url);
}

/// Origin and path of an issuer (RFC 8414 §3.1 puts the well-known part between them).
fn split(issuer: &str) -> (&str, &str) {
    let after = issuer.find("://").map_or(0, |at| at + 3);
    let rest = issuer.get(after..).unwrap_or_default();
    let at = rest.find('/').map_or(issuer.len(), |at| after + at);
    issuer.split_at(at)
}

/// What an ID token must say.
pub(super) async fn check_id_token(
    flow: &Flow,
    endpoints: &Endpoints,
    token: &str,
    nonce: Option<&str>,
) -> Result<id_token::Claims, Error> {
    let (Some(issuer), Some(jwks)) = (&endpoints.issuer, &endpoints.jwks) else {
        return Err(Error::IdToken("the provider's metadata has no keys".to_owned()));
    };
    let wanted = id_token::key_id(token);
    let keys = keys(flow, jwks, |keys| id_token::has_key(keys, wanted.as_deref())).await?;
    let client = flow.app.text("client_id").unwrap_or_default();
    let expected = id_token::Expected {
        issuer,
        client: &client,
        nonce,
        now: flow.service.now(),
    };
    id_token::check(token, &keys, &expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_part_stands_between_origin_and_path() {
        assert_eq!(split("https://a.example/t/1"), ("https://a.example", "/t/1"));
        assert_eq!(split("https://a.example"), ("https://a.example", ""));
    }
}
