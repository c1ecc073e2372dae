//! The permission page: what a person reads before he approves an install.

use std::fmt;

use serde::Serialize;

use super::Grant;
use crate::manifest::Manifest;

/// The page, as data; `Display` renders it as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PermissionPage {
    /// Lines of what it may do.
    pub may: Vec<String>,
    /// Lines of what it cannot do.
    pub cannot: Vec<String>,
}

/// Makes the page for a connector with this grant.
#[must_use]
pub fn permission_page(_manifest: &Manifest, _grant: &Grant) -> PermissionPage {
    PermissionPage {
        may: Vec::new(),
        cannot: Vec::new(),
    }
}

impl fmt::Display for PermissionPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.may {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
