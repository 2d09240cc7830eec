//! A read through the C functions beside the same read in Rust.

use crate::Options;
use crate::measure::{Contestant, Pace, contest};
use crate::reads;
use crate::report::{Report, Unit};
use crate::world::{KEY, Place, path, paths};
use std::ffi::{CString, c_char};
use std::hint::black_box;
use std::path::Path;
use std::ptr::null_mut;
use vault::kv::{vault_kv_get, vault_kv_put};
use vault::options::{VAULT_KEY_RAW, vault_options_t};
use vault::secret::{vault_secret_data, vault_secret_field, vault_secret_free, vault_secret_len, vault_secret_t};
use vault::session::{vault_session_close, vault_session_open, vault_session_t};
use vault::vault::{vault_close, vault_create, vault_t};

const SECRETS: u64 = 1_000;
const BYTES: usize = 1024;

/// A vault in memory as C has it: handles.
struct CVault {
    vault: *mut vault_t,
    root_token: *mut vault_secret_t,
    session: *mut vault_session_t,
}

pub fn c_over_rust(report: &mut Report, options: &Options, folder: &Path) {
    report.chapter(
        "Bindings",
        "The same read of 1 KiB in memory through Rust, and through the C functions: found, its one member lent, and freed. The token is root's in \
         both.",
    );
    let world = reads::filled(Place::Memory, folder, SECRETS, BYTES);
    let (root, paths) = (&world.root, paths(SECRETS));
    let c_paths: Vec<CString> = paths.iter().map(|path| CString::new(path.as_str()).expect("no NUL")).collect();
    let c = CVault::filled();
    let rust = Contestant::each("Rust", |number| {
        let secret = root.kv("secret").get(&paths[number as usize % paths.len()]).expect("it is there");
        black_box(secret.data.get("value").and_then(|value| value.as_str()));
    });
    let from_c = Contestant::each("C", |number| c.read(&c_paths[number as usize % c_paths.len()]));
    let pace = Pace { rounds: options.pace.rounds + 4, ..options.pace };
    report.timings("binding", Unit::Micros, &contest(pace, vec![rust, from_c]));
}

impl CVault {
    fn filled() -> Self {
        // SAFETY: as the header asks: pointers to what lives through each call, NUL-terminated texts, lengths that are true.
        unsafe {
            let mut options = std::mem::zeroed::<vault_options_t>();
            options.size = size_of::<vault_options_t>();
            (options.key_kind, options.key, options.key_len) = (VAULT_KEY_RAW, KEY.as_ptr().cast(), KEY.len());
            let (mut vault, mut root_token, mut session) = (null_mut(), null_mut(), null_mut());
            assert_eq!(vault_create(&raw const options, &raw mut vault, &raw mut root_token), 0);
            let (token, len) = (vault_secret_data(root_token), vault_secret_len(root_token));
            assert_eq!(vault_session_open(vault, token, len, &raw mut session), 0);
            let json = format!("{{\"value\":\"{}\"}}", "x".repeat(BYTES));
            for number in 0..SECRETS {
                let path = CString::new(path(number)).expect("no NUL");
                assert_eq!(vault_kv_put(session, c"secret".as_ptr(), path.as_ptr(), json.as_ptr().cast(), json.len(), -1, null_mut()), 0);
            }
            CVault { vault, root_token, session }
        }
    }

    fn read(&self, path: &CString) {
        let (mut secret, mut text, mut len): (_, *const c_char, usize) = (null_mut(), std::ptr::null(), 0);
        // SAFETY: as above.
        unsafe {
            assert_eq!(vault_kv_get(self.session, c"secret".as_ptr(), path.as_ptr(), 0, &raw mut secret), 0);
            assert_eq!(vault_secret_field(secret, c"value".as_ptr(), &raw mut text, &raw mut len), 0);
            assert_eq!(len, BYTES);
            black_box(text);
            vault_secret_free(secret);
        }
    }
}

impl Drop for CVault {
    fn drop(&mut self) {
        vault_session_close(self.session);
        vault_secret_free(self.root_token);
        vault_close(self.vault);
    }
}
