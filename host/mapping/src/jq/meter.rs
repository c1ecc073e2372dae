//! What a run may spend, and the rewriting that makes a program pay.

mod charge;
mod natives;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

pub(super) use charge::{Meter, Metered, Shared, Spent};
pub(super) use natives::natives;

/// Pays a step for each value that passes.
const STEP: &str = "!step";
/// Pays for the size of each value that passes.
const WEIGH: &str = "!weigh";
/// Pays for the use of each value that passes as an index.
const INDEX: &str = "!index";
/// The variable of a rewritten `l *= r`.
const OPERAND: &str = "$!operand";

/// Whether a function of ours is called for this name.
pub(super) fn replaces(name: &str) -> bool {
    own(name).is_some()
}

/// Ours instead of jaq's: those whose cost is not linear, or that would read what no record can be.
fn own(name: &str) -> Option<&'static str> {
    match name {
        "contains" => Some("!contains"),
        "join" => Some("!join"),
        "fromjson" => Some("!fromjson"),
        "tonumber" => Some("!tonumber"),
        _ => None,
    }
}

/// A term that pays.
pub(super) fn tap(term: Term<&str>) -> Term<&str> {
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) | Term::Break(_) => term,
        Term::Str(format, parts) if parts.iter().all(|part| !matches!(part, StrPart::Term(_))) => {
            Term::Str(format, parts)
        }
        Term::Str(..) => weigh(key(term)),
        Term::Recurse => step(Term::Recurse),
        Term::Arr(of) => weigh(Term::Arr(of.map(|of| Box::new(tap(*of))))),
        Term::Obj(pairs) => {
            let pairs = pairs.into_iter().map(|(name, value)| (key(name), value.map(tap)));
            weigh(Term::Obj(pairs.collect()))
        }
        Term::Neg(of) => step(Term::Neg(Box::new(weighed(*of)))),
        Term::BinOp(left, op, right) => operation(*left, op, *right),
        Term::Label(name, of) => Term::Label(name, Box::new(tap(*of))),
        Term::Fold(kind, over, bound, parts) => {
            let parts = parts.into_iter().map(weighed).collect();
            weigh(Term::Fold(kind, Box::new(tap(*over)), pattern(bound), parts))
        }
        Term::TryCatch(of, caught) => weigh(Term::TryCatch(
            Box::new(tap(*of)),
            caught.map(|caught| Box::new(tap(*caught))),
        )),
        Term::IfThenElse(cases, otherwise) => {
            let cases = cases
                .into_iter()
                .map(|(when, then)| (tap(when), tap(then)))
                .collect();
            step(Term::IfThenElse(
                cases,
                otherwise.map(|otherwise| Box::new(tap(*otherwise))),
            ))
        }
        Term::Def(defs, of) => {
            let defs = defs
                .into_iter()
                .map(|def| Def {
                    body: tap(def.body),
                    ..def
                })
                .collect();
            Term::Def(defs, Box::new(tap(*of)))
        }
        Term::Call(name, args) => {
            let args = args.into_iter().map(weighed).collect();
            // What is called walks its input, so that is paid for before.
            let called = Term::Call(own(name).unwrap_or(name), args);
            weigh(Term::BinOp(
                Box::new(call(WEIGH)),
                BinaryOp::Pipe(None),
                Box::new(called),
            ))
        }
        Term::Path(base, Path(parts)) => {
            // `.a.b` gives one value and walks nothing.
            let is_plain = parts
                .iter()
                .all(|(part, _)| matches!(part, Part::Index(at) if is_literal(at)));
            if is_plain {
                return Term::Path(Box::new(tap(*base)), Path(parts));
            }
            let parts = parts.into_iter().map(|(part, opt)| {
                let part = match part {
                    Part::Index(at) => Part::Index(index(at)),
                    Part::Range(from, to) => Part::Range(from.map(index), to.map(index)),
                };
                (part, opt)
            });
            step(Term::Path(Box::new(weighed(*base)), Path(parts.collect())))
        }
    }
}

fn operation<'s>(left: Term<&'s str>, op: BinaryOp<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    let join = |left, op, right| Term::BinOp(Box::new(left), op, Box::new(right));
    match op {
        BinaryOp::Pipe(bound) => join(tap(left), BinaryOp::Pipe(bound.map(pattern)), tap(right)),
        BinaryOp::Comma | BinaryOp::Alt | BinaryOp::Or | BinaryOp::And => {
            step(join(tap(left), op, tap(right)))
        }
        BinaryOp::Math(op) => weigh(math(weighed(left), op, weighed(right))),
        // Comparing with something small is quick, however big the other is.
        BinaryOp::Cmp(_) if is_literal(&left) || is_literal(&right) => step(join(tap(left), op, tap(right))),
        BinaryOp::Cmp(_) => step(join(weighed(left), op, weighed(right))),
        BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateAlt => {
            weigh(join(tap(left), op, weighed(right)))
        }
        // As jaq defines it: `r as $x | l |= . + $x`.
        BinaryOp::UpdateMath(op) => {
            let change = weigh(math(call(WEIGH), op, Term::Var(OPERAND)));
            let update = join(tap(left), BinaryOp::Update, change);
            weigh(join(
                weighed(right),
                BinaryOp::Pipe(Some(Pattern::Var(OPERAND))),
                update,
            ))
        }
    }
}

fn math<'s>(left: Term<&'s str>, op: Math, right: Term<&'s str>) -> Term<&'s str> {
    match op {
        // A text times a number can be any size, which has to be known before.
        Math::Mul => Term::Call("!times", vec![left, right]),
        op => Term::BinOp(Box::new(left), BinaryOp::Math(op), Box::new(right)),
    }
}

fn pattern(bound: Pattern<&str>) -> Pattern<&str> {
    match bound {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(parts) => Pattern::Arr(parts.into_iter().map(pattern).collect()),
        Pattern::Obj(parts) => Pattern::Obj(
            parts
                .into_iter()
                .map(|(name, part)| (key(name), pattern(part)))
                .collect(),
        ),
    }
}

/// A key of an object: a text or a variable has to stay one, for `{a}` and `{$a}`.
fn key(term: Term<&str>) -> Term<&str> {
    match term {
        Term::Str(format, parts) => {
            let parts = parts.into_iter().map(|part| match part {
                StrPart::Term(of) => StrPart::Term(weighed(of)),
                part => part,
            });
            Term::Str(format, parts.collect())
        }
        Term::Var(_) => term,
        term => weighed(term),
    }
}

fn is_literal(term: &Term<&str>) -> bool {
    match term {
        Term::Num(_) => true,
        Term::Str(None, parts) => parts.iter().all(|part| !matches!(part, StrPart::Term(_))),
        Term::Arr(of) => of.is_none(),
        Term::Obj(pairs) => pairs.is_empty(),
        Term::Call(name, args) => args.is_empty() && matches!(*name, "true" | "false" | "null"),
        _ => false,
    }
}

fn index(term: Term<&str>) -> Term<&str> {
    if is_literal(&term) {
        return term;
    }
    Term::BinOp(
        Box::new(weighed(term)),
        BinaryOp::Pipe(None),
        Box::new(call(INDEX)),
    )
}

/// A term that pays, and pays for the size of what it gives.
fn weighed(term: Term<&str>) -> Term<&str> {
    if is_literal(&term) {
        return tap(term);
    }
    match tap(term) {
        Term::Id => call(WEIGH),
        Term::BinOp(of, BinaryOp::Pipe(None), then) if matches!(*then, Term::Call(WEIGH, _)) => {
            Term::BinOp(of, BinaryOp::Pipe(None), then)
        }
        term => weigh(term),
    }
}

fn weigh(term: Term<&str>) -> Term<&str> {
    Term::BinOp(Box::new(term), BinaryOp::Pipe(None), Box::new(call(WEIGH)))
}

fn step(term: Term<&str>) -> Term<&str> {
    Term::BinOp(Box::new(term), BinaryOp::Pipe(None), Box::new(call(STEP)))
}

fn call<'s>(name: &'static str) -> Term<&'s str> {
    Term::Call(name, Vec::new())
}
