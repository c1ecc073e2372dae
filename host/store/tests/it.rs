//! The store through its door: what is durable after the power is cut anywhere, what damage is found, and what
//! operations promise each other.
//!
//! | module | what |
//! |---|---|
//! | `record` | a page: records, feed, quarantine and cursor at once |
//! | `run` | runs: fencing, and one at a time for each stream |
//! | `receipt` | receipts: once per delivery, handled, retried, set aside, forgotten |
//! | `replay` | receipts handled again: which, how many, and in order |
//! | `due` | what is due: who is woken, whose turn it is, and what harms nobody |
//! | `file` | files: durable before they are named, gone when they are not, swept in steps |
//! | `storage` | connector storage: versions and the quota |
//! | `secret` | secrets: sealed, and gone with their organization |
//! | `connection` | connections: changed by revision, gone for good |
//! | `install` | installs and their components |
//! | `api_key` | API keys, found by their hash |
//! | `bounds` | what is too large is refused before anything is written |
//! | `credential` | versions, what is due, authorizations that are used once |
//! | `keys` | master keys and organizations' keys rotated, with the power cut anywhere; files of former formats |
//! | `open` | who is let in, and what a refusal leaves behind |
//! | `restart` | leases of the process before, with damage among them; runs of all connections |
//! | `crash` | the power cut at every write and sync; damage at rest |
//! | `redo` | the redo log: what is only there, its halves, and gaps in it |
//! | `generation` | a complete reading takes the old records' place at once, with the power cut anywhere |
//! | `history` | what records were, and runs that are undone |
//! | `endpoint` | events owed to endpoints, once, with the power cut anywhere; replays; what is forgotten |
//! | `pages` | several pages in one commit |
//! | `simulation` | all of it at once, with faults and power cuts, decided by one number |
//! | `trust` | who is believed, and what is remembered with an install |
//! | `disk` | the disk in memory that remembers what was synced |
//! | `room` | a store with one of everything |

#[cfg(test)]
mod it {
    pub(crate) mod api_key;
    pub(crate) mod bounds;
    pub(crate) mod connection;
    pub(crate) mod crash;
    pub(crate) mod credential;
    pub(crate) mod disk;
    pub(crate) mod due;
    mod endpoint;
    mod file;
    pub(crate) mod generation;
    pub(crate) mod history;
    pub(crate) mod install;
    pub(crate) mod keys;
    pub(crate) mod moved;
    pub(crate) mod open;
    mod pages;
    pub(crate) mod receipt;
    pub(crate) mod record;
    pub(crate) mod redo;
    mod replay;
    pub(crate) mod restart;
    pub(crate) mod room;
    pub(crate) mod run;
    pub(crate) mod secret;
    mod simulation;
    pub(crate) mod storage;
    pub(crate) mod trace;
    mod trust;
}
