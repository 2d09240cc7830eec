//! TLS as a target's configuration asks for it: rustls with ring, and no trust but what is given.

use super::{misconfigured, text};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::io;
use std::sync::Arc;
use vault_core::host::{ConnectorError, Target};

/// Whether a server must show who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// By a certificate of a trusted authority, for its name.
    Full,
    /// By a certificate of a trusted authority, for whatever name.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "only libpq has it"))]
    Authority,
    /// Not at all: whoever sits on the way can pose as the server.
    Nobody,
}

/// What a connection needs for TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

impl Tls {
    /// Reads `tls_ca` (or `ca_cert`), `tls_certificate` with the secret `private_key`, or both in the secret `tls_certificate_key`, and
    /// `tls_server_name`; `host` is the name unless that is given.
    pub(crate) fn read(target: &Target<'_>, trust: Trust, host: &str) -> Result<Self, ConnectorError> {
        let config = target.config;
        let provider = Arc::new(ring::default_provider());
        let authority = match text(config, "tls_ca")? {
            Some(authority) => Some(authority),
            None => text(config, "ca_cert")?,
        };
        let verifier = verifier(trust, authority, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| misconfigured("rustls has no version of TLS"))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let client = match identity(target)? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|_| misconfigured("the private key is not of a kind that TLS knows, or not that of tls_certificate"))?,
            None => builder.with_no_client_auth(),
        };
        let name = text(config, "tls_server_name")?.unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| misconfigured("the server's name for TLS is no host name"))?;
        Ok(Tls { config: Arc::new(client), name })
    }
}

/// What to say of a failure, where TLS was the reason.
pub(crate) fn told_tls(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is not of an authority in tls_ca: correct tls_ca, or find out who answers there".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "the server's certificate is for another name: correct the host, or give tls_server_name".to_owned()
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired".to_owned()
        }
        Error::InvalidCertificate(_) => "the server's certificate is not valid".to_owned(),
        Error::AlertReceived(alert) => format!("the server ended TLS: {alert:?}"),
        _ => "TLS failed: see that the server speaks it at this port".to_owned(),
    })
}

fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, ConnectorError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.ok().filter(|read| !read.is_empty()).ok_or_else(|| misconfigured(format!("{what} has no certificate in PEM")))
}

fn identity(target: &Target<'_>) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, ConnectorError> {
    let secret = |name: &str| target.secrets.iter().find(|(known, _)| known == name).map(|(_, secret)| secret.expose());
    let key = |pem: &str| PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| misconfigured("the private key for TLS is no PEM"));
    if let Some(both) = secret("tls_certificate_key").filter(|both| !both.is_empty()) {
        return Ok(Some((certificates(both, "tls_certificate_key")?, key(both)?)));
    }
    match (text(target.config, "tls_certificate")?, secret("private_key").filter(|key| !key.is_empty())) {
        (None, None) => Ok(None),
        (Some(chain), Some(private)) => Ok(Some((certificates(chain, "tls_certificate")?, key(private)?))),
        _ => Err(misconfigured("tls_certificate and private_key go together: give both or neither")),
    }
}

fn verifier(trust: Trust, authority: Option<&str>, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, ConnectorError> {
    if trust == Trust::Nobody {
        return Ok(Arc::new(Lenient { provider: Arc::clone(provider), authority: None }));
    }
    let Some(authority) = authority else {
        return Err(misconfigured("give the authority of the server's certificate as tls_ca, or say that it is not to be checked"));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority, "tls_ca")? {
        roots.add(certificate).map_err(|_| misconfigured("a certificate in tls_ca cannot be an authority's"))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|_| misconfigured("tls_ca is not fit to check certificates with"))?;
    if trust == Trust::Full {
        return Ok(verifier);
    }
    Ok(Arc::new(Lenient { provider: Arc::clone(provider), authority: Some(verifier) }))
}

/// Does not look at the name; without an authority not at the certificate either.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    authority: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };
        match authority.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is looked at last, once the rest is found good.
            Err(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
