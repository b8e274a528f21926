//! TLS for https: rustls with ring, and the roots of the platform or the user's own.

use tokio::net::TcpStream;

use super::connect::Duplex;
use crate::error::{Error, ErrorKind, Result};

/// Whom to trust, and who one is.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsConfig {
    /// PEM texts; the platform's if there is none.
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) client_certificate: Option<ClientCertificate>,
}

/// PEM texts of a certificate chain and its private key.
#[derive(Clone)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "without TLS it is only refused")
)]
pub(crate) struct ClientCertificate {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientCertificate(key hidden)")
    }
}

/// A rustls configuration of our own, so that no process-wide provider is needed or touched. Without the feature `tls`,
/// https is refused before any network is touched.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    #[cfg(feature = "tls")]
    config: std::sync::Arc<rustls::ClientConfig>,
}

#[cfg(feature = "tls")]
impl Tls {
    /// `wanted`: whether an https address is configured.
    pub(super) fn new(tls: &TlsConfig, wanted: bool) -> Result<Self> {
        let config = std::sync::Arc::new(config(tls, wanted)?);
        Ok(Self { config })
    }

    pub(super) fn configure(&self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        builder.tls_backend_preconfigured(rustls::ClientConfig::clone(&self.config))
    }

    pub(super) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> std::io::Result<Box<dyn Duplex>> {
        use rustls::pki_types::ServerName;

        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::clone(&self.config));
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

#[cfg(feature = "tls")]
fn config(tls: &TlsConfig, wanted: bool) -> Result<rustls::ClientConfig> {
    use std::sync::Arc;

    use rustls::client::WebPkiServerVerifier;
    use rustls_platform_verifier::BuilderVerifierExt as _;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS cannot be set up", error))?;
    let verified = if tls.roots.is_empty() && wanted {
        config
            .with_platform_verifier()
            .map_err(|error| wrong("the platform's root certificates cannot be read", error))?
    } else if tls.roots.is_empty() {
        // Only plain http is configured: a redirect to https finds no root to trust.
        config.with_root_certificates(rustls::RootCertStore::empty())
    } else {
        let store = Arc::new(store(&tls.roots)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(store, provider)
            .build()
            .map_err(|error| wrong("root certificates cannot be used", error))?;
        config.with_webpki_verifier(verifier)
    };
    let Some(own) = &tls.client_certificate else {
        return Ok(verified.with_no_client_auth());
    };
    let (chain, key) = identity(own)?;
    verified
        .with_client_auth_cert(chain, key)
        .map_err(|error| wrong("client certificate and key cannot be used", error))
}

#[cfg(feature = "tls")]
type Identity = (
    Vec<rustls::pki_types::CertificateDer<'static>>,
    rustls::pki_types::PrivateKeyDer<'static>,
);

#[cfg(feature = "tls")]
fn identity(own: &ClientCertificate) -> Result<Identity> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let chain = CertificateDer::pem_slice_iter(&own.chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong("client certificate is not PEM", error))?;
    if chain.is_empty() {
        let context = "PEM text holds no client certificate";
        return Err(Error::new(ErrorKind::Config, context));
    }
    let key = PrivateKeyDer::from_pem_slice(&own.key)
        .map_err(|error| wrong("key of the client certificate cannot be read", error))?;
    Ok((chain, key))
}

#[cfg(feature = "tls")]
fn store(roots: &[Vec<u8>]) -> Result<rustls::RootCertStore> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let mut store = rustls::RootCertStore::empty();
    for pem in roots {
        let before = store.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate =
                certificate.map_err(|error| wrong("root certificate is not PEM", error))?;
            store
                .add(certificate)
                .map_err(|error| wrong("root certificate is refused", error))?;
        }
        if store.len() == before {
            return Err(Error::new(
                ErrorKind::Config,
                "PEM text holds no root certificate",
            ));
        }
    }
    Ok(store)
}

#[cfg(feature = "tls")]
fn wrong(context: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::caused_by(ErrorKind::Config, context, source)
}

#[cfg(not(feature = "tls"))]
impl Tls {
    /// `wanted`: whether an https address is configured.
    pub(super) fn new(tls: &TlsConfig, wanted: bool) -> Result<Self> {
        if wanted || !tls.roots.is_empty() || tls.client_certificate.is_some() {
            return Err(Error::new(
                ErrorKind::Config,
                "https needs the feature `tls` of mesos-framework",
            ));
        }
        Ok(Self {})
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) fn configure(&self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        builder
    }

    /// A redirect to https ends here.
    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn handshake(
        &self,
        _: &str,
        _: TcpStream,
    ) -> std::io::Result<Box<dyn Duplex>> {
        let why = "https needs the feature `tls` of mesos-framework";
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, why))
    }
}
