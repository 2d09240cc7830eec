//! A path is refused, or canonical: parsing what was parsed changes nothing.
#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(path) = vault_core::types::Path::parse(text) {
        assert_eq!(vault_core::types::Path::parse(path.as_str()).expect("canonical"), path);
    }
});
