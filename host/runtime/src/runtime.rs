//! The runtime: one engine for the process, and everything that calls share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sluice_broker::Broker;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::artifact::Artifact;
use crate::cache::Cache;
use crate::compile;
use crate::config::Config;
use crate::engine;
use crate::error::{LoadError, StartError};
use crate::host;
use crate::inspect::{self, Inspection};
use crate::load::{self, Connector, Loaded};
use crate::slots::Slots;
use crate::state::State;
use crate::ticker::Ticker;
use crate::wasi;

/// The engine of the process. Clones are the same runtime; with the last one the ticker stops, so calls need it alive.
#[derive(Clone)]
pub struct Runtime(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: Config,
    /// The only road out.
    pub(crate) broker: Broker,
    pub(crate) slots: Slots,
    engine: Engine,
    linker: Linker<State>,
    cache: Option<Cache>,
    compiling: Semaphore,
    /// What is loaded now, by digest: many installs of one connector share one.
    loaded: Mutex<HashMap<[u8; 32], Weak<Loaded>>>,
    _ticker: Ticker,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Makes the engine and starts its ticker; guests reach the network through `broker`. Once per process: the pools reserve address space for `config.slots`.
    ///
    /// # Errors
    /// [`StartError`], when this machine cannot serve with these settings.
    pub fn new(config: Config, broker: Broker) -> Result<Self, StartError> {
        let engine = engine::serving(&config)?;
        let mut linker = Linker::new(&engine);
        let unlinked = |error: wasmtime::Error| StartError::Link {
            reason: format!("{error:#}"),
        };
        host::link(&mut linker).map_err(unlinked)?;
        wasi::link(&mut linker).map_err(unlinked)?;
        let cache = match &config.cache_dir {
            Some(dir) => {
                let made_for = engine::compatibility(&engine);
                Some(
                    Cache::open(dir.clone(), &config.cache_key, made_for, config.cache_bytes)
                        .map_err(StartError::Cache)?,
                )
            }
            None => None,
        };
        let ticker = Ticker::start(&engine).map_err(StartError::Ticker)?;
        Ok(Self(Arc::new(Inner {
            slots: Slots::new(config.slots, config.slot_queue, config.slot_wait),
            compiling: Semaphore::new(usize::try_from(config.compile.at_once.max(1)).unwrap_or(1)),
            loaded: Mutex::new(HashMap::new()),
            config,
            broker,
            engine,
            linker,
            cache,
            _ticker: ticker,
        })))
    }

    /// The road that guests are given, for the host's own requests on a connection's behalf.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.0.broker
    }

    /// Reads what a component says about itself, without compiling it. Takes time in proportion to its size.
    ///
    /// # Errors
    /// [`LoadError`] when it is too large, a core module, or not wasm. That it imports or exports the wrong things is
    /// not an error here; [`Inspection::check`] says it.
    pub fn inspect(&self, bytes: &[u8]) -> Result<Inspection, LoadError> {
        inspect::inspect(bytes, self.0.config.max_component_bytes)
    }

    /// Compiles a component into the cache, so that loading it later is quick. Does nothing where it is there already.
    /// Cancel-safe: a compilation that is given up is killed and leaves nothing.
    ///
    /// # Errors
    /// [`LoadError`], as for [`load`](Self::load) except for what only linking finds.
    pub async fn compile(&self, bytes: &[u8]) -> Result<(), LoadError> {
        let source = load::sha256(bytes);
        if self.reading(source).await.ok().flatten().is_none() {
            self.compiled(bytes, source).await?;
        }
        Ok(())
    }

    /// Makes a connector of a component: from the cache if it is there and authentic, else compiled and put there.
    /// `digest` is `sha256:` and 64 hexadecimal digits, and must be that of `bytes`. Cancel-safe.
    ///
    /// # Errors
    /// [`LoadError`]: the component is not one, not for this host, or cannot be compiled.
    pub async fn load(&self, bytes: &[u8], digest: &str) -> Result<Connector, LoadError> {
        let verified = Verified::of(bytes, digest)?;
        if let Some(connector) = self.load_cached(verified, None).await? {
            return Ok(connector);
        }
        let component = self.compiled(bytes, verified.0).await?;
        self.linked(verified, &component)
    }

    /// Begins to read the machine code of the component with this digest from the cache, for [`load_cached`](Self::load_cached):
    /// its caller has the component itself to read and to judge meanwhile. Nothing of it runs, and given up it is dropped.
    /// `None` where there is nothing to read: it is loaded already, or nothing is cached here.
    #[must_use]
    pub fn read_ahead(&self, digest: &[u8; 32]) -> Option<Ahead> {
        let is_read = self.0.cache.is_some() && self.loaded(digest).is_none();
        is_read.then(|| Ahead {
            source: *digest,
            code: self.reading(*digest),
        })
    }

    /// Makes a connector of a component whose bytes were looked at, of what is loaded or in the cache, without having them here.
    /// Machine code that is on its way is used where it is this component's. `None`: there is none that is authentic, and
    /// [`load`](Self::load) compiles it. Cancel-safe.
    ///
    /// # Errors
    /// [`LoadError`]: the component is not for this host.
    pub async fn load_cached(
        &self,
        of: Verified,
        ahead: Option<Ahead>,
    ) -> Result<Option<Connector>, LoadError> {
        if let Some(connector) = self.loaded(&of.0) {
            return Ok(Some(connector));
        }
        let component = match ahead.filter(|ahead| ahead.source == of.0) {
            Some(ahead) => ahead.code.await,
            None => self.reading(of.0).await,
        };
        let component = component.ok().flatten();
        component.map(|component| self.linked(of, &component)).transpose()
    }

    fn linked(&self, of: Verified, component: &Component) -> Result<Connector, LoadError> {
        let digest = load::digest_text(&of.0);
        let loaded = Arc::new(load::link(&self.0.linker, component, digest)?);
        let mut all = self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, loaded| loaded.strong_count() > 0);
        all.insert(of.0, Arc::downgrade(&loaded));
        Ok(Connector(loaded))
    }

    /// The digest that [`load`](Self::load) asks for.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> String {
        load::digest_text(&load::sha256(bytes))
    }

    fn loaded(&self, source: &[u8; 32]) -> Option<Connector> {
        let all = self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(source).and_then(Weak::upgrade).map(Connector)
    }

    /// Compiles the component, unless it is in the cache by now, and keeps the machine code there.
    async fn compiled(&self, bytes: &[u8], source: [u8; 32]) -> Result<Component, LoadError> {
        let inner = &self.0;
        self.inspect(bytes)?.check()?;
        // The semaphore is never closed; if it were, compiling without a turn is the lesser evil.
        let _turn = inner.compiling.acquire().await.ok();
        // Somebody may have compiled the same while we waited.
        if let Some(component) = self.reading(source).await.ok().flatten() {
            return Ok(component);
        }
        let artifact = compile::compile(&inner.config.compiler, &inner.config.compile, bytes).await?;
        self.keep(source, artifact).await
    }

    /// Machine code from the cache, read off the threads that calls run on.
    fn reading(&self, source: [u8; 32]) -> JoinHandle<Option<Component>> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            let cache = inner.cache.as_ref()?;
            let artifact = cache.get(&source, inner.config.compile.artifact_bytes)?;
            // What this engine cannot read is made again.
            artifact.deserialize(&inner.engine).ok()
        })
    }

    /// Writes the cache, off the threads that calls run on, and loads what was written.
    async fn keep(&self, source: [u8; 32], artifact: Vec<u8>) -> Result<Component, LoadError> {
        let inner = Arc::clone(&self.0);
        let failed = |reason: String| LoadError::CompileFailed { reason };
        let write = move || {
            if let Some(cache) = &inner.cache {
                cache.put(&source, &artifact);
            }
            Artifact::Memory(artifact).deserialize(&inner.engine)
        };
        let kept = tokio::task::spawn_blocking(write).await;
        kept.map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(crate::journal::clean(&format!("{error:#}"), 512)))
    }
}

/// The digest of bytes that were hashed in this process: what the cache is asked for machine code with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified([u8; 32]);

impl Verified {
    /// Holds bytes against `sha256:` and 64 hexadecimal digits. Takes time in proportion to their number.
    ///
    /// # Errors
    /// [`LoadError::Digest`] when it is another's.
    pub fn of(bytes: &[u8], digest: &str) -> Result<Self, LoadError> {
        Self::hashed(load::sha256(bytes), digest)
    }

    /// The same for bytes whose SHA-256 is here already; it has to have been made of them, in this process.
    ///
    /// # Errors
    /// [`LoadError::Digest`] when it is another's.
    pub fn hashed(source: [u8; 32], digest: &str) -> Result<Self, LoadError> {
        let found = load::digest_text(&source);
        if found == digest {
            return Ok(Self(source));
        }
        Err(LoadError::Digest {
            expected: digest.chars().take(128).collect(),
            found,
        })
    }
}

/// Machine code that is on its way from the cache.
pub struct Ahead {
    /// What it was made from.
    source: [u8; 32],
    code: JoinHandle<Option<Component>>,
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").finish_non_exhaustive()
    }
}
