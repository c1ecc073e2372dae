//! The origins that a credential is bound to.

use std::fmt;

use serde_json::Value;

use crate::capability::{self, HostPattern, PatternError, Scheme, Target};

/// Scheme, hosts and port, e.g. `https://api.github.com`: a credential goes nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginPattern {
    /// Exact.
    pub scheme: Scheme,
    /// The hosts.
    pub host: HostPattern,
    /// Exact.
    pub port: u16,
}

impl OriginPattern {
    /// Reads `https://api.github.com`, `https://*.x.com:8443` or `https://${config.host}`.
    ///
    /// # Errors
    ///
    /// When it has another scheme, a path, or a host that is no pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let split = text
            .split_once("://")
            .and_then(|(scheme, rest)| Some((Scheme::parse(scheme)?, rest)));
        let (scheme, rest) =
            split.ok_or_else(|| PatternError::new(text, "does not begin with `https://` or `http://`"))?;
        let (host, port) = capability::split_port(rest)?;
        Ok(Self {
            scheme,
            host: HostPattern::parse(host)?,
            port: port.unwrap_or(scheme.default_port()),
        })
    }

    /// Whether the request goes to one of these origins. Allocates nothing.
    #[must_use]
    pub fn permits(&self, target: &Target<'_>) -> bool {
        self.scheme == target.scheme && self.port == target.port && self.host.matches(target.host)
    }

    /// Whether every origin of `other` is one of these; in doubt it says no.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.port == other.port && self.host.covers(&other.host)
    }

    /// Fills `${config.key}` in, like [`capability::EgressRule::expand`].
    ///
    /// # Errors
    ///
    /// When the configured value is missing or is not a host.
    pub fn expand(&self, config: &Value) -> Result<Self, PatternError> {
        let (host, port) = self.host.expand(config)?;
        Ok(Self {
            scheme: self.scheme,
            host,
            port: port.unwrap_or(self.port),
        })
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        capability::write_authority(f, &self.host, self.port, self.scheme)
    }
}
