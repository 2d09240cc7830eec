//! Memory for keys: pages of their own, locked, left out of core dumps, wiped on fork and on drop.
#![allow(unsafe_code, reason = "mapping, locking and wiping pages has no safe interface; every block states why it is sound")]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroize;

static LOCK_FAILURES: AtomicU64 = AtomicU64::new(0);

/// How many mappings could not be locked, since the limit (`ulimit -l`) did not allow it. Such pages may reach the swap device.
#[must_use]
pub fn lock_failures() -> u64 {
    LOCK_FAILURES.load(Ordering::Relaxed)
}

/// A value in pages of its own: locked where the limit allows, left out of core dumps, wiped on drop.
///
/// After a fork the child finds zeros there, whatever `T` is: hold only what is sound as zeros (arrays of numbers, key schedules), and
/// refuse to work in a child, as the vault does.
pub struct LockedBox<T: Zeroize> {
    value: NonNull<T>,
    mapped_bytes: usize,
    is_wiped_on_fork: bool,
}

// SAFETY: the box owns its value alone, like `Box<T>`; the pages may be used and unmapped from any thread.
unsafe impl<T: Zeroize + Send> Send for LockedBox<T> {}
// SAFETY: a shared box gives out only `&T`.
unsafe impl<T: Zeroize + Sync> Sync for LockedBox<T> {}

impl<T: Zeroize> LockedBox<T> {
    /// Moves a value into pages of its own. The caller wipes what it was made from.
    ///
    /// # Panics
    /// When the system has no page left, as `Box::new` aborts.
    #[must_use]
    pub fn new(value: T) -> Self {
        let (page, mapped_bytes, is_wiped_on_fork) = map_private(size_of::<T>().max(1));
        assert!(align_of::<T>() <= 4096, "no value needs more than a page's alignment");
        let value_at = page.cast::<T>();
        // SAFETY: the mapping is fresh, writable, at least `size_of::<T>()` long and page-aligned.
        unsafe { value_at.write(value) };
        LockedBox { value: value_at, mapped_bytes, is_wiped_on_fork }
    }
}

impl<T: Zeroize> Deref for LockedBox<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the value was written at creation and lives until drop.
        unsafe { self.value.as_ref() }
    }
}

impl<T: Zeroize> DerefMut for LockedBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the box is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T: Zeroize> Drop for LockedBox<T> {
    fn drop(&mut self) {
        self.zeroize();
        // SAFETY: the value is valid and is not used again; then its pages, which only this box knows, are wiped whole and given back.
        unsafe {
            self.value.drop_in_place();
            std::slice::from_raw_parts_mut(self.value.cast::<u8>().as_ptr(), self.mapped_bytes).zeroize();
            libc::munmap(self.value.as_ptr().cast(), self.mapped_bytes);
        }
    }
}

impl<T: Zeroize> fmt::Debug for LockedBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedBox([redacted])")
    }
}

/// Notices a fork by one read of memory: the child finds its page wiped. Where the kernel wipes none (before 4.14) the process' number is asked for
/// each time.
pub struct ForkGuard {
    flag: LockedBox<[u8; 1]>,
    /// The process that made it, where its page is not wiped.
    pid: Option<libc::pid_t>,
}

impl ForkGuard {
    /// A guard of the process that makes it.
    #[must_use]
    pub fn new() -> Self {
        Self::on(LockedBox::new([1]))
    }

    fn on(flag: LockedBox<[u8; 1]>) -> Self {
        let pid = (!flag.is_wiped_on_fork).then(own_pid);
        ForkGuard { flag, pid }
    }

    /// Whether this is another process than the one that made the guard.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        if let Some(pid) = self.pid {
            return own_pid() != pid;
        }
        // SAFETY: the byte is valid; the read is volatile since the kernel, not the program, clears it in a child.
        unsafe { std::ptr::read_volatile(&raw const self.flag[0]) == 0 }
    }
}

impl Default for ForkGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ForkGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForkGuard")
    }
}

fn own_pid() -> libc::pid_t {
    // SAFETY: asks for a number only.
    unsafe { libc::getpid() }
}

/// Maps fresh pages for at least `bytes` bytes; also how many those are, and whether a child finds them wiped.
fn map_private(bytes: usize) -> (NonNull<u8>, usize, bool) {
    // SAFETY: asks for a number only.
    let page_bytes = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let mapped_bytes = bytes.next_multiple_of(page_bytes);
    // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no memory that exists.
    let page = unsafe {
        libc::mmap(std::ptr::null_mut(), mapped_bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    };
    assert!(page != libc::MAP_FAILED, "out of memory: the system has no page for a key");
    // SAFETY: the range is the mapping just made; advice and locking do not change its contents.
    let is_wiped_on_fork = unsafe {
        if libc::mlock(page, mapped_bytes) != 0 {
            LOCK_FAILURES.fetch_add(1, Ordering::Relaxed);
        }
        // Both are refused only by kernels that do not know them (before 3.4 and 4.14): then there is nothing better to do for a secret, and a guard
        // asks for the process' number.
        libc::madvise(page, mapped_bytes, libc::MADV_DONTDUMP);
        libc::madvise(page, mapped_bytes, libc::MADV_WIPEONFORK) == 0
    };
    (NonNull::new(page.cast()).expect("a successful mapping is never at address 0"), mapped_bytes, is_wiped_on_fork)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test reads what the kernel says of its own pages")]
mod tests {
    use super::*;

    #[test]
    fn pages_are_locked_left_out_of_dumps_and_wiped_on_fork() {
        let before = lock_failures();
        let locked = LockedBox::new([7_u8; 32]);
        let address = locked.as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("Linux");
        let mut inside = false;
        let mut flags = None;
        for line in maps.lines() {
            if let Some((range, _)) = line.split_once(' ').filter(|(range, _)| range.contains('-')) {
                let (start, end) = range.split_once('-').expect("a range");
                let hex = |text| usize::from_str_radix(text, 16).unwrap_or(0);
                inside = (hex(start)..hex(end)).contains(&address);
            }
            if inside && line.starts_with("VmFlags:") {
                flags = Some(line.to_owned());
            }
        }
        let flags = flags.expect("the page is mapped");
        assert!(flags.contains(" dd") && flags.contains(" wf"), "{flags}");
        assert!(flags.contains(" lo") || lock_failures() > before, "{flags}");
    }

    #[test]
    fn a_guard_whose_page_the_kernel_does_not_wipe_knows_a_child_by_its_number() {
        let mut flag = LockedBox::new([1]);
        assert!(flag.is_wiped_on_fork && ForkGuard::new().pid.is_none(), "no call of the system where the kernel wipes");
        // SAFETY: the range is the box's own page; the advice does not change its contents.
        assert_eq!(unsafe { libc::madvise(flag.value.as_ptr().cast(), flag.mapped_bytes, libc::MADV_KEEPONFORK) }, 0);
        flag.is_wiped_on_fork = false;
        let guard = ForkGuard::on(flag);
        assert!(!guard.is_forked());
        assert!(ends_well_in_a_child(|| guard.is_forked() && guard.flag[0] == 1), "the child did not notice the fork");
        assert!(!guard.is_forked());
    }

    #[test]
    fn a_child_finds_the_guard_raised_and_the_secret_gone() {
        let guard = ForkGuard::new();
        let secret = LockedBox::new([7_u8; 32]);
        assert!(!guard.is_forked());
        let sound = ends_well_in_a_child(|| guard.is_forked() && secret.iter().all(|byte| *byte == 0));
        assert!(sound, "the child saw a secret or did not notice the fork");
        assert!(!guard.is_forked() && secret[0] == 7);
    }

    /// What a child finds, which may only read memory and ask for its number.
    fn ends_well_in_a_child(sound: impl Fn() -> bool) -> bool {
        // SAFETY: the child only does that, and ends at once by `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends the child without running anything else.
            unsafe { libc::_exit(if sound() { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: waits for the child just made.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        status == 0
    }
}
