//! A vendor of boxes of things with attachments. An attachment's bytes follow from its name, so that nobody has to hold them.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::played::{self, Asked, Gate};
use crate::server::Setup;

/// The name that the server finds it by.
const HOST: &str = "attic.example";

/// Things of one page.
const PAGE: usize = 2;

/// Written at once.
const PIECE: usize = 64 << 10;

#[derive(Debug, Default)]
struct Rooms {
    boxes: HashMap<String, Vec<Value>>,
    /// Paths of attachments, as they were asked for.
    fetched: Vec<String>,
}

/// The vendor; it serves until the test ends.
#[derive(Debug, Clone)]
pub(super) struct Attic {
    address: SocketAddr,
    rooms: Arc<Mutex<Rooms>>,
    gate: Arc<Gate>,
}

/// Where an attachment of this name and size is.
pub(super) fn url(name: &str, bytes: usize) -> String {
    format!("http://{HOST}:443/file/{name}/{bytes}")
}

/// What is there.
pub(super) fn bytes(name: &str, bytes: usize) -> Vec<u8> {
    let of_name: u32 = name.bytes().map(u32::from).sum();
    let byte = |at: usize| {
        (at as u32)
            .wrapping_mul(0x9e37_79b9)
            .wrapping_add(of_name)
            .to_le_bytes()[3]
    };
    (0..bytes).map(byte).collect()
}

impl Attic {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let attic = Self {
            address: listener.local_addr().unwrap(),
            rooms: Arc::default(),
            gate: Arc::default(),
        };
        played::serve(listener, attic.clone(), Self::serve);
        attic
    }

    /// A server's setup that finds it.
    pub(super) fn setup(&self) -> Setup {
        played::setup(HOST, self.address)
    }

    /// Puts a thing at the end of a box: its id, and what else is said of it.
    pub(super) fn put(&self, into: &str, id: &str, mut thing: Value) {
        thing["id"] = json!(id);
        let mut rooms = self.rooms.lock().unwrap();
        rooms.boxes.entry(into.to_owned()).or_default().push(thing);
    }

    /// Empties a box; what is put into it comes after what was there.
    pub(super) fn forget(&self, of: &str) {
        let mut rooms = self.rooms.lock().unwrap();
        for thing in rooms.boxes.entry(of.to_owned()).or_default() {
            *thing = Value::Null;
        }
    }

    /// The attachments that were asked for since this was asked before.
    pub(super) fn fetched(&self) -> Vec<String> {
        std::mem::take(&mut self.rooms.lock().unwrap().fetched)
    }

    /// Every attachment waits in its middle until this is called with `false`.
    pub(super) fn hold(&self, shut: bool) {
        self.gate.hold(shut);
    }

    /// Attachments that wait.
    pub(super) fn waiting(&self) -> u64 {
        self.gate.waiting()
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut out = stream;
        while let Some(asked) = Asked::read(&mut reader)? {
            let (path, query) = asked.address();
            let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
            let (kind, body) = match parts.as_slice() {
                ["file", name, size] => {
                    self.rooms.lock().unwrap().fetched.push(path.to_owned());
                    ("Text/HTML; charset=utf-8", bytes(name, size.parse().unwrap()))
                }
                ["box", name] => {
                    let after = query.trim_start_matches("after=").parse().unwrap_or(0);
                    (
                        "application/json",
                        self.page(name, after).to_string().into_bytes(),
                    )
                }
                _ => {
                    out.write_all(b"HTTP/1.1 404 X\r\ncontent-length: 4\r\n\r\nnone")?;
                    continue;
                }
            };
            let head = format!(
                "HTTP/1.1 200 X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            out.write_all(head.as_bytes())?;
            let is_file = kind != "application/json";
            for (number, piece) in body.chunks(PIECE).enumerate() {
                if is_file && number == body.len() / PIECE / 2 {
                    self.gate.pass();
                }
                out.write_all(piece)?;
            }
        }
        Ok(())
    }

    fn page(&self, name: &str, after: usize) -> Value {
        let rooms = self.rooms.lock().unwrap();
        let all = rooms.boxes.get(name).cloned().unwrap_or_default();
        let next = (after + PAGE).min(all.len());
        let things: Vec<_> = all[after.min(next)..next]
            .iter()
            .filter(|thing| !thing.is_null())
            .collect();
        json!({ "things": things, "next": next, "more": next < all.len() })
    }
}
