//! What the tests of a vault on disk share: a key, random numbers that can be replayed, children of this very binary, copies of a store.
#![allow(dead_code, unreachable_pub, reason = "each test binary takes what it needs")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells its seed"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use vault_core::storage::Backend;
use vault_core::types::{Object, Result, Value};
use vault_core::{Config, NewSeal, UnsealKey, Vault};

pub const KEY: [u8; 32] = [7; 32];

/// Tells a child where its store lies.
pub const PLACE: &str = "LIBVAULT_TEST_PLACE";
/// Tells a child the root token.
pub const TOKEN: &str = "LIBVAULT_TEST_TOKEN";

/// The backend that the tests are run over: `LIBVAULT_TEST_BACKEND`, else the preferred one.
pub fn backend() -> Backend {
    let named = |name: String| Backend::named(&name).unwrap_or_else(|| panic!("LIBVAULT_TEST_BACKEND={name} is no backend"));
    std::env::var("LIBVAULT_TEST_BACKEND").map_or(Backend::preferred(), named)
}

/// The file that holds nearly all of a closed store.
pub fn main_file(place: &Path) -> PathBuf {
    match backend() {
        Backend::Redb => place.join("store.redb"),
        _ => generation(place).join("db"),
    }
}

/// The one generation of a closed store over sled.
pub fn generation(place: &Path) -> PathBuf {
    let entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with("g-")).unwrap()
}

/// The size of the WAL that the tests are run with, where it is not the usual one: `LIBVAULT_TEST_WAL_BYTES`, the same for all who open a store.
pub fn wal_bytes() -> Option<usize> {
    number_from("LIBVAULT_TEST_WAL_BYTES").map(|bytes| usize::try_from(bytes).unwrap())
}

/// A vault at a place, with a small audit tail so that segments exist.
pub fn config(place: &Path) -> Config {
    let config = Config::at(place).with_backend(backend()).with_audit_tail_bytes(32 * 1024).with_cache_bytes(8 * 1024 * 1024);
    match wal_bytes() {
        Some(bytes) => config.with_wal_bytes(bytes),
        None => config,
    }
}

/// Makes a vault that the raw key opens; it and its root token.
pub fn create(place: &Path) -> (Vault, String) {
    let (vault, init) = Vault::create(config(place), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    if let Some(bytes) = wal_bytes() {
        // The usual ones have 1 and 2 MiB; a commit that is larger lets a small one grow for a while.
        let found = fs::metadata(place.join("WAL")).unwrap().len();
        assert!((bytes as u64..512 * 1024).contains(&found), "the engine is given the WAL as often as was asked for: {found}");
    }
    (vault, init.root_token.expose().to_owned())
}

/// Opens and unseals such a vault.
pub fn open(place: &Path) -> Result<Vault> {
    Vault::open(config(place))?.unseal(&UnsealKey::raw_key(&KEY)?)
}

pub fn member(text: &str) -> Object {
    Object::new().with("value", text)
}

/// The text that [`member`] was made of.
pub fn text_of(data: &Object) -> &str {
    data.get("value").and_then(Value::as_str).unwrap_or_default()
}

/// A child that runs one ignored test of this binary as its main.
pub fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(child_args(test));
    command
}

pub fn child_args(test: &str) -> [&str; 4] {
    ["--exact", test, "--ignored", "--nocapture"]
}

/// Numbers that only look random: SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(u64);

impl Random {
    /// From `LIBVAULT_SEED`, else from the clock; the seed is told so that a failure can be replayed.
    pub fn seeded() -> Self {
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
        let seed = number_from("LIBVAULT_SEED").unwrap_or_else(|| u64::from(now()));
        eprintln!("LIBVAULT_SEED={seed}");
        Random(seed)
    }

    pub fn from_seed(seed: u64) -> Self {
        Random(seed)
    }

    /// One of these.
    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % end
    }
}

/// The number that an environment variable holds.
pub fn number_from(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// A library to preload, compiled from `tests/NAME/shim.c`.
pub fn shim(name: &str) -> PathBuf {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    let compile = || {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name).join("shim.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}_shim.so"));
        let aside = library.with_extension(std::process::id().to_string());
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&aside).arg(source);
        assert!(compiler.status().unwrap().success(), "this test needs a C compiler: install gcc and libc6-dev");
        fs::rename(&aside, &library).unwrap();
        library
    };
    COMPILED.get_or_init(compile).clone()
}

/// A directory in memory, where there is such a place.
pub fn memory_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// All files and directories below `dir`, itself included, in order. What vanishes meanwhile is left out.
pub fn all_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    let mut entries: Vec<_> = fs::read_dir(dir).map(|entries| entries.filter_map(std::result::Result::ok).collect()).unwrap_or_default();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.path().is_dir() {
            found.extend(all_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    all_below(dir).into_iter().filter(|path| path.is_file()).collect()
}
