//! One file per shape of stream: boards, what hangs under every board as one list, and cards.

pub(crate) mod boards;
pub(crate) mod cards;
pub(crate) mod under;
