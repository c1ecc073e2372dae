//! Requests to the vendor. The host's broker decides about policy, sends, retries and keeps the trace; the credential
//! is named, never held.
//!
//! ```
//! use sluice_sdk::http;
//! # sluice_sdk::testing::serve(|_| sluice_sdk::testing::answer(200, &[], r#"{"login":"mona"}"#));
//! #[derive(serde::Deserialize)]
//! struct User { login: String }
//!
//! let user: User = http::get("https://api.vendor.example/user").header("accept", "application/json").send()?.ok()?.json()?;
//! assert_eq!(user.login, "mona");
//! # Ok::<(), sluice_sdk::Error>(())
//! ```

pub mod link;
mod request;
mod response;

/// A whole response: any status, header names as the vendor sent them.
pub use crate::wit::sluice::connector::http::Response;
/// Why there is no response; which part of a response to catch; names and values in wire order.
pub use crate::wit::sluice::connector::http::{CaptureInto, Error, Headers};
pub use request::{Incoming, Request, delete, encode, get, open, patch, post, put, request, send_all};
