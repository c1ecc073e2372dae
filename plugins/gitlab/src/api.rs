//! GitLab's REST API, version 4: where it is and how its lists go on ("REST API", "Pagination").

use sluice_sdk::http::{self, Request, Response};
use sluice_sdk::{Connection, Error};

use crate::config;

/// The most that a list gives at once.
pub(crate) const PER_PAGE: u32 = 100;

/// The API of the connection's GitLab.
#[derive(Debug)]
pub(crate) struct Api {
    root: String,
}

impl Api {
    pub(crate) fn of(connection: &Connection) -> Result<Self, Error> {
        let config = config::read(connection)?;
        Ok(Self {
            root: format!("https://{}/api/v4", config.host()?),
        })
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        http::request(method, format!("{}/{path}", self.root))
    }
}

/// Whether the list goes on: `x-next-page` is empty on the last page.
pub(crate) fn goes_on(response: &Response) -> bool {
    response
        .header("x-next-page")
        .is_some_and(|next| !next.trim().is_empty())
}

/// Whether it is a permission that the token lacks; a rate limit is 429.
pub(crate) fn is_refused(response: &Response) -> bool {
    response.status == 403 && !response.is_throttled()
}
