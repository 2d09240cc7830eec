//! Secrets and replies: memory that C may read until it frees it, and that is wiped then.

use crate::guard::guard;
use crate::handle::{Entry, Table, Tables, get, take};
use crate::input;
use crate::status::vault_status_t;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ffi::c_char;
use std::ptr;
use std::sync::OnceLock;
use vault_core::types::limits::JSON_BYTES_MAX;
use vault_core::types::{Code, Error, Result, Value};
use zeroize::Zeroize;

/// A secret or a reply: read-only JSON in memory that is wiped when it is freed. A handle, not an address.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct vault_secret_t {
    _opaque: [u8; 0],
}

/// What a `vault_secret_t` stands for.
///
/// Text is written out when it is first asked for, and stays where it is until the secret is freed: C holds pointers into it.
pub(crate) struct SecretEntry {
    value: Option<Value>,
    version: u64,
    whole: OnceLock<Text>,
    /// By the place of the member in `value`, which never changes: names are secret too, and need no second copy.
    fields: Mutex<BTreeMap<usize, Text>>,
}

/// Text with a NUL behind it, which stays where it is, wiped on drop.
struct Text(Vec<u8>);

impl Entry for SecretEntry {
    type Raw = vault_secret_t;
    const KIND: usize = 3;
    const NAME: &'static str = "secret";
    fn table(tables: &Tables) -> &Table<Self> {
        &tables.secrets
    }
}

/// The whole content as text: JSON, or the bare text where the content is one piece of text, such as a token.
///
/// A NUL follows the text, so it can be used as a C string where it holds none itself.
///
/// - `secret`: borrowed.
/// - Returns: the text. Owner: the secret; valid until the secret is freed. NULL when `secret` is NULL or no live handle (see
///   `vault_last_error_code`).
/// - Threads: any, also several at once.
#[unsafe(no_mangle)]
pub extern "C" fn vault_secret_data(secret: *const vault_secret_t) -> *const c_char {
    guard!(or ptr::null() => { Ok(get::<SecretEntry>(secret)?.whole().pointer()) })
}

/// The length of what `vault_secret_data` gives, in bytes, without the NUL behind it. 0 where a request answered without content.
///
/// - `secret`: borrowed.
/// - Returns: the length; 0 also when `secret` is NULL or no live handle (see `vault_last_error_code`).
/// - Threads: any, also several at once.
#[unsafe(no_mangle)]
pub extern "C" fn vault_secret_len(secret: *const vault_secret_t) -> usize {
    guard!(or 0 => { Ok(get::<SecretEntry>(secret)?.whole().length()) })
}

/// The version of a secret that came from `vault_kv_get`; 0 for any other, and when `secret` is NULL or no live handle.
///
/// - `secret`: borrowed.
/// - Threads: any, also several at once.
#[unsafe(no_mangle)]
pub extern "C" fn vault_secret_version(secret: *const vault_secret_t) -> u64 {
    guard!(or 0 => { Ok(get::<SecretEntry>(secret)?.version) })
}

/// One member of the content: the bare text of a member that is text, and JSON for any other.
///
/// - `secret`: borrowed.
/// - `name`: the member's name, or, where it begins with `/`, a JSON Pointer (RFC 6901) to a nested one: `/auth/client_token`,
///   `/data/keys/0`. NUL-terminated UTF-8; borrowed for the call.
/// - `out_data`: receives the text, with a NUL behind it. Owner: the secret; valid until the secret is freed. NULL on failure.
/// - `out_len`: receives the length in bytes without that NUL; may be NULL. 0 on failure.
/// - Fails with `VAULT_ERR_NOT_FOUND` when there is no such member.
/// - Threads: any, also several at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_secret_field(
    secret: *const vault_secret_t,
    name: *const c_char,
    out_data: *mut *const c_char,
    out_len: *mut usize,
) -> vault_status_t {
    guard!(required out_data, optional out_len => {
        let secret = get::<SecretEntry>(secret)?;
        // SAFETY: the caller gives NULL or NUL-terminated text. A member's name can be as long as the JSON that it came from.
        let name = unsafe { input::text(name, "name", JSON_BYTES_MAX) }?;
        secret.field(name)
    })
}

/// Wipes and frees a secret or reply. Pointers that came from it are invalid from then on.
///
/// - `secret`: taken; NULL is allowed and does nothing. A handle that was freed already, or is of another kind, is left alone
///   (see `vault_last_error_code`).
/// - Threads: any, but not while another thread uses the secret's text.
#[unsafe(no_mangle)]
pub extern "C" fn vault_secret_free(secret: *mut vault_secret_t) {
    guard!(or () => {
        if !secret.is_null() {
            drop(take::<SecretEntry>(secret)?);
        }
        Ok(())
    });
}

impl SecretEntry {
    /// A secret or reply; without content where a request answered none.
    pub(crate) fn new(value: Option<Value>) -> Self {
        SecretEntry { value, version: 0, whole: OnceLock::new(), fields: Mutex::new(BTreeMap::new()) }
    }

    /// A secret with its version.
    pub(crate) fn with_version(value: Value, version: u64) -> Self {
        SecretEntry { version, ..SecretEntry::new(Some(value)) }
    }

    fn whole(&self) -> &Text {
        self.whole.get_or_init(|| self.value.as_ref().map_or_else(|| Text::new(b""), Text::of))
    }

    fn field(&self, name: &str) -> Result<(*const c_char, usize)> {
        let member = self.value.as_ref().and_then(|value| resolve(value, name));
        let member = member.ok_or_else(|| Error::new(Code::NotFound, "the secret has no member of that name"))?;
        let mut fields = self.fields.lock();
        let text = fields.entry(ptr::from_ref(member).addr()).or_insert_with(|| Text::of(member));
        Ok((text.pointer(), text.length()))
    }
}

impl Text {
    fn new(text: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text);
        bytes.push(0);
        Text(bytes)
    }

    fn of(value: &Value) -> Self {
        value.as_str().map_or_else(|| Text::new(&value.to_json()), |text| Text::new(text.as_bytes()))
    }

    fn pointer(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    fn length(&self) -> usize {
        self.0.len() - 1
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // What a vector holds, zeroize wipes byte by byte; what it has room for, all at once.
        self.0.clear();
        self.0.zeroize();
    }
}

/// The member that a name or a JSON Pointer (RFC 6901) means.
fn resolve<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let Some(pointer) = name.strip_prefix('/') else { return value.get(name) };
    pointer.split('/').try_fold(value, |value, token| match value {
        Value::Array(items) => {
            let canonical = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
            token.parse::<usize>().ok().filter(|_| canonical).and_then(|index| items.get(index))
        }
        _ => value.get(&token.replace("~1", "/").replace("~0", "~")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(found: Result<(*const c_char, usize)>) -> Option<String> {
        let (pointer, length) = found.ok()?;
        // SAFETY: the entry that lent the text is alive in each test.
        let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), length + 1) };
        assert_eq!(bytes[length], 0, "a NUL follows the text");
        Some(String::from_utf8(bytes[..length].to_vec()).expect("UTF-8"))
    }

    fn entry(json: &str) -> SecretEntry {
        SecretEntry::new(Some(Value::from_json(json.as_bytes()).expect("JSON")))
    }

    #[test]
    fn members_are_found_by_name_and_nested_ones_by_json_pointer() {
        let entry = entry(r#"{"a":"x","n":{"l":[1,{"m":true}]},"/s~t":"odd","e":"","z":null}"#);
        let cases = [
            ("a", Some("x")),
            ("/a", Some("x")),
            ("/n/l/0", Some("1")),
            ("/n/l/1/m", Some("true")),
            ("n", Some(r#"{"l":[1,{"m":true}]}"#)),
            ("/~1s~0t", Some("odd")),
            ("e", Some("")),
            ("z", Some("null")),
            ("/s~t", None),
            ("b", None),
            ("", None),
            ("/n/l/00", None),
            ("/n/l/+0", None),
            ("/n/l/9", None),
            ("/n/l/99999999999999999999", None),
            ("/a/b", None),
        ];
        for (name, expected) in cases {
            assert_eq!(read(entry.field(name)).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_text_of_a_member_stays_where_it_is() {
        let entry = entry(r#"{"a":"x","b":"y"}"#);
        let first = entry.field("a").expect("there").0;
        for name in ["b", "/a", "/b"] {
            entry.field(name).expect("there");
        }
        assert_eq!(entry.field("a").expect("there").0, first);
    }

    #[test]
    fn the_whole_is_bare_for_text_json_for_the_rest_and_empty_without_content() {
        let whole = |entry: SecretEntry| read(Ok((entry.whole().pointer(), entry.whole().length())));
        assert_eq!(whole(SecretEntry::new(Some(Value::from("hvs.t")))).as_deref(), Some("hvs.t"));
        assert_eq!(whole(entry(r#"{ "a": 1 }"#)).as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(whole(SecretEntry::new(None)).as_deref(), Some(""));
    }
}
