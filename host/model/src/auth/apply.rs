//! How a credential goes on a request.

use serde_json::Value;

use super::{OAuth1Method, Placement, SignRecipe, Template, TemplateError};
use crate::capability::PatternError;

/// How a credential goes on a request. Each says which parts of the credential it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Apply {
    /// `authorization: Bearer …` (RFC 6750 §2.1). Takes `secret`.
    Bearer,
    /// A header of its own. Takes `secret`.
    Header {
        /// In lower case.
        name: String,
        /// Written before the secret.
        prefix: String,
    },
    /// A parameter of the query. Takes `secret`.
    Query {
        /// The parameter.
        name: String,
    },
    /// `authorization: Basic …` (RFC 7617). Takes `secret`: the password, or `user:password`.
    Basic {
        /// The fixed user whose password the secret is; without one the secret is `user:password`.
        username: Option<String>,
    },
    /// A field of the body: at the top level of a JSON object, or of an `application/x-www-form-urlencoded` form. A
    /// request with another body, or with none, is refused. Takes `secret`.
    Body {
        /// The field.
        name: String,
    },
    /// AWS Signature Version 4 in the `authorization` header. Takes `access_key_id`, `secret_access_key` and, where it is
    /// there, `session_token`.
    SigV4 {
        /// `s3`, `ses`, `sns` …
        service: String,
        /// From the manifest or the configuration.
        region: Template,
    },
    /// An OAuth 1.0a signature in the `authorization` header (RFC 5849 §3.5.1). Takes `consumer_key`, `consumer_secret`,
    /// `token` and `token_secret`.
    OAuth1 {
        /// How it is signed.
        method: OAuth1Method,
    },
    /// A keyed hash over parts of the request, put where the vendor looks. Takes `key` and, where the recipe names it,
    /// `key_id`.
    Signed(Box<SignRecipe>),
    /// A client certificate in the TLS handshake (RFC 8446 §4.3.2). Takes `certificate` and `private_key`, both PEM.
    ClientCertificate,
}

impl Apply {
    /// The parts that the credential must have, and those it may have.
    #[must_use]
    pub const fn parts(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Bearer
            | Self::Header { .. }
            | Self::Query { .. }
            | Self::Basic { .. }
            | Self::Body { .. } => (&[super::SECRET], &[]),
            Self::SigV4 { .. } => (&["access_key_id", "secret_access_key"], &["session_token"]),
            Self::OAuth1 { .. } => (&["consumer_key", "consumer_secret", "token", "token_secret"], &[]),
            Self::Signed(_) => (&["key"], &["key_id"]),
            Self::ClientCertificate => (&["certificate", "private_key"], &[]),
        }
    }

    /// The same with the configuration's values in it: what the broker takes.
    ///
    /// # Errors
    ///
    /// When the configuration lacks a value, or has a region that is none.
    pub fn expand(&self, config: &Value) -> Result<Self, PatternError> {
        let missing = |error: TemplateError| {
            let piece = match error {
                TemplateError::Missing(piece) | TemplateError::Form(piece) | TemplateError::Unfit(piece) => {
                    piece
                }
            };
            PatternError::new(&piece, "is missing from the configuration")
        };
        match self {
            Self::SigV4 { service, region } => {
                let text = region.fill_config(config).map_err(missing)?;
                if !is_region(&text) {
                    return Err(PatternError::new(&text, "is not a region such as `eu-central-1`"));
                }
                Ok(Self::SigV4 {
                    service: service.clone(),
                    region: Template::text(text),
                })
            }
            Self::Signed(recipe) => {
                let places = |places: &[Placement]| {
                    places
                        .iter()
                        .map(|placement| placement.expand(config))
                        .collect::<Result<_, _>>()
                };
                Ok(Self::Signed(Box::new(SignRecipe {
                    before: places(&recipe.before).map_err(missing)?,
                    message: recipe.message.expand(config).map_err(missing)?,
                    after: places(&recipe.after).map_err(missing)?,
                    ..(**recipe).clone()
                })))
            }
            _ => Ok(self.clone()),
        }
    }
}

/// `us-east-1`, or what other stores call `auto`.
pub(crate) fn is_region(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
