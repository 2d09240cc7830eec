//! The native part of the Python package `libvault`: the vault's face over `vault_core`, the interpreter's lock released around its work.

mod arguments;
mod audit;
mod backup;
mod buffer;
mod callbacks;
mod clock;
mod connectors;
mod convert;
mod doctor;
mod emergency;
mod errors;
mod hooks;
mod keys;
mod kv;
mod live;
mod log;
mod maintenance;
mod pkcs11;
mod policy;
mod rotation;
mod secret;
mod session;
mod sinks;
mod vault;

use pyo3::prelude::*;

/// Registers the classes and functions of `libvault._native`. An interpreter without a lock takes one back on for this module: that no lock
/// of ours is held across a fork rests on it (`vault::Vault`).
#[pymodule(gil_used = true)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<callbacks::Anchor>()?;
    module.add_class::<callbacks::AuditLine>()?;
    module.add_class::<callbacks::AuditSink>()?;
    module.add_class::<callbacks::KeyWrapper>()?;
    module.add_class::<clock::ManualClock>()?;
    module.add_class::<connectors::Account>()?;
    module.add_class::<connectors::Connector>()?;
    module.add_class::<connectors::MySQL>()?;
    module.add_class::<connectors::PostgreSQL>()?;
    module.add_class::<connectors::Redis>()?;
    module.add_class::<connectors::Target>()?;
    module.add_class::<keys::Passphrase>()?;
    module.add_class::<keys::RawKey>()?;
    module.add_class::<keys::Shamir>()?;
    module.add_class::<keys::Shares>()?;
    module.add_class::<kv::Kv>()?;
    module.add_class::<kv::KvSecret>()?;
    module.add_class::<kv::KvVersion>()?;
    module.add_class::<live::LiveSecret>()?;
    module.add_class::<live::SecretSnapshot>()?;
    module.add_class::<pkcs11::Pkcs11>()?;
    module.add_class::<policy::Decision>()?;
    module.add_class::<emergency::Emergency>()?;
    module.add_class::<rotation::Rotation>()?;
    module.add_class::<rotation::StaticCreds>()?;
    module.add_class::<secret::SecretBytes>()?;
    module.add_class::<secret::SecretStr>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<sinks::FileSink>()?;
    module.add_class::<sinks::SocketSink>()?;
    module.add_class::<sinks::SyslogSink>()?;
    module.add_class::<vault::Init>()?;
    module.add_class::<vault::Vault>()?;
    module.add_function(wrap_pyfunction!(vault::create, module)?)?;
    module.add_function(wrap_pyfunction!(vault::open, module)?)?;
    module.add_function(wrap_pyfunction!(vault::restore, module)?)?;
    module.add_function(wrap_pyfunction!(backup::verify_backup, module)?)?;
    module.add_function(wrap_pyfunction!(doctor::examine, module)?)?;
    module.add_function(wrap_pyfunction!(doctor::salvage, module)?)?;
    module.add_function(wrap_pyfunction!(audit::verify_checkpoint, module)?)?;
    module.add_function(wrap_pyfunction!(audit::verify_inclusion, module)?)?;
    module.add_function(wrap_pyfunction!(audit::verify_consistency, module)?)?;
    module.add_function(wrap_pyfunction!(policy::run_policy_tests, module)?)?;
    module.add_function(wrap_pyfunction!(policy::evaluate, module)?)
}
