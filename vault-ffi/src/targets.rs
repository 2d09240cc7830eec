//! Audit sinks over the network and over syslog, named by an address: what `vault_options_t` takes beside sinks by callback.

use crate::error::bad_argument;
use crate::input;
use std::ffi::c_char;
use std::slice;
use std::sync::Arc;
use vault_connectors::socket::SocketSink;
use vault_connectors::syslog::SyslogSink;
use vault_core::host::AuditSink;
use vault_core::types::Result;

/// How a target is spoken to: one of the `VAULT_AUDIT_TARGET_` numbers.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type vault_audit_target_kind_t = i32;

/// JSON lines over TCP; the address is `host:port`.
pub const VAULT_AUDIT_TARGET_TCP: vault_audit_target_kind_t = 1;
/// JSON lines over a Unix stream socket; the address is its path.
pub const VAULT_AUDIT_TARGET_UNIX: vault_audit_target_kind_t = 2;
/// syslog (RFC 5424) to the machine's daemon; the address is the path of its datagram socket, `/dev/log` on most systems.
pub const VAULT_AUDIT_TARGET_SYSLOG: vault_audit_target_kind_t = 3;
/// syslog (RFC 5424) over TCP with octet counting (RFC 6587); the address is `host:port`.
pub const VAULT_AUDIT_TARGET_SYSLOG_TCP: vault_audit_target_kind_t = 4;

/// A collector that is fed with the audit log, in order and each event at least once, by `vault_tick`. Nothing is
/// encrypted: use it on the same machine or through a tunnel. Zero the struct before filling it in.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_audit_target_t {
    /// By which the vault knows how far this target is: NUL-terminated UTF-8, at most 128 bytes, unlike that of every other sink.
    pub name: *const c_char,
    /// Where it listens: NUL-terminated UTF-8, at most 4096 bytes.
    pub address: *const c_char,
    /// How it is spoken to.
    pub kind: vault_audit_target_kind_t,
    /// With JSON lines: 1 to count events as taken only once the collector has answered, within five seconds, a line with the number of the
    /// last event that it has stored; 0 to count them once the other side's system has them. 0 with syslog, which knows no answer.
    pub acknowledged: u32,
    /// With syslog, the machine's name in the messages, at most 255 bytes; NULL to leave it open. NULL otherwise.
    pub host: *const c_char,
    /// With syslog, the application's name in the messages, at most 48 bytes; NULL for `libvault`. NULL otherwise.
    pub application: *const c_char,
}

const TARGETS_MAX: usize = 16;
const TEXT_BYTES_MAX: usize = 4096;

impl vault_audit_target_t {
    /// The sinks of an array of targets; none where it is NULL and empty.
    ///
    /// # Safety
    /// `targets` is NULL, or points to `count` structs as their description says.
    pub(crate) unsafe fn read_all(targets: *const Self, count: usize) -> Result<Vec<Arc<dyn AuditSink>>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if targets.is_null() || count > TARGETS_MAX {
            return Err(bad_argument("options.audit_targets is NULL, or there are more than 16 of them"));
        }
        // SAFETY: not NULL, and as many as the caller says.
        let targets = unsafe { slice::from_raw_parts(targets, count) };
        // SAFETY: as the caller promises.
        targets.iter().map(|target| unsafe { target.sink() }).collect()
    }

    /// # Safety
    /// Each text is NULL or as its description says.
    unsafe fn sink(&self) -> Result<Arc<dyn AuditSink>> {
        // SAFETY: as the caller promises.
        let text = |pointer, name| unsafe { input::text(pointer, name, TEXT_BYTES_MAX) };
        let (name, address) = (text(self.name, "audit_target.name")?, text(self.address, "audit_target.address")?);
        let lines = |sink: SocketSink| -> Result<Arc<dyn AuditSink>> {
            if !self.host.is_null() || !self.application.is_null() {
                return Err(bad_argument("audit_target.host and application are for syslog"));
            }
            match self.acknowledged {
                0 => Ok(Arc::new(sink)),
                1 => Ok(Arc::new(sink.acknowledged())),
                _ => Err(bad_argument("audit_target.acknowledged is neither 0 nor 1")),
            }
        };
        let messages = |mut sink: SyslogSink| -> Result<Arc<dyn AuditSink>> {
            if self.acknowledged != 0 {
                return Err(bad_argument("audit_target.acknowledged is for JSON lines: syslog knows no answer"));
            }
            if !self.host.is_null() {
                sink = sink.with_host(text(self.host, "audit_target.host")?);
            }
            if !self.application.is_null() {
                sink = sink.with_application(text(self.application, "audit_target.application")?);
            }
            Ok(Arc::new(sink))
        };
        match self.kind {
            VAULT_AUDIT_TARGET_TCP => lines(SocketSink::tcp(name, address)),
            VAULT_AUDIT_TARGET_UNIX => lines(SocketSink::unix(name, address)),
            VAULT_AUDIT_TARGET_SYSLOG => messages(SyslogSink::local(name, address)),
            VAULT_AUDIT_TARGET_SYSLOG_TCP => messages(SyslogSink::tcp(name, address)),
            _ => Err(bad_argument("audit_target.kind is none of the VAULT_AUDIT_TARGET_ numbers")),
        }
    }
}
