//! One change of a record, as settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::json::Json;

/// A change. Fields are names or JSON pointers; a field that is missing is left missing, unless the step says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Gives a field another name or place. A record that has the new one already is refused.
    Rename(Rename),
    /// Keeps these and the primary key.
    Select(Vec<String>),
    /// Takes these out.
    Remove(Vec<String>),
    /// Sets a field to a value.
    Constant(Constant),
    /// Sets a field to a value where it is missing or null.
    Default(Constant),
    /// Makes a value another type.
    Cast(Cast),
    /// Reads a date and writes it as RFC 3339 in UTC.
    Date(DateParse),
    /// Adds fields from a table, or from a record of another stream of the connection.
    Enrich(Enrich),
    /// Replaces values by their HMAC-SHA256 under the organization's salt: equal values stay equal, and nothing else is told.
    Hash(Vec<String>),
    /// Hides most of a value.
    Mask(Mask),
    /// A jq program whose one result is the record.
    Jq(String),
}

/// See [`Step::Rename`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The field.
    pub from: String,
    /// Its new name or place.
    pub to: String,
}

/// See [`Step::Constant`] and [`Step::Default`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The field.
    pub field: String,
    /// Its value.
    pub value: Json,
}

/// See [`Step::Cast`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// The field.
    pub field: String,
    /// The type.
    pub to: CastTo,
    /// What becomes of a value that is not one of the type.
    #[serde(default)]
    pub on_error: OnError,
}

/// A type to cast to. Null stays null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CastTo {
    /// A scalar as it is written; an object or array as its JSON text.
    Text,
    /// A whole number of any length, from text or from a number without a fraction.
    Integer,
    /// A number, from text.
    Number,
    /// From `true`, `false`, `yes`, `no`, `1` and `0`, as text or number.
    Boolean,
    /// RFC 3339 in UTC, from RFC 3339 with any offset.
    Timestamp,
    /// `YYYY-MM-DD`, from that or from the date in an RFC 3339 timestamp.
    Date,
    /// What a text says, read as JSON.
    Json,
}

/// What becomes of a value that a step cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The record is set aside.
    #[default]
    Refuse,
    /// The value becomes null.
    Null,
    /// The value stays.
    Keep,
}

/// See [`Step::Date`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateParse {
    /// The field.
    pub field: String,
    /// Tried in order: `epoch_s`, `epoch_ms`, `rfc3339`, or a strptime format such as `%d.%m.%Y %H:%M`.
    pub formats: Vec<String>,
    /// The offset of times that say none, such as `+02:00`; UTC without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
    /// What becomes of a value that no format reads.
    #[serde(default)]
    pub on_error: OnError,
}

/// See [`Step::Enrich`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrich {
    /// The field whose value, a text or a number, is looked up.
    pub by: String,
    /// A table: what is found by a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<BTreeMap<String, Json>>,
    /// Or a stream of the same connection, whose record with this id is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// What to copy from what is found.
    pub copy: Vec<CopyField>,
    /// What becomes of a record for which nothing is found.
    #[serde(default)]
    pub missing: Missing,
}

/// One field that is copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyField {
    /// The field of what is found; empty or left out is all of it.
    #[serde(default)]
    pub from: String,
    /// The field of the record.
    pub to: String,
}

/// What becomes of a record for which nothing is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It goes on without the fields.
    #[default]
    Keep,
    /// The fields become null.
    Null,
    /// It is set aside.
    Refuse,
}

/// See [`Step::Mask`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// The fields.
    pub fields: Vec<String>,
    /// How.
    pub way: Way,
}

/// How a value is hidden. How long it was is never told, and null stays null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// `****` and the last characters: this many, but never more than half of them.
    KeepLast(u8),
    /// `j****@example.com`.
    Email,
    /// This text instead.
    Fixed(String),
}
