//! What one call's memories and tables may hold together. Wasmtime's own limiter counts each of them alone.

use wasmtime::ResourceLimiter;

/// Core instances of one store, as far as the pools allow.
const INSTANCES: usize = 64;

/// Sums every memory and every table of the store. Growing past the limit fails the way wasm says it fails, with -1:
/// an allocator in the guest may then return an error of its own.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes: usize,
    memory_limit: usize,
    table_elements: usize,
    table_limit: usize,
    refused: Option<Refused>,
}

/// What was refused first; it tells a trap for want of memory from another trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Memory,
    Table,
}

impl Limiter {
    pub(crate) fn new(memory_bytes: u64, table_elements: u64) -> Self {
        Self {
            memory_bytes: 0,
            memory_limit: usize::try_from(memory_bytes).unwrap_or(usize::MAX),
            table_elements: 0,
            table_limit: usize::try_from(table_elements).unwrap_or(usize::MAX),
            refused: None,
        }
    }

    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// All linear memory of the store now, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    fn grow(total: &mut usize, limit: usize, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        let next = total.saturating_add(desired.saturating_sub(current));
        let fits = next <= limit && maximum.is_none_or(|maximum| desired <= maximum);
        if fits {
            *total = next;
        }
        fits
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = Self::grow(
            &mut self.memory_bytes,
            self.memory_limit,
            current,
            desired,
            maximum,
        );
        if !fits {
            self.refused.get_or_insert(Refused::Memory);
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = Self::grow(
            &mut self.table_elements,
            self.table_limit,
            current,
            desired,
            maximum,
        );
        if !fits {
            self.refused.get_or_insert(Refused::Table);
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        INSTANCES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed() {
        let mut limiter = Limiter::new(100, 10);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(limiter.refused(), Some(Refused::Memory));
        assert_eq!(limiter.memory_bytes(), 100);
    }

    #[test]
    fn a_memory_past_its_own_maximum_is_not_counted() {
        let mut limiter = Limiter::new(100, 10);
        assert!(!limiter.memory_growing(0, 50, Some(40)).unwrap());
        assert!(limiter.memory_growing(0, 40, Some(40)).unwrap());
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(!limiter.table_growing(10, 11, None).unwrap());
    }
}
