//! What requests bring to the vault's own paths, as users write it: numbers and truth values may be text, lists may be text with commas.

use crate::types::limits::{DEADMAN_SECONDS_MIN, TTL_SECONDS_MAX};
use crate::types::{Code, Error, Result, Ttl, Value};

/// The data of a request, member by member; `null` counts as none.
#[derive(Clone, Copy)]
pub(super) struct Members<'d>(pub(super) Option<&'d Value>);

impl<'d> Members<'d> {
    pub(super) fn get(self, name: &str) -> Option<&'d Value> {
        self.0.and_then(|data| data.get(name)).filter(|value| !matches!(value, Value::Null))
    }

    /// Refuses members that nobody would look at: a misspelt one would silently lose what it asks for.
    pub(super) fn known_only(self, known: &[&str]) -> Result<()> {
        match self.0.and_then(Value::as_object) {
            Some(data) if data.iter().any(|(name, _)| !known.contains(&name)) => {
                Err(Error::new(Code::InvalidRequest, format!("unknown option: known are {}", known.join(", "))))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn text(self, name: &str) -> Result<Option<&'d str>> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| bad(name, "must be text"))).transpose()
    }

    /// A text that must be there.
    pub(super) fn required(self, name: &str) -> Result<&'d str> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| bad(name, "is missing: pass it as text"))
    }

    pub(super) fn truth(self, name: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let of_text = || match value.as_str()? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        value.as_bool().or_else(of_text).map(Some).ok_or_else(|| bad(name, "must be true or false"))
    }

    pub(super) fn whole(self, name: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let of_text = || value.as_str()?.trim().parse().ok();
        value.as_u64().or_else(of_text).map(Some).ok_or_else(|| bad(name, "must be a whole number from 0 on"))
    }

    /// A duration; zero where there is none, or an empty text.
    pub(super) fn ttl(self, name: &str) -> Result<Ttl> {
        self.get(name).filter(|value| value.as_str() != Some("")).map_or(Ok(Ttl::ZERO), Ttl::from_value)
    }

    /// For how long nothing may be heard of somebody, if that is said; zero for ever.
    pub(super) fn deadman_period(self) -> Result<Option<Ttl>> {
        const NAME: &str = "deadman_period";
        if self.get(NAME).is_none_or(|value| value.as_str() == Some("")) {
            return Ok(None);
        }
        let period = self.ttl(NAME)?;
        let fits = period == Ttl::ZERO || (DEADMAN_SECONDS_MIN..=TTL_SECONDS_MAX).contains(&period.as_secs());
        let wrong = || bad(NAME, &format!("must be from {DEADMAN_SECONDS_MIN} to {TTL_SECONDS_MAX} seconds, or 0"));
        if fits { Ok(Some(period)) } else { Err(wrong()) }
    }

    /// Texts: an array of them, or one text with commas.
    pub(super) fn texts(self, name: &str) -> Result<Option<Vec<&'d str>>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if let Some(text) = value.as_str() {
            return Ok(Some(text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect()));
        }
        let items = value.as_array().ok_or_else(|| bad(name, "must be an array of texts"))?;
        items.iter().map(|item| item.as_str().ok_or_else(|| bad(name, "must be an array of texts"))).collect::<Result<_>>().map(Some)
    }
}

/// Names of members stand in messages, their content never does.
pub(super) fn bad(name: &str, why: &str) -> Error {
    Error::new(Code::InvalidData, format!("\"{name}\" {why}"))
}
