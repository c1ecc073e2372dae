//! The streams, one file each, named as in `connector.toml`.

use sluice_sdk::{Error, ReadRequest};

use crate::api;

pub(crate) mod channels;
pub(crate) mod guilds;
pub(crate) mod members;
pub(crate) mod messages;

/// The server or channel that a partition is of.
fn partition(request: &ReadRequest) -> Result<&str, Error> {
    let id = request.partition.as_deref().filter(|id| api::is_id(id));
    id.ok_or_else(|| Error::invalid_data("not one of Discord's ids"))
}
