//! The store through its door: what is durable after the power is cut anywhere, what damage is found, and what
//! operations promise each other.
//!
//! | module | what |
//! |---|---|
//! | `door` | every noun once around, fencing, dedupe, quotas, removals |
//! | `credential` | versions, what is due, authorizations that are used once |
//! | `keys` | master keys and organizations' keys rotated, with the power cut anywhere; files of former formats |
//! | `open` | who is let in, and what a refusal leaves behind |
//! | `restart` | leases of the process before, with damage among them; runs of all connections |
//! | `crash` | the power cut at every write and sync; damage at rest |
//! | `pages` | several pages in one commit |
//! | `disk` | the disk in memory that remembers what was synced |

#[cfg(test)]
mod it {
    pub(crate) mod crash;
    pub(crate) mod credential;
    pub(crate) mod disk;
    pub(crate) mod door;
    pub(crate) mod keys;
    pub(crate) mod open;
    mod pages;
    pub(crate) mod restart;
}
