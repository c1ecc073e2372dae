//! The end of a flow: a new credential is tried, its account compared with the one before, and both are kept.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_model::Timestamp;
use sluice_model::auth::{Fill, FillFrom, OAuth2, Take};
use sluice_model::connection::ConnectionState;
use sluice_model::fault::FaultKind;
use sluice_model::secret::Secret;
use sluice_store::credential::{Life, NewCredential};
use tokio_util::sync::CancellationToken;

use super::answer::Tokens;
use super::bundle::{ACCESS, PREVIOUS, REFRESH};
use super::flow::Flow;
use super::memory::Memory;
use super::{Bundle, Error, oauth2, revoke};
use crate::call::{self, Callee};
use crate::connection::{self, Account, News};
use crate::problem::Problem;
use crate::{event, vault};

/// The part of a bundle that says which flow its tokens came by.
pub(super) const GRANT: &str = "grant";

/// A credential that was obtained and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Whose it is; none where the vendor could not be asked yet.
    pub account: Option<Account>,
    /// Why not.
    pub problem: Option<Problem>,
    pub expires: Option<Timestamp>,
}

/// Keeps what a token endpoint gave. `told` came with the redirect.
pub(super) async fn adopt_tokens(
    flow: &Flow,
    tokens: Tokens,
    memory: &Memory,
    told: &[(Fill, String)],
) -> Result<Adopted, Error> {
    let recipe = flow.oauth2()?;
    let metadata = oauth2::metadata(flow, &tokens.access).await?;
    let mut config = flow.connection.config.clone();
    for fill in &recipe.fill {
        let answer = match fill.from {
            FillFrom::Token => Some(&tokens.rest),
            FillFrom::Metadata => metadata.as_ref(),
            FillFrom::Callback => None,
        };
        let found = answer
            .and_then(|answer| answer.pointer(&fill.pointer))
            .and_then(Value::as_str);
        if let Some(found) = found {
            put(&mut config, fill, found)?;
        }
    }
    for (fill, found) in told {
        put(&mut config, fill, found)?;
    }
    let mut life = life(flow, recipe, &tokens);
    if life.scopes.is_empty() {
        // RFC 6749 §5.1: an answer without them gives what was asked for.
        life.scopes.clone_from(&memory.scopes);
    }
    let bundle = renewed(&given(flow), tokens, &memory.grant);
    adopt(flow, bundle, life, config, memory.any_account).await
}

/// The parts that a person gave, without what a flow added.
pub(super) fn given(flow: &Flow) -> Bundle {
    let named = |name: &str| flow.scheme.parts.iter().any(|part| part.name == name);
    let parts = flow.kept.parts().filter(|(name, _)| named(name));
    parts
        .map(|(name, secret)| (name.to_owned(), secret.clone()))
        .collect()
}

/// The bundle with new tokens in it; the refresh token before this one is kept for a while.
pub(super) fn renewed(old: &Bundle, tokens: Tokens, grant: &str) -> Bundle {
    let mut bundle = rotated(old, tokens.refresh);
    bundle.set(ACCESS, tokens.access);
    bundle.set(GRANT, Secret::new(grant.as_bytes().to_vec()));
    bundle
}

/// The bundle with the next refresh token in it, and the present one for a while.
pub(super) fn rotated(old: &Bundle, next: Option<Secret>) -> Bundle {
    let mut bundle = old.clone();
    if let Some(next) = next
        && bundle.get(REFRESH) != Some(&next)
    {
        if let Some(before) = bundle.remove(REFRESH) {
            bundle.set(PREVIOUS, before);
        }
        bundle.set(REFRESH, next);
    }
    bundle
}

/// When the new token ends and when it is to be refreshed: a margin ahead of its end, and often enough that an idle refresh
/// token does not end.
pub(super) fn life(flow: &Flow, recipe: &OAuth2, tokens: &Tokens) -> Life {
    let now = flow.service.now();
    let ahead = |end: Timestamp| {
        // A token that lives shorter than the margin is refreshed at the half of its life.
        let lives = end.since(now);
        let margin = Duration::from_secs(recipe.refresh_margin_s.into()).min(lives / 2);
        now.after(lives.saturating_sub(margin))
    };
    let has_refresh = tokens.refresh.is_some() || flow.kept.get(REFRESH).is_some();
    let idle = recipe.idle_refresh_s.filter(|seconds| *seconds > 0);
    let idle = idle.map(|seconds| now.after(Duration::from_secs(seconds.into())));
    let due = tokens.expires.map(ahead).into_iter().chain(idle).min();
    Life {
        obtained: Some(now),
        expires: tokens.expires,
        // Tokens that nobody has to consent to are obtained when they are needed.
        due: due.filter(|_| has_refresh),
        scopes: tokens.scopes.clone().unwrap_or_default(),
    }
}

fn put(config: &mut Value, fill: &Fill, found: &str) -> Result<(), Error> {
    const UNFIT: Error = Error::Answer("a value for the configuration is not an address");
    let value = match fill.take {
        Take::Text => found.to_owned(),
        Take::Host => sluice_broker::Place::parse(found)
            .map_err(|_| UNFIT)?
            .host()
            .to_owned(),
    };
    if let Value::Object(fields) = config {
        fields.insert(fill.config.clone(), Value::String(value));
    }
    Ok(())
}

/// Tries the credential, then keeps it.
pub(super) async fn adopt(
    flow: &Flow,
    bundle: Bundle,
    mut life: Life,
    config: Value,
    any_account: bool,
) -> Result<Adopted, Error> {
    flow.known.config.check(&config)?;
    let origins = flow.origins(&config)?;
    let tried = try_it(flow, &bundle, &origins, &config).await?;
    let before = flow.connection.account.as_ref();
    match (&tried, before) {
        (Ok(found), Some(before)) if found.id != before.id && !any_account => {
            return Err(Error::OtherAccount {
                expected: before.name.clone(),
                found: found.name.clone(),
            });
        }
        // Whose it is nobody knows: it does not take the place of one that is known to be right.
        (Err(problem), Some(_)) if !any_account => return Err(Error::Code(problem.message.clone())),
        _ => {}
    }
    if let Ok(found) = &tried
        && life.scopes.is_empty()
    {
        life.scopes.clone_from(&found.scopes);
    }
    let (service, org, id) = (&flow.service, flow.org, flow.connection.id);
    let new = NewCredential {
        secret: bundle.write(),
        origins,
        life: life.clone(),
    };
    let put = service
        .store()
        .put_credential(org, id, &flow.scheme.name, new, None)
        .await;
    if let Err(sluice_store::Error::Missing { .. }) = &put {
        revoke::orphan(flow, &bundle).await;
    }
    put?;
    service.credentials().forget(id);
    service.flights().begin_anew(id, &flow.scheme.name);
    let (account, problem) = match tried {
        Ok(account) => (Some(account), None),
        Err(problem) => (None, Some(problem)),
    };
    let news = News {
        account: account.clone(),
        auth: Some(flow.scheme.name.clone()),
        config: (config != flow.connection.config).then_some(config),
    };
    let state = account.as_ref().map(|_| (ConnectionState::Active, None));
    connection::settle(service, org, id, news, state).await?;
    event::platform(service, org, "sluice.connection.authorized", id, || {
        json!({"scheme": flow.scheme.name, "account": account.as_ref().map(|account| &account.id),
               "other_account": before.is_some_and(|before| account.as_ref().is_some_and(|new| new.id != before.id))})
    })
    .await?;
    Ok(Adopted {
        account,
        problem,
        expires: life.expires,
    })
}

/// Asks the connector whose the credential is, without keeping it. A vendor that refuses the new token refuses the flow;
/// a vendor that cannot answer now does not.
async fn try_it(
    flow: &Flow,
    bundle: &Bundle,
    origins: &[String],
    config: &Value,
) -> Result<Result<Account, Problem>, Error> {
    let credential = vault::credential(&flow.scheme, bundle, &flow.app, origins, config, 0);
    let credential = credential.ok_or(Error::Answer("it has not all parts of a credential"))?;
    let mut connection = flow.connection.clone();
    connection.config = config.clone();
    connection.auth = Some(flow.scheme.name.clone());
    let callee = Callee::of(&flow.service, flow.org, connection).await?;
    let call = callee
        .call_with(&flow.service, CancellationToken::new(), Some(credential))
        .await?;
    let outcome = flow.service.runtime().check(call).await;
    call::observe(&flow.service, "check", &callee, &outcome);
    match outcome.result {
        Ok(Ok(account)) => Ok(Ok(Account {
            id: account.id,
            name: account.name,
            scopes: account.scopes,
        })),
        Ok(Err(fault)) if matches!(fault.kind, FaultKind::Auth | FaultKind::Config) => {
            Err(Error::Refused(format!("its new credential: {fault}")))
        }
        Ok(Err(fault)) => Ok(Err(Problem::new(fault.kind.code(), &fault))),
        Err(error) => Ok(Err(Problem::new(error.code(), error))),
    }
}
