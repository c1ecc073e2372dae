//! A receiver of deliveries that behaves as receivers do: well, slowly, badly or not at all. Which of it is said by the path.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

/// A delivery as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }
}

/// A receiver on a loopback port.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    /// Whether answers of `/held` wait.
    shut: Arc<(Mutex<bool>, Condvar)>,
}

#[derive(Debug, Default)]
struct Kept {
    got: Vec<Got>,
    /// How often each path was asked.
    times: HashMap<String, usize>,
    /// Connections that are never answered.
    held: Vec<TcpStream>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port");
        let receiver = Self {
            address: listener.local_addr().expect("its address"),
            kept: Arc::default(),
            shut: Arc::default(),
        };
        let shared = receiver.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let receiver = shared.clone();
                thread::spawn(move || receiver.serve(stream));
            }
        });
        receiver
    }

    /// Accepts and never says a word: a server whose TLS stalls.
    pub(crate) fn silent() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port");
        let address = listener.local_addr().expect("its address");
        thread::spawn(move || {
            let _held: Vec<_> = listener.incoming().map_while(Result::ok).collect();
        });
        address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What came to a path, in order.
    pub(crate) fn got(&self, path: &str) -> Vec<Got> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.got.iter().filter(|got| got.path == path).cloned().collect()
    }

    /// Every answer of `/held` waits until this is called with `false`.
    pub(crate) fn hold(&self, shut: bool) {
        *self.shut.0.lock().unwrap_or_else(PoisonError::into_inner) = shut;
        self.shut.1.notify_all();
    }

    fn pass(&self) {
        let mut shut = self.shut.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *shut {
            shut = self.shut.1.wait(shut).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn serve(&self, stream: TcpStream) {
        let Ok(reading) = stream.try_clone() else { return };
        let mut reader = BufReader::new(reading);
        while let Some(got) = read(&mut reader) {
            let path = got.path.clone();
            let time = {
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.got.push(got);
                let times = kept.times.entry(path.clone()).or_default();
                *times += 1;
                *times
            };
            if !self.answer(&stream, &path, time) {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    fn answer(&self, mut stream: &TcpStream, path: &str, time: usize) -> bool {
        let mut say = |status: &str, headers: &str, body: &str| {
            let length = body.len();
            let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
            stream.write_all(text.as_bytes()).is_ok()
        };
        match path.split('?').next().unwrap_or_default() {
            "/redirect" => say("302 Found", "location: /redirected\r\n", ""),
            "/gone" => say("410 Gone", "", "nobody here"),
            "/busy" if time <= 2 => say("429 Too Many Requests", "retry-after: 1\r\n", "later"),
            "/flaky" if !time.is_multiple_of(3) => say("500 Internal Server Error", "", "not now"),
            "/bad" => say("400 Bad Request", "", "I do not understand"),
            "/reset" => false,
            "/held" => {
                self.pass();
                say("200 OK", "", "thanks")
            }
            "/hang" => {
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.held.extend(stream.try_clone());
                false
            }
            "/huge" => {
                let began = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                // Endless, until the other side has had enough.
                while began.is_ok() && stream.write_all(chunk.as_bytes()).is_ok() {}
                false
            }
            _ => say("200 OK", "", "thanks"),
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Got> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(Some(0), |(_, value)| value.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Got { path, headers, body })
}
