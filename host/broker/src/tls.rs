//! TLS toward vendors: rustls with ring, the public authorities and the operator's own.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{ConfigError, Error};
use crate::place::Place;

/// Shakes hands with peers.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

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
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ConfigError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A resumed session would tell a vendor that two tenants live on one server; the pool saves the handshakes.
        config.resumption = Resumption::disabled();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Shakes hands for the host of `place`, whatever address was dialled.
    pub(crate) async fn connect(
        &self,
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
        self.0.connect(name, socket).await.map_err(|error| {
            let of_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            let reason = error.to_string();
            if of_tls {
                Error::Tls { host: host(), reason }
            } else {
                Error::Unreachable { host: host(), reason }
            }
        })
    }
}
