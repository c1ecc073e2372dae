//! Texts with places for values: `https://${config.domain}/oauth/token`, `${secret.account#/client_email}`.

use std::fmt;

use serde_json::Value;
use zeroize::Zeroizing;

/// A text with places for values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Itself.
    Text(String),
    /// `${config.key}`: a property of the connection's configuration.
    Config(String),
    /// `${app.key}`: a part of the app.
    App(String),
    /// `${secret.key}`: a part of the credential; with `#` and a pointer (RFC 6901), what stands there in its JSON.
    Secret(String, Option<String>),
    /// `${key}`: something that the place knows that the template is for.
    Own(String),
}

/// What templates are filled with. A value that is missing makes no text.
pub trait Values {
    /// The value of a piece that is not [`Piece::Text`].
    fn value(&self, piece: &Piece) -> Option<Zeroizing<String>>;
}

/// Why a text is not a template, or could not be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// As written.
    #[error("`{0}` is not of the form `${{config.key}}`, `${{app.key}}`, `${{secret.key}}` or `${{key}}`")]
    Form(String),
    /// Where nothing is known under this name.
    #[error("there is no value for `{0}`")]
    Missing(String),
    /// A value that does not belong where it stands, and why.
    #[error("{0}")]
    Unfit(String),
}

/// The longest text that a template makes.
const MAX_FILLED_BYTES: usize = 64 << 10;

impl Template {
    /// A template without places.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            pieces: vec![Piece::Text(text.into())],
        }
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// When a `${` is not closed or names nothing that a template can take.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let form = || TemplateError::Form(after.chars().take(80).collect());
            let (inner, tail) = after.split_once('}').ok_or_else(form)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::parse(inner).ok_or_else(form)?);
            rest = tail;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    /// What it is made of.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The text with every value in its place.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Missing`] for a value that is not there, or makes the text longer than 64 KiB.
    pub fn fill(&self, values: &dyn Values) -> Result<Zeroizing<String>, TemplateError> {
        let mut filled = Zeroizing::new(String::with_capacity(256));
        for piece in &self.pieces {
            if let Piece::Text(text) = piece {
                filled.push_str(text);
                continue;
            }
            let value = values
                .value(piece)
                .filter(|value| filled.len() + value.len() <= MAX_FILLED_BYTES)
                .ok_or_else(|| TemplateError::Missing(piece.to_string()))?;
            filled.push_str(&value);
        }
        Ok(filled)
    }

    /// The text with the configuration's values alone, as addresses have them.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Missing`].
    pub fn fill_config(&self, config: &Value) -> Result<String, TemplateError> {
        Ok(self.fill(&OfConfig(config))?.to_string())
    }

    /// The template with the configuration's values in it as text; what else it takes stays.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Missing`].
    pub fn expand(&self, config: &Value) -> Result<Self, TemplateError> {
        let expanded = |piece: &Piece| match piece {
            Piece::Config(_) => OfConfig(config)
                .value(piece)
                .map(|value| Piece::Text(value.to_string()))
                .ok_or_else(|| TemplateError::Missing(piece.to_string())),
            _ => Ok(piece.clone()),
        };
        let pieces = self.pieces.iter().map(expanded).collect::<Result<_, _>>()?;
        Ok(Self { pieces })
    }

    /// Whether it takes this value.
    #[must_use]
    pub fn takes(&self, own: &str) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Own(key) if key == own))
    }
}

impl Piece {
    fn parse(inner: &str) -> Option<Self> {
        let is_key = |key: &str| {
            (1..=64).contains(&key.len())
                && key
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        let Some((kind, key)) = inner.split_once('.') else {
            return is_key(inner).then(|| Self::Own(inner.to_owned()));
        };
        let (key, pointer) = match key.split_once('#') {
            Some((key, pointer)) if kind == "secret" && pointer.starts_with('/') => {
                (key, Some(pointer.to_owned()))
            }
            Some(_) => return None,
            None => (key, None),
        };
        if !is_key(key) {
            return None;
        }
        match kind {
            "config" => Some(Self::Config(key.to_owned())),
            "app" => Some(Self::App(key.to_owned())),
            "secret" => Some(Self::Secret(key.to_owned(), pointer)),
            _ => None,
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Config(key) => write!(f, "${{config.{key}}}"),
            Self::App(key) => write!(f, "${{app.{key}}}"),
            Self::Secret(key, None) => write!(f, "${{secret.{key}}}"),
            Self::Secret(key, Some(pointer)) => write!(f, "${{secret.{key}#{pointer}}}"),
            Self::Own(key) => write!(f, "${{{key}}}"),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| write!(f, "{piece}"))
    }
}

struct OfConfig<'a>(&'a Value);

impl Values for OfConfig<'_> {
    fn value(&self, piece: &Piece) -> Option<Zeroizing<String>> {
        let Piece::Config(key) = piece else { return None };
        let value = match self.0.get(key)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Some(Zeroizing::new(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_back_as_written() {
        for text in [
            "",
            "plain",
            "https://${config.domain}/oauth/token",
            "${secret.account#/client_email}",
            "${method}\n${path}",
            "a${app.client_id}b${token}",
        ] {
            assert_eq!(Template::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "${",
            "${}",
            "${config.}",
            "${env.HOME}",
            "${config.a#/b}",
            "${a b}",
            "${secret.a#b}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fills_from_the_configuration_alone() {
        let template = Template::parse("https://${config.domain}/${config.tenant}/x").unwrap();
        let filled = template.fill_config(&json!({"domain": "a.example.com", "tenant": 7}));
        assert_eq!(filled.unwrap(), "https://a.example.com/7/x");
        assert!(template.fill_config(&json!({"domain": "a.example.com"})).is_err());
        let secret = Template::parse("${secret.a}").unwrap();
        assert_eq!(
            secret.fill_config(&json!({"a": "x"})),
            Err(TemplateError::Missing("${secret.a}".to_owned()))
        );
    }
}
