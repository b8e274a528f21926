//! TLS for https: rustls with ring, and the roots of the platform or the user's own.

use crate::error::{Error, ErrorKind, Result};

/// A rustls configuration of our own, so that no process-wide provider is needed or touched.
#[cfg(feature = "tls")]
pub(super) fn configure(
    builder: reqwest::ClientBuilder,
    roots: &[Vec<u8>],
    wanted: bool,
) -> Result<reqwest::ClientBuilder> {
    use std::sync::Arc;

    use rustls::client::WebPkiServerVerifier;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use rustls_platform_verifier::BuilderVerifierExt as _;

    let wrong = |context: &str, source: Box<dyn std::error::Error + Send + Sync>| {
        Error::caused_by(ErrorKind::Config, context, source)
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS cannot be set up", error.into()))?;
    let config = if roots.is_empty() && wanted {
        config
            .with_platform_verifier()
            .map_err(|error| {
                wrong(
                    "the platform's root certificates cannot be read",
                    error.into(),
                )
            })?
            .with_no_client_auth()
    } else {
        let mut store = rustls::RootCertStore::empty();
        for pem in roots {
            let before = store.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate
                    .map_err(|error| wrong("root certificate is not PEM", error.into()))?;
                store
                    .add(certificate)
                    .map_err(|error| wrong("root certificate is refused", error.into()))?;
            }
            if store.len() == before {
                return Err(Error::new(
                    ErrorKind::Config,
                    "PEM text holds no root certificate",
                ));
            }
        }
        if store.is_empty() {
            // Only plain http is configured: a redirect to https finds no root to trust.
            config.with_root_certificates(store).with_no_client_auth()
        } else {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
                .build()
                .map_err(|error| wrong("root certificates cannot be used", error.into()))?;
            config.with_webpki_verifier(verifier).with_no_client_auth()
        }
    };
    Ok(builder.tls_backend_preconfigured(config))
}

/// Without the feature `tls`, https is refused before any network is touched.
#[cfg(not(feature = "tls"))]
pub(super) fn configure(
    builder: reqwest::ClientBuilder,
    roots: &[Vec<u8>],
    wanted: bool,
) -> Result<reqwest::ClientBuilder> {
    if wanted || !roots.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "https needs the feature `tls` of mesos-framework",
        ));
    }
    Ok(builder)
}
