//! Families 9 and 10: a secret that is sent along. It proves who sent the request to whoever reads it, and says nothing
//! about the body.

use data_encoding::BASE64;

use super::key::is_same;
use super::place::{Place, View, only};
use super::{MAX_SECRETS, SignatureError, Verified};
use crate::secret::Secret;

/// A token that is sent as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Where it stands; a pointer with `*` means that every item has to bear it.
    pub place: Place,
    /// What stands before it: `Bearer `.
    pub prefix: String,
}

impl Shared {
    pub(super) fn verify(&self, view: &View<'_>, secrets: &[Secret]) -> Result<Verified, SignatureError> {
        let sent = view.all(&self.place).ok_or(SignatureError::Missing)?;
        let mut tokens = Vec::with_capacity(sent.len());
        for value in &sent {
            let token = value
                .trim()
                .strip_prefix(self.prefix.as_str())
                .ok_or(SignatureError::Missing)?;
            tokens.push(token.as_bytes());
        }
        fits(&tokens, secrets)
    }
}

/// HTTP basic authentication (RFC 7617); the secret is `user:password`.
pub(super) fn basic(view: &View<'_>, secrets: &[Secret]) -> Result<Verified, SignatureError> {
    let header = only(view.request.headers, "authorization").ok_or(SignatureError::Missing)?;
    let (scheme, text) = header.trim().split_once(' ').ok_or(SignatureError::Missing)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(SignatureError::Missing);
    }
    let sent = BASE64
        .decode(text.trim().as_bytes())
        .map_err(|_| SignatureError::Mismatch)?;
    let of_two = |secret: &&Secret| secret.expose().contains(&b':');
    let secrets: Vec<_> = secrets.iter().filter(of_two).cloned().collect();
    fits(&[&sent], &secrets)
}

/// Whether all tokens are one of the secrets. Every pair is compared, whichever fits.
fn fits(tokens: &[&[u8]], secrets: &[Secret]) -> Result<Verified, SignatureError> {
    let secrets = secrets.iter().take(MAX_SECRETS).map(Secret::expose);
    let secrets: Vec<_> = secrets.filter(|secret| !secret.is_empty()).collect();
    if secrets.is_empty() {
        return Err(SignatureError::Secret);
    }
    let is_ours = |token: &[u8]| secrets.iter().fold(false, |ours, own| ours | is_same(own, token));
    match !tokens.is_empty() && tokens.iter().fold(true, |all, token| all & is_ours(token)) {
        true => Ok(Verified::default()),
        false => Err(SignatureError::Mismatch),
    }
}
