//! Turns: everybody is a future that goes on for one step when it is their turn, and for no longer. Within a step only they
//! and the store are at work.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use sluice_model::Timestamp;
use sluice_store::Error;

use super::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Stands where it waits for its turn.
    Waiting,
    /// May go on.
    Granted,
    Running,
}

/// Whose turn it is, as they see it themselves.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub(crate) name: &'static str,
    /// How far their clock is ahead, in milliseconds.
    skew: u64,
    state: Rc<Cell<State>>,
    sleeps_until: Rc<Cell<u64>>,
}

impl Me {
    /// The end of a step: until it is their turn again.
    pub(crate) async fn turn(&self) {
        poll_fn(|_| {
            if self.state.get() == State::Granted {
                self.state.set(State::Running);
                return Poll::Ready(());
            }
            self.state.set(State::Waiting);
            Poll::Pending
        })
        .await;
    }

    /// The end of a step, and no turn for so long: a slow answer, a stalled machine.
    pub(crate) async fn sleep(&self, world: &World, millis: u64) {
        self.sleeps_until.set(world.clock.get() + millis);
        self.turn().await;
    }

    /// What their clock says.
    pub(crate) fn now(&self, world: &World) -> Timestamp {
        Timestamp::from_millis(world.clock.get() + self.skew)
    }
}

type Life = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// Somebody who does something.
pub(crate) struct Actor {
    pub(crate) me: Me,
    life: Life,
}

impl Actor {
    pub(crate) fn new<F>(name: &'static str, skew: u64, live: impl FnOnce(Me) -> F) -> Self
    where
        F: Future<Output = Result<(), Error>> + 'static,
    {
        let me = Me {
            name,
            skew,
            state: Rc::new(Cell::new(State::Waiting)),
            sleeps_until: Rc::default(),
        };
        let life = Box::pin(live(me.clone()));
        Self { me, life }
    }

    pub(crate) fn awake(&self, world: &World) -> bool {
        self.me.sleeps_until.get() <= world.clock.get()
    }

    /// One step. An error is the store's end.
    pub(crate) async fn step(&mut self) -> Result<(), Error> {
        self.me.state.set(State::Granted);
        poll_fn(|context| match self.life.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(ended),
            Poll::Pending if self.me.state.get() == State::Waiting => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}
