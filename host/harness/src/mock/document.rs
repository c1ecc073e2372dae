//! A vendor's OpenAPI document (3.0 or 3.1, JSON or YAML): which operation a request is, and what it answers.

use serde_json::{Map, Value, json};
use sluice_broker::Heard;

use super::answer;
use super::example::{self, resolve};
use super::yaml;

/// A document that was read.
#[derive(Debug, Clone)]
pub struct Document {
    whole: Value,
    /// Where the paths begin, by `servers`.
    bases: Vec<String>,
}

/// A document that cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("it is not JSON: {0}")]
    Json(String),
    #[error("it is neither JSON nor YAML that can be read: {0}")]
    Yaml(String),
    #[error("it has no `openapi: 3.…`")]
    Version,
    #[error("it has no paths")]
    Paths,
}

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

impl Document {
    /// Reads a document; one that begins with a brace is JSON, any other YAML.
    ///
    /// # Errors
    ///
    /// [`DocumentError`].
    pub fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        let whole: Value = if text.trim_ascii_start().starts_with(b"{") {
            serde_json::from_slice(text).map_err(|error| DocumentError::Json(error.to_string()))?
        } else {
            yaml::parse(text).map_err(DocumentError::Yaml)?
        };
        let version = whole.get("openapi").and_then(Value::as_str).unwrap_or_default();
        if !version.starts_with("3.") {
            return Err(DocumentError::Version);
        }
        if whole
            .get("paths")
            .and_then(Value::as_object)
            .is_none_or(Map::is_empty)
        {
            return Err(DocumentError::Paths);
        }
        let servers = whole
            .get("servers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let urls = servers.filter_map(|server| server.get("url")?.as_str());
        let mut bases: Vec<String> = urls.map(base).filter(|base| !base.is_empty()).collect();
        bases.push(String::new());
        Ok(Self { whole, bases })
    }

    /// How many operations it has.
    #[must_use]
    pub fn operations(&self) -> usize {
        let items = self.paths().flat_map(|(_, item)| item.as_object());
        items
            .map(|item| item.keys().filter(|key| METHODS.contains(&key.as_str())).count())
            .sum()
    }

    fn paths(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.whole
            .get("paths")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    pub(super) fn answer(&self, method: &str, target: &str) -> (Heard, String) {
        let path = target.split('?').next().unwrap_or_default();
        let Some((template, item)) = self.find(path) else {
            let value = json!({"mock": "the document has no such path"});
            return (answer(404, &value), "no such path".to_owned());
        };
        let Some(operation) = item.get(method.to_lowercase()) else {
            let value = json!({"mock": "the document has no such method at this path"});
            return (answer(405, &value), "no such method".to_owned());
        };
        let note = format!("{method} {template}");
        let Some((status, response)) = self.response(operation) else {
            return (answer(200, &json!({})), note);
        };
        let mut heard = match example::of_response(&self.whole, response) {
            Some(value) => answer(status, &value),
            None => Heard {
                status,
                headers: Vec::new(),
                body: bytes::Bytes::new(),
            },
        };
        heard.headers.extend(example::headers(&self.whole, response));
        (heard, note)
    }

    /// The path's item: one that is written out comes before one with parameters.
    fn find(&self, path: &str) -> Option<(&str, &Value)> {
        let of_base = |base: &String| {
            path.strip_prefix(base.as_str())
                .filter(|rest| rest.starts_with('/'))
        };
        let rests: Vec<&str> = self.bases.iter().filter_map(of_base).collect();
        let fits = |(template, _): &(&String, &Value)| rests.iter().any(|rest| is_of(template, rest));
        let best = self
            .paths()
            .filter(fits)
            .min_by_key(|(template, _)| template.matches('{').count())?;
        Some((best.0.as_str(), resolve(&self.whole, best.1)))
    }

    /// The response of the lowest status that says that it went well; else the default.
    fn response<'a>(&'a self, operation: &'a Value) -> Option<(u16, &'a Value)> {
        let responses = operation.get("responses")?.as_object()?;
        let status = |text: &str| text.replace(['X', 'x'], "0").parse::<u16>().ok();
        let good = responses
            .iter()
            .filter_map(|(key, response)| Some((status(key)?, response)))
            .filter(|(status, _)| (200..300).contains(status))
            .min_by_key(|(status, _)| *status);
        let found = good.or_else(|| responses.get("default").map(|response| (200, response)))?;
        Some((found.0, resolve(&self.whole, found.1)))
    }
}

/// The path of a server's address.
fn base(url: &str) -> String {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
        None => url,
    };
    path.trim_end_matches('/').to_owned()
}

/// Whether a path is one of a template's: `/pets/{id}`.
fn is_of(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) => {
                let is_parameter = wanted.contains('{');
                if !(wanted == found || is_parameter && !found.is_empty()) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}
