//! What a rule asks of a request beside its path: parameters and their values, and the time for which its reply is wrapped.
//!
//! Checked in this order: wrapping, required parameters, (no data: allowed), denied parameters, allowed parameters.

use super::matching::Listed;
use super::{Capability, Dialect};
use crate::types::{Object, Ttl, Value};
use std::collections::BTreeMap;

/// What a request has beside its path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Given<'a> {
    pub(crate) data: Option<&'a Value>,
    /// The time for which its reply is to be wrapped; zero is none.
    pub(crate) wrap_ttl: Option<Ttl>,
}

/// The constraints of one rule, or of all rules that are written for one path.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Constraints {
    pub(super) wrap_min: Option<Ttl>,
    pub(super) wrap_max: Option<Ttl>,
    pub(super) required: Vec<String>,
    pub(super) denied: Parameters,
    pub(super) allowed: Parameters,
}

/// Parameters by their lower-cased names, each with the values that are listed for it; none listed means any.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parameters(BTreeMap<String, Vec<Value>>);

/// Why a request does not pass, and by which parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    pub(super) why: Why,
    pub(super) parameter: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    NotWrapped,
    WrappedTooLong,
    WrappedTooShort,
    NoObject,
    Missing,
    AnyDenied,
    Denied,
    NotListed,
    ValueNotListed,
}

/// Every parameter.
const ANY: &str = "*";

impl Constraints {
    pub(super) fn is_empty(&self) -> bool {
        *self == Constraints::default()
    }

    /// Adds what another rule for the same path asks.
    pub(super) fn merge(&mut self, other: &Constraints) {
        self.wrap_min = lowest(self.wrap_min, other.wrap_min);
        self.wrap_max = lowest(self.wrap_max, other.wrap_max);
        for name in &other.required {
            if !self.required.contains(name) {
                self.required.push(name.clone());
            }
        }
        self.denied.merge(&other.denied);
        self.allowed.merge(&other.allowed);
    }

    /// Whether a request passes that has the capability.
    pub(super) fn check<'a>(&'a self, asked: Capability, given: Given<'a>, dialect: Dialect) -> Result<(), Refusal<'a>> {
        let refuse = |why| Err(Refusal { why, parameter: None });
        if self.wrap_min.is_some() || self.wrap_max.is_some() {
            let Some(ttl) = given.wrap_ttl.filter(|ttl| *ttl > Ttl::ZERO) else { return refuse(Why::NotWrapped) };
            if self.wrap_max.is_some_and(|max| ttl > max) {
                return refuse(Why::WrappedTooLong);
            }
            if self.wrap_min.is_some_and(|min| ttl < min) {
                return refuse(Why::WrappedTooShort);
            }
        }
        let takes_parameters = matches!(asked, Capability::Read | Capability::Create | Capability::Update | Capability::Patch);
        if !takes_parameters || self.required.is_empty() && self.denied.0.is_empty() && self.allowed.0.is_empty() {
            return Ok(());
        }
        match given.data {
            None => self.check_required(None),
            Some(Value::Object(data)) => {
                self.check_required(Some(data))?;
                self.check_denied(data, dialect)?;
                self.check_allowed(data, dialect)
            }
            Some(_) => refuse(Why::NoObject),
        }
    }

    fn check_required(&self, data: Option<&Object>) -> Result<(), Refusal<'_>> {
        let is_there = |name: &&String| data.is_some_and(|data| data.get(name).is_some());
        match self.required.iter().find(|name| !is_there(name)) {
            Some(name) => Err(Refusal { why: Why::Missing, parameter: Some(name) }),
            None => Ok(()),
        }
    }

    fn check_denied<'a>(&'a self, data: &'a Object, dialect: Dialect) -> Result<(), Refusal<'a>> {
        if !data.is_empty() && self.denied.0.contains_key(ANY) {
            return Err(Refusal { why: Why::AnyDenied, parameter: None });
        }
        let is_denied = |(name, value): &(&str, &Value)| self.denied.listed(name, dialect).is_some_and(|listed| listed.deny(value));
        match data.iter().find(is_denied) {
            Some((name, _)) => Err(Refusal { why: Why::Denied, parameter: Some(name) }),
            None => Ok(()),
        }
    }

    fn check_allowed<'a>(&'a self, data: &'a Object, dialect: Dialect) -> Result<(), Refusal<'a>> {
        let others_pass = self.allowed.0.contains_key(ANY);
        if self.allowed.0.len() == usize::from(others_pass) {
            // Nothing is listed but perhaps "any".
            return Ok(());
        }
        for (name, value) in data.iter() {
            let why = match self.allowed.listed(name, dialect) {
                Some(listed) if !listed.allow(value) => Why::ValueNotListed,
                None if !others_pass => Why::NotListed,
                _ => continue,
            };
            return Err(Refusal { why, parameter: Some(name) });
        }
        Ok(())
    }
}

impl Parameters {
    /// Lists values for a parameter; `false` when it has some already.
    pub(super) fn insert(&mut self, name: &str, values: Vec<Value>) -> bool {
        self.0.insert(lower_cased(name), values).is_none()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is listed for a parameter.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    fn merge(&mut self, other: &Parameters) {
        for (name, values) in &other.0 {
            match self.0.get_mut(name) {
                Some(own) if own.is_empty() || values.is_empty() => own.clear(),
                Some(own) => own.extend(values.iter().cloned()),
                None => drop(self.0.insert(name.clone(), values.clone())),
            }
        }
    }

    /// What is listed for a request's parameter.
    fn listed(&self, name: &str, dialect: Dialect) -> Option<Listed<'_>> {
        let (own, values) = self.entry(name)?;
        Some(Listed { values, dialect, are_policy_names: matches!(own.as_str(), "policies" | "token_policies") })
    }

    /// A parameter by its name in any case: found by comparing where it is not in lower case, since a decision allocates nothing.
    fn entry(&self, name: &str) -> Option<(&String, &Vec<Value>)> {
        if name.chars().all(|c| c.to_lowercase().eq([c])) {
            return self.0.get_key_value(name);
        }
        self.0.iter().find(|(own, _)| name.chars().flat_map(char::to_lowercase).eq(own.chars()))
    }
}

/// A parameter's name, character by character, as names in requests are compared with it.
pub(super) fn lower_cased(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

fn lowest(a: Option<Ttl>, b: Option<Ttl>) -> Option<Ttl> {
    a.into_iter().chain(b).min()
}

impl Why {
    /// The reason in words; the parameter is named beside them.
    pub(super) fn words(self) -> &'static str {
        match self {
            Why::NotWrapped => "the rule asks for a wrapped reply, and the request for none",
            Why::WrappedTooLong => "the wrapping TTL is above the rule's max_wrapping_ttl",
            Why::WrappedTooShort => "the wrapping TTL is below the rule's min_wrapping_ttl",
            Why::NoObject => "the rule looks at parameters, and the data is no object",
            Why::Missing => "a parameter that the rule requires is missing",
            Why::AnyDenied => "the rule denies every parameter",
            Why::Denied => "the rule denies this parameter or its value",
            Why::NotListed => "the rule does not allow this parameter",
            Why::ValueNotListed => "the rule does not allow this parameter's value",
        }
    }
}

#[cfg(test)]
#[path = "constraints_tests.rs"]
mod tests;
