//! Names to addresses. What comes out is untrusted: [`address`](crate::address) vets every one of it.

use std::fmt;
use std::net::IpAddr;

use futures_util::future::BoxFuture;
use hickory_resolver::TokioResolver;

use crate::error::{ConfigError, ResolveError};

/// More addresses than this for one name is an attack or an accident.
pub const MAX_ADDRESSES: usize = 64;

/// Where addresses come from. Two implementations: [`System`] and the tests' scripted one.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`: canonical ASCII, never an address literal. Asked only after policy has passed, bounded in
    /// time by the caller.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>>;
}

/// The system's name servers and hosts file.
pub struct System(TokioResolver);

impl System {
    /// Reads the system's configuration.
    ///
    /// # Errors
    /// [`ConfigError::Dns`] where there is none or it cannot be used.
    pub fn new() -> Result<Self, ConfigError> {
        let dns = |error: hickory_resolver::net::NetError| ConfigError::Dns(error.to_string());
        Ok(Self(
            TokioResolver::builder_tokio()
                .map_err(dns)?
                .build()
                .map_err(dns)?,
        ))
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("System")
    }
}

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(async move {
            // The final dot keeps the search list of the system out of it.
            let found = self.0.lookup_ip(format!("{host}.")).await.map_err(|error| {
                if error.is_no_records_found() {
                    ResolveError::NoAddress
                } else {
                    ResolveError::Failed(error.to_string())
                }
            })?;
            let addresses: Vec<IpAddr> = found.iter().take(MAX_ADDRESSES + 1).collect();
            if addresses.len() > MAX_ADDRESSES {
                return Err(ResolveError::TooMany(MAX_ADDRESSES));
            }
            Ok(addresses)
        })
    }
}
