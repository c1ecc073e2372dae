//! Looking a credential up and putting it on a request: a bearer token, and an AWS signature over a small request. The look-up is
//! the service's own, as the broker asks for it with each request; the first one unseals what the store has, and the measurement
//! fails if any later one does.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use sluice_bench::{Host, Package, per_call};
use sluice_broker::credential::OWN;
use sluice_broker::{Body, Credential, Request, Vault, Whole};
use sluice_model::clock::Timestamp;
use sluice_service::vault;

/// The bars of issue 3, in nanoseconds.
const BAR_BEARER_NS: f64 = 5_000.0;
const BAR_SIGNED_NS: f64 = 30_000.0;
/// What is signed: the size of a usual JSON body.
const BODY_BYTES: usize = 512;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().context("start the tasks' runtime");
    match runtime.and_then(|runtime| runtime.block_on(measure())) {
        Ok(true) => {
            eprintln!("credential: holds (bars: {BAR_BEARER_NS} ns, signed {BAR_SIGNED_NS} ns)");
            ExitCode::SUCCESS
        }
        Ok(false) => {
            eprintln!("credential: does not hold (bars: {BAR_BEARER_NS} ns, signed {BAR_SIGNED_NS} ns)");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("credential: not measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A connection that brings a credential, and a request that takes it.
struct Subject {
    /// The scheme, as the numbers name it.
    scheme: &'static str,
    connector: &'static str,
    config: Value,
    secret: &'static [(&'static str, &'static str)],
    url: &'static str,
}

async fn measure() -> Result<bool> {
    let scratch = tempfile::tempdir()?;
    let host = Host::start(scratch.path(), None).await?;
    let bearer = Subject {
        scheme: "bearer",
        connector: "github",
        config: json!({"repositories": ["acme/web"]}),
        secret: &[("secret", "a-token-of-forty-characters-or-there-abouts")],
        url: "https://api.github.com/repos/acme/web/issues?state=all&page=3",
    };
    let signed = Subject {
        scheme: "aws-sigv4",
        connector: "s3",
        config: json!({"endpoint": "s3.eu-central-1.amazonaws.com", "region": "eu-central-1", "bucket": "bench"}),
        secret: &[
            ("access_key_id", "AKIDEXAMPLE"),
            ("secret_access_key", "a-key-of-forty-characters-or-there-abouts"),
        ],
        url: "https://s3.eu-central-1.amazonaws.com/bench/a%20key?versionId=3&tagging",
    };
    let bearer = check(&host, &bearer).await?;
    let signed = check(&host, &signed).await?;
    Ok(bearer <= BAR_BEARER_NS && signed <= BAR_SIGNED_NS)
}

/// The median of one look-up and application, in nanoseconds.
async fn check(host: &Host, subject: &Subject) -> Result<f64> {
    let service = &host.service;
    let package = Package::of(subject.connector)?;
    let id = host
        .draft(
            subject.connector,
            &package,
            subject.config.clone(),
            subject.secret,
        )
        .await?;
    let vault = vault::of(service, service.org(), id).await?;
    let first = vault.credential(OWN).await?;
    first.context("the connection has no credential")?;
    let opened = service.store().secrets_opened();

    let mut request = Request::new("PUT", subject.url);
    request.headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("x-amz-meta-kind".to_owned(), "record".to_owned()),
    ];
    request.body = Body::Bytes(Bytes::from(vec![b'x'; BODY_BYTES]));
    let mut whole = Whole::new(&request, Timestamp::from_millis(1_700_000_000_000))?;
    let apply =
        |whole: &mut Whole| at_once(&*vault).is_some_and(|credential| credential.put_on(whole).is_ok());
    ensure!(
        apply(&mut whole) && whole.header("authorization").is_some(),
        "what is measured puts nothing on the request"
    );
    let mut failed = false;
    let time = per_call(500, 200, || {
        failed |= !black_box(apply(black_box(&mut whole)));
    });
    ensure!(!failed, "a look-up had to wait, or found nothing");
    ensure!(
        service.store().secrets_opened() == opened,
        "a secret was unsealed for a request"
    );
    println!(
        r#"{{"bench":"credential","scheme":"{}","p50_ns":{:.1},"p99_ns":{:.1}}}"#,
        subject.scheme, time.p50, time.p99
    );
    Ok(time.p50)
}

/// The connection's own credential, where it is found without waiting.
fn at_once(vault: &dyn Vault) -> Option<Arc<Credential>> {
    let mut looking = vault.credential(OWN);
    match looking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(found)) => found,
        Poll::Ready(Err(_)) | Poll::Pending => None,
    }
}
