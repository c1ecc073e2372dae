//! The host functions of the contract. They translate and delegate: policy is the broker's, durability the caller's.

pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod outgoing;
pub(crate) mod secrets;
pub(crate) mod storage;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::Connector;
use crate::state::State;

/// Links the interfaces that the contract's world imports.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    Connector::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

/// The contract's types have no functions.
impl crate::bindings::sluice::connector::types::Host for State {}
