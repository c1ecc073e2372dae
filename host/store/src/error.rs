//! What an operation can answer instead of its result. One enum for the door: which variants an operation can give is
//! said at the operation.

use std::path::PathBuf;
use std::sync::Arc;

use sluice_model::id::RunId;
use sluice_model::seal::SealError;

/// Why an operation did not happen. Nothing of it was written, except after [`Error::Failed`], whose outcome is unknown.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store has failed and answers nothing any more; the process has to stop.
    #[error("use the store: it failed earlier and its last commit has an unknown outcome ({reason})")]
    Failed { reason: Arc<str> },
    /// What is on disk is not what was written.
    #[error("read table `{table}` of the database: {reason}")]
    Corrupt { table: &'static str, reason: String },
    /// There is no such thing (any more) in this organization.
    #[error("find {what}: there is none")]
    Missing { what: &'static str },
    /// Something with that name or key is there already.
    #[error("create {what}: `{name}` exists already")]
    Conflict { what: &'static str, name: String },
    /// Someone else changed it since it was read.
    #[error("update {what}: it is at revision {found}, not {expected}")]
    Revision {
        what: &'static str,
        expected: u64,
        found: u64,
    },
    /// Someone else holds the lease now, or the thing has ended.
    #[error("write for {what}: the lease with fencing number {given} is not the current one")]
    Fenced { what: &'static str, given: u64 },
    /// The stream of this connection has a run that has not ended.
    #[error("create a run: {run} is active for this stream")]
    ActiveRun { run: RunId },
    /// Connections still use the install.
    #[error("remove the install: {connections} connections use it")]
    InUse { connections: usize },
    /// What is there was named by something else.
    #[error(
        "read the stream: its records were named by `{before}`, and the connector names them by `{now}` now"
    )]
    KeyChanged { before: String, now: String },
    /// The state does not allow this.
    #[error("{what}: it is {state}")]
    State { what: &'static str, state: &'static str },
    /// A value, key or page is over its cap.
    #[error("store {what}: {bytes} bytes are more than the limit of {limit}")]
    TooLarge {
        what: &'static str,
        bytes: usize,
        limit: usize,
    },
    /// The connection's storage would be over its granted size.
    #[error("write to the connector's storage: {used} bytes would be used, {quota} are granted")]
    Quota { used: u64, quota: u64 },
    /// The connection's files would be over their granted size.
    #[error("keep the connector's files: {used} bytes would be used, {quota} are granted")]
    FileQuota { used: u64, quota: u64 },
    /// A compare-and-set found another version.
    #[error("write `{key}` to the connector's storage: version {found} was found, {expected} was expected")]
    StorageVersion { key: String, expected: u64, found: u64 },
    /// What a call found under a file's key is not there any more.
    #[error("keep the connector's file `{key}`: another call has changed it meanwhile")]
    FileChanged { key: String },
    /// Somebody else than the run wrote the record after its page began to be read: a webhook, a link, a person.
    #[error("commit a page of `{stream}`: record `{id}` was changed while the page was read")]
    RecordChanged { stream: String, id: String },
    /// A secret cannot be sealed or opened.
    #[error("seal or open a secret")]
    Seal(#[source] SealError),
    /// A bug in this crate, told instead of hidden; nothing was written.
    #[error("{0}: this is a bug in the store")]
    Broken(&'static str),
}

impl Error {
    /// Every code that [`code`](Self::code) of a store's own variants can give; [`Error::Seal`] adds `SealError`'s.
    pub const CODES: &'static [&'static str] = &[
        "store.failed",
        "storage.corrupt",
        "store.missing",
        "store.conflict",
        "store.revision",
        "store.fenced",
        "run.active",
        "install.in_use",
        "sync.key_changed",
        "store.state",
        "store.too_large",
        "storage.quota",
        "file.quota",
        "storage.conflict",
        "file.changed",
        "record.changed",
        "store.bug",
    ];

    /// A stable word for what happened.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "store.failed",
            Self::Corrupt { .. } => "storage.corrupt",
            Self::Missing { .. } => "store.missing",
            Self::Conflict { .. } => "store.conflict",
            Self::Revision { .. } => "store.revision",
            Self::Fenced { .. } => "store.fenced",
            Self::ActiveRun { .. } => "run.active",
            Self::InUse { .. } => "install.in_use",
            Self::KeyChanged { .. } => "sync.key_changed",
            Self::State { .. } => "store.state",
            Self::TooLarge { .. } => "store.too_large",
            Self::Quota { .. } => "storage.quota",
            Self::FileQuota { .. } => "file.quota",
            Self::StorageVersion { .. } => "storage.conflict",
            Self::FileChanged { .. } => "file.changed",
            Self::RecordChanged { .. } => "record.changed",
            Self::Seal(error) => error.code(),
            Self::Broken(_) => "store.bug",
        }
    }

    /// Whether it is a call's own outcome that cannot be committed: what it wrote to its storage or its files, or a page that is out of
    /// date. Committing the same again ends the same; the store is as it was, but for what a run's trace tells of it.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Quota { .. } | Self::FileQuota { .. } | Self::TooLarge { .. }
        ) || self.passes()
    }

    /// Whether the call that was refused may do better when it is made again: it finds what was written meanwhile.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(
            self,
            Self::StorageVersion { .. } | Self::FileChanged { .. } | Self::RecordChanged { .. }
        )
    }

    /// The next step, where a person has to take one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Failed { .. } => {
                "look at the disk (space, errors), then start Sluice again: it recovers by itself"
            }
            Self::Corrupt { .. } => "stop Sluice, keep a copy of the data directory, and restore a backup",
            Self::Revision { .. } => "read it again and repeat the change",
            Self::ActiveRun { .. } => "wait for that run or cancel it",
            Self::InUse { .. } => "remove the connections first",
            Self::KeyChanged { .. } => {
                "run a full sync of the stream: it puts records with the new ids in the place of the old ones"
            }
            Self::Quota { .. } => "have the install's grant of storage_bytes raised",
            Self::FileQuota { .. } => "have the install's grant of files_bytes raised",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why the store does not open. Nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or this one, has the data directory open.
    #[error("open {}: another Sluice has it open", file.display())]
    Locked { file: PathBuf },
    /// The master key is not the one this database was made with.
    #[error("open {}: the master key is not the one of this database", file.display())]
    WrongKey { file: PathBuf },
    /// A rotation of the master key is not over, and a key that it still needs was not given.
    #[error("open {}: a rotation of the master key is not over and a key that is still needed was not given", file.display())]
    PreviousKey { file: PathBuf },
    /// The file is not what was written.
    #[error("open {}: it is damaged: {reason}", file.display())]
    Corrupt { file: PathBuf, reason: String },
    /// A newer Sluice wrote the file.
    #[error("open {}: its format is {found}, this Sluice knows formats up to {known}", file.display())]
    NewerFormat { file: PathBuf, found: u32, known: u32 },
    /// The operating system refused.
    #[error("{doing} {}", file.display())]
    Io {
        doing: &'static str,
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The first entries could not be sealed.
    #[error("seal the check value of a new database")]
    Seal(#[source] SealError),
}

impl OpenError {
    /// Every code of [`code`](Self::code), besides `SealError`'s.
    pub const CODES: &'static [&'static str] = &[
        "store.locked",
        "key.wrong",
        "key.previous_missing",
        "storage.corrupt",
        "store.newer_format",
        "store.io",
    ];

    /// A stable word for what happened.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "store.locked",
            Self::WrongKey { .. } => "key.wrong",
            Self::PreviousKey { .. } => "key.previous_missing",
            Self::Corrupt { .. } => "storage.corrupt",
            Self::NewerFormat { .. } => "store.newer_format",
            Self::Io { .. } => "store.io",
            Self::Seal(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Locked { .. } => "stop the other Sluice, or give this one its own data directory",
            Self::WrongKey { .. } => {
                "give the master key that this data directory was last used with; if it was replaced, also the one before, in data.previous_master_keys"
            }
            Self::PreviousKey { .. } => {
                "give every master key since the rotation began in data.previous_master_keys, until the log says that they can be removed"
            }
            Self::Corrupt { .. } => {
                "keep a copy of the file and restore a backup; an empty database is never made in its place"
            }
            Self::NewerFormat { .. } => "start the Sluice that wrote it, or a newer one",
            Self::Io { .. } => "check that the data directory exists, is writable and has space",
            Self::Seal(_) => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stay_within_what_is_listed() {
        let name = String::new;
        let errors = [
            Error::Failed {
                reason: Arc::from(""),
            },
            Error::Corrupt {
                table: "",
                reason: name(),
            },
            Error::Missing { what: "" },
            Error::Conflict {
                what: "",
                name: name(),
            },
            Error::Revision {
                what: "",
                expected: 0,
                found: 0,
            },
            Error::Fenced { what: "", given: 0 },
            Error::ActiveRun {
                run: RunId::from_bytes([0; 16]),
            },
            Error::InUse { connections: 1 },
            Error::KeyChanged {
                before: name(),
                now: name(),
            },
            Error::State { what: "", state: "" },
            Error::TooLarge {
                what: "",
                bytes: 0,
                limit: 0,
            },
            Error::Quota { used: 0, quota: 0 },
            Error::FileQuota { used: 0, quota: 0 },
            Error::StorageVersion {
                key: name(),
                expected: 0,
                found: 0,
            },
            Error::FileChanged { key: name() },
            Error::RecordChanged {
                stream: name(),
                id: name(),
            },
            Error::Broken(""),
        ];
        let codes: Vec<_> = errors.iter().map(Error::code).collect();
        assert_eq!(codes, Error::CODES);
        assert!(SealError::CODES.contains(&Error::Seal(SealError::Refused).code()));
        let file = PathBuf::new;
        let errors = [
            OpenError::Locked { file: file() },
            OpenError::WrongKey { file: file() },
            OpenError::PreviousKey { file: file() },
            OpenError::Corrupt {
                file: file(),
                reason: name(),
            },
            OpenError::NewerFormat {
                file: file(),
                found: 2,
                known: 1,
            },
            OpenError::Io {
                doing: "",
                file: file(),
                source: std::io::Error::other(""),
            },
        ];
        let codes: Vec<_> = errors.iter().map(OpenError::code).collect();
        assert_eq!(codes, OpenError::CODES);
    }
}
