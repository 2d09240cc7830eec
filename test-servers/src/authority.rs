//! An authority of a test's own, with certificates for a server and a client.

use crate::Outcome;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::Path;

/// Certificates for a server and a client, their keys, and who vouches for them; all in PEM.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    server: String,
    server_key: String,
    client: String,
    client_key: String,
}

impl Authority {
    /// An authority of that name, with a certificate for these hosts.
    ///
    /// # Errors
    /// When a name is none.
    pub fn new(name: &str, hosts: &[&str]) -> Outcome<Self> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("the authority of {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate()?;
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let server = CertificateParams::new(hosts)?.signed_by(&server_key, &issuer)?.pem();
        let client_key = KeyPair::generate()?;
        let client = CertificateParams::new(vec!["client".to_owned()])?.signed_by(&client_key, &issuer)?.pem();
        let (server_key, client_key) = (server_key.serialize_pem(), client_key.serialize_pem());
        Ok(Authority { certificate, server, server_key, client, client_key })
    }

    /// The authority's certificate: what a client is to trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a client, and its key.
    #[must_use]
    pub fn client(&self) -> (&str, &str) {
        (&self.client, &self.client_key)
    }

    pub(crate) fn write(&self, folder: &Path) -> Outcome<()> {
        fs::write(folder.join("ca.pem"), &self.certificate)?;
        fs::write(folder.join("server.pem"), &self.server)?;
        fs::write(folder.join("server.key"), &self.server_key)?;
        Ok(())
    }
}
