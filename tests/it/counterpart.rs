//! Software that we did not write, as processes of a test: the servers and judges of `tests/counterparts`. Each says in one line that
//! it is ready and ends with the test that started it. What they need and is not there is a failure that says what to do.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::server::http;

/// For a start, or an answer, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that answers line by line.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    /// Its end is the process's.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    fn start(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let out = child.stdout.take().expect("its standard output");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            name: name.to_owned(),
            input: child.stdin.take(),
            child,
            lines,
        }
    }

    fn line(&mut self) -> Value {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.name))
            }
            Err(RecvTimeoutError::Timeout) => panic!("{} says nothing for {PATIENCE:?}", self.name),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().expect("wait for it");
                panic!("{} ended ({status}); its reason is above", self.name)
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        // The test is over, or has failed already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A server with control calls.
#[derive(Debug)]
pub(crate) struct Counterpart {
    _process: Process,
    /// The line that it says when it is ready.
    pub(crate) ready: Value,
    control: SocketAddr,
}

impl Counterpart {
    /// A script of Node's.
    pub(crate) fn node(script: &str, words: &[&str]) -> Self {
        Self::start(script, node(script, words))
    }

    /// A script of Python's.
    pub(crate) fn python(script: &str, words: &[&str]) -> Self {
        Self::start(script, python(script, words))
    }

    fn start(name: &str, command: Command) -> Self {
        let mut process = Process::start(name, command);
        let ready = process.line();
        let port = ready["control_port"].as_u64().expect("a control port");
        let port = u16::try_from(port).expect("a port");
        Self {
            _process: process,
            ready,
            control: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    /// Where it speaks TLS.
    pub(crate) fn address(&self) -> SocketAddr {
        let port = self.ready["port"].as_u64().expect("a port");
        SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")))
    }

    /// Who vouches for it.
    pub(crate) fn authority(&self) -> &str {
        self.ready["ca_pem"].as_str().expect("an authority")
    }

    pub(crate) fn get(&self, call: &str) -> Value {
        self.call("GET", call, b"")
    }

    pub(crate) fn post(&self, call: &str, body: &Value) -> Value {
        self.call("POST", call, body.to_string().as_bytes())
    }

    fn call(&self, method: &str, call: &str, body: &[u8]) -> Value {
        let path = format!("/__control/{call}");
        let headers = [("content-type", "application/json")];
        let answer = http::request(self.control, method, &path, &headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        answer.json()
    }

    /// A number that it counts.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let counts = self.get("counts");
        counts[name]
            .as_u64()
            .unwrap_or_else(|| panic!("it does not count `{name}`: {counts}"))
    }
}

/// A process that is asked: one JSON object a line, one answer a line.
#[derive(Debug)]
pub(crate) struct Judge(Mutex<Process>);

impl Judge {
    pub(crate) fn node(script: &str, words: &[&str]) -> Self {
        Self(Mutex::new(Process::start(script, node(script, words))))
    }

    pub(crate) fn ask(&self, question: &Value) -> Value {
        let mut process = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{question}\n");
        let input = process.input.as_mut().expect("its standard input");
        input.write_all(line.as_bytes()).expect("ask it");
        process.line()
    }
}

/// A script that does one thing and prints one line.
pub(crate) fn run_node(script: &str, words: &[&str]) -> Value {
    run(script, words, node(script, words))
}

/// The same in Python.
pub(crate) fn run_python(script: &str, words: &[&str]) -> Value {
    run(script, words, python(script, words))
}

fn run(script: &str, words: &[&str], mut command: Command) -> Value {
    let output = command.output().expect("run it");
    assert!(
        output.status.success(),
        "{script} {words:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{script}: {error}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn python(script: &str, words: &[&str]) -> Command {
    let python = root().join("target/counterparts-venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: `cargo xtask test` makes it, see tests/counterparts/README.md",
        python.display()
    );
    let mut command = Command::new(python);
    command.arg(home().join(script)).args(words);
    command
}

fn node(script: &str, words: &[&str]) -> Command {
    assert!(
        home().join("node_modules").exists(),
        "tests/counterparts has no node_modules: `cargo xtask test` installs them, or `npm ci` there"
    );
    let mut command = Command::new("node");
    // A warning about Node's own version is no news here.
    command.env("NODE_NO_WARNINGS", "1");
    command.arg(home().join(script)).args(words);
    command
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn home() -> PathBuf {
    root().join("tests/counterparts")
}
