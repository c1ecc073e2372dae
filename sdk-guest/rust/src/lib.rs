//! Write a Sluice connector in Rust: implement [`Connector`], name it in [`export!`], build for `wasm32-wasip2`.
//!
//! A connector runs in a sandbox. It gets a fresh instance for every call, keeps nothing between calls but what it
//! returns, and reaches the outside only through [`http`]. It never holds a secret: it names a credential, or a
//! [`secrets::Secret`] handle, and the host applies the value on the wire. Retries, rate limits, signature checks and
//! schema checks are the host's; there is nothing here for them on purpose.
//!
//! ```
//! use sluice_sdk::{Account, Connection, Connector, Error, Page, ReadRequest, http};
//!
//! struct Weather;
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     city: String,
//! }
//!
//! impl Connector for Weather {
//!     fn check(connection: &Connection) -> Result<Account, Error> {
//!         let config: Config = connection.config()?;
//!         http::get("https://weather.example/me").send()?.ok()?;
//!         Ok(Account { id: config.city.clone(), name: config.city, scopes: Vec::new() })
//!     }
//!
//!     fn read(_: &Connection, _: &ReadRequest) -> Result<Page, Error> {
//!         let body = http::get("https://weather.example/days").send()?.ok()?;
//!         let days: Vec<serde_json::Value> = body.json()?;
//!         Ok(Page::last(sluice_sdk::record::upserts(&days, "/day")?))
//!     }
//! }
//!
//! sluice_sdk::export!(Weather);
//! ```
//!
//! On any target but wasm the host functions are played by [`testing`], so that a connector's tests are ordinary
//! `cargo test`.

mod connection;
mod connector;
mod error;
mod export;
pub mod files;
pub mod graphql;
pub mod http;
pub mod log;
pub mod metrics;
pub mod paging;
pub mod record;
pub mod secrets;
pub mod storage;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod time;
pub mod walk;
mod wit;
pub mod write;

pub use connector::Connector;
pub use wit::exports::sluice::connector::actions::ActionInfo;
pub use wit::exports::sluice::connector::auth::{Account, Redirect};
pub use wit::exports::sluice::connector::sync::{
    Change, Item, Page, PendingWrite, ReadRequest, StreamInfo, Window, WriteOp, WriteOutcome,
};
pub use wit::exports::sluice::connector::webhook::{Event, Handled, Receipt, Registration, Reply};
pub use wit::sluice::connector::types::{Connection, Detail, Error, Throttle};

#[doc(hidden)]
pub mod __export {
    //! What [`export!`](crate::export!) expands to; no part of the SDK's door.
    pub use crate::export::Exported;
    pub use crate::wit::{bindings, export_connector};
}
