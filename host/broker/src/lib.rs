//! The broker: the only road out of the process for anything that a connector, its auth flow or a delivery causes.
//!
//! Involved are a [`Caller`] (on whose behalf, with which [`Rights`](sluice_model::grant::Rights), [`Vault`], budget and
//! trace), a [`Request`] that nobody has judged yet, and a peer that may be hostile. [`Broker::send`] takes them through
//! policy → rate, permit and breaker → credential → resolve, vet, dial → exchange under caps → redirect, capture, redact.
//!
//! What must always hold:
//! - Policy decides on one parsed URL, and that same value makes the TLS name, the Host field and the request line.
//! - A name is resolved only after policy passed it, and the socket is opened to an address that was vetted just then.
//! - A secret goes only to origins it is bound to, and never comes back readable.
//! - Nothing is shared between tenants: not a connection, not a TLS session, not a breaker, not a rate. Where the operator's
//!   app at a vendor serves several of them, each has its share of the app's budget.
//! - Everything ends at one deadline and has a cap.
//!
//! A server that does not speak HTTP is reached by [`Broker::connect`], under the same policy for addresses.
//!
//! Deliberately absent: cookies, caches, proxies, upgrades and trailers.

// Words.
pub mod config;
pub mod error;

// Who asks, and for what.
pub mod caller;
pub mod credential;
pub mod placeholder;
pub mod request;
pub mod response;
pub mod trace;

// The road, in order.
mod send;

pub mod header;
pub mod place;

pub mod allowance;
mod breaker;
mod permit;
mod rate;
mod table;

pub mod address;
pub mod connect;
mod dial;
pub mod resolve;
mod tls;

pub mod exchange;
mod pool;
pub mod redirect;
mod retry;
mod road;
mod substitute;
mod wire;

mod body;
mod capture;
mod decode;
mod entry;
pub mod redact;
mod splice;

mod broker;

pub use allowance::Allowance;
pub use body::ResponseBody;
pub use broker::Broker;
pub use caller::{AppOwner, Budget, Caller, RateHint, RateScope, VendorApp};
pub use config::{Config, ConnectTo, Open, Pace};
pub use credential::{
    Apply, Credential, CredentialChoice, EmptyVault, ExpirySign, Origin, Presign, Vault, Whole,
};
pub use error::{ConfigError, Error, ResolveError, VaultError};
pub use place::Place;
pub use placeholder::{Held, Placeholders};
pub use request::{Body, BodyClosed, BodyStream, BodyWriter, Capture, CaptureInto, Redirects, Request};
pub use resolve::{Resolve, System};
pub use response::Response;
pub use road::{Heard, Road, Said, Way};
pub use trace::Trace;
