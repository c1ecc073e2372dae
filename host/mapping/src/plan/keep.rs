//! Which fields stay.

use std::collections::HashMap;

use crate::json::{Malformed, Node};
use crate::outcome::{RECORD, Refused};
use crate::pointer::Pointer;

/// A tree of names; one without names below it is kept whole.
#[derive(Debug, Default)]
pub(super) struct Keep(HashMap<String, Option<Keep>>);

impl Keep {
    pub(super) fn add(&mut self, field: &Pointer) {
        self.add_at(field.tokens());
    }

    fn add_at(&mut self, tokens: &[String]) {
        let Some((token, rest)) = tokens.split_first() else {
            return;
        };
        if rest.is_empty() {
            self.0.insert(token.clone(), None);
        } else if let Some(inner) = self
            .0
            .entry(token.clone())
            .or_insert_with(|| Some(Self::default()))
        {
            inner.add_at(rest);
        }
    }

    /// Takes everything else out; whether there was anything.
    pub(super) fn apply(&self, node: &mut Node<'_>) -> Result<bool, Refused> {
        self.apply_at(node)
            .map_err(|error| Refused::new(RECORD, error.to_string(), ""))
    }

    fn apply_at(&self, node: &mut Node<'_>) -> Result<bool, Malformed> {
        node.open()?;
        let Node::Object(members) = node else {
            return Ok(false);
        };
        let before = members.len();
        // A field that is named below, and is no object, has nothing that was named.
        members.retain(|member| match self.0.get(member.name.as_ref()) {
            Some(None) => true,
            Some(Some(_)) => member.value.is_object(),
            None => false,
        });
        let mut is_changed = members.len() < before;
        for member in members {
            if let Some(Some(inner)) = self.0.get(member.name.as_ref()) {
                is_changed |= inner.apply_at(&mut member.value)?;
            }
        }
        Ok(is_changed)
    }
}
