//! Redirects.

/// Hops of one request.
pub const MAX_HOPS: u32 = 10;
