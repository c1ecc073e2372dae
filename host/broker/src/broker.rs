//! The road out.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use sluice_model::capability::Target;
use sluice_model::clock::Clock;
use sluice_model::grant::{Denial, Rights};

use crate::caller::Caller;
use crate::config::Config;
use crate::error::{ConfigError, Error};
use crate::place::Place;
use crate::request::Request;
use crate::resolve::Resolve;
use crate::response::Response;

/// The only road out of the process. Clones share everything.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

struct Shared {
    _config: Config,
    _resolver: Arc<dyn Resolve>,
    _clock: Arc<dyn Clock>,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broker")
    }
}

impl Broker {
    /// Builds it; opens nothing.
    ///
    /// # Errors
    /// When a certificate authority or TLS itself is unusable.
    pub fn new(
        config: Config,
        resolver: Arc<dyn Resolve>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            shared: Arc::new(Shared {
                _config: config,
                _resolver: resolver,
                _clock: clock,
            }),
        })
    }

    /// Says which listeners are ours, once they are bound.
    pub fn set_own(&self, own: Vec<SocketAddr>) {
        let _ = (own, &self.shared);
    }

    /// Whether `rights` permit `target`: the whole of policy, without allocation when it does.
    ///
    /// # Errors
    /// The missing grant.
    pub fn check(rights: &Rights, target: &Target<'_>) -> Result<(), Denial> {
        rights.permits(target)
    }

    /// Sends one request and returns when the head of the response is there.
    ///
    /// # Errors
    /// One variant for everything that can happen, see [`Error`].
    pub async fn send(&self, caller: &Caller, request: Request) -> Result<Response, Error> {
        let place = Place::parse(&request.url).map_err(|error| Error::BadRequest {
            reason: error.to_string(),
        })?;
        Self::check(&caller.rights, &place.target(&request.method)).map_err(|denial| Error::Denied {
            missing: denial.to_string(),
        })?;
        Err(Error::Unreachable {
            host: place.host().to_owned(),
            reason: "not connected yet".into(),
        })
    }
}
