//! A policy decision allocates nothing: counted by the allocator of this binary, which holds one test, so that nothing else runs beside it.
//!
//! It stands in this crate since an allocator is unsafe code, which the core has only in its own.
#![allow(unsafe_code, clippy::unwrap_used, reason = "an allocator is unsafe code; a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use vault_core::policy::{Capability, Dialect, PolicySet, Settings};
use vault_core::types::{Path, Ttl, Value};

struct Counting;

std::thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

// SAFETY: all is passed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_decision_allocates_nothing() {
    let policy = r#"
        path "exact" { capabilities = ["read", "list"] }
        path "folder/" { capabilities = ["list"] }
        path "prefix/*" { capabilities = ["read", "list"] }
        path "prefix/part*" { capabilities = ["deny"] }
        path "plus/+/x" { capabilities = ["read"] }
        path "plus/+/y*" { capabilities = ["read", "list"] }
        path "with" { capabilities = ["update"] min_wrapping_ttl = 1 required_parameters = ["ttl"]
            allowed_parameters = { "ttl" = ["1*", 5] "tags" = ["a", "b"] "deep" = [{ "k" = [1, "x"] }] "policies" = ["app-*"] "*" = [] }
            denied_parameters = { "ttl" = ["9*"] "bad" = [] } }
    "#;
    let paths = ["exact", "folder", "folder/", "prefix/a", "prefix/part-1", "plus/a/x", "plus/a/y/z", "with", "nothing/at/all"];
    let paths = paths.map(|path| path.parse::<Path>().unwrap());
    let data = [
        r#"{"ttl": "1h", "TAGS": ["a", "b"], "deep": {"k": [1.0, "x"]}, "Policies": " APP-1, app-2", "other": null}"#,
        r#"{"ttl": "99h"}"#,
        r#"{"ttl": 5, "tags": "a, c"}"#,
        r#"{"Größe": 1}"#,
    ];
    let data = data.map(|json| Value::from_json(json.as_bytes()).unwrap());
    let mut allowed = 0;
    for dialect in [Dialect::Vault, Dialect::OpenBao] {
        for absolute_deny in [false, true] {
            let set = PolicySet::parse(&[policy], Settings { dialect, absolute_deny }, None).unwrap();
            let before = ALLOCATIONS.with(Cell::get);
            for path in &paths {
                for operation in [Capability::Read, Capability::List, Capability::Update] {
                    for data in data.iter().map(Some).chain([None]) {
                        allowed += u32::from(set.allows(operation, path, data, Some(Ttl::from_secs(60))));
                    }
                }
            }
            assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0, "{dialect:?}, absolute deny: {absolute_deny}");
        }
    }
    assert!(allowed > 50, "the decisions are not all denials");
    assert!(ALLOCATIONS.with(Cell::get) > 100, "the allocator counts");
}
