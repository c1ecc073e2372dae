//! A response as the caller sees it: redacted, decoded, without what concerns only the connection.

use bytes::Bytes;
use sluice_model::secret::Secret;

pub use crate::body::ResponseBody;
use crate::error::Error;
use crate::request::CaptureInto;

/// Any status is a response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Lower-case names and values in wire order; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    pub body: ResponseBody,
    /// What the captures found; in their places the body has placeholders.
    pub captured: Vec<(CaptureInto, Secret)>,
}

impl Response {
    /// The first value of the field `name`, which is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// As [`ResponseBody::collect`].
    pub async fn collect(self) -> Result<Bytes, Error> {
        self.body.collect().await
    }
}
