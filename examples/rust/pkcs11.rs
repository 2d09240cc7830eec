//! A key in an HSM: a vault that a token unseals at start, that moves to a new key of the token's, and that a passphrase opens without it.
//!
//! `HSM_MODULE=/usr/lib/softhsm/libsofthsm2.so HSM_TOKEN=vault HSM_PIN=... cargo run -p vault-connectors --features pkcs11 --example pkcs11`
//!
//! It makes two keys on the token, labelled `example-2026` and `example-2027`, unless they are there. docs/seals.md says how to set up SoftHSM2.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::sync::Arc;
use vault_connectors::pkcs11::{Pkcs11Error, Pkcs11Options, Pkcs11Wrapper, Token};
use vault_core::types::{Object, Operation, SecretString};
use vault_core::{Config, NewSeal, UnsealKey, Vault};

const PASSPHRASE: &str = "for the safe: correct horse battery staple";

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let config = |hsm: &Arc<Pkcs11Wrapper>| Config::at(folder.path().join("vault")).with_key_wrapper(hsm.clone());

    let hsm = wrapper("example-2026")?;
    make_key(&hsm)?;
    let seals = [NewSeal::wrapper(hsm.clone()), NewSeal::passphrase(PASSPHRASE)?];
    let (vault, init) = Vault::create_with_seals(config(&hsm), &seals)?;
    vault.close()?;
    println!("a vault with two slots: a token opens the first, a passphrase in a safe the second");

    let vault = Vault::open_unsealed(config(&hsm))?;
    println!("opened again: sealed is {}, and nobody typed anything", vault.seal_status().sealed);
    vault.close()?;

    // A new key in the HSM: the configuration names it, the old slot still names the old one.
    let hsm = wrapper("example-2027")?;
    make_key(&hsm)?;
    let vault = Vault::open_unsealed(config(&hsm))?;
    let root = vault.session(init.root_token);
    root.request(Operation::Write, "sys/seals", Some(Object::new().with("wrapper", "pkcs11").into()))?;
    root.request(Operation::Delete, "sys/seals/1", None)?;
    vault.close()?;
    Vault::open_unsealed(config(&hsm))?.close()?;
    println!("moved to a new key: the old one is needed for backups and older copies alone");

    let broken = NewSeal::wrapper(wrapper("a key that nobody made")?);
    println!("without its key: {}", Vault::create(Config::in_memory(), broken).expect_err("there is no such key"));
    let sealed = Vault::open(config(&hsm))?;
    sealed.unseal(&UnsealKey::passphrase(PASSPHRASE)?)?.close()?;
    println!("the passphrase opens it all the same");
    Ok(())
}

/// The token that the environment names, with this key of its.
fn wrapper(key: &str) -> Result<Arc<Pkcs11Wrapper>, Box<dyn Error>> {
    let token = Token::Label(std::env::var("HSM_TOKEN")?);
    let pin = SecretString::copy_from(&std::env::var("HSM_PIN")?);
    Ok(Arc::new(Pkcs11Wrapper::new(Pkcs11Options::new(std::env::var("HSM_MODULE")?, token, pin, key))?))
}

/// Once in the life of a key: no other call makes one.
fn make_key(hsm: &Pkcs11Wrapper) -> Result<(), Pkcs11Error> {
    match hsm.generate_key() {
        Err(error @ Pkcs11Error::KeyExists(_)) => println!("{error}"),
        made => made?,
    }
    Ok(())
}
