//! Packages: a connector version as one file that can be signed, handed on and judged.
//!
//! Who is involved: an author, who packs a component and what belongs to it ([`Pack`]) and signs that ([`SigningKey`]); whoever
//! stores or carries the file, who may be anybody; an organization, whose [`Policy`] says whom it believes for which names,
//! and which remembers what it has seen ([`Remembered`]); an operator, whose [`TrustedRoot`] says who vouches for identities, where
//! a package is signed without a key of the publisher's own ([`Bundle`]).
//!
//! What must always hold: everything that is read is hostile, bounded before it is looked at, and refused as a whole where one
//! part is wrong; the same inputs give the same bytes; a signature binds publisher, name, version, every byte before it, the
//! manifest and two times together; a bundle binds every byte of the content, and through the manifest in it name and version; a
//! verdict depends on the file, the policy, what is remembered, the trusted root and the time, and on nothing else.
//!
//! Deliberately absent: I/O, waiting, compiling; a clock, but for the library's that verifies bundles: it takes no log time that is
//! ahead of the machine's. Files and registries are read by whoever asks here.

// Words.
mod digest;
pub mod error;
mod name;
mod text;
mod version;

// One file.
mod icon;
mod pack;
mod package;
mod sbom;
mod schemas;
mod section;
mod strip;

// Whose it is.
mod bundle;
mod envelope;
mod identity;
mod key;
mod root;
mod signature;

// Whether it is believed.
mod remembered;
mod trust;

// Where it lies.
pub mod index;
pub mod oci;

pub use bundle::Bundle;
pub use digest::Digest;
pub use error::{FormatError, SourceError, Untrusted};
pub use identity::{Identity, Who};
pub use key::{KeyError, PublicKey, SigningKey};
pub use name::Name;
pub use pack::{Pack, Packed, embed};
pub use package::{Package, Part};
pub use remembered::{Mark, Pin, Remembered};
pub use root::{RootError, TrustedRoot};
pub use sbom::of_cargo_lock;
pub use signature::{Signature, Terms, attach, attach_bundle, detach, sign};
pub use trust::{NoPolicy, Policy, Publisher, Revocation, Signer, Standing, UnknownKeys, Verdict};
pub use version::Version;
