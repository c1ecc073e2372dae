//! Why settings are not taken.

/// What is wrong with the rules of a stream, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The settings are not of the form that rules have.
    #[error("{at}: {reason}")]
    Settings {
        /// A JSON pointer into the settings.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// A field is named wrongly.
    #[error("{at}: {reason}")]
    Field {
        /// A JSON pointer into the settings.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// A filter does not say one thing.
    #[error("{at}: {reason}")]
    Filter {
        /// A JSON pointer into the settings.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// A step does not say one thing.
    #[error("{at}: {reason}")]
    Step {
        /// A JSON pointer into the settings.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// A regular expression is wrong or too big.
    #[error("{at}: {reason}")]
    Pattern {
        /// A JSON pointer into the settings.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// A jq program is wrong, or uses what programs here may not use.
    #[error("{at}: {reason}")]
    Program {
        /// A JSON pointer into the settings.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// There is too much of something.
    #[error("{at}: {reason}")]
    TooMuch {
        /// A JSON pointer into the settings.
        at: String,
        /// What is too much.
        reason: String,
    },
}

impl RuleError {
    /// All codes of this family.
    pub const CODES: &'static [&'static str] = &[
        "mapping.settings",
        "mapping.field",
        "mapping.filter",
        "mapping.step",
        "mapping.pattern",
        "mapping.program",
        "mapping.too_much",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "mapping.settings",
            Self::Field { .. } => "mapping.field",
            Self::Filter { .. } => "mapping.filter",
            Self::Step { .. } => "mapping.step",
            Self::Pattern { .. } => "mapping.pattern",
            Self::Program { .. } => "mapping.program",
            Self::TooMuch { .. } => "mapping.too_much",
        }
    }

    /// Where in the settings, as a JSON pointer.
    #[must_use]
    pub fn at(&self) -> &str {
        match self {
            Self::Settings { at, .. }
            | Self::Field { at, .. }
            | Self::Filter { at, .. }
            | Self::Step { at, .. }
            | Self::Pattern { at, .. }
            | Self::Program { at, .. }
            | Self::TooMuch { at, .. } => at,
        }
    }

    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Settings { .. } | Self::Filter { .. } | Self::Step { .. } => {
                "docs/operator/mapping.md shows each form with an example"
            }
            Self::Field { .. } => "write a name, or a pointer such as /address/city",
            Self::Pattern { .. } => {
                "write a shorter expression; there are no look-arounds and no back references"
            }
            Self::Program { .. } => "docs/operator/mapping.md lists what jq programs may use",
            Self::TooMuch { .. } => "say the same with less",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_listed() {
        let (at, reason) = (String::from("/map/0"), String::from("no"));
        let all = [
            RuleError::Settings {
                at: at.clone(),
                reason: reason.clone(),
            },
            RuleError::Field {
                at: at.clone(),
                reason: reason.clone(),
            },
            RuleError::Filter {
                at: at.clone(),
                reason: reason.clone(),
            },
            RuleError::Step {
                at: at.clone(),
                reason: reason.clone(),
            },
            RuleError::Pattern {
                at: at.clone(),
                reason: reason.clone(),
            },
            RuleError::Program {
                at: at.clone(),
                reason: reason.clone(),
            },
            RuleError::TooMuch { at, reason },
        ];
        let codes: Vec<_> = all.iter().map(RuleError::code).collect();
        assert_eq!(codes, RuleError::CODES);
        assert!(
            all.iter()
                .all(|error| error.at() == "/map/0" && !error.hint().is_empty())
        );
    }
}
