//! The streams, one file each, named as in `connector.toml`.

pub(crate) mod calendars;
pub(crate) mod events;
pub(crate) mod files;
