//! Making hooks, and having them set up at the vendor.

use serde_json::json;
use sluice_model::id::{ConnectionId, HookId, OrgId};
use sluice_model::manifest::{Manifest, RegisteredSecret, Webhook};
use sluice_model::secret::Secret;
use sluice_model::signature::{Recipe, SecretUse};
use sluice_store::app_hook::AppHook;
use sluice_store::chore::Chores;
use sluice_store::hook::HookState;
use sluice_store::receipt::ReceiptError;

use super::{
    Error, Hook, Registration, RegistrationState, SECRET_FIELD, explain, handle, live, missing, view,
    view_of_app,
};
use crate::{Service, catalogue, connection, event, install};

/// A hook that is to be made.
#[derive(Debug, Default)]
pub struct NewHook<'a> {
    /// The manifest's name of the webhook; without it its first.
    pub webhook: Option<&'a str>,
    /// Without it one is made, or the vendor gives one.
    pub secret: Option<Secret>,
    /// Never to be set up at the vendor by the connector.
    pub by_hand: bool,
    /// The kinds of events to ask the vendor for; none: all that the manifest declares.
    pub events: Vec<String>,
}

/// Makes an address for a webhook of the connection's connector; the first one if none is named. Where the connector can set
/// it up at the vendor, that is begun with it. Otherwise, without a secret, one is made and answered: it is shown this once, to be
/// entered at the vendor.
///
/// # Errors
///
/// [`Error::Webhook`], [`Error::Secret`], [`Error::Entered`], [`Error::Event`].
pub async fn create(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    new: NewHook<'_>,
) -> Result<(Hook, Option<Secret>), Error> {
    let connection = connection::get(service, org, &id.to_string()).await?;
    let known = catalogue::known(service, org, connection.install).await?;
    let chosen = chosen(&known.manifest, new.webhook)?;
    let hook_id = service.new_id();
    let registration = wanted(service, hook_id, chosen, &new)?;
    let registers = registration
        .as_ref()
        .is_some_and(|of| of.state == RegistrationState::Pending);
    let gives = chosen
        .registration
        .as_ref()
        .is_some_and(|of| of.secret == RegisteredSecret::Given);
    let (kept, made) = match registers && gives {
        true => (None, None),
        false => secret_for(service, chosen, new.secret)?,
    };
    let hook = sluice_store::hook::Hook {
        id: hook_id,
        connection: id,
        webhook: chosen.name.clone(),
        state: HookState::Active,
        created: service.now(),
        app: None,
        chores: Chores {
            due: registration.as_ref().and_then(|of| of.next),
            ..Chores::default()
        },
        registration,
        older_secrets: Vec::new(),
    };
    // It is there before the hook is, whose registration sends it.
    if let Some(secret) = kept {
        service
            .store()
            .put_secret(org, &hook.id.to_string(), SECRET_FIELD, secret, service.now())
            .await?;
    }
    service.store().create_hook(org, hook.clone()).await?;
    let told = json!({"connection": id, "webhook": hook.webhook});
    let hook = finish(service, org, view(hook), told, None).await?;
    Ok((hook, made.filter(|_| !registers)))
}

/// How a new hook is to be set up by its connector, if it is.
fn wanted(
    service: &Service,
    id: HookId,
    chosen: &Webhook,
    new: &NewHook<'_>,
) -> Result<Option<Registration>, Error> {
    let declared = || chosen.events.iter().map(|event| event.kind.as_str());
    let stray = new
        .events
        .iter()
        .find(|kind| !declared().any(|pattern| pattern == *kind || handle::declares(pattern, kind)));
    if let Some(stray) = stray {
        return Err(Error::Event(stray.clone()));
    }
    // Whoever brings the secret of a vendor that gives one has been there already.
    let is_there = |secret: &RegisteredSecret| *secret == RegisteredSecret::Given && new.secret.is_some();
    let Some(_) = chosen
        .registration
        .as_ref()
        .filter(|of| !new.by_hand && !is_there(&of.secret))
    else {
        return Ok(None);
    };
    let events = match new.events.is_empty() {
        true => declared().map(str::to_owned).collect(),
        false => new.events.clone(),
    };
    Ok(Some(match url_of(service, id) {
        Ok(url) => Registration::wanted(url, events, service.now()),
        Err(error) => Registration {
            state: RegistrationState::ByHand,
            next: None,
            error: Some(ReceiptError {
                code: error.code().to_owned(),
                message: error.to_string(),
            }),
            ..Registration::wanted(String::new(), events, service.now())
        },
    }))
}

/// What vendors are told. They take no address without TLS, such as the one that a server has if nobody says how it is reached.
fn url_of(service: &Service, id: HookId) -> Result<String, Error> {
    let public = service.settings().public_url.as_deref();
    let public = public.filter(|public| public.starts_with("https://"));
    public
        .map(|public| format!("{public}/hooks/{id}"))
        .ok_or(Error::NoAddress)
}

/// Has the connector set a hook up at the vendor (again): one that was given up, one whose address or events have changed, one that
/// somebody removed there. What is there already is found by its address and is not made twice.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::ByHand`], [`Error::NoAddress`], [`Error::Event`].
pub async fn register(service: &Service, org: OrgId, id: HookId, events: Vec<String>) -> Result<Hook, Error> {
    let hook = live(service, org, id).await?;
    let connection = connection::get(service, org, &hook.connection.to_string()).await?;
    let known = catalogue::known(service, org, connection.install).await?;
    let chosen = chosen(&known.manifest, Some(&hook.webhook))?;
    if chosen.registration.is_none() || hook.app.is_some() {
        return Err(Error::ByHand(hook.webhook));
    }
    let url = url_of(service, id)?;
    let new = NewHook {
        events,
        ..NewHook::default()
    };
    let events = wanted(service, id, chosen, &new)?.map(|of| of.events);
    let kept = hook.registration.as_ref().filter(|of| !of.events.is_empty());
    let events = events.filter(|_| kept.is_none() || !new.events.is_empty());
    let store = service.store();
    let wanted = store.want_registration(org, id, url, events, service.now()).await;
    Ok(view(wanted.map_err(|error| missing(error, &id))?))
}

/// Makes an address for a webhook of all accounts that connections of this connector have: a vendor's app has one address
/// for all of them.
///
/// # Errors
///
/// As [`create`]; [`Error::Connector`], [`Error::NoAccount`].
pub async fn create_for_app(
    service: &Service,
    org: OrgId,
    connector: &str,
    webhook: Option<&str>,
    secret: Option<Secret>,
) -> Result<(Hook, Option<Secret>), Error> {
    let newest = install::newest_id(service, org, connector).await?;
    let newest = newest.ok_or_else(|| Error::Connector(connector.to_owned()))?;
    let known = catalogue::known(service, org, newest).await?;
    let chosen = chosen(&known.manifest, webhook)?;
    if chosen.account.is_none() {
        return Err(Error::NoAccount(chosen.name.clone()));
    }
    let (kept, made) = secret_for(service, chosen, secret)?;
    let hook = AppHook {
        id: service.new_id(),
        connector: connector.to_owned(),
        webhook: chosen.name.clone(),
        state: HookState::Active,
        created: service.now(),
        older_secrets: Vec::new(),
    };
    service.store().create_app_hook(org, hook.clone()).await?;
    let told = json!({"connector": connector, "webhook": hook.webhook});
    finish(service, org, view_of_app(hook), told, kept)
        .await
        .map(|hook| (hook, made))
}

fn chosen<'m>(manifest: &'m Manifest, webhook: Option<&str>) -> Result<&'m Webhook, Error> {
    let found = match webhook {
        Some(name) => manifest.webhook(name),
        None => manifest.webhooks.first(),
    };
    found.ok_or_else(|| {
        let offered: Vec<_> = manifest
            .webhooks
            .iter()
            .map(|webhook| webhook.name.as_str())
            .collect();
        Error::Webhook {
            wanted: webhook.unwrap_or("(any)").to_owned(),
            offered: if offered.is_empty() {
                "none".to_owned()
            } else {
                offered.join(", ")
            },
        }
    })
}

/// The secret that a new hook has, or one that is rotated, and the same if it was made just now.
pub(super) fn secret_for(
    service: &Service,
    chosen: &Webhook,
    secret: Option<Secret>,
) -> Result<(Option<Secret>, Option<Secret>), Error> {
    let made = match &secret {
        Some(secret) if !(shortest(chosen)..=4096).contains(&secret.expose().len()) => {
            return Err(Error::Secret);
        }
        Some(_) => None,
        None if chosen.learns_secret() => None,
        None if chosen.recipe.secret_use() == SecretUse::Entered => return Err(Error::Entered),
        None if chosen.recipe.secret_use() == SecretUse::Made => {
            Some(chosen.recipe.make_secret(&service.random::<32>()))
        }
        None => None,
    };
    Ok((secret.or_else(|| made.clone()), made))
}

/// Keeps a new hook's secret and tells of the hook.
async fn finish(
    service: &Service,
    org: OrgId,
    mut hook: Hook,
    told: serde_json::Value,
    secret: Option<Secret>,
) -> Result<Hook, Error> {
    if let Some(secret) = secret {
        service
            .store()
            .put_secret(org, &hook.id.to_string(), SECRET_FIELD, secret, service.now())
            .await?;
    }
    event::platform(service, org, "sluice.hook.created", hook.id, || told).await?;
    explain(service, &mut hook).await?;
    Ok(hook)
}

/// What a person or a machine made up has to be long enough; an id that the vendor gave is as long as it is.
fn shortest(webhook: &Webhook) -> usize {
    match (&webhook.recipe, webhook.recipe.secret_use()) {
        (Recipe::Basic, _) => 8,
        (_, SecretUse::Entered) => 1,
        _ => 8,
    }
}
