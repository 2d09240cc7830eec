//! Memory of the process, for what is said to grow.

/// What the process has in memory.
pub fn resident_bytes() -> u64 {
    // What earlier chapters have freed is given back first, or what grows would only fill it.
    // SAFETY: it looks at nothing but the allocator's own lists.
    unsafe { libc::malloc_trim(0) };
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = status.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).expect("Linux");
    pages * 4096
}
