//! Flows that only the connector's code can say. It asks with captures, which put what they find here instead of handing it
//! over; it begins, completes, refreshes and revokes without seeing a secret.

use std::time::Duration;

use sluice_broker::CaptureInto;
use sluice_model::secret::Secret;
use sluice_runtime::{CallError, Effects, Outcome};
use sluice_store::credential::Life;

use super::account::{self, Adopted};
use super::callback::Callback;
use super::flow::Flow;
use super::memory::Memory;
use super::refresh::Renewed;
use super::{Bundle, Error, answer};
use crate::call::{self, Callee};

/// Where the browser goes.
pub(super) async fn begin(flow: &Flow, memory: &mut Memory) -> Result<String, Error> {
    let callee = callee(flow).await?;
    let call = callee.call_in_flow(&flow.service).await?;
    let outcome = flow
        .service
        .runtime()
        .begin(call, memory.redirect_uri.clone())
        .await;
    let redirect = value(flow, &callee, "begin", outcome)?.0;
    if !redirect.url.starts_with("https://") || sluice_broker::Place::parse(&redirect.url).is_err() {
        return Err(Error::Answer(
            "the connector's authorize address is not an https address",
        ));
    }
    memory.custom = Some(redirect.state);
    Ok(redirect.url)
}

pub(super) async fn complete(flow: &Flow, callback: &Callback, memory: &Memory) -> Result<Adopted, Error> {
    let callee = callee(flow).await?;
    let call = callee.call_in_flow(&flow.service).await?;
    let state = memory.custom.clone().unwrap_or_else(|| "null".to_owned());
    let query: Vec<_> = callback
        .params
        .iter()
        .filter(|(name, _)| name != "state")
        .cloned()
        .collect();
    let outcome = flow.service.runtime().complete(call, state, query).await;
    let ((), mut effects) = value(flow, &callee, "complete", outcome)?;
    let Renewed { bundle, life, flaw } = captured(flow, account::given(flow), &mut effects)?;
    if let Some(flaw) = flaw {
        return Err(flaw);
    }
    account::adopt(
        flow,
        bundle,
        life,
        flow.connection.config.clone(),
        memory.any_account,
    )
    .await
}

/// The parts as they are after a refresh.
pub(super) async fn refresh(flow: &Flow) -> Result<Renewed, Error> {
    let callee = callee(flow).await?;
    let call = callee.call_in_flow(&flow.service).await?;
    let outcome = flow.service.runtime().refresh(call).await;
    let ((), mut effects) = value(flow, &callee, "refresh", outcome)?;
    let renewed = captured(flow, flow.kept.clone(), &mut effects)?;
    Ok(match renewed.flaw {
        Some(flaw) => Renewed::without_token(flow, renewed.bundle, flaw),
        None => renewed,
    })
}

pub(super) async fn revoke(flow: &Flow) -> Result<(), Error> {
    let callee = callee(flow).await?;
    let call = callee.call_in_flow(&flow.service).await?;
    let outcome = flow.service.runtime().revoke(call).await;
    value(flow, &callee, "revoke", outcome).map(drop)
}

async fn callee(flow: &Flow) -> Result<Callee, Error> {
    let mut connection = flow.connection.clone();
    connection.auth = Some(flow.scheme.name.clone());
    Ok(Callee::of(&flow.service, flow.org, connection).await?)
}

fn value<T>(
    flow: &Flow,
    callee: &Callee,
    what: &'static str,
    outcome: Outcome<T>,
) -> Result<(T, Effects), Error> {
    call::observe(&flow.service, what, callee, &outcome);
    match outcome.result {
        Ok(Ok(value)) => Ok((value, outcome.effects)),
        Ok(Err(fault)) if fault.kind == sluice_model::fault::FaultKind::Auth => {
            Err(Error::Ended(answer::plain(&fault.to_string())))
        }
        Ok(Err(fault)) => Err(Error::Code(answer::plain(&fault.to_string()))),
        Err(CallError::Cancelled) => Err(Error::Code("it was cancelled".to_owned())),
        Err(error) => Err(Error::Code(error.to_string())),
    }
}

/// What the captures of a call found.
fn captured(flow: &Flow, mut bundle: Bundle, effects: &mut Effects) -> Result<Renewed, Error> {
    let now = flow.service.now();
    let mut life = Life {
        obtained: Some(now),
        scopes: flow.life.scopes.clone(),
        ..Life::default()
    };
    let (mut any, mut flaw) = (false, None);
    for (into, secret) in std::mem::take(&mut effects.captured) {
        match into {
            CaptureInto::Secret(name) => {
                any = true;
                bundle.set(name, secret);
            }
            CaptureInto::ExpiresIn => match number(&secret) {
                Ok(seconds) => life.expires = Some(now.after(Duration::from_secs(seconds))),
                Err(error) => flaw = Some(error),
            },
            CaptureInto::ExpiresAt => match number(&secret) {
                Ok(at) => {
                    life.expires = Some(sluice_model::Timestamp::from_millis(at.saturating_mul(1000)));
                }
                Err(error) => flaw = Some(error),
            },
            // A capture may hold whatever the vendor sent, a token too, and scopes and accounts are shown: those that the
            // check tells are, whose code has never seen a secret.
            CaptureInto::Scopes | CaptureInto::Account => {}
        }
    }
    if !any {
        return Err(Error::Answer("the connector captured no credential"));
    }
    life.due = life.expires.map(|end| {
        let lives = end.since(now);
        now.after(lives.saturating_sub(Duration::from_secs(300).min(lives / 2)))
    });
    Ok(Renewed { bundle, life, flaw })
}

fn number(secret: &Secret) -> Result<u64, Error> {
    let text = std::str::from_utf8(secret.expose()).map_err(|_| Error::Lifetime)?;
    let number = text.parse::<u64>().map_err(|_| Error::Lifetime)?;
    (number < 1 << 40).then_some(number).ok_or(Error::Lifetime)
}
