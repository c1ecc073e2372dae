use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sluice_broker::{
    Apply, Broker, Budget, Caller, Config, ConnectTo, Credential, Error, Open, Origin, Request, Resolve,
    ResolveError, Response, Trace, Vault, VaultError,
};
use sluice_model::SystemClock;
use sluice_model::capability::{EgressRule, HostPattern, MethodSet, PathPattern, Scheme};
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a peer does with one request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Answers and goes on.
    Send(Vec<u8>),
    /// Answers and closes.
    Last(Vec<u8>),
    /// Answers and says nothing more.
    Stall(Vec<u8>),
    /// Answers and repeats the second for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// Answers with the request itself as the body.
    Echo,
}

pub(crate) fn ok(body: &str) -> Reply {
    Reply::Send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into())
}

pub(crate) fn status(status: u16, fields: &str) -> Reply {
    Reply::Send(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n{fields}\r\n").into())
}

/// A scripted server; the last reply repeats.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Peer {
    pub(crate) async fn new(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (seen2, connections2) = (Arc::clone(&seen), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                connections2.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(socket, replies.clone(), Arc::clone(&seen2)));
            }
        });
        Self {
            address,
            seen,
            connections,
        }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut socket: TcpStream, replies: Vec<Reply>, seen: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut socket).await {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        match replies[number.min(replies.len() - 1)].clone() {
            Reply::Send(bytes) => socket.write_all(&bytes).await.unwrap_or_default(),
            Reply::Last(bytes) => {
                let _ = socket.write_all(&bytes).await;
                return;
            }
            Reply::Stall(bytes) => {
                let _ = socket.write_all(&bytes).await;
                std::future::pending::<()>().await;
            }
            Reply::Endless(head, more) => {
                let _ = socket.write_all(&head).await;
                while socket.write_all(&more).await.is_ok() {
                    tokio::task::yield_now().await;
                }
                return;
            }
            Reply::Echo => {
                let Reply::Send(bytes) = ok(&request) else { return };
                let _ = socket.write_all(&bytes).await;
            }
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let done = match length {
                Some(length) => body.len() >= length.parse::<usize>().unwrap(),
                None if head.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
                None => true,
            };
            if done {
                return Some(text);
            }
        }
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Answers in turn; the last repeats. Counts what it was asked.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) answers: Vec<Result<Vec<IpAddr>, ResolveError>>,
    pub(crate) asked: AtomicUsize,
}

impl Names {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| Ok(answer.iter().map(|ip| ip.parse().unwrap()).collect());
        Arc::new(Self {
            answers: answers.iter().map(parse).collect(),
            asked: AtomicUsize::new(0),
        })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.get(asked).or(self.answers.last()).cloned();
        Box::pin(std::future::ready(answer.unwrap_or(Err(ResolveError::NoAddress))))
    }
}

/// Credentials by name.
#[derive(Default)]
pub(crate) struct Keys(pub(crate) HashMap<String, Arc<Credential>>);

impl Vault for Keys {
    fn credential<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(std::future::ready(Ok(self.0.get(name).cloned())))
    }
}

pub(crate) const SECRET: &str = "s3cr3t/c4n4ry+v4lue";

pub(crate) fn origin(scheme: Scheme, host: &str, port: u16) -> Origin {
    Origin {
        scheme,
        host: HostPattern::parse(host).unwrap(),
        port,
    }
}

pub(crate) fn credential(name: &str, apply: Apply, origins: Vec<Origin>) -> Arc<Credential> {
    Arc::new(Credential::new(name, Secret::new(SECRET.into()), apply, origins))
}

pub(crate) fn rule(scheme: Scheme, host: &str, port: u16, path: &str) -> EgressRule {
    EgressRule {
        scheme,
        host: HostPattern::parse(host).unwrap(),
        port,
        methods: MethodSet::ALL,
        path: PathPattern::parse(path).unwrap(),
        optional: false,
        reason: None,
    }
}

pub(crate) fn caller(rules: Vec<EgressRule>, limits: Limits, vault: Keys) -> Caller {
    let grant = Grant {
        egress: rules,
        limits: limits.clone(),
        ..Grant::default()
    };
    let ceiling = Ceiling {
        limits: limits.clone(),
        ..Ceiling::default()
    };
    Caller {
        org: OrgId::from_bytes([1; 16]),
        connection: Some(ConnectionId::from_bytes([1; 16])),
        connector: "test".into(),
        rights: Arc::new(Rights::new(&grant, &ceiling, &grant)),
        vault: Arc::new(vault),
        trace: Trace::default(),
        budget: Budget::new(&limits),
        rates: Vec::new(),
        app: None,
    }
}

pub(crate) fn open() -> Vec<Open> {
    vec![Open {
        net: "127.0.0.0/8".parse().unwrap(),
        port: None,
    }]
}

pub(crate) fn to(host: &str, port: u16, address: SocketAddr) -> ConnectTo {
    ConnectTo {
        host: host.into(),
        port,
        address,
    }
}

pub(crate) fn broker(config: Config, names: Arc<dyn Resolve>) -> Broker {
    Broker::new(config, names, Arc::new(SystemClock)).unwrap()
}

/// `http://api.test` is the peer, everything there is granted, and the own credential is a bearer token for it.
pub(crate) struct Rig {
    pub(crate) peer: Peer,
    pub(crate) broker: Broker,
    pub(crate) caller: Caller,
}

impl Rig {
    pub(crate) async fn new(replies: Vec<Reply>) -> Self {
        Self::limited(replies, Limits::default()).await
    }

    pub(crate) async fn limited(replies: Vec<Reply>, limits: Limits) -> Self {
        let peer = Peer::new(replies).await;
        let connect = vec![
            to("api.test", 80, peer.address),
            to("other.test", 80, peer.address),
        ];
        let broker = broker(
            Config {
                open: open(),
                connect,
                ..Config::default()
            },
            Names::new(&[]),
        );
        let mut keys = Keys::default();
        let bound = || vec![origin(Scheme::Http, "api.test", 80)];
        keys.0
            .insert(String::new(), credential("token", Apply::Bearer, bound()));
        keys.0.insert(
            "query".into(),
            credential("query", Apply::Query { name: "key".into() }, bound()),
        );
        let header = Apply::Header {
            name: "x-api-key".into(),
            prefix: "k ".into(),
        };
        keys.0
            .insert("header".into(), credential("header", header, bound()));
        let basic = Apply::Basic {
            username: Some("me".into()),
        };
        keys.0.insert("basic".into(), credential("basic", basic, bound()));
        let rules = vec![
            rule(Scheme::Http, "api.test", 80, "/**"),
            rule(Scheme::Http, "other.test", 80, "/open/**"),
        ];
        Self {
            peer,
            broker,
            caller: caller(rules, limits, keys),
        }
    }

    /// Like `new`, and everything must be over within 250 ms.
    pub(crate) async fn hurried(replies: Vec<Reply>) -> Self {
        Self::limited(
            replies,
            Limits {
                request_time: Duration::from_millis(250),
                ..Limits::default()
            },
        )
        .await
    }

    pub(crate) async fn send(&self, request: Request) -> Result<Response, Error> {
        // Boxed, as embedders have it: what is sent has to be able to wait on any thread.
        let sent: BoxFuture<'_, Result<Response, Error>> =
            Box::pin(async move { self.broker.send(&self.caller, request).await });
        sent.await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<(u16, String), Error> {
        self.read(Request::new("GET", format!("http://api.test{path}")))
            .await
    }

    pub(crate) async fn read(&self, request: Request) -> Result<(u16, String), Error> {
        let response = self.send(request).await?;
        let status = response.status;
        Ok((
            status,
            String::from_utf8(response.collect().await?.to_vec()).unwrap(),
        ))
    }

    pub(crate) async fn code(&self, request: Request) -> String {
        match self.read(request).await {
            Ok((status, _)) => status.to_string(),
            Err(error) => error.code().to_owned(),
        }
    }
}
