//! Several threads for as long as one call lasts.

/// Does work on so many threads, the caller's among them, and comes back once all of them have.
pub(crate) fn several(threads: usize, work: impl Fn() + Sync) {
    if threads < 2 {
        return work();
    }
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(&work);
        }
        work();
    });
}
