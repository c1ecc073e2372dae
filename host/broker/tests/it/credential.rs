//! Every way in which a credential goes on a request, against servers that verify by another path than the broker's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use futures_util::future::BoxFuture;
use ring::{digest, hmac};
use sluice_broker::{
    Apply, Body, Credential, CredentialChoice, ExpirySign, Presign, Request, Vault, VaultError,
};
use sluice_model::auth::{OAuth1Method, Placement, SignRecipe, Template};
use sluice_model::capability::Scheme;
use sluice_model::secret::Secret;
use sluice_model::signature::{Algorithm, Encoding};

use crate::rig::{Keys, Reply, Rig, SECRET, ok, origin, status};

fn parts(apply: Apply, parts: &[(&str, &str)]) -> Credential {
    let bound = vec![origin(Scheme::Http, "api.test", 80)];
    let mut credential = Credential::new("own", Secret::new(Vec::new()), apply, bound);
    credential.parts = parts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Secret::new(value.as_bytes().to_vec())))
        .collect();
    credential
}

/// A rig whose own credential is this one.
async fn rig(credential: Credential, replies: Vec<Reply>) -> Rig {
    let mut rig = Rig::new(replies).await;
    let mut keys = Keys::default();
    keys.0.insert(String::new(), Arc::new(credential));
    rig.caller.vault = Arc::new(keys);
    rig
}

fn post(url: &str, kind: &str, body: &'static str) -> Request {
    let mut request = Request::new("POST", url);
    request.headers = vec![("content-type".into(), kind.into())];
    request.body = Body::Bytes(Bytes::from_static(body.as_bytes()));
    request
}

/// A field of what the server saw.
fn field<'a>(seen: &'a str, name: &str) -> &'a str {
    let line = seen
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("{name} in {seen}"))
}

fn sigv4() -> Apply {
    Apply::SigV4 {
        service: "s3".into(),
        region: Template::text("eu-central-1"),
    }
}

fn recipe() -> Apply {
    let template = |text: &str| Template::parse(text).unwrap();
    Apply::Signed(Box::new(SignRecipe {
        algorithm: Algorithm::HmacSha256,
        encoding: Encoding::Hex,
        before: vec![
            Placement::Header("date".into(), template("${date}")),
            Placement::Query("auth_timestamp".into(), template("${timestamp}")),
            Placement::Query("body_md5".into(), template("${body_md5}")),
        ],
        message: template("${date}\n${method}\n${host}\n${path}\n${query}\n${form}"),
        after: vec![
            Placement::Basic(template("${key_id}"), template("${signature}")),
            Placement::Query("auth_signature".into(), template("${signature}")),
        ],
    }))
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_field_of_the_body() {
    let rig = rig(
        parts(Apply::Body { name: "key".into() }, &[("secret", SECRET)]),
        vec![Reply::Echo],
    )
    .await;
    let url = "http://api.test/";
    let (_, echo) = rig
        .read(post(url, "application/json", "{\"a\":1.0,\"key\":\"mine\"}"))
        .await
        .unwrap();
    let seen = rig.peer.requests().pop().unwrap();
    assert!(
        seen.ends_with(&format!("{{\"a\":1.0,\"key\":\"{SECRET}\"}}")),
        "{seen}"
    );
    assert!(
        echo.contains("[redacted:own]") && !echo.contains("c4n4ry"),
        "{echo}"
    );
    rig.read(post(url, FORM, "a=1&key=mine")).await.unwrap();
    let seen = rig.peer.requests().pop().unwrap();
    assert!(seen.ends_with("a=1&key=s3cr3t%2Fc4n4ry%2Bv4lue"), "{seen}");
    for request in [
        Request::new("GET", url),
        post(url, "text/plain", "a"),
        post(url, "application/json", "[]"),
    ] {
        assert_eq!(rig.code(request).await, "egress.bad_request");
    }
    assert_eq!(rig.peer.requests().len(), 2);
}

/// The signature over what the server saw, made of AWS's description by another hand: from the wire's own lines.
fn aws_signature(seen: &str, key: &str) -> String {
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut query: Vec<&str> = query.split('&').collect();
    query.sort_unstable();
    let authorization = field(seen, "authorization");
    let (_, names) = authorization.split_once("SignedHeaders=").unwrap();
    let (names, _) = names.split_once(',').unwrap();
    let fields: String = names
        .split(';')
        .map(|name| format!("{name}:{}\n", field(seen, name)))
        .collect();
    let hash = |text: &str| HEXLOWER.encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    let request = [method, path, &query.join("&"), &fields, names, &hash(body)].join("\n");
    let moment = field(seen, "x-amz-date");
    let scope = format!("{}/eu-central-1/s3/aws4_request", &moment[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", hash(&request));
    let mac = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
            .as_ref()
            .to_vec()
    };
    let mut chain = format!("AWS4{key}").into_bytes();
    for part in scope.split('/') {
        chain = mac(&chain, part);
    }
    HEXLOWER.encode(&mac(&chain, &text))
}

#[tokio::test]
async fn aws_signatures_are_over_what_is_on_the_wire() {
    let credential = parts(
        sigv4(),
        &[
            ("access_key_id", "AKID"),
            ("secret_access_key", SECRET),
            ("session_token", "s3ss10n-t0ken"),
        ],
    );
    let rig = rig(credential, vec![Reply::Echo]).await;
    for url in [
        "http://api.test/bucket/a%20key?list-type=2&prefix=a+b",
        "http://api.test/",
    ] {
        let mut request = post(url, "text/plain", "payload");
        request.headers.push(("x-amz-acl".into(), "private".into()));
        let (_, echo) = rig.read(request).await.unwrap();
        let seen = rig.peer.requests().pop().unwrap();
        let signature = aws_signature(&seen, SECRET);
        assert!(
            field(&seen, "authorization").ends_with(&format!("Signature={signature}")),
            "{seen}"
        );
        assert_eq!(field(&seen, "x-amz-security-token"), "s3ss10n-t0ken");
        assert!(field(&seen, "authorization").contains("x-amz-acl") && !seen.contains(SECRET));
        assert!(!echo.contains("s3ss10n-t0ken"), "{echo}");
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_noticed_once() {
    let credential = || {
        parts(
            sigv4(),
            &[("access_key_id", "AKID"), ("secret_access_key", SECRET)],
        )
    };
    let late = || status(403, "date: Tue, 21 Aug 2012 17:29:18 GMT\r\n");
    let first = rig(credential(), vec![late(), ok("in time")]).await;
    assert_eq!(first.get("/").await.unwrap(), (200, "in time".into()));
    let seen = first.peer.requests();
    assert!(
        field(&seen[1], "x-amz-date").starts_with("20120821T1729"),
        "{}",
        seen[1]
    );
    assert_eq!(first.caller.trace.take().exchanges[0].attempts, 2);
    let stubborn = rig(credential(), vec![late()]).await;
    assert_eq!(stubborn.get("/").await.unwrap().0, 403);
    assert_eq!(stubborn.peer.requests().len(), 2);
}

#[tokio::test]
async fn a_presigned_address_is_under_the_same_policy() {
    let credential = parts(
        sigv4(),
        &[("access_key_id", "AKID"), ("secret_access_key", SECRET)],
    );
    let rig = rig(credential, vec![ok("")]).await;
    let presign = |url: &str, seconds: u64| {
        let presign = Presign {
            method: "GET".into(),
            url: url.into(),
            credential: String::new(),
            expires: Duration::from_secs(seconds),
        };
        rig.broker.presign(&rig.caller, presign)
    };
    let address = presign("http://api.test/b/k?versionId=1", 60).await.unwrap();
    assert!(!format!("{address:?}").contains("Signature"));
    let address = String::from_utf8(address.expose().to_vec()).unwrap();
    assert!(
        address.starts_with("http://api.test/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F")
    );
    assert!(address.contains("&X-Amz-Expires=60&X-Amz-SignedHeaders=host&versionId=1&X-Amz-Signature="));
    assert!(!address.contains("s3cr3t"));
    for (url, seconds, code) in [
        ("http://other.test/closed", 60, "egress.denied"),
        ("http://other.test/open/x", 60, "secret.origin_mismatch"),
        ("http://api.test/", 0, "egress.bad_request"),
        ("http://api.test/", 604_801, "egress.bad_request"),
    ] {
        assert_eq!(presign(url, seconds).await.unwrap_err().code(), code, "{url}");
    }
    assert_eq!(rig.peer.requests().len(), 0);
}

#[tokio::test]
async fn oauth1_signatures_are_over_address_query_and_form() {
    let all = [
        ("consumer_key", "ck"),
        ("consumer_secret", "cs&secret"),
        ("token", "t0ken-value"),
        ("token_secret", SECRET),
    ];
    let method = OAuth1Method::HmacSha1;
    let rig = rig(parts(Apply::OAuth1 { method }, &all), vec![Reply::Echo]).await;
    let request = post("http://api.test/r%20v?b5=%3D%253D&a3=a", FORM, "c2&a3=2+q");
    let (_, echo) = rig.read(request).await.unwrap();
    let seen = rig.peer.requests().pop().unwrap();
    let header = field(&seen, "authorization").strip_prefix("OAuth ").unwrap();
    let given: Vec<(&str, &str)> = header
        .split(", ")
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    let value = |name: &str| given.iter().find(|(found, _)| *found == name).unwrap().1;
    // RFC 5849 §3.4.1.3.2: sorted and joined, then encoded once more.
    let pairs = format!(
        "a3=2%20q&a3=a&b5=%3D%253D&c2=&oauth_consumer_key=ck&oauth_nonce={}&oauth_signature_method=HMAC-SHA1&oauth_timestamp={}&oauth_token=t0ken-value&oauth_version=1.0",
        value("oauth_nonce"),
        value("oauth_timestamp")
    );
    let encoded: String = pairs.replace('%', "%25").replace('&', "%26").replace('=', "%3D");
    let base = format!("POST&http%3A%2F%2Fapi.test%2Fr%2520v&{encoded}");
    let key = hmac::Key::new(
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        b"cs%26secret&s3cr3t%2Fc4n4ry%2Bv4lue",
    );
    let signature = BASE64.encode(hmac::sign(&key, base.as_bytes()).as_ref());
    let sent = value("oauth_signature")
        .replace("%2B", "+")
        .replace("%2F", "/")
        .replace("%3D", "=");
    assert_eq!(sent, signature);
    assert!(
        !seen.contains("c4n4ry") && !echo.contains("t0ken-value"),
        "{echo}"
    );
    assert_eq!(value("oauth_nonce").len(), 32);
    let method = OAuth1Method::Plaintext;
    let plain = self::rig(parts(Apply::OAuth1 { method }, &all), vec![ok("")]).await;
    assert_eq!(
        plain.code(Request::new("GET", "http://api.test/")).await,
        "egress.bad_request"
    );
}

#[tokio::test]
async fn signed_as_a_recipe_says() {
    let credential = parts(recipe(), &[("key_id", "DIWJ8X6AEYOR5OMC6TQ1"), ("key", SECRET)]);
    let rig = rig(credential, vec![Reply::Echo]).await;
    let request = post(
        "http://api.test/auth/v2/preauth?z=1",
        FORM,
        "username=root&realname=First%20Last",
    );
    let (_, echo) = rig.read(request).await.unwrap();
    let seen = rig.peer.requests().pop().unwrap();
    let (_, target) = seen.lines().next().unwrap().split_once('?').unwrap();
    let (query, rest) = target.split_once("&auth_signature=").unwrap();
    let mut pairs: Vec<&str> = query.split('&').collect();
    assert!(
        pairs[2].starts_with("body_md5=") && pairs[2].len() == 41,
        "{}",
        pairs[2]
    );
    pairs.sort_unstable();
    let message = format!(
        "{}\nPOST\napi.test\n/auth/v2/preauth\n{}\nrealname=First%20Last&username=root",
        field(&seen, "date"),
        pairs.join("&")
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = HEXLOWER.encode(hmac::sign(&key, message.as_bytes()).as_ref());
    assert_eq!(rest.split(' ').next().unwrap(), signature);
    let basic = BASE64.encode(format!("DIWJ8X6AEYOR5OMC6TQ1:{signature}").as_bytes());
    assert_eq!(field(&seen, "authorization"), format!("Basic {basic}"));
    assert!(!echo.contains("c4n4ry"));
}

#[tokio::test]
async fn no_scheme_follows_to_another_origin() {
    let all = [
        ("secret", SECRET),
        ("access_key_id", "AKID"),
        ("secret_access_key", SECRET),
        ("consumer_key", "ck"),
        ("consumer_secret", SECRET),
        ("token", SECRET),
        ("token_secret", SECRET),
        ("key_id", "id"),
        ("key", SECRET),
    ];
    let method = OAuth1Method::HmacSha256;
    for apply in [
        Apply::Body { name: "key".into() },
        sigv4(),
        Apply::OAuth1 { method },
        recipe(),
        Apply::Basic { username: None },
    ] {
        let away = Reply::Send(
            b"HTTP/1.1 307 X\r\ncontent-length: 0\r\nlocation: http://other.test/open/x\r\n\r\n".to_vec(),
        );
        let rig = rig(parts(apply.clone(), &all), vec![away, Reply::Echo]).await;
        let sent = rig.read(post("http://api.test/", FORM, "a=1")).await;
        assert_eq!(sent.unwrap().0, 200, "{apply:?}");
        let seen = rig.peer.requests();
        assert_eq!(seen.len(), 2);
        for trace in ["s3cr3t", "authorization", "x-amz", "signature", "key="] {
            assert!(!seen[1].contains(trace), "{trace} in {}", seen[1]);
        }
        assert!(seen[1].ends_with("a=1"), "{}", seen[1]);
        let trace = format!("{:?} {:?}", rig.caller.trace.take(), rig.caller);
        assert!(!trace.contains("s3cr3t"), "{trace}");
    }
}

/// Gives `old` and, when it is said to have ended, `new`, or nothing.
struct Renewing {
    old: Arc<Credential>,
    new: Option<Arc<Credential>>,
    asked: AtomicU32,
}

impl Vault for Renewing {
    fn credential<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(std::future::ready(Ok(Some(Arc::clone(&self.old)))))
    }

    fn renewed<'a>(
        &'a self,
        refused: &'a Credential,
    ) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        assert_eq!(refused.version, 7);
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(self.new.clone())))
    }
}

async fn renewing(signs: Option<Vec<ExpirySign>>, renews: bool, replies: Vec<Reply>) -> (Rig, Arc<Renewing>) {
    let mut old = parts(Apply::Bearer, &[("secret", "0ld-t0ken")]);
    old.renewal = signs.map(Into::into);
    old.version = 7;
    let vault = Arc::new(Renewing {
        old: Arc::new(old),
        new: renews.then(|| Arc::new(parts(Apply::Bearer, &[("secret", "n3w-t0ken")]))),
        asked: AtomicU32::new(0),
    });
    let mut rig = Rig::new(replies).await;
    rig.caller.vault = Arc::clone(&vault) as Arc<dyn Vault>;
    (rig, vault)
}

fn json(status: u16, body: &str) -> Reply {
    let length = body.len();
    Reply::Send(
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into(),
    )
}

#[tokio::test]
async fn an_ended_token_is_renewed_once() {
    let ended = || json(401, "{\"error\":\"0ld-t0ken\"}");
    for method in ["GET", "POST"] {
        let (rig, vault) = renewing(Some(vec![]), true, vec![ended(), ok("n3w-t0ken 0ld-t0ken")]).await;
        let (status, body) = rig.read(Request::new(method, "http://api.test/")).await.unwrap();
        assert_eq!((status, body.as_str()), (200, "[redacted:own] [redacted:own]"));
        let seen = rig.peer.requests();
        assert_eq!(field(&seen[1], "authorization"), "Bearer n3w-t0ken");
        assert_eq!((seen.len(), vault.asked.load(Ordering::SeqCst)), (2, 1));
        let trace = rig.caller.trace.take();
        assert_eq!((trace.exchanges.len(), trace.exchanges[0].attempts), (1, 2));
    }
    // The new one is refused too: that is the answer.
    let (rig, vault) = renewing(Some(vec![]), true, vec![ended()]).await;
    assert_eq!(rig.get("/").await.unwrap().0, 401);
    assert_eq!(
        (rig.peer.requests().len(), vault.asked.load(Ordering::SeqCst)),
        (2, 1)
    );
    // There is no other: the answer goes on whole.
    let (rig, _) = renewing(Some(vec![]), false, vec![ended()]).await;
    assert_eq!(
        rig.get("/").await.unwrap(),
        (401, "{\"error\":\"[redacted:own]\"}".into())
    );
    assert_eq!(rig.peer.requests().len(), 1);
    // One that is not renewed is not asked about.
    let (rig, vault) = renewing(None, true, vec![ended()]).await;
    assert_eq!(rig.get("/").await.unwrap().0, 401);
    assert_eq!(vault.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_sign_in_the_body_is_looked_for() {
    let signs = || {
        Some(vec![ExpirySign {
            status: 200,
            body: Some(("/error".into(), vec!["token_expired".into()])),
        }])
    };
    let fine = "{\"error\":null,\"data\":[1,2,3]}";
    let (rig, vault) = renewing(
        signs(),
        true,
        vec![json(200, "{\"error\":\"token_expired\"}"), json(200, fine)],
    )
    .await;
    assert_eq!(rig.get("/").await.unwrap(), (200, fine.into()));
    assert_eq!(
        (rig.peer.requests().len(), vault.asked.load(Ordering::SeqCst)),
        (2, 1)
    );
    // What was looked at is still the reader's, whole, and the connection goes on.
    let large = format!(
        "{{\"error\":\"token_expired\",\"pad\":\"{}\"}}",
        "x".repeat(70_000)
    );
    let (rig, vault) = renewing(
        signs(),
        true,
        vec![json(200, fine), json(200, &large), json(401, "{}")],
    )
    .await;
    assert_eq!(rig.get("/").await.unwrap(), (200, fine.into()));
    assert_eq!(rig.get("/").await.unwrap(), (200, large));
    assert_eq!(rig.get("/").await.unwrap().0, 401);
    assert_eq!(
        (vault.asked.load(Ordering::SeqCst), rig.peer.connections()),
        (0, 1)
    );
    let received: Vec<u64> = rig
        .caller
        .trace
        .take()
        .exchanges
        .iter()
        .map(|e| e.received_bytes)
        .collect();
    assert_eq!(received[0], fine.len() as u64);
}

#[tokio::test]
async fn what_is_sent_as_it_comes_is_not_sent_again() {
    let (rig, vault) = renewing(Some(vec![]), true, vec![json(401, "{}")]).await;
    let (writer, body) = Body::stream(Some(2));
    let mut request = Request::new("PUT", "http://api.test/");
    request.body = body;
    request.credential = CredentialChoice::Default;
    let feed = async move {
        writer.write(Bytes::from_static(b"ab")).await.unwrap();
        writer.finish().await.unwrap();
    };
    assert_eq!(tokio::join!(rig.code(request), feed).0, "401");
    assert_eq!(vault.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_streamed_body_is_signed_in_chunks_where_its_length_is_what_goes_out() {
    let keys = [("access_key_id", "AKID"), ("secret_access_key", SECRET)];
    let rig = rig(parts(sigv4(), &keys), vec![ok("")]).await;
    let send = async || {
        let (writer, body) = Body::stream(Some(4));
        let mut request = Request::new("PUT", "http://api.test/k");
        request.body = body;
        let feed = async move {
            for part in ["a", "bcd"] {
                let _ = writer.write(Bytes::from(part)).await;
            }
            let _ = writer.finish().await;
        };
        tokio::join!(rig.code(request), feed).0
    };
    assert_eq!(send().await, "200");
    let seen = rig.peer.requests().pop().unwrap();
    assert_eq!(
        field(&seen, "x-amz-content-sha256"),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    );
    assert_eq!(field(&seen, "x-amz-decoded-content-length"), "4");
    assert_eq!(field(&seen, "content-encoding"), "aws-chunked");
    assert!(!seen.contains("transfer-encoding"), "{seen}");
    let (_, body) = seen.split_once("\r\n\r\n").unwrap();
    assert_eq!(field(&seen, "content-length"), body.len().to_string());
    let lines: Vec<&str> = body.split("\r\n").collect();
    assert!(lines[0].starts_with("4;chunk-signature=") && lines[1] == "abcd");
    assert!(lines[2].starts_with("0;chunk-signature=") && lines[3..] == ["", ""]);

    // A placeholder that may be in it makes it longer: nothing is promised, and without TLS nothing is sent.
    let held = sluice_broker::Held {
        name: "held".into(),
        secret: Secret::new(b"value".to_vec()),
        origins: vec![origin(Scheme::Http, "api.test", 80)],
    };
    rig.caller.budget.placeholders().insert(held).unwrap();
    assert_eq!(send().await, "egress.bad_request");
    assert_eq!(rig.peer.requests().len(), 1);
}
