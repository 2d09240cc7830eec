//! From a closed store to its first secret: open, unseal by a raw key, read.

use crate::Options;
use crate::measure::{Contestant, Pace, contest};
use crate::report::{Report, Unit};
use crate::world::{Place, path, reopen};
use std::hint::black_box;
use std::path::Path;
use vault_core::types::SecretString;

/// The name of the table, under which its figures are kept.
pub fn title(secrets: u64) -> String {
    format!("open and first read, {secrets} secrets")
}

/// Opens each of the stores in a folder, in turn.
pub fn first_read(report: &mut Report, options: &Options, folder: &Path, secrets: u64, tokens: &[(Place, String)]) {
    #[allow(unused_mut, reason = "there are more with peers")]
    let mut contestants: Vec<Contestant<'_>> = tokens.iter().map(|(place, token)| open(*place, token, folder, secrets)).collect();
    #[cfg(feature = "peers")]
    contestants.push(crate::peers::sqlcipher::SqlCipher::filled(folder, secrets, 1024).open_and_read());
    let pace = Pace { rounds: options.pace.rounds.min(5), ..options.pace };
    report.timings(&title(secrets), Unit::Millis, &contest(pace, contestants));
}

/// Closing is not counted.
fn open<'c>(place: Place, token: &'c str, folder: &'c Path, secrets: u64) -> Contestant<'c> {
    Contestant::whole(format!("libvault, {}", place.name()), move |operations| {
        (0..operations)
            .map(|number| {
                let start = std::time::Instant::now();
                let vault = reopen(place.config(folder));
                let session = vault.session(SecretString::copy_from(token));
                black_box(session.kv("secret").get(&path(number % secrets)).expect("it is there"));
                let took = start.elapsed();
                vault.close().expect("it closes");
                took
            })
            .sum()
    })
}
