//! Grants: the approved set of capabilities, and the effective right as request ∩ ceiling ∩ grant.
//!
//! Who is involved: the publisher asks (the manifest's `capabilities`), the operator bounds (the [`Ceiling`]), the
//! organization approves (the install's [`Grant`]). What must always hold: a request goes out only if all three permit
//! it, and no limit is above the least of the three. Deliberately absent: intersecting patterns. All three sets are kept
//! and each is asked, so that the answer is exact and a denial can say who would have to change his mind.

mod advice;
mod diff;
mod page;
mod rights;
mod units;
mod watch;

use serde::{Deserialize, Serialize};

use crate::capability::EgressRule;
use crate::limits::Limits;

pub use advice::{Advice, advise};
pub use diff::{Approved, GrantDiff, diff};
pub use page::{CredentialLine, HookLine, LinkLine, PermissionPage, RequestLine, permission_page};
pub use rights::{Denial, Rights};
pub use watch::{Used, Watch};

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
    /// Bytes of kept files for one connection, as [`charge`](crate::file::charge) counts them.
    #[serde(default)]
    pub files_bytes: u64,
    /// Bytes of one kept file.
    #[serde(default)]
    pub file_bytes: u64,
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

impl Grant {
    /// What a later version of a connector is given that asks for this: all that is not optional, but not what was withdrawn from
    /// the version before, and what of the optional was switched on there. `asked` is what the version before asked for, and
    /// `had` what it had of that.
    #[must_use]
    pub fn carried(&self, asked: &Self, had: &Self) -> Self {
        let mut grant = Self {
            egress: Vec::new(),
            ..self.clone()
        };
        for rule in &self.egress {
            let known = diff::covered(rule, &asked.egress);
            if diff::covered(rule, &had.egress) || (!rule.optional && !known) {
                grant.egress.push(rule.clone());
            } else if known {
                // What of it was left, or switched on.
                let left = had.egress.iter().filter(|own| rule.covers(own));
                grant.egress.extend(left.cloned());
            }
        }
        let cut = |new: u64, asked: u64, had: u64| if had < asked { new.min(had) } else { new };
        grant.storage_bytes = cut(self.storage_bytes, asked.storage_bytes, had.storage_bytes);
        grant.scratch_bytes = cut(self.scratch_bytes, asked.scratch_bytes, had.scratch_bytes);
        grant.files_bytes = cut(self.files_bytes, asked.files_bytes, had.files_bytes);
        grant.file_bytes = cut(self.file_bytes, asked.file_bytes, had.file_bytes);
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
    /// Most bytes of kept files for one connection; `None` bounds nothing.
    pub files_bytes: Option<u64>,
    /// Most bytes of one kept file; `None` bounds nothing.
    pub file_bytes: Option<u64>,
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
            files_bytes: None,
            file_bytes: None,
            limits: Limits::HARD_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    fn lines(grant: &Grant) -> Vec<String> {
        grant.egress.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_later_version_is_not_given_back_what_was_withdrawn() {
        let asked = Manifest::parse(include_str!("../tests/connector.toml"))
            .unwrap()
            .capabilities;
        let plain = asked.without_optional();
        assert_eq!(
            asked.carried(&asked, &plain),
            plain,
            "nothing was changed by hand"
        );
        assert_eq!(
            asked.carried(&asked, &asked),
            asked,
            "what was switched on stays on"
        );
        let mut had = plain.clone();
        had.egress.retain(|rule| rule.path.to_string() != "/user");
        had.storage_bytes = 10;
        let carried = asked.carried(&asked, &had);
        assert_eq!((lines(&carried), carried.storage_bytes), (lines(&had), 10));
        // What was never asked for before is asked for now: whether it is given is looked at then.
        let mut more = asked.clone();
        let mut new = plain.egress.first().unwrap().clone();
        new.path = crate::capability::PathPattern::parse("/orgs/**").unwrap();
        more.egress.push(new);
        let carried = more.carried(&asked, &had);
        assert_eq!(
            lines(&carried).last().unwrap(),
            "GET https://api.acme.example/orgs/**"
        );
        assert!(!lines(&carried).contains(&"GET https://api.acme.example/user".to_owned()));
    }
}
