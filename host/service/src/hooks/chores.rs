//! What is owed at a vendor on behalf of a hook, done in the background: an address visited once, and its registration.
//!
//! What must always hold: only an address that the recipe's own patterns permitted is visited, through the broker; a
//! visit that the vendor does not take is tried again for some hours and then given up, which the hook's owner can read.

use std::time::Duration;

use serde_json::json;
use sluice_model::Timestamp;
use sluice_model::id::OrgId;
use sluice_model::schedule::Schedule;
use sluice_store::chore::ChoresDone;
use sluice_store::hook::Hook;
use sluice_store::receipt::ReceiptError;
use sluice_store::registration::{Became, RegistrationState};
use tokio_util::sync::CancellationToken;

use super::fetch::{Fetch, NotFetched};
use super::registration;
use crate::call::Callee;
use crate::{Service, event};

/// Codes with which a chore can be given up; a guest's and a call's are theirs.
pub const CODES: &[&str] = &["webhook.visit"];

/// Some hours: SNS's token is good for three days.
const RETRY: Schedule = Schedule {
    first: Duration::from_secs(5),
    factor: 3.0,
    max: Duration::from_secs(3600),
    tries: 12,
};

/// Does a leased hook's chores and writes down what came of it. An error is the store's.
pub(crate) async fn drive(
    service: &Service,
    (org, hook): (OrgId, Hook),
    _shutdown: &CancellationToken,
) -> Result<(), sluice_store::Error> {
    let now = service.now();
    let is_due = |next: Option<Timestamp>| next.is_some_and(|next| next <= now);
    let registration = hook.registration.as_ref().filter(|of| is_due(of.next));
    let visits = registration.is_none() || hook.chores.visit_at.is_none_or(|at| at <= now);
    let mut done = ChoresDone {
        now,
        ..ChoresDone::default()
    };
    if visits {
        done = visit(service, org, &hook).await;
    }
    if let Some(of) = registration {
        done.registration = Some(registration::work(service, org, &hook, of).await);
        done.now = service.now();
    }
    let given = match done.registration.as_ref().map(|progress| &progress.became) {
        Some(Became::Registered { given, .. }) => Some(given.clone()),
        _ => None,
    };
    let fencing = hook.chores.fencing;
    let finished = service.store().finish_chores(org, hook.id, fencing, done).await;
    service.known_hooks().forget_hook(hook.id);
    match finished {
        // Somebody else has it.
        Err(sluice_store::Error::Fenced { .. }) => Ok(()),
        // It was removed meanwhile.
        Err(sluice_store::Error::Missing { .. }) => {
            if let Some(given) = &given {
                registration::orphan(service, org, &hook, given).await;
            }
            Ok(())
        }
        Ok(now) => {
            tell(service, org, &hook, &now).await;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Tells of a registration that stands somewhere else than before.
async fn tell(service: &Service, org: OrgId, before: &Hook, now: &Hook) {
    let (Some(was), Some(is)) = (&before.registration, &now.registration) else {
        return;
    };
    let kind = match is.state {
        RegistrationState::Ending if is.next.is_none() => "sluice.hook.unregistered",
        _ if was.state == is.state && was.given.is_some() == is.given.is_some() => return,
        RegistrationState::Registered => "sluice.hook.registered",
        RegistrationState::Failed | RegistrationState::ByHand => "sluice.hook.registration_failed",
        RegistrationState::Pending | RegistrationState::Ending => return,
    };
    let told = event::platform(
        service,
        org,
        kind,
        now.id,
        || json!({"connection": now.connection, "webhook": now.webhook, "code": is.error.as_ref().map(|error| &error.code)}),
    );
    if let Err(error) = told.await {
        tracing::warn!(hook = %now.id, code = error.code(), %error, "a registration was not noted");
    }
}

async fn visit(service: &Service, org: OrgId, hook: &Hook) -> ChoresDone {
    let now = service.now();
    let nothing = ChoresDone {
        now,
        ..ChoresDone::default()
    };
    let Some(url) = hook.chores.visit.clone() else {
        return nothing;
    };
    let connector = match Callee::read(service, org, hook.connection).await {
        Ok(callee) => callee.known.manifest.id.clone(),
        Err(error) => return failed(service, hook, url, error.code(), &error.to_string(), true),
    };
    let fetch = Fetch {
        org,
        connector,
        url: url.clone(),
        post: None,
        credential: None,
    };
    match fetch.send(service).await {
        Ok(_) => {
            let told = event::platform(
                service,
                org,
                "sluice.hook.confirmed",
                hook.id,
                || json!({"connection": hook.connection, "webhook": hook.webhook}),
            );
            if let Err(error) = told.await {
                tracing::warn!(hook = %hook.id, code = error.code(), %error, "a confirmation was not noted");
            }
            ChoresDone {
                visited: Some(url),
                ..nothing
            }
        }
        // The broker's words may have the address in them, and the address has the vendor's token.
        Err(error) => {
            let said = match &error {
                NotFetched::Broker(error) => error.code().to_owned(),
                other => other.to_string(),
            };
            failed(service, hook, url, "webhook.visit", &said, error.passes())
        }
    }
}

fn failed(service: &Service, hook: &Hook, url: String, code: &str, said: &str, passes: bool) -> ChoresDone {
    let now = service.now();
    let wait = match passes {
        true => RETRY.wait(hook.chores.failures + 1, service.jitter(), None),
        false => None,
    };
    tracing::warn!(hook = %hook.id, code, said, given_up = wait.is_none(), "a vendor's address was not visited");
    ChoresDone {
        visited: wait.is_none().then_some(url),
        due: wait.map(|wait| now.after(wait)),
        error: Some(ReceiptError {
            code: code.to_owned(),
            message: said.to_owned(),
        }),
        now,
        ..ChoresDone::default()
    }
}
