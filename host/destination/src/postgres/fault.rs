//! What PostgreSQL says when it refuses ("PostgreSQL Error Codes", appendix A of its manual), as errors of ours.

use sluice_broker::Error as BrokerError;
use tokio_postgres::error::{DbError, SqlState};

use crate::error::Error;

/// Characters of the server's message that are passed on.
const MAX_MESSAGE: usize = 300;

/// A failure of an open session.
pub(super) fn of(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(refusal) => of_refusal(refusal),
        None if is_of_network(error) => Error::Lost("the connection to the database ended".into()),
        None => Error::Unfit("its answer is not PostgreSQL's protocol".into()),
    }
}

/// A failure while the session is opened.
pub(super) fn of_start(error: &tokio_postgres::Error, host: &str) -> Error {
    match error.as_db_error() {
        Some(refusal) => of_refusal(refusal),
        None if is_of_network(error) => Error::Unreachable(BrokerError::Unreachable {
            host: host.to_owned(),
            reason: "the connection ended while it was opened; is that PostgreSQL?".into(),
        }),
        // What is left is what the two cannot agree on: a password that is missing, or a way to ask for it.
        None => Error::Auth("the server asks for a password, or in a way that is not known".into()),
    }
}

fn is_of_network(error: &tokio_postgres::Error) -> bool {
    let source = std::error::Error::source(error);
    error.is_closed() || source.is_some_and(|source| source.is::<std::io::Error>())
}

fn of_refusal(refusal: &DbError) -> Error {
    let code = refusal.code();
    let text = told(refusal);
    let class = code.code().get(..2).unwrap_or_default();
    match *code {
        SqlState::INVALID_SCHEMA_NAME => return Error::Missing("the namespace".into()),
        SqlState::INVALID_CATALOG_NAME => return Error::Missing("the database".into()),
        SqlState::INSUFFICIENT_PRIVILEGE | SqlState::READ_ONLY_SQL_TRANSACTION => return Error::Denied(text),
        SqlState::DISK_FULL => return Error::Full(text),
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_COLUMN | SqlState::DATATYPE_MISMATCH => {
            return Error::Conflict(text);
        }
        // Two of us made the same table.
        SqlState::DUPLICATE_TABLE | SqlState::DUPLICATE_SCHEMA | SqlState::DUPLICATE_COLUMN => {
            return Error::Busy(text);
        }
        // The server is on its way down or up.
        SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => return Error::Lost(text),
        _ => {}
    }
    match class {
        "08" => Error::Lost(text),
        "28" => Error::Auth(text),
        "25" | "40" | "53" | "55" | "57" => Error::Busy(text),
        "23" | "44" | "27" => Error::Conflict(text),
        "58" | "XX" => Error::Busy(text),
        _ => Error::Unfit(text),
    }
}

/// The message, where it cannot quote a value.
fn told(refusal: &DbError) -> String {
    let code = refusal.code().code();
    let quotes = matches!(code.get(..2), Some("22" | "23" | "44" | "P0"));
    if quotes {
        let of = refusal.constraint().or(refusal.column()).or(refusal.table());
        return match of {
            Some(of) => format!("SQLSTATE {code} at {of}"),
            None => format!("SQLSTATE {code}"),
        };
    }
    let message: String = refusal.message().chars().take(MAX_MESSAGE).collect();
    format!("{} (SQLSTATE {code})", message.replace(char::is_control, " "))
}
