//! The accept loop and the life of a connection.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::activity::Activity;
use super::{Bounds, Counters};

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("listen on {address}: another process does already")]
    Busy { address: SocketAddr },
    #[error("listen on {address}: this user may not use that port")]
    Forbidden { address: SocketAddr },
    #[error("listen on {address}")]
    Io {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

impl ListenError {
    /// Every code of [`code`](Self::code).
    pub const CODES: &[&str] = &["server.port_busy", "server.port_forbidden", "server.listen"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "server.port_busy",
            Self::Forbidden { .. } => "server.port_forbidden",
            Self::Io { .. } => "server.listen",
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Busy { .. } => Some("stop that process, or choose another port with --listen".to_owned()),
            Self::Forbidden { .. } => {
                Some("choose a port of 1024 or more, or put a proxy in front".to_owned())
            }
            Self::Io { .. } => None,
        }
    }
}

/// Who is at the other end of a connection: an extension of each of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// A bound socket that is not served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds.
    ///
    /// # Errors
    ///
    /// If the address is taken, forbidden or none of this machine's.
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::Busy { address },
            io::ErrorKind::PermissionDenied => ListenError::Forbidden { address },
            _ => ListenError::Io { address, source },
        };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Self { socket, address })
    }

    /// Where it listens; the port is known even if 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then lets what is under way finish. Dropping the future cuts everything off.
    pub async fn serve(
        self,
        tls: Option<TlsAcceptor>,
        router: Router,
        bounds: Bounds,
        counters: Counters,
        stop: CancellationToken,
    ) {
        let permits = Arc::new(Semaphore::new(bounds.connections));
        let connections = TaskTracker::new();
        // Dropped with this future: connections whose time is over do not outlive it.
        let abort = CancellationToken::new();
        let _cut = abort.clone().drop_guard();
        let mut spare = spare_descriptor();
        let mut pause = SHORTEST_PAUSE;
        loop {
            let permit = tokio::select! {
                () = stop.cancelled() => break,
                permit = permits.clone().acquire_owned() => permit,
            };
            let Ok(permit) = permit else { break };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_about_one_connection(&error) => continue,
                Err(error) => {
                    counters.exhausted.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "no connection can be accepted now");
                    if is_exhausted(&error) && spare.take().is_some() {
                        self.turn_away().await;
                    }
                    spare = spare_descriptor();
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            };
            pause = SHORTEST_PAUSE;
            if spare.is_none() {
                spare = spare_descriptor();
            }
            counters.accepted.fetch_add(1, Ordering::Relaxed);
            let life = Life {
                bounds,
                counters: counters.clone(),
                stop: stop.clone(),
                peer: Peer(peer.ip()),
            };
            let (tls, router, abort) = (tls.clone(), router.clone(), abort.clone());
            connections.spawn(async move {
                let _permit = permit;
                tokio::select! {
                    () = abort.cancelled() => {}
                    () = life.live(stream, tls, router) => {}
                }
            });
        }
        drop(self.socket);
        connections.close();
        connections.wait().await;
    }

    /// Takes those who wait, one after the other, with the descriptor that was kept for this, says why, and closes them.
    /// Whoever is told can come again; whoever waits in the system's queue learns nothing.
    async fn turn_away(&self) {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        for _ in 0..TURNED_AWAY {
            let told = timeout(SHORTEST_PAUSE, async {
                let (mut stream, _) = self.socket.accept().await?;
                stream.write_all(answer).await
            });
            match told.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a connection was turned away without a word"),
                // Nobody is left.
                Err(_) => return,
            }
        }
    }
}

/// What a connection's task knows.
struct Life {
    bounds: Bounds,
    counters: Counters,
    stop: CancellationToken,
    peer: Peer,
}

impl Life {
    async fn live(self, stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
        self.counters.open.fetch_add(1, Ordering::Relaxed);
        let _open = Open(self.counters.clone());
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection is gone already");
        }
        let Some(tls) = tls else {
            return self.serve(stream, router).await;
        };
        match timeout(self.bounds.header, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, router).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => {
                self.counters.cut_off.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
        let activity = Activity::begin();
        let seen = activity.clone();
        let peer = self.peer;
        let service =
            hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(peer);
                let serving = seen.serve();
                let answer = router.clone().oneshot(request.map(axum::body::Body::new));
                async move {
                    let answer = answer.await;
                    drop(serving);
                    answer
                }
            });
        let builder = builder(&self.bounds);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let mut look = tokio::time::interval(LOOK);
        let mut told = None;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended badly");
                    }
                    return;
                }
                () = self.stop.cancelled(), if told.is_none() => {
                    told = Some(tokio::time::Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
                _ = look.tick() => {
                    if !activity.stale(tokio::time::Instant::now(), self.bounds.header, self.bounds.idle) {
                        continue;
                    }
                    let since = *told.get_or_insert_with(|| {
                        connection.as_mut().graceful_shutdown();
                        tokio::time::Instant::now()
                    });
                    if since.elapsed() > LAST_WORD {
                        self.counters.cut_off.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                }
            }
        }
    }
}

/// Counts a connection as open while it is.
struct Open(Counters);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn builder(bounds: &Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BYTES)
        .keep_alive_interval(bounds.idle)
        .keep_alive_timeout(bounds.header);
    builder
}

/// Errors that say something about the peer, not about this process.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// No file descriptor is left, in the process or in the system.
fn is_exhausted(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(rustix::io::Errno::MFILE.raw_os_error())
        || code == Some(rustix::io::Errno::NFILE.raw_os_error())
}

/// A descriptor to give up when none is left, so that a waiting peer can be told.
fn spare_descriptor() -> Option<File> {
    File::open("/dev/null").ok()
}

/// After the first failed accept; doubled by each further one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// Connections that are turned away between two pauses: enough for a crowd, too few to keep a processor busy.
const TURNED_AWAY: usize = 32;
/// The longest pause: new connections are noticed at most a second late.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a connection is looked at for silence.
const LOOK: Duration = Duration::from_secs(1);
/// Between asking a silent connection to end and ending it.
const LAST_WORD: Duration = Duration::from_secs(2);
/// Bytes of a request's head: hyper needs 8 KiB, no client of ours comes near 64 KiB.
const HEAD_BYTES: usize = 64 * 1024;
/// Fields of a request's head.
const HEADERS: usize = 100;
/// Streams of one HTTP/2 connection at once.
const STREAMS: u32 = 64;
/// Streams that a peer opened and reset before they were served; more end the connection (rapid reset).
const RESETS: usize = 20;
/// Bytes that one stream may send before it is read.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes that all streams of a connection may send before they are read.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of answers that wait for a slow reader.
const SEND_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::AsyncReadExt;

    use super::*;

    struct Running {
        address: SocketAddr,
        counters: Counters,
        stop: CancellationToken,
        serving: tokio::task::JoinHandle<()>,
    }

    async fn start(bounds: Bounds) -> Running {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let (address, counters, stop) = (listener.address(), Counters::default(), CancellationToken::new());
        let router = Router::new().route("/", get(async || "here"));
        let serving = tokio::spawn(listener.serve(None, router, bounds, counters.clone(), stop.clone()));
        Running {
            address,
            counters,
            stop,
            serving,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the test is the peer")]
    async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.unwrap()
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // A reset is an end as well.
        drop(stream.read_to_end(&mut text).await);
        String::from_utf8_lossy(&text).into_owned()
    }

    const PATIENT: Bounds = Bounds {
        connections: 8,
        header: Duration::from_secs(600),
        idle: Duration::from_secs(600),
    };

    #[tokio::test]
    async fn who_says_nothing_or_half_a_head_is_cut_off() {
        let bounds = Bounds {
            header: Duration::from_millis(100),
            ..PATIENT
        };
        let running = start(bounds).await;
        let silent = connect(running.address).await;
        let mut slow = connect(running.address).await;
        slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        let mut preface = connect(running.address).await;
        preface.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
        assert_eq!(rest(silent).await, "");
        assert!(!rest(slow).await.contains("here"));
        assert_eq!(rest(preface).await, "");
    }

    #[tokio::test]
    async fn the_permit_is_taken_before_the_connection() {
        let running = start(Bounds {
            connections: 1,
            ..PATIENT
        })
        .await;
        let mut first = connect(running.address).await;
        first
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 15];
        first.read_exact(&mut answer).await.unwrap();
        let mut second = connect(running.address).await;
        second
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(running.counters.accepted.load(Ordering::Relaxed), 1);
        drop(first);
        assert!(rest(second).await.ends_with("here"));
        assert_eq!(running.counters.accepted.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn stopping_ends_idle_connections_and_frees_the_port() {
        let running = start(PATIENT).await;
        let mut idle = connect(running.address).await;
        idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 15];
        idle.read_exact(&mut answer).await.unwrap();
        assert!(matches!(
            Listener::bind(running.address).await,
            Err(ListenError::Busy { .. })
        ));
        running.stop.cancel();
        running.serving.await.unwrap();
        assert!(rest(idle).await.ends_with("here"));
        assert_eq!(running.counters.open.load(Ordering::Relaxed), 0);
        assert!(Listener::bind(running.address).await.is_ok());
    }

    #[tokio::test]
    async fn another_machines_address_is_refused() {
        let error = Listener::bind(([192, 0, 2, 1], 0).into()).await.unwrap_err();
        assert!(ListenError::CODES.contains(&error.code()) && error.hint().is_none());
    }
}
