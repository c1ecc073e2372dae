//! Everything that is wrong, one thing at a time: each gets one typed error that says what to do, and nothing that was
//! there before is lost.

mod disk;
mod package;
mod records;
mod start;
mod vendor;
