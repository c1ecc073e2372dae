//! Credentials for the broker: one connection's view, opened once and kept in wiped memory until they change.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use sluice_broker::credential::OWN;
use sluice_broker::{Credential, Origin, Vault, VaultError};
use sluice_model::capability::{HostPattern, Scheme};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::{Manifest, OriginPattern};

use crate::Service;

/// Opened credentials of all connections. An entry is dropped, and its secret wiped, when the secret is set anew or
/// its connection is removed.
#[derive(Default)]
pub(crate) struct Credentials {
    open: Mutex<HashMap<(ConnectionId, String), Arc<Credential>>>,
}

/// More are not kept open at once: what is idle can be unsealed again.
const MAX_OPEN: usize = 10_000;

impl Credentials {
    fn get(&self, key: &(ConnectionId, String)) -> Option<Arc<Credential>> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    fn put(&self, key: (ConnectionId, String), credential: Arc<Credential>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        open.insert(key, credential);
    }

    pub(crate) fn forget(&self, connection: ConnectionId) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(of, _), _| *of != connection);
    }
}

/// One connection's credentials, as the broker asks for them.
pub(crate) struct ConnectionVault {
    pub(crate) service: Service,
    pub(crate) org: OrgId,
    pub(crate) connection: ConnectionId,
    /// The auth scheme that the connection uses; none where its connector declares none.
    pub(crate) own: Option<String>,
    pub(crate) manifest: Arc<Manifest>,
}

impl ConnectionVault {
    async fn find(&self, name: &str) -> Result<Option<Arc<Credential>>, VaultError> {
        let own = self.own.as_deref();
        let Some(name) = (if name == OWN { own } else { Some(name) }) else {
            return Ok(None);
        };
        let Some(scheme) = self.manifest.auth(name) else {
            return Ok(None);
        };
        let key = (self.connection, name.to_owned());
        if let Some(found) = self.service.credentials().get(&key) {
            return Ok(Some(found));
        }
        let stored = self
            .service
            .store()
            .get_credential(self.org, self.connection, name)
            .await;
        let stored = stored.map_err(|error| {
            tracing::error!(connection = %self.connection, code = error.code(), %error, "a credential can't be read");
            VaultError::new("the credential can't be read")
        })?;
        let Some(stored) = stored else { return Ok(None) };
        let origins = stored
            .origins
            .iter()
            .filter_map(|text| parse_origin(text))
            .collect();
        let credential = Arc::new(Credential {
            name: name.to_owned(),
            secret: stored.secret,
            apply: scheme.apply.clone(),
            origins,
        });
        self.service.credentials().put(key, Arc::clone(&credential));
        Ok(Some(credential))
    }
}

impl Vault for ConnectionVault {
    fn credential<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(self.find(name))
    }
}

impl fmt::Debug for ConnectionVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionVault")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// An origin as the store keeps it: bound when the secret was set, so that a later change of the configuration can't
/// lead the secret elsewhere.
pub(crate) fn origin_text(origin: &OriginPattern) -> String {
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
