//! Sealing: AES-256-GCM (NIST SP 800-38D) with associated data, and the key hierarchy above it.
//!
//! Who is involved: the operator holds the [`MasterKey`], each organization has an [`OrgKey`] that is kept wrapped under
//! it, each secret is sealed under its organization's key. What must always hold: a sealed value opens only under its own
//! key and only in its own place (the [`Aad`]), nonces are fresh random numbers, and a key is given up before random
//! nonces could repeat. Destroying the wrapped key destroys everything under it. Deliberately absent: any way to print.

mod aad;
mod key;

pub use aad::Aad;
pub use key::{KeyError, MasterKey, OrgKey, SealError, Sealed};
