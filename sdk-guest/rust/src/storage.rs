//! Key-value storage of one connection. Reads see the call's own writes; writes become durable with the call's outcome
//! or not at all. A cursor belongs in the page, not here.

/// What is kept under a key, and why a write was refused.
pub use crate::wit::sluice::connector::storage::{Entry, Error};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is kept under `key`.
#[must_use]
pub fn get(key: &str) -> Option<Entry> {
    #[cfg(target_family = "wasm")]
    return crate::wit::sluice::connector::storage::get(key);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::storage::get(key)
}

/// Writes `value`; `expect` is the version seen before (0: must not exist).
///
/// # Errors
/// Over the quota, at another version, or not a key.
pub fn set(key: &str, value: &[u8], expect: Option<u64>) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return crate::wit::sluice::connector::storage::set(key, value, expect);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::storage::set(key, value, expect)
}

/// Deletes; deleting what is not there succeeds.
///
/// # Errors
/// Not a key.
pub fn delete(key: &str) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return crate::wit::sluice::connector::storage::delete(key);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::storage::delete(key)
}

/// Keys with this prefix that sort after `after`, in byte order, at most `limit` (1,000 at the most).
#[must_use]
pub fn list_keys(prefix: &str, after: Option<&str>, limit: u32) -> Vec<String> {
    #[cfg(target_family = "wasm")]
    return crate::wit::sluice::connector::storage::list_keys(prefix, after, limit);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::storage::list_keys(prefix, after, limit)
}

/// The value under `key` read as JSON.
///
/// ```
/// use sluice_sdk::storage;
/// storage::set_json("seen", &vec![1, 2, 3])?;
/// assert_eq!(storage::get_json::<Vec<u32>>("seen")?, Some(vec![1, 2, 3]));
/// # Ok::<(), sluice_sdk::Error>(())
/// ```
///
/// # Errors
/// `internal` if something else is kept there.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, crate::Error> {
    let Some(entry) = get(key) else { return Ok(None) };
    serde_json::from_slice(&entry.value)
        .map(Some)
        .map_err(|error| crate::Error::internal(format!("stored under `{key}` is something else: {error}")))
}

/// Writes `value` as JSON, whatever was there.
///
/// # Errors
/// `internal`: over the quota, not a key, or a value that has no JSON form.
pub fn set_json<T: Serialize>(key: &str, value: &T) -> Result<(), crate::Error> {
    let text = crate::record::text(value)?;
    set(key, text.as_bytes(), None)
        .map_err(|error| crate::Error::internal(format!("could not store `{key}`: {error:?}")))
}
