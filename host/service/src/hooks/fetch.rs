//! One small request to a vendor's own address on a hook's behalf: exactly this address, no redirect, a small answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluice_broker::redact::MIN_SECRET_BYTES;
use sluice_broker::request::Redirects;
use sluice_broker::{Body, Budget, Caller, CredentialChoice, EmptyVault, Held, Request, Trace, Vault};
use sluice_model::grant::{Grant, Rights};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;

use crate::{Service, reach};

/// What is asked.
pub(super) struct Fetch {
    pub(super) org: OrgId,
    pub(super) connector: String,
    pub(super) url: String,
    /// JSON to post; without it it is a GET.
    pub(super) post: Option<String>,
    /// Whose credential to ask with, and which.
    pub(super) credential: Option<(ConnectionId, Arc<dyn Vault>, String)>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotFetched {
    #[error("the address is not one that can be fetched")]
    Address,
    #[error("the vendor answered with status {0}")]
    Status(u16),
    #[error(transparent)]
    Broker(#[from] sluice_broker::Error),
}

/// Certificates have a few KiB, key sets of large vendors some dozens.
const MAX_BYTES: u64 = 256 << 10;
/// A vendor waits for its webhook's answer meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

impl NotFetched {
    /// Whether another try may find it.
    pub(super) const fn passes(&self) -> bool {
        match self {
            Self::Address => false,
            Self::Status(status) => *status >= 500 || *status == 429 || *status == 408,
            Self::Broker(_) => true,
        }
    }
}

/// What an address says behind its question mark, such as a token of the vendor's: the log and the trace have its names only.
fn query_of(url: &str) -> Vec<(String, String)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes())
        .filter(|(_, value)| value.len() >= MIN_SECRET_BYTES)
        .take(MAX_PARAMETERS)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// SNS's addresses have three.
const MAX_PARAMETERS: usize = 16;

impl Fetch {
    pub(super) async fn send(self, service: &Service) -> Result<Bytes, NotFetched> {
        let method = if self.post.is_some() { "POST" } else { "GET" };
        let (rule, _) = reach::exactly(method, &self.url).ok_or(NotFetched::Address)?;
        let grant = Grant {
            egress: vec![rule],
            limits: Limits {
                response_bytes: MAX_BYTES,
                request_time: PATIENCE,
                http_requests: 4,
                ..Limits::default()
            },
            ..Grant::default()
        };
        let rights = Rights::new(&grant, &service.settings().ceiling, &grant);
        let budget = Budget::new(rights.limits());
        for (name, value) in query_of(&self.url) {
            let held = Held {
                name,
                secret: Secret::new(value.into_bytes()),
                origins: Vec::new(),
            };
            budget
                .placeholders()
                .insert(held)
                .map_err(|_| NotFetched::Address)?;
        }
        let mut request = Request::new(method, self.url);
        request.redirects = Redirects::Return;
        request.headers = vec![
            ("accept".to_owned(), "*/*".to_owned()),
            ("user-agent".to_owned(), "sluice".to_owned()),
        ];
        if let Some(post) = self.post {
            request
                .headers
                .push(("content-type".to_owned(), "application/json".to_owned()));
            request.body = Body::Bytes(post.into());
        }
        let (connection, vault, choice) = match self.credential {
            Some((connection, vault, name)) => (Some(connection), vault, CredentialChoice::Named(name)),
            None => (
                None,
                Arc::new(EmptyVault) as Arc<dyn Vault>,
                CredentialChoice::None,
            ),
        };
        request.credential = choice;
        let caller = Caller {
            org: self.org,
            connection,
            connector: self.connector,
            rights: Arc::new(rights),
            vault,
            trace: Trace::default(),
            budget,
            rates: Vec::new(),
            app: None,
        };
        let response = service.broker().send(&caller, request).await?;
        match response.status {
            200 => Ok(response.collect().await?),
            status => Err(NotFetched::Status(status)),
        }
    }
}
