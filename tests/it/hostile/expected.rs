//! `fixtures/guests/expected.toml`: what the host must do with each guest, as data.

use std::collections::BTreeMap;

use serde::Deserialize;
use sluice_model::limits::Limits;

use crate::guests;

/// One guest's entry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) family: String,
    pub(super) load: Option<String>,
    #[serde(default)]
    pub(super) names: Vec<String>,
    #[serde(default)]
    pub(super) call: Export,
    pub(super) expect: Option<String>,
    #[serde(default)]
    pub(super) every: Vec<String>,
    #[serde(default)]
    pub(super) report: BTreeMap<String, String>,
    #[serde(default)]
    limits: toml::Table,
    /// By their names in a manifest.
    #[serde(default)]
    pub(super) stopped_by: Vec<String>,
    #[serde(default)]
    pub(super) logs: Vec<String>,
    #[serde(default)]
    pub(super) codes: Vec<String>,
    #[serde(default)]
    pub(super) seed: BTreeMap<String, String>,
}

/// Which export is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Export {
    Check,
    Read,
    Route,
    Handle,
    #[default]
    Act,
}

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    limits: toml::Table,
    pub(super) guest: BTreeMap<String, Expected>,
}

impl File {
    pub(super) fn read() -> Self {
        let text =
            std::fs::read_to_string(guests::directory().join("expected.toml")).expect("read expected.toml");
        toml::from_str(&text).expect("expected.toml")
    }

    /// The guests of one family.
    pub(super) fn family(&self, family: &str) -> Vec<(&String, &Expected)> {
        self.guest
            .iter()
            .filter(|(_, expected)| expected.family == family)
            .collect()
    }

    /// What the grant of this guest's install gives one call.
    pub(super) fn limits(&self, expected: &Expected) -> Limits {
        let mut limits = self.limits.clone();
        limits.extend(expected.limits.clone());
        limits.try_into().expect("limits of expected.toml")
    }
}
