//! Giving a grant back: the vendor is told (RFC 7009), then the credential is forgotten.

use serde_json::json;
use sluice_model::auth::Obtain;
use sluice_model::connection::ConnectionState;
use sluice_model::id::{ConnectionId, OrgId};

use super::bundle::{ACCESS, REFRESH};
use super::exchange::Ask;
use super::flow::Flow;
use super::oauth2::{self, Endpoints, pair};
use super::{Error, custom};
use crate::connection::{self, News};
use crate::problem::Problem;
use crate::{Service, event};

/// Revokes the connection's grant at the vendor and forgets its credential. Answers whether the vendor was told: not all
/// offer it. The connection then needs its owner.
///
/// # Errors
///
/// [`Error::Refused`] or [`Error::Broker`] if the vendor did not take it back: the credential is kept then, so that it can
/// be tried again.
pub async fn revoke(service: &Service, org: OrgId, id: ConnectionId) -> Result<bool, Error> {
    let flow = Flow::read(service, org, id, None).await?;
    let told = tell(&flow).await?;
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

async fn tell(flow: &Flow) -> Result<bool, Error> {
    if flow.kept.is_empty() {
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
            let (name, hint) = match flow.kept.get(REFRESH) {
                Some(_) => (REFRESH, "refresh_token"),
                None => (ACCESS, "access_token"),
            };
            let Some(token) = flow.kept.text(name) else {
                return Ok(false);
            };
            let mut pairs = vec![pair("token", &token), pair("token_type_hint", hint)];
            let mut ask = Ask::post(url);
            oauth2::prove(flow, recipe, &mut pairs, &mut ask);
            ask.write(recipe.body, &pairs);
            let reply = ask.send(&flow.service, &flow.asker()).await?;
            if (200..300).contains(&reply.status) {
                Ok(true)
            } else {
                Err(Error::Refused(format!("to revoke: status {}", reply.status)))
            }
        }
    }
}
