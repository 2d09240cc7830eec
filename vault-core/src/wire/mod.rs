//! JSON in and out: the shapes that users of the field's HTTP APIs know, shared by C, Python and anything that speaks the logical API.

use crate::types::{Auth, Code, Error, Object, Operation, Response, Result, Value};
use zeroize::Zeroizing;

/// Reads the data of a request: JSON text of an object, or nothing (empty text or `null`).
///
/// # Errors
/// `InvalidData` when it is anything else or past a limit.
pub fn data_from_json(json: &[u8]) -> Result<Option<Value>> {
    if json.is_empty() {
        return Ok(None);
    }
    match Value::from_json(json)? {
        Value::Null => Ok(None),
        value @ Value::Object(_) => Ok(Some(value)),
        _ => Err(Error::new(Code::InvalidData, "the data of a request must be a JSON object")),
    }
}

/// The operation of that name.
///
/// # Errors
/// `InvalidRequest` when there is none.
pub fn operation_from_name(name: &str) -> Result<Operation> {
    Operation::from_name(name).ok_or_else(|| Error::new(Code::InvalidRequest, "unknown operation: use read, list, write, patch or delete"))
}

/// The response as a JSON value, or `None` where the field's HTTP API answers 204 (no content).
#[must_use]
pub fn response_to_value(response: Response) -> Option<Value> {
    if response.data.is_none() && response.auth.is_none() && response.warnings.is_empty() && response.lease_id.is_empty() {
        return None;
    }
    let warnings = if response.warnings.is_empty() { Value::Null } else { response.warnings.into() };
    let body = Object::new()
        .with("request_id", response.request_id)
        .with("lease_id", response.lease_id)
        .with("renewable", response.renewable)
        .with("lease_duration", response.lease_duration.as_secs())
        .with("data", response.data)
        .with("wrap_info", Value::Null)
        .with("warnings", warnings)
        .with("auth", response.auth.map(auth_to_value));
    Some(body.into())
}

/// The response as JSON text, or `None` where the field's HTTP API answers 204 (no content).
#[must_use]
pub fn response_to_json(response: Response) -> Option<Zeroizing<Vec<u8>>> {
    response_to_value(response).map(|value| value.to_json())
}

fn auth_to_value(auth: Auth) -> Value {
    let metadata: Object = auth.metadata.iter().map(|(name, text)| (name.as_str(), Value::string(text.as_str()))).collect();
    Object::new()
        .with("client_token", auth.client_token.expose())
        .with("accessor", auth.accessor)
        .with("policies", auth.policies)
        .with("token_policies", auth.token_policies)
        .with("identity_policies", Value::Array(Vec::new()))
        .with("metadata", metadata)
        .with("lease_duration", auth.lease_duration.as_secs())
        .with("renewable", auth.renewable)
        .with("entity_id", "")
        .with("token_type", "service")
        .with("orphan", auth.orphan)
        .with("num_uses", auth.num_uses)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_without_content_is_none_and_one_with_data_has_the_known_shape() {
        assert!(response_to_json(Response::default()).is_none());
        let data = Object::new().with("k", "v");
        let response = Response { data: Some(data.into()), ..Response::default() };
        let value = response_to_value(response).expect("data");
        for name in ["request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth"] {
            assert!(value.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_data_of_a_request_is_an_object_or_nothing() {
        assert!(data_from_json(b"").expect("nothing").is_none());
        assert!(data_from_json(b"null").expect("nothing").is_none());
        assert!(data_from_json(b"{}").expect("object").is_some());
        assert_eq!(data_from_json(b"[]").expect_err("array").code(), Code::InvalidData);
    }
}
