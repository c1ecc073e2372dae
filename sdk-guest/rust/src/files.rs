//! Files of one connection: attachments, exports, recordings. The host downloads them by the same road as every request and keeps them;
//! the connector puts a reference in its records, events and answers, and never has the bytes. How much it may keep is in the manifest
//! (`file_bytes`, `files_bytes`). What was kept becomes durable with the call's outcome or not at all.
//!
//! ```
//! use sluice_sdk::{files::{self, Save}, http};
//! # sluice_sdk::testing::serve(|_| sluice_sdk::testing::answer(200, &[("content-type", "image/png")], "png"));
//!
//! let request = http::get("https://files.vendor.example/f/7");
//! let file = files::fetch(request, Save::new("f/7", "logo.png").of("messages", "m1"))?.ok()?;
//! assert_eq!((file.size, file.media_type.as_str()), (3, "image/png"));
//! let data = serde_json::json!({ "id": "m1", "logo": file.reference() });
//! assert_eq!(data["logo"]["name"], "logo.png");
//! # Ok::<(), sluice_sdk::Error>(())
//! ```

use serde_json::{Value, json};

use crate::http::Request;
/// A kept file, what came of a download, why there is none, and what it is kept as.
pub use crate::wit::sluice::connector::files::{Error, Fetched, File, Owner, Save};

/// Downloads what the request leads to and keeps it. What is fetched again under a key takes the place of what was there.
///
/// # Errors
/// There was no whole answer, or it is larger than the grant allows; see [`crate::Error`]'s `From<files::Error>` for the case.
pub fn fetch(request: Request, into: Save) -> Result<Fetched, crate::Error> {
    Ok(try_fetch(request, into)?)
}

/// The same, with the reason as the host gives it.
///
/// # Errors
/// See [`Error`].
pub fn try_fetch(request: Request, into: Save) -> Result<Fetched, Error> {
    #[cfg(target_family = "wasm")]
    return crate::wit::sluice::connector::files::fetch(&request.0, &into);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::files::fetch(&request, into)
}

/// What is kept under `key`, this call's own files among it.
#[must_use]
pub fn get(key: &str) -> Option<File> {
    #[cfg(target_family = "wasm")]
    return crate::wit::sluice::connector::files::get(key);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::files::get(key)
}

/// Lets go of what is kept under `key`; deleting what is not there succeeds.
///
/// # Errors
/// Not a key.
pub fn delete(key: &str) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return crate::wit::sluice::connector::files::delete(key);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::files::delete(key)
}

impl Save {
    /// Under a key, which should be the vendor's own id of the file, and with a name for people.
    pub fn new(key: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            name: name.into(),
            owner: None,
        }
    }

    /// It belongs to this record, and goes some time after it.
    #[must_use]
    pub fn of(mut self, stream: impl Into<String>, id: impl Into<String>) -> Self {
        self.owner = Some(Owner {
            stream_name: stream.into(),
            id: id.into(),
        });
        self
    }
}

impl Fetched {
    /// The file.
    ///
    /// # Errors
    /// The vendor answered with another status than 2xx: as [`crate::Error::from_response`] has it.
    pub fn ok(self) -> Result<File, crate::Error> {
        match self {
            Self::File(file) => Ok(file),
            Self::Response(response) => Err(crate::Error::from_response(&response)),
        }
    }
}

impl File {
    /// What to put in a record: `id`, `name`, `media_type`, `bytes`, `sha256`, as the API tells of a file.
    #[must_use]
    pub fn reference(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "media_type": self.media_type,
            "bytes": self.size,
            "sha256": self.sha256,
        })
    }
}

impl From<Error> for crate::Error {
    /// What the grant does not allow is the user's (`config`), a key that is none the author's, a disk that is full nobody's.
    fn from(error: Error) -> Self {
        let config = |message: String| {
            Self::Config(crate::Detail {
                message,
                pointer: None,
            })
        };
        match error {
            Error::Http(error) => error.into(),
            Error::TooLarge(0) => config("not permitted: to keep files".to_owned()),
            Error::TooLarge(bytes) => {
                config(format!("the file is larger than the {bytes} bytes of the grant"))
            }
            Error::Quota(bytes) => config(format!(
                "the files would be more than the {bytes} bytes of the grant"
            )),
            Error::InvalidKey => Self::internal("the file's key or owner is none"),
            Error::Unavailable(reason) => Self::transient(format!("the file is not kept: {reason}")),
        }
    }
}
