//! How a connection comes by its credential and how the credential goes on a request: recipes that the host runs, so
//! that no connector ever holds a secret.
//!
//! Who is involved: the manifest's author writes a recipe per scheme; the person who connects gives *parts* (a key, a
//! user and a password, a certificate) or consents at the vendor; an operator or an organization keeps the *app*, the
//! parts that the vendor gave to whoever registered there (client id, client secret, private key). The host obtains
//! tokens with them, keeps them fresh, and the broker applies them.
//!
//! What must always hold: a recipe is data that policy can be made of: every address it can reach is known from the
//! manifest and the connection's configuration before anything is sent. A template says which secrets it takes; those
//! that become an address take none.
//!
//! Not here: sending, sealing, waiting.

mod address;
mod apply;
mod assertion;
mod fill;
mod oauth1;
mod oauth2;
mod reach;
mod sign;
mod template;

pub use address::Address;
pub use apply::Apply;
pub(crate) use apply::is_region;
pub use assertion::{Assertion, AssertionUse, JwtAlgorithm};
pub use fill::{Fill, FillFrom, Take};
pub use oauth1::{OAuth1, OAuth1Method};
pub use oauth2::{
    AnswerRecipe, BodyFormat, ClientAuth, Exchange, ExpirySign, Metadata, OAuth2, OAuthGrant, RevokedToken,
    Success,
};
pub use sign::{Placement, SignRecipe};
pub use template::{Piece, Template, TemplateError, Values};

/// How a credential is come by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obtain {
    /// A person gives its parts.
    Given,
    /// OAuth 2.0 (RFC 6749), with a token that the host keeps fresh.
    OAuth2(Box<OAuth2>),
    /// OAuth 1.0a (RFC 5849): a token and its secret that do not end.
    OAuth1(Box<OAuth1>),
    /// The connector's code, through `auth.begin`, `complete`, `refresh` and `revoke`.
    Custom,
}

/// One value that a person gives, or that an app has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// As templates and recipes name it.
    pub name: String,
    /// For people.
    pub title: String,
    /// False for what may be shown again (a client id).
    pub secret: bool,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it has line breaks (PEM, JSON).
    pub multiline: bool,
}

/// The part of a scheme that has only one.
pub const SECRET: &str = "secret";
