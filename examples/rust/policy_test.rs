//! Policies tested like code: a file of cases with the decisions that are expected, for a run before each change.
//!
//! `cargo run --example policy_test [FILE]`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "an example talks to its reader, who may name a file")]

use std::error::Error;
use std::process::ExitCode;
use vault_core::policy::run_tests;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policies/app.tests.json");

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| EXAMPLE.to_owned());
    let report = run_tests(file)?;
    println!("{report}");
    Ok(if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
