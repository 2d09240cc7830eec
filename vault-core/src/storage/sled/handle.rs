//! A handle on sled whose calls come back: an error where sled would wait for ever, panic, or panic while it is dropped.
//!
//! Where sled 0.34.7 fails to write its log on one of its threads it notes the error and does not always wake who waits for that write
//! (`exit_reservation` in its `logger.rs`). So nobody waits in sled's `flush`: that is done on a thread of sled's, and watched.
#![allow(clippy::disallowed_methods, reason = "a backend on disk waits for its engine")]

use super::super::StorageError;
use parking_lot::{Condvar, Mutex};
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// How long after sled has noted an error a flush may learn of it, at most.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// An open database of sled's.
pub(super) struct Handle {
    /// Shares with the database where it notes an error.
    config: sled::Config,
    /// Gone once it is closed.
    db: Option<sled::Db>,
}

impl Handle {
    pub(super) fn open(config: sled::Config) -> Result<Self, StorageError> {
        let db = caught("opening sled", || config.open())?;
        Ok(Handle { config, db: Some(db) })
    }

    /// Calls sled; its errors and panics become ours.
    pub(super) fn call<R>(&self, action: &'static str, call: impl FnOnce(&sled::Db) -> sled::Result<R>) -> Result<R, StorageError> {
        caught(action, || call(self.db.as_ref().ok_or(sled::Error::ReportableBug("it is closed".to_owned()))?))
    }

    /// Waits until sled has written what it was given; answers how much that was.
    pub(super) fn flush(&self) -> Result<usize, StorageError> {
        self.call("flushing", |db| {
            let mut flushing = pin!(db.flush_async());
            let signal = Arc::new(Signal::default());
            let waker = Waker::from(Arc::clone(&signal));
            loop {
                if let Poll::Ready(flushed) = flushing.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return flushed;
                }
                if self.config.global_error().is_err() {
                    // Comes back at once now, with that error, and wakes sled's thread.
                    return db.flush();
                }
                signal.wait();
            }
        })
    }

    /// Closes the database. Its own destructor would flush as well, and there wait for ever or panic.
    pub(super) fn close(&mut self) -> Result<(), StorageError> {
        let mut flushed = Ok(());
        while self.db.is_some() && flushed.is_ok() {
            match self.flush() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => flushed = Err(error),
            }
        }
        let db = self.db.take();
        // It reads nothing, so nothing can be found to be corrupt: it panics where it cannot sync its log.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(db)));
        flushed.and(dropped.map_err(|_| StorageError::Io { action: "closing sled", source: io::Error::other("it panicked") }))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Whoever wants to know has closed it.
        let _closed = self.close();
    }
}

/// Wakes who waits for a flush. Parking the thread would do, but the standard library's handle on a thread of C's is never freed.
#[derive(Default)]
struct Signal {
    given: Mutex<bool>,
    woken: Condvar,
}

impl Signal {
    /// Waits until it is given, or for as long as a flush may go unwatched.
    fn wait(&self) {
        let mut given = self.given.lock();
        if !*given {
            self.woken.wait_for(&mut given, WATCH_EVERY);
        }
        *given = false;
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.given.lock() = true;
        self.woken.notify_one();
    }
}

fn caught<R>(action: &'static str, call: impl FnOnce() -> sled::Result<R>) -> Result<R, StorageError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(sled::Error::Io(source))) => Err(StorageError::Io { action, source }),
        Ok(Err(error)) => Err(StorageError::Corrupt(format!("{action}: {error}"))),
        Err(_) => Err(StorageError::Corrupt(format!("{action}: sled panicked"))),
    }
}
