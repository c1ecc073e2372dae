//! Keeping tokens fresh. However many ask at once, one exchange runs; it is a task of its own, so that nobody who stops
//! waiting can cut it off between the vendor's answer and its commit, which would lose the account.
//!
//! A token whose time cannot be believed is not used: the one before it serves while it lasts, the connection is degraded and
//! says why once, and the vendor is asked again as after any failure that may pass. The refresh token that came with it is
//! kept before that, because the one before it may be used up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::auth::{OAuthGrant, Obtain, SECRET};
use sluice_model::connection::ConnectionState;
use sluice_model::id::{AuthorizationId, ConnectionId, OrgId};
use sluice_model::manifest::AuthScheme;
use sluice_store::credential::{Life, NewCredential};
use tokio::sync::watch;

use super::account::{self, GRANT};
use super::answer::Renewal;
use super::authorize::grant_name;
use super::bundle::{ACCESS, PREVIOUS, REFRESH};
use super::flow::Flow;
use super::oauth2::{self, Endpoints};
use super::{Bundle, Error, custom, revoke};
use crate::Service;
use crate::connection::{self, News};
use crate::problem::Problem;

type Key = (ConnectionId, String);
type Outcome = Option<Result<(), Problem>>;

/// Exchanges that are under way, and those that failed a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    flights: Mutex<HashMap<Key, watch::Receiver<Outcome>>>,
    failed: Mutex<HashMap<Key, (Timestamp, Problem)>>,
    polled: Mutex<HashMap<AuthorizationId, Timestamp>>,
}

/// After a failure that may pass the vendor is left alone so long, whoever asks.
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// Between two tries in the background.
const TRIED_AGAIN: Duration = Duration::from_secs(60);
/// How long the refresh token before the present one is worth a try.
const GRACE: Duration = Duration::from_secs(3600);
/// Entries of past failures and polls; more than so many are forgotten.
const MAX_REMEMBERED: usize = 10_000;

impl Flights {
    /// Whether a device's flow may be asked for now (RFC 8628 §3.5); it then counts as asked.
    pub(super) fn may_poll(&self, id: AuthorizationId, now: Timestamp, interval_s: u32) -> bool {
        let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        let interval = Duration::from_secs(interval_s.into());
        if polled
            .get(&id)
            .is_some_and(|last| now.since(*last) < interval && now >= *last)
        {
            return false;
        }
        if polled.len() >= MAX_REMEMBERED {
            polled.clear();
        }
        polled.insert(id, now);
        true
    }

    fn failed_just_now(&self, key: &Key, now: Timestamp) -> Option<Problem> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, problem) = failed.get(key)?;
        if *until > now && until.since(now) <= LEFT_ALONE {
            return Some(problem.clone());
        }
        failed.remove(key);
        None
    }

    /// A new credential has nothing to do with what failed before it.
    pub(super) fn begin_anew(&self, connection: ConnectionId, scheme: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.remove(&(connection, scheme.to_owned()));
    }

    fn note(&self, key: &Key, now: Timestamp, result: &Result<(), Problem>) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => drop(failed.remove(key)),
            Err(problem) => {
                if failed.len() >= MAX_REMEMBERED {
                    failed.clear();
                }
                failed.insert(key.clone(), (now.after(LEFT_ALONE), problem.clone()));
            }
        }
    }
}

/// Makes sure that a credential newer than version `stale` is kept. Cancel-safe: the exchange goes on without its callers.
///
/// # Errors
///
/// Why there is none; the connection has been told where its owner has to act.
pub(crate) async fn renew(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
    scheme: &str,
    stale: u32,
) -> Result<(), Problem> {
    let key = (connection, scheme.to_owned());
    let mut outcome = {
        let mut flights = service
            .flights()
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match flights.get(&key) {
            Some(under_way) => under_way.clone(),
            None => {
                if let Some(problem) = service.flights().failed_just_now(&key, service.now()) {
                    return Err(problem);
                }
                let (sender, receiver) = watch::channel(None);
                flights.insert(key.clone(), receiver.clone());
                let landing = Landing {
                    service: service.clone(),
                    key: key.clone(),
                };
                tokio::spawn(async move {
                    let result = fly(&landing.service, org, &landing.key, stale).await;
                    // Gone from the list before anybody is answered: who asks after the answer looks anew.
                    drop(landing);
                    sender.send_replace(Some(result));
                });
                receiver
            }
        }
    };
    let ended = outcome
        .wait_for(Option::is_some)
        .await
        .map(|outcome| outcome.clone());
    ended.ok().flatten().unwrap_or_else(|| {
        Err(Problem::new(
            "auth.bad_answer",
            "the refresh ended without a result",
        ))
    })
}

/// Takes a flight off the list, however it ends.
struct Landing {
    service: Service,
    key: Key,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let flights = &self.service.flights().flights;
        flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

async fn fly(service: &Service, org: OrgId, key: &Key, stale: u32) -> Result<(), Problem> {
    let result = match once(service, org, key, stale).await {
        Ok(()) => Ok(()),
        Err(error) => {
            tracing::warn!(connection = %key.0, scheme = key.1, code = error.code(), %error, "a token was not refreshed");
            Err(Problem::new(error.code(), error))
        }
    };
    service.flights().note(key, service.now(), &result);
    result
}

async fn once(service: &Service, org: OrgId, (id, scheme): &Key, stale: u32) -> Result<(), Error> {
    let flow = Flow::read(service, org, *id, Some(scheme)).await?;
    if flow.version > stale {
        // Whoever asked had an old one in its hands.
        service.credentials().forget(*id);
        return Ok(());
    }
    if has_ended(&flow) {
        return Err(Error::Ended("nobody has connected the account again".to_owned()));
    }
    let renewed = match &flow.scheme.obtain {
        Obtain::OAuth2(_) => tokens(&flow).await,
        Obtain::Custom => custom::refresh(&flow).await,
        Obtain::Given | Obtain::OAuth1(_) => Err(Error::NoFlow(scheme.clone())),
    };
    match renewed {
        Ok(Renewed {
            bundle,
            life,
            flaw: None,
        }) => keep(&flow, bundle, life).await,
        Ok(Renewed {
            bundle,
            life,
            flaw: Some(flaw),
        }) => keep_what_brings_the_next(&flow, bundle, life, flaw).await,
        Err(error @ (Error::Ended(_) | Error::Denied(_))) => ended(&flow, error).await,
        Err(error) => Err(error),
    }
}

/// Whether the vendor has said already that the grant is over: it is not asked again, however many want to, and whatever this
/// process has forgotten.
fn has_ended(flow: &Flow) -> bool {
    let told = flow
        .connection
        .error
        .as_ref()
        .map(|problem| problem.code.as_str());
    flow.connection.state == ConnectionState::NeedsReauth
        && flow.connection.auth.as_deref() == Some(flow.scheme.name.as_str())
        && connection::is_over(told)
}

/// What a refresh comes to.
pub(super) struct Renewed {
    pub(super) bundle: Bundle,
    pub(super) life: Life,
    /// Why the token that came is not used; the bundle then has the one before it.
    pub(super) flaw: Option<Error>,
}

impl Renewed {
    /// What there was to use stays, whatever came; the next try is not before some time.
    pub(super) fn without_token(flow: &Flow, mut bundle: Bundle, flaw: Error) -> Self {
        for name in [ACCESS, SECRET] {
            match flow.kept.get(name) {
                Some(before) => bundle.set(name, before.clone()),
                None => drop(bundle.remove(name)),
            }
        }
        let next = flow.service.now().after(TRIED_AGAIN);
        let life = Life {
            due: flow.life.due.map(|due| due.max(next)),
            ..flow.life.clone()
        };
        Self {
            bundle,
            life,
            flaw: Some(flaw),
        }
    }
}

/// Commits the new tokens before anything is sent with them.
async fn keep(flow: &Flow, bundle: Bundle, life: Life) -> Result<(), Error> {
    put(flow, &bundle, life).await?;
    let (service, org, id) = (&flow.service, flow.org, flow.connection.id);
    if flow.connection.state == ConnectionState::Degraded {
        let active = Some((ConnectionState::Active, None));
        connection::settle(service, org, id, News::default(), active).await?;
    }
    Ok(())
}

/// Commits what came with a token that is not used, says so, and fails as the refresh has.
async fn keep_what_brings_the_next(
    flow: &Flow,
    bundle: Bundle,
    life: Life,
    flaw: Error,
) -> Result<(), Error> {
    if bundle != flow.kept {
        put(flow, &bundle, life).await?;
    }
    let is_own = flow.connection.auth.as_deref() == Some(flow.scheme.name.as_str());
    if is_own && flow.connection.state == ConnectionState::Active {
        let problem = Problem::new(flaw.code(), &flaw);
        let state = Some((ConnectionState::Degraded, Some(problem)));
        connection::settle(
            &flow.service,
            flow.org,
            flow.connection.id,
            News::default(),
            state,
        )
        .await?;
    }
    Err(flaw)
}

async fn put(flow: &Flow, bundle: &Bundle, life: Life) -> Result<(), Error> {
    let (service, org, id) = (&flow.service, flow.org, flow.connection.id);
    let new = NewCredential {
        secret: bundle.write(),
        origins: flow.rebound()?,
        life,
    };
    let put = service
        .store()
        .put_credential(org, id, &flow.scheme.name, new, Some(flow.version))
        .await;
    match put {
        // Somebody connected anew meanwhile: theirs stays.
        Ok(_) | Err(sluice_store::Error::Revision { .. }) => {}
        Err(error) => {
            if let sluice_store::Error::Missing { .. } = &error {
                revoke::orphan(flow, bundle).await;
            }
            return Err(error.into());
        }
    }
    service.credentials().forget(id);
    Ok(())
}

/// The grant is over: the owner is told once, and nothing tries again.
async fn ended(flow: &Flow, error: Error) -> Result<(), Error> {
    let (service, org, id) = (&flow.service, flow.org, flow.connection.id);
    let now = service.store().credential_heads(org, id).await?;
    let current = now.iter().find(|head| head.scheme == flow.scheme.name);
    if current.is_none_or(|head| head.version != flow.version) {
        return Ok(());
    }
    service.credentials().forget(id);
    let problem = Problem::new(error.code(), &error);
    // Where a refused request was faster this is the better reason; it is told as an event once in any case.
    let state = (ConnectionState::NeedsReauth, Some(problem));
    if flow.connection.auth.as_deref() == Some(flow.scheme.name.as_str()) {
        connection::settle(service, org, id, News::default(), Some(state)).await?;
    }
    // Only now: whoever is cut off before it was told asks again.
    service.store().defer_credentials(org, id, None).await?;
    Err(error)
}

async fn tokens(flow: &Flow) -> Result<Renewed, Error> {
    let recipe = flow.oauth2()?;
    let endpoints = Endpoints::of(flow).await?;
    let kept = flow.kept.text(GRANT);
    let alone = recipe
        .grants
        .first()
        .copied()
        .filter(|_| kept.is_none() || flow.kept.get(REFRESH).is_none());
    let was = |grant: OAuthGrant| match &kept {
        Some(kept) => kept.as_str() == grant_name(grant),
        None => alone == Some(grant),
    };
    let (tokens, grant) = if let Some(refresh) = flow.kept.get(REFRESH) {
        let first = oauth2::by_refresh(flow, &endpoints, refresh).await;
        let tokens = match (first, previous(flow)) {
            (Err(Error::Ended(_)), Some(previous)) => oauth2::by_refresh(flow, &endpoints, previous).await?,
            (first, _) => first?,
        };
        match tokens {
            Renewal::Whole(tokens) => (tokens, OAuthGrant::AuthorizationCode),
            Renewal::Timeless(next) => {
                let bundle = account::rotated(&flow.kept, next);
                return Ok(Renewed::without_token(flow, bundle, Error::Lifetime));
            }
        }
    } else if was(OAuthGrant::ClientCredentials) {
        (
            oauth2::by_client(flow, &endpoints).await?,
            OAuthGrant::ClientCredentials,
        )
    } else if was(OAuthGrant::JwtBearer) {
        flow.need_given()?;
        (
            oauth2::by_assertion(flow, &endpoints).await?,
            OAuthGrant::JwtBearer,
        )
    } else {
        return Err(Error::Ended(
            "the token has ended and there is no refresh token".to_owned(),
        ));
    };
    let mut life = account::life(flow, recipe, &tokens);
    if life.scopes.is_empty() {
        life.scopes.clone_from(&flow.life.scopes);
    }
    Ok(Renewed {
        bundle: account::renewed(&flow.kept, tokens, grant_name(grant)),
        life,
        flaw: None,
    })
}

/// The refresh token before the present one, while it is young enough to be worth a try.
fn previous(flow: &Flow) -> Option<&sluice_model::secret::Secret> {
    let since = flow.service.now().since(flow.life.obtained?);
    flow.kept.get(PREVIOUS).filter(|_| since <= GRACE)
}

/// Whether a credential can be renewed without a person.
pub(crate) fn is_renewable(scheme: &AuthScheme, bundle: &Bundle) -> bool {
    match &scheme.obtain {
        Obtain::Given | Obtain::OAuth1(_) => false,
        Obtain::Custom => true,
        Obtain::OAuth2(_) => {
            let alone = [OAuthGrant::ClientCredentials, OAuthGrant::JwtBearer];
            bundle.get(REFRESH).is_some()
                || bundle
                    .text(GRANT)
                    .is_some_and(|kept| alone.iter().any(|grant| kept.as_str() == grant_name(*grant)))
        }
    }
}

/// Whether a credential is obtained when it is first needed.
pub(crate) fn comes_by_itself(scheme: &AuthScheme) -> bool {
    let Obtain::OAuth2(recipe) = &scheme.obtain else {
        return false;
    };
    matches!(
        recipe.grants.first(),
        Some(OAuthGrant::ClientCredentials | OAuthGrant::JwtBearer)
    )
}

/// Refreshes now, whatever the clock says: for a person who wants to see whether it works.
///
/// # Errors
///
/// [`Error::NoFlow`]; what the vendor answers is the problem inside.
pub async fn refresh(service: &Service, org: OrgId, id: ConnectionId) -> Result<Result<(), Problem>, Error> {
    let flow = Flow::read(service, org, id, None).await?;
    if matches!(flow.scheme.obtain, Obtain::Given | Obtain::OAuth1(_)) {
        return Err(Error::NoFlow(flow.scheme.name));
    }
    Ok(renew(service, org, id, &flow.scheme.name, flow.version).await)
}

/// The step of a worker that leased a connection whose credentials are due.
pub(crate) async fn drive(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
) -> Result<(), sluice_store::Error> {
    let now = service.now();
    let (mut again, mut over) = (false, false);
    for head in service.store().credential_heads(org, id).await? {
        if !head.life.is_due(now) {
            continue;
        }
        if let Err(problem) = renew(service, org, id, &head.scheme, head.version).await {
            let is_over = connection::is_over(Some(&problem.code));
            (again, over) = (again | !is_over, over | is_over);
            tell_if_late(service, org, id, &head.life, problem).await;
        }
    }
    if again || over {
        let until = again.then(|| now.after(TRIED_AGAIN));
        service.store().defer_credentials(org, id, until).await?;
    }
    Ok(())
}

/// A connection whose token has ended and can't be refreshed serves badly until the vendor answers again.
async fn tell_if_late(service: &Service, org: OrgId, id: ConnectionId, life: &Life, problem: Problem) {
    let is_late = life.expires.is_some_and(|end| end <= service.now());
    let Ok(found) = connection::get(service, org, &id.to_string()).await else {
        return;
    };
    if is_late && found.state == ConnectionState::Active {
        let state = Some((ConnectionState::Degraded, Some(problem)));
        if let Err(error) = connection::settle(service, org, id, News::default(), state).await {
            tracing::warn!(connection = %id, code = error.code(), %error, "a connection's state was not written");
        }
    }
}
