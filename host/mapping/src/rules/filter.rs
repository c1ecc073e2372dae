//! Which records are wanted, as settings.

use serde::{Deserialize, Serialize};

use super::json::{Json, present};

/// One condition: `all`, `any`, `not`, `jq`, or a `field` with one test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Each of these holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<Filter>>,
    /// One of these holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Vec<Filter>>,
    /// This does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<Filter>>,
    /// A jq program whose one result is neither false nor null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jq: Option<String>,
    /// The field that a test is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Equal; a missing field is null.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub is: Option<Json>,
    /// Not equal.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub is_not: Option<Json>,
    /// Equal to one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Json>>,
    /// Below: two numbers by value, two texts by their characters; anything else is not.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub less: Option<Json>,
    /// Below or equal.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub at_most: Option<Json>,
    /// Above.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub greater: Option<Json>,
    /// Above or equal.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub at_least: Option<Json>,
    /// A regular expression finds something in the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// Whether the field is there, be it null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// The text has this text inside, or the array has an element equal to this.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub contains: Option<Json>,
}
