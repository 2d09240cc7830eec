//! Who is called after each tick: work of the host's that waits for something to change, under no lock of the vault.

use parking_lot::Mutex;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

/// Looks after each tick whether there is something to tell.
pub(crate) trait Listener: Send + Sync {
    /// A tick has ended.
    fn ticked(&self);
}

/// The listeners of a vault, which keeps none of them.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Vec<Weak<dyn Listener>>>);

impl Listeners {
    pub(crate) fn add(&self, listener: Weak<dyn Listener>) {
        self.0.lock().push(listener);
    }

    /// Calls each of them; what one panics with is its own.
    pub(crate) fn tell(&self) {
        let listeners: Vec<Arc<dyn Listener>> = {
            let mut all = self.0.lock();
            all.retain(|listener| listener.strong_count() > 0);
            all.iter().filter_map(Weak::upgrade).collect()
        };
        for listener in listeners {
            let _panicked = catch_unwind(AssertUnwindSafe(|| listener.ticked()));
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listeners")
    }
}
