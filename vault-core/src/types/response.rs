//! What a request gives back: the fields that users of the field's HTTP APIs know.

use super::{Object, SecretString, Timestamp, Ttl, Value};

/// The body of a successful request.
#[derive(Debug, Default)]
pub struct Response {
    /// The vault's id of the request, as it stands in the audit log.
    pub request_id: String,
    /// The lease that came with the answer; empty when there is none.
    pub lease_id: String,
    /// Whether the lease can be renewed.
    pub renewable: bool,
    /// How long the lease lasts.
    pub lease_duration: Ttl,
    /// The data, by far the most common answer.
    pub data: Option<Value>,
    /// What the caller should know though the request succeeded.
    pub warnings: Vec<String>,
    /// The token that the request made.
    pub auth: Option<Auth>,
    /// Where all this was put instead, when the request asked for a wrapped reply.
    pub wrap_info: Option<WrapInfo>,
}

/// A token that a request made.
#[derive(Debug)]
pub struct Auth {
    /// The token itself; empty where the request named it by its accessor.
    pub client_token: SecretString,
    /// Its accessor: names the token without being able to use it. Empty for a batch token.
    pub accessor: String,
    /// All its policies.
    pub policies: Vec<String>,
    /// The policies that are the token's own.
    pub token_policies: Vec<String>,
    /// Those that its entity and the entity's groups give it, as they are now.
    pub identity_policies: Vec<String>,
    /// The id of its entity; empty when it has none.
    pub entity_id: String,
    /// What was said about the token at its creation.
    pub metadata: std::collections::BTreeMap<String, String>,
    /// How long it lasts; zero when it does not expire.
    pub lease_duration: Ttl,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Whether it has no parent to be revoked with.
    pub orphan: bool,
    /// How often it may be used; zero when without limit.
    pub num_uses: u64,
    /// Whether the vault has a record of it.
    pub token_type: TokenType,
}

/// The kinds of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// One that the vault has a record of: it can be renewed, revoked and found by its accessor.
    #[default]
    Service,
    /// One whose text is all that there is of it.
    Batch,
}

/// A wrapped response: it comes out once, for whoever holds this token.
#[derive(Debug)]
pub struct WrapInfo {
    /// The wrapping token.
    pub token: SecretString,
    /// Its accessor.
    pub accessor: String,
    /// How long it lasts.
    pub ttl: Ttl,
    /// When it was made.
    pub creation_time: Timestamp,
    /// The path of the request whose response it holds.
    pub creation_path: String,
    /// The accessor of the token in that response; empty when there is none.
    pub wrapped_accessor: String,
}

impl TokenType {
    /// As replies write it: `service` or `batch`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TokenType::Service => "service",
            TokenType::Batch => "batch",
        }
    }
}

impl Response {
    /// Whether there is nothing in it that would be worth a body.
    pub(crate) fn is_empty(&self) -> bool {
        self.data.is_none() && self.auth.is_none() && self.warnings.is_empty() && self.wrap_info.is_none() && self.lease_id.is_empty()
    }

    /// The response in the shape of the field's HTTP APIs.
    pub(crate) fn into_value(self) -> Value {
        let warnings = if self.warnings.is_empty() { Value::Null } else { self.warnings.into() };
        Object::new()
            .with("request_id", self.request_id)
            .with("lease_id", self.lease_id)
            .with("renewable", self.renewable)
            .with("lease_duration", self.lease_duration.as_secs())
            .with("data", self.data)
            .with("wrap_info", self.wrap_info.map(WrapInfo::into_value))
            .with("warnings", warnings)
            .with("auth", self.auth.map(Auth::into_value))
            .into()
    }
}

impl Auth {
    fn into_value(self) -> Value {
        let metadata: Object = self.metadata.iter().map(|(name, text)| (name.as_str(), Value::string(text.as_str()))).collect();
        Object::new()
            .with("client_token", self.client_token.expose())
            .with("accessor", self.accessor)
            .with("policies", self.policies)
            .with("token_policies", self.token_policies)
            .with("identity_policies", self.identity_policies)
            .with("metadata", metadata)
            .with("lease_duration", self.lease_duration.as_secs())
            .with("renewable", self.renewable)
            .with("entity_id", self.entity_id)
            .with("token_type", self.token_type.name())
            .with("orphan", self.orphan)
            .with("num_uses", self.num_uses)
            .into()
    }
}

impl WrapInfo {
    fn into_value(self) -> Value {
        Object::new()
            .with("token", self.token.expose())
            .with("accessor", self.accessor)
            .with("ttl", self.ttl.as_secs())
            .with("creation_time", self.creation_time.to_string())
            .with("creation_path", self.creation_path)
            .with("wrapped_accessor", self.wrapped_accessor)
            .into()
    }
}
