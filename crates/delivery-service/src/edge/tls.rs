//! The certificate and key that the service shows.

use std::{fs, io, path::PathBuf, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

use crate::error::ServeError;

/// Where the service's certificate and its key are, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, followed by those that certify it up to one that clients know.
    pub certificate: PathBuf,
    /// The certificate's private key (PKCS #8, SEC 1 or PKCS #1).
    pub key: PathBuf,
}

impl Tls {
    /// Reads the files. They are read once: a renewed certificate needs a restart.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, ServeError> {
        let unusable = |path: &PathBuf, problem: String| ServeError::Tls {
            path: path.clone(),
            problem,
        };
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error: io::Error| unusable(path, error.to_string()))
        };
        let certificates = read(&self.certificate)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificates).collect();
        let chain = chain.map_err(|error| unusable(&self.certificate, error.to_string()))?;
        if chain.is_empty() {
            let problem = "no certificate in PEM is in it".to_owned();
            return Err(unusable(&self.certificate, problem));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|error| unusable(&self.key, error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.key, error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&self.key, error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
