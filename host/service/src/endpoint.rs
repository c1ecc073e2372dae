//! Endpoints: where an organization has its events delivered. What a person sets, and what is told of it; who delivers is
//! `drive`.
//!
//! Who is involved: the API, which sets endpoints; the store, which keeps what is owed; the broker, on whose road every try goes;
//! a receiver that may be anything. What must always hold: a receiver that is private or ourselves is refused when it is set and
//! again at every try; an event that was committed is owed to whoever wants it, and is tried under the same id until it is
//! delivered, dead or cancelled; one endpoint's failures cost no other its turn; a signing secret is shown once.

mod drive;
mod error;
mod job;
mod lane;
mod ready;
mod trying;
mod view;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use sluice_mapping::StreamRules;
use sluice_model::endpoint::{DeliveryState, KeyKind, SigningKey, Status, check_headers, parse_kinds};
use sluice_model::event::{CloudEvent, NewEvent};
use sluice_model::id::{EndpointId, EventId, Id, OrgId};
use sluice_model::secret::Secret;
use sluice_store::delivery::{Attempt, Delivery};
use sluice_store::endpoint::{ChangedEndpoint, Endpoint, Known, NewEndpoint};

use crate::page::{Listed, Page};
use crate::{Service, event};

pub(crate) use drive::drive;
pub use error::{Error, TRY_CODES};
use lane::Lanes;
use ready::{Key, Keys, Ready};
pub use view::{View, view};

/// What a person says of an endpoint. `None` leaves it as it is, or takes what is usual where it is new.
#[derive(Debug, Default)]
pub struct Wanted {
    pub name: Option<String>,
    pub url: Option<String>,
    pub kinds: Option<Vec<String>>,
    /// JSON text of the mapping language's filter, selection and steps; empty for none.
    pub rules: Option<String>,
    pub headers: Option<Vec<(String, Secret)>>,
    pub ordered: Option<bool>,
    pub concurrency: Option<u32>,
    /// Tries a second; 0 for as fast as it goes.
    pub per_second: Option<f64>,
}

/// What is made ready of endpoints, and whose turn it is; one for the process.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    ready: Mutex<HashMap<EndpointId, Arc<Ready>>>,
    /// Changes of keys read, change and write: one after another.
    change: tokio::sync::Mutex<()>,
    lanes: Lanes,
}

/// More are not kept ready at once: they can be made ready again.
const MAX_READY: usize = 2000;

impl Outbox {
    fn get(&self, endpoint: &Endpoint) -> Option<Arc<Ready>> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let found = ready.get(&endpoint.id)?;
        (found.revision == endpoint.revision).then(|| Arc::clone(found))
    }

    fn put(&self, id: EndpointId, made: Arc<Ready>) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() >= MAX_READY {
            ready.clear();
        }
        ready.insert(id, made);
    }

    fn forget(&self, id: EndpointId) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.remove(&id);
    }
}

/// Makes an endpoint that is owed what happens from now on. Answers its signing key: the secret of an HMAC, which is shown this
/// once, or the public half of a pair.
///
/// # Errors
/// What is wrong with what is wanted; [`Error::Refused`] if the address is not to be reached.
pub async fn create(
    service: &Service,
    org: OrgId,
    wanted: Wanted,
    kind: KeyKind,
    key: Option<Secret>,
) -> Result<(Known, Secret), Error> {
    let key = match key {
        Some(text) => SigningKey::parse(text.expose())?,
        None => SigningKey::made(kind, service.random())?,
    };
    let keys = Keys(vec![Key { key, until: None }]);
    let shown = keys.shown();
    let id = service.new_id();
    let mut endpoint = Endpoint {
        id,
        name: id.to_string(),
        url: String::new(),
        kinds: vec!["*".to_owned()],
        rules: String::new(),
        headers: Vec::new(),
        ordered: false,
        concurrency: USUAL_CONCURRENCY,
        per_second: None,
        signing: keys.newest(),
        public_keys: keys.public(service.now()),
        created: service.now(),
        revision: 1,
    };
    let headers = apply(service, &mut endpoint, wanted).await?;
    let told = told(service, "sluice.endpoint.created", &endpoint);
    let new = NewEndpoint {
        endpoint,
        keys: keys.text(),
        headers,
        event: told,
        now: service.now(),
    };
    service.store().create_endpoint(org, new).await?;
    Ok((get(service, org, &id.to_string()).await?, shown))
}

/// Changes what is wanted.
///
/// # Errors
/// As [`create`], and [`Error::Missing`].
pub async fn change(service: &Service, org: OrgId, which: &str, wanted: Wanted) -> Result<Known, Error> {
    let _one = service.outbox().change.lock().await;
    let mut endpoint = get(service, org, which).await?.endpoint;
    let headers = apply(service, &mut endpoint, wanted).await?;
    endpoint.revision += 1;
    save(service, org, endpoint, None, headers, "sluice.endpoint.changed").await
}

/// Gives an endpoint a new signing key; the ones before go on signing for `overlap`. Answers the new one as [`create`] does.
///
/// # Errors
/// [`Error::Missing`], [`Error::Key`], [`Error::Overlap`].
pub async fn rotate(
    service: &Service,
    org: OrgId,
    which: &str,
    kind: Option<KeyKind>,
    key: Option<Secret>,
    overlap: Option<Duration>,
) -> Result<(Known, Secret), Error> {
    let overlap = overlap.unwrap_or(USUAL_OVERLAP);
    if overlap > MAX_OVERLAP {
        return Err(Error::Overlap);
    }
    let _one = service.outbox().change.lock().await;
    let mut endpoint = get(service, org, which).await?.endpoint;
    let now = service.now();
    let mut keys = ready::keys(service, org, &endpoint).await?;
    let new = match key {
        Some(text) => SigningKey::parse(text.expose())?,
        None => SigningKey::made(kind.unwrap_or(endpoint.signing), service.random())?,
    };
    keys.rotate(new, now, now.after(overlap));
    endpoint.signing = keys.newest();
    endpoint.public_keys = keys.public(now);
    endpoint.revision += 1;
    let shown = keys.shown();
    let text = Some(keys.text());
    let known = save(service, org, endpoint, text, None, "sluice.endpoint.rotated").await?;
    Ok((known, shown))
}

/// Pauses it, switches it off, or has it go on.
///
/// # Errors
/// [`Error::Missing`].
pub async fn set_status(service: &Service, org: OrgId, which: &str, status: Status) -> Result<Known, Error> {
    let endpoint = get(service, org, which).await?.endpoint;
    let kind = match status {
        Status::Active => "sluice.endpoint.resumed",
        Status::Paused => "sluice.endpoint.paused",
        Status::Off => "sluice.endpoint.disabled",
    };
    let told = event::of_platform(
        service,
        kind,
        endpoint.id,
        || json!({"name": endpoint.name, "reason": "owner"}),
    );
    service
        .store()
        .set_endpoint_status(org, endpoint.id, status, told, service.now())
        .await?;
    get(service, org, &endpoint.id.to_string()).await
}

/// Removes it, with what is owed to it.
///
/// # Errors
/// [`Error::Missing`].
pub async fn remove(service: &Service, org: OrgId, which: &str) -> Result<(), Error> {
    let endpoint = get(service, org, which).await?.endpoint;
    let told = told(service, "sluice.endpoint.removed", &endpoint);
    service
        .store()
        .remove_endpoint(org, endpoint.id, told, service.now())
        .await?;
    service.outbox().forget(endpoint.id);
    Ok(())
}

/// One endpoint, by its id or name.
///
/// # Errors
/// [`Error::Missing`].
pub async fn get(service: &Service, org: OrgId, which: &str) -> Result<Known, Error> {
    if let Ok(id) = which.parse() {
        let found = service.store().get_endpoint(org, id).await?;
        return found.ok_or_else(|| Error::Missing(which.to_owned()));
    }
    let all = list(service, org).await?;
    all.into_iter()
        .find(|known| known.endpoint.name == which)
        .ok_or_else(|| Error::Missing(which.chars().take(100).collect()))
}

/// The organization's endpoints, oldest first; at most a thousand.
///
/// # Errors
/// If the database does not answer.
pub async fn list(service: &Service, org: OrgId) -> Result<Vec<Known>, Error> {
    Ok(service.store().list_endpoints(org).await?)
}

/// Sends a sample of an event to an endpoint, signed and mapped like any other, whatever its state; it is not kept. Answers the
/// try.
///
/// # Errors
/// [`Error::Missing`], [`Error::Rules`] if the rules do not take the sample.
pub async fn test(service: &Service, org: OrgId, which: &str, kind: Option<&str>) -> Result<Attempt, Error> {
    let endpoint = get(service, org, which).await?.endpoint;
    let ready = ready::of(service, org, &endpoint).await?;
    let (kind, data) = event::sample(service, org, kind.unwrap_or(event::TEST_KIND)).await;
    let id: EventId = service.new_id();
    let body = CloudEvent {
        org,
        id,
        seq: 0,
        kind: &kind,
        subject: &endpoint.id.to_string(),
        source_id: None,
        time: service.now(),
        recorded: service.now(),
        data: &data,
    }
    .text();
    let body = match ready.shape(&body) {
        ready::Shaped::Body(body) => body,
        ready::Shaped::Unwanted => return Err(Error::Filtered),
        ready::Shaped::Refused(code, reason) => return Err(Error::Rule { code, reason }),
    };
    Ok(trying::attempt(service, &ready, &id.to_string(), body)
        .await
        .attempt)
}

/// Deliveries of an endpoint, newest event first.
///
/// # Errors
/// [`Error::Missing`].
pub async fn deliveries(
    service: &Service,
    org: OrgId,
    which: &str,
    state: Option<DeliveryState>,
    page: &Page,
) -> Result<Listed<Delivery>, Error> {
    let id = get(service, org, which).await?.endpoint.id;
    let wanted = sluice_store::Page {
        after: page.after.as_deref().and_then(|after| after.parse().ok()),
        limit: page.bounded(),
    };
    let found = service.store().list_deliveries(org, id, state, wanted).await?;
    Ok(Listed {
        items: found.items,
        next: found.next.map(|next| next.to_string()),
    })
}

/// One delivery with its tries.
///
/// # Errors
/// [`Error::Missing`], [`Error::NoDelivery`].
pub async fn delivery(
    service: &Service,
    org: OrgId,
    which: &str,
    seq: u64,
) -> Result<(Delivery, Vec<Attempt>), Error> {
    let id = get(service, org, which).await?.endpoint.id;
    let found = service.store().get_delivery(org, id, seq).await?;
    let delivery = found.ok_or(Error::NoDelivery(seq))?;
    Ok((delivery, service.store().list_attempts(org, id, seq).await?))
}

/// Has one event delivered again, or for the first time.
///
/// # Errors
/// [`Error::Missing`], [`Error::NoDelivery`] if there is no such event.
pub async fn redrive(service: &Service, org: OrgId, which: &str, seq: u64) -> Result<Delivery, Error> {
    let id = get(service, org, which).await?.endpoint.id;
    let redriven = service
        .store()
        .redrive_delivery(org, id, seq, service.now())
        .await;
    redriven.map_err(|error| match error {
        sluice_store::Error::Missing { what: "the event" } => Error::NoDelivery(seq),
        other => other.into(),
    })
}

/// What a person need not say.
const USUAL_CONCURRENCY: u32 = 8;
/// Tries of one endpoint under way at once: far less than all endpoints together may have.
const MAX_CONCURRENCY: u32 = 32;
const MAX_PER_SECOND: f64 = 10_000.0;
const MAX_NAME_CHARS: usize = 100;
/// How long the key before goes on signing: a day, so that a receiver need not hurry.
const USUAL_OVERLAP: Duration = Duration::from_secs(24 * 3600);
const MAX_OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);

/// Checks what is wanted and puts it into the endpoint. Answers the headers to be sealed.
async fn apply(service: &Service, endpoint: &mut Endpoint, wanted: Wanted) -> Result<Option<Secret>, Error> {
    if let Some(name) = wanted.name {
        let fits = (1..=MAX_NAME_CHARS).contains(&name.chars().count())
            && !name.chars().any(char::is_control)
            && name.parse::<EndpointId>().is_err();
        endpoint.name = if fits { name } else { return Err(Error::Name) };
    }
    if let Some(url) = wanted.url {
        endpoint.url = url;
        ready::rights(service, &endpoint.url)?;
        service
            .broker()
            .vet(&endpoint.url)
            .await
            .map_err(Error::Refused)?;
    }
    if endpoint.url.is_empty() {
        return Err(Error::Url("there is none"));
    }
    if let Some(kinds) = wanted.kinds {
        parse_kinds(&kinds)?;
        endpoint.kinds = kinds;
    }
    if let Some(rules) = wanted.rules {
        if !rules.is_empty() {
            ready::plan(&StreamRules::parse(&rules)?)?;
        }
        endpoint.rules = rules;
    }
    if let Some(ordered) = wanted.ordered {
        endpoint.ordered = ordered;
    }
    if let Some(concurrency) = wanted.concurrency {
        if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
            return Err(Error::Concurrency);
        }
        endpoint.concurrency = concurrency;
    }
    if let Some(rate) = wanted.per_second {
        if !(0.0..=MAX_PER_SECOND).contains(&rate) || (rate > 0.0 && rate < 0.001) {
            return Err(Error::Rate);
        }
        endpoint.per_second = (rate > 0.0).then_some(rate);
    }
    let Some(headers) = wanted.headers else {
        return Ok(None);
    };
    let mut given = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.expose()).into_owned();
        given.push((name, value));
    }
    let taken = check_headers(&given)?;
    endpoint.headers = taken.iter().map(|(name, _)| name.clone()).collect();
    let text = serde_json::to_vec(&taken).unwrap_or_default();
    Ok(Some(Secret::new(text)))
}

async fn save(
    service: &Service,
    org: OrgId,
    endpoint: Endpoint,
    keys: Option<Secret>,
    headers: Option<Secret>,
    kind: &'static str,
) -> Result<Known, Error> {
    let id = endpoint.id;
    let told = told(service, kind, &endpoint);
    let changed = ChangedEndpoint {
        endpoint,
        keys,
        headers,
        event: told,
        now: service.now(),
    };
    service.store().change_endpoint(org, changed).await?;
    get(service, org, &id.to_string()).await
}

/// The address is told without its query, which may have a key in it.
fn told(service: &Service, kind: &str, endpoint: &Endpoint) -> NewEvent {
    let url = endpoint.url.split('?').next().unwrap_or_default();
    event::of_platform(
        service,
        kind,
        endpoint.id,
        || json!({"name": endpoint.name, "url": url, "kinds": endpoint.kinds}),
    )
}

/// The id's text, for what has only that.
fn text<K: sluice_model::id::Kind>(id: Id<K>) -> String {
    id.to_string()
}
