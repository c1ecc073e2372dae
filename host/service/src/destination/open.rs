//! Opening a destination: its secret is unsealed for it, and it is held open while it is used.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sluice_broker::{Apply, Budget, Caller, Credential, Origin, Trace, Vault, VaultError};
use sluice_destination::{Access, DestinationSettings};
use sluice_model::auth::Template;
use sluice_model::capability::{EgressRule, HostPattern, MethodSet, PathPattern, Scheme};
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::{DestinationId, OrgId};
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;

use super::{Destination, Error, parts};
use crate::Service;

/// What a destination takes at most for one answer: less than a lease.
pub(super) const LONGEST: Duration = Duration::from_secs(90);

/// More are not held open at once: what is idle can be opened again.
const MAX_OPEN: usize = 100;

/// Databases that are held open, at the revision of their settings: a connection there is dear. Buckets and directories are
/// opened for each turn, with a turn's budget.
#[derive(Default)]
pub(crate) struct Open(Mutex<HashMap<DestinationId, (u64, Arc<sluice_destination::Destination>)>>);

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}

impl Open {
    pub(crate) fn forget(&self, id: DestinationId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn get(&self, of: &Destination) -> Option<Arc<sluice_destination::Destination>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (revision, place) = open.get(&of.id)?;
        (*revision == of.revision).then(|| Arc::clone(place))
    }

    fn put(&self, of: &Destination, place: &Arc<sluice_destination::Destination>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        open.insert(of.id, (of.revision, Arc::clone(place)));
    }
}

/// The destination, open.
pub(super) async fn held(
    service: &Service,
    org: OrgId,
    of: &Destination,
) -> Result<Arc<sluice_destination::Destination>, Error> {
    if let Some(place) = service.destinations().get(of) {
        return Ok(place);
    }
    let place = Arc::new(fresh(service, org, of).await?);
    if matches!(of.settings, DestinationSettings::Postgres(_)) {
        service.destinations().put(of, &place);
    }
    Ok(place)
}

/// The same, opened for this once.
pub(super) async fn fresh(
    service: &Service,
    org: OrgId,
    of: &Destination,
) -> Result<sluice_destination::Destination, Error> {
    let owner = of.id.to_string();
    let mut secrets = Vec::new();
    for part in parts(&of.settings) {
        if let Some(secret) = service.store().get_secret(org, &owner, part).await? {
            secrets.push(((*part).to_owned(), secret));
        }
    }
    let mut access = Access {
        broker: service.broker().clone(),
        org,
        password: None,
        root: service.settings().files_dir.clone(),
        caller: None,
    };
    match &of.settings {
        DestinationSettings::Postgres(_) => access.password = secrets.pop().map(|(_, secret)| secret),
        DestinationSettings::Directory(_) => {}
        DestinationSettings::S3(settings) => {
            access.caller = Some(caller(
                org,
                of.id,
                (&settings.endpoint, &settings.region),
                secrets,
            )?);
        }
    }
    Ok(sluice_destination::Destination::open(
        of.settings.clone(),
        access,
    )?)
}

/// On whose behalf objects are put: the right to write to this one host with this one key, and nothing else.
fn caller(
    org: OrgId,
    id: DestinationId,
    (endpoint, region): (&str, &str),
    parts: Vec<(String, Secret)>,
) -> Result<Caller, Error> {
    let bad = |reason: String| {
        Error::Settings(sluice_destination::SettingsError {
            pointer: "/endpoint".to_owned(),
            reason,
        })
    };
    let (host, port) = match endpoint.rsplit_once(':') {
        Some((host, port)) => {
            let port = port
                .parse()
                .map_err(|_| bad("has a port that is none".to_owned()))?;
            (host, port)
        }
        None => (endpoint, 443),
    };
    let host = HostPattern::parse(host).map_err(|error| bad(error.to_string()))?;
    let origin = Origin {
        scheme: Scheme::Https,
        host: host.clone(),
        port,
    };
    let apply = Apply::SigV4 {
        service: "s3".into(),
        region: Template::text(region),
    };
    let mut credential = Credential::new("s3", Secret::new(Vec::new()), apply, vec![origin]);
    credential.parts = parts;
    let rule = EgressRule {
        scheme: Scheme::Https,
        host,
        port,
        methods: MethodSet::ALL,
        path: PathPattern::parse("/**").map_err(|error| bad(error.to_string()))?,
        optional: false,
        reason: None,
    };
    let limits = Limits {
        // Encoded, a batch is seldom twice as long; one that is more is told as what it is.
        request_bytes: u64::try_from(2 * sluice_destination::MAX_BATCH_BYTES).unwrap_or(u64::MAX),
        request_time: LONGEST,
        ..Limits::default()
    };
    let budget = Budget::new(&limits);
    let grant = Grant {
        egress: vec![rule],
        limits,
        ..Grant::default()
    };
    Ok(Caller {
        org,
        connection: None,
        connector: format!("destination {id}"),
        rights: Arc::new(Rights::new(&grant, &Ceiling::default(), &grant)),
        vault: Arc::new(OneKey(Arc::new(credential))),
        trace: Trace::default(),
        budget,
        rates: Vec::new(),
        app: None,
    })
}

/// The key of one bucket.
#[derive(Debug)]
struct OneKey(Arc<Credential>);

impl Vault for OneKey {
    fn credential<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(std::future::ready(Ok(Some(Arc::clone(&self.0)))))
    }
}
