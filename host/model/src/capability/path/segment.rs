//! One segment of a path pattern.

/// What may stand between two slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    /// Exactly this; empty only at the end of a path.
    Literal(String),
    /// `*`: anything but the empty segment.
    One,
    /// `a*b`: at least one star and one other character.
    Glob(Glob),
    /// `**`: any number of segments.
    Many,
}

/// A text with stars in it, taken apart at the stars.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Glob {
    before: String,
    between: Vec<String>,
    after: String,
}

impl Segment {
    /// Nothing if a `**` is only a part of the segment.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => return Some(Self::One),
            "**" => return Some(Self::Many),
            _ if text.contains("**") => return None,
            _ => {}
        }
        let Some((before, rest)) = text.split_once('*') else {
            return Some(Self::Literal(text.to_owned()));
        };
        let mut between: Vec<String> = rest.split('*').map(str::to_owned).collect();
        let after = between.pop().unwrap_or_default();
        Some(Self::Glob(Glob {
            before: before.to_owned(),
            between,
            after,
        }))
    }

    /// Whether this one segment of a path is meant. `**` is the caller's to take apart.
    pub(super) fn matches(&self, part: &str) -> bool {
        match self {
            Self::Literal(text) => text == part,
            Self::One | Self::Many => !part.is_empty(),
            Self::Glob(glob) => glob.matches(part),
        }
    }

    /// Whether every segment that `other` means is meant. Neither may be `**`.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One, Self::Literal(text)) => !text.is_empty(),
            (Self::One, Self::One | Self::Glob(_)) => true,
            (Self::Literal(text), Self::Literal(theirs)) => text == theirs,
            (Self::Glob(glob), Self::Literal(theirs)) => glob.matches(theirs),
            (Self::Glob(glob), Self::Glob(theirs)) => glob.covers(theirs),
            _ => false,
        }
    }
}

impl Glob {
    /// The leftmost place for each piece leaves the most room for the rest, so no place has to be tried again.
    fn matches(&self, text: &str) -> bool {
        let inner = text
            .strip_prefix(self.before.as_str())
            .and_then(|rest| rest.strip_suffix(self.after.as_str()));
        let Some(mut rest) = inner else { return false };
        self.between
            .iter()
            .all(|piece| match rest.split_once(piece.as_str()) {
                Some((_, tail)) => {
                    rest = tail;
                    true
                }
                None => false,
            })
    }

    /// A star of theirs can be any text, so only a star of ours can take it: their pattern is matched as if its stars
    /// were a character that no pattern has.
    fn covers(&self, other: &Self) -> bool {
        let mut text = other.before.clone();
        for piece in &other.between {
            text.push('\0');
            text.push_str(piece);
        }
        text.push('\0');
        text.push_str(&other.after);
        self.matches(&text)
    }
}
