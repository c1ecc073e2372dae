//! Rotating a hook's secret: the new one and the old are valid side by side until a time that whoever rotates chooses, so that no
//! delivery is refused while the vendor changes over.

use std::time::Duration;

use serde_json::json;
use sluice_model::id::{HookId, OrgId};
use sluice_model::manifest::RegisteredSecret;
use sluice_model::secret::Secret;

use super::address::address;
use super::making::secret_for;
use super::{Error, Hook, RegistrationState, get, missing};
use crate::{Service, event};

/// How long the secret before is valid if nobody says.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// Nobody needs longer to change over; whoever has found a secret has not longer either.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Gives a hook another secret; without one, one is made and answered this once. The secrets before are valid for `overlap` at
/// most (a day; 30 days are the longest); with none of it they are not any more. A vendor that was told the secret by its connector
/// is told the new one.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Secret`], [`Error::Entered`].
pub async fn rotate(
    service: &Service,
    org: OrgId,
    id: HookId,
    secret: Option<Secret>,
    overlap: Option<Duration>,
) -> Result<(Hook, Option<Secret>), Error> {
    let address = address(service, id).await?.filter(|address| address.org == org);
    let address = address.ok_or_else(|| Error::Missing(id.to_string()))?;
    let webhook = address.known.manifest.webhooks.get(address.webhook);
    let webhook = webhook.ok_or_else(|| Error::Missing(id.to_string()))?;
    let hook = service.store().get_hook(org, id).await?;
    let registration = hook.as_ref().and_then(|hook| hook.registration.as_ref());
    let of_vendor = webhook.registration.as_ref().map(|of| &of.secret);
    // What a vendor makes is not made here.
    let is_theirs = of_vendor == Some(&RegisteredSecret::Given) || webhook.learns_secret();
    if secret.is_none() && is_theirs {
        return Err(Error::Entered);
    }
    let (secret, made) = secret_for(service, webhook, secret)?;
    let secret = secret.ok_or(Error::Entered)?;
    let now = service.now();
    let until = now.after(overlap.unwrap_or(OVERLAP).min(LONGEST));
    let rotated = service
        .store()
        .rotate_hook_secret(org, id, secret, until, now)
        .await;
    rotated.map_err(|error| missing(error, &id))?;
    service.known_hooks().forget_hook(id);
    let is_sent = matches!(of_vendor, Some(RegisteredSecret::Sent(_)));
    let told = registration.filter(|of| is_sent && of.state != RegistrationState::ByHand);
    if let Some(of) = told {
        let store = service.store();
        let wanted = store.want_registration(org, id, of.url.clone(), None, now).await;
        wanted.map_err(|error| missing(error, &id))?;
    }
    event::platform(
        service,
        org,
        "sluice.hook.rotated",
        id,
        || json!({"connection": address.connection, "until": until.to_string()}),
    )
    .await?;
    let made = made.filter(|_| told.is_none());
    Ok((get(service, org, id).await?, made))
}
