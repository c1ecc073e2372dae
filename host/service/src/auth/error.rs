//! Why a flow did not end in a credential.

use sluice_broker::Error as BrokerError;
use sluice_model::auth::TemplateError;
use sluice_model::jws::JwsError;

use crate::schema::Violation;
use crate::{call, catalogue, connection, vault};

/// Why a flow did not end in a credential. No variant carries a token, a code or a body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such authorization")]
    Missing,
    #[error("the authorization is {0}: each is used once")]
    Used(&'static str),
    #[error("the authorization has expired")]
    Expired,
    #[error("the answer does not belong to a flow that this browser began here")]
    State,
    #[error("the scheme `{0}` has no flow: its credential is given, not obtained")]
    NoFlow(String),
    #[error("the flow `{wanted}` is not one of `{scheme}`'s: {offered}")]
    Grant {
        wanted: String,
        scheme: String,
        offered: String,
    },
    #[error("the scope `{0}` is not one that the connector asks for")]
    Scope(String),
    #[error("`{scheme}` of {connector} has no app: {missing} missing")]
    App {
        connector: String,
        scheme: String,
        missing: String,
    },
    #[error("the app has no part `{0}`")]
    AppPart(String),
    #[error("the credential has no {0}")]
    Parts(String),
    #[error("where to return to has to be an http address of this machine, e.g. http://127.0.0.1:3000/")]
    ReturnTo,
    #[error("permission was not given: {0}")]
    Denied(String),
    #[error("the vendor says that the grant has ended: {0}")]
    Ended(String),
    #[error("the vendor refused: {0}")]
    Refused(String),
    #[error("the vendor's answer is not one: {0}")]
    Answer(&'static str),
    #[error("the time that the vendor says its token lives is not a believable number of seconds")]
    Lifetime,
    #[error("the answer names the issuer {found}, not {expected}")]
    Issuer { expected: String, found: String },
    #[error("the provider does not offer S256, which protects the code on its way")]
    Pkce,
    #[error("the ID token is not to be believed: {0}")]
    IdToken(String),
    #[error("{0}")]
    Jws(#[from] JwsError),
    #[error("the vendor connected `{found}`, the connection belongs to `{expected}`")]
    OtherAccount { expected: String, found: String },
    #[error("the connector could not do it: {0}")]
    Code(String),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("what the vendor told does not fit the configuration: {0}")]
    Config(#[from] Violation),
    #[error("asking the vendor: {0}")]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Connection(#[from] Box<connection::Error>),
    #[error(transparent)]
    Call(#[from] Box<call::Error>),
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

impl From<connection::Error> for Error {
    fn from(error: connection::Error) -> Self {
        match error {
            connection::Error::Store(error) => Self::Store(error),
            other => Self::Connection(Box::new(other)),
        }
    }
}

impl From<vault::OriginError> for Error {
    fn from(error: vault::OriginError) -> Self {
        connection::Error::from(error).into()
    }
}

impl From<call::Error> for Error {
    fn from(error: call::Error) -> Self {
        Self::Call(Box::new(error))
    }
}

impl Error {
    /// The codes of this enum itself; the wrapped errors have their own.
    pub const CODES: &[&str] = &[
        "auth.not_found",
        "auth.used",
        "auth.expired",
        "auth.state",
        "auth.no_flow",
        "auth.grant",
        "auth.scope",
        "auth.no_app",
        "auth.parts",
        "auth.return_to",
        "auth.denied",
        "auth.ended",
        "auth.refused",
        "auth.bad_answer",
        "auth.lifetime",
        "auth.issuer",
        "auth.pkce",
        "auth.id_token",
        "auth.signing_key",
        "auth.other_account",
        "auth.code",
        "auth.template",
        "connection.config",
    ];

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "auth.not_found",
            Self::Used(_) => "auth.used",
            Self::Expired => "auth.expired",
            Self::State => "auth.state",
            Self::NoFlow(_) => "auth.no_flow",
            Self::Grant { .. } => "auth.grant",
            Self::Scope(_) => "auth.scope",
            Self::App { .. } | Self::AppPart(_) => "auth.no_app",
            Self::Parts(_) => "auth.parts",
            Self::ReturnTo => "auth.return_to",
            Self::Denied(_) => "auth.denied",
            Self::Ended(_) => "auth.ended",
            Self::Refused(_) => "auth.refused",
            Self::Answer(_) => "auth.bad_answer",
            Self::Lifetime => "auth.lifetime",
            Self::Issuer { .. } => "auth.issuer",
            Self::Pkce => "auth.pkce",
            Self::IdToken(_) => "auth.id_token",
            Self::Jws(_) => "auth.signing_key",
            Self::OtherAccount { .. } => "auth.other_account",
            Self::Code(_) => "auth.code",
            Self::Template(_) => "auth.template",
            Self::Config(_) => "connection.config",
            Self::Broker(error) => error.code(),
            Self::Connection(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Catalogue(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing | Self::Used(_) | Self::Expired | Self::State => {
                "begin again: `sluice connection reconnect NAME` makes a new link"
            }
            Self::NoFlow(_) => "set its secret with `sluice connection secret NAME`",
            Self::App {
                connector, scheme, ..
            } => {
                return Some(format!(
                    "register an app at the vendor and set it with `sluice app set {connector} {scheme}`"
                ));
            }
            Self::AppPart(_) => "`sluice connector info` names the parts of an app",
            Self::Parts(_) => "set what is missing with `sluice connection secret NAME`",
            Self::Denied(_) => "permission is required: begin again and allow the access that is asked for",
            Self::Ended(_) => "connect the account again: `sluice connection reconnect NAME`",
            Self::OtherAccount { .. } => {
                "sign in at the vendor with the connected account, or reconnect with `--any-account` to change it"
            }
            Self::Jws(_) => "give the private key as the vendor's PEM file has it",
            Self::Connection(error) => return error.hint(),
            Self::Call(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
