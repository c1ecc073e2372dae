//! What the webhook path is measured against: a bare hyper server that keeps each body in redb, with group commit and the
//! same durability, and then answers 200. It verifies nothing and finds nothing out.

#![expect(clippy::print_stdout, reason = "it says where it is")]

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use redb::{Database, TableDefinition};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

const BODIES: TableDefinition<u64, &[u8]> = TableDefinition::new("bodies");
/// As in the store.
const GROUP: usize = 512;

type Job = (Bytes, oneshot::Sender<()>);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let database = Database::create(directory.path().join("bare.redb"))?;
    let (queue, jobs) = mpsc::channel::<Job>(1024);
    std::thread::spawn(move || write(&database, jobs));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let queue = Arc::new(queue);
    loop {
        let (stream, _) = listener.accept().await?;
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            stream.set_nodelay(true).ok();
            let service = service_fn(|request| keep(request, Arc::clone(&queue)));
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

async fn keep(
    request: Request<Incoming>,
    queue: Arc<mpsc::Sender<Job>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let kept = async {
        let body = request.into_body().collect().await?.to_bytes();
        let (done, answer) = oneshot::channel();
        queue
            .send((body, done))
            .await
            .ok()
            .context("the writer is gone")?;
        answer.await.context("the writer is gone")
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    if kept.await.is_err() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

fn write(database: &Database, mut jobs: mpsc::Receiver<Job>) -> Option<()> {
    let mut number = 0_u64;
    loop {
        let mut group = vec![jobs.blocking_recv()?];
        while group.len() < GROUP
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        let mut transaction = database.begin_write().ok()?;
        transaction.set_quick_repair(true);
        {
            let mut bodies = transaction.open_table(BODIES).ok()?;
            for (body, _) in &group {
                number += 1;
                bodies.insert(number, body.as_ref()).ok()?;
            }
        }
        transaction.commit().ok()?;
        for (_, done) in group {
            let _ = done.send(());
        }
    }
}
