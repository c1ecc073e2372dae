//! The broker: the only road out of the process.
pub mod body;
pub mod broker;
pub mod caller;
pub mod config;
pub mod credential;
pub mod error;
pub mod header;
pub mod place;
pub mod placeholder;
pub mod redirect;
pub mod request;
pub mod resolve;
pub mod response;
pub mod trace;

pub use body::ResponseBody;
pub use broker::Broker;
pub use caller::{Budget, Caller, RateHint};
pub use config::{Config, ConnectTo, Open, Pace};
pub use credential::{Apply, Credential, CredentialChoice, EmptyVault, Origin, Vault};
pub use error::{ConfigError, Error, ResolveError, VaultError};
pub use placeholder::{Held, Placeholders};
pub use request::{Body, BodyWriter, Capture, CaptureInto, Redirects, Request};
pub use resolve::{Resolve, System};
pub use response::Response;
pub use trace::Trace;
