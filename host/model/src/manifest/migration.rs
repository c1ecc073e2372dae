//! `[[migrations]]`: how what a connection keeps comes from an older format into a newer one.
//!
//! Declared and not coded, so that whoever upgrades is shown what it will do before it is done: steps of the mapping language over
//! the configuration, and prefixes of the storage's keys. The language is the service's to compile.

use serde_json::Value;

use super::source::Node;
use super::{ManifestError, schema};

/// From one format to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The format that it begins with.
    pub from: u32,
    /// For whoever upgrades.
    pub reason: String,
    /// A list of steps of the mapping language, over the configuration.
    pub config: Value,
    /// What becomes of the storage's keys, one after the other.
    pub storage: Vec<StorageStep>,
}

/// What becomes of the keys that begin so. Values stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageStep {
    /// They begin otherwise.
    Rename {
        /// How they begin.
        from: String,
        /// How they begin then.
        to: String,
    },
    /// They go.
    Remove(String),
}

/// The most steps of one migration, of each kind.
const MAX_STEPS: usize = 50;
/// The longest beginning of a key.
const MAX_PREFIX_BYTES: usize = 256;
/// The most values in the steps over a configuration.
const MAX_VALUES: usize = 2_000;

pub(super) fn read(node: &Node<'_>, newest: u32) -> Result<Migration, ManifestError> {
    let table = node.table(&["from", "reason", "config", "storage"])?;
    let from = table.need("from")?;
    let number = from.whole(1..u64::from(u32::MAX))?;
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    if number >= newest {
        return Err(from.error(format!("is no format before `state_version`, which is {newest}")));
    }
    let config = match table.get("config") {
        Some(node) => {
            node.list(MAX_STEPS)?;
            schema::plain(&node, MAX_VALUES)?
        }
        None => Value::Array(Vec::new()),
    };
    let storage = table.each("storage", MAX_STEPS)?;
    Ok(Migration {
        from: number,
        reason: table.need("reason")?.line(500)?,
        config,
        storage: storage.iter().map(step).collect::<Result<_, _>>()?,
    })
}

fn step(node: &Node<'_>) -> Result<StorageStep, ManifestError> {
    let table = node.table(&["rename", "to", "remove"])?;
    let prefix = |key: &str| {
        let node = table.need(key)?;
        let text = node.raw(MAX_PREFIX_BYTES)?;
        match text.is_empty() {
            true => Err(node.error("is empty: every key begins so")),
            false => Ok(text.to_owned()),
        }
    };
    match (table.get("rename"), table.get("remove")) {
        (Some(_), None) => Ok(StorageStep::Rename {
            from: prefix("rename")?,
            to: prefix("to")?,
        }),
        (None, Some(_)) if table.get("to").is_none() => Ok(StorageStep::Remove(prefix("remove")?)),
        _ => Err(node.error("has to have either `rename` and `to`, or `remove`")),
    }
}
