//! Which paths there are, in the connection's storage. Dropbox tells that a folder is gone and leaves it to us to know what
//! was in it, and after a reset it tells what there is and not what there was ("list_folder": how to keep a local state). So
//! each path is kept here with the generation of the listing that saw it last, and with the revision of its file that was kept.
//!
//! What must always hold: a path is here exactly if its record was handed to the host; the host commits both together.

use sluice_sdk::{Error, storage};

/// The longest key of the storage, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// What is left of a key beside a letter, a `#` and a hash of 32 digits.
const MAX_STEM_BYTES: usize = 220;

/// How many keys are asked for at once: the most there are.
const BATCH: u32 = 1_000;

/// Where the number of the newest listing is kept.
const GENERATION: &str = "g";

/// A path and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) key: String,
    pub(crate) path: String,
    /// The listing that saw it last.
    generation: u32,
    /// The revision whose bytes are kept with the record; none is.
    pub(crate) revision: Option<String>,
}

/// Begins another listing and gives its number; the first is 1.
pub(crate) fn next_generation() -> Result<u32, Error> {
    let before: u32 = storage::get_json(GENERATION)?.unwrap_or_default();
    let next = before.wrapping_add(1).max(1);
    storage::set_json(GENERATION, &next)?;
    Ok(next)
}

/// Notes that a path is there, and which revision of its file is kept.
pub(crate) fn note(path: &str, generation: u32, revision: Option<&str>) -> Result<(), Error> {
    let key = key(path);
    let is_noted = |kept: Kept| {
        kept.generation == generation && kept.path == path && kept.revision.as_deref() == revision
    };
    if read(&key).is_some_and(is_noted) {
        return Ok(());
    }
    let head = match revision {
        Some(revision) => format!("{generation}@{revision}"),
        None => generation.to_string(),
    };
    let value = match key.strip_prefix('p') {
        Some(_) => head,
        None => format!("{head} {path}"),
    };
    storage::set(&key, value.as_bytes(), None).map_err(|error| match error {
        storage::Error::Quota(bytes) => Error::Config(sluice_sdk::Detail {
            message: format!(
                "the folder has more entries than the {bytes} bytes of storage can hold: read a smaller folder, or raise the \
                 grant's `storage_bytes`"
            ),
            pointer: Some("/folder".to_owned()),
        }),
        other => Error::internal(format!("a path could not be kept: {other:?}")),
    })
}

/// Forgets a path.
pub(crate) fn forget(kept: &Kept) -> Result<(), Error> {
    storage::delete(&kept.key)
        .map_err(|error| Error::internal(format!("a path could not be forgotten: {error:?}")))
}

/// The path itself, if it is there.
pub(crate) fn at(path: &str) -> Option<Kept> {
    read(&key(path)).filter(|kept| kept.path == path)
}

/// At most `limit` paths below this one.
pub(crate) fn below(path: &str, limit: usize) -> Vec<Kept> {
    let within = format!("{path}/");
    let mut found = Vec::new();
    if key(&within).starts_with('p') {
        let few = u32::try_from(limit).unwrap_or(BATCH).min(BATCH);
        let keys = storage::list_keys(&format!("p{within}"), None, few);
        found.extend(keys.iter().filter_map(|key| read(key)));
    }
    let mut after: Option<String> = None;
    while found.len() < limit {
        let long = storage::list_keys(&format!("l{}", stem(&within)), after.as_deref(), BATCH);
        let Some(last) = long.last() else { break };
        after = Some(last.clone());
        let kept = long.iter().filter_map(|key| read(key));
        found.extend(kept.filter(|kept| kept.path.starts_with(&within)));
    }
    found.truncate(limit);
    found
}

/// What follows in the index: the paths that no listing of this generation or later has seen, and the key to go on from;
/// none at its end.
pub(crate) fn stale(generation: u32, after: &str) -> (Vec<Kept>, Option<String>) {
    let keys = storage::list_keys("", Some(after).filter(|after| !after.is_empty()), BATCH);
    let last = keys.last().cloned();
    let stale = keys
        .iter()
        .filter(|key| *key != GENERATION)
        .filter_map(|key| read(key))
        .filter(|kept| kept.generation != generation)
        .collect();
    (stale, last)
}

/// `p` and the path; for one that is no key, `l`, its stem and its hash.
pub(crate) fn key(path: &str) -> String {
    if path.len() < MAX_KEY_BYTES && !path.chars().any(char::is_control) {
        return format!("p{path}");
    }
    format!("l{}#{:032x}", stem(path), hash(path))
}

/// As much of a path as goes into every key of what is below it.
fn stem(path: &str) -> String {
    let visible: String = path
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    let mut end = visible.len().min(MAX_STEM_BYTES);
    while !visible.is_char_boundary(end) {
        end -= 1;
    }
    visible.get(..end).unwrap_or_default().to_owned()
}

fn read(key: &str) -> Option<Kept> {
    let entry = storage::get(key)?;
    let text = String::from_utf8(entry.value).ok()?;
    let (head, path) = match key.strip_prefix('p') {
        Some(path) => (text.as_str(), path),
        None => text.split_once(' ')?,
    };
    let (generation, revision) = match head.split_once('@') {
        Some((generation, revision)) => (generation, Some(revision.to_owned())),
        None => (head, None),
    };
    Some(Kept {
        key: key.to_owned(),
        path: path.to_owned(),
        generation: generation.parse().ok()?,
        revision,
    })
}

/// FNV-1a of 128 bits (draft-eastlake-fnv): tells paths apart that nobody chose so as to collide.
pub(crate) fn hash(text: &str) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    text.bytes()
        .fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(kept: &[Kept]) -> Vec<&str> {
        kept.iter().map(|kept| kept.path.as_str()).collect()
    }

    #[test]
    fn a_folder_knows_what_is_below_it_and_not_beside_it() {
        let long = format!("/a/{}", "x".repeat(300));
        for path in ["/a", "/a/b", "/a/b/c", "/a b", "/ab/c", &long, "/a/\u{1}"] {
            note(path, 1, None).unwrap();
        }
        let mut found = below("/a", 10);
        found.sort_by(|one, other| one.path.cmp(&other.path));
        assert_eq!(paths(&found), ["/a/\u{1}", "/a/b", "/a/b/c", &long]);
        assert_eq!(below("/a", 1).len(), 1);
        for kept in &found {
            forget(kept).unwrap();
        }
        assert!(below("/a", 10).is_empty());
        assert!(at("/a").is_some() && at("/a/b").is_none());
    }

    #[test]
    fn deep_folders_tell_their_long_paths_apart() {
        let deep = format!("/{}", "ä".repeat(150));
        for path in [
            format!("{deep}/1"),
            format!("{deep}/\u{1}/2"),
            format!("{deep}x/3"),
        ] {
            note(&path, 1, Some("r1")).unwrap();
            assert!(key(&path).len() <= MAX_KEY_BYTES && at(&path).is_some());
        }
        assert_eq!(below(&deep, 10).len(), 2);
        assert_eq!(
            paths(&below(&format!("{deep}/\u{1}"), 10)),
            [format!("{deep}/\u{1}/2")]
        );
        assert!(below(&format!("{deep}y"), 10).is_empty());
    }

    #[test]
    fn what_a_listing_did_not_see_is_stale() {
        let first = next_generation().unwrap();
        note("/old", first, None).unwrap();
        note("/kept", first, None).unwrap();
        let second = next_generation().unwrap();
        assert_eq!((first, second), (1, 2));
        note("/kept", second, Some("r2")).unwrap();
        let (stale_now, last) = stale(second, "");
        assert_eq!(
            (paths(&stale_now), last.as_deref()),
            (vec!["/old"], Some("p/old"))
        );
        assert_eq!(stale(second, "p/old"), (Vec::new(), None));
    }

    #[test]
    fn the_hash_is_fnv() {
        assert_eq!(hash(""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(hash("a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
