//! A vendor's server that does what it is told by the path, and the listeners that nobody may reach.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listener that stands for an address that nobody may reach: it counts who comes and answers well.
#[derive(Debug, Clone)]
pub(super) struct Forbidden {
    pub(super) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Forbidden {
    pub(super) fn new(listener: TcpListener) -> Self {
        let accepted = Arc::new(AtomicUsize::new(0));
        let this = Self {
            address: listener.local_addr().unwrap(),
            accepted: Arc::clone(&accepted),
        };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .await;
            }
        });
        this
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// What reached a vendor, whole requests with their heads, each cut at 64 KiB.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Slow answers that somebody still listens to.
    slow: Arc<AtomicUsize>,
    /// Requests that wait for their answer.
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
}

impl Seen {
    pub(super) fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    /// The most requests that waited for their answer at once.
    pub(super) fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    /// Whether nobody listens to a slow answer any more, now or soon: a write notices it.
    pub(super) async fn is_let_go(&self) -> bool {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..250 {
            if self.slow.load(Ordering::SeqCst) == 0 {
                return true;
            }
            look.tick().await;
        }
        false
    }
}

/// Where the vendor sends its redirects.
#[derive(Debug, Clone, Default)]
pub(super) struct Targets {
    pub(super) forbidden: Vec<String>,
    pub(super) other: String,
}

/// Serves until the test ends.
pub(super) fn serve(listener: TcpListener, targets: Targets) -> Seen {
    let seen = Seen::default();
    let kept = seen.clone();
    let targets = Arc::new(targets);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (kept, targets) = (kept.clone(), Arc::clone(&targets));
            tokio::spawn(async move {
                answer(stream, kept.clone(), targets, Open::new(kept)).await;
            });
        }
    });
    seen
}

/// A request that waits for its answer.
struct Open(Seen);

impl Open {
    fn new(seen: Seen) -> Self {
        let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_open.fetch_max(open, Ordering::SeqCst);
        Self(seen)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One request for each connection: what comes after it is somebody's smuggling.
async fn answer(mut stream: TcpStream, seen: Seen, targets: Arc<Targets>, open: Open) -> Option<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 || bytes.len() > 1 << 20 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let field = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length: usize = field("content-length")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            break;
        }
    }
    seen.requests
        .lock()
        .unwrap()
        .push(bytes[..bytes.len().min(64 << 10)].to_vec());

    let line = head.lines().next().unwrap_or("");
    let target = line.split(' ').nth(1).unwrap_or("").to_owned();
    let control = head.chars().any(|c| c.is_control() && c != '\r' && c != '\n');
    let clean = line.split(' ').count() == 3
        && !control
        && !head.contains("\nx-evil")
        && !head.contains("/evil HTTP");
    let told = format!(
        "x-path: {target}\r\nx-clean: {}\r\n",
        if clean { "yes" } else { "no" }
    );

    let path = target.split('?').next().unwrap_or("");
    let last = path.rsplit('/').next().unwrap_or("");
    let body = &bytes[end..];
    if path.starts_with("/echo/") {
        let token = field("x-token").unwrap_or_default();
        return echo(&mut stream, last, &token, body).await;
    }
    if path.starts_with("/redirect/") {
        let to = match last {
            "loop" => "/redirect/loop".to_owned(),
            "other" => targets.other.clone(),
            n => targets.forbidden.get(n.parse::<usize>().ok()?)?.clone(),
        };
        let code = [301, 302, 303, 307, 308][to.len() % 5];
        let text =
            format!("HTTP/1.1 {code} Go\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return stream.write_all(text.as_bytes()).await.ok();
    }
    if path.starts_with("/hostile/") {
        return hostile(&mut stream, last).await;
    }
    if path == "/slow" {
        seen.slow.fetch_add(1, Ordering::SeqCst);
        let ended = slow(&mut stream).await;
        seen.slow.fetch_sub(1, Ordering::SeqCst);
        return ended;
    }
    // Before its last byte: whoever has the answer may ask again at once.
    drop(open);
    let text = format!("HTTP/1.1 200 OK\r\n{told}content-length: 2\r\nconnection: close\r\n\r\n{{}}");
    stream.write_all(text.as_bytes()).await.ok()
}

/// Gives back what it was given, in one of the forms that servers use.
async fn echo(stream: &mut TcpStream, how: &str, token: &str, body: &[u8]) -> Option<()> {
    let both = [token.as_bytes(), b" ", body].concat();
    let mut fields = String::new();
    let answer = match how {
        "base64" => BASE64.encode(&both).into_bytes(),
        "hex" => HEXLOWER.encode(&both).into_bytes(),
        "percent" => both
            .iter()
            .map(|byte| format!("%{byte:02X}"))
            .collect::<String>()
            .into_bytes(),
        "json" => serde_json::json!({ "token": token, "body": String::from_utf8_lossy(body) })
            .to_string()
            .into_bytes(),
        "header" => {
            fields = format!(
                "x-echo: {token}\r\nset-cookie: s={}\r\n",
                BASE64.encode(token.as_bytes())
            );
            b"see the header".to_vec()
        }
        "gzip" => {
            fields = "content-encoding: gzip\r\n".into();
            gzip(&both)
        }
        _ => both,
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(&answer).await.ok()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Answers that no server should give (D02, D04).
async fn hostile(stream: &mut TcpStream, how: &str) -> Option<()> {
    match how {
        "truncated" => stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")
            .await
            .ok(),
        "endless" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await
                .ok()?;
            let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await.ok()?;
            }
        }
        "bomb" => {
            let bomb = gzip(&vec![0; 64 << 20]);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
                bomb.len()
            );
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(&bomb).await.ok()
        }
        "large-head" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await.ok()?;
            let line = format!("x-large: {}\r\n", "v".repeat(4000));
            for _ in 0..1000 {
                stream.write_all(line.as_bytes()).await.ok()?;
            }
            stream.write_all(b"content-length: 0\r\n\r\n").await.ok()
        }
        "garbage" => stream
            .write_all(b"SSH-2.0-OpenSSH_9.9\r\n\0\x01\x02\r\n\r\n")
            .await
            .ok(),
        "smuggled" => {
            let text = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 50\r\n\r\nhello";
            stream.write_all(text).await.ok()
        }
        _ => Some(()),
    }
}

/// A head, then a byte now and then for ever (D02).
async fn slow(stream: &mut TcpStream) -> Option<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        .await
        .ok()?;
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        pace.tick().await;
        stream.write_all(b".").await.ok()?;
    }
}
