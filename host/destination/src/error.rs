//! What can go wrong on the way to a destination. No variant carries a password or a record's value.

use sluice_broker::Error as BrokerError;

use crate::settings::SettingsError;

/// Why a destination was not opened, checked or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings are not settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Nobody answers there.
    #[error("reach the destination")]
    Unreachable(#[source] BrokerError),
    /// The network policy does not let us go there.
    #[error("go to the destination")]
    Refused(#[source] BrokerError),
    /// The server has no TLS, or its certificate is not acceptable.
    #[error("speak TLS with the destination")]
    Tls(#[source] BrokerError),
    /// Who we say we are is not believed.
    #[error("sign in: {0}")]
    Auth(String),
    /// We are believed, and may not do it.
    #[error("write there: {0}")]
    Denied(String),
    /// What the settings name does not exist.
    #[error("find {0}")]
    Missing(String),
    /// There is no space.
    #[error("find space for the records: {0}")]
    Full(String),
    /// It has too much to do, or something else holds what we need.
    #[error("get a turn: {0}")]
    Busy(String),
    /// The connection ended, and what it did last is not known. A repeat finds out.
    #[error("hear the outcome: {0}")]
    Lost(String),
    /// What is there is somebody else's, or does not take our rows.
    #[error("use what is there: {0}")]
    Conflict(String),
    /// The destination has only what came up to `has`: it was put back to an earlier state, or its table is gone.
    #[error("go on behind position {after}: the destination ends at {has}")]
    Behind { has: u64, after: u64 },
    /// It answers what nobody expected.
    #[error("understand the destination: {0}")]
    Unfit(String),
    /// The batch itself is none.
    #[error("take the batch: {0}")]
    Batch(String),
}

impl Error {
    /// The codes that [`Error::code`] can give.
    pub const CODES: &[&str] = &[
        "destination.settings",
        "destination.unreachable",
        "destination.refused",
        "destination.tls",
        "destination.auth",
        "destination.denied",
        "destination.missing",
        "destination.full",
        "destination.busy",
        "destination.lost",
        "destination.conflict",
        "destination.behind",
        "destination.unfit",
        "destination.batch",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Settings(error) => error.code(),
            Self::Unreachable(_) => "destination.unreachable",
            Self::Refused(_) => "destination.refused",
            Self::Tls(_) => "destination.tls",
            Self::Auth(_) => "destination.auth",
            Self::Denied(_) => "destination.denied",
            Self::Missing(_) => "destination.missing",
            Self::Full(_) => "destination.full",
            Self::Busy(_) => "destination.busy",
            Self::Lost(_) => "destination.lost",
            Self::Conflict(_) => "destination.conflict",
            Self::Behind { .. } => "destination.behind",
            Self::Unfit(_) => "destination.unfit",
            Self::Batch(_) => "destination.batch",
        }
    }

    /// What the person who has to act can do, where a person must act.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Settings(error) => return error.hint(),
            Self::Refused(cause) | Self::Tls(cause) => return cause.hint(),
            Self::Auth(_) => "set the user and the password, or the key, of the destination anew",
            Self::Denied(_) => "grant the destination's user the right to create and write there",
            Self::Missing(_) => "create it, or name another in the destination's settings",
            Self::Full(_) => "make space at the destination; nothing is lost meanwhile",
            Self::Conflict(_) => "rename or drop what is there, or name another table",
            Self::Unfit(_) => "look at the message; another version or setting of the server may be needed",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether the same load may succeed later without anybody acting. [`Behind`](Self::Behind) does, from the position
    /// that it names.
    #[must_use]
    pub const fn passes(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Full(_) | Self::Busy(_) | Self::Lost(_) | Self::Behind { .. } => {
                true
            }
            Self::Settings(_)
            | Self::Refused(_)
            | Self::Tls(_)
            | Self::Auth(_)
            | Self::Denied(_)
            | Self::Missing(_)
            | Self::Conflict(_)
            | Self::Unfit(_)
            | Self::Batch(_) => false,
        }
    }
}

impl From<BrokerError> for Error {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Denied { .. }
            | BrokerError::DeniedAddress { .. }
            | BrokerError::DeniedSelf { .. }
            | BrokerError::RedirectDenied { .. }
            | BrokerError::BadRequest { .. }
            | BrokerError::Budget { .. } => Self::Refused(error),
            BrokerError::Tls { .. } => Self::Tls(error),
            BrokerError::OriginMismatch { .. } | BrokerError::NoCredential { .. } | BrokerError::Vault(_) => {
                Self::Auth(error.to_string())
            }
            _ => Self::Unreachable(error),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let text = error.to_string();
        // A link where a directory has to be; its kind has no stable name yet.
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return Self::Conflict(text);
        }
        match error.kind() {
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::Denied(text),
            Kind::NotFound => Self::Missing(text),
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Self::Full(text),
            Kind::NotADirectory | Kind::IsADirectory | Kind::AlreadyExists => Self::Conflict(text),
            Kind::ResourceBusy | Kind::Interrupted | Kind::WouldBlock => Self::Busy(text),
            _ => Self::Unfit(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_listed() {
        let text = || "x".to_owned();
        let broker = || BrokerError::Truncated { host: text() };
        let all = [
            Error::Settings(SettingsError::new("/host", "x")),
            Error::Unreachable(broker()),
            Error::Refused(broker()),
            Error::Tls(broker()),
            Error::Auth(text()),
            Error::Denied(text()),
            Error::Missing(text()),
            Error::Full(text()),
            Error::Busy(text()),
            Error::Lost(text()),
            Error::Conflict(text()),
            Error::Behind { has: 1, after: 2 },
            Error::Unfit(text()),
            Error::Batch(text()),
        ];
        let codes: Vec<_> = all.iter().map(Error::code).collect();
        assert_eq!(codes, Error::CODES);
        // Who has to act is told what to do; what passes and asks nobody has nothing to say.
        for error in &all {
            let silent = matches!(error, Error::Batch(_) | Error::Refused(_) | Error::Tls(_));
            assert!(
                error.passes() || error.hint().is_some() || silent,
                "{}",
                error.code()
            );
        }
    }
}
