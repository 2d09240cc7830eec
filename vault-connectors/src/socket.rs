//! An audit sink over TCP or a Unix socket: one JSON object a line.

use crate::connection::{Address, Connection, Stream};
use std::io;
use std::path::PathBuf;
use vault_core::host::{AuditLine, AuditSink, SinkError};

/// Longest acknowledgement, in bytes.
const ACKNOWLEDGEMENT_BYTES_MAX: usize = 64;

/// Sends the audit log to a collector that listens on a stream socket.
///
/// A stream tells that the other side's system has the bytes, not that the collector has: lines that are in a buffer when it dies are lost to
/// it. [`SocketSink::acknowledged`] closes that gap with a collector that can answer. Nothing is encrypted: use it on the same machine or
/// through a tunnel.
#[derive(Debug)]
pub struct SocketSink {
    name: String,
    connection: Connection,
    acknowledged: bool,
}

impl SocketSink {
    /// A sink at `address`, such as `collector.example:6514`. `name` is by what the vault knows how far it is.
    #[must_use]
    pub fn tcp(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self::to(name.into(), Address::Tcp(address.into()))
    }

    /// A sink at a Unix stream socket.
    #[must_use]
    pub fn unix(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self::to(name.into(), Address::Unix(path.into()))
    }

    fn to(name: String, address: Address) -> Self {
        SocketSink { name, connection: Connection::to(address), acknowledged: false }
    }

    /// Counts lines as taken only once the collector says so: after each batch it answers, within five seconds, a line with the number
    /// (`sequence`, in decimal) of the last event that it has stored.
    #[must_use]
    pub fn acknowledged(mut self) -> Self {
        self.acknowledged = true;
        self
    }
}

impl AuditSink for SocketSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&self, lines: &[AuditLine]) -> Result<(), SinkError> {
        let Some(last) = lines.last() else { return Ok(()) };
        let mut text = Vec::with_capacity(lines.iter().map(|line| line.json.len() + 1).sum());
        for line in lines {
            text.extend_from_slice(line.json.as_bytes());
            text.push(b'\n');
        }
        let sent = self.connection.with(|stream| {
            stream.send(&text)?;
            if self.acknowledged { wait_for(stream, last.sequence) } else { Ok(()) }
        });
        sent.map_err(|error| SinkError::new(format!("sending to the collector: {error}")))
    }
}

/// Reads acknowledgements until that of the last event has come.
fn wait_for(stream: &mut Stream, last: u64) -> io::Result<()> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        stream.receive(&mut byte)?;
        if byte != *b"\n" {
            line.push(byte[0]);
            if line.len() > ACKNOWLEDGEMENT_BYTES_MAX {
                return Err(io::Error::other("the collector's answer is no number of an event"));
            }
            continue;
        }
        let number = std::str::from_utf8(&line).ok().and_then(|text| text.trim().parse::<u64>().ok());
        match number {
            Some(number) if number == last => return Ok(()),
            // Of an earlier batch, or on the way to the end of this one.
            Some(number) if number < last => line.clear(),
            _ => return Err(io::Error::other("the collector's answer is no number of an event that it was sent")),
        }
    }
}
