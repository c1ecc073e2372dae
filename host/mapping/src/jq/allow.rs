//! The closed language: what a program may be made of.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::{Part, Path};

use super::{MAX_DEPTH, meter};

/// Digits of a number in a program.
const MAX_NUMBER_BYTES: usize = 64;

/// What programs may call, with the count of arguments. Left out are: what reads the outside (`input`, `env`, `now`,
/// `input_filename`, `$__loc__`), what writes to it (`debug`, `stderr`, `halt`), what recurses over anything but a value
/// (`recurse/1`, `repeat`, `while`, `until`, `combinations`), what is not linear in its input (`indices`, `index`, `bsearch`,
/// `splits`, the regular expressions), and bytes that are no text (`tobytes`, `implode`).
const CALLS: &[(&str, usize)] = &[
    ("add", 0),
    ("add", 1),
    ("all", 0),
    ("all", 1),
    ("all", 2),
    ("any", 0),
    ("any", 1),
    ("any", 2),
    ("abs", 0),
    ("arrays", 0),
    ("ascii_downcase", 0),
    ("ascii_upcase", 0),
    ("booleans", 0),
    ("ceil", 0),
    ("contains", 1),
    ("del", 1),
    ("delpaths", 1),
    ("empty", 0),
    ("endswith", 1),
    ("error", 0),
    ("error", 1),
    ("explode", 0),
    ("false", 0),
    ("first", 0),
    ("first", 1),
    ("flatten", 0),
    ("flatten", 1),
    ("floor", 0),
    ("from_entries", 0),
    ("fromjson", 0),
    ("getpath", 1),
    ("group_by", 1),
    ("has", 1),
    ("in", 1),
    ("inside", 1),
    ("isarray", 0),
    ("isboolean", 0),
    ("isempty", 1),
    ("isnumber", 0),
    ("isobject", 0),
    ("isstring", 0),
    ("iterables", 0),
    ("join", 1),
    ("keys", 0),
    ("keys_unsorted", 0),
    ("last", 0),
    ("last", 1),
    ("length", 0),
    ("limit", 2),
    ("ltrim", 0),
    ("ltrimstr", 1),
    ("map", 1),
    ("map_values", 1),
    ("max", 0),
    ("max_by", 1),
    ("min", 0),
    ("min_by", 1),
    ("not", 0),
    ("nth", 1),
    ("nth", 2),
    ("null", 0),
    ("nulls", 0),
    ("numbers", 0),
    ("objects", 0),
    ("path", 1),
    ("paths", 0),
    ("paths", 1),
    ("pick", 1),
    ("range", 1),
    ("range", 2),
    ("range", 3),
    ("recurse", 0),
    ("reverse", 0),
    ("round", 0),
    ("rtrim", 0),
    ("rtrimstr", 1),
    ("scalars", 0),
    ("select", 1),
    ("setpath", 2),
    ("skip", 2),
    ("sort", 0),
    ("sort_by", 1),
    ("split", 1),
    ("startswith", 1),
    ("strings", 0),
    ("to_entries", 0),
    ("tojson", 0),
    ("tonumber", 0),
    ("tostring", 0),
    ("trim", 0),
    ("true", 0),
    ("type", 0),
    ("unique", 0),
    ("unique_by", 1),
    ("utf8bytelength", 0),
    ("values", 0),
    ("walk", 1),
    ("with_entries", 1),
];

/// Definitions of jaq that those need and that are not called by name.
const INNER: &[(&str, usize)] = &[("recurse", 1)];

/// jaq's own definitions that a program can reach, metered.
pub(super) fn definitions<'s>() -> impl Iterator<Item = Def<&'s str>> {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let reached = all.filter(|def| {
        let is = |list: &[(&str, usize)]| list.contains(&(def.name, def.args.len()));
        (is(CALLS) || is(INNER)) && !meter::replaces(def.name)
    });
    reached.map(|def| -> Def<&'s str> {
        Def {
            body: meter::tap(def.body),
            ..def
        }
    })
}

/// The program, if it is of the language.
pub(super) fn check(program: Term<&str>) -> Result<Term<&str>, String> {
    term(&program, 0)?;
    Ok(program)
}

fn term(at: &Term<&str>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("the program is nested deeper than {MAX_DEPTH} levels"));
    }
    let inner = |at: &Term<&str>| term(at, depth + 1);
    match at {
        Term::Id | Term::Recurse | Term::Var(_) => Ok(()),
        Term::Num(number) if number.len() > MAX_NUMBER_BYTES => Err(format!(
            "a number in a program has at most {MAX_NUMBER_BYTES} digits"
        )),
        Term::Num(_) => Ok(()),
        Term::Str(Some(format), _) => Err(format!("`{format}` is not available here")),
        Term::Str(None, parts) => parts.iter().try_for_each(|part| match part {
            StrPart::Term(at) => inner(at),
            _ => Ok(()),
        }),
        Term::Arr(of) => of.iter().try_for_each(|at| inner(at)),
        Term::Obj(pairs) => pairs.iter().try_for_each(|(key, value)| {
            inner(key)?;
            value.iter().try_for_each(inner)
        }),
        Term::Neg(of) => inner(of),
        Term::BinOp(left, op, right) => {
            if let BinaryOp::Pipe(Some(bound)) = op {
                pattern(bound, depth + 1)?;
            }
            inner(left)?;
            inner(right)
        }
        Term::Label(..) | Term::Break(_) => Err("`label` and `break` are not available here".into()),
        Term::Def(..) => Err("`def` is not available here: a program cannot define or repeat itself".into()),
        Term::Fold(_, over, bound, parts) => {
            inner(over)?;
            pattern(bound, depth + 1)?;
            parts.iter().try_for_each(inner)
        }
        Term::TryCatch(of, caught) => {
            inner(of)?;
            caught.iter().try_for_each(|at| inner(at))
        }
        Term::IfThenElse(cases, otherwise) => {
            cases
                .iter()
                .try_for_each(|(when, then)| inner(when).and_then(|()| inner(then)))?;
            otherwise.iter().try_for_each(|at| inner(at))
        }
        Term::Call(name, args) => {
            if !CALLS.contains(&(*name, args.len())) {
                return Err(format!("`{name}/{}` is not available here", args.len()));
            }
            args.iter().try_for_each(inner)
        }
        Term::Path(base, Path(parts)) => {
            inner(base)?;
            parts.iter().try_for_each(|(part, _)| match part {
                Part::Index(at) => inner(at),
                Part::Range(from, to) => from.iter().chain(to).try_for_each(inner),
            })
        }
    }
}

fn pattern(at: &Pattern<&str>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("the program is nested deeper than {MAX_DEPTH} levels"));
    }
    match at {
        Pattern::Var(_) => Ok(()),
        Pattern::Arr(parts) => parts.iter().try_for_each(|part| pattern(part, depth + 1)),
        Pattern::Obj(parts) => parts.iter().try_for_each(|(key, part)| {
            term(key, depth + 1)?;
            pattern(part, depth + 1)
        }),
    }
}
