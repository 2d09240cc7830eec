//! One audit event: who asked what of which path, when, how it was decided, and how it ended. It holds no secret value.

use crate::types::{Object, Timestamp, Value};
use minicbor::{Decode, Encode};
use std::borrow::Cow;
use std::hash::{Hash, Hasher};

/// Room for the event of a read; larger ones grow.
const BYTES_USUAL: usize = 384;

/// An audit event, as it is chained. New fields get new numbers; old readers skip them.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct Event {
    /// Milliseconds since the Unix epoch, by the vault's clock.
    #[n(0)]
    pub(crate) time_millis: u64,
    /// The vault's id of the request.
    #[n(1)]
    pub(crate) request_id: String,
    /// The host's id of the request.
    #[n(2)]
    pub(crate) correlation_id: Option<String>,
    /// Where the request came from, as the host knows it.
    #[n(3)]
    pub(crate) remote_address: Option<String>,
    /// The operation's name.
    #[n(4)]
    pub(crate) operation: Cow<'static, str>,
    /// The path.
    #[n(5)]
    pub(crate) path: String,
    /// The token's accessor, once the token is known.
    #[n(6)]
    pub(crate) accessor: Option<String>,
    /// The token's display name.
    #[n(7)]
    pub(crate) display_name: Option<String>,
    /// How policy decided, once it did.
    #[n(8)]
    pub(crate) decided: Option<Decided>,
    /// The outcome: 0, or the number of the error.
    #[n(9)]
    pub(crate) outcome: i32,
    /// The version of a secret that was read or written.
    #[n(10)]
    pub(crate) version: Option<u64>,
    /// How many identical events this one stands for; they came within one second.
    #[n(11)]
    pub(crate) count: u64,
    /// The accessor of a token that the request made.
    #[n(12)]
    pub(crate) accessor_created: Option<String>,
    /// What was written, value by value, as nobody can read it who does not know it.
    #[n(13)]
    #[cbor(default)]
    pub(crate) values: Vec<HashedValue>,
    /// The path of the request's namespace, to which that of the request is relative; absent for the root namespace.
    #[n(14)]
    pub(crate) namespace: Option<String>,
    /// The accessor of a token that the request was about, where that is not the caller's own.
    #[n(15)]
    pub(crate) concerns: Option<String>,
    /// The accessor of the wrapping token that the reply was put behind.
    #[n(16)]
    pub(crate) wrapped_by: Option<String>,
    /// The path of the request whose reply was unwrapped, looked up or wrapped anew.
    #[n(17)]
    pub(crate) unwrapped_path: Option<String>,
    /// The id of the entity that the token is of.
    #[n(26)]
    pub(crate) entity: Option<String>,
    /// The id of the entity or group that the request made, changed, removed or looked up, or that it made a token for.
    #[n(27)]
    pub(crate) identity_concerned: Option<String>,
    /// Whether the reader keeps what it read and uses it until it changes (a live secret): no further use of it is in the log.
    #[n(28)]
    #[cbor(default)]
    pub(crate) live: bool,
    /// The id of the lease that it made, renewed or ended.
    #[n(20)]
    pub(crate) lease: Option<String>,
    /// What a target system said when it failed.
    #[n(21)]
    pub(crate) target_error: Option<String>,
    /// What happened to a rotation: what an operator or its schedule wanted, or what was answered.
    #[n(23)]
    pub(crate) rotation_input: Option<String>,
    /// Where that rotation stands since.
    #[n(24)]
    pub(crate) rotation_phase: Option<String>,
    /// What is asked of the target next.
    #[n(25)]
    pub(crate) rotation_ask: Option<String>,
    /// What made that rotation due, where `tick` has begun it.
    #[n(29)]
    pub(crate) rotation_cause: Option<String>,
    /// The accessor of the token that made the caller's, where that is a batch token: it has no accessor of its own, and ends with that one.
    #[n(33)]
    pub(crate) batch_parent: Option<String>,
}

/// A value of a request: where it stood, and its HMAC under the audit key of the vault.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct HashedValue {
    /// RFC 6901.
    #[n(0)]
    pub(crate) pointer: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) hmac: [u8; 32],
}

/// How policy decided a request.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct Decided {
    /// The capability that was asked for.
    #[n(0)]
    pub(crate) capability: Cow<'static, str>,
    /// Whether it was allowed.
    #[n(1)]
    pub(crate) allowed: bool,
    /// The rule's path as the policy writes it; absent when none matched.
    #[n(2)]
    pub(crate) rule: Option<String>,
    /// The policy that holds the rule.
    #[n(3)]
    pub(crate) policy: Option<String>,
    /// The line of the rule in its policy.
    #[n(4)]
    pub(crate) line: Option<u64>,
    /// The step that decided.
    #[n(5)]
    pub(crate) step: Cow<'static, str>,
}

impl Event {
    /// The event's bytes, as they are chained.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES_USUAL);
        minicbor::encode(self, &mut bytes).expect("encoding to memory cannot fail");
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        minicbor::decode(bytes).ok()
    }

    /// The hash under which events that may be the same are counted: of nothing but what [`Event::repeats`] compares.
    pub(crate) fn sameness(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        (&self.operation, &self.path, &self.namespace, &self.accessor, &self.remote_address, self.outcome).hash(&mut hasher);
        (&self.batch_parent, &self.display_name).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether another event tells of the same read but for its time and id: nothing is lost when it is counted with this one.
    pub(crate) fn is_the_same_read(&self, other: &Event) -> bool {
        // Every member is named, so that whoever adds one decides here too.
        #[rustfmt::skip]
        let Event {
            time_millis: _, request_id: _, count: _,
            correlation_id, remote_address, operation, path, accessor, display_name, decided, outcome, version, accessor_created, values,
            namespace, concerns, wrapped_by, unwrapped_path, live, lease, target_error, rotation_input, rotation_phase, rotation_ask,
            entity, identity_concerned, rotation_cause, batch_parent,
        } = self;
        *path == other.path
            && *version == other.version
            && *accessor == other.accessor
            && *batch_parent == other.batch_parent
            && *correlation_id == other.correlation_id
            && *remote_address == other.remote_address
            && *operation == other.operation
            && *display_name == other.display_name
            && *decided == other.decided
            && *outcome == other.outcome
            && *namespace == other.namespace
            && *live == other.live
            && *accessor_created == other.accessor_created
            && *values == other.values
            && *concerns == other.concerns
            && *wrapped_by == other.wrapped_by
            && *unwrapped_path == other.unwrapped_path
            && *lease == other.lease
            && *target_error == other.target_error
            && *rotation_input == other.rotation_input
            && *rotation_phase == other.rotation_phase
            && *rotation_ask == other.rotation_ask
            && *rotation_cause == other.rotation_cause
            && *entity == other.entity
            && *identity_concerned == other.identity_concerned
    }

    /// Whether another event is the same refusal but for its time and id.
    pub(crate) fn repeats(&self, other: &Event) -> bool {
        self.outcome == other.outcome
            && self.operation == other.operation
            && self.path == other.path
            && self.namespace == other.namespace
            && self.accessor == other.accessor
            // Batch tokens have no accessor.
            && self.batch_parent == other.batch_parent
            && self.display_name == other.display_name
            && self.entity == other.entity
            && self.remote_address == other.remote_address
    }

    /// The event as JSON, with its number in the log.
    pub(crate) fn to_value(&self, sequence: u64) -> Value {
        let optional = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        let decided = self.decided.as_ref().map_or(Value::Null, |decided| {
            Object::new()
                .with("capability", &*decided.capability)
                .with("allowed", decided.allowed)
                .with("rule", optional(&decided.rule))
                .with("policy", optional(&decided.policy))
                .with("line", decided.line)
                .with("step", &*decided.step)
                .into()
        });
        let mut values = Object::new();
        for value in &self.values {
            values.insert(&value.pointer, hash_text(&value.hmac));
        }
        Object::new()
            .with("sequence", sequence)
            .with("time", Timestamp::from_millis(self.time_millis).to_string())
            .with("request_id", self.request_id.as_str())
            .with("correlation_id", optional(&self.correlation_id))
            .with("remote_address", optional(&self.remote_address))
            .with("operation", &*self.operation)
            .with("namespace", optional(&self.namespace))
            .with("path", self.path.as_str())
            .with("accessor", optional(&self.accessor))
            .with("parent_accessor", optional(&self.batch_parent))
            .with("display_name", optional(&self.display_name))
            .with("entity_id", optional(&self.entity))
            .with("decision", decided)
            .with("outcome", i64::from(self.outcome))
            .with("version", self.version)
            .with("accessor_created", optional(&self.accessor_created))
            .with("accessor_concerned", optional(&self.concerns))
            .with("identity_concerned", optional(&self.identity_concerned))
            .with("wrapping_accessor", optional(&self.wrapped_by))
            .with("wrapping_path", optional(&self.unwrapped_path))
            .with("count", self.count)
            .with("live", self.live)
            .with("values", Value::from(values))
            .with("lease_id", optional(&self.lease))
            .with("target_error", optional(&self.target_error))
            .with("rotation_input", optional(&self.rotation_input))
            .with("rotation_phase", optional(&self.rotation_phase))
            .with("rotation_ask", optional(&self.rotation_ask))
            .with("rotation_cause", optional(&self.rotation_cause))
            .into()
    }
}

/// How an HMAC of a value is written, in events and by `sys/audit-hash`.
pub(crate) fn hash_text(hmac: &[u8; 32]) -> String {
    format!("hmac-sha256:{}", hex::encode(hmac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_one_batch_token_is_none_of_anothers() {
        let named = |name: &str, parent: &str| Event {
            display_name: Some(name.to_owned()),
            batch_parent: Some(parent.to_owned()),
            outcome: 1,
            ..Event::default()
        };
        let one = named("a", "p");
        assert!(one.repeats(&named("a", "p")));
        for other in [named("b", "p"), named("a", "q")] {
            assert!(!one.repeats(&other) && !one.is_the_same_read(&other));
        }
    }
}
