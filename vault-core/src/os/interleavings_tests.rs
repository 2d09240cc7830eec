//! Models of what several callers do at once: loom runs the real code in every order that a bound of preemptions allows.

use super::sync::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a thread's stack: a request needs more than loom's own default.
const STACK_WORDS: usize = 1 << 18;
/// Points at which an execution may turn to another thread, at most.
const BRANCHES_MAX: usize = 50_000;

/// Switches away from a thread that could go on, at most, unless `LIBVAULT_LOOM_PREEMPTIONS` says otherwise.
const PREEMPTIONS: usize = 3;

/// Runs a model in all interleavings with so many preemptions at most, and tells how many there were. A model says by [`loom::explore`] where
/// what is of interest begins, and by [`loom::stop_exploring`] where it ends.
pub(crate) fn explore(name: &str, model: impl Fn() + Send + Sync + 'static) {
    #[allow(clippy::disallowed_methods, reason = "a test is told by its environment how far to go")]
    let preemptions = std::env::var("LIBVAULT_LOOM_PREEMPTIONS").map_or(PREEMPTIONS, |text| text.parse().expect("a number"));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = BRANCHES_MAX;
    builder.expect_explicit_explore = true;
    let runs = Arc::new(AtomicU64::new(0));
    let (counted, model) = (Arc::clone(&runs), Arc::new(model));
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let model = Arc::clone(&model);
        spawn(move || model()).join().expect("the model holds");
    });
    let runs = runs.load(Ordering::Relaxed);
    assert!(runs > 1, "{name}: there was nothing to explore");
    #[allow(clippy::print_stderr, reason = "a test tells its figures")]
    {
        eprintln!("interleavings: {runs:>7} of \"{name}\", {preemptions} preemptions");
    }
}

/// A thread of a model.
pub(crate) fn spawn<R: Send + 'static>(thread: impl FnOnce() -> R + Send + 'static) -> loom::thread::JoinHandle<R> {
    loom::thread::Builder::new().stack_size(STACK_WORDS).spawn(thread).expect("a thread of the model")
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_wake_up_that_is_lost_is_found() {
    explore("a wake-up that is lost", || {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        loom::explore();
        let other = Arc::clone(&shared);
        let waiting = spawn(move || {
            // It looks, lets go, and only then waits: what is told in between is lost.
            let told = *other.0.lock();
            let mut guard = other.0.lock();
            if !told {
                other.1.wait(&mut guard);
            }
        });
        *shared.0.lock() = true;
        shared.1.notify_all();
        waiting.join().expect("woken");
    });
}

#[test]
fn a_lock_that_is_let_go_of_is_taken_again_and_a_waiter_is_woken() {
    explore("the locks themselves", || {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        loom::explore();
        let other = Arc::clone(&shared);
        let waiting = spawn(move || {
            let mut guard = other.0.lock();
            while *guard < 2 {
                other.1.wait(&mut guard);
            }
        });
        let mut guard = shared.0.lock();
        *guard += 1;
        super::sync::MutexGuard::unlocked(&mut guard, || *shared.0.lock() += 1);
        drop(guard);
        shared.1.notify_all();
        waiting.join().expect("woken");
    });
}
