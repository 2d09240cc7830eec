//! The policies as they are published, and the sets of them that tokens hold, compiled once.

use super::system::Done;
use super::wrapping;
use crate::auth::token::WRAPPING_POLICY;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::policy::{CompiledPolicies, Policy, PolicyName, Settings, TemplateFacts};
use crate::storage::Key;
use crate::types::id::Id;
use crate::types::limits::POLICIES_MAX;
use crate::types::{Code, Error, Object, Result, Value};
use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of the policy that every token holds unless told otherwise.
pub(super) const DEFAULT: &str = "default";
/// The name of the policy that allows everything; it has no text.
pub(super) const ROOT: &str = "root";
/// The name of the policy of wrapping tokens, which is the vault's own.
const RESPONSE_WRAPPING: &str = "response-wrapping";
const RESPONSE_WRAPPING_TEXT: &str = r#"path "cubbyhole/response" {
    capabilities = ["create", "read"]
}

path "sys/wrapping/unwrap" {
    capabilities = ["update"]
}
"#;
/// Sets of policies that are kept compiled.
const COMPILED_SETS_MAX: usize = 1_000;
/// The folder in which the names of policies are listed, as if it were a mount.
pub(super) const FOLDER: Id = Id::from_bytes(*b"sys/policies/acl");

/// What a new vault's policy `default` says: each token may look at itself, renew and end itself, and wrap and unwrap.
pub(super) const DEFAULT_TEXT: &str = r#"# What each token may do unless it was made without this policy.

# Look at itself, renew itself, end itself.
path "auth/token/lookup-self" {
    capabilities = ["read", "update"]
}

path "auth/token/renew-self" {
    capabilities = ["update"]
}

path "auth/token/revoke-self" {
    capabilities = ["update"]
}

path "sys/capabilities-self" {
    capabilities = ["update"]
}

# Renew and look up leases, whose ids only those know who were given them.
path "sys/leases/lookup" {
    capabilities = ["update"]
}

path "sys/leases/renew" {
    capabilities = ["update"]
}

path "sys/renew" {
    capabilities = ["update"]
}

path "sys/internal/ui/resultant-acl" {
    capabilities = ["read"]
}

path "sys/tools/hash" {
    capabilities = ["update"]
}

path "sys/tools/hash/*" {
    capabilities = ["update"]
}

# Its own cubbyhole.
path "cubbyhole/*" {
    capabilities = ["create", "read", "update", "delete", "list"]
}

# Wrap anything, look at a wrapping token, unwrap what one holds.
path "sys/wrapping/wrap" {
    capabilities = ["update"]
}

path "sys/wrapping/lookup" {
    capabilities = ["read", "update"]
}

path "sys/wrapping/unwrap" {
    capabilities = ["update"]
}
"#;

/// By which path a policy is asked for: the same policies, other members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PolicyForm {
    /// `sys/policies/acl`.
    Acl,
    /// `sys/policy`.
    Old,
}

impl PolicyForm {
    fn text_member(self) -> &'static str {
        match self {
            PolicyForm::Acl => "policy",
            PolicyForm::Old => "rules",
        }
    }
}

/// The published policies.
pub(super) struct PolicyStore {
    texts: ArcSwap<BTreeMap<String, Arc<Policy>>>,
    /// Raised with every change: what was compiled before is stale.
    generation: AtomicU64,
    compiled: Mutex<HashMap<Vec<String>, Arc<CompiledPolicies>>>,
    settings: Settings,
}

impl PolicyStore {
    /// The policies of a store.
    pub(super) fn load(overlay: &mut Overlay<'_>, settings: Settings) -> Result<Self> {
        let mut texts = BTreeMap::new();
        for name in overlay.children(&FOLDER, "")? {
            let text = text_of(overlay, &name)?.ok_or(BarrierError::Corrupt)?;
            texts.insert(name.clone(), Arc::new(parse(&name, &text)?));
        }
        Ok(PolicyStore { texts: ArcSwap::from_pointee(texts), generation: AtomicU64::new(1), compiled: Mutex::default(), settings })
    }

    /// Those of a new namespace below this one's.
    pub(super) fn fresh(&self) -> Result<Self> {
        let texts = BTreeMap::from([(DEFAULT.to_owned(), Arc::new(parse(DEFAULT, DEFAULT_TEXT)?))]);
        let settings = self.settings;
        Ok(PolicyStore { texts: ArcSwap::from_pointee(texts), generation: AtomicU64::new(1), compiled: Mutex::default(), settings })
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The compiled rules of a set of policies; names that have no policy give nothing, `root` outside of the root namespace among them.
    pub(super) fn compiled(&self, names: &[String], in_root: bool) -> Arc<CompiledPolicies> {
        let mut compiled = self.compiled.lock();
        if let Some(rules) = compiled.get(names) {
            return Arc::clone(rules);
        }
        let rules = Arc::new(self.compile(names, in_root, None));
        if compiled.len() >= COMPILED_SETS_MAX {
            compiled.clear();
        }
        compiled.insert(names.to_vec(), Arc::clone(&rules));
        rules
    }

    /// The same, compiled anew, with templates filled in by what is known of the caller.
    pub(super) fn compile(&self, names: &[String], in_root: bool, caller: Option<&TemplateFacts>) -> CompiledPolicies {
        if in_root && names.iter().any(|name| name == ROOT) {
            return CompiledPolicies::root();
        }
        let texts = self.texts.load();
        // This one is no policy of any namespace, and the same in all.
        let wrapping = names.iter().any(|name| name == WRAPPING_POLICY).then(wrapping_policy);
        let held = names.iter().filter_map(|name| texts.get(name)).map(|policy| &**policy);
        let held: Vec<&Policy> = held.chain(wrapping.as_ref()).collect();
        CompiledPolicies::compile(&held, self.settings, caller)
    }

    /// Puts a change of one policy into effect, for live tokens too.
    fn publish(&self, name: &str, policy: Option<Arc<Policy>>) {
        let mut compiled = self.compiled.lock();
        let mut texts = (**self.texts.load()).clone();
        match policy {
            Some(policy) => texts.insert(name.to_owned(), policy),
            None => texts.remove(name),
        };
        self.texts.store(Arc::new(texts));
        compiled.clear();
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

/// `LIST sys/policies/acl`, and `sys/policy`, which names them twice.
pub(super) fn list(overlay: &Overlay<'_>, form: PolicyForm) -> Result<Done> {
    let mut names = overlay.children(&FOLDER, "")?;
    names.push(ROOT.to_owned());
    names.sort_unstable();
    let body = Object::new().with("keys", names.clone());
    Ok(Done::answer(if form == PolicyForm::Old { body.with("policies", names) } else { body }))
}

/// `READ sys/policies/acl/NAME`, and `sys/policy/NAME`, whose answer has the text as `rules`.
pub(super) fn read(overlay: &mut Overlay<'_>, name: &str, form: PolicyForm) -> Result<Done> {
    let name = PolicyName::parse(name)?;
    let text = match name.as_str() {
        ROOT => Some(String::new()),
        RESPONSE_WRAPPING => Some(RESPONSE_WRAPPING_TEXT.to_owned()),
        name => text_of(overlay, name)?,
    };
    let text = text.ok_or_else(|| Error::new(Code::NotFound, "there is no policy of that name"))?;
    Ok(Done::answer(Object::new().with("name", name.as_str()).with(form.text_member(), text)))
}

/// `WRITE sys/policies/acl/NAME`, and `sys/policy/NAME`, which takes `rules` too: the text, or the base64 of it.
pub(super) fn write(
    store: &Arc<PolicyStore>,
    overlay: &mut Overlay<'_>,
    name: &str,
    data: Option<&Value>,
    form: PolicyForm,
) -> Result<Done> {
    let name = PolicyName::parse(name)?;
    name.check_writable()?;
    let member = |name| data.and_then(|data| data.get(name)).and_then(Value::as_str);
    let text = member("policy").or_else(|| member("rules").filter(|_| form == PolicyForm::Old));
    let text = text.ok_or_else(|| Error::new(Code::InvalidData, "the policy is missing: pass its text as the member \"policy\""))?;
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = decoded.as_deref().unwrap_or(text);
    let policy = Arc::new(parse(name.as_str(), text)?);
    let known = store.texts.load();
    if known.len() >= POLICIES_MAX && !known.contains_key(name.as_str()) {
        return Err(Error::new(Code::InvalidRequest, format!("there are {POLICIES_MAX} policies already: delete some first")));
    }
    drop(known);
    put(overlay, name.as_str(), text)?;
    let store = Arc::clone(store);
    Ok(Done::default().publishing(move || store.publish(name.as_str(), Some(policy))))
}

/// `DELETE sys/policies/acl/NAME`.
pub(super) fn delete(store: &Arc<PolicyStore>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let name = PolicyName::parse(name)?;
    name.check_writable()?;
    if name.as_str() == DEFAULT {
        return Err(Error::new(Code::InvalidRequest, "the policy \"default\" cannot be deleted: write an emptier one"));
    }
    if text_of(overlay, name.as_str())?.is_none() {
        return Ok(Done::default());
    }
    let key = key_of(overlay.barrier(), name.as_str());
    overlay.delete(key);
    overlay.leave(FOLDER, name.as_str());
    let store = Arc::clone(store);
    Ok(Done::default().publishing(move || store.publish(name.as_str(), None)))
}

/// Lays a policy into the store.
pub(super) fn put(overlay: &mut Overlay<'_>, name: &str, text: &str) -> Result<()> {
    if text_of(overlay, name)?.is_none() {
        overlay.enter(FOLDER, name);
    }
    let key = key_of(overlay.barrier(), name);
    Ok(overlay.put(Kind::Policy, key, text.as_bytes())?)
}

fn wrapping_policy() -> Policy {
    parse(WRAPPING_POLICY, wrapping::POLICY_TEXT).expect("the vault's own text, which a test reads")
}

fn parse(name: &str, text: &str) -> Result<Policy> {
    Ok(Policy::parse(name, text)?)
}

pub(super) fn text_of(overlay: &mut Overlay<'_>, name: &str) -> Result<Option<String>> {
    let key = key_of(overlay.barrier(), name);
    let bytes = overlay.get(Kind::Policy, &key)?;
    Ok(bytes.map(|bytes| String::from_utf8(bytes.to_vec()).map_err(|_| BarrierError::Corrupt)).transpose()?)
}

pub(super) fn key_of(barrier: &Barrier, name: &str) -> Key {
    barrier.key(Kind::Policy, &[name.as_bytes()])
}
