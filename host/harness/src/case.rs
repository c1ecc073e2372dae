//! A case: what is done with a connector, and with which configuration. A directory of its own: `case.toml`, the cassette, and what
//! comes of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use sluice_model::manifest::WriteKind;

use crate::error::Error;

/// What is done.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// The connection's configuration.
    pub config: Value,
    /// The auth scheme; the manifest's first without.
    pub auth: Option<String>,
    /// The streams that are read; all of them without.
    pub streams: Option<Vec<String>>,
    /// How many records a page is asked for.
    pub page_hint: u32,
    /// Pages of one stream and partition that are read before it counts as endless.
    pub max_pages: u32,
    /// Actions that are run, in this order, after the streams were read.
    pub actions: Vec<Act>,
    /// Writes to the vendor, in this order, after the actions; neighbours of one stream go in one call.
    pub writes: Vec<Write>,
    /// Webhooks that are handled, in this order.
    pub hooks: Vec<Hook>,
    /// Contract tests that do not hold here, each with the reason.
    pub skip: BTreeMap<String, String>,
}

/// An action and its input.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    pub name: String,
    #[serde(default)]
    pub input: Value,
}

/// A record that is written to the vendor.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    pub stream: String,
    pub op: WriteKind,
    /// The record; none for one that is made.
    pub id: Option<String>,
    /// What is written; none for one that is removed.
    pub data: Option<Value>,
    /// The vendor's revision that it builds on.
    pub expect_revision: Option<String>,
}

/// A webhook as it came.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// For people.
    pub name: String,
    /// The manifest's name of it; its first without.
    pub webhook: Option<String>,
    /// The file with the exact body, from the case's directory on.
    pub body: PathBuf,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub query: BTreeMap<String, String>,
}

impl Write {
    /// What it needs and has not, or has and must not.
    fn lacks(&self) -> Option<String> {
        let (op, id, data) = match self.op {
            WriteKind::Create => ("create", false, true),
            WriteKind::Update => ("update", true, true),
            WriteKind::Delete => ("delete", true, false),
        };
        let wrong = |name: &str, needed: bool| {
            let verb = if needed { "needs" } else { "takes no" };
            format!("`{op}` of {} {verb} `{name}`", self.stream)
        };
        let is_wrong = |needed: bool, there: bool| needed != there;
        if is_wrong(id, self.id.is_some()) {
            return Some(wrong("id", id));
        }
        is_wrong(data, self.data.is_some()).then(|| wrong("data", data))
    }
}

impl Default for Case {
    fn default() -> Self {
        Self {
            config: Value::Object(serde_json::Map::new()),
            auth: None,
            streams: None,
            page_hint: 100,
            max_pages: 200,
            actions: Vec::new(),
            writes: Vec::new(),
            hooks: Vec::new(),
            skip: BTreeMap::new(),
        }
    }
}

/// Bytes of a case's file.
const MAX_CASE_BYTES: u64 = 1 << 20;
/// Bytes of a webhook's body.
const MAX_BODY_BYTES: u64 = 8 << 20;

/// A case's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(PathBuf);

impl Place {
    /// The directory of the case.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// Every case of a connector: the directories in its `tests` that have a cassette or a `case.toml`, by name.
    #[must_use]
    pub fn all(connector: &Path) -> Vec<Self> {
        let entries = fs::read_dir(connector.join(TESTS))
            .into_iter()
            .flatten()
            .flatten();
        let mut all: Vec<_> = entries
            .map(|entry| Self(entry.path()))
            .filter(|place| place.cassette().is_file() || place.case().is_file())
            .collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// The case's name.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// What is done.
    #[must_use]
    pub fn case(&self) -> PathBuf {
        self.0.join("case.toml")
    }

    /// What the vendor said.
    #[must_use]
    pub fn cassette(&self) -> PathBuf {
        self.0.join("cassette.json")
    }

    /// What came of it.
    #[must_use]
    pub fn expected(&self) -> PathBuf {
        self.0.join("expected.json")
    }

    /// Reads what is to be done; without a file, everything that the manifest offers.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not a case.
    pub fn read(&self) -> Result<Case, Error> {
        let path = self.case();
        if !path.is_file() {
            return Ok(Case::default());
        }
        let bytes = bounded(&path, MAX_CASE_BYTES)?;
        let text = String::from_utf8_lossy(&bytes);
        let case: Case = toml::from_str(&text).map_err(|error| Error::Case {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        match case.writes.iter().find_map(Write::lacks) {
            Some(reason) => Err(Error::Case { path, reason }),
            None => Ok(case),
        }
    }

    /// The body of a webhook of the case.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or lies outside the connector.
    pub fn body(&self, hook: &Hook) -> Result<Vec<u8>, Error> {
        if hook.body.is_absolute() {
            return Err(Error::Case {
                path: self.case(),
                reason: format!(
                    "the body of `{}` is named from the case's directory on",
                    hook.name
                ),
            });
        }
        bounded(&self.0.join(&hook.body), MAX_BODY_BYTES)
    }
}

/// The directory of a connector's cases.
pub const TESTS: &str = "tests";

/// A file of at most so many bytes.
pub(crate) fn bounded(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > most {
        let reason = format!("has {size} bytes; {most} are the most");
        return Err(failed(std::io::Error::other(reason)));
    }
    fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_and_what_it_does_not_know_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path());
        assert_eq!(place.read().unwrap().page_hint, 100);
        fs::write(
            place.case(),
            "streams = [\"a\"]\n[config]\nlist = \"home\"\n[skip]\nresumes = \"it cannot\"\n",
        )
        .unwrap();
        let case = place.read().unwrap();
        assert_eq!(case.config["list"], "home");
        assert_eq!(case.skip["resumes"], "it cannot");
        fs::write(place.case(), "stream = \"a\"\n").unwrap();
        let refused = |words: &str| {
            let error = place.read().unwrap_err();
            assert_eq!(error.code(), "test.case");
            assert!(error.to_string().contains(words), "{error}");
        };
        refused("stream");
        fs::write(
            place.case(),
            "[[writes]]\nstream = \"a\"\nop = \"update\"\nid = \"1\"\n",
        )
        .unwrap();
        refused("`update` of a needs `data`");
        fs::write(
            place.case(),
            "[[writes]]\nstream = \"a\"\nop = \"create\"\nid = \"1\"\ndata = {}\n",
        )
        .unwrap();
        refused("`create` of a takes no `id`");
    }
}
