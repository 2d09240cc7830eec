//! The locks, flags and swapped references by which callers meet. Compiled with `--cfg loom` (`cargo xtask loom`) they are loom's, which tries
//! their interleavings one by one.

#[cfg(loom)]
pub(crate) use self::modelled::{ArcSwapOption, Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use arc_swap::ArcSwapOption;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicBool;
#[cfg(not(loom))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::AtomicBool;

/// Which thread this is, among those that live: by it a callback that comes back is told from another caller. The standard library's own
/// number would leave an allocation behind in threads that it has not made.
#[cfg(not(loom))]
pub(crate) fn this_thread() -> usize {
    std::thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

/// Which of so many copies of something a thread uses, so that threads which use it at once seldom meet.
pub(crate) fn copy_of_thread(copies: usize) -> usize {
    // Marks of threads lie pages apart: their low bits are alike.
    let mark = this_thread();
    (mark >> 12 ^ mark >> 17) % copies
}

/// What threads write at once, by itself: whoever reads what lies beside it in memory does not wait for that.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(T);

impl<T> Apart<T> {
    pub(crate) const fn new(value: T) -> Self {
        Apart(value)
    }
}

impl<T> std::ops::Deref for Apart<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// All threads of a model run on one of the system's: loom knows which is which.
#[cfg(loom)]
pub(crate) fn this_thread() -> usize {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(loom::thread::current().id()) as usize
}

/// loom's types in the shape of those that the vault is written for.
#[cfg(loom)]
mod modelled {
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use std::ops::{Deref, DerefMut};
    use std::sync::Arc;

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    pub(crate) struct MutexGuard<'m, T> {
        mutex: &'m Mutex<T>,
        /// Not there while it is let go of, which needs the guard itself.
        held: Option<loom::sync::MutexGuard<'m, T>>,
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard { mutex: self, held: Some(self.take()) }
        }

        fn take(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("nothing panics in a model that holds")
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Mutex::new(T::default())
        }
    }

    impl<T> MutexGuard<'_, T> {
        pub(crate) fn unlocked<R>(guard: &mut Self, with: impl FnOnce() -> R) -> R {
            guard.held = None;
            let done = with();
            guard.held = Some(guard.mutex.take());
            done
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.held.as_ref().expect("it is held")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.held.as_mut().expect("it is held")
        }
    }

    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Condvar(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let held = guard.held.take().expect("it is held");
            guard.held = Some(self.0.wait(held).expect("nothing panics in a model that holds"));
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// The real one, with an atomic beside it by which loom sees that it is read and written. A load is always of the last value: that it
    /// may be of an older one, as the hardware has it, is not modelled.
    pub(crate) struct ArcSwapOption<T> {
        seen: AtomicUsize,
        value: arc_swap::ArcSwapOption<T>,
    }

    impl<T> ArcSwapOption<T> {
        pub(crate) fn empty() -> Self {
            ArcSwapOption { seen: AtomicUsize::new(0), value: arc_swap::ArcSwapOption::empty() }
        }

        pub(crate) fn load(&self) -> arc_swap::Guard<Option<Arc<T>>> {
            self.seen.load(Ordering::Acquire);
            self.value.load()
        }

        pub(crate) fn load_full(&self) -> Option<Arc<T>> {
            self.seen.load(Ordering::Acquire);
            self.value.load_full()
        }

        pub(crate) fn store(&self, value: Option<Arc<T>>) {
            self.seen.fetch_add(1, Ordering::AcqRel);
            self.value.store(value);
        }

        pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
            self.seen.fetch_add(1, Ordering::AcqRel);
            self.value.swap(value)
        }
    }
}
