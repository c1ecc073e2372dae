//! One call of a guest: made fresh, bounded, taken apart.
//!
//! A call is a message: a question with plain data in it goes in, an answer and its effects come out. The typed methods
//! of [`Runtime`] put the one in words and take the other apart.

mod ask;
mod nobody;
mod typed;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use sluice_broker::Caller;
use sluice_model::limits::Limits;
use tokio_util::sync::CancellationToken;
use wasmtime::{Store, UpdateDeadline};

pub(crate) use self::ask::{Answer, Ask};
use crate::load::{Connector, Loaded};
use crate::outcome::{CallError, Outcome};
use crate::runtime::Runtime;
use crate::shelf::Shelf;
use crate::snapshot::Snapshot;
use crate::state::{Given, HANDLES, State};
use crate::stop::Stop;
use crate::trap;
use crate::values::ConnectionView;

/// What a call is made with.
#[derive(Clone)]
pub struct Call {
    pub connector: Connector,
    pub connection: ConnectionView,
    /// On whose behalf, with which rights; its trace and budget must be the call's own.
    pub caller: Caller,
    /// The connection's storage as it is now.
    pub storage: Arc<dyn Snapshot>,
    /// The connection's files.
    pub files: Arc<dyn Shelf>,
    /// At most what the caller's rights say.
    pub limits: Limits,
    /// Ends the call with [`CallError::Cancelled`].
    pub cancel: CancellationToken,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("connector", &self.connector)
            .field("connection", &self.connection.id)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Asks the connector one thing. Boxed here, so that the engine's code is compiled in this crate and not once more in
    /// every crate that calls a connector.
    pub(crate) fn ask(
        &self,
        call: Call,
        ask: Ask,
    ) -> Pin<Box<dyn Future<Output = Outcome<Answer>> + Send + '_>> {
        Box::pin(self.ask_one(call, ask))
    }

    /// Waits for a slot first; the call's own time begins with it.
    async fn ask_one(&self, call: Call, ask: Ask) -> Outcome<Answer> {
        let Call {
            connector,
            connection,
            caller,
            storage,
            files,
            mut limits,
            cancel,
        } = call;
        let slot = tokio::select! {
            biased;
            () = cancel.cancelled() => return Outcome::failed(CallError::Cancelled),
            slot = self.0.slots.take(caller.org) => slot,
        };
        let Some(_slot) = slot else {
            return Outcome::failed(CallError::Saturated);
        };

        limits.memory_bytes = limits.memory_bytes.min(self.0.config.max_memory_bytes);
        let time = limits.call_time;
        let deadline = Instant::now() + time;
        let state = State::new(Given {
            broker: self.0.broker.clone(),
            caller: Arc::new(caller),
            storage,
            files,
            limits,
            fixed: self.0.config.fixed,
        });
        let mut store = Store::new(connector.0.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_max_component_handles(HANDLES);
        store.set_hostcall_fuel(usize::try_from(store.data().crossing_bytes()).unwrap_or(usize::MAX));
        store.set_epoch_deadline(1);
        let cancelled = cancel.clone();
        store.epoch_deadline_callback(move |store| {
            if Instant::now() >= deadline {
                return Err(Stop::Deadline.into());
            }
            if cancelled.is_cancelled() {
                return Err(Stop::Cancelled.into());
            }
            store.data().meter.check()?;
            // The thread goes to whoever else is ready, and comes back.
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });

        // The tick ends a guest that computes, the timeout one that waits.
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Stop::Cancelled),
            ended = tokio::time::timeout_at(deadline.into(), run(&connector.0, &mut store, connection, ask)) => {
                ended.map_err(|_| Stop::Deadline)
            }
        };
        let state = store.into_data();
        let result = match ended {
            Ok(Ok(Ok(Ok(answer)))) => Ok(Ok(answer)),
            Ok(Ok(Ok(Err(bad)))) => Err(CallError::BadValue { what: bad.0 }),
            Ok(Ok(Err(fault))) => Ok(Err(fault)),
            Ok(Err(error)) => match error.downcast_ref::<Stop>() {
                Some(Stop::Fault(fault)) => Ok(Err(fault.clone())),
                _ => Err(trap::classify(&error, &state)),
            },
            Err(stop) => Err(trap::stopped(&stop, &state)),
        };
        let succeeded = matches!(result, Ok(Ok(_)));
        let effects = state.into_effects(succeeded);
        let result = result.map(|said| said.map_err(|fault| fault.seen_with(&effects.exchanges)));
        Outcome { result, effects }
    }
}

async fn run(
    loaded: &Loaded,
    store: &mut Store<State>,
    connection: ConnectionView,
    ask: Ask,
) -> wasmtime::Result<ask::Said> {
    let instance = loaded.pre.instantiate_async(&mut *store).await?;
    ask::put(loaded, &instance, store, connection, ask).await
}
