//! What a set of policies can reach at all: its rules as they are listed to their holder.

use super::compile::Kind;

/// A rule that gives something.
#[derive(Clone, Debug)]
pub(crate) struct ReachableRule<'p> {
    /// The rule's path as it counts.
    pub(crate) path: &'p str,
    pub(super) kind: Kind,
    /// What it gives, by name; `deny` where it takes.
    pub(crate) capabilities: Vec<&'static str>,
}

impl ReachableRule<'_> {
    /// Whether the rule stands for one path alone.
    pub(crate) fn is_exact(&self) -> bool {
        self.kind == Kind::Exact
    }

    /// Whether the rule gives something on some path below a folder, which ends in a slash.
    pub(crate) fn may_match_below(&self, folder: &str) -> bool {
        if self.capabilities.contains(&"deny") {
            return false;
        }
        let (body, is_glob) = if self.is_exact() { (self.path, false) } else { split_glob(self.path) };
        match self.kind {
            Kind::Exact => body.starts_with(folder),
            Kind::Prefix => body.starts_with(folder) || folder.starts_with(body),
            Kind::Segments => segments_meet(body, is_glob, folder),
        }
    }
}

fn split_glob(path: &str) -> (&str, bool) {
    path.strip_suffix('*').map_or((path, false), |body| (body, true))
}

/// Whether a rule with `+` segments matches a path below a folder.
fn segments_meet(body: &str, is_glob: bool, folder: &str) -> bool {
    let mut rule = body.split('/').peekable();
    for segment in folder.trim_end_matches('/').split('/') {
        let Some(own) = rule.next() else { return false };
        if rule.peek().is_none() && is_glob {
            return segment.starts_with(own);
        }
        if own != "+" && own != segment {
            return false;
        }
    }
    rule.peek().is_some()
}

#[cfg(test)]
mod tests {
    use super::super::{Policy, Settings};
    use crate::policy::CompiledPolicies;

    #[test]
    fn a_rule_reaches_a_folder_when_some_path_below_it_matches() {
        for (rule, folder, reaches) in [
            ("secret/data/x", "secret/", true),
            ("secret", "secret/", false),
            ("secretly/x", "secret/", false),
            ("sec*", "secret/", true),
            ("secret/*", "secret/", true),
            ("secret/data/*", "secret/", true),
            ("other/*", "secret/", false),
            ("*", "secret/", true),
            ("+/data", "secret/", true),
            ("+/data/*", "secret/", true),
            ("+", "secret/", false),
            ("a/+/b", "secret/", false),
            ("a/+/b", "a/x/", true),
            ("a/+", "a/x/", false),
            ("a/+/*", "a/x/", true),
            ("+/se*", "a/secret/", true),
        ] {
            let policy = Policy::parse("p", &format!("path \"{rule}\" {{ capabilities = [\"read\"] }}")).expect("a policy");
            let compiled = CompiledPolicies::compile(&[&policy], Settings::default(), None);
            assert_eq!(compiled.reachable().any(|rule| rule.may_match_below(folder)), reaches, "{rule} {folder}");
        }
    }
}
