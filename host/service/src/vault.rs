//! Credentials for the broker: one connection's view, opened once and kept in wiped memory until they change.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use sluice_broker::credential::OWN;
use sluice_broker::{Apply, Credential, ExpirySign, Origin, Vault, VaultError};
use sluice_model::Timestamp;
use sluice_model::auth::{Obtain, SECRET};
use sluice_model::capability::{HostPattern, PatternError, Scheme};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::{AuthScheme, Manifest, OriginPattern};
use sluice_model::secret::Secret;
use sluice_store::credential::Life;

use crate::auth::{self, Bundle};
use crate::problem::Problem;
use crate::{Service, call, connection};

/// Opened credentials of all connections. An entry is dropped, and its secret wiped, when the secret is set anew or
/// its connection is removed.
#[derive(Default)]
pub(crate) struct Credentials {
    open: Mutex<HashMap<(ConnectionId, String), Opened>>,
    /// Counts what was forgotten: who read the store before may not put back what was changed since.
    forgotten: AtomicU64,
}

/// A credential as it is used, without another look at the store.
#[derive(Clone)]
struct Opened {
    credential: Arc<Credential>,
    /// When it has to be looked at again: near its end.
    until: Option<Timestamp>,
    last_used: Timestamp,
}

/// More are not kept open at once: what is idle can be unsealed again.
const MAX_OPEN: usize = 10_000;
/// Before the end of a token that is obtained anew when it is needed.
const SHORTLY: Duration = Duration::from_secs(30);
/// A clock that is set back by less is being kept right.
const SET_BACK: Duration = Duration::from_secs(300);
/// A token that could not be refreshed and is still good is used so long before the next try.
const USED_ON: Duration = Duration::from_secs(5);

impl Credentials {
    fn get(&self, key: &(ConnectionId, String), now: Timestamp) -> Option<Arc<Credential>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let found = open.get_mut(key)?;
        // A clock that was set back says nothing of a time that it noted before.
        let is_of_the_future = found.last_used.since(now) > SET_BACK;
        if is_of_the_future || found.until.is_some_and(|until| until <= now) {
            open.remove(key);
            return None;
        }
        found.last_used = now;
        Some(Arc::clone(&found.credential))
    }

    fn put(&self, key: (ConnectionId, String), opened: Opened, read_at: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if self.forgotten.load(Ordering::Acquire) != read_at {
            return;
        }
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        open.insert(key, opened);
    }

    /// When a connection's credential was used last, as far as this process knows.
    pub(crate) fn last_used(&self, connection: ConnectionId) -> Option<Timestamp> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of = open.iter().filter(|((of, _), _)| *of == connection);
        of.map(|(_, opened)| opened.last_used).max()
    }

    /// The same for one auth scheme and its parts.
    pub(crate) fn last_used_of(&self, connection: ConnectionId, scheme: &str) -> Option<Timestamp> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of = open.iter().filter(|((of, name), _)| {
            let named = name.split_once('.').map_or(name.as_str(), |(named, _)| named);
            *of == connection && named == scheme
        });
        of.map(|(_, opened)| opened.last_used).max()
    }

    pub(crate) fn forget(&self, connection: ConnectionId) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        open.retain(|(of, _), _| *of != connection);
    }

    /// For a change that any of them may have been opened with, such as an app's.
    pub(crate) fn forget_all(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        open.clear();
    }
}

/// A connection's credentials, as the broker is given them for each of its calls.
///
/// # Errors
///
/// If there is no such connection, or its install can't be read.
pub async fn of(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
) -> Result<Arc<dyn Vault>, call::Error> {
    let callee = call::Callee::read(service, org, connection).await?;
    Ok(Arc::new(callee.vault(service, None, true)))
}

/// One connection's credentials, as the broker asks for them.
pub(crate) struct ConnectionVault {
    pub(crate) service: Service,
    pub(crate) org: OrgId,
    pub(crate) connection: ConnectionId,
    /// The auth scheme that the connection uses; none where its connector declares none.
    pub(crate) own: Option<String>,
    pub(crate) manifest: Arc<Manifest>,
    /// A new credential that is tried before it is kept, in the place of the connection's own.
    pub(crate) trial: Option<Arc<Credential>>,
    /// False for the calls of a flow itself: its refresh would wait for itself.
    pub(crate) renews: bool,
    /// The secret of the hook that a call is about.
    pub(crate) hook: Option<Arc<Credential>>,
}

impl ConnectionVault {
    async fn find(&self, name: &str) -> Result<Option<Arc<Credential>>, VaultError> {
        let own = self.own.as_deref();
        let Some(name) = (if name == OWN { own } else { Some(name) }) else {
            return Ok(None);
        };
        if let Some(hook) = self.hook.as_ref().filter(|hook| hook.name == name) {
            return Ok(Some(Arc::clone(hook)));
        }
        if let Some(trial) = self.trial.as_ref().filter(|trial| trial.name == name) {
            return Ok(Some(Arc::clone(trial)));
        }
        // A part by itself is a handle's business: what a custom flow signs with or sends.
        let (scheme, part) = match name.split_once('.') {
            Some((scheme, part)) => (scheme, Some(part)),
            None => (name, None),
        };
        let Some(scheme) = self.manifest.auth(scheme) else {
            return Ok(None);
        };
        let key = (self.connection, name.to_owned());
        let now = self.service.now();
        if let Some(found) = self.service.credentials().get(&key, now) {
            return Ok(Some(found));
        }
        if let Some(part) = part.and_then(|part| part.strip_prefix("app.")) {
            return self.of_app(name, part, scheme).await;
        }
        let credentials = self.service.credentials();
        let Some((stored, until, read_at)) = self.fresh(scheme).await? else {
            return Ok(None);
        };
        let unreadable = || VaultError::new("the credential can't be read");
        let bundle = Bundle::read(&stored.secret).ok_or_else(unreadable)?;
        // Requests themselves take the app in OAuth 1.0a alone; elsewhere only flows do.
        let app = if matches!(scheme.obtain, Obtain::OAuth1(_)) {
            let loaded = auth::app::load(&self.service, self.org, &self.manifest.id, scheme).await;
            loaded.unwrap_or_default()
        } else {
            Bundle::default()
        };
        let credential = match part {
            // Tokens and apps of recipes are the host's alone.
            Some(_) if !matches!(scheme.obtain, Obtain::Custom | Obtain::Given) => None,
            Some(part) => bundle
                .get(part)
                .map(|secret| one_part(name, secret, &stored.origins)),
            None => {
                let config = self.config(scheme).await?;
                credential(scheme, &bundle, &app, &stored.origins, &config, stored.version)
            }
        };
        let Some(credential) = credential else {
            return Ok(None);
        };
        let opened = Opened {
            credential: Arc::clone(&credential),
            until,
            last_used: now,
        };
        credentials.put(key, opened, read_at);
        Ok(Some(credential))
    }

    /// A part of the app, for the code of a custom flow: it is there before the first credential is, which it brings. It goes
    /// where the scheme's credential may go.
    async fn of_app(
        &self,
        name: &str,
        part: &str,
        scheme: &AuthScheme,
    ) -> Result<Option<Arc<Credential>>, VaultError> {
        if !matches!(scheme.obtain, Obtain::Custom) || !scheme.app.iter().any(|known| known.name == part) {
            return Ok(None);
        }
        let loaded = auth::app::load(&self.service, self.org, &self.manifest.id, scheme).await;
        let Some(secret) = loaded.unwrap_or_default().get(part).cloned() else {
            return Ok(None);
        };
        let origins = origins(scheme, &self.configured().await?);
        let origins = origins.map_err(|_| VaultError::new("the origins can't be read"))?;
        Ok(Some(one_part(name, &secret, &origins)))
    }

    /// What is kept for the scheme, refreshed if it is about to end; and until when it may be used without another look.
    async fn fresh(
        &self,
        scheme: &AuthScheme,
    ) -> Result<Option<(Stored, Option<Timestamp>, u64)>, VaultError> {
        let read_at = || self.service.credentials().forgotten.load(Ordering::Acquire);
        let mut seen = read_at();
        let mut stored = self.stored(&scheme.name).await?;
        let now = self.service.now();
        let mut failed = None;
        let version = stored.as_ref().map_or(0, |stored| stored.version);
        let has_access =
            |stored: &Stored| Bundle::read(&stored.secret).is_some_and(|bundle| has_token(scheme, &bundle));
        // Naming a scheme that the connection does not use brings no credential of it.
        let by_itself = self.own.as_deref() == Some(scheme.name.as_str()) && auth::comes_by_itself(scheme);
        let is_due = self.renews
            && match &stored {
                None => by_itself,
                Some(stored) if !has_access(stored) => by_itself,
                Some(stored) => {
                    let is_time = looked_at(&stored.life).is_some_and(|end| end <= now);
                    (is_time || stored.life.is_of_the_future(now))
                        && Bundle::read(&stored.secret)
                            .is_some_and(|bundle| auth::is_renewable(scheme, &bundle))
                }
            };
        if is_due {
            let renewed = auth::renew(&self.service, self.org, self.connection, &scheme.name, version).await;
            failed = renewed.err();
            seen = read_at();
            stored = self.stored(&scheme.name).await?;
        }
        let Some(stored) = stored.filter(has_access) else {
            return match failed {
                Some(problem) => Err(no_token(problem)),
                None => Ok(None),
            };
        };
        let until = match (&failed, stored.life.expires) {
            (Some(problem), Some(end)) if end <= now => return Err(no_token(problem.clone())),
            (Some(_), _) => Some(now.after(USED_ON)),
            (None, _) => looked_at(&stored.life).map(|end| end.max(now.after(USED_ON))),
        };
        Ok(Some((stored, until, seen)))
    }

    async fn stored(&self, scheme: &str) -> Result<Option<Stored>, VaultError> {
        let stored = self
            .service
            .store()
            .get_credential(self.org, self.connection, scheme)
            .await;
        stored.map_err(|error| {
            tracing::error!(connection = %self.connection, code = error.code(), %error, "a credential can't be read");
            VaultError::new("the credential can't be read")
        })
    }

    /// The configuration, where the scheme's way onto a request takes something of it.
    async fn config(&self, scheme: &AuthScheme) -> Result<Value, VaultError> {
        if !matches!(scheme.apply, Apply::SigV4 { .. } | Apply::Signed(_)) {
            return Ok(Value::Null);
        }
        self.configured().await
    }

    async fn configured(&self) -> Result<Value, VaultError> {
        let found = self
            .service
            .store()
            .get_connection(self.org, self.connection)
            .await;
        let found = found
            .ok()
            .flatten()
            .ok_or_else(|| VaultError::new("the connection can't be read"))?;
        serde_json::from_str(&found.config).map_err(|_| VaultError::new("the configuration can't be read"))
    }
}

impl Vault for ConnectionVault {
    fn credential<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(self.find(name))
    }

    fn renewed<'a>(
        &'a self,
        refused: &'a Credential,
    ) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(async move {
            let is_trial = self
                .trial
                .as_ref()
                .is_some_and(|trial| trial.name == refused.name);
            let renews = self.renews && !is_trial;
            let Some(scheme) = self.manifest.auth(&refused.name).filter(|_| renews) else {
                return Ok(None);
            };
            let (name, stale) = (&scheme.name, refused.version);
            auth::renew(&self.service, self.org, self.connection, name, stale)
                .await
                .map_err(no_token)?;
            let found = self.find(name).await?;
            Ok(found.filter(|found| found.version > stale))
        })
    }
}

impl fmt::Debug for ConnectionVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionVault")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

type Stored = sluice_store::credential::Credential;

/// Why there is no fresh token, in the broker's terms.
fn no_token(problem: Problem) -> VaultError {
    if connection::is_over(Some(&problem.code)) {
        VaultError::ended(problem.message)
    } else {
        VaultError::new(problem.message)
    }
}

/// When a credential has to be looked at again: when it is due, or shortly before its end where nothing is due by itself.
fn looked_at(life: &Life) -> Option<Timestamp> {
    let before_its_end = life.expires.map(|end| {
        let lived = life.obtained.map_or(SHORTLY, |obtained| end.since(obtained) / 2);
        let ahead = u64::try_from(SHORTLY.min(lived).as_millis()).unwrap_or(0);
        Timestamp::from_millis(end.as_millis().saturating_sub(ahead))
    });
    life.due.into_iter().chain(before_its_end).min()
}

/// Whether the bundle has what goes on a request, not only what brings it.
fn has_token(scheme: &AuthScheme, bundle: &Bundle) -> bool {
    match &scheme.obtain {
        Obtain::OAuth2(_) => bundle.get("access_token").is_some(),
        Obtain::OAuth1(_) => bundle.get("token").is_some(),
        Obtain::Given | Obtain::Custom => !bundle.is_empty(),
    }
}

/// The credential of a scheme, with what goes on requests and nothing of what only flows need.
pub(crate) fn credential(
    scheme: &AuthScheme,
    bundle: &Bundle,
    app: &Bundle,
    origins: &[String],
    config: &Value,
    version: u32,
) -> Option<Arc<Credential>> {
    let mut parts: Vec<(String, Secret)> = match &scheme.obtain {
        Obtain::Given | Obtain::Custom => {
            let all = bundle
                .parts()
                .map(|(name, secret)| (name.to_owned(), secret.clone()));
            all.collect()
        }
        Obtain::OAuth2(_) => vec![(SECRET.to_owned(), bundle.get("access_token")?.clone())],
        Obtain::OAuth1(_) => vec![
            ("consumer_key".to_owned(), app.get("client_id")?.clone()),
            ("consumer_secret".to_owned(), app.get("client_secret")?.clone()),
            ("token".to_owned(), bundle.get("token")?.clone()),
            ("token_secret".to_owned(), bundle.get("token_secret")?.clone()),
        ],
    };
    if matches!(scheme.obtain, Obtain::Custom)
        && !parts.iter().any(|(name, _)| name == SECRET)
        && let Some(access) = bundle.get("access_token")
    {
        parts.push((SECRET.to_owned(), access.clone()));
    }
    let renewal: Option<Arc<[ExpirySign]>> = match &scheme.obtain {
        Obtain::OAuth2(recipe) => Some(recipe.expired.as_slice().into()),
        Obtain::Custom => Some(Arc::new([])),
        Obtain::Given | Obtain::OAuth1(_) => None,
    };
    let credential = Credential {
        name: scheme.name.clone(),
        parts,
        apply: scheme.apply.expand(config).ok()?,
        origins: origins.iter().filter_map(|text| parse_origin(text)).collect(),
        renewal,
        version,
    };
    credential.is_whole().then(|| Arc::new(credential))
}

/// One part of a credential or of its app, for a handle.
fn one_part(name: &str, secret: &Secret, origins: &[String]) -> Arc<Credential> {
    let origins = origins.iter().filter_map(|text| parse_origin(text)).collect();
    Arc::new(Credential::new(name, secret.clone(), Apply::Bearer, origins))
}

/// Why a scheme's origins can't be said for a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct OriginError(#[from] PatternError);

/// Where a scheme's credential may go for this configuration.
pub(crate) fn origins(scheme: &AuthScheme, config: &Value) -> Result<Vec<String>, OriginError> {
    let mut all = Vec::with_capacity(scheme.origins.len());
    for origin in &scheme.origins {
        all.push(origin_text(&origin.expand(config)?));
    }
    Ok(all)
}

/// Where the next version of a credential may go that is bound to `bound`: a host of the configuration is among them only if
/// it was when the credential was set, so that a change of the configuration leads no refreshed token elsewhere.
pub(crate) fn rebound(
    scheme: &AuthScheme,
    config: &Value,
    bound: &[String],
) -> Result<Vec<String>, OriginError> {
    let mut all = Vec::with_capacity(scheme.origins.len());
    for origin in &scheme.origins {
        let text = origin_text(&origin.expand(config)?);
        let is_fixed = !matches!(origin.host, HostPattern::Config(_));
        if is_fixed || bound.contains(&text) {
            all.push(text);
        }
    }
    Ok(all)
}

/// An origin as the store keeps it: bound when the secret was set, so that a later change of the configuration can't
/// lead the secret elsewhere.
fn origin_text(origin: &OriginPattern) -> String {
    format!("{}://{}:{}", origin.scheme, origin.host, origin.port)
}

fn parse_origin(text: &str) -> Option<Origin> {
    let (scheme, rest) = text.split_once("://")?;
    let (host, port) = rest.rsplit_once(':')?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    };
    Some(Origin {
        scheme,
        host: HostPattern::parse(host).ok()?,
        port: port.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn opened(until: Option<Timestamp>) -> Opened {
        Opened {
            credential: Arc::new(Credential::new(
                "a",
                Secret::new(b"t0ken".to_vec()),
                Apply::Bearer,
                Vec::new(),
            )),
            until,
            last_used: NOW,
        }
    }

    #[test]
    fn a_refreshed_token_follows_no_configuration() {
        let text = r#"
            manifest = 1
            id = "acme"
            version = "0.1.0"
            contract = "0.1"
            name = "Acme"
            description = "x"
            category = "x"
            licence = "Apache-2.0"
            [[capabilities.egress]]
            host = "api.acme.example"
            methods = ["GET"]
            paths = ["/**"]
            [[capabilities.egress]]
            host = "${config.host}"
            methods = ["GET"]
            paths = ["/**"]
            [config.properties.host]
            type = "string"
            [[auth]]
            name = "oauth"
            title = "x"
            scheme = "bearer"
            origins = ["https://api.acme.example", "https://${config.host}"]
        "#;
        let manifest = Manifest::parse(text).unwrap();
        let scheme = manifest.auth("oauth").unwrap();
        let config = |host: &str| serde_json::json!({ "host": host });
        let set = origins(scheme, &config("a.example")).unwrap();
        assert_eq!(set, ["https://api.acme.example:443", "https://a.example:443"]);
        assert_eq!(rebound(scheme, &config("a.example"), &set).unwrap(), set);
        // What the manifest itself names comes and goes with it; a host of the configuration is added by nobody.
        let moved = rebound(scheme, &config("evil.example"), &set).unwrap();
        assert_eq!(moved, ["https://api.acme.example:443"]);
        let older = rebound(scheme, &config("a.example"), &set[1..]).unwrap();
        assert_eq!(older, set);
        assert!(rebound(scheme, &config("*.example"), &set).is_err());
    }

    #[test]
    fn what_changed_meanwhile_is_not_put_back() {
        let open = Credentials::default();
        let (one, other) = (
            ConnectionId::from_bytes([1; 16]),
            ConnectionId::from_bytes([2; 16]),
        );
        let key = |id| (id, "a".to_owned());
        let read_at = || open.forgotten.load(Ordering::Acquire);
        let before = read_at();
        open.put(key(one), opened(None), before);
        open.put(key(other), opened(Some(NOW)), before);
        assert!(open.get(&key(one), NOW).is_some());
        assert!(open.get(&key(other), NOW).is_none(), "its time has come");
        open.forget(one);
        assert!(open.get(&key(one), NOW).is_none());
        // Read before it was forgotten, put after.
        open.put(key(one), opened(None), before);
        assert!(open.get(&key(one), NOW).is_none());
        open.put(key(one), opened(None), read_at());
        assert!(open.get(&key(one), NOW).is_some());
        open.forget_all();
        assert!(open.get(&key(one), NOW).is_none());
    }
}
