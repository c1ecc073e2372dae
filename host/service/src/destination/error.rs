//! Why something can't be done with a destination or a load.

use crate::{catalogue, connection};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no destination `{0}`")]
    Missing(String),
    #[error("`{connection}` is not loaded into `{destination}`")]
    NoLoad { connection: String, destination: String },
    #[error("the name has to be 1 to 80 characters without control characters, and no id")]
    Name,
    #[error("a destination stays the kind of place that it is")]
    Kind,
    #[error("its secret has no part `{part}`; it has {offered}")]
    Part { part: String, offered: String },
    #[error("the secret's part `{0}` is missing")]
    Parts(String),
    #[error("a part of the secret is empty, too long, or has control characters")]
    Secret,
    /// Two connections' records under one name would overwrite each other.
    #[error("`{connection}` is loaded into tables with the prefix `{prefix}` there already")]
    Prefix { connection: String, prefix: String },
    #[error("{0}")]
    LoadSettings(&'static str),
    #[error("the connector has no stream `{0}`")]
    Stream(String),
    #[error(transparent)]
    Place(#[from] sluice_destination::Error),
    #[error(transparent)]
    Settings(#[from] sluice_destination::SettingsError),
    #[error(transparent)]
    Connection(#[from] connection::Error),
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "destination.not_found",
        "destination.no_load",
        "destination.name",
        "destination.kind",
        "destination.secret",
        "destination.prefix",
        "destination.load",
        "sync.stream",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "destination.not_found",
            Self::NoLoad { .. } => "destination.no_load",
            Self::Name => "destination.name",
            Self::Kind => "destination.kind",
            Self::Part { .. } | Self::Parts(_) | Self::Secret => "destination.secret",
            Self::Prefix { .. } => "destination.prefix",
            Self::LoadSettings(_) => "destination.load",
            Self::Stream(_) => "sync.stream",
            Self::Place(error) => error.code(),
            Self::Settings(error) => error.code(),
            Self::Connection(error) => error.code(),
            Self::Catalogue(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Place(error) => error.hint(),
            Self::Settings(error) => error.hint(),
            Self::Connection(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Prefix { .. } => Some("name another prefix, `crm_` say".to_owned()),
            Self::Kind => Some("create another destination".to_owned()),
            _ => None,
        }
    }
}
