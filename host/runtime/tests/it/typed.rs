//! Every export of the contract, there and back, and what the host refuses of what comes back.

use sluice_model::Timestamp;
use sluice_model::fault::FaultKind;
use sluice_model::record::{Change, Item};
use sluice_model::run::Window;
use sluice_runtime::{
    Call, CallError, PendingWrite, ReadRequest, Receipt, Registration, WriteOp, WriteOutcome,
};

use crate::support::{Making, shared};

async fn made(word: &str) -> (sluice_runtime::Runtime, Call) {
    let (runtime, connector) = shared().await;
    (runtime, Making::new(&connector, word).call())
}

fn time(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

#[tokio::test]
async fn auth() {
    let (runtime, call) = made("hello").await;
    let account = runtime.check(call.clone()).await.result.unwrap().unwrap();
    assert_eq!(
        (account.id.as_str(), account.name.as_str()),
        ("cnn_test", "hello")
    );
    assert_eq!(account.scopes, ["acme"]);
    let redirect = runtime
        .begin(call.clone(), "https://x.com/back".into())
        .await
        .result
        .unwrap()
        .unwrap();
    assert_eq!(
        (redirect.url.as_str(), redirect.state.as_str()),
        ("https://x.com/back", "{}")
    );
    let query = vec![("code".to_owned(), "1".to_owned())];
    runtime
        .complete(call.clone(), redirect.state, query)
        .await
        .result
        .unwrap()
        .unwrap();
    runtime.refresh(call.clone()).await.result.unwrap().unwrap();
    let fault = runtime.revoke(call).await.result.unwrap().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unsupported);
}

#[tokio::test]
async fn faults() {
    let (runtime, call) = made("fault").await;
    let fault = runtime.check(call).await.result.unwrap().unwrap_err();
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::Config, "no owner")
    );
    assert_eq!(fault.pointer.as_deref(), Some("/owner"));
    let (runtime, call) = made("throttled").await;
    let fault = runtime.check(call).await.result.unwrap().unwrap_err();
    assert_eq!(
        (fault.kind, fault.retry_after.unwrap().as_secs()),
        (FaultKind::RateLimited, 3600)
    );
}

#[tokio::test]
async fn sync() {
    let (runtime, call) = made("page").await;
    let streams = runtime.discover(call.clone()).await.result.unwrap().unwrap();
    assert_eq!(
        (streams[0].name.as_str(), streams[0].cursor_version),
        ("things", 2)
    );
    let partitions = runtime
        .partitions(call.clone(), "things".into())
        .await
        .result
        .unwrap()
        .unwrap();
    assert_eq!(partitions, ["things", "two"]);
    let request = ReadRequest {
        stream: "things".into(),
        partition: Some("two".into()),
        cursor: Some("[7]".into()),
        window: Some(Window {
            start: time(3),
            end: time(4),
        }),
        page_hint: 100,
    };
    let page = runtime.read(call.clone(), request).await.result.unwrap().unwrap();
    let [Change::Upsert(item), Change::Delete(gone)] = &page.changes[..] else {
        panic!("{page:?}")
    };
    assert_eq!(
        (item.id.as_str(), item.modified, gone.as_str()),
        ("x", Some(time(3)), "gone")
    );
    for part in ["things", "two", "[7]", "start: 3", "end: 4", "page-hint: 100"] {
        assert!(item.data.contains(part), "{} lacks {part}", item.data);
    }
    assert_eq!(
        (page.cursor.as_deref(), page.more, page.total_hint),
        (Some("1"), true, Some(2))
    );
    let migrated = runtime
        .migrate_cursor(call.clone(), "things".into(), 1, "5".into())
        .await;
    assert_eq!(migrated.result.unwrap().unwrap().as_deref(), Some("[5]"));
    let migrated = runtime.migrate_cursor(call, "things".into(), 0, "5".into()).await;
    assert_eq!(migrated.result.unwrap().unwrap(), None);
}

#[tokio::test]
async fn writes() {
    let (runtime, call) = made("write").await;
    let item = Item {
        id: "a".into(),
        data: "{}".into(),
        modified: Some(time(8)),
    };
    let write = |op| PendingWrite {
        op,
        idempotency_key: "key".into(),
        expect_revision: None,
    };
    let writes = vec![
        write(WriteOp::Create("{}".into())),
        write(WriteOp::Update(item.clone())),
        write(WriteOp::Delete("a".into())),
    ];
    let outcomes = runtime
        .write(call.clone(), "things".into(), writes.clone())
        .await
        .result
        .unwrap()
        .unwrap();
    let made = Item {
        id: "key".into(),
        data: "{}".into(),
        modified: Some(time(5)),
    };
    assert_eq!(
        outcomes[..2],
        [WriteOutcome::Done(made), WriteOutcome::Conflict(Some(item))]
    );
    assert!(matches!(&outcomes[2], WriteOutcome::Failed(fault) if fault.kind == FaultKind::Unsupported));
    let error = runtime
        .write(call, "short".into(), writes)
        .await
        .result
        .unwrap_err();
    assert_eq!(
        error,
        CallError::BadValue {
            what: "0 outcomes of 3 writes".into()
        }
    );
}

#[tokio::test]
async fn webhooks() {
    let receipt = Receipt {
        id: "rcp_1".into(),
        webhook: "made".into(),
        received: time(77),
        method: "POST".into(),
        query: vec![("a".into(), "b".into())],
        headers: vec![("x-event".into(), "made".into())],
        body: b"good".to_vec(),
    };
    let (runtime, call) = made("hooks").await;
    let url = "https://x.com/hook".to_owned();
    let registered = runtime
        .register(call.clone(), "made".into(), url, vec!["a".into(), "b".into()])
        .await
        .result
        .unwrap()
        .unwrap();
    let expected = Registration {
        id: "https://x.com/hook".into(),
        expires: Some(time(9)),
        state: "made:a,b".into(),
    };
    assert_eq!(registered, expected);
    assert_eq!(
        runtime
            .renew(call.clone(), registered.clone())
            .await
            .result
            .unwrap()
            .unwrap(),
        expected
    );
    runtime
        .unregister(call.clone(), registered)
        .await
        .result
        .unwrap()
        .unwrap();
    assert_eq!(
        runtime
            .route(call.clone(), receipt.clone())
            .await
            .result
            .unwrap()
            .unwrap(),
        ["made:rcp_1"]
    );
    let outcome = runtime.handle(call, receipt.clone()).await;
    let handled = outcome.result.unwrap().unwrap();
    assert_eq!(
        (handled.events[0].kind.as_str(), handled.events[0].occurred),
        ("thing.made", Some(time(77)))
    );
    assert!(handled.events[0].data.contains("x-event"));
    assert_eq!(
        handled.changes,
        [("things".to_owned(), Change::Delete("x".into()))]
    );
    assert_eq!(handled.resync, ["others"]);
    assert_eq!(handled.reply.unwrap().body, b"good");
    assert_eq!(outcome.effects.storage.len(), 1);

    let (runtime, call) = made("bad-reply").await;
    let outcome = runtime.handle(call, receipt).await;
    assert_eq!(outcome.result.unwrap_err().code(), "guest.bad_value");
    assert!(outcome.effects.storage.is_empty());
}

#[tokio::test]
async fn actions() {
    let (runtime, call) = made("act").await;
    assert_eq!(
        runtime.actions(call.clone()).await.result.unwrap().unwrap()[0].name,
        "echo"
    );
    let output = runtime
        .act(call, "echo".into(), "{}".into(), "k".into())
        .await
        .result
        .unwrap()
        .unwrap();
    assert_eq!(output, r#"["echo",{},"k"]"#);
}

#[tokio::test]
async fn bad_pages() {
    for (word, what) in [
        ("long-id", "bytes of a record's id: 513, at most 512"),
        ("many", "changes of a page: 10001, at most 10000"),
        ("big-cursor", "bytes of the cursor: 65537, at most 65536"),
    ] {
        let (runtime, call) = made(word).await;
        let error = runtime
            .read(call, ReadRequest::default())
            .await
            .result
            .unwrap_err();
        assert_eq!(error, CallError::BadValue { what: what.into() });
    }
}

/// The service sets such a record aside and keeps its page.
#[tokio::test]
async fn a_record_without_an_id_is_handed_on() {
    let (runtime, call) = made("empty-id").await;
    let page = runtime
        .read(call, ReadRequest::default())
        .await
        .result
        .unwrap()
        .unwrap();
    assert_eq!(page.changes[0].id(), "");
}

/// A page that is within every count and still more than may cross at once.
#[tokio::test]
async fn a_huge_page() {
    let (runtime, call) = made("huge").await;
    let error = runtime
        .read(call, ReadRequest::default())
        .await
        .result
        .unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Budget {
                what: "bytes handed over at once",
                ..
            }
        ),
        "{error}"
    );
}
