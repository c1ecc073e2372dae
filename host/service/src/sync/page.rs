//! What a guest's page becomes before it may be committed: every change checked on its own, the bad ones set aside with
//! the reason, the rest kept in order. Conservation holds: changes in = changes out + quarantined.

use sluice_mapping::Frozen;
use sluice_model::record::{Change, MAX_ID_BYTES};
use sluice_store::record::Quarantined;

use crate::schema::Schema;
use crate::sync::rules::Fate;

/// A change that was refused, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) id: String,
    /// The record as it came, where there is one.
    pub(crate) data: String,
    /// One of [`CODES`].
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    /// RFC 6901, into the record.
    pub(crate) pointer: Option<String>,
}

impl From<Refused> for Quarantined {
    fn from(refused: Refused) -> Self {
        Self {
            id: refused.id,
            data: refused.data,
            reason_code: refused.code.to_owned(),
            reason: refused.reason,
            pointer: refused.pointer,
        }
    }
}

/// Checked changes of one stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) changes: Vec<Change>,
    pub(crate) refused: Vec<Refused>,
    /// Records that the stream's filter leaves out; where one was kept before, it goes.
    pub(crate) filtered: u64,
}

/// Stable codes of the reasons.
pub const CODES: &[&str] = &["record.no_id", "record.id_too_long", "record.schema"];

/// Checks the changes of one stream against its schema and puts them through its rules. Several changes of one record in
/// a page stay in their order, as if they had come in pages of their own.
///
/// # Errors
///
/// What a frozen contract does not know: the page is not to be committed.
pub(crate) fn check(
    schema: Option<&Schema>,
    changes: Vec<Change>,
    mut judge: impl FnMut(&str) -> Fate,
) -> Result<Checked, Frozen> {
    let mut checked = Checked {
        changes: Vec::with_capacity(changes.len()),
        ..Checked::default()
    };
    for change in changes {
        let refused = match fault_of(schema, &change) {
            Some(found) => found,
            None => {
                let Change::Upsert(mut item) = change else {
                    checked.changes.push(change);
                    continue;
                };
                match judge(&item.data) {
                    Fate::Kept(data) => {
                        item.data = data;
                        checked.changes.push(Change::Upsert(item));
                    }
                    Fate::AsItIs => checked.changes.push(Change::Upsert(item)),
                    Fate::Dropped => {
                        checked.filtered += 1;
                        checked.changes.push(Change::Delete(item.id));
                    }
                    Fate::Refused(refused) => {
                        let pointer = Some(refused.pointer).filter(|pointer| !pointer.is_empty());
                        let found = (refused.code, refused.reason, pointer);
                        checked.refused.push(set_aside(Change::Upsert(item), found));
                    }
                    Fate::Frozen(frozen) => return Err(frozen),
                }
                continue;
            }
        };
        checked.refused.push(set_aside(change, refused));
    }
    Ok(checked)
}

fn set_aside(change: Change, (code, reason, pointer): Found) -> Refused {
    let (id, data) = match change {
        Change::Upsert(item) => (item.id, item.data),
        Change::Delete(id) => (id, String::new()),
    };
    Refused {
        id: id.chars().take(MAX_ID_BYTES / 4).collect(),
        data,
        code,
        reason,
        pointer,
    }
}

type Found = (&'static str, String, Option<String>);

fn fault_of(schema: Option<&Schema>, change: &Change) -> Option<Found> {
    let id = change.id();
    if id.is_empty() {
        return Some(("record.no_id", "the record has no id".to_owned(), None));
    }
    if id.len() > MAX_ID_BYTES {
        let reason = format!("the id has {} bytes; {MAX_ID_BYTES} are allowed", id.len());
        return Some(("record.id_too_long", reason, None));
    }
    let Change::Upsert(item) = change else { return None };
    let schema = schema?;
    let violation = schema.check_text(&item.data).err()?;
    Some(("record.schema", violation.reason, Some(violation.pointer)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluice_model::record::Item;

    use super::*;

    fn upsert(id: &str, data: &str) -> Change {
        Change::Upsert(Item {
            id: id.to_owned(),
            data: data.to_owned(),
            modified: None,
        })
    }

    #[test]
    fn the_bad_are_set_aside_and_the_counts_add_up() {
        let schema = Schema::compile("streams[0]", &json!({"type": "object", "required": ["id"]})).unwrap();
        let long = "x".repeat(MAX_ID_BYTES + 1);
        let changes = vec![
            upsert("1", r#"{"id":1}"#),
            upsert("", r#"{"id":1}"#),
            upsert("2", "{}"),
            Change::Delete("3".to_owned()),
            Change::Delete(String::new()),
            upsert(&long, r#"{"id":1}"#),
            upsert("4", "not json"),
        ];
        let received = changes.len();
        let checked = check(Some(&schema), changes, |_| Fate::AsItIs).unwrap();
        assert_eq!(checked.changes.len() + checked.refused.len(), received);
        let codes: Vec<_> = checked.refused.iter().map(|refused| refused.code).collect();
        assert_eq!(
            codes,
            [
                "record.no_id",
                "record.schema",
                "record.no_id",
                "record.id_too_long",
                "record.schema"
            ]
        );
        assert!(codes.iter().all(|code| CODES.contains(code)));
    }
}
