//! Sealing: AES-256-GCM (NIST SP 800-38D) with associated data, and the key hierarchy above it.
//!
//! Who is involved: the operator holds the [`MasterKey`], each organization has an [`OrgKey`] that is kept wrapped under
//! it, each secret is sealed under its organization's key, and says under which version of it. What must always hold: a
//! sealed value opens only under its own key and only in its own place (the [`Aad`]), nonces are fresh random numbers, and
//! a key is given up before random nonces could repeat. Destroying the wrapped key destroys everything under it.
//! Deliberately absent: any way to print.
//!
//! **Why no nonce is used twice.** A nonce is 96 bits of the system's random source, taken anew for each value, and
//! nothing of it is kept in this process: no counter that a restored backup or a copied virtual machine would set back,
//! no generator that a fork would double. So a database that was restored twice and went on twice under one key is no
//! other than one that sealed as often as both together: after 2^32 values the chance that any two nonces are equal is
//! below 2^-32 (NIST SP 800-38D §8.3). What a restored backup does set back is the *count* of uses; a key is therefore
//! replaced at nine tenths of 2^32. The one assumption left is the kernel's: a virtual machine that is resumed twice from
//! one snapshot of its memory gets different random bytes only if its kernel notices (Linux does, by the VM generation id).
//!
//! **What a version does not do.** The place says the version of the value, so an old value put into a newer row does not
//! open. A whole old row put back does, as the old version that it says it is: a database cannot notice that without a
//! witness outside of it. After its organization's key was rotated it no longer opens either.

mod aad;
mod key;

pub use aad::Aad;
pub use key::{KeyError, MasterKey, OrgKey, SealError, Sealed};
