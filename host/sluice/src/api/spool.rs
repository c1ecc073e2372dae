//! Large webhooks on their way in: what is more than a mebibyte waits on disk until all of it is there, so that senders
//! that take their time hold no memory.
//!
//! What must always hold: a file has no name once it is open, so that nothing is left of it whatever happens; what is
//! read back has its share of the memory that all bodies may use.

use std::path::Path;

use axum::body::Body;
use bytes::BytesMut;
use http_body_util::BodyExt;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::time::Instant;

use super::app::App;
use super::body::{Held, Memory};
use super::front::request_id;
use super::problem::Problem;

/// Webhooks have some KiB; what is larger than this is written to disk.
const IN_MEMORY_BYTES: usize = 1 << 20;

/// Reads a body of at most `cap` bytes within the server's time.
pub(super) async fn read(app: &App, body: Body, cap: u64) -> Result<Held, Problem> {
    let too_large = || {
        Problem::new(
            "request.too_large",
            format!("the body is larger than {cap} bytes"),
        )
    };
    if http_body::Body::size_hint(&body).lower() > cap {
        return Err(too_large());
    }
    let deadline = Instant::now() + app.body_timeout;
    let most = usize::try_from(cap).unwrap_or(usize::MAX);
    let mut body = std::pin::pin!(body);
    let mut memory = Memory::default();
    let (mut bytes, mut file, mut on_disk) = (BytesMut::new(), None, 0);
    loop {
        let frame = tokio::time::timeout_at(deadline, body.frame());
        let Some(frame) = frame
            .await
            .map_err(|_| Problem::new("request.slow", "the body did not come in time"))?
        else {
            break;
        };
        let frame =
            frame.map_err(|error| Problem::new("request.body", format!("the body ended early: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if on_disk + bytes.len() + data.len() > most {
            return Err(too_large());
        }
        memory.pay(app, bytes.len() + data.len())?;
        bytes.extend_from_slice(&data);
        if bytes.len() < IN_MEMORY_BYTES {
            continue;
        }
        if file.is_none() {
            file = Some(nameless(&app.spool).await.map_err(|error| unwritten(&error))?);
        }
        if let Some(file) = &mut file {
            file.write_all(&bytes).await.map_err(|error| unwritten(&error))?;
            on_disk += bytes.len();
            bytes.clear();
            memory = Memory::default();
        }
    }
    let Some(mut file) = file else {
        return Ok(Held::new(bytes.freeze(), memory));
    };
    memory.pay(app, on_disk + bytes.len())?;
    let whole = async {
        file.write_all(&bytes).await?;
        file.flush().await?;
        file.rewind().await?;
        let mut whole = Vec::with_capacity(on_disk + bytes.len());
        file.read_to_end(&mut whole).await?;
        Ok::<_, std::io::Error>(whole)
    };
    let whole = whole.await.map_err(|error| unwritten(&error))?;
    Ok(Held::new(whole.into(), memory))
}

/// A file that only this process can find.
async fn nameless(dir: &Path) -> std::io::Result<File> {
    let path = dir.join(request_id());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .await?;
    tokio::fs::remove_file(&path).await?;
    Ok(file)
}

fn unwritten(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "a large body is not written to disk");
    Problem::new("server.busy", "a large body cannot be kept now")
}
