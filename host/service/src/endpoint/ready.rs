//! What is made ready of an endpoint, once for each revision: keys, headers, rules and the one request that it may be sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice_broker::{Credential, Origin, Place};
use sluice_mapping::{Contract, Outcome, Plan, Salt, Shape, StreamRules, Surroundings};
use sluice_model::Timestamp;
use sluice_model::capability::{EgressRule, HostPattern, MethodSet, PathPattern, Scheme};
use sluice_model::endpoint::{KeyKind, SigningKey};
use sluice_model::grant::{Grant, Rights};
use sluice_model::id::OrgId;
use sluice_model::limits::Limits;
use sluice_model::manifest::{RateHint, RateScope};
use sluice_model::secret::Secret;
use sluice_store::endpoint::{Endpoint, HEADERS, KEYS};
use tokio::time::Instant;

use super::error::Error;
use super::trying;
use crate::{Service, sync};

/// An endpoint as it is needed for tries.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) org: OrgId,
    pub(super) endpoint: Endpoint,
    pub(super) revision: u64,
    keys: Keys,
    pub(super) headers: Vec<(String, Secret)>,
    pub(super) rights: Arc<Rights>,
    pub(super) rates: Vec<RateHint>,
    authorization: Option<Arc<Credential>>,
    plan: Option<Plan>,
    salt: Option<Salt>,
    /// When the next try may begin, where there is a pace.
    next: Mutex<Option<Instant>>,
}

/// What the rules make of an event.
pub(super) enum Shaped {
    Body(String),
    Unwanted,
    /// A code and a reason.
    Refused(&'static str, String),
}

/// A key, and until when it signs.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) key: SigningKey,
    pub(super) until: Option<Timestamp>,
}

/// The newest first.
#[derive(Debug, Clone)]
pub(super) struct Keys(pub(super) Vec<Key>);

/// Keys that sign at once: each makes the header longer and costs time.
const MAX_KEYS: usize = 4;

impl Keys {
    pub(super) fn newest(&self) -> KeyKind {
        self.0.first().map_or(KeyKind::Hmac, |first| first.key.kind())
    }

    /// What is shown of the newest: the secret of an HMAC, the public half of a pair.
    pub(super) fn shown(&self) -> Secret {
        let Some(first) = self.0.first() else {
            return Secret::new(Vec::new());
        };
        match first.key.public() {
            Some(public) => Secret::new(public.into_bytes()),
            None => first.key.text(),
        }
    }

    pub(super) fn public(&self, now: Timestamp) -> Vec<String> {
        self.valid(now).filter_map(SigningKey::public).collect()
    }

    fn valid(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        let valid = move |key: &&Key| key.until.is_none_or(|until| until > now);
        self.0.iter().filter(valid).map(|key| &key.key)
    }

    /// Puts a key before the others, which sign until then at the longest.
    pub(super) fn rotate(&mut self, new: SigningKey, now: Timestamp, until: Timestamp) {
        self.0.retain(|key| key.until.is_none_or(|until| until > now));
        for key in &mut self.0 {
            key.until = Some(key.until.map_or(until, |earlier| earlier.min(until)));
        }
        self.0.insert(
            0,
            Key {
                key: new,
                until: None,
            },
        );
        self.0.truncate(MAX_KEYS);
    }

    /// As they are sealed: a line each, with the millisecond until which it signs.
    pub(super) fn text(&self) -> Secret {
        let mut text = Vec::new();
        for key in &self.0 {
            text.extend_from_slice(key.key.text().expose());
            if let Some(until) = key.until {
                text.extend_from_slice(format!(" {}", until.as_millis()).as_bytes());
            }
            text.push(b'\n');
        }
        Secret::new(text)
    }

    fn read(text: &Secret) -> Result<Self, Error> {
        let text = std::str::from_utf8(text.expose()).map_err(|_| Error::Sealed)?;
        let read = |line: &str| -> Result<Key, Error> {
            let (key, until) = match line.split_once(' ') {
                Some((key, until)) => (key, Some(until.parse().map_err(|_| Error::Sealed)?)),
                None => (line, None),
            };
            Ok(Key {
                key: SigningKey::parse(key.as_bytes()).map_err(|_| Error::Sealed)?,
                until: until.map(Timestamp::from_millis),
            })
        };
        text.lines().map(read).collect::<Result<_, Error>>().map(Self)
    }
}

/// The endpoint's keys.
pub(super) async fn keys(service: &Service, org: OrgId, endpoint: &Endpoint) -> Result<Keys, Error> {
    let owner = super::text(endpoint.id);
    let sealed = service.store().get_secret(org, &owner, KEYS).await?;
    Keys::read(&sealed.ok_or(Error::Sealed)?)
}

/// The endpoint, ready.
pub(super) async fn of(service: &Service, org: OrgId, endpoint: &Endpoint) -> Result<Arc<Ready>, Error> {
    if let Some(ready) = service.outbox().get(endpoint) {
        return Ok(ready);
    }
    let owner = super::text(endpoint.id);
    let mut headers = Vec::new();
    if !endpoint.headers.is_empty() {
        let sealed = service.store().get_secret(org, &owner, HEADERS).await?;
        let sealed = sealed.ok_or(Error::Sealed)?;
        let read: Vec<(String, String)> =
            serde_json::from_slice(sealed.expose()).map_err(|_| Error::Sealed)?;
        headers.extend(
            read.into_iter()
                .map(|(name, value)| (name, Secret::new(value.into_bytes()))),
        );
    }
    let plan = match endpoint.rules.as_str() {
        "" => None,
        rules => Some(plan(&StreamRules::parse(rules)?)?),
    };
    let salt = match &plan {
        Some(plan) if plan.needs_salt() => Some(sync::rules::salt(service, org).await?),
        _ => None,
    };
    let (rights, host, place) = rights(service, &endpoint.url)?;
    let authorization = headers.iter().find(|(name, _)| name == trying::AUTHORIZATION);
    let authorization = authorization.map(|(_, value)| {
        let origin = Origin {
            scheme: place.scheme(),
            host: host.clone(),
            port: place.port(),
        };
        Arc::new(trying::credential(value.clone(), origin))
    });
    let pace = RateHint {
        host,
        path: None,
        scope: RateScope::Connection,
        // The endpoint's own pace is kept here, where waiting holds nothing; the broker's only bounds floods.
        per_second: FLOOD_PER_SECOND,
        burst: FLOOD_BURST,
        concurrency: endpoint.concurrency,
        per_day: None,
        bucket_header: None,
    };
    let ready = Arc::new(Ready {
        org,
        endpoint: endpoint.clone(),
        revision: endpoint.revision,
        keys: keys(service, org, endpoint).await?,
        headers,
        rights: Arc::new(rights),
        rates: vec![pace],
        authorization,
        plan,
        salt,
        next: Mutex::new(None),
    });
    service.outbox().put(endpoint.id, Arc::clone(&ready));
    Ok(ready)
}

const FLOOD_PER_SECOND: f64 = 20_000.0;
const FLOOD_BURST: u32 = 20_000;

/// Checks and compiles the rules of an endpoint.
pub(super) fn plan(rules: &StreamRules) -> Result<Plan, Error> {
    let plan = Plan::compile(rules, &[], None)?;
    if plan.streams().next().is_some() || rules.contract != Contract::default() {
        return Err(Error::Enriched);
    }
    Ok(plan)
}

/// The rights to POST to exactly this address, and its host. An address is https; one that names a loopback address may be plain,
/// which the operator has to have opened to be of use.
pub(super) fn rights(service: &Service, url: &str) -> Result<(Rights, HostPattern, Place), Error> {
    let place = Place::parse(url).map_err(|_| Error::Url("it is not an absolute http address"))?;
    let is_local = place
        .host()
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    if place.scheme() == Scheme::Http && !is_local {
        return Err(Error::Url("it is not an https address"));
    }
    let host = HostPattern::parse(place.host()).map_err(|_| Error::Url("its host is not a host's name"))?;
    // An asterisk would be a wildcard of the pattern.
    let path = Some(place.path()).filter(|path| !path.contains('*'));
    let path = path.and_then(|path| PathPattern::parse(path).ok());
    let mut methods = MethodSet::EMPTY;
    methods.insert("POST");
    let rule = EgressRule {
        scheme: place.scheme(),
        host: host.clone(),
        port: place.port(),
        methods,
        path: path.ok_or(Error::Url("its path is not one that every server reads alike"))?,
        optional: false,
        reason: None,
    };
    let grant = Grant {
        egress: vec![rule],
        limits: Limits {
            http_requests: 1,
            http_concurrency: 1,
            request_time: service.settings().endpoint.attempt_time,
            ..Limits::default()
        },
        ..Grant::default()
    };
    let rights = Rights::new(&grant, &service.settings().ceiling, &grant);
    sluice_broker::Broker::check(&rights, &place.target("POST")).map_err(|denial| {
        Error::Refused(sluice_broker::Error::Denied {
            missing: denial.to_string(),
        })
    })?;
    Ok((rights, host, place))
}

impl Ready {
    /// What is sent of an event.
    pub(super) fn shape(&self, event: &str) -> Shaped {
        let Some(plan) = &self.plan else {
            return Shaped::Body(event.to_owned());
        };
        let around = Surroundings {
            salt: self.salt.as_ref(),
            find: None,
        };
        match plan.apply(event, &Shape::default(), &around) {
            Outcome::Kept { data, .. } => Shaped::Body(data.into_owned()),
            Outcome::Dropped => Shaped::Unwanted,
            Outcome::Refused(refused) => Shaped::Refused(refused.code, refused.reason),
            Outcome::Frozen(frozen) => Shaped::Refused(frozen.code(), frozen.to_string()),
        }
    }

    /// Whether what is sent may be something else than a CloudEvent.
    pub(super) fn is_mapped(&self) -> bool {
        self.plan.is_some()
    }

    pub(super) fn authorization(&self) -> Option<Arc<Credential>> {
        self.authorization.clone()
    }

    pub(super) fn keys(&self, now: Timestamp) -> Vec<SigningKey> {
        self.keys.valid(now).cloned().collect()
    }

    /// When the next try may begin, none for at once, and takes that place; where it is more than `patience` away, how far.
    pub(super) fn pace(&self, patience: Duration) -> Result<Option<Instant>, Duration> {
        let Some(rate) = self.endpoint.per_second else {
            return Ok(None);
        };
        let gap = Duration::try_from_secs_f64(1.0 / rate).unwrap_or_default();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let at = next.unwrap_or(now).max(now);
        if at - now > patience {
            return Err(at - now);
        }
        *next = Some(at + gap);
        Ok(Some(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SigningKey {
        SigningKey::made(
            if n.is_multiple_of(2) {
                KeyKind::Hmac
            } else {
                KeyKind::Ed25519
            },
            [n; 32],
        )
        .unwrap()
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn keys_overlap_and_end() {
        let mut keys = Keys(vec![Key {
            key: key(0),
            until: None,
        }]);
        keys.rotate(key(1), at(10), at(110));
        keys.rotate(key(2), at(20), at(220));
        let signing = |keys: &Keys, now| keys.valid(now).map(|key| key.text()).collect::<Vec<_>>();
        assert_eq!(
            signing(&keys, at(20)),
            [key(2).text(), key(1).text(), key(0).text()]
        );
        assert_eq!(
            signing(&keys, at(110)),
            [key(2).text(), key(1).text()],
            "an overlap never gets longer"
        );
        assert_eq!(signing(&keys, at(220)), [key(2).text()]);
        assert_eq!(keys.public(at(30)).len(), 1);
        let back = Keys::read(&keys.text()).unwrap();
        assert_eq!(back.text(), keys.text());
        for n in 3..20 {
            keys.rotate(key(n), at(30), at(1000));
        }
        assert_eq!(keys.0.len(), MAX_KEYS);
        assert_eq!(keys.newest(), KeyKind::Ed25519);
    }

    #[test]
    fn what_is_no_key_is_told() {
        assert!(Keys::read(&Secret::new(b"whsec_x 5".to_vec())).is_err());
        assert!(Keys::read(&Secret::new(vec![255])).is_err());
    }
}
