//! The composition root: puts the rooms together, serves, and takes them apart again.
//!
//! Order matters. The address is bound first, so that a second server leaves nothing behind; the database next, because
//! it tells whether the master key fits; the listener answers only when everything behind it does. On the way down: no
//! new connections and no new work, what is under way gets its time, and what is left is done by the next start.

mod error;

pub use error::ServeError;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sluice_broker::Broker;
use sluice_model::SystemClock;
use sluice_runtime::Runtime;
use sluice_service::{Service, worker};
use sluice_store::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::listen::{Bounds, Counters, Listener};
use crate::{api, key, listen, master};

/// What a start has to say to the person who started it.
#[derive(Debug)]
pub enum Notice {
    /// Everything answers now.
    Listening { url: String },
    /// The first API key: shown once.
    FirstKey { key: sluice_model::secret::Secret },
    /// The first API key was written here.
    FirstKeyFile { path: PathBuf },
    /// A key file was made, and lies beside what it protects.
    MasterKeyMade { path: PathBuf },
}

/// Serves until a signal or a failure of the database.
///
/// # Errors
///
/// If the server cannot start, or the database failed.
pub async fn serve(
    config: Config,
    key_file: Option<&Path>,
    tell: &(dyn Fn(Notice) + Sync),
) -> Result<(), ServeError> {
    raise_descriptors(config.server.max_connections);
    let listener = Listener::bind(config.server.listen).await?;
    let tls = match (&config.server.tls_cert_file, &config.server.tls_key_file) {
        (Some(cert), Some(key)) => Some(listen::acceptor(cert, key)?),
        _ => None,
    };
    let url = format!(
        "{}://{}",
        if tls.is_some() { "https" } else { "http" },
        listener.address()
    );
    let mut signals = Signals::new().map_err(ServeError::Signals)?;

    let public_url = config.server.public_url.as_deref().unwrap_or(&url);
    let public_url = public_url.trim_end_matches('/').to_owned();
    let mut parts = open(&config, &listener, tell).await?;
    parts.settings.public_url = Some(public_url.clone());
    let mut failed = parts.store.failed();
    let service = Service::start(parts).await?;
    first_key(&service, key_file, tell).await?;

    let spool = config.data.dir.join("incoming");
    // What a start before this one could not take its name from.
    drop(std::fs::remove_dir_all(&spool));
    std::fs::create_dir_all(&spool).map_err(|source| ServeError::Spool {
        path: spool.clone(),
        source,
    })?;
    let counters = Counters::default();
    let stop = CancellationToken::new();
    let seconds = Duration::from_secs;
    let app = api::App::new(api::Parts {
        service: service.clone(),
        listener: counters.clone(),
        hosts: api::hosts(listener.address().ip(), config.public_host()),
        public_url: Some(public_url),
        proxies: config.trusted_proxies(),
        body_timeout: seconds(config.server.body_timeout_s),
        body_memory_bytes: config.server.body_memory_bytes,
        component_bytes: config.limits.component_bytes,
        hook_body_bytes: config.hooks.body_bytes,
        spool,
        stop: stop.clone(),
    });
    let bounds = Bounds {
        connections: config.server.max_connections,
        header: seconds(config.server.header_timeout_s),
        idle: seconds(config.server.idle_timeout_s),
    };
    let workers = worker::spawn(&service);
    let serving = tokio::spawn(listener.serve(tls, api::router(app), bounds, counters, stop.clone()));
    tracing::info!(url, "serving");
    tell(Notice::Listening { url });

    let reason = tokio::select! {
        () = signals.ended() => None,
        reason = wait_for_failure(&mut failed) => Some(reason),
    };
    if let Some(reason) = reason {
        return Err(ServeError::StoreFailed { reason });
    }
    tracing::info!("stopping: what is under way gets its time, a second signal ends it");
    stop.cancel();
    let patience = seconds(config.server.drain_timeout_s);
    let drained = drain(serving, workers, patience);
    tokio::select! {
        () = drained => {}
        () = signals.ended() => return Err(ServeError::Aborted),
        reason = wait_for_failure(&mut failed) => return Err(ServeError::StoreFailed { reason }),
    }
    tracing::info!("stopped");
    Ok(())
}

/// A connection needs a file descriptor, and the usual limit of 1024 is far below what one server can hold. What the
/// system does not give is met when it is missing: connections are then turned away, and counted.
fn raise_descriptors(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_DESCRIPTORS);
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else {
        return;
    };
    let raised = limit.maximum.map_or(wanted, |most| most.min(wanted)).max(current);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(raised),
            maximum: limit.maximum,
        },
    ) {
        tracing::warn!(%error, current, wanted, "the limit of file descriptors stays");
    }
}

/// For the database, outbound connections and compiling children.
const OTHER_DESCRIPTORS: u64 = 2048;

/// Opens the database and sets up what the work stands on.
async fn open(
    config: &Config,
    listener: &Listener,
    tell: &(dyn Fn(Notice) + Sync),
) -> Result<sluice_service::Parts, ServeError> {
    let data = config.data.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let master = master::load(&data)?;
        let options = sluice_store::Options {
            cache_bytes: data.cache_bytes,
            previous: master.previous,
            ..sluice_store::Options::new(data.dir, master.key)
        };
        Ok::<_, ServeError>((Store::open(options)?, master.cache_key, master.made))
    });
    let (store, cache_key, made) = opened.await.map_err(|_| ServeError::Panicked)??;
    if let Some(path) = made {
        tell(Notice::MasterKeyMade { path });
    }
    let mut settings = config.broker()?;
    settings.own = vec![listener.address()];
    let clock = Arc::new(SystemClock);
    let resolver = Arc::new(sluice_broker::System::new()?);
    let broker = Broker::new(settings, resolver, clock.clone())?;
    let runtime = Runtime::new(config.runtime(cache_key), broker)?;
    Ok(sluice_service::Parts {
        store,
        runtime,
        clock,
        settings: config.service()?,
    })
}

/// Makes the first API key of a new database. The file is written before the key is kept, so that a key that is in force
/// is a key that somebody has.
async fn first_key(
    service: &Service,
    file: Option<&Path>,
    tell: &(dyn Fn(Notice) + Sync),
) -> Result<(), ServeError> {
    if !service.store().list_api_keys(service.org()).await?.is_empty() {
        return Ok(());
    }
    let issued = key::issue("first start", true, service.now()).map_err(|_| ServeError::Random)?;
    if let Some(path) = file {
        write_private(path, issued.key.expose()).map_err(|source| ServeError::KeyFile {
            path: path.to_owned(),
            source,
        })?;
    }
    service.store().put_api_key(service.org(), issued.row).await?;
    tell(match file {
        Some(path) => Notice::FirstKeyFile {
            path: path.to_owned(),
        },
        None => Notice::FirstKey { key: issued.key },
    });
    Ok(())
}

fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    // Made anew, so that the mode is ours and not that of a file which was there.
    if temporary.exists() {
        std::fs::remove_file(&temporary)?;
    }
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(text)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

/// Connections and workers side by side, within the same time.
async fn drain(serving: tokio::task::JoinHandle<()>, workers: worker::Workers, patience: Duration) {
    let deadline = Instant::now() + patience;
    let abort = serving.abort_handle();
    let connections = async {
        if tokio::time::timeout_at(deadline, serving).await.is_err() {
            tracing::warn!("connections are cut off");
            abort.abort();
        }
    };
    let work = async {
        if tokio::time::timeout_at(deadline, workers.drain(patience))
            .await
            .is_err()
        {
            tracing::warn!("work is left for the next start");
        }
    };
    tokio::join!(connections, work);
}

async fn wait_for_failure(failed: &mut tokio::sync::watch::Receiver<Option<Arc<str>>>) -> Arc<str> {
    match failed.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().unwrap_or_else(|| Arc::from("unknown")),
        Err(_) => Arc::from("the writer of the database is gone"),
    }
}

/// The signals that end a server. SIGHUP is taken and means nothing: a terminal that closes does not end it.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn ended(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => tracing::info!("SIGHUP is ignored: restart to read the configuration anew"),
            }
        }
    }
}
