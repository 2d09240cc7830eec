//! Requests as text, a line each, to a new vault in memory: whatever they say, none ends in a bug of the vault's, and none tells the root token.
//!
//! A line is `OPERATION PATH DATA`, with data as JSON or nothing; `@` with a token asks by that one from there on, `@` alone by the root token,
//! and `+` with a number of seconds lets them pass.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use vault_core::host::ManualClock;
use vault_core::types::{Class, Operation, SecretString, Timestamp, Ttl};
use vault_core::{Config, NewSeal, Session, Vault, wire};

/// Requests of one input.
const LINES_MAX: usize = 40;

pub(crate) fn run(text: &str) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_457_040)));
    let seal = NewSeal::raw_key(&[7; 32]).unwrap();
    let (vault, init) = Vault::create(Config::in_memory().with_clock(clock.clone()), seal).unwrap();
    let root = init.root_token.expose().to_owned();
    let session_of = |token: &str| vault.session(SecretString::copy_from(token));
    let mut session = session_of(&root);
    for line in text.lines().take(LINES_MAX) {
        if let Some(token) = line.strip_prefix('@') {
            session = session_of(if token.is_empty() { &root } else { token });
        } else if let Some(seconds) = line.strip_prefix('+') {
            clock.advance(Ttl::from_secs(seconds.trim().parse::<u32>().unwrap_or(1).into()));
            vault.tick().map(drop).unwrap_or_default();
        } else {
            ask(&session, &root, line);
        }
    }
}

fn ask(session: &Session, root: &str, line: &str) {
    let mut words = line.splitn(3, ' ');
    let operation = words.next().and_then(Operation::from_name).unwrap_or(Operation::Read);
    let (path, data) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let Ok(data) = wire::data_from_json(data.as_bytes()) else { return };
    match session.request(operation, path, data) {
        // The root token is its holder's to see, by lookup-self and in what it writes down itself.
        Ok(response) => drop(wire::response_to_json(response)),
        Err(error) => {
            assert!(!matches!(error.class(), Class::Internal | Class::Corrupt | Class::Rollback), "{line}: {error}");
            assert!(!error.to_string().contains(root), "{line}");
        }
    }
}
