//! A token endpoint on loopback. Each refresh token is good once; a used one that comes again ends the grant (RFC 9700 §4.14.2).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::disk::MemoryDisk;

/// What the endpoint answers instead of what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// 503, and nothing is used up.
    Down,
    /// A lifetime that nobody can believe; the token is used up.
    Timeless,
}

#[derive(Debug)]
struct State {
    /// The refresh token that is good.
    current: usize,
    is_over: bool,
    /// Somebody took the access back at the vendor.
    was_ended: bool,
    mood: Mood,
    requests: usize,
    disk: MemoryDisk,
}

pub(super) struct Vendor {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Vendor {
    pub(super) fn start(disk: MemoryDisk) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let state = Arc::new(Mutex::new(State {
            current: 0,
            is_over: false,
            was_ended: false,
            mood: Mood::Well,
            requests: 0,
            disk,
        }));
        let (address, of) = (listener.local_addr().unwrap(), Arc::clone(&state));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that went away is none of ours.
                drop(answer(stream, &of));
            }
        });
        Self { address, state }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Goes on at the same place, as if it had rotated so often.
    pub(super) fn begin_anew(&self, current: usize, disk: &MemoryDisk) {
        let mut state = self.state.lock().unwrap();
        state.current = current;
        state.is_over = state.was_ended;
        state.mood = Mood::Well;
        state.requests = 0;
        state.disk = disk.clone();
    }

    pub(super) fn set(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub(super) fn end(&self) {
        let mut state = self.state.lock().unwrap();
        (state.is_over, state.was_ended) = (true, true);
    }

    pub(super) fn requests(&self) -> usize {
        self.state.lock().unwrap().requests
    }

    /// Another handle of the same.
    pub(super) fn same(&self) -> Self {
        Self {
            address: self.address,
            state: Arc::clone(&self.state),
        }
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    let body = loop {
        let read = stream.read(&mut part)?;
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.split("\r\n").next()?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break body.to_owned();
            }
        }
        if read == 0 {
            return Ok(());
        }
    };
    let (status, body) = said(&body, &mut state.lock().unwrap());
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn said(body: &str, state: &mut State) -> (u16, String) {
    state.requests += 1;
    if state.mood == Mood::Down {
        return (503, "{}".to_owned());
    }
    let refresh = body
        .split('&')
        .find_map(|pair| pair.strip_prefix("refresh_token=refresh-"));
    if let Some(number) = refresh {
        if number.parse() != Ok(state.current) {
            state.is_over = true;
        }
        if state.is_over {
            return (400, r#"{"error":"invalid_grant"}"#.to_owned());
        }
    }
    state.current += 1;
    state.disk.rotated();
    let (number, lives) = (
        state.current,
        if state.mood == Mood::Timeless { -1 } else { 3600 },
    );
    (
        200,
        format!(
            r#"{{"access_token":"access-{number}","refresh_token":"refresh-{number}","expires_in":{lives}}}"#
        ),
    )
}
