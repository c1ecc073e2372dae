//! What the vendors that tests play have in common: a place at which they are found, a request as they read it, and a gate at which
//! their answers wait.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Condvar, Mutex};

use serde_json::Value;

use crate::server::{Place, Setup};

/// Serves every connection in a thread of its own until the test ends; what becomes of one is its own matter.
pub(crate) fn serve<V: Clone + Send + 'static>(
    listener: TcpListener,
    vendor: V,
    answer: fn(&V, &TcpStream) -> std::io::Result<()>,
) {
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let vendor = vendor.clone();
            std::thread::spawn(move || drop(answer(&vendor, &stream)));
        }
    });
}

/// A server's setup that finds the vendor under its name, without TLS.
pub(crate) fn setup(host: &str, address: SocketAddr) -> Setup {
    Setup {
        places: vec![Place {
            host: host.to_owned(),
            address,
            ca: String::new(),
        }],
        ..Setup::default()
    }
}

/// A request of HTTP/1.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    /// By their names in small letters.
    pub(crate) headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Asked {
    /// The next one of a connection; none at its end.
    pub(crate) fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = HashMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|text| text.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        Ok(Some(Self {
            method,
            target,
            headers,
            body,
        }))
    }

    /// A header; empty where it was not sent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body; null where it is no JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Path and query of the target.
    pub(crate) fn address(&self) -> (&str, &str) {
        self.target.split_once('?').unwrap_or((&self.target, ""))
    }
}

/// Where answers wait.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct State {
    shut: bool,
    waiting: u64,
}

impl Gate {
    /// Who comes waits until this is called with `false`.
    pub(crate) fn hold(&self, shut: bool) {
        self.state.lock().unwrap().shut = shut;
        self.opened.notify_all();
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.state.lock().unwrap().waiting
    }

    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        while state.shut {
            state = self.opened.wait(state).unwrap();
        }
        state.waiting -= 1;
    }
}
