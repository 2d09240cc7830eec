//! The comparison: libvault beside raw limits and peers, in one run on one machine. `cargo xtask bench` builds and runs it.

mod audit;
#[cfg(feature = "bindings")]
mod bindings;
mod disk;
mod folders;
mod leases;
mod machine;
mod measure;
mod memory;
mod opening;
mod peers;
mod plot;
mod policies;
mod policies_of;
mod raw;
mod reads;
mod report;
mod results;
mod scale;
mod tokens;
mod world;
mod writes;

use measure::Pace;
use report::Report;
use std::time::{Duration, Instant};

/// What is measured, and for how long.
pub struct Options {
    pub pace: Pace,
    pub quick: bool,
    pub full: bool,
    /// So many of what a chapter counts, where that is asked for.
    pub count: Option<u64>,
    /// Of the machine, before the run began.
    pub load: String,
}

impl Options {
    fn from_words(words: &[String]) -> Self {
        let has = |word: &str| words.iter().any(|found| found == word);
        let (quick, full) = (has("--quick"), has("--full"));
        let pace = match quick {
            true => Pace { rounds: 3, round: Duration::from_millis(30) },
            false => Pace { rounds: 9, round: Duration::from_millis(150) },
        };
        let count = words.iter().position(|word| word == "--count").map(|at| {
            let number = words.get(at + 1).and_then(|number| number.parse().ok());
            number.filter(|count| *count > 0).expect("--count N: how many leases, a whole number from 1")
        });
        Options { pace, quick, full, count, load: machine::load() }
    }

    fn command(&self) -> &'static str {
        if self.full { "cargo xtask bench --full" } else { "cargo xtask bench" }
    }

    /// Numbers of secrets, and of tokens.
    pub fn sizes(&self) -> Vec<u64> {
        match (self.quick, self.full) {
            (true, _) => vec![1_000],
            (_, false) => vec![1_000, 10_000, 100_000],
            (_, true) => vec![1_000, 10_000, 100_000, 1_000_000],
        }
    }

    /// Numbers of children of a folder; a page has 100 of them.
    pub fn children(&self) -> Vec<u64> {
        if self.quick { vec![1_000] } else { vec![1_000, 10_000, 100_000] }
    }

    /// Numbers of leases that are alive.
    fn leases(&self) -> Vec<u64> {
        match (self.count, self.quick, self.full) {
            (Some(count), ..) => vec![count],
            (_, true, _) => vec![500],
            (_, _, false) => vec![1_000, 10_000, 100_000],
            (_, _, true) => vec![1_000, 10_000, 100_000, 1_000_000],
        }
    }

    /// Secrets that are written over and over.
    fn disk_secrets(&self) -> u64 {
        match (self.quick, self.full) {
            (true, _) => 1_000,
            (_, false) => 20_000,
            (_, true) => 100_000,
        }
    }
}

/// A name, and what it measures.
type Chapter<'c> = (&'c str, &'c dyn Fn(&mut Report));

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let options = Options::from_words(&words);
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut report = Report::default();
    let chapters: [Chapter<'_>; 12] = [
        ("reads", &|report| reads::sizes(report, &options, folder)),
        ("scale", &|report| scale::secrets(report, &options, folder)),
        ("threads", &|report| reads::threads(report, &options, folder)),
        ("writes", &|report| writes::durable(report, &options, folder)),
        ("policies", &|report| policies::decisions(report, &options)),
        ("audit", &|report| audit::log(report, &options, folder)),
        ("tokens", &|report| tokens::life(report, &options)),
        ("leases", &|report| leases::life(report, &options)),
        ("folders", &|report| folders::pages(report, &options)),
        ("disk", &|report| disk::space(report, &options, folder)),
        ("bindings", &|report| bindings(report, &options, folder)),
        ("python", &|report| peers::python::reads(report, &options, folder)),
    ];
    let is_name = |word: &&String| !word.starts_with("--") && word.parse::<u64>().is_err();
    let names: Vec<&String> = words.iter().filter(is_name).collect();
    assert!(options.count.is_none() || names == ["leases"], "--count N goes with the chapter `leases` alone");
    assert!(names.iter().all(|name| chapters.iter().any(|(known, _)| known == name)), "there is no such chapter: see benches/README.md");
    for (name, chapter) in chapters {
        if names.is_empty() || names.iter().any(|wanted| *wanted == name) {
            let start = Instant::now();
            chapter(&mut report);
            println!("({name}: {:.0} s)", start.elapsed().as_secs_f64());
        }
    }
    results::judge(&mut report);
    println!("\n{}", report.bars());
    if names.is_empty() && !options.quick {
        let benches = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        scale::plots(&mut report, &options, &benches.join("plots"));
        leases::plot(&mut report, &options, &benches.join("plots"));
        results::write(&report, &options, benches);
    }
}

#[cfg(feature = "bindings")]
fn bindings(report: &mut Report, options: &Options, folder: &std::path::Path) {
    bindings::c_over_rust(report, options, folder);
}

#[cfg(not(feature = "bindings"))]
fn bindings(_: &mut Report, _: &Options, _: &std::path::Path) {}
