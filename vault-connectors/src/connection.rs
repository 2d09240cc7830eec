//! One connection to a collector: made when it is needed, given up when it fails or stalls, and made again.

use parking_lot::Mutex;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

/// How long connecting, writing and reading may take each, before the connection is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a collector listens.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// `host:port`.
    Tcp(String),
    Unix(PathBuf),
    /// Each message a datagram of its own.
    UnixDatagram(PathBuf),
}

/// A collector, connected to or not.
#[derive(Debug)]
pub(crate) struct Connection {
    address: Address,
    open: Mutex<Option<Stream>>,
}

#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    UnixDatagram(UnixDatagram),
}

impl Connection {
    pub(crate) fn to(address: Address) -> Self {
        Connection { address, open: Mutex::new(None) }
    }

    /// Talks to the collector; where that fails the connection is given up, and the next call makes another one.
    pub(crate) fn with<R>(&self, talk: impl FnOnce(&mut Stream) -> io::Result<R>) -> io::Result<R> {
        let mut open = self.open.lock();
        let mut stream = match open.take() {
            Some(stream) if !stream.was_closed()? => stream,
            _ => Stream::connect(&self.address)?,
        };
        let said = talk(&mut stream)?;
        *open = Some(stream);
        Ok(said)
    }
}

impl Stream {
    fn connect(address: &Address) -> io::Result<Self> {
        Ok(match address {
            Address::Tcp(address) => {
                let mut failed = io::Error::new(ErrorKind::NotFound, "the collector's name has no address");
                let mut connected = None;
                for address in address.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, PATIENCE) {
                        Ok(stream) => {
                            connected = Some(stream);
                            break;
                        }
                        Err(error) => failed = error,
                    }
                }
                let stream = connected.ok_or(failed)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Stream::Tcp(stream)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Stream::Unix(stream)
            }
            Address::UnixDatagram(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Stream::UnixDatagram(socket)
            }
        })
    }

    /// Whether the collector has closed the connection meanwhile: a first write would then seem to succeed.
    fn was_closed(&self) -> io::Result<bool> {
        let mut byte = [0];
        let peeked = match self {
            Stream::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                let peeked = stream.peek(&mut byte);
                stream.set_nonblocking(false)?;
                peeked
            }
            Stream::Unix(stream) => {
                stream.set_nonblocking(true)?;
                // What a collector says unasked is none of ours.
                let read = (&*stream).read(&mut byte);
                stream.set_nonblocking(false)?;
                read
            }
            Stream::UnixDatagram(_) => return Ok(false),
        };
        Ok(match peeked {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        })
    }

    /// Sends these bytes, all of them; over datagrams as one message.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
            Stream::UnixDatagram(socket) => match socket.send(bytes)? {
                sent if sent == bytes.len() => Ok(()),
                _ => Err(io::Error::new(ErrorKind::WriteZero, "the message was cut")),
            },
        }
    }

    /// Receives some bytes; an error at the end of the stream.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let received = match self {
            Stream::Tcp(stream) => stream.read(buffer)?,
            Stream::Unix(stream) => stream.read(buffer)?,
            Stream::UnixDatagram(_) => return Err(ErrorKind::Unsupported.into()),
        };
        if received == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(received) }
    }
}
