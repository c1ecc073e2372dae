//! jq programs of people we do not know, over records of vendors we do not know: jaq with a budget that holds.
//!
//! jaq has no fuel of its own. Three things together bound it:
//! 1. **The language is closed** ([`allow`]): a program is a tree of at most [`MAX_DEPTH`] levels, defines nothing, and calls only
//!    what is listed there. Nothing listed recurses except over a value, whose depth is bounded; nothing reads the outside.
//! 2. **The tree is metered** ([`meter`]): before it is compiled, the program, and jaq's own definitions that it may use, are
//!    rewritten so that every term that can give a result pays a step for each, and every term that builds or walks a value pays
//!    for the value's size, before and after. A product of sizes is paid for before it is worked on.
//! 3. **Running out cannot be caught**: the meter ends the run by jaq's `halt`, which `try`, `?` and `//` let through.
//!
//! So time and memory of a run are proportional to its steps. Threads, deadlines and signals are not needed, and the same
//! program on the same record always ends the same.
//!
//! Numbers go in as text and come out as text unless the program calculates with them; what it calculates is an integer of
//! any length up to [`meter::MAX_DIGIT_BITS`] bits, or a float.

mod allow;
mod guard;
mod meter;
mod value;

use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars};

use crate::outcome::{BUDGET, PROGRAM, RESULT};
use meter::{Meter, Metered, Spent};

/// Bytes of a program.
pub(crate) const MAX_PROGRAM_BYTES: usize = 16 << 10;

/// Levels of a program's tree; a chain of operators counts each of them.
pub(crate) const MAX_DEPTH: usize = 100;

/// A compiled program.
pub(crate) struct Program {
    filter: jaq_core::compile::Filter<jaq_core::Native<Metered>>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Program").finish_non_exhaustive()
    }
}

/// Why a run gave nothing: a code of [`crate::Refused::CODES`] and a sentence.
pub(crate) type Failed = (&'static str, String);

impl Program {
    /// Checks and compiles a program; the error is a sentence.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PROGRAM_BYTES {
            return Err("a program has at most 16 KiB".into());
        }
        let arena = Arena::default();
        let body = meter::tap(allow::check(guard::parse(text)?)?);
        let main = Def {
            name: "main",
            args: Vec::new(),
            body,
        };
        let defs: Vec<Def<&str>> = allow::definitions().chain([main]).collect();
        let modules = Loader::new(defs)
            .load(
                &arena,
                File {
                    code: "main",
                    path: (),
                },
            )
            .map_err(|_| "the program cannot be read".to_owned())?;
        let compiled = Compiler::default().with_funs(meter::natives()).compile(modules);
        let filter = compiled.map_err(|errors| {
            let names = errors
                .iter()
                .flat_map(|(_, errors)| errors)
                .map(|(name, what)| format!("{} {name}", what.as_str()));
            let names: Vec<String> = names.take(3).collect();
            format!("undefined: {}", names.join(", "))
        })?;
        Ok(Self { filter })
    }

    /// The one result of the program on a record's text, as JSON text.
    pub(crate) fn run(&self, record: &str) -> Result<String, Failed> {
        let input = value::read(record).map_err(|reason| (PROGRAM, reason))?;
        let meter = Meter::for_input(record.len());
        let ctx = Ctx::<Metered>::new(meter::Shared::new(&self.filter.lut, &meter), Vars::new([]));
        let mut results = self.filter.id.run((ctx, input));
        let first = results
            .next()
            .ok_or_else(|| (RESULT, "the program gave no result".to_owned()))?;
        let first = first.map_err(|error| failed(error, &meter))?;
        match results.next() {
            None => {}
            Some(Ok(_)) => return Err((RESULT, "the program gave more than one result".into())),
            Some(Err(error)) => return Err(failed(error, &meter)),
        }
        value::write(&first).map_err(|reason| (RESULT, reason.to_owned()))
    }
}

/// The error without what it says of the record: messages of jq quote values.
fn failed(error: jaq_core::Exn<'_, jaq_json::Val>, meter: &Meter) -> Failed {
    match (meter.spent(), error.get_err().is_ok()) {
        (None, true) => (PROGRAM, "the program ended with an error on this record".into()),
        (None, false) => (PROGRAM, "the program stopped".into()),
        (Some(Spent::Steps), _) => (
            BUDGET,
            "the program takes more steps than one record may take".into(),
        ),
        (Some(Spent::Size), _) => (
            BUDGET,
            "the program makes a value bigger than one record may have".into(),
        ),
        (Some(Spent::Depth), _) => (
            BUDGET,
            "the program makes a value nested deeper than one record may be".into(),
        ),
    }
}

#[cfg(test)]
mod tests;
