//! Reading TOML with places: every value knows its line, column and key path, and every key has to be asked for.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ManifestError;
use super::words;

/// The text that spans point into.
#[derive(Clone, Copy)]
pub(super) struct Source<'t>(pub(super) &'t str);

impl Source<'_> {
    /// An error at this byte.
    pub(super) fn error(self, at: usize, path: &str, message: impl Into<String>) -> ManifestError {
        let before = self.0.get(..at).unwrap_or(self.0);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        ManifestError {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            path: path.to_owned(),
            message: message.into(),
        }
    }
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node<'a> {
    source: Source<'a>,
    value: &'a DeValue<'a>,
    at: usize,
    path: String,
}

/// A table whose keys are all known.
pub(super) struct Table<'a> {
    source: Source<'a>,
    table: &'a DeTable<'a>,
    at: usize,
    path: String,
}

impl<'a> Node<'a> {
    fn new(source: Source<'a>, value: &'a Spanned<DeValue<'a>>, path: String) -> Self {
        Self {
            source,
            value: value.get_ref(),
            at: value.span().start,
            path,
        }
    }

    /// An error at this value.
    pub(super) fn error(&self, message: impl Into<String>) -> ManifestError {
        self.source.error(self.at, &self.path, message)
    }

    pub(super) const fn value(&self) -> &'a DeValue<'a> {
        self.value
    }

    fn wrong_type(&self, wanted: &str) -> ManifestError {
        self.error(format!("is {}, not {wanted}", type_name(self.value)))
    }

    /// Any text of this many bytes at most.
    pub(super) fn raw(&self, max: usize) -> Result<&'a str, ManifestError> {
        let text = self.value.as_str().ok_or_else(|| self.wrong_type("a text"))?;
        if text.len() > max {
            return Err(self.error(format!("is longer than {max} bytes")));
        }
        Ok(text)
    }

    /// One line for people: not empty, without characters that control or reorder what is shown.
    pub(super) fn line(&self, max: usize) -> Result<String, ManifestError> {
        self.words(max, false)
    }

    /// Text for people, with line breaks.
    pub(super) fn prose(&self, max: usize) -> Result<String, ManifestError> {
        self.words(max, true)
    }

    fn words(&self, max: usize, breaks: bool) -> Result<String, ManifestError> {
        let text = self.raw(max)?;
        if text.trim().is_empty() {
            return Err(self.error("is empty"));
        }
        let hidden = text
            .chars()
            .find(|c| words::is_hidden(*c) && !(breaks && *c == '\n'));
        match hidden {
            Some(c) => Err(self.error(format!(
                "has the character U+{:04X} in it: control, invisible and direction characters are not shown",
                u32::from(c)
            ))),
            None => Ok(text.to_owned()),
        }
    }

    /// A name that code uses.
    pub(super) fn name(&self) -> Result<String, ManifestError> {
        let text = self.raw(256)?;
        if words::is_name(text) {
            return Ok(text.to_owned());
        }
        Err(self.error(
            "is not a name: a lower-case letter, then at most 63 lower-case letters, digits, `_` or `-`",
        ))
    }

    pub(super) fn flag(&self) -> Result<bool, ManifestError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong_type("true or false"))
    }

    /// A whole number within bounds, both included.
    pub(super) fn whole(&self, bounds: Range<u64>) -> Result<u64, ManifestError> {
        let Range { start, end } = bounds;
        let integer = self
            .value
            .as_integer()
            .ok_or_else(|| self.wrong_type("a whole number"))?;
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| (start..=end).contains(number));
        number.ok_or_else(|| self.error(format!("is not between {start} and {end}")))
    }

    /// A number that is finite and above zero.
    pub(super) fn positive(&self, max: f64) -> Result<f64, ManifestError> {
        let text = match self.value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return Err(self.wrong_type("a number")),
        };
        let number = text
            .parse::<f64>()
            .ok()
            .filter(|number| *number > 0.0 && *number <= max);
        number.ok_or_else(|| self.error(format!("is not above 0 and at most {max}")))
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, ManifestError> {
        let text = self.raw(256)?;
        let found = words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, meaning)| *meaning);
        found.ok_or_else(|| {
            let list: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.error(format!(
                "is `{}`, but can only be {}",
                words::shown(text),
                list.join(", ")
            ))
        })
    }

    pub(super) fn list(&self, max: usize) -> Result<Vec<Self>, ManifestError> {
        let array = self.value.as_array().ok_or_else(|| self.wrong_type("a list"))?;
        if array.len() > max {
            return Err(self.error(format!("has {} entries; {max} are the most", array.len())));
        }
        let entry = |(place, value)| Self::new(self.source, value, format!("{}[{place}]", self.path));
        Ok(array.iter().enumerate().map(entry).collect())
    }

    /// A list that has something in it.
    pub(super) fn some(&self, max: usize) -> Result<Vec<Self>, ManifestError> {
        let list = self.list(max)?;
        if list.is_empty() {
            Err(self.error("is empty"))
        } else {
            Ok(list)
        }
    }

    /// A table with these keys and no other.
    pub(super) fn table(&self, keys: &[&str]) -> Result<Table<'a>, ManifestError> {
        let table = self.value.as_table().ok_or_else(|| self.wrong_type("a table"))?;
        Table::new(self.source, table, self.at, self.path.clone(), keys)
    }

    /// The entries of a table whose keys are free; each with the place of its key.
    pub(super) fn entries(&self) -> Option<impl Iterator<Item = (&'a str, Self, Self)>> {
        let table = self.value.as_table()?;
        Some(table.iter().map(|(key, value)| {
            let name = key.get_ref().as_ref();
            let node = Self::new(self.source, value, words::join(&self.path, name));
            let at_key = Self {
                at: key.span().start,
                ..node.clone()
            };
            (name, at_key, node)
        }))
    }
}

impl<'a> Table<'a> {
    fn new(
        source: Source<'a>,
        table: &'a DeTable<'a>,
        at: usize,
        path: String,
        keys: &[&str],
    ) -> Result<Self, ManifestError> {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if keys.contains(&name) {
                continue;
            }
            let message = match words::closest(name, keys) {
                Some(near) => format!("is not a key here; did you mean `{near}`?"),
                None => format!("is not a key here; there are {}", words::listed(keys)),
            };
            return Err(source.error(key.span().start, &words::join(&path, name), message));
        }
        Ok(Self {
            source,
            table,
            at,
            path,
        })
    }

    /// The whole text as a table with these keys.
    pub(super) fn root(text: &'a str, table: &'a DeTable<'a>, keys: &[&str]) -> Result<Self, ManifestError> {
        Self::new(Source(text), table, 0, String::new(), keys)
    }

    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        let value = self.table.get(key)?;
        Some(Node::new(self.source, value, words::join(&self.path, key)))
    }

    pub(super) fn need(&self, key: &str) -> Result<Node<'a>, ManifestError> {
        self.get(key).ok_or_else(|| self.error(key, "is missing"))
    }

    /// An error about a key of this table, at the table's beginning.
    pub(super) fn error(&self, key: &str, message: impl Into<String>) -> ManifestError {
        self.source.error(self.at, &words::join(&self.path, key), message)
    }

    /// The entries of a list of tables; none if the key is not there.
    pub(super) fn each(&self, key: &str, max: usize) -> Result<Vec<Node<'a>>, ManifestError> {
        self.get(key)
            .map_or_else(|| Ok(Vec::new()), |node| node.list(max))
    }

    pub(super) fn flag_or(&self, key: &str, otherwise: bool) -> Result<bool, ManifestError> {
        self.get(key).map_or(Ok(otherwise), |node| node.flag())
    }

    pub(super) fn whole_or(
        &self,
        key: &str,
        otherwise: u64,
        bounds: Range<u64>,
    ) -> Result<u64, ManifestError> {
        self.get(key).map_or(Ok(otherwise), |node| node.whole(bounds))
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
