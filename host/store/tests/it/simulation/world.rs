//! The world of one seed: the disk and the store on it, what it should hold, the vendor, the destination, and the time.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::sync::{Arc, OnceLock};

use sluice_model::Timestamp;
use sluice_model::id::{DestinationId, LoadId, RunId};
use sluice_store::due::Work;
use sluice_store::load::LoadSettings;
use sluice_store::run::Caps;
use sluice_store::{Error, Options, Page, Store};

use super::super::disk::{Image, MemoryDisk, Unsynced};
use super::super::room::{self, NOW, Room};
use super::check;
use super::dice::Dice;
use super::model::Model;
use super::place::Place;
use super::vendor::Vendor;

pub(crate) struct World {
    pub(crate) dice: Dice,
    /// Milliseconds.
    pub(crate) clock: Cell<u64>,
    /// Whether anything fails.
    pub(crate) faults: Cell<bool>,
    /// Whether schedules go on.
    pub(crate) cadence: Cell<bool>,
    pub(crate) room: RefCell<Option<Room>>,
    disk: RefCell<MemoryDisk>,
    pub(crate) model: RefCell<Model>,
    /// What may be there instead of the model, while an operation is under way or after its commit was cut off.
    maybe: RefCell<Vec<Model>>,
    pub(crate) vendor: RefCell<Vendor>,
    pub(crate) place: RefCell<Place>,
    /// The number of the load's last lease.
    pub(crate) place_fencing: Cell<u64>,
    ids: Cell<u64>,
    /// What happened, in words; printed when a single seed is replayed.
    history: RefCell<Vec<String>>,
    /// Runs at once.
    pub(crate) caps: Caps,
    pub(crate) cuts: Cell<u64>,
    pub(crate) fenced: Cell<u64>,
}

/// A disk with one of everything, made once: each seed begins with a copy.
pub(crate) fn furnished() -> &'static Image {
    static DISK: OnceLock<Image> = OnceLock::new();
    DISK.get_or_init(|| {
        let disk = MemoryDisk::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let Room {
                store,
                org,
                connection,
                ..
            } = room::room_on(&disk).await;
            let place = DestinationId::from_bytes([1; 16]);
            let named = ("place".to_owned(), "{}".to_owned());
            store
                .create_destination(org, place, named, vec![], NOW)
                .await
                .unwrap();
            let settings = LoadSettings {
                streams: vec![],
                prefix: String::new(),
                every_s: 5,
            };
            let load = LoadId::from_bytes([1; 16]);
            store
                .create_load(org, load, (connection, place), settings, NOW)
                .await
                .unwrap();
        });
        disk.bytes()
    })
}

impl World {
    pub(crate) async fn of(seed: u64) -> Self {
        let disk = MemoryDisk::of(furnished().clone());
        let (store, _) = open(&disk).unwrap();
        let org = store.ensure_org("acme", NOW).await.unwrap();
        Self {
            dice: Dice::of(seed),
            clock: Cell::new(NOW.as_millis()),
            faults: Cell::new(true),
            cadence: Cell::new(true),
            room: RefCell::new(Some(Room {
                store,
                org,
                connection: sluice_model::id::ConnectionId::from_bytes([1; 16]),
                install: sluice_model::id::InstallId::from_bytes([1; 16]),
                hook: sluice_model::id::HookId::from_bytes([1; 16]),
            })),
            disk: RefCell::new(disk),
            model: RefCell::default(),
            maybe: RefCell::default(),
            vendor: RefCell::default(),
            place: RefCell::default(),
            place_fencing: Cell::default(),
            ids: Cell::new(1 << 20),
            history: RefCell::default(),
            caps: Caps {
                organization: [0, 2, 1][(seed % 3) as usize],
                connector: [0, 0, 1, 2][(seed % 4) as usize],
                app: [0, 1][(seed % 2) as usize],
            },
            cuts: Cell::new(0),
            fenced: Cell::new(0),
        }
    }

    pub(crate) fn store(&self) -> Store {
        self.room.borrow().as_ref().unwrap().store.clone()
    }

    pub(crate) fn room(&self) -> Room {
        let room = self.room.borrow();
        let room = room.as_ref().unwrap();
        Room {
            store: room.store.clone(),
            ..*room
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.get())
    }

    pub(crate) fn id(&self) -> [u8; 16] {
        let next = self.ids.get() + 1;
        self.ids.set(next);
        u128::from(next).to_be_bytes()
    }

    /// One of these happens now and then, as long as anything fails.
    pub(crate) fn fails(&self, percent: usize) -> bool {
        let drawn = self.dice.percent(percent);
        drawn && self.faults.get()
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        let at = self.clock.get() - NOW.as_millis();
        let text = text.into();
        self.history
            .borrow_mut()
            .push(format!("{:>9.3}s {text}", at as f64 / 1000.0));
    }

    pub(crate) fn history(&self) -> Vec<String> {
        self.history.borrow().clone()
    }

    /// Does something that makes the last of these out of the model. Where the power is cut meanwhile, any of them may be
    /// there afterwards.
    pub(crate) async fn attempt<T>(
        &self,
        after: Vec<Model>,
        done: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        *self.maybe.borrow_mut() = after;
        let came = done.await;
        match &came {
            Ok(_) => {
                if let Some(model) = self.maybe.take().pop() {
                    *self.model.borrow_mut() = model;
                }
            }
            Err(Error::Failed { .. }) => self.note("the power is cut in the middle of it"),
            Err(_) => drop(self.maybe.take()),
        }
        came
    }

    /// As [`World::attempt`], for whoever writes for a lease: refused exactly where the lease is another's.
    pub(crate) async fn attempt_for<T>(
        &self,
        mine: bool,
        after: Vec<Model>,
        done: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let came = self.attempt(if mine { after } else { Vec::new() }, done).await;
        match &came {
            Ok(_) => assert!(mine, "a write was accepted whose lease is another's"),
            Err(Error::Fenced { .. }) => {
                assert!(!mine, "a write was refused whose lease is held");
                self.fenced.set(self.fenced.get() + 1);
            }
            Err(_) => {}
        }
        came
    }

    /// From now on the disk takes so many more writes and syncs.
    pub(crate) fn arm(&self, operations: usize) {
        self.disk.borrow().die_in(operations);
    }

    pub(crate) fn disarm(&self) {
        self.disk.borrow().live_on();
    }

    /// The power is gone, and comes back: what was not synced is there or not; the store is opened again, and what it holds is
    /// either the model or what the operation under way would have made of it.
    pub(crate) async fn restart(&self) {
        self.cuts.set(self.cuts.get() + 1);
        let mut disk = self.disk.borrow().clone();
        let Room {
            store,
            org,
            connection,
            install,
            hook,
        } = self.room.take().unwrap();
        disk.die_in(0);
        drop(store);
        let mut tries = 0;
        let (store, disk) = loop {
            let unsynced = match self.dice.below(3) {
                0 => Unsynced::Lost,
                1 => Unsynced::Torn,
                _ => Unsynced::Some(self.dice.number()),
            };
            disk = MemoryDisk::of(disk.image(disk.log_len(), unsynced));
            tries += 1;
            if tries < 3 && self.fails(20) {
                disk.die_in(self.dice.below(30));
            }
            match open(&disk) {
                Ok((store, disk)) => match store.release_leases(self.now()).await {
                    Ok(()) => break (store, disk),
                    Err(Error::Failed { .. }) => disk.die_in(0),
                    Err(error) => panic!("leases are not released: {error}"),
                },
                Err(_) if disk.is_dead() => {}
                Err(error) => panic!("the store does not open after a power cut: {error}"),
            }
        };
        disk.live_on();
        *self.disk.borrow_mut() = disk;
        *self.room.borrow_mut() = Some(Room {
            store,
            org,
            connection,
            install,
            hook,
        });
        self.note("a restart");
        self.find_out().await;
    }

    /// Which of the models is there.
    async fn find_out(&self) {
        let mut models = self.maybe.take();
        models.push(self.model.take());
        let mut differences = Vec::new();
        for mut model in models {
            model.end_foldings();
            match check::differences(self, &model).await.as_slice() {
                [] => {
                    *self.model.borrow_mut() = model;
                    self.adopt_leases().await;
                    return;
                }
                found => differences.push(found.join("\n  ")),
            }
        }
        panic!(
            "after the restart the store holds neither what was there nor what was to be:\n  {}",
            differences.join("\n or\n  ")
        );
    }

    /// Who holds what is known to the store alone: whoever did is gone.
    async fn adopt_leases(&self) {
        let room = self.room();
        let found = room
            .store
            .list_all_runs(room.org, Page::first(1000))
            .await
            .unwrap();
        let load = room
            .store
            .get_load(room.org, LoadId::from_bytes([1; 16]))
            .await
            .unwrap()
            .unwrap();
        assert!(!load.turn.held, "the load is not released");
        let mut model = self.model.borrow_mut();
        for kept in found.items {
            assert!(
                !kept.state.held() || kept.due <= Some(self.now()),
                "{} is not released",
                kept.id
            );
            let run = model.runs.get_mut(&kept.id).unwrap();
            (run.state, run.fencing, run.until) = (kept.state, kept.fencing, kept.due);
            (run.cancel, run.again) = (kept.cancel, kept.again);
        }
    }

    /// Whether everybody may sleep for ever.
    pub(crate) async fn nothing_due(&self) -> bool {
        let store = self.store();
        for work in [Work::Runs, Work::Receipts, Work::Schedules, Work::Loads] {
            if store.next_due(work).await.unwrap().is_some() {
                return false;
            }
        }
        true
    }

    /// What nothing is due for is not waited for.
    pub(crate) async fn nothing_owed(&self) {
        let room = self.room();
        let load = room
            .store
            .get_load(room.org, LoadId::from_bytes([1; 16]))
            .await
            .unwrap()
            .unwrap();
        let owed = room.store.owed_streams(room.org, &load).await.unwrap();
        assert!(owed.is_empty(), "{owed:?} are never loaded");
    }

    /// Whether the run's generation is half in place.
    pub(crate) fn half_folded(&self, run: RunId) -> bool {
        let model = self.model.borrow();
        let mut generations = model.streams.values().filter_map(|of| of.generation.as_ref());
        generations.any(|of| of.run == Some(run) && of.folding.is_some())
    }

    pub(crate) fn active(&self, stream: &str) -> Option<RunId> {
        self.model.borrow().active(stream)
    }
}

fn open(disk: &MemoryDisk) -> Result<(Store, MemoryDisk), sluice_store::OpenError> {
    let options = Options {
        cache_bytes: 4 << 20,
        verify_up_to_bytes: 0,
        ..Options::new("memory".into(), room::master())
    };
    Ok((Store::open_on(Arc::new(disk.clone()), options)?, disk.clone()))
}
