//! A disk that fills up: nothing is acknowledged that is not on it, the process says why it stops, and with space again
//! it goes on where it was.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::github::{self, Hook, StandIn};
use crate::server::{Server, within};

/// Files in memory of a size that can be raised; gone with this.
struct Small(PathBuf);

impl Small {
    /// None: this user may not mount, or not here.
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).expect("make a directory");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=700"), "tmpfs"])
            .arg(at)
            .status();
        status
            .is_ok_and(|status| status.success())
            .then(|| Self(at.to_owned()))
    }

    fn grow(&self, bytes: u64) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,size={bytes}")])
            .arg(&self.0)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "give more space");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily, because a server may still be there; a mount that stays harms nobody.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// Enough for a start, the connector and a few megabytes of webhooks.
const BYTES: u64 = 8 << 20;

#[test]
fn a_disk_that_is_full() {
    let place = tempfile::tempdir().expect("make a directory");
    let data = place.path().join("data");
    let Some(disk) = Small::mount(&data, BYTES) else {
        println!(
            "no disk can be mounted here: a limit on the size of files stands for it in `a_file_that_may_not_grow`"
        );
        return;
    };
    let stand_in = StandIn::with_issues(3);
    let mut setup = stand_in.setup();
    setup.data = Some(data);
    let cache = place.path().join("compiled").display().to_string();
    setup.set = vec![("SLUICE_RUNTIME__CACHE_DIR", cache)];
    let mut server = Server::start(&setup);
    let connection = github::ready(&server);
    let hook = Hook::create(&server.api(), &connection);
    let acknowledged = fill(&server, &hook);
    after_the_end(&mut server);
    disk.grow(64 << 20);
    server.run();
    all_there(&server, &hook, &acknowledged);
    drop(server);
}

#[test]
fn a_file_that_may_not_grow() {
    let stand_in = StandIn::with_issues(3);
    let mut setup = stand_in.setup();
    setup.outlives_limits = true;
    let mut server = Server::start(&setup);
    let connection = github::ready(&server);
    let hook = Hook::create(&server.api(), &connection);
    let database = server.data().join("sluice.redb");
    let bytes = std::fs::metadata(&database).expect("the database").len();
    // EFBIG instead of ENOSPC: the same road through the code, without a disk of our own.
    server.limit_file(bytes + (1 << 20));
    let acknowledged = fill(&server, &hook);
    after_the_end(&mut server);
    server.run();
    all_there(&server, &hook, &acknowledged);
}

/// Delivers until the server takes no more; gives what it acknowledged.
fn fill(server: &Server, hook: &Hook) -> Vec<String> {
    let api = server.api();
    let body = format!("{{\"filler\":\"{}\"}}", "x".repeat(200_000));
    let mut headers = hook.sign(&api, body.as_bytes());
    headers.push(("x-github-event".to_owned(), "ping".to_owned()));
    let mut acknowledged = Vec::new();
    for number in 0..500 {
        let delivery = format!("d-{number}");
        let mut headers = headers.clone();
        headers.push(("x-github-delivery".to_owned(), delivery.clone()));
        match github::post(api.address, &hook.id, &headers, body.as_bytes()) {
            Ok(answer) if answer.status == 200 => acknowledged.push(delivery),
            Ok(answer) => {
                assert!(
                    matches!(answer.status, 500 | 503),
                    "{}: {}",
                    answer.status,
                    answer.text()
                );
                return acknowledged;
            }
            Err(_) => return acknowledged,
        }
    }
    panic!("100 MB went onto a full disk");
}

/// The process ends by itself with a word about it.
fn after_the_end(server: &mut Server) {
    let status = server.wait_for_end(Duration::from_secs(60));
    assert_eq!(status.code(), Some(1), "{status}: {}", server.log());
    let log = server.log();
    assert!(
        log.contains("the database failed and the server stops") && log.contains("space"),
        "the log says why and what to do:\n{log}"
    );
}

fn all_there(server: &Server, hook: &Hook, acknowledged: &[String]) {
    assert!(!acknowledged.is_empty(), "something was taken before");
    let receipts = hook.settled(&server.api());
    for delivery in acknowledged {
        let key = format!("id:{delivery}");
        let found: Vec<_> = receipts
            .iter()
            .filter(|receipt| receipt["dedupe_key"] == key.as_str())
            .collect();
        assert_eq!(found.len(), 1, "{delivery} was acknowledged");
        assert_eq!(found[0]["state"], "handled", "{}", found[0]);
    }
    let served = within(Duration::from_secs(10), || {
        let answer = hook.deliver(&server.api(), "ping", "after", b"{}");
        (answer.status == 200).then_some(())
    });
    assert!(served.is_some(), "it takes webhooks again");
}
