//! What secrets take on the device, at first, after each was written ten more times, and after a compaction; the audit log apart.

use crate::Options;
use crate::report::Report;
use crate::world::{Place, World};
use std::path::Path;

const BYTES: usize = 1024;
const OVERWRITES: usize = 10;

pub fn space(report: &mut Report, options: &Options, folder: &Path) {
    let secrets = options.disk_secrets();
    report.chapter(
        "Disk",
        &format!(
            "What {secrets} secrets of 1 KiB take, beside the payload, on a mount that keeps one version; tokens, policies and the newest part of \
             the audit log (1 MiB at most) are in the store. The rest of the log is in files of its own, one record for each write: it stays \
             as long as its retention says, whatever is overwritten or compacted."
        ),
    );
    let payload = secrets as f64 * BYTES as f64;
    let shown = |bytes: u64| format!("{:.1} MiB, {:.2} x", bytes as f64 / (1 << 20) as f64, bytes as f64 / payload);
    let mut rows = vec![["on the device", "filled", "after ten overwrites", "and a compaction"].map(str::to_owned).to_vec()];
    for place in Place::ON_DISK {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let world = World::new(place.config(folder.path()));
        world.root.kv("secret").set_config(&vault_core::KvSettings { max_versions: Some(1), ..Default::default() }).expect("root may");
        let sizes = || {
            let log = bytes_below(&place.dir(folder.path()).join("audit"));
            [bytes_below(&place.dir(folder.path())) - log, log]
        };
        world.fill(secrets, BYTES);
        let filled = sizes();
        (0..OVERWRITES).for_each(|_| world.fill(secrets, BYTES));
        let overwritten = sizes();
        world.vault.compact().expect("it is compacted");
        let compacted = sizes();
        for (when, [store, log]) in [("filled", filled), ("compacted", compacted)] {
            report.figure(&format!("disk, {}: {when}", place.name()), store as f64 / payload);
            report.figure(&format!("disk, {}, with its log: {when}", place.name()), (store + log) as f64 / payload);
        }
        for (part, name) in [(0, "the store"), (1, "its audit log")] {
            let of = [filled, overwritten, compacted].map(|sizes| shown(sizes[part]));
            rows.push([format!("libvault, {}: {name}", place.name())].into_iter().chain(of).collect());
        }
        world.vault.close().expect("it closes");
    }
    #[cfg(feature = "peers")]
    {
        let bytes = crate::peers::sqlcipher::SqlCipher::filled(folder, secrets, BYTES).bytes();
        rows.push(vec!["SQLCipher".to_owned(), shown(bytes), String::new(), String::new()]);
    }
    report.table(&rows);
}

/// What a folder takes on the device.
pub fn bytes_below(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path()),
            Ok(found) => found.blocks() * 512,
            // A store's own threads remove files.
            Err(_) => 0,
        })
        .sum()
}
