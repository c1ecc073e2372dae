//! Steps, and what a value costs.

use std::cell::Cell;

use jaq_core::data::{DataT, HasLut};
use jaq_core::{Exn, Lut};
use jaq_json::{Num, Val};

use crate::json::MAX_DEPTH;

/// Steps of a run, before what its record's size adds: well under a tenth of a second.
const STEPS: u64 = 500_000;

/// Steps for each byte of the record, so that a long record can be walked as often as a short one.
const STEPS_PER_BYTE: u64 = 8;

/// Bytes of text that cost a step.
const BYTES_PER_STEP: u64 = 8;

/// Values inside one value.
const MAX_NODES: u64 = 1_000_000;

/// Bytes of text inside one value: twice the longest record.
const MAX_BYTES: u64 = 16 << 20;

/// The longest integer that is calculated with; multiplying such takes a microsecond.
pub(crate) const MAX_DIGIT_BITS: u64 = 4_096;

/// What a run ran out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spent {
    Steps,
    Size,
    Depth,
}

/// The budget of one run.
#[derive(Debug)]
pub(crate) struct Meter {
    left: Cell<u64>,
    spent: Cell<Option<Spent>>,
    /// Values inside the biggest value so far: the most that changing one place of an array can move.
    biggest: Cell<u64>,
}

impl Meter {
    pub(crate) fn for_input(bytes: usize) -> Self {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let steps = STEPS.saturating_add(bytes.saturating_mul(STEPS_PER_BYTE));
        Self {
            left: Cell::new(steps),
            spent: Cell::new(None),
            biggest: Cell::new(0),
        }
    }

    /// What ended the run, if the budget did.
    pub(crate) fn spent(&self) -> Option<Spent> {
        self.spent.get()
    }

    /// Pays, or ends the run.
    pub(crate) fn pay<'a>(&self, steps: u64) -> Result<(), Exn<'a, Val>> {
        match self.left.get().checked_sub(steps) {
            Some(left) if self.spent.get().is_none() => {
                self.left.set(left);
                Ok(())
            }
            _ => Err(self.end(Spent::Steps)),
        }
    }

    /// Ends the run by what a program cannot catch.
    pub(crate) fn end<'a>(&self, by: Spent) -> Exn<'a, Val> {
        self.left.set(0);
        if self.spent.get().is_none() {
            self.spent.set(Some(by));
        }
        Exn::halt(1)
    }

    /// Pays for a use as an index: a removal moves what comes after.
    pub(crate) fn pay_index<'a>(&self) -> Result<(), Exn<'a, Val>> {
        self.pay(1 + self.biggest.get() / 256)
    }

    /// Pays for the size of a value. Values share their parts, so that a small value can be huge when it is walked: the walk
    /// pays as it goes.
    pub(crate) fn weigh<'a>(&self, value: &Val) -> Result<(), Exn<'a, Val>> {
        let mut size = Size { nodes: 0, bytes: 0 };
        let left = self.left.get();
        size.add(value, 0, left).map_err(|by| self.end(by))?;
        self.biggest.set(self.biggest.get().max(size.nodes));
        self.pay(size.cost())
    }

    /// Refuses a text that would be too long.
    pub(crate) fn allow_bytes<'a>(&self, bytes: u64) -> Result<(), Exn<'a, Val>> {
        if bytes > MAX_BYTES {
            return Err(self.end(Spent::Size));
        }
        self.pay(bytes / BYTES_PER_STEP)
    }
}

struct Size {
    nodes: u64,
    bytes: u64,
}

impl Size {
    const fn cost(&self) -> u64 {
        1 + self.nodes + self.bytes / BYTES_PER_STEP
    }

    fn add(&mut self, value: &Val, depth: usize, left: u64) -> Result<(), Spent> {
        self.nodes += 1;
        match value {
            Val::Null | Val::Bool(_) | Val::Num(Num::Int(_) | Num::Float(_)) => {}
            Val::Num(Num::BigInt(number)) if number.bits() > MAX_DIGIT_BITS => return Err(Spent::Size),
            Val::Num(Num::BigInt(number)) => self.bytes += number.bits() / 8,
            Val::Num(Num::Dec(text)) => self.bytes += bytes(text.len()),
            Val::BStr(text) | Val::TStr(text) => self.bytes += bytes(text.len()),
            Val::Arr(_) | Val::Obj(_) if depth >= MAX_DEPTH => return Err(Spent::Depth),
            Val::Arr(values) => values
                .iter()
                .try_for_each(|value| self.add(value, depth + 1, left))?,
            Val::Obj(pairs) => {
                for (key, value) in pairs.iter() {
                    // An entry of an object takes several times the memory of an element.
                    self.nodes += 2;
                    self.add(key, depth + 1, left)?;
                    self.add(value, depth + 1, left)?;
                }
            }
        }
        if self.nodes > MAX_NODES || self.bytes > MAX_BYTES {
            return Err(Spent::Size);
        }
        if self.cost() > left {
            Err(Spent::Steps)
        } else {
            Ok(())
        }
    }
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// jaq's type parameter: values as jaq has them, and a meter beside the compiled program.
#[derive(Debug)]
pub(crate) struct Metered;

impl DataT for Metered {
    type V<'a> = Val;
    type Data<'a> = Shared<'a>;
}

/// What the functions of a run share.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    lut: &'a Lut<Metered>,
    pub(crate) meter: &'a Meter,
}

impl<'a> Shared<'a> {
    pub(crate) const fn new(lut: &'a Lut<Metered>, meter: &'a Meter) -> Self {
        Self { lut, meter }
    }
}

impl<'a> HasLut<'a, Metered> for Shared<'a> {
    fn lut(&self) -> &'a Lut<Metered> {
        self.lut
    }
}
