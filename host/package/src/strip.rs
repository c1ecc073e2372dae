//! Taking out of a component what only a debugger reads. Nothing that runs changes: custom sections have no meaning for
//! WebAssembly (core specification §7.2), and DWARF counts from the code section, not from the file.

use crate::error::FormatError;
use crate::section::{self, COMPONENT, MODULE, Section};

/// Id of a core module within a component.
const CORE_MODULE: u8 = 1;

/// Id of a component within a component.
const NESTED: u8 = 4;

/// Deeper than any toolchain nests.
const MAX_DEPTH: usize = 16;

/// What is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// DWARF and pointers to it: names of functions stay, so that a trap can be told in words.
    Debug,
    /// The names too.
    All,
}

/// The component without, or nothing if there is nothing to take out.
pub(crate) fn strip(component: &[u8], what: What) -> Result<Option<Vec<u8>>, FormatError> {
    inner(component, what, 0)
}

fn inner(binary: &[u8], what: What, depth: usize) -> Result<Option<Vec<u8>>, FormatError> {
    if depth > MAX_DEPTH {
        return Err(FormatError::TooDeep(MAX_DEPTH));
    }
    let is_component = binary.starts_with(COMPONENT);
    if !is_component && !binary.starts_with(MODULE) {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(binary.len());
    out.extend_from_slice(if is_component { COMPONENT } else { MODULE });
    let mut changed = false;
    for section in section::sections(binary)? {
        if goes(&section, what) {
            changed = true;
            continue;
        }
        let within = is_component && matches!(section.id, CORE_MODULE | NESTED);
        let stripped = if within {
            inner(section.content, what, depth + 1)?
        } else {
            None
        };
        match stripped {
            Some(content) => {
                changed = true;
                section::write(section.id, &content, &mut out);
            }
            None => out.extend_from_slice(section.whole),
        }
    }
    Ok(changed.then_some(out))
}

fn goes(section: &Section<'_>, what: What) -> bool {
    let Some((name, _)) = section.custom() else {
        return false;
    };
    let debug = name.starts_with(".debug_")
        || matches!(name, "external_debug_info" | "sourceMappingURL" | "linking")
        || name.starts_with("reloc.");
    debug || (what == What::All && matches!(name, "name" | "component-name"))
}
