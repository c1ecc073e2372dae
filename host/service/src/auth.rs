//! Coming by credentials: the flows that a manifest's recipes ask for, run by the host.
//!
//! Who is involved: a person who follows a link and consents at the vendor; the vendor's authorize, token, device and
//! revoke endpoints, asked through the broker and nowhere else; workers that keep tokens fresh; connectors, which only
//! ever name a credential.
//!
//! What must always hold:
//! - A link, a state and an authorization are used once; state belongs to one browser (RFC 9700 §4.7).
//! - A new token is durable before anything is sent with it, and replaces the old one only if that is still the one the
//!   exchange began with.
//! - However many ask at once, a token is refreshed once.
//! - When the vendor says that a grant has ended the connection needs its owner, who is told once; nothing retries.
//! - What is deleted while a token is on its way stays deleted.
//!
//! Deliberately absent: implicit and password grants (RFC 9700 §2.1.2, §2.4).

mod account;
mod answer;
pub mod app;
mod assertion;
mod authorize;
mod bundle;
mod callback;
mod custom;
mod device;
mod discovery;
mod error;
mod exchange;
mod flow;
mod id_token;
mod memory;
mod oauth1;
mod oauth2;
mod refresh;
mod revoke;

pub use account::Adopted;
pub use authorize::{Begin, Begun, Followed, Link, Status, begin, follow, grant_name, look, status};
pub(crate) use bundle::Bundle;
pub use callback::{Callback, Landed, callback};
pub(crate) use discovery::Discovered;
pub use error::Error;
pub use refresh::refresh;
pub(crate) use refresh::{Flights, comes_by_itself, drive, is_renewable, renew};
pub use revoke::revoke;
pub(crate) use revoke::{GivenBack, give_back};

#[cfg(test)]
mod tests;
