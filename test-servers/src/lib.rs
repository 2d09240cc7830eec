//! Database servers for tests: PostgreSQL, MariaDB and Redis, each in a folder of its own, on a free port, with TLS, and gone with whoever
//! started it.
//!
//! A shell watches each server: it waits for the end of its standard input, which comes with the end of this process in whatever way, ends
//! exactly that server, and removes the folder. Started by root, a server that refuses root runs as the user that its package made.
#![forbid(unsafe_code)]

mod authority;
mod kind;
mod watch;

pub use authority::Authority;
pub use kind::Kind;

use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use watch::{Watched, children, is_alive, signal};

/// The account that may do everything.
pub const USERNAME: &str = "vault-admin";
/// Its password: whatever a URL, a DSN, a shell or SQL could trip over.
pub const PASSWORD: &str = "admin-canary p'w\"d\\%@:/?#{{name}}ä$$;--";

/// What a test may fail with.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    folder: PathBuf,
    port: u16,
    tls_port: u16,
    authority: Authority,
    /// None while it is ended, to be started again.
    watched: Option<Watched>,
}

impl Server {
    /// Makes a server's data and starts it.
    ///
    /// # Errors
    /// When its programs are not installed, or it does not start; then with the end of its log.
    pub fn start(kind: Kind) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("libvault-test-").tempdir()?.keep();
        let authority = Authority::new("localhost", &["localhost", "127.0.0.1"])?;
        authority.write(&folder)?;
        let port = free_port()?;
        let tls_port = if kind == Kind::Redis { free_port()? } else { port };
        // From here on its drop removes the folder.
        let mut server = Server { kind, folder, port, tls_port, authority, watched: None };
        kind.prepare(&server.folder)?;
        server.run()?;
        Ok(server)
    }

    /// The port, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port on which it speaks TLS: the same, but for Redis.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// Who vouches for its certificate, which names `localhost` and 127.0.0.1.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Where its Unix socket is: the folder for PostgreSQL, the file for the others.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        match self.kind {
            Kind::Postgres => self.folder.clone(),
            _ => self.folder.join("socket"),
        }
    }

    /// What it has logged since it was started last.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Outcome<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.log_path())?).into_owned())
    }

    /// Stops it in the middle of whatever it does (SIGSTOP), its children too.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn freeze(&self) -> Outcome<()> {
        self.signal_all("STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn thaw(&self) -> Outcome<()> {
        self.signal_all("CONT")
    }

    /// Ends it at once (SIGKILL), its children too. Its data stay.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill(&mut self) -> Outcome<()> {
        self.signal_all("KILL")?;
        self.watched.take().map_or(Ok(()), Watched::end_and_keep)
    }

    /// Starts it again on the same port, with the data that it has.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> Outcome<()> {
        self.run()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn pid(&self) -> Outcome<u32> {
        Ok(self.watched.as_ref().ok_or("the server does not run")?.pid())
    }

    fn signal_all(&self, name: &str) -> Outcome<()> {
        let pid = self.pid()?;
        let children = children(pid);
        signal(name, pid)?;
        // Children may end by themselves once their parent did.
        children.into_iter().for_each(|child| drop(signal(name, child)));
        Ok(())
    }

    fn run(&mut self) -> Outcome<()> {
        let command = self.kind.command(&self.folder, self.port, self.tls_port)?;
        let until = Instant::now() + PATIENCE;
        // One that was killed can hold its port or its memory for a moment.
        for _ in 0..5 {
            let watched = self.watched.insert(Watched::start(&command, &self.folder, self.kind.farewell())?);
            let pid = watched.pid();
            while is_alive(pid) {
                if self.log()?.contains(self.kind.is_ready()) {
                    return Ok(());
                }
                if Instant::now() > until {
                    return Err(format!("{:?} does not become ready: {}", self.kind, self.end_of_log()).into());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            self.watched.take().map_or(Ok(()), Watched::end_and_keep)?;
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(format!("{:?} does not start: {}", self.kind, self.end_of_log()).into())
    }

    fn end_of_log(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its shell removes the folder after it; where there is none, nobody else does.
        if self.watched.take().is_none() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A program by its name, also where distributions hide it.
fn program(name: &str) -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    // Debian keeps each version of PostgreSQL beside the others: the newest one's is taken, before whatever wraps it.
    let mut versions: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    versions.sort();
    folders.splice(0..0, versions.into_iter().rev().map(|version| version.join("bin")));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| format!("{name} is not installed: cargo xtask test installs the Debian packages, or names them").into())
}

/// A port that nobody listens on now.
fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
