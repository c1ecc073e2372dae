//! The vocabulary of Sluice and its pure rules: nothing here does I/O, waits, or knows another crate of the house.
//!
//! One idea has one word, here and everywhere (DESIGN: code, config, API, console, logs):
//!
//! | word | meaning |
//! |---|---|
//! | connector | a wasm component plus its manifest: what it offers and what it asks for |
//! | install | one organization's installed connector version with its approved grant |
//! | capability, grant | a kind of power with a pattern; the approved set. Effective right = request ∩ ceiling ∩ grant |
//! | connection | one account of one organization at one vendor through one install |
//! | secret, credential | sealed bytes; a secret plus how it is applied to a request |
//! | broker | the only road out for anything a connector causes |
//! | stream, record, cursor, page | a named sequence; an item with a stable id; an opaque resume token; one answer |
//! | checkpoint | a cursor committed together with its records |
//! | run | one execution of a sync |
//! | file | bytes that a connector had downloaded and kept, under a key of its connection |
//! | hook, receipt | an inbound webhook address; one webhook received there |
//! | event | one entry of the event store |
//! | endpoint, delivery, attempt | an outbound webhook address; one event owed to it; one try |
//! | replay | a part of the event store that is delivered again, as a job |
//! | action | a named operation that a connector can perform |
//! | lease | a time-limited claim of due work, with a fencing number |
//! | exchange, trace | one brokered request and its answer, redacted; all exchanges of a run |
//! | fault | what a guest reports went wrong, by who has to act |

pub mod clock;
pub mod id;

pub mod auth;
pub mod capability;
pub mod grant;
pub mod limits;
pub mod manifest;

pub mod connection;
pub mod endpoint;
pub mod event;
pub mod exchange;
pub mod fault;
pub mod file;
pub mod receipt;
pub mod record;
pub mod run;
pub mod schedule;

pub mod jws;
pub mod seal;
pub mod secret;
pub mod signature;

pub use clock::{Clock, SystemClock, Timestamp};
