//! What requests bring, as users write it: numbers and truth values may be text too, as in a query parameter.

use crate::types::{Code, Error, Result, Ttl, Value};

/// A member of a request's data; `null` counts as none.
pub(in crate::engines) fn member<'d>(data: Option<&'d Value>, name: &str) -> Option<&'d Value> {
    data.and_then(|data| data.get(name)).filter(|value| !matches!(value, Value::Null))
}

/// A whole number from 0 on.
pub(in crate::engines) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A whole number, negative ones too.
pub(in crate::engines) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        other => other.as_str()?.trim().parse().ok(),
    }
}

pub(in crate::engines) fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| match value.as_str()? {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    })
}

/// A duration in seconds; any negative one is -1.
pub(in crate::engines) fn signed_seconds(value: &Value) -> Result<i64> {
    let no_duration = || Error::new(Code::InvalidData, "a duration must be whole seconds, or text such as \"1h\"");
    let seconds = |ttl: Ttl| i64::try_from(ttl.as_secs()).map_err(|_| no_duration());
    if let Some(text) = value.as_str().and_then(|text| text.trim().strip_prefix('-')) {
        return if text.is_empty() { Err(no_duration()) } else { Ok(-seconds(Ttl::parse(text)?)?.signum()) };
    }
    match integer(value) {
        Some(number) if number < 0 => Ok(-1),
        _ => seconds(Ttl::from_value(value)?),
    }
}

/// The path of a secret: not empty, not a folder.
pub(in crate::engines) fn named(path: &str) -> Result<&str> {
    if path.is_empty() || path.ends_with('/') {
        return Err(Error::new(Code::InvalidPath, "the path names a folder: name a secret in it"));
    }
    Ok(path)
}

/// Refuses a member that nobody would look at: a misspelt one would silently lose what it asks for.
pub(in crate::engines) fn known_only(data: Option<&Value>, known: &[&str]) -> Result<()> {
    let is_known = |name: &str| known.contains(&name);
    match data.and_then(Value::as_object) {
        Some(object) if object.iter().any(|(name, _)| !is_known(name)) => {
            Err(Error::new(Code::InvalidData, format!("unknown member: known are {}", known.join(", "))))
        }
        _ => Ok(()),
    }
}

pub(in crate::engines) fn not_found() -> Error {
    Error::new(Code::NotFound, "nothing is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_and_all_negative_ones_the_same() {
        for (value, seconds) in [(Value::from("-1s"), -1), ("-3h".into(), -1), ((-7_i64).into(), -1), ("0".into(), 0), ("1h".into(), 3600)]
        {
            assert_eq!(signed_seconds(&value).expect("a duration"), seconds);
        }
        for value in [Value::from("--1s"), "-".into(), "-soon".into(), "soon".into(), true.into(), u64::MAX.into()] {
            assert_eq!(signed_seconds(&value).expect_err("no duration").code(), Code::InvalidData);
        }
    }
}
