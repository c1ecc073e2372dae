//! The beginning of a flow: a link for a person, a code for a device, or a token at once where nobody is asked.

use std::time::Duration;

use serde_json::json;
use sluice_model::Timestamp;
use sluice_model::auth::{OAuthGrant, Obtain};
use sluice_model::connection::ConnectionState;
use sluice_model::id::{AuthorizationId, ConnectionId, OrgId};
use sluice_store::authorization::{Authorization, Move, NewAuthorization, Step};

use super::account::{self, Adopted};
use super::flow::Flow;
use super::memory::{Memory, Token, digest};
use super::oauth2::{self, Endpoints, Redirect};
use super::{Error, custom, device, oauth1};
use crate::problem::Problem;
use crate::{Service, connection, event};

/// How a flow is to begin.
#[derive(Debug, Clone, Default)]
pub struct Begin {
    /// None: the connection's own scheme.
    pub scheme: Option<String>,
    /// None: the first that the recipe names.
    pub grant: Option<OAuthGrant>,
    /// None: the recipe's.
    pub scopes: Option<Vec<String>>,
    /// Where the browser goes in the end: an http address of the person's own machine.
    pub return_to: Option<String>,
    /// Whether another account than the connected one is welcome.
    pub any_account: bool,
    /// How long the link is good for; none: an hour.
    pub lifetime: Option<Duration>,
}

/// A flow that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// A person follows the link, once.
    Link {
        id: AuthorizationId,
        /// `/connect/…` on this server's public address.
        path: String,
        expires: Timestamp,
    },
    /// A person types the code at the vendor.
    Device {
        id: AuthorizationId,
        code: String,
        verify_at: String,
        /// The same with the code in it.
        verify_at_complete: Option<String>,
        interval: Duration,
        expires: Timestamp,
    },
    /// Nobody had to be asked.
    Done(Adopted),
}

/// How a flow stands.
#[derive(Debug, Clone)]
pub struct Status {
    pub id: AuthorizationId,
    pub connection: ConnectionId,
    pub scheme: String,
    pub step: Step,
    pub expires: Timestamp,
    pub problem: Option<Problem>,
}

/// What a link leads to, for the page that asks the person to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub connector: String,
    pub connection: String,
    pub scheme: String,
    /// Whether the connection had an account before.
    pub account: Option<String>,
}

/// A link that was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Where the browser goes.
    pub location: String,
    /// The cookie that makes the way back this browser's.
    pub cookie: (String, String),
    pub lifetime: Duration,
}

const LINK_LIFETIME: Duration = Duration::from_secs(3600);
/// A shared link may wait for a colleague over a weekend.
const LONGEST_LINK: Duration = Duration::from_secs(7 * 86_400);
/// From the vendor's page back to us (RFC 9700 has no number; vendors' codes live about ten minutes).
const CONSENT_LIFETIME: Duration = Duration::from_secs(900);

/// Begins a flow for a connection. Where the connection serves already it goes on with what it has until the new
/// credential is there.
///
/// # Errors
///
/// [`Error::NoFlow`], [`Error::Grant`], [`Error::Scope`], [`Error::App`], [`Error::Parts`], [`Error::ReturnTo`]; and for
/// flows without a person whatever the vendor answers.
pub async fn begin(service: &Service, org: OrgId, id: ConnectionId, begin: Begin) -> Result<Begun, Error> {
    let flow = Flow::read(service, org, id, begin.scheme.as_deref()).await?;
    flow.need_given()?;
    if begin.return_to.as_deref().is_some_and(|to| !is_own_machine(to)) {
        return Err(Error::ReturnTo);
    }
    let mut memory = Memory::default();
    memory.scopes = scopes(&flow, begin.scopes)?;
    memory.return_to = begin.return_to;
    memory.any_account = begin.any_account;
    let lifetime = begin.lifetime.unwrap_or(LINK_LIFETIME).min(LONGEST_LINK);
    match &flow.scheme.obtain {
        Obtain::Given => Err(Error::NoFlow(flow.scheme.name.clone())),
        Obtain::OAuth1(_) | Obtain::Custom => link(&flow, memory, lifetime).await,
        Obtain::OAuth2(recipe) => {
            let first = recipe.grants.first().copied();
            let wanted = begin.grant.or(first).unwrap_or(OAuthGrant::AuthorizationCode);
            if !recipe.grants.contains(&wanted) {
                return Err(Error::Grant {
                    wanted: grant_name(wanted).to_owned(),
                    scheme: flow.scheme.name.clone(),
                    offered: recipe
                        .grants
                        .iter()
                        .map(|grant| grant_name(*grant))
                        .collect::<Vec<_>>()
                        .join(", "),
                });
            }
            memory.grant = grant_name(wanted).to_owned();
            match wanted {
                OAuthGrant::AuthorizationCode => link(&flow, memory, lifetime).await,
                OAuthGrant::DeviceCode => device::begin(&flow, memory).await,
                OAuthGrant::ClientCredentials => {
                    let endpoints = Endpoints::of(&flow).await?;
                    let tokens = oauth2::by_client(&flow, &endpoints).await?;
                    Ok(Begun::Done(
                        account::adopt_tokens(&flow, tokens, &memory, &[]).await?,
                    ))
                }
                OAuthGrant::JwtBearer => {
                    let endpoints = Endpoints::of(&flow).await?;
                    let tokens = oauth2::by_assertion(&flow, &endpoints).await?;
                    Ok(Begun::Done(
                        account::adopt_tokens(&flow, tokens, &memory, &[]).await?,
                    ))
                }
            }
        }
    }
}

/// The word of a manifest for a flow.
#[must_use]
pub const fn grant_name(grant: OAuthGrant) -> &'static str {
    match grant {
        OAuthGrant::AuthorizationCode => "authorization-code",
        OAuthGrant::ClientCredentials => "client-credentials",
        OAuthGrant::DeviceCode => "device-code",
        OAuthGrant::JwtBearer => "jwt-bearer",
    }
}

fn scopes(flow: &Flow, wanted: Option<Vec<String>>) -> Result<Vec<String>, Error> {
    let Obtain::OAuth2(recipe) = &flow.scheme.obtain else {
        return Ok(Vec::new());
    };
    let Some(wanted) = wanted else {
        return Ok(recipe.scopes.clone());
    };
    let known = |scope: &String| recipe.scopes.contains(scope) || recipe.optional_scopes.contains(scope);
    match wanted.iter().find(|scope| !known(scope)) {
        Some(unknown) => Err(Error::Scope(unknown.clone())),
        None => Ok(wanted),
    }
}

/// A browser is never sent to another's machine: only to the one it runs on, where a command waits for it.
fn is_own_machine(text: &str) -> bool {
    let Ok(place) = sluice_broker::Place::parse(text) else {
        return false;
    };
    let host = place.host();
    let loopback = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    loopback || host == "localhost"
}

async fn link(flow: &Flow, mut memory: Memory, lifetime: Duration) -> Result<Begun, Error> {
    let (service, org) = (&flow.service, flow.org);
    let id = service.new_id();
    let ticket = Token::new(service, org, id);
    memory.ticket = ticket.digest();
    let expires = service.now().after(lifetime);
    keep(flow, id, Step::Waiting, expires, &memory).await?;
    Ok(Begun::Link {
        id,
        path: format!("/connect/{}", ticket.text()),
        expires,
    })
}

pub(super) async fn keep(
    flow: &Flow,
    id: AuthorizationId,
    step: Step,
    expires: Timestamp,
    memory: &Memory,
) -> Result<(), Error> {
    let (service, org, connection) = (&flow.service, flow.org, flow.connection.id);
    let new = NewAuthorization {
        id,
        connection,
        scheme: flow.scheme.name.clone(),
        step,
        created: service.now(),
        expires,
        memory: memory.seal(),
    };
    service.store().create_authorization(org, new).await?;
    if flow.connection.state == ConnectionState::Draft {
        connection::move_to(service, org, connection, ConnectionState::Authorizing, None).await?;
    }
    event::platform(
        service,
        org,
        "sluice.connection.authorizing",
        connection,
        || json!({"authorization": id, "scheme": flow.scheme.name}),
    )
    .await?;
    Ok(())
}

/// What a link leads to. Looking does not use it up: programs that preview links look as well.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Used`], [`Error::Expired`].
pub async fn look(service: &Service, link: &str) -> Result<Link, Error> {
    let (_, authorization, _) = by_ticket(service, link).await?;
    let token = Token::parse(link).ok_or(Error::Missing)?;
    let found = connection::get(service, token.org, &authorization.connection.to_string()).await?;
    Ok(Link {
        connector: found.connector,
        connection: found.name,
        scheme: authorization.scheme,
        account: found.account.map(|account| account.name),
    })
}

/// Follows a link: from now on it is used, and only the browser with the cookie can come back.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Used`], [`Error::Expired`], and what the provider's metadata says.
pub async fn follow(service: &Service, link: &str, public_url: &str) -> Result<Followed, Error> {
    let (token, authorization, mut memory) = by_ticket(service, link).await?;
    let flow = Flow::read(
        service,
        token.org,
        authorization.connection,
        Some(&authorization.scheme),
    )
    .await?;
    let state = Token::new(service, token.org, token.id);
    let browser = data_encoding::BASE64URL_NOPAD.encode(&service.random::<32>());
    memory.state = state.digest();
    memory.browser = digest(browser.as_bytes());
    memory.redirect_uri = format!("{}/connect/callback", public_url.trim_end_matches('/'));
    let location = match &flow.scheme.obtain {
        Obtain::Given => return Err(Error::NoFlow(flow.scheme.name.clone())),
        Obtain::OAuth1(recipe) => {
            memory.redirect_uri = format!("{}?state={}", memory.redirect_uri, state.text());
            oauth1::begin(&flow, recipe, &mut memory).await?
        }
        Obtain::Custom => {
            memory.redirect_uri = format!("{}?state={}", memory.redirect_uri, state.text());
            custom::begin(&flow, &mut memory).await?
        }
        Obtain::OAuth2(recipe) => {
            let endpoints = Endpoints::of(&flow).await?;
            let endpoint = endpoints.authorize.as_deref();
            let endpoint = endpoint.ok_or(Error::Answer("there is no authorize address"))?;
            let proof = recipe.pkce.then(|| oauth2::proof_key(service.random()));
            // It is for an ID token, and there is one only for who asks for it (OpenID Connect Core 1.0 §3.1.2.1).
            let is_openid = recipe.issuer.is_some() && memory.scopes.iter().any(|scope| scope == "openid");
            let nonce = is_openid.then(|| data_encoding::HEXLOWER.encode(&service.random::<16>()));
            let redirect = Redirect {
                state: &state.text(),
                challenge: proof.as_ref().map(|(_, challenge)| challenge.as_str()),
                nonce: nonce.as_deref(),
                redirect_uri: &memory.redirect_uri,
                scopes: &memory.scopes,
            };
            let location = oauth2::authorize_url(&flow, endpoint, &redirect)?;
            memory.verifier = proof.map(|(verifier, _)| verifier);
            memory.nonce = nonce;
            location
        }
    };
    let change = Move {
        from: Step::Waiting,
        to: Step::Started,
        memory: Some(memory.seal()),
        expires: Some(service.now().after(CONSENT_LIFETIME)),
        reason: None,
    };
    used_once(
        service
            .store()
            .move_authorization(token.org, token.id, change)
            .await,
    )?;
    Ok(Followed {
        location,
        cookie: (cookie_name(token.id), browser),
        lifetime: CONSENT_LIFETIME,
    })
}

/// One for each authorization, so that two that are under way in one browser do not take each other's.
pub(super) fn cookie_name(id: AuthorizationId) -> String {
    format!("sluice-{id}")
}

pub(super) fn used_once(moved: Result<(), sluice_store::Error>) -> Result<(), Error> {
    moved.map_err(|error| match error {
        sluice_store::Error::State { state, .. } => Error::Used(state),
        sluice_store::Error::Missing { .. } => Error::Missing,
        other => other.into(),
    })
}

async fn by_ticket(service: &Service, link: &str) -> Result<(Token, Authorization, Memory), Error> {
    let token = Token::parse(link).ok_or(Error::Missing)?;
    let found = service.store().get_authorization(token.org, token.id).await?;
    let found = found.ok_or(Error::Missing)?;
    if found.step != Step::Waiting {
        // Without its memory nobody can tell whether the link was the right one; that it was used says nothing secret.
        return Err(Error::Used(found.step.name()));
    }
    let memory = found
        .memory
        .as_ref()
        .and_then(Memory::open)
        .ok_or(Error::Missing)?;
    if !token.is(&memory.ticket) {
        return Err(Error::Missing);
    }
    if found.expires <= service.now() {
        return Err(Error::Expired);
    }
    Ok((token, found, memory))
}

/// How a flow stands; a device's is asked for at the vendor, as often as the vendor allows.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn status(service: &Service, org: OrgId, id: AuthorizationId) -> Result<Status, Error> {
    let find = || async {
        service
            .store()
            .get_authorization(org, id)
            .await?
            .ok_or(Error::Missing)
    };
    let mut found = find().await?;
    if found.step == Step::Started && device::poll(service, org, &found).await? {
        found = find().await?;
    }
    let ended = matches!(found.step, Step::Done | Step::Failed);
    let problem = match found.reason {
        Some(reason) => Some(Problem {
            code: reason.code,
            message: reason.message,
        }),
        None if !ended && found.expires <= service.now() => {
            Some(Problem::new(Error::Expired.code(), Error::Expired))
        }
        None => None,
    };
    let expired = !ended && found.expires <= service.now();
    Ok(Status {
        id,
        connection: found.connection,
        scheme: found.scheme,
        step: if expired { Step::Failed } else { found.step },
        expires: found.expires,
        problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_return_to_their_own_machine_only() {
        for to in [
            "http://127.0.0.1:3000/done",
            "http://localhost:3000/",
            "http://[::1]:9/",
        ] {
            assert!(is_own_machine(to), "{to}");
        }
        for to in [
            "https://evil.example/",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
            "//evil.example",
            "javascript:alert(1)",
            "http://127.0.0.1@evil.example/",
            "",
        ] {
            assert!(!is_own_machine(to), "{to}");
        }
    }
}
