//! JSON merge patch (RFC 7396), and what is left of an object without its contents.

use crate::types::{Object, Value};

/// The object with a patch applied: members are replaced, `null` removes, objects are merged.
pub(super) fn merge(mut target: Object, patch: &Object) -> Object {
    target.retain(|name| patch.get(name) != Some(&Value::Null));
    let mut added = Vec::new();
    for (name, change) in patch.iter() {
        let value = match change {
            Value::Null => continue,
            Value::Object(change) => {
                let inner = match target.take_value(name) {
                    Some(Value::Object(inner)) => inner,
                    // Into an empty object, so that the patch's own nulls do not stay.
                    _ => Object::new(),
                };
                merge(inner, change).into()
            }
            other => other.clone(),
        };
        match target.get_mut(name) {
            Some(old) => *old = value,
            None => added.push((name.to_owned(), value)),
        }
    }
    target.extend(added.into_iter());
    target
}

/// The names of an object's members and of those below, down to a depth (0: all the way); `null` in the place of all else.
pub(super) fn subkeys(object: &Object, depth: u64) -> Object {
    let below = |value: &Value| match value {
        Value::Object(inner) if depth != 1 && !inner.is_empty() => subkeys(inner, depth.saturating_sub(1)).into(),
        _ => Value::Null,
    };
    object.iter().map(|(name, value)| (name, below(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object {
        Value::from_json(json.as_bytes()).expect("valid").as_object().expect("an object").clone()
    }

    #[test]
    fn the_examples_of_rfc_7396_that_are_objects_hold() {
        for (target, patch, merged) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert!(merge(object(target), &object(patch)) == object(merged), "{target} {patch}");
        }
    }

    #[test]
    fn subkeys_stop_at_their_depth_and_show_no_content() {
        let secret = object(r#"{"a":{"b":{"c":1}},"d":"CANARY","e":{},"f":[{"g":1}]}"#);
        for (depth, keys) in [
            (0, r#"{"a":{"b":{"c":null}},"d":null,"e":null,"f":null}"#),
            (1, r#"{"a":null,"d":null,"e":null,"f":null}"#),
            (2, r#"{"a":{"b":null},"d":null,"e":null,"f":null}"#),
            (9, r#"{"a":{"b":{"c":null}},"d":null,"e":null,"f":null}"#),
        ] {
            assert!(subkeys(&secret, depth) == object(keys), "depth {depth}");
        }
    }
}
