//! When the reply to a read may leave with respect to its audit record.

/// When a read's reply may leave with respect to its audit record, and whether each read has one of its own. Writes always wait for theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditMode {
    /// When the record is admitted to a bounded queue, which is written within 50 ms of use. A crash loses the records of that window.
    #[default]
    Batched,
    /// When the record is durable.
    Strict,
    /// As `Batched`, and reads that a session repeats within a second (of the same version, by the same rule, with the same context) are one
    /// record and a second one that counts the others: a flood of reads does not fill the disk. A crash loses the records of the last 50 ms
    /// and the counts of the last second. At most 1,024 different reads are counted at a time; past them counts end early.
    Counted,
}

impl AuditMode {
    /// Whether replies wait until their records are durable.
    pub(crate) fn is_strict(self) -> bool {
        self == AuditMode::Strict
    }

    /// Its name, as the bindings and `sys/internal/ui/...` have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            AuditMode::Batched => "batched",
            AuditMode::Strict => "strict",
            AuditMode::Counted => "counted",
        }
    }
}
