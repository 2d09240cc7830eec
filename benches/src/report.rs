//! What was measured, as it is printed and written: chapters of tables, figures by name, and the bars with what was reached.

use crate::measure::Timing;
use std::collections::BTreeMap;
use std::fmt::Write;

/// All that a run has found out.
#[derive(Default)]
pub struct Report {
    figures: BTreeMap<String, f64>,
    text: String,
    bars: Vec<Bar>,
}

/// A bar, and what was reached.
struct Bar {
    what: &'static str,
    bar: &'static str,
    measured: String,
    met: bool,
    why: String,
}

impl Report {
    /// Begins a chapter.
    pub fn chapter(&mut self, title: &str, words: &str) {
        println!("\n## {title}");
        writeln!(self.text, "\n## {title}\n\n{words}").expect("writing to memory cannot fail");
    }

    /// Adds a table; its first row names the columns.
    pub fn table(&mut self, rows: &[Vec<String>]) {
        let mut rows = rows.iter();
        let Some(head) = rows.next() else { return };
        let line = |row: &[String]| format!("| {} |\n", row.join(" | "));
        let mut table = format!("\n{}|{}\n", line(head), " --- |".repeat(head.len()));
        rows.for_each(|row| table.push_str(&line(row)));
        print!("{table}");
        self.text.push_str(&table);
    }

    /// Adds a table of timings, each beside the first one, and keeps the figures under their names.
    pub fn timings(&mut self, of: &str, unit: Unit, timings: &[(String, Timing)]) {
        let first = timings.first().map_or(1.0, |(_, timing)| timing.median);
        let mut rows =
            vec![vec![of.to_owned(), format!("median, {}", unit.name()), format!("least, {}", unit.name()), "beside the first".to_owned()]];
        for (name, timing) in timings {
            self.figure(&format!("{of}: {name}"), timing.median);
            rows.push(vec![name.clone(), unit.show(timing.median), unit.show(timing.least), format!("{:.2} x", timing.median / first)]);
        }
        self.table(&rows);
    }

    /// Adds a paragraph.
    pub fn words(&mut self, words: &str) {
        println!("{words}");
        writeln!(self.text, "\n{words}").expect("writing to memory cannot fail");
    }

    /// Keeps a figure.
    pub fn figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    /// A figure that was kept, where its chapter was run.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }

    /// Judges a bar by a value that is to be at most (`Limit::AtMost`) or at least (`Limit::AtLeast`) so much; `why` is told where it is not.
    pub fn bar(
        &mut self,
        what: &'static str,
        bar: &'static str,
        measured: Option<f64>,
        limit: Limit,
        show: impl Fn(f64) -> String,
        why: &str,
    ) {
        let Some(measured) = measured else { return };
        let met = match limit {
            Limit::AtMost(most) => measured <= most,
            Limit::AtLeast(least) => measured >= least,
        };
        self.bars.push(Bar { what, bar, measured: show(measured), met, why: why.to_owned() });
    }

    /// The bars, as a table.
    pub fn bars(&self) -> String {
        let mut table = "| what | bar | measured | met | why not |\n| --- | --- | --- | --- | --- |\n".to_owned();
        for Bar { what, bar, measured, met, why } in &self.bars {
            let (met, why) = if *met { ("yes", "") } else { ("**no**", &**why) };
            writeln!(table, "| {what} | {bar} | {measured} | {met} | {why} |").expect("writing to memory cannot fail");
        }
        table
    }

    /// The chapters.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What a bar asks for.
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// In which unit nanoseconds are shown.
#[derive(Clone, Copy)]
pub enum Unit {
    Nanos,
    Micros,
    Millis,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Nanos => "ns",
            Unit::Micros => "µs",
            Unit::Millis => "ms",
        }
    }

    /// How it is shown.
    pub fn show(self, nanos: f64) -> String {
        match self {
            Unit::Nanos => format!("{nanos:.0}"),
            Unit::Micros => format!("{:.2}", nanos / 1e3),
            Unit::Millis => format!("{:.2}", nanos / 1e6),
        }
    }
}
