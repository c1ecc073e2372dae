//! Hostile peers and rough operators of the listener: raw bytes to a real server process. Whatever they do, others are
//! served, memory stays bounded, and the process ends when it is told to.

mod h2;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::server::{Api, Server, Setup, http, wait_for, within};

/// How much more memory a peer may cost, and what the allocator keeps of it.
const GROWTH_BYTES: u64 = 24 << 20;

/// For a server to close what it must close: its own times are a few seconds, the rest is a busy machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(60);

fn setup(set: &[(&'static str, &str)]) -> Setup {
    Setup {
        set: set
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        ..Setup::default()
    }
}

fn served(api: &Api) {
    let answer = http::request(api.address, "GET", "/health/live", &[], b"").expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(CLOSED_WITHIN)).expect("a timeout");
    stream.set_write_timeout(Some(CLOSED_WITHIN)).expect("a timeout");
    stream
}

/// A request whose body of two bytes the server waits for.
fn under_way(api: &Api) -> TcpStream {
    let mut stream = connect(api.address);
    let head = format!(
        "POST /api/v1/connections HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: \
         application/json\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
        api.address, api.key
    );
    stream.write_all(head.as_bytes()).expect("a head");
    let mut word = [0; 25];
    stream.read_exact(&mut word).expect("a word");
    assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// What comes until the end; an end that is a reset is an end.
fn rest(stream: &mut TcpStream) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(bytes),
    }
}

fn metric(api: &Api, name: &str) -> u64 {
    let page = api.send("GET", "/metrics", "text/plain", b"").text();
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} is not in\n{page}"))
        .trim()
        .parse()
        .expect("a number")
}

/// H08.
#[test]
fn floods_of_http2_frames_cost_no_memory_and_nobody_elses_service() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    for _ in 0..20 {
        served(&api);
    }
    for attack in h2::ATTACKS {
        let before = server.resident_bytes();
        let address = api.address;
        let done = AtomicBool::new(false);
        let most = AtomicU64::new(before);
        let closed = std::thread::scope(|scope| {
            let peer = scope.spawn(|| {
                let closed = h2::run(attack, address);
                done.store(true, Ordering::SeqCst);
                closed
            });
            while !done.load(Ordering::SeqCst) {
                served(&api);
                most.fetch_max(server.resident_bytes(), Ordering::SeqCst);
            }
            peer.join().expect("the peer")
        });
        let grown = most
            .load(Ordering::SeqCst)
            .max(server.resident_bytes())
            .saturating_sub(before);
        println!("{}: {grown} bytes more, closed: {closed}", attack.name);
        assert!(grown <= GROWTH_BYTES, "{}: {grown} bytes more", attack.name);
        assert!(
            closed || !attack.must_close,
            "{}: the connection stays open",
            attack.name
        );
        served(&api);
    }
}

/// H08, for HTTP/1.1: a head that does not end, in one field or in many.
#[test]
fn a_head_that_is_too_large_is_refused() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    let large = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(10_000));
    for head in [large, many] {
        let answer = http::raw(api.address, head.as_bytes(), b"").expect("an answer");
        assert_eq!(answer.status, 431, "{}", answer.text());
        served(&api);
    }
}

/// D08.
#[test]
fn peers_that_dawdle_are_cut_off_while_others_are_served() {
    let server = Server::start(&setup(&[
        ("SLUICE_SERVER__HEADER_TIMEOUT_S", "2"),
        ("SLUICE_SERVER__BODY_TIMEOUT_S", "2"),
    ]));
    let api = server.api();
    let mut heads: Vec<_> = (0..300).map(|_| connect(api.address)).collect();
    for (n, head) in heads.iter_mut().enumerate() {
        let part: &[u8] = match n % 3 {
            0 => b"G",
            1 => b"POST /hooks/hok_1 HTTP/1.1\r\nhost: x\r\nx: ",
            _ => b"PRI * HTTP/2.0\r\n",
        };
        head.write_all(part).expect("a part of a head");
    }
    let mut bodies: Vec<_> = (0..50).map(|_| under_way(&api)).collect();
    for _ in 0..20 {
        served(&api);
    }
    for stream in &mut heads {
        let said = String::from_utf8_lossy(&rest(stream).expect("it is closed")).into_owned();
        assert!(
            said.is_empty() || said.contains(" 408 ") || said.contains(" 400 ") || said.contains('\0'),
            "{said}"
        );
    }
    for stream in &mut bodies {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 408");
    }
    drop((heads, bodies));
    wait_for("the connections to be let go", || {
        (metric(&api, "sluice_connections_open") <= 1).then_some(())
    });
}

/// F07.
#[test]
fn a_server_without_descriptors_turns_away_and_recovers() {
    let server = Server::start(&Setup::default());
    let api = server.api();
    served(&api);
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .expect("its descriptors")
        .count();
    let limit = open + 12;
    let set = Command::new("prlimit")
        .args([
            "--pid",
            &server.pid().to_string(),
            &format!("--nofile={limit}:{limit}"),
        ])
        .status()
        .expect("run prlimit");
    assert!(set.success(), "prlimit: {set}");
    let crowd: Vec<_> = (0..60).map(|_| connect(api.address)).collect();
    let answer = within(Duration::from_secs(60), || {
        let answer = http::request(api.address, "GET", "/health/live", &[], b"").ok()?;
        (answer.status == 503).then_some(answer)
    });
    assert!(answer.is_some(), "nobody is told that the server is full");
    drop(crowd);
    wait_for("service", || {
        let answer = http::request(api.address, "GET", "/health/live", &[], b"").ok()?;
        (answer.status == 200).then_some(())
    });
    let failed = metric(&api, "sluice_connections_exhausted_total");
    assert!(
        (1..500).contains(&failed),
        "the loop spun: {failed} failed accepts"
    );
}

/// F14.
#[test]
fn a_server_under_load_drains_and_ends_well() {
    let mut server = Server::start(&Setup::default());
    let api = server.api();
    let stop = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    // Once the port is closed there is nobody to answer.
                    if http::request(api.address, "GET", "/health/live", &[], b"").is_ok() {
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        wait_for("load", || (answered.load(Ordering::SeqCst) > 100).then_some(()));
        server.signal("HUP");
        served(&api);
        // A body under way is waited for, and an idle connection is not.
        let idle = connect(api.address);
        let mut slow = under_way(&api);
        server.signal("TERM");
        wait_for("the port to be closed", || TcpStream::connect(api.address).err());
        slow.write_all(b"{}").expect("the body");
        let said = String::from_utf8_lossy(&rest(&mut slow).expect("an answer")).into_owned();
        assert!(said.starts_with("HTTP/1.1 4"), "{said}");
        let status = server.wait_for_end(Duration::from_secs(35));
        stop.store(true, Ordering::SeqCst);
        assert!(status.success(), "{status}");
        drop(idle);
    });
    assert!(server.log().contains("SIGHUP is ignored"));
}

/// F14: who does not want to wait.
#[test]
fn a_second_signal_ends_the_server_at_once() {
    let mut server = Server::start(&setup(&[("SLUICE_SERVER__BODY_TIMEOUT_S", "600")]));
    let api = server.api();
    let held = under_way(&api);
    server.signal("TERM");
    wait_for("the port to be closed", || TcpStream::connect(api.address).err());
    server.signal("TERM");
    let status = server.wait_for_end(Duration::from_secs(20));
    assert!(!status.success(), "work was cut off, and the exit says so");
    drop(held.shutdown(Shutdown::Both));
    server.run();
    served(&server.api());
}
