//! SQLCipher through rusqlite: an encrypted table. It has no policies, no tokens and no audit log.

use crate::measure::Contestant;
use crate::world::{path, paths};
use rusqlite::Connection;
use std::hint::black_box;
use std::path::{Path, PathBuf};

/// A raw key, as the vaults have one: no stretching.
const KEY: &str = "PRAGMA key = \"x'0707070707070707070707070707070707070707070707070707070707070707'\";";

/// The larger one of its caches.
const CACHE_BYTES: u64 = 256 << 20;

/// SELECTs with the larger cache and with its own.
pub fn selects(folder: &Path, secrets: u64, bytes: usize) -> [Contestant<'static>; 2] {
    let database = SqlCipher::filled(folder, secrets, bytes);
    [database.select(Some(CACHE_BYTES)), database.select(None)]
}

/// A database with secrets.
pub struct SqlCipher {
    file: PathBuf,
    secrets: u64,
}

impl SqlCipher {
    pub fn filled(folder: &Path, secrets: u64, bytes: usize) -> Self {
        let file = folder.join(format!("sqlcipher-{secrets}-{bytes}.db"));
        if file.exists() {
            // Filled in the same run before.
            return SqlCipher { file, secrets };
        }
        let made = SqlCipher { file, secrets };
        let mut connection = made.connect();
        connection.execute_batch("CREATE TABLE secrets (path TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID").expect("a table");
        let filling = connection.transaction().expect("a transaction");
        for number in 0..secrets {
            insert(&filling, number, &value(0, bytes));
        }
        filling.commit().expect("it is committed");
        made
    }

    /// A connection that syncs each commit, as the vault does.
    fn connect(&self) -> Connection {
        let connection = Connection::open(&self.file).expect("a file");
        connection.execute_batch(&format!("{KEY} PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")).expect("settings");
        connection
    }

    /// A SELECT by key on a connection that stays open, its statement prepared once. `cache_bytes` of pages are kept, or as many as SQLCipher
    /// keeps unless told.
    fn select(&self, cache_bytes: Option<u64>) -> Contestant<'static> {
        let connection = self.connect();
        let name = match cache_bytes {
            None => "SQLCipher SELECT, its default cache".to_owned(),
            Some(bytes) => {
                connection.execute_batch(&format!("PRAGMA cache_size = -{}", bytes / 1024)).expect("a setting");
                format!("SQLCipher SELECT, {} MiB cache", bytes >> 20)
            }
        };
        let paths = paths(self.secrets);
        Contestant::each(name, move |number| {
            let path = &paths[number as usize % paths.len()];
            let mut select = connection.prepare_cached("SELECT value FROM secrets WHERE path = ?1").expect("SQL");
            let value: Vec<u8> = select.query_row([path], |row| row.get(0)).expect("it is there");
            black_box(value);
        })
    }

    /// An upsert in a transaction of its own.
    pub fn write(&self, bytes: usize) -> Contestant<'static> {
        let (connection, secrets) = (self.connect(), self.secrets);
        let mut version = 0;
        Contestant::each("SQLCipher, 1 writer", move |number| {
            version += 1;
            insert(&connection, number % secrets, &value(version, bytes));
        })
    }

    /// Opens the file and reads one secret.
    pub fn open_and_read(self) -> Contestant<'static> {
        Contestant::each("SQLCipher", move |number| {
            let connection = self.connect();
            let path = path(number % self.secrets);
            let value: Vec<u8> =
                connection.query_row("SELECT value FROM secrets WHERE path = ?1", [path], |row| row.get(0)).expect("it is there");
            black_box(value);
        })
    }

    /// Its size on the device.
    pub fn bytes(&self) -> u64 {
        self.connect().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
        std::fs::metadata(&self.file).expect("a file").len()
    }

    /// SQLCipher's own version.
    pub fn version() -> String {
        let connection = Connection::open_in_memory().expect("memory");
        connection.query_row("PRAGMA cipher_version", [], |row| row.get(0)).expect("a version")
    }
}

fn insert(connection: &Connection, number: u64, value: &[u8]) {
    let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO secrets VALUES (?1, ?2)").expect("SQL");
    insert.execute((path(number), value)).expect("it is written");
}

/// Of so many bytes, and like none before it: a row that is written as it stands costs SQLite no write at all.
fn value(version: u64, bytes: usize) -> Vec<u8> {
    let mut value = vec![b'x'; bytes];
    let told = version.to_le_bytes();
    let len = told.len().min(bytes);
    value[..len].copy_from_slice(&told[..len]);
    value
}
