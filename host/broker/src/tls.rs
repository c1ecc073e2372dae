//! TLS toward vendors: rustls with ring, the public authorities and the operator's own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ring::digest;
use rustls::client::Resumption;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sluice_model::Timestamp;
use sluice_model::secret::Secret;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::credential::{Apply, Credential};
use crate::error::{ConfigError, Error};
use crate::place::Place;

const CERTIFICATE: &str = "certificate";
const PRIVATE_KEY: &str = "private_key";

/// Shakes hands with peers.
#[derive(Clone)]
pub(crate) struct Tls {
    plain: TlsConnector,
    /// Names no protocol: what is spoken inside is not HTTP, and a server may refuse names that it does not know.
    nameless: TlsConnector,
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
}

/// The digest of the client certificate and its key, for a credential that is one.
pub(crate) fn fingerprint(credential: &Credential) -> Option<[u8; 32]> {
    if credential.apply != Apply::ClientCertificate {
        return None;
    }
    let mut digest = digest::Context::new(&digest::SHA256);
    for part in [CERTIFICATE, PRIVATE_KEY] {
        let bytes = credential.part(part).map(Secret::expose).unwrap_or_default();
        digest.update(&(bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    }
    digest.finish().as_ref().try_into().ok()
}

impl Tls {
    pub(crate) fn new(extra_ca_pem: &[Vec<u8>]) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for (index, pem) in extra_ca_pem.iter().enumerate() {
            let bad = |reason: String| ConfigError::Authority { index, reason };
            let mut any = false;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| bad(error.to_string()))?;
                roots.add(certificate).map_err(|error| bad(error.to_string()))?;
                any = true;
            }
            if !any {
                return Err(bad("it has no certificate".into()));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(roots);
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(ConfigError::Tls)?
            .with_root_certificates(Arc::clone(&roots))
            .with_no_client_auth();
        Ok(Self {
            nameless: nameless(config.clone()),
            plain: connector(config),
            provider,
            roots,
        })
    }

    /// Whether a chain in DER, leaf first, leads to one of the authorities that peers are believed by.
    pub(crate) fn trusts(&self, chain: &[Vec<u8>], now: Timestamp) -> bool {
        let mut chain = chain.iter().map(|der| CertificateDer::from(der.as_slice()));
        let Some(leaf) = chain.next() else { return false };
        let Ok(leaf) = ParsedCertificate::try_from(&leaf) else {
            return false;
        };
        let between: Vec<_> = chain.collect();
        let now = UnixTime::since_unix_epoch(Duration::from_millis(now.as_millis()));
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, &between, now, algorithms).is_ok()
    }

    /// A connector that shows this certificate to a peer that asks for one (RFC 8446 §4.3.2).
    fn with(&self, credential: &Credential) -> Result<TlsConnector, Error> {
        let pem = |part: &str| {
            let found = credential.part(part).map(Secret::expose);
            found.ok_or_else(|| credential.unfit(&format!("it has no part `{part}`")))
        };
        let unfit = |_| credential.unfit("its certificate or its private key is not PEM");
        let chain = CertificateDer::pem_slice_iter(pem(CERTIFICATE)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(unfit)?;
        if chain.is_empty() {
            return Err(credential.unfit("its certificate is not PEM"));
        }
        let key = PrivateKeyDer::from_pem_slice(pem(PRIVATE_KEY)?).map_err(unfit)?;
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_root_certificates(Arc::clone(&self.roots))
                    .with_client_auth_cert(chain, key)
            });
        // What rustls says about a key could quote it.
        let config =
            config.map_err(|_| credential.unfit("its certificate and its private key do not fit"))?;
        Ok(connector(config))
    }

    /// Shakes hands for the host of `place`, whatever address was dialled.
    pub(crate) async fn connect(
        &self,
        place: &Place,
        socket: TcpStream,
        identity: Option<&Credential>,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let connector = match identity {
            Some(credential) => self.with(credential)?,
            None => self.plain.clone(),
        };
        shake(connector, place, socket).await
    }

    /// Shakes hands for the host of `place`, for a protocol that is not HTTP.
    pub(crate) async fn secure(
        &self,
        place: &Place,
        socket: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Error> {
        shake(self.nameless.clone(), place, socket).await
    }
}

async fn shake(
    connector: TlsConnector,
    place: &Place,
    socket: TcpStream,
) -> Result<TlsStream<TcpStream>, Error> {
    let host = || place.host().to_owned();
    let name = match place.literal() {
        Some(ip) => ServerName::IpAddress(IpAddr::into(ip)),
        None => ServerName::try_from(host()).map_err(|error| Error::Tls {
            host: host(),
            reason: error.to_string(),
        })?,
    };
    connector.connect(name, socket).await.map_err(|error| {
        let of_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        let reason = error.to_string();
        if of_tls {
            Error::Tls { host: host(), reason }
        } else {
            Error::Unreachable { host: host(), reason }
        }
    })
}

fn connector(mut config: ClientConfig) -> TlsConnector {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    nameless(config)
}

fn nameless(mut config: ClientConfig) -> TlsConnector {
    // A resumed session would tell a vendor that two tenants live on one server; the pool saves the handshakes.
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}
