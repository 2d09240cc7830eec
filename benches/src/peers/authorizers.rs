//! What else decides by policies in a process: Cedar and casbin, with a rule of theirs for each of ours.

use crate::measure::Contestant;
use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};
use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};

/// What casbin decides by: a subject may act on what matches a pattern.
const MODEL: &str = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n[policy_effect]\ne = some(where (p.eft == allow))\n\
                     [matchers]\nm = r.sub == p.sub && keyMatch(r.obj, p.obj) && r.act == p.act";

/// A rule as a prefix that ends in `*`: what both peers can say.
fn prefix(rule: &str) -> String {
    format!("{}*", rule.split(['*', '+']).next().unwrap_or_default())
}

pub fn cedar(rules: &[String], questions: &[String]) -> Contestant<'static> {
    let policies: String = rules
        .iter()
        .map(|rule| {
            format!(
                "permit(principal == App::\"a\", action == Action::\"read\", resource) when {{ context.path like {:?} }};\n",
                prefix(rule)
            )
        })
        .collect();
    let set: PolicySet = policies.parse().expect("Cedar's language");
    let uid = |text: &str| text.parse::<EntityUid>().expect("Cedar's language");
    let requests: Vec<Request> = questions
        .iter()
        .map(|path| {
            let context = Context::from_json_value(serde_json::json!({ "path": path }), None).expect("a context");
            Request::new(uid("App::\"a\""), uid("Action::\"read\""), uid("Path::\"p\""), context, None).expect("a request")
        })
        .collect();
    let (authorizer, entities) = (Authorizer::new(), Entities::empty());
    Contestant::each("Cedar", move |number| {
        let request = &requests[number as usize % requests.len()];
        assert_eq!(authorizer.is_authorized(request, &set, &entities).decision(), Decision::Allow);
    })
}

pub fn casbin(rules: &[String], questions: &[String]) -> Contestant<'static> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let enforcer = runtime.block_on(async {
        let model = DefaultModel::from_str(MODEL).await.expect("casbin's language");
        let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await.expect("an enforcer");
        let mut seen = std::collections::HashSet::new();
        let rows = rules.iter().map(|rule| vec!["a".to_owned(), prefix(rule), "read".to_owned()]);
        let rows: Vec<Vec<String>> = rows.filter(|row| seen.insert(row.clone())).collect();
        enforcer.add_policies(rows).await.expect("rules");
        enforcer
    });
    let paths = questions.to_vec();
    Contestant::each("casbin", move |number| {
        assert!(enforcer.enforce(("a", paths[number as usize % paths.len()].as_str(), "read")).expect("a decision"));
    })
}
