//! Everything that goes across rooms, through a real outside: real guests, real servers on loopback, real processes.
//!
//! | module | what it asks |
//! |---|---|
//! | [`hostile`] | does every hostile guest get what `fixtures/guests/expected.toml` says, and nothing else? |
//!
//! and what they stand on:
//!
//! | module | what it gives |
//! |---|---|
//! | [`guests`] | the fixture guests as components, built once |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests are free"
)]

mod guests;

mod hostile;
