//! A few connections to each target, made when they are needed and kept for the next.
//!
//! A connection that was kept is tried before it is used, so a server that was away heals the pool by coming back. In a child process after a
//! fork nothing is sent, not even a farewell: the sockets are the parent's too.

use super::{Deadline, Limits, unreachable};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use vault_core::host::ConnectorError;
use vault_core::os::ForkGuard;

/// A connection that a pool can keep.
pub(crate) trait Session: Send {
    /// Finds out whether the server still answers, and undoes what the last user left behind. Nothing is done at the target.
    fn refresh(&mut self, deadline: Deadline) -> Result<(), ConnectorError>;

    /// Whether another may use it.
    fn is_sound(&self) -> bool;
}

/// The pools of a connector, one for each target.
pub(crate) struct Pools<S: Session> {
    pools: Mutex<HashMap<[u8; 16], Arc<Pool<S>>>>,
    fork: Arc<ForkGuard>,
}

struct Pool<S: Session> {
    state: Mutex<State<S>>,
    /// A connection came back, or may be made now.
    freed: Condvar,
    fork: Arc<ForkGuard>,
}

struct State<S> {
    idle: Vec<Kept<S>>,
    /// Those in use too.
    open: usize,
    is_closed: bool,
}

struct Kept<S> {
    session: S,
    since: Instant,
}

/// A connection in use. It goes back when dropped, or is closed if it is not sound.
struct Lent<S: Session> {
    pool: Arc<Pool<S>>,
    kept: Option<Kept<S>>,
    idle_max: usize,
    /// Work that panicked leaves a connection in whatever state.
    is_done: bool,
}

impl<S: Session> Pools<S> {
    /// Works with a connection to a target. Waiting for one, trying it and making it takes `limits.connect` at most.
    pub(crate) fn with<R>(
        &self,
        id: &[u8; 16],
        limits: &Limits,
        connect: impl FnOnce(Deadline) -> Result<S, ConnectorError>,
        work: impl FnOnce(&mut S) -> Result<R, ConnectorError>,
    ) -> Result<R, ConnectorError> {
        let pool = Arc::clone(self.pools.lock().entry(*id).or_insert_with(|| Arc::new(Pool::new(Arc::clone(&self.fork)))));
        let mut lent = pool.borrow(limits, connect)?;
        let outcome = lent.kept.as_mut().map(|kept| work(&mut kept.session));
        lent.is_done = true;
        outcome.unwrap_or_else(|| Err(unreachable("the connection is gone")))
    }

    /// Closes what is kept for a target; what is in use is closed when it comes back.
    pub(crate) fn forget(&self, id: &[u8; 16]) {
        let pool = self.pools.lock().remove(id);
        if let Some(pool) = pool {
            let mut state = pool.state.lock();
            state.is_closed = true;
            let idle = std::mem::take(&mut state.idle);
            state.open -= idle.len();
            drop(state);
            pool.let_go(idle);
        }
    }
}

impl<S: Session> Default for Pools<S> {
    /// No pool yet.
    fn default() -> Self {
        Pools { pools: Mutex::default(), fork: Arc::new(ForkGuard::new()) }
    }
}

impl<S: Session> fmt::Debug for Pools<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pools")
    }
}

impl<S: Session> Pool<S> {
    fn new(fork: Arc<ForkGuard>) -> Self {
        Pool { state: Mutex::new(State { idle: Vec::new(), open: 0, is_closed: false }), freed: Condvar::new(), fork }
    }

    fn borrow(
        self: &Arc<Self>,
        limits: &Limits,
        connect: impl FnOnce(Deadline) -> Result<S, ConnectorError>,
    ) -> Result<Lent<S>, ConnectorError> {
        let deadline = Deadline::after(limits.connect);
        let mut lent = Lent { pool: Arc::clone(self), kept: None, idle_max: limits.idle_max, is_done: true };
        loop {
            if deadline.left().is_none() {
                return Err(unreachable("no connection to the server within connect_timeout"));
            }
            let mut state = self.state.lock();
            if let Some(kept) = state.idle.pop() {
                drop(state);
                let is_old = limits.lifetime.is_some_and(|lifetime| kept.since.elapsed() >= lifetime);
                let kept = lent.kept.insert(kept);
                if !is_old && kept.session.refresh(deadline).is_ok() && kept.session.is_sound() {
                    lent.is_done = false;
                    return Ok(lent);
                }
                lent.close();
                continue;
            }
            if state.open < limits.open_max {
                // Counted before it is there, and given back by `Lent` whatever happens.
                state.open += 1;
                drop(state);
                let place = Place(self);
                let session = connect(deadline)?;
                std::mem::forget(place);
                lent.kept = Some(Kept { session, since: Instant::now() });
                lent.is_done = false;
                return Ok(lent);
            }
            if self.freed.wait_until(&mut state, deadline.instant()).timed_out() {
                return Err(unreachable(format!("all {} connections (max_open_connections) are in use", limits.open_max)));
            }
        }
    }

    fn let_go(&self, sessions: Vec<Kept<S>>) {
        if self.fork.is_forked() {
            sessions.into_iter().for_each(std::mem::forget);
        }
    }

    fn give_back_place(&self) {
        self.state.lock().open -= 1;
        self.freed.notify_one();
    }
}

impl<S: Session> Drop for Pool<S> {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut self.state.get_mut().idle);
        self.let_go(idle);
    }
}

/// The place of a connection that is being made.
struct Place<'a, S: Session>(&'a Pool<S>);

impl<S: Session> Drop for Place<'_, S> {
    fn drop(&mut self) {
        self.0.give_back_place();
    }
}

impl<S: Session> Lent<S> {
    fn close(&mut self) {
        if let Some(kept) = self.kept.take() {
            self.pool.let_go(vec![kept]);
            self.pool.give_back_place();
        }
    }
}

impl<S: Session> Drop for Lent<S> {
    fn drop(&mut self) {
        if self.is_done && self.kept.as_ref().is_some_and(|kept| kept.session.is_sound()) {
            let mut state = self.pool.state.lock();
            if !state.is_closed && state.idle.len() < self.idle_max {
                state.idle.extend(self.kept.take());
                drop(state);
                self.pool.freed.notify_one();
                return;
            }
        }
        self.close();
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
