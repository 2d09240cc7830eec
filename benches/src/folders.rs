//! Folders with many children: a page of their names, from the beginning and from the middle.

use crate::Options;
use crate::measure::{Contestant, contest};
use crate::report::{Report, Unit};
use crate::world::{World, secret};
use std::hint::black_box;
use vault_core::Config;

/// Names of a page.
const PAGE: u64 = 100;

pub fn pages(report: &mut Report, options: &Options) {
    report.chapter(
        "Folders",
        &format!(
            "A listing of {PAGE} names of one folder, over a store in memory: a whole request. Names are encrypted and lie in an order that tells nothing of them, \
             so that a page is chosen once all names of the folder were decrypted: its cost grows with the folder."
        ),
    );
    for children in options.children() {
        let world = World::new(Config::in_memory());
        world.put_all(children, |number| (format!("app-folder/{}", name(number)), secret(64)));
        let kv = world.app.kv("secret");
        let page = |after: String| {
            let kv = &kv;
            move |_| {
                let names = kv.list_page("app-folder", &after, PAGE).expect("it is there");
                assert_eq!(black_box(names).len() as u64, PAGE);
            }
        };
        let contestants = vec![Contestant::each(FIRST, page(String::new())), Contestant::each(MIDDLE, page(name(children / 2)))];
        report.timings(&title(children), Unit::Micros, &contest(options.pace, contestants));
    }
}

pub const FIRST: &str = "the first page";
pub const MIDDLE: &str = "a page in the middle";

/// The name of the table, under which its figures are kept.
pub fn title(children: u64) -> String {
    format!("{PAGE} names of {children}")
}

fn name(number: u64) -> String {
    format!("key-{number:07}")
}
