//! What continuous integration and people run.
fn main() {}
