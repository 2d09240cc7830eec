//! An authority of a test's own, with a certificate for a server.

use crate::Outcome;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::Path;

/// A certificate, its key, and who vouches for it; all in PEM.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    server: String,
    server_key: String,
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
        Ok(Authority { certificate, server, server_key: server_key.serialize_pem() })
    }

    /// The authority's certificate: what a client is to trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(crate) fn write(&self, folder: &Path) -> Outcome<()> {
        fs::write(folder.join("ca.pem"), &self.certificate)?;
        fs::write(folder.join("server.pem"), &self.server)?;
        fs::write(folder.join("server.key"), &self.server_key)?;
        Ok(())
    }
}
