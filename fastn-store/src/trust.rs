//! Who vouches for servers.

use std::path::Path;
use std::sync::Arc;

use fastn_core::{Error, ErrorKind, Result};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

/// Verifies names and chains: by the certificates in a file (PEM), or by those of the system.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) if there are none.
pub(crate) fn trusted(
    op: &'static str,
    file: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    let failed = |why: Box<dyn std::error::Error + Send + Sync>| Error::new(ErrorKind::Invalid, op).caused_by(why);
    let Some(file) = file else {
        return Ok(Arc::new(Verifier::new(provider.clone()).map_err(|e| failed(e.into()))?));
    };
    let unreadable = |why: String| Error::new(ErrorKind::Invalid, op).with("file", file.display()).caused_by(why);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unreadable(e.to_string()))? {
        let certificate = certificate.map_err(|e| unreadable(e.to_string()))?;
        roots.add(certificate).map_err(|e| unreadable(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unreadable("there is no certificate in it".to_owned()));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    Ok(verifier.build().map_err(|e| failed(e.into()))?)
}
