//! A connector whose server ends at one of its calls.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use test_servers::Server;
use vault_core::host::{Account, Connector, ConnectorError, ConnectorFailure, NewAccount, Target};
use vault_core::types::{SecretString, Timestamp};

/// When a server ends: before a call reaches it, or behind one that it has carried out, whose answer is lost or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    Before,
    AnswerLost,
    Behind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Duty {
    Create,
    Renew,
    Revoke,
    SetPassword,
    Test,
}

/// The connector, and the server that it ends.
pub(crate) struct Cut {
    inner: Arc<dyn Connector>,
    server: Mutex<Server>,
    at: Mutex<Option<(Duty, When)>>,
    is_cut: AtomicBool,
}

impl Cut {
    pub(crate) fn new(inner: Arc<dyn Connector>, server: Server) -> Self {
        Cut { inner, server: Mutex::new(server), at: Mutex::new(None), is_cut: AtomicBool::new(false) }
    }

    /// The server ends at the next call of a duty.
    pub(crate) fn plan(&self, duty: Duty, when: When) {
        *self.at.lock() = Some((duty, when));
        self.is_cut.store(false, Ordering::SeqCst);
    }

    /// Whether it has come to that.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    pub(crate) fn start_again(&self) {
        self.server.lock().start_again().unwrap();
    }

    pub(crate) fn with_server<T>(&self, what: impl FnOnce(&Server) -> T) -> T {
        what(&self.server.lock())
    }

    fn run(&self, duty: Duty, call: impl FnOnce() -> Result<(), ConnectorError>) -> Result<(), ConnectorError> {
        let when = {
            let mut at = self.at.lock();
            let now = at.filter(|(planned, _)| *planned == duty).map(|(_, when)| when);
            if now.is_some() {
                *at = None;
            }
            now
        };
        let Some(when) = when else { return call() };
        self.is_cut.store(true, Ordering::SeqCst);
        if when == When::Before {
            self.server.lock().kill().unwrap();
            return call();
        }
        let answer = call();
        self.server.lock().kill().unwrap();
        if when == When::Behind { answer } else { Err(ConnectorError::new(ConnectorFailure::Unknown, "cut off")) }
    }
}

impl Connector for Cut {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn check(&self, target: &Target<'_>, verify: bool) -> Result<(), ConnectorError> {
        self.inner.check(target, verify)
    }

    fn create(&self, target: &Target<'_>, new: &NewAccount<'_>) -> Result<(), ConnectorError> {
        self.run(Duty::Create, || self.inner.create(target, new))
    }

    fn renew(&self, target: &Target<'_>, account: &Account<'_>, expires: Timestamp) -> Result<(), ConnectorError> {
        self.run(Duty::Renew, || self.inner.renew(target, account, expires))
    }

    fn revoke(&self, target: &Target<'_>, account: &Account<'_>) -> Result<(), ConnectorError> {
        self.run(Duty::Revoke, || self.inner.revoke(target, account))
    }

    fn set_password(&self, target: &Target<'_>, account: &Account<'_>, password: &SecretString) -> Result<(), ConnectorError> {
        self.run(Duty::SetPassword, || self.inner.set_password(target, account, password))
    }

    fn test(&self, target: &Target<'_>, username: &str, password: &SecretString) -> Result<(), ConnectorError> {
        self.run(Duty::Test, || self.inner.test(target, username, password))
    }

    fn forget(&self, id: &[u8; 16]) {
        self.inner.forget(id);
    }
}
