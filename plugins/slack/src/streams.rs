//! The streams, one file each, named as in `connector.toml`; what two of them share is in [`list`].

pub(crate) mod channels;
pub(crate) mod list;
pub(crate) mod messages;
pub(crate) mod users;
