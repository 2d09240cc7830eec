//! Which of a connection's options say where it goes.

use crate::types::{Object, Value};

/// What does not say where a connection goes; every other option may.
const PLACELESS: [&str; 12] = [
    "username",
    "tls_ca",
    "ca_cert",
    "tls_certificate",
    "max_open_connections",
    "max_idle_connections",
    "max_connection_lifetime",
    "connect_timeout",
    "statement_timeout",
    "password_authentication",
    "persistence_mode",
    "disable_escaping",
];

/// What of the options may say where a connection goes.
pub(super) fn place_of(config: &Value) -> Vec<(&str, &Value)> {
    config.as_object().into_iter().flat_map(Object::iter).filter(|(name, _)| !PLACELESS.contains(name)).collect()
}
