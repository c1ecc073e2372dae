//! Typed, prefixed, time-ordered ids: `run_` and 26 characters of Crockford base32 over 48 bits of milliseconds and 80
//! random bits (the layout of a ULID), so that ids sort by the time they were made.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use crate::clock::Timestamp;

/// What an id names; the prefix is part of its text.
pub trait Kind {
    /// Three letters or so and an underscore.
    const PREFIX: &'static str;
}

/// The kinds of ids.
pub mod kind {
    use super::Kind;

    /// Organization.
    #[derive(Debug)]
    pub enum Org {}
    /// Install.
    #[derive(Debug)]
    pub enum Install {}
    /// Connection.
    #[derive(Debug)]
    pub enum Connection {}
    /// Run.
    #[derive(Debug)]
    pub enum Run {}
    /// Hook.
    #[derive(Debug)]
    pub enum Hook {}
    /// Receipt.
    #[derive(Debug)]
    pub enum Receipt {}
    /// Event.
    #[derive(Debug)]
    pub enum Event {}
    /// API key.
    #[derive(Debug)]
    pub enum Key {}
    /// Authorization.
    #[derive(Debug)]
    pub enum Authorization {}
    /// Destination.
    #[derive(Debug)]
    pub enum Destination {}
    /// Load.
    #[derive(Debug)]
    pub enum Load {}
    /// Link.
    #[derive(Debug)]
    pub enum Link {}
    /// Endpoint.
    #[derive(Debug)]
    pub enum Endpoint {}
    /// Replay.
    #[derive(Debug)]
    pub enum Replay {}
    /// Approval that was asked for.
    #[derive(Debug)]
    pub enum Approval {}
    /// File that a connector keeps.
    #[derive(Debug)]
    pub enum File {}

    impl Kind for Org {
        const PREFIX: &'static str = "org_";
    }
    impl Kind for Install {
        const PREFIX: &'static str = "ins_";
    }
    impl Kind for Connection {
        const PREFIX: &'static str = "cnn_";
    }
    impl Kind for Run {
        const PREFIX: &'static str = "run_";
    }
    impl Kind for Hook {
        const PREFIX: &'static str = "hok_";
    }
    impl Kind for Receipt {
        const PREFIX: &'static str = "rcp_";
    }
    impl Kind for Event {
        const PREFIX: &'static str = "evt_";
    }
    impl Kind for Key {
        const PREFIX: &'static str = "key_";
    }
    impl Kind for Authorization {
        const PREFIX: &'static str = "aut_";
    }
    impl Kind for Destination {
        const PREFIX: &'static str = "dst_";
    }
    impl Kind for Link {
        const PREFIX: &'static str = "lnk_";
    }
    impl Kind for Load {
        const PREFIX: &'static str = "lod_";
    }
    impl Kind for Endpoint {
        const PREFIX: &'static str = "ep_";
    }
    impl Kind for Replay {
        const PREFIX: &'static str = "rpl_";
    }
    impl Kind for Approval {
        const PREFIX: &'static str = "apr_";
    }
    impl Kind for File {
        const PREFIX: &'static str = "fil_";
    }
}

/// An organization: the tenant.
pub type OrgId = Id<kind::Org>;
/// An installed connector version of one organization.
pub type InstallId = Id<kind::Install>;
/// One account at one vendor.
pub type ConnectionId = Id<kind::Connection>;
/// One execution of a sync.
pub type RunId = Id<kind::Run>;
/// An inbound webhook address.
pub type HookId = Id<kind::Hook>;
/// One received webhook.
pub type ReceiptId = Id<kind::Receipt>;
/// One entry of the event store.
pub type EventId = Id<kind::Event>;
/// An API key.
pub type KeyId = Id<kind::Key>;
/// One attempt to come by a credential: from the first link to the vendor's answer.
pub type AuthorizationId = Id<kind::Authorization>;
/// Where records are delivered.
pub type DestinationId = Id<kind::Destination>;
/// A connection's records on their way into a destination.
pub type LoadId = Id<kind::Load>;
/// Two streams that are kept saying the same.
pub type LinkId = Id<kind::Link>;
/// An outbound webhook address.
pub type EndpointId = Id<kind::Endpoint>;
/// A part of the event store that is delivered again.
pub type ReplayId = Id<kind::Replay>;
/// An approval that somebody asked for.
pub type ApprovalId = Id<kind::Approval>;
/// A file that a connector keeps.
pub type FileId = Id<kind::File>;

/// 16 bytes that know what they name.
pub struct Id<K> {
    bytes: [u8; 16],
    kind: PhantomData<fn() -> K>,
}

/// Why a text is not an id of this kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {prefix}… (26 characters after the prefix)")]
pub struct ParseIdError {
    text: String,
    prefix: &'static str,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 26;

impl<K> Id<K> {
    /// Makes an id from the time and 10 random bytes.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        let (time, tail) = bytes.split_at_mut(6);
        let [_, _, millis @ ..] = now.as_millis().to_be_bytes();
        time.copy_from_slice(&millis);
        tail.copy_from_slice(&random);
        Self::from_bytes(bytes)
    }

    /// The id with exactly these bytes, as the store keeps it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self {
            bytes,
            kind: PhantomData,
        }
    }

    /// The bytes; they sort like the ids.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// When the id was made, to the millisecond.
    #[must_use]
    pub fn made_at(&self) -> Timestamp {
        let [a, b, c, d, e, f, ..] = self.bytes;
        Timestamp::from_millis(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::PREFIX)?;
        let value = u128::from_be_bytes(self.bytes);
        for place in (0..TEXT_LEN).rev() {
            let digit = (value >> (place * 5)) as usize & 31;
            let letter = ALPHABET.get(digit).copied().unwrap_or(b'0');
            f.write_str(char::from(letter).encode_utf8(&mut [0; 4]))?;
        }
        Ok(())
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = || ParseIdError {
            text: text.chars().take(64).collect(),
            prefix: K::PREFIX,
        };
        let digits = text.strip_prefix(K::PREFIX).ok_or_else(error)?;
        if digits.len() != TEXT_LEN {
            return Err(error());
        }
        let mut value: u128 = 0;
        for letter in digits.bytes() {
            let digit = ALPHABET.iter().position(|a| *a == letter).ok_or_else(error)?;
            if value >> 123 != 0 {
                return Err(error());
            }
            value = value << 5 | digit as u128;
        }
        Ok(Self::from_bytes(value.to_be_bytes()))
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl<K: Kind> serde::Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> serde::Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 16]) {
            let id = RunId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
        }

        #[test]
        fn text_sorts_like_time(a in 0u64..1 << 48, b in 0u64..1 << 48, random: [u8; 10]) {
            let id = |ms| RunId::new(Timestamp::from_millis(ms), random).to_string();
            prop_assert_eq!(id(a).cmp(&id(b)), a.cmp(&b));
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = text.parse::<RunId>();
            let _ = format!("run_{text}").parse::<RunId>();
        }
    }

    #[test]
    fn another_kind_is_refused() {
        let run = RunId::from_bytes([7; 16]).to_string();
        assert!(run.parse::<ConnectionId>().is_err());
    }
}
