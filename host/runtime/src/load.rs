//! From bytes to a connector that can be called.

use std::fmt;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use ring::digest;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::bindings::exports::sluice::connector::{actions, auth, sync, webhook};
use crate::error::LoadError;
use crate::journal::clean;
use crate::state::State;

/// A component that is compiled, linked and checked. Cheap to clone; instances are made of it for every call.
#[derive(Clone)]
pub struct Connector(pub(crate) Arc<Loaded>);

/// The engine's half of a connector. The interfaces are kept apart, so that a call looks up only what it needs.
pub(crate) struct Loaded {
    pub(crate) pre: InstancePre<State>,
    pub(crate) auth: auth::GuestIndices,
    pub(crate) sync: sync::GuestIndices,
    pub(crate) webhook: webhook::GuestIndices,
    pub(crate) actions: actions::GuestIndices,
    digest: String,
}

impl Connector {
    /// `sha256:…` of the component it was loaded from.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.0.digest
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connector").field(&self.0.digest).finish()
    }
}

/// SHA-256 of a component.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out
        .iter_mut()
        .zip(digest::digest(&digest::SHA256, bytes).as_ref())
    {
        *to = *from;
    }
    out
}

/// The text of a digest.
pub(crate) fn digest_text(sha256: &[u8; 32]) -> String {
    format!("sha256:{}", HEXLOWER.encode(sha256))
}

/// Links `component` and looks its exports up.
pub(crate) fn link(
    linker: &Linker<State>,
    component: &Component,
    digest: String,
) -> Result<Loaded, LoadError> {
    let pre = linker
        .instantiate_pre(component)
        .map_err(|error| LoadError::ImportsRefused {
            names: vec![words(&error)],
        })?;
    let missing = |error: wasmtime::Error| LoadError::ExportsMissing {
        names: vec![words(&error)],
    };
    Ok(Loaded {
        auth: auth::GuestIndices::new(&pre).map_err(missing)?,
        sync: sync::GuestIndices::new(&pre).map_err(missing)?,
        webhook: webhook::GuestIndices::new(&pre).map_err(missing)?,
        actions: actions::GuestIndices::new(&pre).map_err(missing)?,
        pre,
        digest,
    })
}

fn words(error: &wasmtime::Error) -> String {
    clean(&format!("{error:#}"), 1024)
}
