//! What the vault can say of the process and the machine that it runs in.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this file asks the system about the process")]

/// The process, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessFacts {
    /// Its number.
    pub(crate) pid: u32,
    /// Processors that it may use; `None` where the system does not say.
    pub(crate) cpus: Option<usize>,
    /// Bytes of memory that it has in use; `None` where the system does not say.
    pub(crate) resident_bytes: Option<u64>,
}

/// Looks at the process.
pub(crate) fn process_facts() -> ProcessFacts {
    ProcessFacts {
        pid: std::process::id(),
        cpus: std::thread::available_parallelism().ok().map(std::num::NonZero::get),
        resident_bytes: std::fs::read_to_string("/proc/self/status").ok().and_then(|status| resident(&status)),
    }
}

/// The line `VmRSS:  1234 kB` of a process's status.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_this_one_and_has_memory_in_use() {
        let facts = process_facts();
        assert_eq!(facts.pid, std::process::id());
        assert!(facts.resident_bytes.is_some_and(|bytes| bytes > 100_000), "{facts:?}");
        assert!(facts.cpus.is_some_and(|cpus| cpus > 0));
    }

    #[test]
    fn a_status_without_that_line_says_nothing() {
        assert_eq!(resident("VmRSS:\t   12 kB\n"), Some(12 * 1024));
        for status in ["", "VmRSS: x kB", "VmRSS: 5 MB", "VmRSS: 99999999999999999999 kB"] {
            assert_eq!(resident(status), None, "{status}");
        }
    }
}
