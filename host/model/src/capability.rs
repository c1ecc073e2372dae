//! Egress capabilities: what a connector may reach, as patterns over scheme, host, port, method and path.
//!
//! Two questions are decided here and nowhere else: whether a rule *permits* a request, and whether one rule *covers*
//! another (everything the other permits, it permits too). Grants, ceilings and upgrade diffs rest on the second.
//!
//! Who is involved: the manifest and the operator's configuration write patterns, the broker asks [`EgressRule::permits`]
//! for every request and every redirect. What must always hold: deciding allocates nothing and takes time linear in the
//! path for every pattern that parses; `covers` errs on the side of "no". Deliberately absent: addresses. What a name
//! resolves to is vetted by the broker, after and besides these rules.

mod host;
mod method;
mod path;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use host::{HostPattern, PatternError};
pub(crate) use host::{split_port, write_authority};
pub use method::MethodSet;
pub use path::PathPattern;
pub(crate) use path::is_plain;

/// A scheme that may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Clear text; only where an operator opened it.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// The scheme of this name, in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    /// The name, as URLs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that URLs of this scheme mean when they name none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One request as policy sees it: borrowed from the parsed URL that also goes on the wire, so that nothing is parsed
/// twice. `host` is the canonical ASCII form in lower case without a trailing dot, or an address literal without brackets;
/// `path` is percent-normalised by the URL parser, begins with `/` and has no query.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The URL's scheme.
    pub scheme: Scheme,
    /// Canonical host, see above.
    pub host: &'a str,
    /// The port that is dialled.
    pub port: u16,
    /// The method, in the case it is sent in.
    pub method: &'a str,
    /// Path without query.
    pub path: &'a str,
}

impl Target<'_> {
    /// Whether every server reads the path as policy does. A path with dot or empty segments, backslashes, control
    /// characters, or encoded slashes or dots is never permitted, whatever the patterns.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        is_plain(self.path)
    }
}

/// Prints it as a person would write it: `GET https://api.github.com/user`.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://", self.method, self.scheme)?;
        write_authority(f, self.host, self.port, self.scheme)?;
        f.write_str(self.path)
    }
}

/// One kind of request that is asked for or approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressRule {
    /// Exact.
    pub scheme: Scheme,
    /// The hosts.
    pub host: HostPattern,
    /// Exact.
    pub port: u16,
    /// The methods; never empty when it was parsed.
    pub methods: MethodSet,
    /// The paths.
    pub path: PathPattern,
    /// Off until somebody switches it on.
    #[serde(default)]
    pub optional: bool,
    /// Why, in the publisher's words: a claim, not a fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl EgressRule {
    /// Whether the request is one of those that this rule means. Allocates nothing.
    #[must_use]
    pub fn permits(&self, target: &Target<'_>) -> bool {
        is_plain(target.path) && self.permits_plain(target)
    }

    /// [`permits`](Self::permits) for a target whose path [`is_plain`]: a set of rules reads the path once.
    pub(crate) fn permits_plain(&self, target: &Target<'_>) -> bool {
        self.scheme == target.scheme
            && self.port == target.port
            && self.methods.contains(target.method)
            && self.host.matches(target.host)
            && self.path.matches_plain(target.path)
    }

    /// Whether everything that `other` permits is permitted by this rule as well. Sound, and complete for the patterns
    /// that can be written except where a pattern has no bounded answer; when in doubt it says no. The reason and
    /// whether a rule is optional do not matter.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.methods.covers(other.methods)
            && self.host.covers(&other.host)
            && self.path.covers(&other.path)
    }

    /// Fills `${config.key}` in from a connection's configuration: a plain host name, an address, or either with a port
    /// (which then replaces the rule's). Rules without a placeholder stay as they are.
    ///
    /// # Errors
    ///
    /// When the key is missing, not a text, or not a host: the configuration is wrong.
    pub fn expand(&self, config: &serde_json::Value) -> Result<Self, PatternError> {
        let (host, port) = self.host.expand(config)?;
        Ok(Self {
            host,
            port: port.unwrap_or(self.port),
            ..self.clone()
        })
    }
}

/// Prints it as the permission page says it: `GET, POST https://api.github.com/repos/**`.
impl fmt::Display for EgressRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_origin(f)?;
        fmt::Display::fmt(&self.path, f)
    }
}

impl EgressRule {
    /// The rule without its path: `GET, POST https://api.github.com`.
    #[must_use]
    pub fn origin_text(&self) -> String {
        struct Origin<'a>(&'a EgressRule);
        impl fmt::Display for Origin<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write_origin(f)
            }
        }
        Origin(self).to_string()
    }

    fn write_origin(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://", self.methods, self.scheme)?;
        write_authority(f, &self.host, self.port, self.scheme)
    }
}

#[cfg(test)]
mod tests;
