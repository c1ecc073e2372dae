//! Kept files, asked for by those whose they are and by others.

use sluice_model::id::{ConnectionId, FileId, InstallId};
use sluice_store::connection::NewConnection;
use sluice_store::file::{FileChange, FileWrite, NewFile};
use sluice_store::install::Install;
use sluice_store::storage::StorageWrites;

use super::*;

/// A file of a connection of the server's own organization.
async fn kept(server: &Server, text: &str) -> (ConnectionId, FileId) {
    let service = &server.app.service;
    let (store, org, now) = (service.store(), service.org(), service.now());
    let (install, connection) = (InstallId::from_bytes([1; 16]), ConnectionId::from_bytes([1; 16]));
    let component = b"component".to_vec();
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &component).as_ref());
    let new = Install {
        id: install,
        connector: "acme".into(),
        version: "0.1.0".into(),
        manifest: "manifest = 1".into(),
        manifest_digest: "sha256:x".into(),
        component_digest: digest,
        grant: "{}".into(),
        approved_by: "cli".into(),
        at: now,
        signer: None,
    };
    store.put_install(org, new, component, None).await.unwrap();
    let new = NewConnection {
        id: connection,
        install,
        connector: "acme".into(),
        name: "work".into(),
        config: "{}".into(),
        at: now,
    };
    store.create_connection(org, new).await.unwrap();
    let file = FileId::from_bytes([7; 16]);
    let mut draft = store.shelf().draft(org, file, now).await.unwrap();
    draft.write(text.as_bytes()).await.unwrap();
    let new = NewFile {
        id: file,
        name: "plan.txt".into(),
        media_type: "text/plain".into(),
        bytes: text.len() as u64,
        sha256: "of it".into(),
        record: None,
        at: now,
        draft: Some(Arc::new(draft.finish().await.unwrap())),
    };
    let writes = StorageWrites {
        files: vec![FileWrite {
            key: "plan".into(),
            change: FileChange::Keep(Box::new(new)),
        }],
        files_quota: 1 << 20,
        ..StorageWrites::default()
    };
    store.commit_storage(org, connection, writes).await.unwrap();
    (connection, file)
}

/// A file of another organization is one that there is not, to the letter.
#[tokio::test]
async fn a_file_is_there_for_its_own_organization_alone() {
    let server = Server::start().await;
    let (connection, file) = kept(&server, "the plan").await;
    let service = &server.app.service;
    let other = service.store().ensure_org("other", service.now()).await.unwrap();
    let issued = crate::key::issue("stranger", true, service.now()).unwrap();
    let key = String::from_utf8(issued.key.expose().to_vec()).unwrap();
    service.store().put_api_key(other, issued.row).await.unwrap();

    let nowhere = FileId::from_bytes([8; 16]);
    for tail in ["", "/content"] {
        let path = format!("/api/v1/files/{file}{tail}");
        let (status, _) = server.ask("GET", &path, Some(&server.key), "").await;
        assert_eq!(status.as_u16(), 200, "{path}");
        let (status, mut hidden) = server.ask("GET", &path, Some(&key), "").await;
        let missing = format!("/api/v1/files/{nowhere}{tail}");
        let (_, mut unknown) = server.ask("GET", &missing, Some(&server.key), "").await;
        assert_eq!(
            (status.as_u16(), &hidden["code"]),
            (404, &"file.not_found".into()),
            "{hidden}"
        );
        for problem in [&mut hidden, &mut unknown] {
            problem["request_id"] = Value::Null;
            let text = problem
                .to_string()
                .replace(&nowhere.to_string(), &file.to_string());
            *problem = serde_json::from_str(&text).unwrap();
        }
        assert_eq!(hidden, unknown);
    }
    let path = format!("/api/v1/connections/{connection}/files");
    let (status, listed) = server.ask("GET", &path, Some(&server.key), "").await;
    assert_eq!(
        (status.as_u16(), listed["items"].as_array().unwrap().len()),
        (200, 1)
    );
    let (status, _) = server.ask("GET", &path, Some(&key), "").await;
    assert_eq!(status.as_u16(), 404);
}
