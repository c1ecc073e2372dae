//! Certificates and keys of vendors that recipes verify with: fetched when a webhook needs them, kept until they end.
//!
//! What must always hold: the model says from where, and only from there is fetched; what is needed by many at once is
//! fetched once; what could not be had is not asked for again at once, and a hook has its vendor asked at a bounded rate,
//! so that forged webhooks cannot make a flood of us; one organization's are never another's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice_broker::Vault;
use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::signature::{Fetched, Needs, SignatureError};

use super::address::Address;
use super::fetch::{Fetch, NotFetched};
use crate::Service;
use crate::call::Callee;

/// What was fetched, by whose it is and what it is.
#[derive(Default)]
pub(crate) struct Material {
    kept: Mutex<HashMap<Name, Arc<tokio::sync::Mutex<Slot>>>>,
}

/// What was asked for with a connection's credential is that connection's.
type Name = (OrgId, Option<ConnectionId>, String);

#[derive(Default)]
struct Slot {
    kept: Option<Kept>,
    failed: Option<Timestamp>,
}

struct Kept {
    fetched: Arc<Fetched>,
    at: Timestamp,
    until: Timestamp,
}

/// Why there is nothing to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is there, and not what the recipe wants.
    Unfit,
    /// Perhaps later.
    Now,
}

/// Vendors publish new keys a day or more before they sign with them.
const KEYS_FOR: Duration = Duration::from_secs(3600);
/// A certificate's address is its name: it does not change. It may be revoked.
const CERTIFICATE_FOR: Duration = Duration::from_secs(24 * 3600);
/// A set of keys that lacks the one that a webhook names is not fetched again sooner: its sender chose the name.
const KEYS_AT_MOST: Duration = Duration::from_secs(60);
/// What could not be had is not asked for again sooner.
const FAILED_FOR: Duration = Duration::from_secs(30);
/// Vendors have one certificate or set at a time, and one per region.
const MAX_KEPT: usize = 1000;

impl Material {
    fn slot(&self, name: Name) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT && !kept.contains_key(&name) {
            // What was found stays; names that led to nothing go first.
            kept.retain(|_, slot| slot.try_lock().is_ok_and(|slot| slot.kept.is_some()));
            if kept.len() >= MAX_KEPT {
                kept.clear();
            }
        }
        Arc::clone(kept.entry(name).or_default())
    }
}

/// What a webhook of this address needs, kept or fetched now.
pub(super) async fn get(
    service: &Service,
    address: &Address,
    needs: &Needs,
    now: Timestamp,
) -> Result<Arc<Fetched>, Missing> {
    let Some(key) = needs.cache_key() else {
        return Err(Missing::Unfit);
    };
    let credential = match needs {
        Needs::Keys { credential, .. } => credential.clone(),
        _ => None,
    };
    let whose = credential.as_ref().and(address.connection);
    let slot = service.material().slot((address.org, whose, key));
    let mut slot = slot.lock().await;
    let kept = slot
        .kept
        .as_ref()
        .filter(|kept| (kept.at..kept.until).contains(&now))
        .map(|kept| (Arc::clone(&kept.fetched), kept.at));
    if let Some((fetched, at)) = &kept
        && (fetched.has_key(needs) || now.since(*at) < KEYS_AT_MOST)
    {
        return Ok(Arc::clone(fetched));
    }
    let instead = kept.map(|(fetched, _)| fetched).ok_or(Missing::Now);
    if slot.failed.is_some_and(|at| now.since(at) < FAILED_FOR)
        || !service.flood().may_fetch(address.hook, now)
    {
        return instead;
    }
    match fetch(service, address, needs, credential, now).await {
        Ok(fetched) => {
            let longest = match needs {
                Needs::Keys { .. } => KEYS_FOR,
                _ => CERTIFICATE_FOR,
            };
            let most = now.after(longest);
            let fetched = Arc::new(fetched);
            *slot = Slot {
                kept: Some(Kept {
                    until: fetched.until().map_or(most, |until| until.min(most)),
                    fetched: Arc::clone(&fetched),
                    at: now,
                }),
                failed: None,
            };
            Ok(fetched)
        }
        Err(missing) => {
            slot.failed = Some(now);
            instead.map_err(|_| missing)
        }
    }
}

async fn fetch(
    service: &Service,
    address: &Address,
    needs: &Needs,
    credential: Option<String>,
    now: Timestamp,
) -> Result<Fetched, Missing> {
    let (url, post) = match needs {
        Needs::Nothing => return Err(Missing::Unfit),
        Needs::Certificate { address, .. } | Needs::PublicKey { address } => (address.clone(), None),
        Needs::Keys { address, post, .. } => (address.clone(), post.clone()),
    };
    let (credential, post) = match credential {
        None => (None, post),
        Some(name) => {
            // An app's address has no connection whose credential it could be.
            let connection = address.connection.ok_or(Missing::Unfit)?;
            let callee = Callee::read(service, address.org, connection).await;
            let callee = callee.map_err(|error| {
                tracing::warn!(hook = %address.hook, code = error.code(), %error, "no credential to ask for keys with");
                Missing::Now
            })?;
            let post = match post {
                Some(post) => Some(filled(&post, &callee.connection.config).ok_or(Missing::Unfit)?),
                None => None,
            };
            let vault: Arc<dyn Vault> = Arc::new(callee.vault(service, None, true));
            (Some((connection, vault, name)), post)
        }
    };
    let fetch = Fetch {
        org: address.org,
        connector: address.known.manifest.id.clone(),
        url,
        post,
        credential,
    };
    let answer = fetch.send(service).await.map_err(|error: NotFetched| {
        tracing::warn!(hook = %address.hook, %error, "what verifies a webhook was not fetched");
        if error.passes() {
            Missing::Now
        } else {
            Missing::Unfit
        }
    })?;
    let trusts = |chain: &[Vec<u8>]| service.broker().trusts(chain, now);
    Fetched::read(needs, &answer, now, trusts).map_err(|error: SignatureError| {
        tracing::warn!(hook = %address.hook, code = error.code(), "what was fetched does not verify webhooks");
        Missing::Unfit
    })
}

/// What is posted, with the texts of the connection's configuration that it names (`${config.client_id}`) as what stands within a JSON
/// text. None where one is missing or is no text.
fn filled(post: &str, config: &serde_json::Value) -> Option<String> {
    let mut out = String::with_capacity(post.len());
    let mut rest = post;
    while let Some((before, after)) = rest.split_once("${config.") {
        let (key, tail) = after.split_once('}')?;
        let quoted = serde_json::to_string(config.get(key)?.as_str()?).ok()?;
        out.push_str(before);
        out.push_str(quoted.strip_prefix('"')?.strip_suffix('"')?);
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_names_texts_of_the_configuration() {
        let config = serde_json::json!({"id": "a\"b", "number": 7});
        let check = |post: &str, expected: Option<&str>| {
            assert_eq!(filled(post, &config).as_deref(), expected, "{post}");
        };
        check(r#"{"key_id":"k"}"#, Some(r#"{"key_id":"k"}"#));
        check(r#"{"i":"${config.id}","k":"k"}"#, Some(r#"{"i":"a\"b","k":"k"}"#));
        check(r#"{"i":"${config.number}"}"#, None);
        check(r#"{"i":"${config.other}"}"#, None);
        check(r#"{"i":"${config.id"#, None);
    }
}
