//! Policy decisions at 10 to 10,000 rules in up to 100 policies, beside Cedar's and casbin's.

use crate::Options;
use crate::measure::{Contestant, contest};
use crate::policies_of::{QUESTIONS, questions, questions_of};
use crate::report::{Report, Unit};
use std::hint::black_box;
use vault_core::policy::{Capability, Dialect, PolicySet};
use vault_core::types::{Path, Value};

/// Numbers of rules.
pub const RULES: [usize; 4] = [10, 100, 1_000, 10_000];

pub fn decisions(report: &mut Report, options: &Options) {
    report.chapter(
        "Policy decisions",
        "Whether a token with 100 policies (10 at 10 rules) may read a path. Rules are of each kind (exact, prefix, `+`); Cedar and casbin have as many \
         policies, in prefixes.",
    );
    for rules in RULES {
        let (set, paths) = questions_of(rules);
        let ours = Contestant::each("libvault", |number| {
            assert!(set.allows(Capability::Read, black_box(&paths[number as usize % QUESTIONS]), None, None));
        });
        let mut contestants = vec![ours];
        contestants.extend(peers(rules, &questions(rules)));
        let timings = contest(options.pace, contestants);
        report.timings(&format!("decision at {rules} rules"), Unit::Nanos, &timings);
    }
    let constrained = constrained();
    let path: Path = "auth/token/create".parse().expect("canonical");
    let data = Value::from_json(br#"{"ttl":"2h","policies":["app-1","app-2"],"no_parent":false}"#).expect("JSON");
    let decide = Contestant::each("libvault", |_| {
        assert!(constrained.allows(Capability::Update, &path, black_box(Some(&data)), None));
    });
    report.timings("decision with three parameters", Unit::Nanos, &contest(options.pace, vec![decide]));
}

/// At the numbers of rules that the bar names: elsewhere they only take long.
#[cfg(feature = "peers")]
fn peers(rules: usize, questions: &[String]) -> Vec<Contestant<'static>> {
    use crate::peers::authorizers::{casbin, cedar};
    let written: Vec<String> = crate::policies_of::numbered(rules).map(|(_, (rule, _))| rule).collect();
    if [100, 10_000].contains(&rules) { vec![cedar(&written, questions), casbin(&written, questions)] } else { Vec::new() }
}

#[cfg(not(feature = "peers"))]
fn peers(_: usize, _: &[String]) -> Vec<Contestant<'static>> {
    Vec::new()
}

fn constrained() -> PolicySet {
    let policy = r#"path "auth/token/create" { capabilities = ["update"] required_parameters = ["ttl"]
        allowed_parameters = { "ttl" = ["1h", "2h"] "policies" = ["app-*"] "*" = [] } denied_parameters = { "no_parent" = [true] } }"#;
    PolicySet::parse(&[policy], Dialect::Vault, None).expect("a policy that parses")
}
