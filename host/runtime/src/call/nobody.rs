//! A call about no connection: code that is only to look at what it is given.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sluice_broker::{Budget, Caller, Credential, Trace, Vault, VaultError};
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::OrgId;
use sluice_model::limits::Limits;
use tokio_util::sync::CancellationToken;

use super::Call;
use crate::load::Connector;
use crate::shelf::EmptyShelf;
use crate::snapshot::EmptySnapshot;
use crate::values::ConnectionView;

impl Call {
    /// A call of this connector about no connection, within these limits: no request leaves, nothing can be kept, there is
    /// no secret. `id` is the connector's.
    #[must_use]
    pub fn of_nobody(connector: Connector, org: OrgId, id: &str, limits: &Limits) -> Self {
        let nothing = Grant {
            limits: limits.clone(),
            ..Grant::default()
        };
        let rights = Rights::new(&nothing, &Ceiling::default(), &nothing);
        let limits = rights.limits().clone();
        Self {
            connector,
            connection: ConnectionView {
                id: String::new(),
                config: "{}".to_owned(),
                account: None,
            },
            caller: Caller {
                org,
                connection: None,
                connector: id.to_owned(),
                rights: Arc::new(rights),
                vault: Arc::new(NoVault),
                trace: Trace::default(),
                budget: Budget::new(&limits),
                rates: Vec::new(),
                app: None,
            },
            storage: Arc::new(EmptySnapshot),
            files: Arc::new(EmptyShelf),
            limits,
            cancel: CancellationToken::new(),
        }
    }
}

/// Where nothing may be asked there is no credential.
struct NoVault;

impl Vault for NoVault {
    fn credential<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}
