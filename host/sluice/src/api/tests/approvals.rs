//! Keys that may not approve, and approvals that nobody decided on.

use sluice_model::Timestamp;
use sluice_model::id::ApprovalId;
use sluice_store::approval::{Approval, ApprovalState, MAX_OPEN};

use super::*;

fn open(n: u8, expires: Timestamp) -> Approval {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, b"package").as_ref());
    Approval {
        id: ApprovalId::from_bytes([n; 16]),
        connector: "acme".to_owned(),
        version: "1.0.0".to_owned(),
        manifest_digest: "sha256:x".to_owned(),
        component_digest: digest,
        channel: None,
        asked_by: "key_x".to_owned(),
        reason: String::new(),
        at: Timestamp::from_millis(1),
        expires,
        state: ApprovalState::Open,
        change: "null".to_owned(),
        decided: None,
        install: None,
    }
}

#[tokio::test]
async fn what_is_for_approvers_is_refused_to_others() {
    let server = Server::start().await;
    let body = r#"{"name": "member", "approves": false}"#;
    let (_, made) = server.ask("POST", "/api/v1/keys", Some(&server.key), body).await;
    let key = made["key"].as_str().unwrap();
    let mut guarded = 0;
    for route in ROUTES.iter().filter(|route| route.access == Access::Approver) {
        let (status, problem) = server.ask(method(route), &concrete(route), Some(key), "{}").await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (403, Some("auth.approval")),
            "{}",
            route.path
        );
        guarded += 1;
    }
    assert!(guarded >= 10, "{guarded}");
    let (status, _) = server.ask("GET", "/api/v1/approvals", Some(key), "").await;
    assert_eq!(status.as_u16(), 200);
}

#[tokio::test]
async fn what_nobody_decided_on_expires_and_that_is_told() {
    let server = Server::start().await;
    let (service, org) = (&server.app.service, server.app.service.org());
    let put = |approval| service.store().put_approval(org, approval, b"package".to_vec());
    let (past, future) = (Timestamp::from_millis(2), Timestamp::from_millis(1 << 52));
    put(open(1, past)).await.unwrap();
    put(open(2, future)).await.unwrap();
    let path = format!("/api/v1/approvals/{}", open(1, past).id);
    let consent = r#"{"accept": "sha256:x"}"#;
    let ended = server.code("POST", &format!("{path}/approve"), consent).await;
    assert_eq!(ended, (409, "approval.ended".to_owned()));
    let (_, list) = server
        .ask("GET", "/api/v1/approvals", Some(&server.key), "")
        .await;
    let states: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["open", "expired"]);
    let (_, events) = server
        .ask(
            "GET",
            "/api/v1/events?kind=sluice.approval.",
            Some(&server.key),
            "",
        )
        .await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
    // The other one still has its package.
    let digest = open(2, future).component_digest;
    assert!(service.store().component(org, digest).await.unwrap().is_some());
    let declined = format!("/api/v1/approvals/{}/decline", open(2, future).id);
    assert_eq!(server.code("POST", &declined, "{}").await.0, 200);
    assert_eq!(service.store().component(org, digest).await.unwrap(), None);
    // There is an end to how many wait.
    for n in 0..MAX_OPEN {
        put(open(u8::try_from(n).unwrap() + 10, future)).await.unwrap();
    }
    assert_eq!(
        put(open(200, future)).await.unwrap_err().code(),
        "store.too_large"
    );
}
