//! The thread that calls the vault's `tick`, for a host that asks for one.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use vault_core::Vault;
use vault_core::types::limits::AUDIT_QUEUE_MILLIS_MAX;
use vault_core::types::{Code, Error, Result};

/// A running thread; dropping this stops it and waits for its end. It never touches Python, so that it needs no interpreter.
pub(crate) struct Maintenance {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    process: u32,
}

impl Maintenance {
    /// Starts the thread. It ends by itself when the vault is closed, and goes on after failures, since `tick` makes up for what it missed.
    pub(crate) fn start(vault: Vault) -> Result<Self> {
        let (stop, stopped) = channel();
        let pause = Duration::from_millis(AUDIT_QUEUE_MILLIS_MAX);
        let work = move || {
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                if vault.tick().is_err_and(|error| error.code() == Code::Closed) {
                    return;
                }
            }
        };
        let thread = Builder::new().name("libvault-tick".to_owned()).spawn(work);
        let thread = thread.map_err(|error| Error::new(Code::Unavailable, format!("starting the maintenance thread: {error}")))?;
        Ok(Maintenance { stop: Some(stop), thread: Some(thread), process: std::process::id() })
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A child process has no such thread, and would wait for ever.
        if let Some(thread) = self.thread.take().filter(|_| self.process == std::process::id()) {
            // A panic of the thread has been told on standard error; nobody waits for more.
            let _outcome = thread.join();
        }
    }
}
