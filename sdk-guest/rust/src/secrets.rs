//! Secrets as handles. A connector can put one on the wire and derive from it; it can't read it.
//!
//! There are no secrets outside the sandbox: on targets that are not wasm, [`open`] finds none, and a presigned address is
//! no more than its placeholder, which says what was asked for.

/// The keyed hashes the host offers, and how it writes them down.
pub use crate::wit::sluice::connector::secrets::{Algorithm, Encoding};

/// A handle on a secret of this connection, bound to the origins that the manifest gives it; or on a presigned address (see
/// [`Request::presign`](crate::http::Request::presign)), which goes nowhere but into an action's output.
#[derive(Debug)]
pub struct Secret(pub(crate) Inner);

#[cfg(target_family = "wasm")]
pub(crate) type Inner = crate::wit::sluice::connector::secrets::Secret;
#[cfg(not(target_family = "wasm"))]
pub(crate) type Inner = played::Secret;

/// The secret that the manifest names, if this connection has it. The answer for somebody else's is the same: none.
#[must_use]
pub fn open(name: &str) -> Option<Secret> {
    #[cfg(target_family = "wasm")]
    return crate::wit::sluice::connector::secrets::open(name).map(Secret);
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = name;
        None
    }
}

/// The secret of the webhook that is being registered, renewed or unregistered, if it has one yet. Its placeholder goes to the
/// origins that the manifest names in `registration`, and nowhere where the manifest says that the vendor gives it.
#[must_use]
pub fn of_webhook() -> Option<Secret> {
    #[cfg(target_family = "wasm")]
    return open(OF_WEBHOOK);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::webhook_secret()
}

/// The name under which a response's capture ([`Request::capture`](crate::http::Request::capture)) gives the host
/// the secret that a vendor made for a webhook.
pub const OF_WEBHOOK: &str = "webhook.secret";

impl Secret {
    /// A text that stands for the value in a header, the query or the body of a request of this same call.
    #[must_use]
    pub fn placeholder(&self) -> String {
        self.0.placeholder()
    }

    /// The keyed hash of `message`, as a new secret bound to the same origins.
    #[must_use]
    pub fn hmac(&self, algorithm: Algorithm, message: &[u8], encoding: Encoding) -> Self {
        Self(self.0.hmac(algorithm, message, encoding))
    }

    /// A compact JWS over `header` and `claims` (JSON texts) signed with this secret, as a new secret.
    ///
    /// # Errors
    /// `internal` with the reason: `alg` is neither HS256 nor RS256, or does not fit the key.
    pub fn sign_jwt(&self, header: &str, claims: &str) -> Result<Self, crate::Error> {
        self.0
            .sign_jwt(header, claims)
            .map(Self)
            .map_err(crate::Error::internal)
    }

    /// Whether `signature` is the keyed hash of `message`; compared in constant time.
    #[must_use]
    pub fn verify_hmac(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_hmac(algorithm, message, signature)
    }
}

#[cfg(not(target_family = "wasm"))]
mod played {
    //! A secret outside the sandbox: the text that stands for it.

    use super::{Algorithm, Encoding};

    #[derive(Debug)]
    pub(crate) struct Secret(String);

    impl Secret {
        pub(crate) const fn new(placeholder: String) -> Self {
            Self(placeholder)
        }

        pub(super) fn placeholder(&self) -> String {
            self.0.clone()
        }

        pub(super) fn hmac(&self, _: Algorithm, _: &[u8], _: Encoding) -> Self {
            Self(format!("{}-hashed", self.0))
        }

        pub(super) fn sign_jwt(&self, _: &str, _: &str) -> Result<Self, String> {
            Ok(Self(format!("{}-signed", self.0)))
        }

        pub(super) fn verify_hmac(&self, _: Algorithm, _: &[u8], _: &[u8]) -> bool {
            false
        }
    }
}
