//! Placeholders: random texts that stand for secrets within one call. They mean nothing outside the broker, which puts
//! the value in their place on the wire, toward the origins that the secret is bound to.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;
use ring::rand::{SecureRandom, SystemRandom};
use sluice_model::secret::Secret;

use crate::credential::Origin;
use crate::error::Error;

/// What every placeholder begins with; a fixed beginning makes them quick to look for.
pub const PREFIX: &str = "sluice-placeholder-";
/// Placeholders of one call. Each costs a comparison per byte sent and a redaction per byte received.
pub const MAX_PLACEHOLDERS: usize = 64;

/// A secret that a placeholder stands for.
#[derive(Debug, Clone)]
pub struct Held {
    /// What it is called where it is redacted.
    pub name: String,
    pub secret: Secret,
    /// Where it may go.
    pub origins: Vec<Origin>,
}

/// The placeholders of one call. Clones share them.
#[derive(Clone, Default)]
pub struct Placeholders(Arc<Mutex<HashMap<String, Arc<Held>>>>);

impl Placeholders {
    /// Makes a placeholder for `held`.
    ///
    /// # Errors
    /// [`Error::Budget`] when the call has [`MAX_PLACEHOLDERS`] or the system has no randomness.
    pub fn insert(&self, held: Held) -> Result<String, Error> {
        let mut random = [0; 16];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| Error::Budget { what: "randomness" })?;
        let token = format!("{PREFIX}{}", HEXLOWER.encode(&random));
        let mut held_by = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held_by.len() >= MAX_PLACEHOLDERS {
            return Err(Error::Budget { what: "placeholders" });
        }
        held_by.insert(token.clone(), Arc::new(held));
        Ok(token)
    }

    /// All of them, as they are now.
    pub(crate) fn all(&self) -> Vec<(String, Arc<Held>)> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter()
            .map(|(token, held)| (token.clone(), Arc::clone(held)))
            .collect()
    }
}

impl fmt::Debug for Placeholders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Placeholders(…)")
    }
}
