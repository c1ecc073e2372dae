//! The streams, one file each, named as in `connector.toml`.

pub(crate) mod meetings;
pub(crate) mod recordings;
pub(crate) mod users;
