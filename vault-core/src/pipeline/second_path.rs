//! A listing that tells what other paths tell too: of each thing it tells only what the rules for that thing's own path allow.

use crate::policy::{Capability, CompiledPolicies, Given};
use crate::types::{Ttl, Value};

/// A detailed listing, without what is told of those names that may not be read in the folder itself. The names stay: the folder may be listed.
pub(super) fn readable_only(listing: Option<Value>, folder: &str, rules: &CompiledPolicies, wrap_ttl: Option<Ttl>) -> Option<Value> {
    let Some(Value::Object(mut listing)) = listing else { return listing };
    if let Some(Value::Object(mut info)) = listing.remove("key_info") {
        let given = Given { data: None, wrap_ttl };
        let may_read = |name: &str| rules.decide(&format!("{folder}{name}"), Capability::Read, given).allowed();
        let hidden: Vec<String> = info.iter().map(|(name, _)| name.to_owned()).filter(|name| !may_read(name)).collect();
        for name in hidden {
            info.remove(&name);
        }
        listing.insert("key_info", info);
    }
    Some(listing.into())
}
