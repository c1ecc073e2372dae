//! TLS from the operator's PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Why the files do not make a TLS server.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("read {} as PEM: {reason}", path.display())]
    Pem { path: PathBuf, reason: String },
    #[error("use certificate and key for TLS")]
    Pair(#[source] rustls::Error),
}

impl TlsError {
    /// Every code of [`code`](Self::code).
    pub const CODES: &[&str] = &["server.tls"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "server.tls"
    }
}

/// An acceptor for HTTP/1.1 and HTTP/2.
///
/// # Errors
///
/// If a file cannot be read or the key does not belong to the certificate.
pub fn acceptor(cert_file: &Path, key_file: &Path) -> Result<TlsAcceptor, TlsError> {
    let bad = |path: &Path| {
        let path = path.to_owned();
        move |error: rustls_pki_types::pem::Error| TlsError::Pem {
            path,
            reason: error.to_string(),
        }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert_file)
        .map_err(bad(cert_file))?
        .collect::<Result<_, _>>()
        .map_err(bad(cert_file))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(bad(key_file))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
