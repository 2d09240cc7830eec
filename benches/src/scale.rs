//! What more secrets cost: reads, opening and disk at 1,000 to 1,000,000 of 1 KiB; and the plots of all costs that were measured at several sizes.

use crate::disk::bytes_below;
use crate::policies::RULES;
use crate::report::Report;
use crate::world::{Place, World};
use crate::{Options, folders, opening, plot::Plot, reads, tokens};
use std::path::Path;

const BYTES: usize = 1024;

pub fn secrets(report: &mut Report, options: &Options, folder: &Path) {
    report.chapter(
        "Reads and openings among more secrets",
        "As above, at more secrets of 1 KiB. For an opening a closed store is opened, unsealed by a raw key (a passphrase's stretching comes on top), \
         and one secret is read by a token; over sled that has a copy of the store in it, by which an opening cannot damage it.",
    );
    for secrets in options.sizes() {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let folder = folder.path();
        let worlds: Vec<(Place, World)> =
            Place::ALL.into_iter().map(|place| (place, reads::filled(place, folder, secrets, BYTES))).collect();
        reads::compare(report, options, &worlds, folder, (secrets, BYTES));
        let mut closed = Vec::new();
        for (place, world) in worlds.into_iter().filter(|(place, _)| *place != Place::Memory) {
            let dir = place.dir(folder);
            let store = bytes_below(&dir) - bytes_below(&dir.join("audit"));
            report.figure(&size_name(secrets, place), store as f64 / (secrets * BYTES as u64) as f64);
            world.vault.close().expect("it closes");
            closed.push((place, world.token));
        }
        opening::first_read(report, options, folder, secrets, &closed);
    }
}

fn size_name(secrets: u64, place: Place) -> String {
    format!("size, {}: {secrets}", place.name())
}

/// Draws what was measured at several sizes; how the cost has grown is said with it.
pub fn plots(report: &mut Report, options: &Options, folder: &Path) {
    let (sizes, children) = (options.sizes(), options.children());
    let over = |report: &Report, sizes: &[u64], name: &dyn Fn(u64) -> String, unit: f64| -> Vec<(f64, f64)> {
        sizes.iter().filter_map(|size| Some((*size as f64, report.get(&name(*size))? / unit))).collect()
    };
    let line = |report: &Report, name: &dyn Fn(u64) -> String, unit: f64| over(report, &sizes, name, unit);
    let places = |report: &Report, name: &dyn Fn(u64, Place) -> String, unit: f64, places: &[Place]| {
        let of = |place: &Place| (place.name().to_owned(), line(report, &|size| name(size, *place), unit));
        places.iter().map(of).collect::<Vec<_>>()
    };
    let mut read = places(report, &|size, place| format!("{}: libvault, {}", reads::title(size, BYTES), place.name()), 1e3, &Place::ALL);
    for (name, who) in [("SQLCipher", "SQLCipher SELECT, its default cache"), ("SQLCipher, 256 MiB", "SQLCipher SELECT, 256 MiB cache")] {
        read.push((name.to_owned(), line(report, &|size| format!("{}: {who}", reads::title(size, BYTES)), 1e3)));
    }
    let open = places(report, &|size, place| format!("{}: libvault, {}", opening::title(size), place.name()), 1e6, &Place::ON_DISK);
    let disk = places(report, &|size, place| size_name(size, place), 1.0, &Place::ON_DISK);
    let decision =
        RULES.iter().filter_map(|rules| Some((*rules as f64, report.get(&format!("decision at {rules} rules: libvault"))?))).collect();
    let token = |what: &str, name: &str, unit: f64| (name.to_owned(), line(report, &|size| tokens::figure(what, size), unit));
    let page = |of: &str| (of.to_owned(), over(report, &children, &|size| format!("{}: {of}", folders::title(size)), 1e3));
    let drawn = [
        ("read", "Read of 1 KiB", "secrets", "µs", read),
        ("open", "Open, unseal, first read", "secrets", "ms", open),
        ("disk", "The store on the device, beside the payload", "secrets", "x", disk),
        ("decision", "Policy decision", "rules", "ns", vec![("libvault".to_owned(), decision)]),
        ("tokens", "A request about a token", "tokens", "µs", vec![token("make", "make", 1e3), token("look up", "look up", 1e3)]),
        ("tokens-memory", "Memory of a token and its records", "tokens", "bytes", vec![token("memory", "each", 1.0)]),
        ("tokens-open", "Open and unseal", "tokens", "ms", vec![token("open", "memory", 1e6)]),
        ("folders", "A page of 100 names", "names in the folder", "µs", vec![page(folders::FIRST), page(folders::MIDDLE)]),
    ];
    let mut rows = vec![["plot", "line", "cost at each size", "growth"].map(str::to_owned).to_vec()];
    for (file, title, x, y, lines) in drawn {
        let lines: Vec<(String, Vec<(f64, f64)>)> = lines.into_iter().filter(|(_, points)| points.len() > 1).collect();
        for (name, points) in &lines {
            let costs: Vec<String> = points.iter().map(|(size, cost)| format!("{size}: {cost:.2} {y}")).collect();
            let growth = points[points.len() - 1].1 / points[0].1;
            rows.push(vec![format!("[{title}](plots/{file}.svg)"), name.clone(), costs.join(", "), format!("{growth:.1} x")]);
        }
        Plot { title: title.to_owned(), x, y, lines }.write(&folder.join(format!("{file}.svg")));
    }
    report.chapter("Growth", "Cost against size, drawn in plots/.");
    report.table(&rows);
}
