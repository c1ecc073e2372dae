//! What every step of a flow stands on: the connection, its scheme's recipe, the app and the parts that are there.

use std::sync::Arc;

use sluice_model::auth::{OAuth2, Obtain, TemplateError};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::AuthScheme;
use sluice_store::credential::Life;

use super::app::{self, Known as Filled};
use super::exchange::Asker;
use super::{Bundle, Error};
use crate::catalogue::{self, Known};
use crate::connection::{self, Connection};
use crate::{Service, vault};

/// A connection on its way to a credential, read once for one step.
pub(super) struct Flow {
    pub(super) service: Service,
    pub(super) org: OrgId,
    pub(super) connection: Connection,
    pub(super) known: Arc<Known>,
    pub(super) scheme: AuthScheme,
    pub(super) app: Bundle,
    /// What is kept for the scheme now: what a person gave, and tokens.
    pub(super) kept: Bundle,
    /// 0: nothing is kept.
    pub(super) version: u32,
    pub(super) life: Life,
    /// Where what is kept may go.
    bound: Vec<String>,
}

impl Flow {
    pub(super) async fn read(
        service: &Service,
        org: OrgId,
        id: ConnectionId,
        scheme: Option<&str>,
    ) -> Result<Self, Error> {
        let connection = connection::get(service, org, &id.to_string()).await?;
        let known = catalogue::known(service, org, connection.install).await?;
        let wanted = scheme.map(str::to_owned).or_else(|| connection.auth.clone());
        let name = connection::choose_scheme(&known.manifest, wanted)?;
        let scheme = name
            .as_deref()
            .and_then(|name| known.manifest.auth(name))
            .cloned();
        let scheme = scheme.ok_or_else(|| Error::NoFlow("(none)".to_owned()))?;
        let app = if scheme.app.is_empty() {
            Bundle::default()
        } else {
            app::load(service, org, &known.manifest.id, &scheme).await?
        };
        let stored = service.store().get_credential(org, id, &scheme.name).await?;
        let (kept, version, life, bound) = match stored {
            Some(stored) => {
                let kept = Bundle::read(&stored.secret).unwrap_or_default();
                (kept, stored.version, stored.life, stored.origins)
            }
            None => (Bundle::default(), 0, Life::default(), Vec::new()),
        };
        Ok(Self {
            service: service.clone(),
            org,
            connection,
            known,
            scheme,
            app,
            kept,
            version,
            life,
            bound,
        })
    }

    pub(super) fn oauth2(&self) -> Result<&OAuth2, Error> {
        match &self.scheme.obtain {
            Obtain::OAuth2(recipe) => Ok(recipe),
            _ => Err(Error::NoFlow(self.scheme.name.clone())),
        }
    }

    pub(super) fn asker(&self) -> Result<Asker, Error> {
        let reach = self.scheme.reach(&self.connection.config);
        let reach = reach.map_err(|error| TemplateError::Unfit(error.to_string()))?;
        Ok(Asker {
            org: self.org,
            connection: self.connection.id,
            connector: self.known.manifest.id.clone(),
            reach,
        })
    }

    /// What templates are filled with here.
    pub(super) fn values<'a>(&'a self, own: &'a [(&'a str, &'a str)]) -> Filled<'a> {
        Filled {
            config: &self.connection.config,
            app: &self.app,
            given: &self.kept,
            own,
        }
    }

    /// The parts that a person has to give and has not given.
    pub(super) fn need_given(&self) -> Result<(), Error> {
        let missing: Vec<_> = self
            .scheme
            .parts
            .iter()
            .filter(|part| !part.optional && self.kept.get(&part.name).is_none())
            .map(|part| format!("`{}`", part.name))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Error::Parts(missing.join(", ")))
        }
    }

    /// Where the next version of what is kept may go.
    pub(super) fn rebound(&self) -> Result<Vec<String>, Error> {
        let config = &self.connection.config;
        if self.version == 0 {
            return self.origins(config);
        }
        Ok(vault::rebound(&self.scheme, config, &self.bound)?)
    }

    /// Where the credential may go, for this configuration.
    pub(super) fn origins(&self, config: &serde_json::Value) -> Result<Vec<String>, Error> {
        Ok(vault::origins(&self.scheme, config)?)
    }
}
