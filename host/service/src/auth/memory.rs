//! What an authorization remembers between its steps, and the texts that find it again: links and states.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sluice_model::id::{AuthorizationId, OrgId};
use sluice_model::secret::{self, Secret};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Service;

/// What a flow has to know when its next step comes. Sealed in the store.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Memory {
    /// Digests: the texts themselves are with the person and the browser.
    #[serde(default)]
    pub(super) ticket: String,
    #[serde(default)]
    pub(super) state: String,
    #[serde(default)]
    pub(super) browser: String,
    #[serde(default)]
    pub(super) verifier: Option<String>,
    #[serde(default)]
    pub(super) nonce: Option<String>,
    #[serde(default)]
    pub(super) redirect_uri: String,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) return_to: Option<String>,
    /// Which flow of OAuth 2.0 it is, in the manifest's word.
    #[serde(default)]
    pub(super) grant: String,
    /// Whether another account than before is welcome.
    #[serde(default)]
    pub(super) any_account: bool,
    #[serde(default)]
    pub(super) device_code: Option<String>,
    #[serde(default)]
    pub(super) interval_s: u32,
    /// OAuth 1.0a's temporary token and its secret.
    #[serde(default)]
    pub(super) temporary: Option<(String, String)>,
    /// What the connector's code wants back.
    #[serde(default)]
    pub(super) custom: Option<String>,
}

impl Memory {
    pub(super) fn seal(&self) -> Secret {
        Secret::new(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(super) fn open(sealed: &Secret) -> Option<Self> {
        serde_json::from_slice(sealed.expose()).ok()
    }
}

/// A text that leads to one authorization: which one, and a random part that has to be the right one.
pub(super) struct Token {
    pub(super) org: OrgId,
    pub(super) id: AuthorizationId,
    random: [u8; 32],
}

impl Token {
    pub(super) fn new(service: &Service, org: OrgId, id: AuthorizationId) -> Self {
        Self {
            org,
            id,
            random: service.random(),
        }
    }

    pub(super) fn text(&self) -> String {
        let bytes = [&self.org.as_bytes()[..], &self.id.as_bytes()[..], &self.random].concat();
        BASE64URL_NOPAD.encode(&bytes)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != 86 {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (org, rest) = bytes.split_first_chunk::<16>()?;
        let (id, random) = rest.split_first_chunk::<16>()?;
        Some(Self {
            org: OrgId::from_bytes(*org),
            id: AuthorizationId::from_bytes(*id),
            random: random.try_into().ok()?,
        })
    }

    pub(super) fn digest(&self) -> String {
        digest(&self.random)
    }

    /// Whether this is the one whose digest was remembered.
    pub(super) fn is(&self, remembered: &str) -> bool {
        is_digest_of(remembered, &self.random)
    }
}

pub(super) fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

pub(super) fn is_digest_of(remembered: &str, bytes: &[u8]) -> bool {
    !remembered.is_empty() && secret::same(remembered.as_bytes(), digest(bytes).as_bytes())
}
