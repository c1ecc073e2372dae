//! Flows without a server around them: a clock that the test moves, a disk whose power it cuts, and a vendor on loopback that
//! rotates its refresh tokens and ends a grant when a used one comes again.
//!
//! | module | what it asks |
//! |---|---|
//! | [`clock`] | does a clock that jumps cost a refresh at most, and no account? |
//! | [`cuts`] | is a refresh whole, or seen to be broken, wherever the power is cut? |
//! | [`late`] | does a callback count for a quarter of an hour and not longer? |

mod clock;
mod cuts;
mod disk;
mod late;
mod vendor;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_broker::credential::OWN;
use sluice_broker::{Broker, Credential, Open, Vault, VaultError};
use sluice_model::connection::ConnectionState;
use sluice_model::id::{ConnectionId, InstallId, OrgId};
use sluice_model::seal::MasterKey;
use sluice_model::secret::Secret;
use sluice_model::{Clock, Timestamp};
use sluice_runtime::{Compiler, Runtime};
use sluice_store::connection::{ConnectionChange, NewConnection};
use sluice_store::credential::{Life, NewCredential};
use sluice_store::install::Install;
use sluice_store::{Options, Store};

use self::disk::MemoryDisk;
use self::vendor::Vendor;
use super::Bundle;
use super::account::GRANT;
use super::bundle::{ACCESS, REFRESH};
use crate::connection::Connection;
use crate::vault::ConnectionVault;
use crate::{Parts, Service, Settings, connection};

const START: Timestamp = Timestamp::from_millis(1_760_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// A clock that stands still until it is moved.
#[derive(Debug)]
struct TestClock(AtomicU64);

impl TestClock {
    fn at(time: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(time.as_millis())))
    }

    fn set(&self, time: Timestamp) {
        self.0.store(time.as_millis(), Ordering::SeqCst);
    }

    fn pass(&self, time: Duration) {
        self.set(self.now().after(time));
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A service with one connection, whose vendor is on loopback.
struct Room {
    service: Service,
    clock: Arc<TestClock>,
    vendor: Vendor,
    org: OrgId,
    connection: ConnectionId,
}

impl Room {
    /// A connection whose first token was obtained just now and lives for an hour.
    async fn connected(disk: &MemoryDisk) -> Self {
        let room = Self::furnished(disk, Vendor::start(disk.clone())).await;
        let change = ConnectionChange {
            state: Some((ConnectionState::Active, None)),
            settings: Some(r#"{"auth":"oauth"}"#.to_owned()),
            ..ConnectionChange::default()
        };
        let store = room.service.store();
        store
            .update_connection(room.org, room.connection, 1, change, START)
            .await
            .unwrap();
        let part = |text: &str| Secret::new(text.as_bytes().to_vec());
        let bundle: Bundle = [
            (ACCESS.to_owned(), part("access-0")),
            (REFRESH.to_owned(), part("refresh-0")),
            (GRANT.to_owned(), part("authorization-code")),
        ]
        .into_iter()
        .collect();
        let new = NewCredential {
            secret: bundle.write(),
            origins: vec!["https://api.acme.example:443".to_owned()],
            life: Life {
                obtained: Some(START),
                expires: Some(START.after(HOUR)),
                due: Some(START.after(HOUR - Duration::from_secs(300))),
                scopes: Vec::new(),
            },
        };
        store
            .put_credential(room.org, room.connection, "oauth", new, None)
            .await
            .unwrap();
        room
    }

    /// An install and a draft on an empty disk.
    async fn furnished(disk: &MemoryDisk, vendor: Vendor) -> Self {
        let room = Self::over(disk, vendor, TestClock::at(START)).await;
        let store = room.service.store();
        let component = b"no code is called".to_vec();
        let mut digest = [0; 32];
        digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &component).as_ref());
        let install = Install {
            id: InstallId::from_bytes([1; 16]),
            connector: "acme".to_owned(),
            version: "0.1.0".to_owned(),
            manifest: manifest(&room.vendor),
            manifest_digest: "sha256:x".to_owned(),
            component_digest: digest,
            grant: serde_json::to_string(&sluice_model::grant::Grant::default()).unwrap(),
            approved_by: "cli".to_owned(),
            at: START,
            signer: None,
        };
        store
            .put_install(room.org, install, component, None)
            .await
            .unwrap();
        let new = NewConnection {
            id: room.connection,
            install: InstallId::from_bytes([1; 16]),
            connector: "acme".to_owned(),
            name: "work".to_owned(),
            config: "{}".to_owned(),
            at: START,
        };
        store.create_connection(room.org, new).await.unwrap();
        let app = ["client_id", "client_secret"].map(|name| {
            let part = Secret::new(format!("{name} of the app").into_bytes());
            (name.to_owned(), part)
        });
        super::app::set(
            &room.service,
            room.org,
            "acme",
            "oauth",
            app.into_iter().collect(),
        )
        .await
        .unwrap();
        room
    }

    /// A start on what the disk has.
    async fn over(disk: &MemoryDisk, vendor: Vendor, clock: Arc<TestClock>) -> Self {
        let text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let options = Options::new("memory".into(), MasterKey::from_text(text).unwrap());
        let store = Store::open_on(Arc::new(disk.clone()), options).unwrap();
        let config = sluice_broker::Config {
            open: vec![Open {
                net: "127.0.0.1/32".parse().unwrap(),
                port: Some(vendor.port()),
            }],
            ..sluice_broker::Config::default()
        };
        let resolver = Arc::new(sluice_broker::System::new().unwrap());
        let broker = Broker::new(config, resolver, clock.clone()).unwrap();
        let config = sluice_runtime::Config {
            slots: 1,
            max_memory_bytes: 1 << 20,
            compiler: Compiler::InProcess,
            ..sluice_runtime::Config::default()
        };
        let service = Service::start(Parts {
            store,
            runtime: Runtime::new(config, broker).unwrap(),
            clock: clock.clone(),
            settings: Settings::default(),
        })
        .await
        .unwrap();
        Self {
            org: service.org(),
            service,
            clock,
            vendor,
            connection: ConnectionId::from_bytes([2; 16]),
        }
    }

    /// Refreshes as a person asks for it; the code of why not.
    async fn refresh(&self) -> Result<(), String> {
        let refreshed = super::refresh(&self.service, self.org, self.connection).await;
        refreshed.unwrap().map_err(|problem| problem.code)
    }

    /// What a worker does: leases what is due, and drives it.
    async fn work(&self) -> usize {
        let (store, lease) = (self.service.store(), Duration::from_secs(120));
        let leased = store
            .lease_due_credentials(self.clock.now(), lease, 10)
            .await
            .unwrap();
        for (org, id) in &leased {
            super::drive(&self.service, *org, *id).await.unwrap();
        }
        leased.len()
    }

    async fn vault(&self) -> ConnectionVault {
        let install = InstallId::from_bytes([1; 16]);
        let known = crate::catalogue::known(&self.service, self.org, install)
            .await
            .unwrap();
        ConnectionVault {
            service: self.service.clone(),
            org: self.org,
            connection: self.connection,
            own: Some("oauth".to_owned()),
            manifest: Arc::clone(&known.manifest),
            trial: None,
            renews: true,
            hook: None,
        }
    }

    /// What a request would be sent with.
    async fn used(&self) -> Result<String, VaultError> {
        let found = self.vault().await.credential(OWN).await?;
        Ok(text(&found.unwrap()))
    }

    /// What it would be sent with after the vendor has refused `refused`.
    async fn used_instead(&self, refused: &Credential) -> Option<String> {
        let found = self.vault().await.renewed(refused).await.unwrap();
        found.map(|found| text(&found))
    }

    async fn shown(&self) -> Connection {
        let id = self.connection.to_string();
        connection::get(&self.service, self.org, &id).await.unwrap()
    }

    /// How often it was said that the connection has come to this state.
    async fn told(&self, state: ConnectionState) -> usize {
        let kind = "sluice.connection.state";
        let store = self.service.store();
        let events = store.events(self.org, 0, 1000, kind).await.unwrap().events;
        let to = format!("\"to\":\"{}\"", state.name());
        events.iter().filter(|event| event.data.contains(&to)).count()
    }
}

fn text(credential: &Credential) -> String {
    let secret = credential.part(sluice_model::auth::SECRET).unwrap();
    String::from_utf8(secret.expose().to_vec()).unwrap()
}

fn manifest(vendor: &Vendor) -> String {
    let port = vendor.port();
    format!(
        r#"
        manifest = 1
        id = "acme"
        version = "0.1.0"
        contract = "0.1"
        name = "Acme"
        description = "x"
        category = "x"
        licence = "Apache-2.0"
        [[capabilities.egress]]
        host = "api.acme.example"
        methods = ["GET"]
        paths = ["/**"]
        [[auth]]
        name = "oauth"
        title = "x"
        scheme = "oauth2"
        origins = ["https://api.acme.example"]
        [auth.oauth2]
        grants = ["authorization-code"]
        authorize_url = "http://127.0.0.1:{port}/authorize"
        token_url = "http://127.0.0.1:{port}/token"
        "#
    )
}
