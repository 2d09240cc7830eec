//! What a request gives back: the fields that users of the field's HTTP APIs know.

use super::{SecretString, Ttl, Value};

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
}

/// A token that a request made.
#[derive(Debug)]
pub struct Auth {
    /// The token itself.
    pub client_token: SecretString,
    /// Its accessor: names the token without being able to use it.
    pub accessor: String,
    /// All its policies.
    pub policies: Vec<String>,
    /// The policies that are the token's own.
    pub token_policies: Vec<String>,
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
}
