//! The destinations, through a real outside: a PostgreSQL of Debian's packages that the test starts, and real directories.
//!
//! | module | what it asks |
//! |---|---|
//! | [`postgres`] | does every record arrive as it is, once, whatever is in it and however often it is sent? |
//! | [`kill`] | is a database that dies in the middle of loads exact afterwards? |
//! | [`refuse`] | does everything that a database or a network refuses get its name? |
//! | [`file`] | are files whole, exact, and where they belong? |
//! | [`judge`] | do readers and servers of others take our files for what they are? |
//! | [`server`], [`rows`] | what they stand on |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests are free"
)]

mod file;
mod judge;
mod kill;
mod postgres;
mod refuse;
mod rows;
mod server;
