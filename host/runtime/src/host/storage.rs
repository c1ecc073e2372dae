//! `storage`: the call's stage. Each write asks for the room anew: it may have been withdrawn while the call was under way.

use crate::bindings::sluice::connector::storage::{Entry, Error, Host};
use crate::stage::Refusal;
use crate::state::State;

impl Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Entry>> {
        self.meter.call()?;
        Ok(self
            .stage
            .get(&key)
            .map(|(value, version)| Entry { value, version }))
    }

    fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        expect: Option<u64>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.meter.call()?;
        self.stage.lower(self.caller.rights.storage_bytes());
        Ok(self.stage.set(&key, value, expect).map_err(Error::from))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), Error>> {
        self.meter.call()?;
        Ok(self.stage.delete(&key).map_err(Error::from))
    }

    fn list_keys(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Vec<String>> {
        self.meter.call()?;
        Ok(self.stage.keys(&prefix, after.as_deref(), limit))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Quota(bytes) => Self::Quota(bytes),
            Refusal::Conflict => Self::Conflict,
            Refusal::InvalidKey => Self::InvalidKey,
        }
    }
}
