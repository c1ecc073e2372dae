//! The effective right of an install or connection.

use std::fmt;

use serde_json::Value;

use super::{Ceiling, Grant};
use crate::capability::{EgressRule, PatternError, Target, is_plain};
use crate::limits::Limits;

/// Request ∩ ceiling ∩ grant. All three are kept: a request is permitted when each of them permits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    request: Vec<EgressRule>,
    ceiling: Option<Vec<EgressRule>>,
    grant: Vec<EgressRule>,
    limits: Limits,
    storage_bytes: u64,
    scratch_bytes: u64,
}

impl Rights {
    /// What remains when all three are held against each other.
    #[must_use]
    pub fn new(request: &Grant, ceiling: &Ceiling, grant: &Grant) -> Self {
        let least =
            |asked: u64, most: Option<u64>, given: u64| asked.min(most.unwrap_or(u64::MAX)).min(given);
        Self {
            request: request.egress.clone(),
            ceiling: ceiling.egress.clone(),
            grant: grant.egress.clone(),
            limits: request.limits.min(&ceiling.limits).min(&grant.limits),
            storage_bytes: least(request.storage_bytes, ceiling.storage_bytes, grant.storage_bytes),
            scratch_bytes: least(request.scratch_bytes, ceiling.scratch_bytes, grant.scratch_bytes),
        }
    }

    /// Whether the request may go out. Allocates nothing when it may.
    ///
    /// # Errors
    ///
    /// When it may not: which of the three does not have it.
    pub fn permits(&self, target: &Target<'_>) -> Result<(), Denial> {
        let plain = is_plain(target.path);
        let any = |rules: &[EgressRule]| plain && rules.iter().any(|rule| rule.permits_plain(target));
        let by = if !any(&self.request) {
            DeniedBy::Request
        } else if self.ceiling.as_deref().is_some_and(|rules| !any(rules)) {
            DeniedBy::Ceiling
        } else if !any(&self.grant) {
            DeniedBy::Grant
        } else {
            return Ok(());
        };
        Err(Denial::new(by, target))
    }

    /// What one call may use: the least of the three, field by field.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes of key-value storage for one connection.
    #[must_use]
    pub const fn storage_bytes(&self) -> u64 {
        self.storage_bytes
    }

    /// Bytes of scratch files for one call.
    #[must_use]
    pub const fn scratch_bytes(&self) -> u64 {
        self.scratch_bytes
    }

    /// The rights of one connection: `${config.key}` filled in from its configuration, in all three sets.
    ///
    /// # Errors
    ///
    /// When a configured value is missing or is not a host.
    pub fn expand(&self, config: &Value) -> Result<Self, PatternError> {
        let all = |rules: &[EgressRule]| {
            rules
                .iter()
                .map(|rule| rule.expand(config))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            request: all(&self.request)?,
            ceiling: self.ceiling.as_deref().map(all).transpose()?,
            grant: all(&self.grant)?,
            ..self.clone()
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeniedBy {
    Request,
    Ceiling,
    Grant,
}

/// A request that may not go out, and which grant is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    by: DeniedBy,
    missing: String,
}

impl Denial {
    /// Every code that [`Denial::code`] can give.
    pub const CODES: &[&str] = &["egress.denied"];

    fn new(by: DeniedBy, target: &Target<'_>) -> Self {
        let missing = target
            .to_string()
            .chars()
            .take(400)
            .flat_map(|c| c.escape_debug())
            .collect();
        Self { by, missing }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "egress.denied"
    }

    /// The grant that is missing, as the permission page would say it: `GET https://api.github.com/user`.
    #[must_use]
    pub fn missing(&self) -> &str {
        &self.missing
    }

    /// Who has to do what.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self.by {
            DeniedBy::Request => "the connector's manifest does not ask for it: its author has to add it to capabilities.egress",
            DeniedBy::Ceiling => "the operator's ceiling excludes it: widen the ceiling in the server's configuration",
            DeniedBy::Grant => "the install was not given it: approve the permission for this install",
        }.to_owned())
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            DeniedBy::Request => "the connector's manifest does not ask for it",
            DeniedBy::Ceiling => "the operator's ceiling excludes it",
            DeniedBy::Grant => "the install's grant does not have it",
        };
        write!(f, "missing grant: `{}`: {by}", self.missing)
    }
}

impl std::error::Error for Denial {}
