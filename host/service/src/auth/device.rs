//! The device flow (RFC 8628): a person types a code at the vendor, and whoever waits asks how it stands.

use std::time::Duration;

use serde_json::Value;
use sluice_model::id::OrgId;
use sluice_store::authorization::{Authorization, Move, Step};

use super::answer;
use super::authorize::{Begun, keep, used_once};
use super::callback;
use super::exchange::Ask;
use super::flow::Flow;
use super::memory::Memory;
use super::oauth2::{self, Endpoints};
use super::{Error, account};
use crate::Service;

/// RFC 8628 §3.2: where the vendor does not say.
const INTERVAL_S: u64 = 5;
const MAX_LIFETIME_S: u64 = 3600;

pub(super) async fn begin(flow: &Flow, mut memory: Memory) -> Result<Begun, Error> {
    const UNFIT: Error = Error::Answer("it has no device code");
    let recipe = flow.oauth2()?;
    let endpoints = Endpoints::of(flow).await?;
    let url = endpoints
        .device
        .ok_or(Error::Answer("there is no device address"))?;
    let mut pairs: Vec<_> = oauth2::scope(recipe, &memory.scopes).into_iter().collect();
    let mut ask = Ask::post(url);
    oauth2::prove(flow, recipe, &mut pairs, &mut ask);
    if !pairs.iter().any(|(name, _)| name == "client_id") {
        // RFC 8628 §3.1 asks for it in the body as well.
        pairs.extend(oauth2::client_id(flow));
    }
    ask.write(recipe.body, &pairs);
    let reply = ask.send(&flow.service, &flow.asker()?).await?;
    let body = answer::document(&reply)?;
    if let Some(refusal) = answer::refusal(&recipe.answer, reply.status, &body) {
        return Err(refusal);
    }
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| body.get(key).and_then(Value::as_u64);
    let code = text("user_code").filter(|code| code.len() <= 64).ok_or(UNFIT)?;
    // Older providers call it `verification_url`.
    let verify_at = text("verification_uri").or_else(|| text("verification_url"));
    let verify_at = verify_at.filter(|url| is_web(url)).ok_or(UNFIT)?;
    memory.device_code = Some(
        text("device_code")
            .filter(|code| code.len() <= 4096)
            .ok_or(UNFIT)?,
    );
    let interval = number("interval").unwrap_or(INTERVAL_S).clamp(1, 60);
    memory.interval_s = u32::try_from(interval).unwrap_or(60);
    let lifetime = number("expires_in").unwrap_or(900).clamp(30, MAX_LIFETIME_S);
    let (service, now) = (&flow.service, flow.service.now());
    let (id, expires) = (service.new_id(), now.after(Duration::from_secs(lifetime)));
    keep(flow, id, Step::Started, expires, &memory).await?;
    Ok(Begun::Device {
        id,
        code,
        verify_at,
        verify_at_complete: text("verification_uri_complete").filter(|url| is_web(url)),
        interval: Duration::from_secs(interval),
        expires,
    })
}

fn is_web(url: &str) -> bool {
    sluice_broker::Place::parse(url).is_ok()
}

/// Asks the vendor, if this is a device's authorization and enough time has passed. Whether something has changed.
pub(super) async fn poll(service: &Service, org: OrgId, found: &Authorization) -> Result<bool, Error> {
    let Some(memory) = found.memory.as_ref().and_then(Memory::open) else {
        return Ok(false);
    };
    let Some(code) = memory.device_code.clone() else {
        return Ok(false);
    };
    let now = service.now();
    if found.expires <= now || !service.flights().may_poll(found.id, now, memory.interval_s) {
        return Ok(false);
    }
    let flow = Flow::read(service, org, found.connection, Some(&found.scheme)).await?;
    let endpoints = Endpoints::of(&flow).await?;
    let tokens = match oauth2::by_device(&flow, &endpoints, &code).await {
        // RFC 8628 §3.5.
        Err(Error::Refused(said)) if said.starts_with("authorization_pending") => return Ok(false),
        Err(Error::Refused(said)) if said.starts_with("slow_down") => {
            let mut slower = memory;
            slower.interval_s = slower.interval_s.saturating_add(5).min(300);
            let change = Move {
                from: Step::Started,
                to: Step::Started,
                memory: Some(slower.seal()),
                expires: None,
                reason: None,
            };
            used_once(service.store().move_authorization(org, found.id, change).await)?;
            return Ok(false);
        }
        Err(error @ (Error::Broker(_) | Error::Answer(_))) => {
            tracing::warn!(authorization = %found.id, code = error.code(), %error, "a device's flow can't be asked for");
            return Ok(false);
        }
        other => other,
    };
    callback::step(service, org, found.id, Step::Started, Step::Completing, None).await?;
    let outcome = match tokens {
        Ok(tokens) => account::adopt_tokens(&flow, tokens, &memory, &[]).await,
        Err(error) => Err(error),
    };
    callback::end(service, org, found, &outcome).await?;
    Ok(true)
}
