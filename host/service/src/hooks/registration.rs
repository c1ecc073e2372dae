//! Setting a hook up at its vendor through the vendor's API, keeping it up, and ending it. The connector asks; when, how often
//! and what is kept of the answer is decided here.
//!
//! What must always hold: what is wanted was durable before the connector is called, under an address that no other
//! registration has; whatever became of an earlier try, the next one is told the same address, by which the connector finds what
//! is there already. The connector has a placeholder of the hook's secret, good toward the origins that its manifest names, and
//! what a vendor gives goes to the vault past it.

use std::sync::Arc;
use std::time::Duration;

use sluice_broker::{Apply, CaptureInto, Credential, Origin};
use sluice_model::Timestamp;
use sluice_model::connection::ConnectionState;
use sluice_model::fault::FaultKind;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::{RegisteredSecret, Webhook};
use sluice_model::schedule::Schedule;
use sluice_model::secret::Secret;
use sluice_runtime::Outcome;
use sluice_store::hook::Hook;
use sluice_store::receipt::ReceiptError;
use sluice_store::registration::{Became, Given, Progress, Registration, RegistrationState};

use super::SECRET_FIELD;
use crate::call::{self, Callee};
use crate::problem::Problem;
use crate::{Service, trace};

/// Codes with which a registration can be given up; a guest's and a call's are theirs.
pub const CODES: &[&str] = &["hook.registration"];

/// The name by which a connector opens the hook's secret, and captures one that the vendor gives.
pub(crate) const SECRET: &str = "webhook.secret";

/// A vendor that is away comes back within hours; what lacks a permission waits for a person.
const RETRY: Schedule = Schedule {
    first: Duration::from_secs(5),
    factor: 3.0,
    max: Duration::from_secs(3600),
    tries: 12,
};
/// How long the registration of a connection that is paused or broken waits before it is looked at again.
const UNTIL_ACTIVE: Duration = Duration::from_secs(300);
/// A registration that lives shorter is renewed no more often.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);
/// For vendors that are told while a connection is removed. Its owner waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a connector is told of an attempt of which nothing is known: its address.
fn lost(url: &str) -> sluice_runtime::Registration {
    sluice_runtime::Registration {
        id: String::new(),
        expires: None,
        state: serde_json::json!({ "url": url }).to_string(),
    }
}

/// Works on the registration of a leased hook.
pub(super) async fn work(service: &Service, org: OrgId, hook: &Hook, of: &Registration) -> Progress {
    let mut secret = None;
    let became = match asked(service, org, hook, of, &mut secret).await {
        Ok(became) => became,
        Err(failure) => failure.became(service, of),
    };
    Progress {
        wishes: of.wishes,
        became,
        secret,
    }
}

/// Why nothing came of it.
struct Failure {
    problem: Problem,
    passes: bool,
    by_hand: bool,
    after: Option<Duration>,
}

impl Failure {
    fn new(problem: Problem, passes: bool) -> Self {
        Self {
            problem,
            passes,
            by_hand: false,
            after: None,
        }
    }

    fn became(self, service: &Service, of: &Registration) -> Became {
        let wait = match self.passes {
            true => RETRY.wait(of.failures + 1, service.jitter(), self.after),
            false => None,
        };
        let Problem { code, message } = self.problem;
        tracing::warn!(
            code,
            message,
            given_up = wait.is_none(),
            "a vendor was not told of a hook"
        );
        Became::Failed {
            error: ReceiptError { code, message },
            next: wait.map(|wait| service.now().after(wait)),
            by_hand: self.by_hand,
        }
    }
}

impl From<call::Error> for Failure {
    fn from(error: call::Error) -> Self {
        Self::new(Problem::new(error.code(), error), true)
    }
}

async fn asked(
    service: &Service,
    org: OrgId,
    hook: &Hook,
    of: &Registration,
    secret: &mut Option<Secret>,
) -> Result<Became, Failure> {
    let callee = Callee::read(service, org, hook.connection).await?;
    let state = callee.connection.state;
    let is_ending = of.state == RegistrationState::Ending;
    if !is_ending && !state.serves() && state != ConnectionState::Draft {
        let next = service.now().after(UNTIL_ACTIVE);
        return Ok(Became::Waits { next });
    }
    let webhook = callee.known.manifest.webhook(&hook.webhook);
    let Some(webhook) = webhook.filter(|webhook| webhook.registration.is_some()) else {
        let words = "the connector no longer sets this webhook up";
        return Err(Failure {
            by_hand: true,
            ..Failure::new(Problem::new("hook.registration", words), false)
        });
    };
    if is_ending {
        end(service, &callee, hook, of).await?;
        return Ok(Became::Ended);
    }
    let given = of.given.as_ref();
    // It is known under another address, which nobody uses any more.
    if let Some(old) = given.filter(|given| given.url != of.url) {
        unregister(service, &callee, hook, told(old)).await?;
        return Ok(Became::Lost);
    }
    let vault = sealed(service, &callee, hook, webhook).await?;
    let call = callee.call_about_hook(service, vault).await?;
    let renewing = given.filter(|_| of.state == RegistrationState::Registered);
    let work = async {
        match renewing {
            Some(given) => ("renew", service.runtime().renew(call, told(given)).await),
            None => {
                let (name, url, events) = (webhook.name.clone(), of.url.clone(), of.events.clone());
                let made = service.runtime().register(call, name, url, events).await;
                ("register", made)
            }
        }
    };
    let (what, mut outcome) = in_time(service, work).await?;
    let captured = std::mem::take(&mut outcome.effects.captured);
    let found = match value(service, &callee, what, outcome) {
        Ok(found) => found,
        // The vendor does not know it any more, or says so: it is made anew, as often as anything is tried.
        Err(failure) if renewing.is_some() && !failure.passes && of.failures + 1 < RETRY.tries => {
            tracing::info!(hook = %hook.id, message = failure.problem.message, "a registration is made anew");
            return Ok(Became::Lost);
        }
        Err(failure) => return Err(failure),
    };
    let of_vendor = |into: &CaptureInto| matches!(into, CaptureInto::Secret(name) if name == SECRET);
    *secret = captured
        .into_iter()
        .rfind(|(into, _)| of_vendor(into))
        .map(|(_, secret)| secret);
    kept(service, webhook, of, found, secret.is_some(), hook, org).await
}

/// What the connector answered, if it can be kept and used.
async fn kept(
    service: &Service,
    webhook: &Webhook,
    of: &Registration,
    found: sluice_runtime::Registration,
    has_new_secret: bool,
    hook: &Hook,
    org: OrgId,
) -> Result<Became, Failure> {
    let now = service.now();
    let problem = |words: &str| Failure::new(Problem::new("hook.registration", words), true);
    let is_given = webhook
        .registration
        .as_ref()
        .is_some_and(|of| of.secret == RegisteredSecret::Given);
    if is_given && !has_new_secret {
        let has = service
            .store()
            .has_secret(org, &hook.id.to_string(), SECRET_FIELD)
            .await;
        if !has.unwrap_or(false) {
            return Err(problem("the vendor gave no secret"));
        }
    }
    let next = match found.expires {
        None => None,
        Some(end) if end <= now => return Err(problem("the vendor's registration has ended already")),
        Some(end) => Some(renewal(now, end)),
    };
    let given = Given {
        id: found.id,
        expires: found.expires,
        state: found.state,
        url: of.url.clone(),
        at: now,
    };
    given
        .check()
        .map_err(|error| Failure::new(Problem::new(error.code(), error), false))?;
    Ok(Became::Registered { given, next })
}

/// When a third of its life is left: a vendor that is away then has that long to come back.
fn renewal(now: Timestamp, end: Timestamp) -> Timestamp {
    now.after((end.since(now) * 2 / 3).max(SHORTEST_LIFE))
}

async fn end(service: &Service, callee: &Callee, hook: &Hook, of: &Registration) -> Result<(), Failure> {
    if let Some(given) = &of.given {
        unregister(service, callee, hook, told(given)).await?;
    }
    if of.attempted {
        unregister(service, callee, hook, lost(&of.url)).await?;
    }
    Ok(())
}

async fn unregister(
    service: &Service,
    callee: &Callee,
    hook: &Hook,
    registration: sluice_runtime::Registration,
) -> Result<(), Failure> {
    let call = callee.call_about_hook(service, None).await?;
    let work = service.runtime().unregister(call, registration);
    let outcome = in_time(service, work).await?;
    tracing::debug!(hook = %hook.id, "the vendor was told that a hook has ended");
    value(service, callee, "unregister", outcome)
}

/// Ends what vendors know of a connection's hooks, before its credential goes; for ten seconds at most. Gives why one was not
/// ended.
pub(crate) async fn farewell(service: &Service, org: OrgId, connection: ConnectionId) -> Option<Problem> {
    let all = async {
        let hooks = service.store().list_hooks(org, Some(connection)).await;
        let hooks = hooks.map_err(|error| Problem::new(error.code(), error))?;
        let known = |hook: &Hook| hook.registration.as_ref().is_some_and(Registration::may_be_known);
        if !hooks.iter().any(known) {
            return Ok(());
        }
        let callee = Callee::read(service, org, connection).await;
        let callee = callee.map_err(|error| Problem::new(error.code(), error))?;
        let mut worst = Ok(());
        for hook in hooks.iter().filter(|hook| known(hook)) {
            if let Some(of) = &hook.registration
                && let Err(failure) = end(service, &callee, hook, of).await
            {
                worst = Err(failure.problem);
            }
        }
        worst
    };
    match tokio::time::timeout(PATIENCE, all).await {
        Ok(ended) => ended.err(),
        Err(_) => Some(Problem::new(
            "hook.registration",
            "the vendor was not told in time that its webhook has ended",
        )),
    }
}

/// Tells the vendor at once of an answer that came when the hook was gone already. What this misses is left at the vendor, whose
/// deliveries are refused here.
pub(super) async fn orphan(service: &Service, org: OrgId, hook: &Hook, given: &Given) {
    let told = async {
        let callee = Callee::read(service, org, hook.connection).await?;
        unregister(service, &callee, hook, told(given)).await
    };
    if let Err(failure) = told.await {
        let Problem { code, message } = failure.problem;
        tracing::warn!(hook = %hook.id, code, message, "a registration of a hook that is gone is left at the vendor");
    }
}

fn told(given: &Given) -> sluice_runtime::Registration {
    sluice_runtime::Registration {
        id: given.id.clone(),
        expires: given.expires,
        state: given.state.clone(),
    }
}

/// Ends before the lease does: nobody else is to ask the vendor meanwhile.
async fn in_time<T>(service: &Service, work: impl Future<Output = T>) -> Result<T, Failure> {
    let most = service.settings().lease * 3 / 4;
    tokio::time::timeout(most, work).await.map_err(|_| {
        let words = "the vendor was not told in time";
        Failure::new(Problem::new("hook.registration", words), true)
    })
}

fn value<T>(
    service: &Service,
    callee: &Callee,
    what: &'static str,
    mut outcome: Outcome<T>,
) -> Result<T, Failure> {
    call::observe(service, what, callee, &outcome);
    let problem = trace::problem(&outcome);
    trace::keep(service, callee, what, problem, &mut outcome.effects);
    match outcome.result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(fault)) => Err(Failure {
            passes: fault.kind.passes(),
            by_hand: fault.kind == FaultKind::Unsupported,
            after: fault.retry_after,
            problem: Problem::new(fault.kind.code(), &fault),
        }),
        Err(error) => Err(Failure::new(Problem::new(error.code(), &error), error.passes())),
    }
}

/// The hook's secret as the connector may send it; none where it has none yet.
async fn sealed(
    service: &Service,
    callee: &Callee,
    hook: &Hook,
    webhook: &Webhook,
) -> Result<Option<Arc<Credential>>, Failure> {
    let secret = service
        .store()
        .get_secret(callee.org, &hook.id.to_string(), SECRET_FIELD)
        .await
        .map_err(|error| Failure::new(Problem::new(error.code(), error), true))?;
    let Some(secret) = secret else { return Ok(None) };
    let mut origins = Vec::new();
    if let Some(RegisteredSecret::Sent(patterns)) = webhook.registration.as_ref().map(|of| &of.secret) {
        for pattern in patterns {
            let pattern = pattern.expand(&callee.connection.config);
            let pattern =
                pattern.map_err(|error| Failure::new(Problem::new("connection.config", error), false))?;
            origins.push(Origin {
                scheme: pattern.scheme,
                host: pattern.host,
                port: pattern.port,
            });
        }
    }
    // Without origins it goes nowhere: the connector learns that there is one, and no more.
    Ok(Some(Arc::new(Credential::new(
        SECRET,
        secret,
        Apply::Bearer,
        origins,
    ))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_has_a_third_of_the_life_for_its_tries() {
        let at = Timestamp::from_millis;
        assert_eq!(renewal(at(0), at(9_000_000)), at(6_000_000));
        assert_eq!(renewal(at(0), at(1)), at(5_000));
        assert_eq!(renewal(at(5), at(5)), at(5_005));
    }
}
