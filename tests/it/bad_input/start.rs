//! Starts that are refused: each with its exit code, its stable code and a sentence, and the data directory as it was.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::github::{self, StandIn};
use crate::server::{Finished, Server, Setup, finish};

/// `sluice --json serve` with these words, which has to end by itself.
fn serve(server: &Server, words: &[&str]) -> Finished {
    finish(server.command().args(["--json", "serve"]).args(words))
}

fn with_config(server: &Server) -> Finished {
    let config = server.config().display().to_string();
    serve(server, &["--config", &config])
}

/// The files of a directory to the byte.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("list the data") {
        let path = entry.expect("list the data").path();
        if path.is_file() {
            let name = path.display().to_string();
            found.insert(name, fs::read(&path).expect("read the data"));
        }
    }
    found
}

#[test]
fn a_configuration_with_a_mistake() {
    let server = Server::prepare(&Setup::default());
    let data = server.data().display().to_string();
    for (text, line, says) in [
        ("[server]\nlisten = \"127.0.0.1:0\"\nlissten = 1\n", 3, "lissten"),
        ("[server]\nlisten = 1\n", 2, "listen"),
        ("[server]\nmax_connections = 0\n", 2, "max_connections"),
        ("\n\n[serve]\n", 3, "serve"),
        ("[server]\nlisten = \n", 2, ""),
        ("[broker]\nopen = [\"127.0.0.1/40\"]\n", 2, "open"),
        ("[log]\nfilter = \"a=b=c\"\n", 2, "filter"),
    ] {
        fs::write(server.config(), text).expect("write a configuration");
        let ended = with_config(&server);
        assert_eq!(ended.code, Some(2), "{text}: {ended:?}");
        assert_eq!(ended.error_code(), "config.invalid", "{text}");
        assert!(
            ended.err.contains(&format!("sluice.toml:{line}:")) && ended.err.contains(says),
            "{text}: {}",
            ended.err
        );
    }
    fs::write(server.config(), "").expect("write a configuration");
    let public = serve(&server, &["--data", &data, "--listen", "0.0.0.0:0"]);
    assert_eq!(public.code, Some(2), "{public:?}");
    assert_eq!(public.error_code(), "config.plain_public");
    let missing = serve(&server, &["--config", "/no/such/file"]);
    assert_eq!(
        (missing.code, missing.error_code().as_str()),
        (Some(2), "config.unreadable")
    );
    assert!(!server.data().exists(), "nothing was begun");
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let server = Server::prepare(&Setup::default());
    let data = server.data().display().to_string();
    let ended = serve(&server, &["--data", &data, "--listen", &address]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.error_code(), "server.port_busy");
    assert!(ended.err.contains(&address), "{}", ended.err);
    assert!(!server.data().exists(), "nothing was begun");
}

#[test]
fn a_second_server_on_the_same_data() {
    let stand_in = StandIn::with_issues(3);
    let server = Server::start(&stand_in.setup());
    let connection = github::ready(&server);
    let second = with_config(&server);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert_eq!(second.error_code(), "store.locked");
    let run = github::sync(&server.api(), &connection, "issues", "full");
    assert_eq!(run["state"], "succeeded", "the first goes on: {run}");
}

#[test]
fn a_master_key_that_is_not_the_right_one() {
    let stand_in = StandIn::with_issues(3);
    let mut server = Server::start(&stand_in.setup());
    let connection = github::ready(&server);
    let run = github::sync(&server.api(), &connection, "issues", "full");
    assert_eq!(run["state"], "succeeded", "{run}");
    server.stop();
    let key = server.data().join("master.key");
    let right = fs::read(&key).expect("the key that the first start made");
    let mode = |mode: u32| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("set the mode");
    let write = |text: &[u8]| fs::write(&key, text).expect("write a key");

    let wrong = "0123456789abcdef".repeat(4);
    for (text, expected) in [
        (wrong.as_bytes(), "key.wrong"),
        (&right[..40], "key.malformed"),
        (b"", "key.malformed"),
        (
            b"abababababababababababababababababababababababababababababababab",
            "key.malformed",
        ),
        (b"correct horse battery staple", "key.malformed"),
    ] {
        write(text);
        let before = files(server.data());
        let ended = with_config(&server);
        assert_eq!(
            (ended.code, ended.error_code().as_str()),
            (Some(1), expected),
            "{ended:?}"
        );
        let after = files(server.data());
        if expected == "key.wrong" {
            // Only the database knows that a key is wrong, and its engine notes in the file that it was opened. Looking
            // at it read-only first would spare that; until then, nothing of ours may have been made anew.
            let shape = |files: &BTreeMap<String, Vec<u8>>| -> Vec<(String, usize)> {
                files
                    .iter()
                    .map(|(name, bytes)| (name.clone(), bytes.len()))
                    .collect()
            };
            assert_eq!(shape(&before), shape(&after));
        } else {
            assert!(before == after, "{expected}: the data was touched");
        }
        let text = String::from_utf8_lossy(text);
        assert!(
            text.is_empty() || !ended.err.contains(&*text),
            "the key is in the message"
        );
    }
    write(&right);
    for open in [0o644, 0o640, 0o604] {
        mode(open);
        let ended = with_config(&server);
        assert_eq!(
            (ended.code, ended.error_code().as_str()),
            (Some(1), "key.readable_by_others"),
            "{ended:?}"
        );
        assert!(ended.err.contains("chmod 600"), "{}", ended.err);
    }
    mode(0o600);
    fs::remove_file(&key).expect("lose the key");
    let before = files(server.data());
    let ended = with_config(&server);
    assert_eq!(
        (ended.code, ended.error_code().as_str()),
        (Some(1), "key.missing"),
        "{ended:?}"
    );
    assert!(
        before == files(server.data()),
        "a lost key is not made anew, nor is the database"
    );

    write(&right);
    mode(0o600);
    server.run();
    let report = server
        .api()
        .post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
    assert_eq!(
        report["ok"], true,
        "with the right key everything is there: {report}"
    );
    assert_eq!(github::held(&server.api(), &connection, "issues"), 3);
    server.stop();
}
