//! What the vault counts of itself is what has happened, and names nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use vault_core::types::{Object, Operation, Ttl, Value};
use vault_core::{Config, NewSeal, TokenOptions, UnsealKey, Vault};

/// The text, read as Prometheus reads it: each line by its name and labels. Anything that it would refuse panics.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let mut types = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is declared once");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .filter(|family| types.contains_key(*family));
            assert!(types.contains_key(family.unwrap_or(name)), "{name} has its type before it");
            assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} stands once");
        }
    }
    assert!(text.ends_with('\n'));
    samples
}

#[test]
fn the_figures_are_those_of_what_has_happened() {
    let (vault, init) = Vault::create(Config::in_memory(), NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    root.kv("secret").put("canary-path", Object::new().with("k", "canary-value")).unwrap();
    (0..5).for_each(|_| drop(root.kv("secret").get("canary-path").unwrap()));
    drop(root.kv("secret").get("nothing").unwrap_err());
    let created = root.tokens().create(TokenOptions { policies: vec!["default".to_owned()], ..TokenOptions::default() }).unwrap();
    let app = vault.session(created.client_token);
    drop(app.kv("secret").get("canary-path").unwrap_err());
    app.request(Operation::Write, "auth/token/revoke-self", None).unwrap();
    drop(app.kv("secret").get("canary-path").unwrap_err());
    vault.tick().unwrap();
    let figures = parsed(&vault.metrics());
    let at = |series: &str| figures.get(series).copied().unwrap_or_else(|| panic!("{series} is missing: {figures:?}"));
    let requests = |target: &str, operation: &str, outcome: &str| {
        at(&format!("libvault_requests_total{{target=\"{target}\",operation=\"{operation}\",outcome=\"{outcome}\"}}"))
    };
    assert_eq!(requests("secrets", "read", "success"), 5.0);
    assert_eq!(requests("secrets", "read", "not_found"), 1.0);
    assert_eq!(requests("secrets", "read", "permission_denied"), 2.0);
    assert_eq!(requests("secrets", "write", "success"), 1.0);
    assert_eq!(requests("system", "write", "success"), 2.0);
    assert_eq!(at("libvault_authentications_total{outcome=\"failure\"}"), 1.0);
    assert_eq!(at("libvault_authentications_total{outcome=\"success\"}"), 10.0);
    assert_eq!(at("libvault_caller_cache_total{outcome=\"miss\"}"), 2.0);
    assert_eq!(at("libvault_issuance_seconds_count"), 1.0);
    assert_eq!(at("libvault_revocation_seconds_count"), 1.0);
    assert_eq!(at("libvault_issuance_seconds_bucket{le=\"+Inf\"}"), 1.0);
    assert!(at("libvault_commit_seconds_count") >= 3.0);
    assert_eq!(at("libvault_audit_records_total{outcome=\"success\"}"), 11.0);
    assert_eq!(at("libvault_ticks_total{outcome=\"success\"}"), 1.0);
    assert_eq!(at("libvault_sealed"), 0.0);
    for secret in ["canary", "secret/", "hvs."] {
        assert!(!vault.metrics().contains(secret), "{secret}");
    }
}

#[test]
fn a_sealed_vault_has_figures_too_and_those_of_unsealing() {
    let (vault, init) = Vault::create(Config::in_memory(), NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    let sealed = vault.seal().unwrap();
    drop(root.kv("secret").get("a").unwrap_err());
    let figures = parsed(&sealed.metrics());
    assert_eq!(figures["libvault_sealed"], 1.0);
    assert_eq!(figures["libvault_requests_total{target=\"none\",operation=\"read\",outcome=\"sealed\"}"], 1.0);
    assert_eq!(figures["libvault_audit_records_total{outcome=\"success\"}"], 0.0);
    drop(sealed.unseal(&UnsealKey::raw_key(&[8; 32]).unwrap()).unwrap_err());
    let vault = sealed.unseal(&UnsealKey::raw_key(&[7; 32]).unwrap()).unwrap();
    let figures = parsed(&vault.metrics());
    assert_eq!(
        (figures["libvault_sealed"], figures["libvault_unseal_failures_total"], figures["libvault_unseal_seconds_count"]),
        (0.0, 1.0, 1.0)
    );
}

#[test]
fn the_path_of_metrics_answers_the_text_and_json() {
    let (vault, init) = Vault::create(Config::in_memory(), NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    let ask = |format: &str| {
        let data = (!format.is_empty()).then(|| Object::new().with("format", format).into());
        root.request(Operation::Read, "sys/metrics", data).map(|response| response.data.unwrap())
    };
    let text = ask("prometheus").unwrap();
    assert_eq!(text.get("content_type").and_then(Value::as_str), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(parsed(text.get("text").and_then(Value::as_str).unwrap()).contains_key("libvault_sealed"));
    let json = ask("").unwrap();
    let names = |kind: &str| -> Vec<String> {
        let all = json.get(kind).and_then(Value::as_array).unwrap();
        all.iter().map(|row| row.get("Name").and_then(Value::as_str).unwrap().to_owned()).collect()
    };
    assert!(names("Counters").contains(&"libvault_requests_total".to_owned()));
    assert!(names("Gauges").contains(&"libvault_sealed".to_owned()));
    assert!(names("Samples").contains(&"libvault_unseal_seconds".to_owned()));
    assert!(ask("xml").is_err());
}

#[test]
fn every_figure_is_described_with_an_alert_rule() {
    let config = Config::in_memory().with_value_cache(1 << 20, Ttl::from_secs(60));
    let (vault, _) = Vault::create(config, NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let page = include_str!("../../docs/metrics.md");
    for line in vault.metrics().lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(page.contains(&format!("| `{name}` |")), "docs/metrics.md does not describe {name}");
    }
}
