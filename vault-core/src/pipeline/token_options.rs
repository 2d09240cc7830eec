//! What a new token is asked to be.

use super::given::{Members, bad};
use crate::auth::TokenKind;
use crate::policy::PolicyName;
use crate::types::cidr::Cidr;
use crate::types::limits::{NAME_BYTES_MAX, TOKEN_BYTES_MAX, TOKEN_CIDRS_MAX, TOKEN_POLICIES_MAX};
use crate::types::{Code, Error, Result, Ttl, Value};
use std::collections::BTreeMap;

const KNOWN: [&str; 15] = [
    "id",
    "policies",
    "ttl",
    "lease",
    "explicit_max_ttl",
    "period",
    "num_uses",
    "type",
    "renewable",
    "display_name",
    "meta",
    "no_parent",
    "no_default_policy",
    "entity_alias",
    "deadman_period",
];

/// The options of a request that makes a token.
pub(super) struct TokenAsked<'d> {
    /// A text of the caller's own instead of a random one.
    pub(super) id: Option<&'d str>,
    /// Empty when none are named.
    pub(super) policies: Vec<String>,
    pub(super) ttl: Ttl,
    pub(super) explicit_max: Ttl,
    pub(super) period: Ttl,
    pub(super) num_uses: u64,
    pub(super) kind: Option<TokenKind>,
    pub(super) renewable: bool,
    pub(super) display_name: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) no_parent: bool,
    pub(super) no_default: bool,
    /// The alias of the entity that it is to be of.
    pub(super) entity_alias: Option<&'d str>,
    /// Zero where it is not lost for want of use.
    pub(super) deadman: Ttl,
}

impl<'d> TokenAsked<'d> {
    /// Reads them. One that is not known is refused, since each of them limits the token.
    pub(super) fn parse(data: Option<&'d Value>) -> Result<Self> {
        let data = Members(data);
        data.known_only(&KNOWN)?;
        let kind = match data.text("type")? {
            None | Some("") => None,
            Some("service") => Some(TokenKind::Service),
            Some("batch") => Some(TokenKind::Batch),
            Some(_) => return Err(bad("type", "must be \"service\" or \"batch\"")),
        };
        let ttl = data.ttl("ttl")?;
        Ok(TokenAsked {
            id: data.text("id")?.filter(|id| !id.is_empty()).map(checked_id).transpose()?,
            policies: policy_names(data.texts("policies")?)?,
            ttl: if ttl == Ttl::ZERO { data.ttl("lease")? } else { ttl },
            explicit_max: data.ttl("explicit_max_ttl")?,
            period: data.ttl("period")?,
            num_uses: data.whole("num_uses")?.unwrap_or(0),
            kind,
            renewable: data.truth("renewable")?.unwrap_or(true),
            display_name: data.text("display_name")?.filter(|name| !name.is_empty()).map_or(Ok("token".to_owned()), display_name)?,
            metadata: metadata(data)?,
            no_parent: data.truth("no_parent")?.unwrap_or(false),
            no_default: data.truth("no_default_policy")?.unwrap_or(false),
            entity_alias: data.text("entity_alias")?.filter(|alias| !alias.is_empty()),
            deadman: data.deadman_period()?.unwrap_or(Ttl::ZERO),
        })
    }
}

/// Policies by name, each in its one spelling.
pub(super) fn policy_names(names: Option<Vec<&str>>) -> Result<Vec<String>> {
    let names = names.unwrap_or_default();
    if names.len() > TOKEN_POLICIES_MAX {
        return Err(Error::new(Code::InvalidRequest, format!("a token has at most {TOKEN_POLICIES_MAX} policies")));
    }
    names.into_iter().map(|name| Ok(PolicyName::parse(name)?.as_str().to_owned())).collect()
}

/// Networks, each in its one spelling.
pub(super) fn cidrs(networks: Vec<&str>) -> Result<Vec<String>> {
    if networks.len() > TOKEN_CIDRS_MAX {
        return Err(Error::new(Code::InvalidRequest, format!("a token is bound to at most {TOKEN_CIDRS_MAX} networks")));
    }
    networks.into_iter().map(|network| Cidr::parse(network).map(|network| network.to_string())).collect()
}

/// A token's text that its maker has chosen: none that could be taken for a generated one.
fn checked_id(id: &str) -> Result<&str> {
    if id.len() > TOKEN_BYTES_MAX || id.contains('.') || id.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let why = "must have no dot, which generated tokens have, no white space, and a length that is looked at";
        return Err(bad("id", why));
    }
    Ok(id)
}

fn display_name(name: &str) -> Result<String> {
    if name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let why = format!("the display_name must be text of at most {NAME_BYTES_MAX} bytes without control characters");
        return Err(Error::new(Code::InvalidData, why));
    }
    Ok(format!("token-{name}"))
}

fn metadata(data: Members<'_>) -> Result<BTreeMap<String, String>> {
    let bad = || Error::new(Code::InvalidData, format!("the meta must be an object of texts, of at most {NAME_BYTES_MAX} bytes each"));
    let mut metadata = BTreeMap::new();
    if let Some(meta) = data.get("meta") {
        for (name, text) in meta.as_object().ok_or_else(bad)?.iter() {
            let text = text.as_str().filter(|text| text.len() <= NAME_BYTES_MAX && name.len() <= NAME_BYTES_MAX).ok_or_else(bad)?;
            metadata.insert(name.to_owned(), text.to_owned());
        }
    }
    if metadata.len() > TOKEN_POLICIES_MAX { Err(bad()) } else { Ok(metadata) }
}
