//! The one credential of a rehearsal. Where a cassette answers it is made up, and still put on every request.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;
use sluice_broker::credential::OWN;
use sluice_broker::{Apply, Credential, Origin, Vault, VaultError};
use sluice_model::auth::{Obtain, SECRET};
use sluice_model::manifest::AuthScheme;
use sluice_model::secret::Secret;

use crate::error::Error;

/// The parts of a credential, by name; a scheme with one calls it `secret`.
pub type Given = BTreeMap<String, Secret>;

/// What stands for a credential where nobody asks for a real one.
const MADE_UP: &[u8] = b"made-up-for-a-cassette";

/// The credential of a rehearsal.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    own: Option<Arc<Credential>>,
    origins: Vec<Origin>,
}

impl Purse {
    /// A made-up credential of this scheme.
    pub(crate) fn made_up(scheme: Option<&AuthScheme>, config: &Value) -> Result<Self, Error> {
        let Some(scheme) = scheme else {
            return Ok(Self::default());
        };
        let origins = origins(scheme, config)?;
        let secret = Secret::new(MADE_UP.to_vec());
        let mut credential = Credential::new(&*scheme.name, secret.clone(), Apply::Bearer, origins.clone());
        let parts = scheme.parts.iter().filter(|part| part.name != SECRET);
        credential
            .parts
            .extend(parts.map(|part| (part.name.clone(), secret.clone())));
        Ok(Self {
            own: Some(Arc::new(credential)),
            origins,
        })
    }

    /// The credential that somebody gave.
    pub(crate) fn given(scheme: Option<&AuthScheme>, config: &Value, given: &Given) -> Result<Self, Error> {
        let Some(scheme) = scheme else {
            return Ok(Self::default());
        };
        let lacks = |what: &str| Error::Secret {
            scheme: scheme.name.clone(),
            lacks: what.to_owned(),
        };
        if matches!(scheme.obtain, Obtain::OAuth1(_)) {
            return Err(lacks(
                "is signed with an app's keys (OAuth 1.0a), which a recording has none of",
            ));
        }
        let mut given = given.clone();
        if let (Apply::Basic { username: None }, Some(user), Some(password)) =
            (&scheme.apply, given.get("user"), given.get("password"))
        {
            let pair = [user.expose(), b":", password.expose()].concat();
            given.insert(SECRET.to_owned(), Secret::new(pair));
        }
        // The token that a flow brings is what goes on a request.
        if let Some(access) = given.remove("access_token") {
            given.entry(SECRET.to_owned()).or_insert(access);
        }
        if given.is_empty() {
            return Err(lacks("was not given"));
        }
        let origins = origins(scheme, config)?;
        let credential = Credential {
            name: scheme.name.clone(),
            parts: given.into_iter().collect(),
            apply: scheme
                .apply
                .expand(config)
                .map_err(|error| Error::Config(error.to_string()))?,
            origins: origins.clone(),
            renewal: None,
            version: 0,
        };
        if !credential.is_whole() {
            let parts: Vec<_> = scheme.parts.iter().map(|part| part.name.as_str()).collect();
            return Err(lacks(&format!("lacks a part; it has {}", parts.join(", "))));
        }
        Ok(Self {
            own: Some(Arc::new(credential)),
            origins,
        })
    }

    fn find(&self, name: &str) -> Option<Arc<Credential>> {
        let own = self.own.as_ref()?;
        if name == OWN || name == own.name {
            return Some(Arc::clone(own));
        }
        let part = name.strip_prefix(own.name.as_str())?.strip_prefix('.')?;
        let (_, secret) = own.parts.iter().find(|(known, _)| known == part)?;
        let credential = Credential::new(name, secret.clone(), Apply::Bearer, self.origins.clone());
        Some(Arc::new(credential))
    }
}

impl Vault for Purse {
    fn credential<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(std::future::ready(Ok(self.find(name))))
    }
}

fn origins(scheme: &AuthScheme, config: &Value) -> Result<Vec<Origin>, Error> {
    let of = |error: sluice_model::capability::PatternError| Error::Config(error.to_string());
    let origins = scheme.origins.iter().map(|pattern| {
        let filled = pattern.expand(config).map_err(of)?;
        Ok(Origin {
            scheme: filled.scheme,
            host: filled.host,
            port: filled.port,
        })
    });
    origins.collect()
}
