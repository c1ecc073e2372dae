//! The real server as a process: its own data directory, its own port, its log in a file. It is started, killed, stopped
//! and started again as an operator and a power cut would do it.

pub(crate) mod http;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use http::Answer;

/// For a start on a machine that has other things to do.
const START: Duration = Duration::from_secs(120);

/// SIGTERM to exit, as the issue has it.
const STOP: Duration = Duration::from_secs(35);

/// signal(7), Linux.
const SIGXFSZ: i32 = 25;

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// What a server is started with.
#[derive(Debug, Default, Clone)]
pub(crate) struct Setup {
    /// Where `api.github.com` is, and who vouches for it.
    pub(crate) vendor: Option<(SocketAddr, String)>,
    /// The same of other names.
    pub(crate) places: Vec<Place>,
    /// Variables of its environment: keys of the configuration that differ.
    pub(crate) set: Vec<(&'static str, String)>,
    /// A file over its limit is an error of the write, not the end of the process.
    pub(crate) outlives_limits: bool,
    /// Instead of the data directory in the temporary one.
    pub(crate) data: Option<PathBuf>,
}

/// Where a name is to be found.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
    /// Who vouches for it; empty: nobody.
    pub(crate) ca: String,
}

/// A server's files and, while it runs, its process.
#[derive(Debug)]
pub(crate) struct Server {
    dir: TempDir,
    data: PathBuf,
    set: Vec<(&'static str, String)>,
    outlives_limits: bool,
    process: Option<Child>,
    address: SocketAddr,
    key: String,
}

impl Server {
    /// Writes the configuration, starts the server and waits until it is ready.
    pub(crate) fn start(setup: &Setup) -> Self {
        let mut server = Self::prepare(setup);
        server.run();
        server
    }

    /// Everything but the process.
    pub(crate) fn prepare(setup: &Setup) -> Self {
        let dir = tempfile::tempdir().expect("make a directory");
        let data = setup.data.clone().unwrap_or_else(|| dir.path().join("data"));
        let mut server = Self {
            data,
            set: Vec::new(),
            outlives_limits: setup.outlives_limits,
            process: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            key: String::new(),
            dir,
        };
        server.configure(setup);
        server
    }

    /// Writes the configuration anew; the next start reads it.
    pub(crate) fn configure(&mut self, setup: &Setup) {
        let quoted = |path: &Path| toml::Value::String(path.display().to_string()).to_string();
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n\n[data]\ndir = {}\n",
            quoted(&self.data)
        );
        let vendor = setup.vendor.iter().map(|(address, ca)| Place {
            host: "api.github.com".to_owned(),
            address: *address,
            ca: ca.clone(),
        });
        let places: Vec<Place> = vendor.chain(setup.places.iter().cloned()).collect();
        if !places.is_empty() {
            let (mut open, mut files, mut connects) = (Vec::new(), Vec::new(), String::new());
            for (number, place) in places.iter().enumerate() {
                open.push(format!("\"127.0.0.1/32:{}\"", place.address.port()));
                if !place.ca.is_empty() {
                    let file = self.dir.path().join(format!("vendor-{number}-ca.pem"));
                    fs::write(&file, &place.ca).expect("write the vendor's authority");
                    files.push(quoted(&file));
                }
                connects += &format!(
                    "\n[[broker.connect]]\nhost = \"{}\"\nport = 443\naddress = \"{}\"\n",
                    place.host, place.address
                );
            }
            text += &format!(
                "\n[broker]\nopen = [{}]\nextra_ca_files = [{}]\n{connects}",
                open.join(", "),
                files.join(", ")
            );
        }
        fs::write(self.config(), text).expect("write the configuration");
        self.set.clone_from(&setup.set);
    }

    /// Starts the process and waits until it is ready.
    pub(crate) fn run(&mut self) {
        self.launch()
            .unwrap_or_else(|status| panic!("the server ended ({status}):\n{}", self.log_tail()));
    }

    /// Starts the process; its status if it ends instead of being ready.
    pub(crate) fn launch(&mut self) -> Result<(), ExitStatus> {
        assert!(self.process.is_none(), "it runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("open the log");
        let mut command = self.command();
        command
            .arg("serve")
            .arg("--config")
            .arg(self.config())
            .arg("--key-file")
            .arg(self.key_file())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().expect("start the server");
        let lines = lines_of(child.stdout.take().expect("its standard output"));
        let deadline = Instant::now() + START;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    let Some(at) = line.strip_prefix("listening on http://") else {
                        continue;
                    };
                    self.address = at.trim().parse().expect("an address");
                    self.key = fs::read_to_string(self.key_file())
                        .expect("the first key")
                        .trim()
                        .to_owned();
                    self.process = Some(child);
                    return Ok(());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(child.wait().expect("wait for the server"));
                }
                Err(RecvTimeoutError::Timeout) => {
                    child.kill().expect("end the server");
                    panic!("the server is not ready after {START:?}:\n{}", self.log_tail());
                }
            }
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.process.take().expect("it runs");
        child.kill().expect("kill the server");
        child.wait().expect("wait for the server");
    }

    /// SIGTERM, and the exit that an operator expects.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        let status = self.wait_for_end(STOP);
        assert!(
            status.success(),
            "after SIGTERM it ended with {status}:\n{}",
            self.log_tail()
        );
    }

    /// SIGKILL and a start on the same data.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.run();
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .expect("run kill");
        assert!(sent.success(), "kill -s {name} {pid}: {sent}");
    }

    /// The end of a process that is about to end by itself.
    pub(crate) fn wait_for_end(&mut self, patience: Duration) -> ExitStatus {
        let mut child = self.process.take().expect("it runs");
        let ended = within(patience, || child.try_wait().expect("ask for the server"));
        ended.unwrap_or_else(|| {
            child.kill().expect("end the server");
            panic!("it did not end within {patience:?}:\n{}", self.log_tail())
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// No file of the running process may become larger.
    pub(crate) fn limit_file(&self, bytes: u64) {
        let set = Command::new("prlimit")
            .args(["--pid", &self.pid().to_string(), &format!("--fsize={bytes}")])
            .status()
            .expect("run prlimit");
        assert!(set.success(), "prlimit: {set}");
    }

    /// The next byte that the running process writes to a file ends it, as SIGKILL would and right there: what it may write to one
    /// is nothing, and the answer to a write beyond that is SIGXFSZ.
    pub(crate) fn end_at_the_next_write(&self) {
        let set = Command::new("prlimit")
            .args(["--pid", &self.pid().to_string(), "--core=0", "--fsize=0"])
            .status()
            .expect("run prlimit");
        assert!(set.success(), "prlimit: {set}");
    }

    /// The end that [`Server::end_at_the_next_write`] has set.
    pub(crate) fn wait_for_the_write(&mut self) {
        let status = self.wait_for_end(START);
        assert_eq!(status.signal(), Some(SIGXFSZ), "{status}");
    }

    /// Whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        let child = self.process.as_mut().expect("it was started");
        child.try_wait().expect("ask for the server").is_some()
    }

    /// Resident memory, as the kernel has it.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process's status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("VmRSS");
        let kib: u64 = line
            .trim()
            .trim_end_matches("kB")
            .trim()
            .parse()
            .expect("a number");
        kib * 1024
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("sluice.toml")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.dir.path().join("api-key")
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).expect("read the log")).into_owned()
    }

    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// The binary, with nothing of this machine's settings.
    pub(crate) fn command(&self) -> Command {
        let mut command = if self.outlives_limits {
            let mut shell = Command::new("sh");
            shell
                .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
                .arg(binary());
            shell
        } else {
            Command::new(binary())
        };
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("NO_COLOR", "1")
            .envs(self.set.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// A command of the command line, signed in.
    pub(crate) fn cli(&self, words: &[&str]) -> Finished {
        let mut command = self.command();
        command
            .args(["--server", &format!("http://{}", self.address), "--api-key-file"])
            .arg(self.key_file());
        finish(command.args(words))
    }

    /// Requests with the first key.
    pub(crate) fn api(&self) -> Api {
        Api {
            address: self.address,
            key: self.key.clone(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            // The test is over, or has failed already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// None: a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Finished {
    /// The stable code of the failure that `--json` prints.
    pub(crate) fn error_code(&self) -> String {
        let last = self.err.lines().rfind(|line| line.starts_with('{'));
        let parsed = last.and_then(|line| serde_json::from_str::<Value>(line).ok());
        let code = parsed.and_then(|value| value["error"]["code"].as_str().map(str::to_owned));
        code.unwrap_or_else(|| panic!("no failure as JSON: {self:?}"))
    }
}

pub(crate) fn finish(command: &mut Command) -> Finished {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("run the command line");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Finished {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A client of one server; it does not follow a restart to another port.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
}

impl Api {
    pub(crate) fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let key = format!("Bearer {}", self.key);
        let headers = [("authorization", key.as_str()), ("content-type", kind)];
        http::request(self.address, method, path, &headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A GET that has to be answered well.
    pub(crate) fn get(&self, path: &str) -> Value {
        good(&format!("GET {path}"), &self.send("GET", path, JSON, b""))
    }

    /// A POST that has to be answered well.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.send("POST", path, JSON, body.to_string().as_bytes());
        good(&format!("POST {path}"), &answer)
    }

    /// A POST, whatever is answered.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, JSON, body.to_string().as_bytes())
    }

    pub(crate) fn post_bytes(&self, path: &str, body: &[u8]) -> Answer {
        self.send("POST", path, "application/octet-stream", body)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Value {
        let answer = self.send("PUT", path, JSON, body.to_string().as_bytes());
        good(&format!("PUT {path}"), &answer)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, JSON, b"")
    }

    /// Every item of a list with page tokens.
    pub(crate) fn all(&self, path: &str) -> Vec<Value> {
        let join = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("{path}{join}limit=1000{after}"));
            items.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return items,
            }
        }
    }

    /// Every item of a feed with numbers.
    pub(crate) fn feed(&self, path: &str) -> Vec<Value> {
        let join = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut after = 0;
        loop {
            let page = self.get(&format!("{path}{join}limit=1000&after={after}"));
            items.extend(page["items"].as_array().expect("items").iter().cloned());
            after = page["next"].as_u64().expect("next");
            if page["end"] == true {
                return items;
            }
        }
    }
}

const JSON: &str = "application/json";

fn good(what: &str, answer: &Answer) -> Value {
    assert!(
        (200..300).contains(&answer.status),
        "{what}: {} {}",
        answer.status,
        answer.text()
    );
    answer.json()
}

/// Looks until there is something; none after the deadline.
pub(crate) fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    // Nothing is ever sent: between two looks, the machine is left to those who are waited for.
    let (_open, silence) = mpsc::channel::<()>();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        let quiet = silence.recv_timeout(LOOK);
        debug_assert_eq!(quiet, Err(RecvTimeoutError::Timeout));
    }
}

/// Looks until there is something, for two minutes at most.
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(Duration::from_secs(120), look).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// The binary that the step before has built, beside this test.
pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("this test's file");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("the directory of the profile");
    let binary = profile.join("sluice");
    assert!(
        binary.exists(),
        "{} is missing: `cargo build -p sluice` builds it",
        binary.display()
    );
    binary
}

fn lines_of(out: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                // Read on: a full pipe would stop the server.
            }
        }
    });
    receiver
}
