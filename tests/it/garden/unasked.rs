//! What the contract has and the server does not ask for yet: verifying and routing a webhook by code, and actions beyond the manifest's.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sluice_broker::{
    Broker, Budget, Caller, Config, Credential, Resolve, ResolveError, Trace, Vault, VaultError,
};
use sluice_model::grant::{Ceiling, Grant, Rights};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::limits::Limits;
use sluice_model::{Clock, SystemClock, Timestamp};
use sluice_runtime::{
    Call, CancellationToken, Compiler, ConnectionView, EmptyShelf, EmptySnapshot, Receipt, Runtime,
};

struct Nowhere;

impl Resolve for Nowhere {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(std::future::ready(Err(ResolveError::NoAddress)))
    }
}

struct NoSecrets;

impl Vault for NoSecrets {
    fn credential<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

fn call(connector: &sluice_runtime::Connector) -> Call {
    let now = SystemClock.now();
    let limits = Limits::default();
    let grant = Grant {
        egress: Vec::new(),
        storage_bytes: 0,
        scratch_bytes: 0,
        files_bytes: 0,
        file_bytes: 0,
        limits,
    };
    let rights = Rights::new(&grant, &Ceiling::default(), &grant);
    let limits = rights.limits().clone();
    let connection = ConnectionId::new(now, [1; 10]);
    Call {
        connector: connector.clone(),
        connection: ConnectionView {
            id: connection.to_string(),
            config: "{}".into(),
            account: None,
        },
        caller: Caller {
            org: OrgId::new(now, [1; 10]),
            connection: Some(connection),
            connector: "garden".into(),
            rights: Arc::new(rights),
            vault: Arc::new(NoSecrets),
            trace: Trace::default(),
            budget: Budget::new(&limits),
            rates: Vec::new(),
            app: None,
        },
        storage: Arc::new(EmptySnapshot),
        files: Arc::new(EmptyShelf),
        limits,
        cancel: CancellationToken::new(),
    }
}

fn receipt(word: &str, body: &str) -> Receipt {
    Receipt {
        id: "rcp_1".into(),
        received: Timestamp::from_millis(1),
        method: "POST".into(),
        query: vec![("word".into(), "sesame".into())],
        headers: vec![("garden-word".into(), word.into())],
        body: body.into(),
    }
}

#[tokio::test]
async fn code_verifies_routes_and_offers() {
    let broker = Broker::new(Config::default(), Arc::new(Nowhere), Arc::new(SystemClock)).unwrap();
    let config = sluice_runtime::Config {
        compiler: Compiler::Program {
            program: env!("CARGO_BIN_EXE_sluice-tests-compile").into(),
            args: Vec::new(),
        },
        ..sluice_runtime::Config::default()
    };
    let runtime = Runtime::new(config, broker).unwrap();
    for language in ["c", "js", "python"] {
        let file = super::component(language);
        let connector = runtime.load(&file, &Runtime::digest(&file)).await.unwrap();
        let verify = |word| runtime.verify(call(&connector), receipt(word, "{}"));
        assert!(verify("sesame").await.result.unwrap().unwrap(), "{language}");
        assert!(!verify("simsim").await.result.unwrap().unwrap(), "{language}");
        assert!(!verify("").await.result.unwrap().unwrap(), "{language}");

        let route = |body| runtime.route(call(&connector), receipt("", body));
        let accounts = route(r#"{"accounts":[7,"8"]}"#).await.result.unwrap().unwrap();
        assert_eq!(accounts, ["7", "8"], "{language}");
        let fault = route("{}").await.result.unwrap().unwrap_err();
        assert_eq!(
            fault.kind,
            sluice_model::fault::FaultKind::InvalidData,
            "{language}"
        );

        let actions = runtime.actions(call(&connector)).await.result.unwrap().unwrap();
        assert_eq!(
            (actions.len(), actions[0].name.as_str(), actions[0].title.as_str()),
            (1, "water", "water"),
            "{language}"
        );
    }
}
