use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use sluice_broker::connect::{Peer, Security};
use sluice_destination::{Destination, Error};
use sluice_model::id::OrgId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::rows::{batch, schema, table, upsert};
use crate::server::{HOST, PASSWORD, Server, broker, open};

const ROUNDS: u64 = 12;
const ROWS: u64 = 2_000;

/// The server dies at another moment of each load; whoever loads repeats until it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_dies_in_the_middle_is_exact_afterwards() {
    let mut server = Server::start();
    let destination = Arc::new(server.open());
    let hit = table(
        "hit",
        schema(&[
            ("a", json!({"type": "integer"})),
            ("b", json!({"type": "string"})),
        ]),
    );
    let part = |round: u64| {
        // Half of the ids are of the round before: updates.
        let rows = (1..=ROWS).map(|row| {
            let seq = round * ROWS + row;
            let id = format!("{}", round * ROWS / 2 + row);
            upsert(seq, &id, &json!({"a": seq, "b": "x".repeat(200)}).to_string())
        });
        batch(&hit, round * ROWS, (round + 1) * ROWS, rows.collect())
    };
    for round in 0..ROUNDS {
        let batch = part(round);
        let loading = tokio::spawn({
            let (destination, batch) = (Arc::clone(&destination), batch.clone());
            async move { destination.load(&batch).await }
        });
        // Not a wait for something: a moment, another one in each round.
        for _ in 0..round * 40 {
            tokio::task::yield_now().await;
            server.try_client().await.map(drop).unwrap_or_default();
            if loading.is_finished() || round % 3 == 0 {
                break;
            }
        }
        server.kill();
        let outcome = loading.await.unwrap();
        server.revive();
        if let Err(error) = &outcome {
            assert!(error.passes(), "{error:?}");
        }
        // Repeated once more than needed, and always allowed.
        destination.load(&batch).await.unwrap();
        destination.load(&batch).await.unwrap();
    }
    let last = ROUNDS * ROWS;
    let count = server
        .texts("SELECT count(*) || ' ' || max(_sluice_seq) || ' ' || sum((a = _sluice_seq)::int) FROM hit")
        .await;
    let ids = (ROUNDS - 1) * ROWS / 2 + ROWS;
    assert_eq!(count, [format!("{ids} {last} {ids}")]);
    // Of each id the latest: the smallest number that was not overwritten.
    let older =
        format!("SELECT count(*)::text FROM hit WHERE _sluice_id::bigint > {ROWS} AND _sluice_seq < {ROWS}");
    assert_eq!(server.texts(&older).await, ["0"]);
}

/// Waits until the loader waits for a lock.
async fn until_it_waits(server: &Server) {
    let question =
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'sluice' AND wait_event_type = 'Lock'";
    let client = server.client().await;
    while client.query(question, &[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

/// Killed with the rows merged and not committed, and while it commits: nothing is there, and a repeat makes it be there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_killed_has_not_happened() {
    let mut server = Server::start();
    let destination = Arc::new(server.open());
    let held = table("held", schema(&[("a", json!({"type": "integer"}))]));
    destination
        .load(&batch(&held, 0, 1, vec![upsert(1, "1", r#"{"a":1}"#)]))
        .await
        .unwrap();
    server
        .run(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; \
             END $$",
        )
        .await;
    let (merge, commit) = (
        "CREATE TRIGGER hold AFTER INSERT ON held",
        "CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON held DEFERRABLE INITIALLY DEFERRED",
    );
    for (round, trigger) in [merge, commit].into_iter().enumerate() {
        server
            .run(&format!("{trigger} FOR EACH ROW EXECUTE FUNCTION hold()"))
            .await;
        let holder = server.client().await;
        holder.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
        let seq = round as u64 + 2;
        let next = batch(
            &held,
            seq - 1,
            seq,
            vec![upsert(seq, &seq.to_string(), r#"{"a":2}"#)],
        );
        let loading = tokio::spawn({
            let (destination, next) = (Arc::clone(&destination), next.clone());
            async move { destination.load(&next).await }
        });
        until_it_waits(&server).await;
        server.kill();
        let error = loading.await.unwrap().unwrap_err();
        assert!(
            matches!(error, Error::Lost(_) | Error::Unreachable(_) | Error::Busy(_)),
            "{error:?}"
        );
        server.revive();
        assert_eq!(
            server.texts("SELECT count(*)::text FROM held").await,
            [(seq - 1).to_string()]
        );
        server.run("DROP TRIGGER hold ON held").await;
        assert_eq!(destination.load(&next).await.unwrap().rows, 1);
    }
}

/// Passes everything on; after the `cut`th COMMIT it has the database answer, and cuts the line instead of saying so.
async fn cutting(server: &Server, cut: usize) -> (u16, Destination) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (real, to) = (server.broker(), server.port);
    let commits = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let peer = Peer {
                org: OrgId::from_bytes([8; 16]),
                host: HOST,
                port: to,
                security: Security::Plain,
            };
            let (mut from, mut back) = client.into_split();
            let (mut answers, mut questions) = tokio::io::split(real.connect(&peer).await.unwrap());
            let commits = Arc::clone(&commits);
            tokio::spawn(async move {
                let (mut asked, mut told) = ([0; 4096], [0; 4096]);
                loop {
                    tokio::select! {
                        read = from.read(&mut asked) => {
                            let read = read.unwrap_or(0);
                            if read == 0 { return; }
                            let is_commit = asked[..read].windows(7).any(|part| part == b"COMMIT\0");
                            questions.write_all(&asked[..read]).await.unwrap();
                            if is_commit && commits.fetch_add(1, Ordering::SeqCst) + 1 == cut {
                                drop(answers.read(&mut told).await);
                                return;
                            }
                        }
                        read = answers.read(&mut told) => {
                            let read = read.unwrap_or(0);
                            if read == 0 || back.write_all(&told[..read]).await.is_err() { return; }
                        }
                    }
                }
            });
        }
    });
    let mut settings = server.settings();
    settings["port"] = json!(port);
    (port, open(&settings, PASSWORD, broker(port, Vec::new())))
}

/// The commit happened and nobody heard of it: the loader looks, and does nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_not_heard_of_is_found() {
    let server = Server::start();
    let (_, destination) = cutting(&server, 2).await;
    let heard = table("heard", schema(&[("a", json!({"type": "integer"}))]));
    destination
        .load(&batch(&heard, 0, 1, vec![upsert(1, "1", r#"{"a":1}"#)]))
        .await
        .unwrap();
    server.run("CREATE TABLE writes (id text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO \
        public.writes VALUES (NEW._sluice_id); RETURN NULL; END $$; CREATE TRIGGER note AFTER INSERT OR UPDATE ON heard FOR EACH \
        ROW EXECUTE FUNCTION note()").await;
    destination
        .load(&batch(&heard, 1, 2, vec![upsert(2, "2", r#"{"a":2}"#)]))
        .await
        .unwrap();
    assert_eq!(server.texts("SELECT id FROM writes").await, ["2"]);
    // An idle connection that ended is dialled anew.
    server
        .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice'")
        .await;
    assert_eq!(
        destination
            .load(&batch(&heard, 2, 3, vec![upsert(3, "3", "{}")]))
            .await
            .unwrap()
            .rows,
        1
    );
}
