//! A policy decision at 100, 1,000 and 10,000 rules in 100 policies: it must not take longer for more rules.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros make undocumented items, and a bench fails by panicking")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use vault_core::policy::{Capability, Dialect, PolicySet};
use vault_core::types::{Object, Path, Value};

const POLICIES: usize = 100;
/// Paths that are asked for in turn, so that no decision finds the last one's memory warm.
const QUESTIONS: usize = 1024;

/// A rule of each kind in turn, and a path that it decides on.
fn rule(policy: usize, number: usize) -> (String, String) {
    let kinds = [
        ("secret/data/team-P/app-N/*", "secret/data/team-P/app-N/db"),
        ("secret/metadata/team-P/app-N/*", "secret/metadata/team-P/app-N/db"),
        ("secret/data/team-P/app-N/config", "secret/data/team-P/app-N/config"),
        ("database/creds/team-P-N", "database/creds/team-P-N"),
        ("secret/data/+/shared-P-N/public", "secret/data/any/shared-P-N/public"),
        ("transit/encrypt/team-P-N*", "transit/encrypt/team-P-N-key"),
    ];
    let (rule, path) = kinds[number % kinds.len()];
    let fill = |text: &str| text.replace('P', &policy.to_string()).replace('N', &number.to_string());
    (fill(rule), fill(path))
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policy decision");
    for rules in [100, 1_000, 10_000] {
        let numbered = || (0..POLICIES).flat_map(|policy| (0..rules / POLICIES).map(move |number| (policy, number + policy)));
        let mut texts = vec![String::new(); POLICIES];
        numbered().for_each(|(policy, number)| {
            texts[policy] += &format!("path {:?} {{ capabilities = [\"read\", \"update\"] }}\n", rule(policy, number).0);
        });
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let set = PolicySet::parse(&texts, Dialect::Vault, None).unwrap();
        // In steps that share no factor with the number of rules, so that neighbours are far apart.
        let paths: Vec<Path> = numbered().map(|(policy, number)| rule(policy, number).1.parse().unwrap()).collect();
        let paths: Vec<&Path> = (0..QUESTIONS).map(|question| &paths[question * 7919 % paths.len()]).collect();
        let mut asked = paths.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(format!("{rules} rules")), |bencher| {
            bencher.iter(|| assert!(set.allows(Capability::Read, black_box(asked.next().unwrap()), None, None)));
        });
    }
    group.finish();
}

fn parameters(criterion: &mut Criterion) {
    let policy = r#"path "auth/token/create" { capabilities = ["update"] required_parameters = ["ttl"]
        allowed_parameters = { "ttl" = ["1h", "2h"] "policies" = ["app-*"] "*" = [] } denied_parameters = { "no_parent" = [true] } }"#;
    let set = PolicySet::parse(&[policy], Dialect::Vault, None).unwrap();
    let path: Path = "auth/token/create".parse().unwrap();
    let data = Value::from(Object::new().with("ttl", "2h").with("policies", vec!["app-1", "app-2"]).with("no_parent", false));
    criterion.bench_function("policy decision with three parameters", |bencher| {
        bencher.iter(|| assert!(set.allows(Capability::Update, &path, black_box(Some(&data)), None)));
    });
}

criterion_group!(benches, decisions, parameters);
criterion_main!(benches);
