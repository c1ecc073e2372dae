//! One request of a flow, through the broker: exactly this address, under the operator's ceiling, with a small answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sluice_broker::credential::OWN;
use sluice_broker::request::Redirects;
use sluice_broker::{
    Apply, Body, Budget, Caller, Credential, CredentialChoice, Held, Request, Trace, Vault, VaultError,
};
use sluice_model::capability::EgressRule;
use sluice_model::grant::{Grant, Rights};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;
use zeroize::Zeroizing;

use super::Error;
use crate::{Service, reach};

/// On whose behalf.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) org: OrgId,
    pub(super) connection: ConnectionId,
    pub(super) connector: String,
    /// What the scheme's recipe asks: nothing else is asked, whatever a provider's metadata names.
    pub(super) reach: Vec<EgressRule>,
}

/// A request.
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) content_type: Option<&'static str>,
    pub(super) body: Zeroizing<Vec<u8>>,
    /// Applied by the broker.
    pub(super) credential: Option<Credential>,
    /// What is in the body: nothing of it may come back in the answer.
    pub(super) known: Vec<(String, Secret)>,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// More than any token answer has; a key set of a large provider has less.
const MAX_ANSWER_BYTES: u64 = 256 << 10;
/// A person may be waiting in front of a browser.
const PATIENCE: Duration = Duration::from_secs(20);

impl Ask {
    pub(super) fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET",
            url: url.into(),
            content_type: None,
            body: Zeroizing::default(),
            credential: None,
            known: Vec::new(),
        }
    }

    pub(super) async fn send(self, service: &Service, asker: &Asker) -> Result<Reply, Error> {
        let (rule, origin) = reach::exactly(self.method, &self.url)
            .ok_or(Error::Answer("an address of the flow is not an https address"))?;
        if !asker.reach.iter().any(|known| known.covers(&rule)) {
            return Err(Error::Answer(
                "an address that the provider names is on a host that the connector's manifest does not name",
            ));
        }
        let grant = Grant {
            egress: vec![rule],
            limits: Limits {
                response_bytes: MAX_ANSWER_BYTES,
                request_time: PATIENCE,
                http_requests: 8,
                ..Limits::default()
            },
            ..Grant::default()
        };
        let rights = Rights::new(&grant, &service.settings().ceiling, &grant);
        let budget = Budget::new(rights.limits());
        for (name, secret) in self.known {
            budget.placeholders().insert(Held {
                name,
                secret,
                origins: Vec::new(),
            })?;
        }
        let mut request = Request::new(self.method, self.url);
        request.redirects = Redirects::Return;
        request
            .headers
            .push(("accept".to_owned(), "application/json".to_owned()));
        request
            .headers
            .push(("user-agent".to_owned(), "sluice".to_owned()));
        if let Some(kind) = self.content_type {
            request.headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        if !self.body.is_empty() {
            request.body = Body::Bytes(self.body.to_vec().into());
        }
        request.credential = match &self.credential {
            Some(_) => CredentialChoice::Default,
            None => CredentialChoice::None,
        };
        let credential = self.credential.map(|mut credential| {
            credential.origins = vec![origin];
            Arc::new(credential)
        });
        let caller = Caller {
            org: asker.org,
            connection: Some(asker.connection),
            connector: asker.connector.clone(),
            rights: Arc::new(rights),
            vault: Arc::new(Only(credential)),
            trace: Trace::default(),
            budget,
            rates: Vec::new(),
            app: None,
        };
        let response = service.broker().send(&caller, request).await?;
        let status = response.status;
        let content_type = response.header("content-type").unwrap_or_default().to_lowercase();
        let body = response.collect().await?;
        Ok(Reply {
            status,
            content_type,
            body: Zeroizing::new(body.to_vec()),
        })
    }
}

/// The vault of one request.
struct Only(Option<Arc<Credential>>);

impl Vault for Only {
    fn credential<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<Credential>>, VaultError>> {
        let found = self.0.clone().filter(|_| name == OWN);
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// `authorization: Basic` over `user:password`.
pub(super) fn basic(pair: &str) -> Credential {
    let secret = Secret::new(pair.as_bytes().to_vec());
    applied(secret, Apply::Basic { username: None })
}

/// `authorization: Bearer`.
pub(super) fn bearer(secret: Secret) -> Credential {
    applied(secret, Apply::Bearer)
}

/// `authorization:` with a vendor's own word before the token.
pub(super) fn prefixed(prefix: &str, secret: Secret) -> Credential {
    let apply = Apply::Header {
        name: "authorization".to_owned(),
        prefix: prefix.to_owned(),
    };
    applied(secret, apply)
}

/// A credential of one request; [`Ask::send`] binds it to the request's origin.
fn applied(secret: Secret, apply: Apply) -> Credential {
    Credential::new("flow", secret, apply, Vec::new())
}

/// A credential of several parts.
pub(super) fn parts(parts: Vec<(String, Secret)>, apply: Apply) -> Credential {
    Credential {
        parts,
        ..applied(Secret::new(Vec::new()), apply)
    }
}
