//! Giving a grant back: the vendor is told (RFC 7009), then the credential is forgotten.
//!
//! A vendor has been told only when its answer says that the token is revoked; many answer 200 to everything. What is removed
//! here is removed whether the vendor listens or not: it is told for a bounded time, and how that went is part of the answer.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_model::auth::{AnswerRecipe, OAuth2, Obtain, RevokedToken};
use sluice_model::connection::ConnectionState;
use sluice_model::id::{ConnectionId, OrgId};

use super::bundle::{ACCESS, REFRESH};
use super::exchange::{Ask, Reply};
use super::flow::Flow;
use super::oauth2::{self, Endpoints, pair};
use super::{Bundle, Error, answer, custom, refresh};
use crate::connection::{self, News};
use crate::problem::Problem;
use crate::{Service, event};

/// For a vendor that is told while something is removed. Its owner waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How telling the vendor went, where nothing depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct GivenBack {
    /// Whether the vendor has taken a grant back.
    pub(crate) told: bool,
    /// Why a grant that should have been given back was not.
    pub(crate) problem: Option<Problem>,
}

/// Revokes the connection's grant at the vendor and forgets its credential. Answers whether the vendor was told: not all
/// offer it. The connection then needs its owner.
///
/// # Errors
///
/// [`Error::Refused`] or [`Error::Broker`] if the vendor did not take it back: the credential is kept then, so that it can
/// be tried again.
pub async fn revoke(service: &Service, org: OrgId, id: ConnectionId) -> Result<bool, Error> {
    let flow = fresh(Flow::read(service, org, id, None).await?).await?;
    let told = tell(&flow, &flow.kept).await?;
    service
        .store()
        .remove_credential(org, id, &flow.scheme.name, None)
        .await?;
    service.credentials().forget(id);
    let problem = Problem::new("auth.ended", "the grant was revoked here");
    let state = Some((ConnectionState::NeedsReauth, Some(problem)));
    connection::settle(service, org, id, News::default(), state).await?;
    event::platform(
        service,
        org,
        "sluice.connection.revoked",
        id,
        || json!({"scheme": flow.scheme.name, "vendor_told": told}),
    )
    .await?;
    Ok(told)
}

/// Gives back every grant of a connection that is about to be removed, as far as the vendor lets it, in bounded time.
pub(crate) async fn give_back(service: &Service, org: OrgId, id: ConnectionId) -> GivenBack {
    let mut given_back = GivenBack::default();
    let all = async {
        for head in service.store().credential_heads(org, id).await? {
            let one = async {
                let flow = fresh(Flow::read(service, org, id, Some(&head.scheme)).await?).await?;
                tell(&flow, &flow.kept).await
            };
            match one.await {
                Ok(told) => given_back.told |= told,
                Err(error) => {
                    given_back
                        .problem
                        .get_or_insert_with(|| Problem::new(error.code(), &error));
                }
            }
        }
        Ok::<_, Error>(())
    };
    let ended = tokio::time::timeout(PATIENCE, all).await;
    let failed = match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(_) => Some(Error::Broker(sluice_broker::Error::Timeout { limit: PATIENCE })),
    };
    if let Some(error) = failed {
        given_back
            .problem
            .get_or_insert_with(|| Problem::new(error.code(), &error));
    }
    given_back
}

/// Gives back tokens that came for a connection that is gone. Code is not asked: what it would send is gone as well.
pub(super) async fn orphan(flow: &Flow, bundle: &Bundle) {
    if !matches!(flow.scheme.obtain, Obtain::OAuth2(_)) {
        return;
    }
    let connection = flow.connection.id;
    match tokio::time::timeout(PATIENCE, tell(flow, bundle)).await {
        Ok(Ok(told)) => tracing::info!(%connection, told, "a token came for a connection that is gone"),
        Ok(Err(error)) => {
            tracing::warn!(%connection, code = error.code(), %error, "a token of a connection that is gone is not revoked");
        }
        Err(_) => {
            tracing::warn!(%connection, "a token of a connection that is gone is not revoked: the vendor says nothing");
        }
    }
}

/// Where the access token is what is revoked, one that has ended is refreshed first: the vendor would not know it.
async fn fresh(flow: Flow) -> Result<Flow, Error> {
    let by_access =
        matches!(&flow.scheme.obtain, Obtain::OAuth2(recipe) if recipe.revoke_token == RevokedToken::Access);
    let has_ended = flow.life.expires.is_some_and(|end| end <= flow.service.now());
    if !(by_access && has_ended && flow.kept.get(REFRESH).is_some()) {
        return Ok(flow);
    }
    let (service, org, id, scheme) = (&flow.service, flow.org, flow.connection.id, &flow.scheme.name);
    if let Err(problem) = refresh::renew(service, org, id, scheme, flow.version).await {
        let said = format!("to give its token back, which has ended: {}", problem.message);
        return Err(Error::Refused(said));
    }
    Flow::read(service, org, id, Some(scheme)).await
}

async fn tell(flow: &Flow, kept: &Bundle) -> Result<bool, Error> {
    if kept.is_empty() {
        return Ok(false);
    }
    match &flow.scheme.obtain {
        Obtain::Given | Obtain::OAuth1(_) => Ok(false),
        Obtain::Custom => custom::revoke(flow).await.map(|()| true),
        Obtain::OAuth2(recipe) => {
            let Some(url) = Endpoints::of(flow).await?.revoke else {
                return Ok(false);
            };
            // Revoking the refresh token ends the grant (RFC 7009 §2.1).
            let (name, hint) = match (recipe.revoke_token, kept.get(REFRESH)) {
                (RevokedToken::Refresh, Some(_)) => (REFRESH, "refresh_token"),
                _ => (ACCESS, "access_token"),
            };
            let Some(token) = kept.text(name) else {
                return Ok(false);
            };
            let mut pairs = vec![pair("token", &token), pair("token_type_hint", hint)];
            let mut ask = Ask::post(url);
            oauth2::prove(flow, recipe, &mut pairs, &mut ask);
            ask.write(recipe.body, &pairs);
            let reply = ask.send(&flow.service, &flow.asker()?).await?;
            match refusal(recipe, &reply) {
                // What has ended already is not there to be given back.
                None | Some(Error::Ended(_)) => Ok(true),
                Some(Error::Refused(said) | Error::Denied(said)) => {
                    Err(Error::Refused(format!("to revoke: {said}")))
                }
                Some(error) => Err(error),
            }
        }
    }
}

/// Why the token is not revoked. RFC 7009 §2.2 says it by the status, and a good answer has mostly no body; a vendor that
/// answers 200 to everything says it in the body, where its recipe tells to look.
fn refusal(recipe: &OAuth2, reply: &Reply) -> Option<Error> {
    let body = answer::document(reply).unwrap_or(Value::Null);
    let of_tokens = recipe.answer.success.as_ref();
    let said = of_tokens.filter(|success| body.pointer(&success.pointer).is_some());
    let judged = AnswerRecipe {
        success: recipe.revoke_success.as_ref().or(said).cloned(),
        ..recipe.answer.clone()
    };
    answer::refusal(&judged, reply.status, &body)
}

#[cfg(test)]
mod tests {
    use sluice_model::manifest::Manifest;
    use zeroize::Zeroizing;

    use super::*;

    fn recipe(more: &str) -> OAuth2 {
        let text = format!(
            r#"
            manifest = 1
            id = "acme"
            version = "0.1.0"
            contract = "0.1"
            name = "Acme"
            description = "x"
            category = "x"
            licence = "Apache-2.0"
            [[capabilities.egress]]
            host = "acme.example"
            methods = ["GET"]
            paths = ["/**"]
            [[auth]]
            name = "oauth"
            title = "x"
            scheme = "oauth2"
            origins = ["https://acme.example"]
            [auth.oauth2]
            grants = ["authorization-code"]
            authorize_url = "https://acme.example/a"
            token_url = "https://acme.example/t"
            revoke_url = "https://acme.example/r"
            {more}
            "#
        );
        let manifest = Manifest::parse(&text).unwrap();
        match manifest.auth.into_iter().next().unwrap().obtain {
            Obtain::OAuth2(recipe) => *recipe,
            other => panic!("{other:?}"),
        }
    }

    fn check(recipe: &OAuth2, status: u16, body: &str, expected: Option<&str>) {
        let reply = Reply {
            status,
            content_type: "application/json".to_owned(),
            body: Zeroizing::new(body.as_bytes().to_vec()),
        };
        let found = refusal(recipe, &reply);
        assert_eq!(
            found.as_ref().map(Error::code),
            expected,
            "{status} {body}: {found:?}"
        );
    }

    #[test]
    fn by_the_rfc_the_status_says_it() {
        let plain = recipe("");
        check(&plain, 200, "", None);
        check(&plain, 204, "", None);
        check(&plain, 200, "{}", None);
        check(&plain, 200, "<html>", None);
        check(&plain, 200, r#"{"error":"server_error"}"#, Some("auth.refused"));
        check(&plain, 503, "", Some("auth.refused"));
        check(&plain, 400, r#"{"error":"invalid_grant"}"#, Some("auth.ended"));
    }

    #[test]
    fn elsewhere_the_body_says_it() {
        let by_tokens = recipe("[auth.oauth2.answer]\nsuccess = { pointer = \"/ok\", equals = true }");
        check(&by_tokens, 200, r#"{"ok":true}"#, None);
        check(&by_tokens, 200, r#"{"ok":false}"#, Some("auth.refused"));
        check(&by_tokens, 200, "", None);
        let strict = recipe(
            "revoke_token = \"access\"\nrevoke_success = { pointer = \"/revoked\", equals = true }\n[auth.oauth2.answer]\nended = [\"token_revoked\"]",
        );
        check(&strict, 200, r#"{"ok":true,"revoked":true}"#, None);
        check(
            &strict,
            200,
            r#"{"ok":true,"revoked":false}"#,
            Some("auth.refused"),
        );
        check(
            &strict,
            200,
            r#"{"ok":false,"error":"invalid_auth"}"#,
            Some("auth.refused"),
        );
        check(
            &strict,
            200,
            r#"{"ok":false,"error":"token_revoked"}"#,
            Some("auth.ended"),
        );
        check(&strict, 200, "", Some("auth.refused"));
    }
}
