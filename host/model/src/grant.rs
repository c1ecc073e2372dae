//! Grants: the approved set of capabilities, and the effective right as request ∩ ceiling ∩ grant.
//!
//! Who is involved: the publisher asks (the manifest's `capabilities`), the operator bounds (the [`Ceiling`]), the
//! organization approves (the install's [`Grant`]). What must always hold: a request goes out only if all three permit
//! it, and no limit is above the least of the three. Deliberately absent: intersecting patterns. All three sets are kept
//! and each is asked, so that the answer is exact and a denial can say who would have to change his mind.

mod diff;
mod page;
mod rights;
mod units;

use serde::{Deserialize, Serialize};

use crate::capability::EgressRule;
use crate::limits::Limits;

pub use diff::{GrantDiff, diff};
pub use page::{CredentialLine, HookLine, LinkLine, PermissionPage, RequestLine, permission_page};
pub use rights::{Denial, Rights};

/// A set of capabilities: what a manifest asks for, and what an install was given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The requests; one rule is enough to permit one.
    #[serde(default)]
    pub egress: Vec<EgressRule>,
    /// Bytes of key-value storage for one connection, keys included.
    #[serde(default)]
    pub storage_bytes: u64,
    /// Bytes of scratch files for one call.
    #[serde(default)]
    pub scratch_bytes: u64,
    /// What one call may use.
    #[serde(default)]
    pub limits: Limits,
}

impl Grant {
    /// The same without the optional rules: what an install gets where nobody switched any on.
    #[must_use]
    pub fn without_optional(&self) -> Self {
        let mut grant = self.clone();
        grant.egress.retain(|rule| !rule.optional);
        grant
    }
}

/// The operator's bound on every install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceiling {
    /// The requests that may be granted at all; `None` bounds nothing.
    pub egress: Option<Vec<EgressRule>>,
    /// Most bytes of storage for one connection; `None` bounds nothing.
    pub storage_bytes: Option<u64>,
    /// Most bytes of scratch files for one call; `None` bounds nothing.
    pub scratch_bytes: Option<u64>,
    /// Most of everything that one call may use.
    pub limits: Limits,
}

/// No ceiling but the hard limits.
impl Default for Ceiling {
    fn default() -> Self {
        Self {
            egress: None,
            storage_bytes: None,
            scratch_bytes: None,
            limits: Limits::HARD_MAX,
        }
    }
}
