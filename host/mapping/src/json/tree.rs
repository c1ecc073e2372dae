//! A record that is being changed: opened where a rule goes, slices of the original everywhere else.

use std::borrow::Cow;

use super::scan::{Malformed, check, elements, members};
use super::text::encode;
use super::{Kind, kind};
use crate::pointer::Pointer;

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Node<'a> {
    /// JSON text without space around it.
    Raw(Cow<'a, str>),
    Object(Vec<Member<'a>>),
    Array(Vec<Node<'a>>),
}

/// A member of an opened object.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    /// The name as it was written, with its quotes.
    pub(crate) raw: Cow<'a, str>,
    pub(crate) value: Node<'a>,
}

/// Why a value cannot be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Blocked {
    #[error("what it would be inside of is not an object")]
    NotInside,
    #[error("there is a field of this name already")]
    Taken,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl<'a> Node<'a> {
    /// Opens a text whose outermost value is an object.
    pub(crate) fn object(text: &'a str) -> Result<Self, Malformed> {
        let found = members(text)?;
        Ok(Self::Object(found.into_iter().map(Member::borrowed).collect()))
    }

    /// Whether it is an object, opened or not.
    pub(crate) fn is_object(&self) -> bool {
        match self {
            Self::Raw(text) => kind(text) == Kind::Object,
            Self::Object(_) => true,
            Self::Array(_) => false,
        }
    }

    /// The value at a pointer as JSON text.
    pub(crate) fn read(&self, pointer: &Pointer) -> Result<Option<Cow<'_, str>>, Malformed> {
        self.read_at(pointer.tokens())
    }

    fn read_at(&self, tokens: &[String]) -> Result<Option<Cow<'_, str>>, Malformed> {
        let Some((token, rest)) = tokens.split_first() else {
            return Ok(Some(match self {
                Self::Raw(text) => Cow::Borrowed(text),
                _ => Cow::Owned(self.write()),
            }));
        };
        match self {
            Self::Raw(text) => Ok(read_text(text, tokens)?.map(Cow::Borrowed)),
            Self::Object(members) => match members.iter().find(|member| member.name == *token) {
                Some(member) => member.value.read_at(rest),
                None => Ok(None),
            },
            Self::Array(elements) => match index(token).and_then(|index| elements.get(index)) {
                Some(element) => element.read_at(rest),
                None => Ok(None),
            },
        }
    }

    /// Puts JSON text at a pointer; objects on the way that are missing or null are made.
    pub(crate) fn set(&mut self, pointer: &Pointer, text: String) -> Result<(), Blocked> {
        self.put(pointer.tokens(), Node::Raw(Cow::Owned(text)))
    }

    pub(crate) fn put(&mut self, tokens: &[String], value: Node<'a>) -> Result<(), Blocked> {
        let Some((token, rest)) = tokens.split_first() else {
            *self = value;
            return Ok(());
        };
        self.open()?;
        match self {
            Self::Raw(text) if kind(text) == Kind::Null => {
                *self = Self::Object(Vec::new());
                self.put(tokens, value)
            }
            Self::Raw(_) => Err(Blocked::NotInside),
            Self::Object(members) => {
                if let Some(member) = members.iter_mut().find(|member| member.name == *token) {
                    return member.value.put(rest, value);
                }
                let mut made = Node::Object(Vec::new());
                made.put(rest, value)?;
                members.push(Member::named(token, made));
                Ok(())
            }
            Self::Array(elements) => match index(token).and_then(|index| elements.get_mut(index)) {
                Some(element) => element.put(rest, value),
                None => Err(Blocked::NotInside),
            },
        }
    }

    /// Takes the value at a pointer out. What is not there is not an error.
    pub(crate) fn take(&mut self, tokens: &[String]) -> Result<Option<Node<'a>>, Malformed> {
        let Some((token, rest)) = tokens.split_first() else {
            return Ok(None);
        };
        if matches!(self, Self::Raw(_)) && self.read_at(tokens)?.is_none() {
            return Ok(None);
        }
        self.open()?;
        match self {
            Self::Raw(_) => Ok(None),
            Self::Object(members) => {
                let Some(place) = members.iter().position(|member| member.name == *token) else {
                    return Ok(None);
                };
                if rest.is_empty() {
                    return Ok(Some(members.remove(place).value));
                }
                match members.get_mut(place) {
                    Some(member) => member.value.take(rest),
                    None => Ok(None),
                }
            }
            Self::Array(elements) => match index(token) {
                Some(place) if place < elements.len() && rest.is_empty() => Ok(Some(elements.remove(place))),
                Some(place) => match elements.get_mut(place) {
                    Some(element) => element.take(rest),
                    None => Ok(None),
                },
                None => Ok(None),
            },
        }
    }

    /// Moves a value; within one object the field keeps its place. Nothing happens when there is nothing.
    pub(crate) fn rename(&mut self, from: &Pointer, to: &Pointer) -> Result<(), Blocked> {
        if from == to || self.read(from)?.is_none() {
            return Ok(());
        }
        if self.read(to)?.is_some() {
            return Err(Blocked::Taken);
        }
        if let (Some((old, parent)), Some((new, other))) =
            (from.tokens().split_last(), to.tokens().split_last())
            && parent == other
            && let Some(members) = self.members_at(parent)?
            && let Some(member) = members.iter_mut().find(|member| member.name == *old)
        {
            member.name = Cow::Owned(new.clone());
            member.raw = Cow::Owned(encode(new));
            return Ok(());
        }
        let Some(value) = self.take(from.tokens())? else {
            return Ok(());
        };
        self.put(to.tokens(), value)
    }

    /// The members of the object at a place, opened.
    pub(crate) fn members_at(
        &mut self,
        tokens: &[String],
    ) -> Result<Option<&mut Vec<Member<'a>>>, Malformed> {
        self.open()?;
        match (self, tokens.split_first()) {
            (Self::Object(members), None) => Ok(Some(members)),
            (Self::Object(members), Some((token, rest))) => {
                match members.iter_mut().find(|member| member.name == *token) {
                    Some(member) => member.value.members_at(rest),
                    None => Ok(None),
                }
            }
            (Self::Array(elements), Some((token, rest))) => {
                match index(token).and_then(|index| elements.get_mut(index)) {
                    Some(element) => element.members_at(rest),
                    None => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    /// Makes parts of an object or an array; a scalar stays text.
    pub(crate) fn open(&mut self) -> Result<(), Malformed> {
        let Self::Raw(text) = self else { return Ok(()) };
        let opened = match (kind(text), &*text) {
            (Kind::Object, Cow::Borrowed(text)) => {
                Self::Object(members(text)?.into_iter().map(Member::borrowed).collect())
            }
            (Kind::Object, Cow::Owned(text)) => {
                Self::Object(members(text)?.into_iter().map(Member::owned).collect())
            }
            (Kind::Array, Cow::Borrowed(text)) => {
                let found = elements(text)?;
                Self::Array(
                    found
                        .into_iter()
                        .map(|text| Self::Raw(Cow::Borrowed(text)))
                        .collect(),
                )
            }
            (Kind::Array, Cow::Owned(text)) => {
                let found = elements(text)?;
                Self::Array(
                    found
                        .into_iter()
                        .map(|text| Self::Raw(Cow::Owned(text.to_owned())))
                        .collect(),
                )
            }
            _ => return Ok(()),
        };
        *self = opened;
        Ok(())
    }

    /// The value as JSON text.
    pub(crate) fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out);
        out
    }

    fn write_to(&self, out: &mut String) {
        match self {
            Self::Raw(text) => out.push_str(text),
            Self::Object(members) => {
                out.push('{');
                for (place, member) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    out.push_str(&member.raw);
                    out.push(':');
                    member.value.write_to(out);
                }
                out.push('}');
            }
            Self::Array(elements) => {
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    element.write_to(out);
                }
                out.push(']');
            }
        }
    }
}

impl<'a> Member<'a> {
    fn borrowed((name, raw, value): (Cow<'a, str>, &'a str, &'a str)) -> Self {
        Self {
            name,
            raw: Cow::Borrowed(raw),
            value: Node::Raw(Cow::Borrowed(value)),
        }
    }

    fn owned((name, raw, value): (Cow<'_, str>, &str, &str)) -> Self {
        Self {
            name: Cow::Owned(name.into_owned()),
            raw: Cow::Owned(raw.to_owned()),
            value: Node::Raw(Cow::Owned(value.to_owned())),
        }
    }

    fn named(name: &str, value: Node<'a>) -> Self {
        Self {
            name: Cow::Owned(name.to_owned()),
            raw: Cow::Owned(encode(name)),
            value,
        }
    }
}

/// The place in an array that a token of a pointer names (RFC 6901 §4: no leading zero).
fn index(token: &str) -> Option<usize> {
    let is_plain = token == "0" || !token.starts_with(['0', '+']);
    is_plain.then(|| token.parse().ok()).flatten()
}

/// The value inside a text, which stays as it is.
fn read_text<'t>(text: &'t str, tokens: &[String]) -> Result<Option<&'t str>, Malformed> {
    let Some((token, rest)) = tokens.split_first() else {
        return check(text).map(Some);
    };
    let inner = match kind(text) {
        Kind::Object => members(text)?
            .into_iter()
            .find(|member| member.0 == *token)
            .map(|member| member.2),
        Kind::Array => index(token)
            .map(|index| Ok(elements(text)?.get(index).copied()))
            .transpose()?
            .flatten(),
        _ => None,
    };
    match inner {
        Some(inner) => read_text(inner, rest),
        None => Ok(None),
    }
}
