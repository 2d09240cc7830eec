//! An audit sink over syslog: messages of RFC 5424, over the machine's socket or over TCP as RFC 6587 frames them.

use crate::connection::{Address, Connection};
use std::fmt::Write;
use std::path::PathBuf;
use vault_core::host::{AuditLine, AuditSink, SinkError};

/// `authpriv` (10) and `informational` (6), as RFC 5424 combines them.
const PRIORITY: u8 = 10 * 8 + 6;
/// Longest host and application names, in bytes (RFC 5424, section 6).
const HOST_BYTES_MAX: usize = 255;
const APPLICATION_BYTES_MAX: usize = 48;

/// Sends the audit log to a syslog daemon, one message an event: facility `authpriv`, severity `info`, message id `audit`, the event's JSON
/// as its text.
///
/// Over TCP the daemon's system has the bytes when they count as taken, not yet the daemon; syslog knows no acknowledgement. UDP is left out,
/// since it loses messages without telling.
#[derive(Debug)]
pub struct SyslogSink {
    name: String,
    connection: Connection,
    host: String,
    application: String,
    /// Messages in a stream need a frame.
    framed: bool,
}

impl SyslogSink {
    /// The machine's own daemon at its datagram socket, which is `/dev/log` on most systems. `name` is by what the vault knows how far the
    /// sink is.
    #[must_use]
    pub fn local(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self::to(name.into(), Address::UnixDatagram(path.into()), false)
    }

    /// A daemon at `address`, such as `logs.example:601`, over TCP with octet counting.
    #[must_use]
    pub fn tcp(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self::to(name.into(), Address::Tcp(address.into()), true)
    }

    fn to(name: String, address: Address, framed: bool) -> Self {
        let connection = Connection::to(address);
        SyslogSink { name, connection, host: "-".to_owned(), application: "libvault".to_owned(), framed }
    }

    /// Names the machine in the messages; it is left open unless told.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        self.host = field(host, HOST_BYTES_MAX);
        self
    }

    /// Names the application in the messages; `libvault` unless told.
    #[must_use]
    pub fn with_application(mut self, application: &str) -> Self {
        self.application = field(application, APPLICATION_BYTES_MAX);
        self
    }

    fn message(&self, line: &AuditLine) -> String {
        let mut message = String::with_capacity(line.json.len() + 96);
        let (host, application, process) = (&self.host, &self.application, std::process::id());
        // Writing to a string cannot fail.
        let _written = write!(message, "<{PRIORITY}>1 {} {host} {application} {process} audit - {}", line.time, line.json);
        message
    }
}

impl AuditSink for SyslogSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&self, lines: &[AuditLine]) -> Result<(), SinkError> {
        let sent = self.connection.with(|stream| {
            if !self.framed {
                return lines.iter().try_for_each(|line| stream.send(self.message(line).as_bytes()));
            }
            let mut text = String::new();
            for line in lines {
                let message = self.message(line);
                let _written = write!(text, "{} {message}", message.len());
            }
            stream.send(text.as_bytes())
        });
        sent.map_err(|error| SinkError::new(format!("sending to syslog: {error}")))
    }
}

/// A header field: printable ASCII without spaces, at least the sign for none.
fn field(text: &str, bytes_max: usize) -> String {
    let field: String = text.chars().filter(char::is_ascii_graphic).take(bytes_max).collect();
    if field.is_empty() { "-".to_owned() } else { field }
}
