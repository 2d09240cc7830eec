//! JSON values that wipe themselves, read with limits on size, depth and count.

use super::limits::{JSON_BYTES_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX};
use super::wiped::wipe_text;
use super::{Code, Error, Result};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Number;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use zeroize::Zeroizing;

/// A JSON value. Text is wiped when dropped; `Debug` shows the shape and no content.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    String(Zeroizing<String>),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Object),
}

/// A JSON object, its names in order; names are wiped when dropped, as values are.
#[derive(Clone, Default, PartialEq)]
pub struct Object(Vec<(Name, Value)>);

/// A member's name; the vault's own ones need no copy.
type Name = Cow<'static, str>;

impl Value {
    /// Reads JSON text.
    ///
    /// # Errors
    /// `InvalidData` when the text is not JSON or past a limit; the message gives the place, never the content.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        if json.len() > JSON_BYTES_MAX {
            return Err(Error::new(Code::InvalidData, format!("the JSON is larger than {JSON_BYTES_MAX} bytes")));
        }
        let budget = Budget { depth: Cell::new(0), values: Cell::new(0), exceeded: Cell::new(None) };
        let mut reader = serde_json::Deserializer::from_slice(json);
        let read = ValueSeed(&budget).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        read.map_err(|error| match budget.exceeded.get() {
            Some(why) => Error::new(Code::InvalidData, why),
            None => Error::new(Code::InvalidData, format!("not valid JSON at line {} column {}", error.line(), error.column())),
        })
    }

    /// Writes compact JSON text into a buffer that wipes itself.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        // Sized before writing, so that growth leaves no copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(json_size(self)));
        serde_json::to_writer(&mut *out, self).expect("writing to memory cannot fail and every key is text");
        out
    }

    /// Text.
    #[must_use]
    pub fn string(text: impl Into<String>) -> Self {
        Value::String(Zeroizing::new(text.into()))
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }

    /// The object, if it is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        if let Value::Object(object) = self { Some(object) } else { None }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(items) = self { Some(items) } else { None }
    }

    /// The number, if it is a whole one from 0 on.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        if let Value::Number(number) = self { number.as_u64() } else { None }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The member of that name, if this is an object that has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }
}

impl Object {
    /// An empty object.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The object with one more member; a member of that name is replaced.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.insert(name, value);
        self
    }

    /// Adds a member; one of that name is replaced.
    pub fn insert(&mut self, name: &str, value: impl Into<Value>) {
        match self.place(name) {
            Ok(at) => self.0[at].1 = value.into(),
            Err(at) => self.0.insert(at, (Cow::Owned(name.to_owned()), value.into())),
        }
    }

    /// As [`Object::with`], for a name of the vault's own.
    pub(crate) fn with_known(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        match self.place(name) {
            Ok(at) => self.0[at].1 = value.into(),
            Err(at) => self.0.insert(at, (Cow::Borrowed(name), value.into())),
        }
        self
    }

    /// Adds members all at once; those of the same names are replaced.
    pub(crate) fn extend(&mut self, members: impl Iterator<Item = (String, Value)>) {
        self.0.extend(members.map(|(name, value)| (Cow::Owned(name), value)));
        self.settle();
    }

    /// Keeps the members of which this is so.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&str) -> bool) {
        self.0.retain_mut(|(name, _)| {
            let stays = stays(name);
            if !stays {
                wipe_name(std::mem::take(name));
            }
            stays
        });
    }

    /// Where the member of that name is, or is to be.
    fn place(&self, name: &str) -> Result<usize, usize> {
        match self.0.last() {
            // Most objects are made in order.
            Some((last, _)) if **last < *name => Err(self.0.len()),
            _ => self.0.binary_search_by(|(known, _)| (**known).cmp(name)),
        }
    }

    /// Brings members into order that were added behind one another; of those of one name the last stays.
    fn settle(&mut self) {
        if self.0.is_sorted_by(|(one, _), (next, _)| one < next) {
            return;
        }
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.0.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                std::mem::swap(later, kept);
                wipe_name(std::mem::take(&mut later.0));
            }
            is_same
        });
    }

    /// The member of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.place(name).ok().map(|at| &self.0[at].1)
    }

    /// As [`Object::get`], to change it.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.place(name).ok().map(|at| &mut self.0[at].1)
    }

    /// Takes the member of that name out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let (key, value) = self.place(name).ok().map(|at| self.0.remove(at))?;
        wipe_name(key);
        Some(value)
    }

    /// Takes the value of that name out and leaves `null` there: cheaper than to remove it.
    pub(crate) fn take_value(&mut self, name: &str) -> Option<Value> {
        self.get_mut(name).map(|value| std::mem::replace(value, Value::Null))
    }

    /// The members, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        for (name, value) in std::mem::take(&mut self.0) {
            wipe_name(name);
            if let Value::String(mut text) = value {
                wipe_text(&mut text);
            }
        }
    }
}

impl<'a> FromIterator<(&'a str, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (&'a str, Value)>>(members: I) -> Self {
        let mut object = Object(members.into_iter().map(|(name, value)| (Cow::Owned(name.to_owned()), value)).collect());
        object.settle();
        object
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Value::Object(object)
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::string(text)
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::string(text)
    }
}
impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}
impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Number(number.into())
    }
}
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number.into())
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number.into())
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Value::Array(items.into_iter().map(Into::into).collect())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(item: Option<T>) -> Self {
        item.map_or(Value::Null, Into::into)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("Null"),
            Value::Bool(_) => f.write_str("Bool"),
            Value::Number(_) => f.write_str("Number"),
            Value::String(_) => f.write_str("String([redacted])"),
            Value::Array(items) => write!(f, "Array({} items)", items.len()),
            Value::Object(object) => object.fmt(f),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({} members)", self.0.len())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Number(number) => number.serialize(serializer),
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(items) => serializer.collect_seq(items),
            Value::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// What one JSON text may still use.
struct Budget {
    depth: Cell<usize>,
    values: Cell<usize>,
    exceeded: Cell<Option<&'static str>>,
}

impl Budget {
    fn exceed<E: serde::de::Error>(&self, why: &'static str) -> E {
        self.exceeded.set(Some(why));
        E::custom(why)
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > JSON_VALUES_MAX { Err(self.exceed("the JSON holds more than 20000 values")) } else { Ok(()) }
    }

    fn enter<E: serde::de::Error>(&self) -> Result<(), E> {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > JSON_DEPTH_MAX { Err(self.exceed("the JSON is nested deeper than 64 levels")) } else { Ok(()) }
    }

    fn leave(&self) {
        self.depth.set(self.depth.get() - 1);
    }
}

struct ValueSeed<'b>(&'b Budget);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::string(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(ValueSeed(self.0))? {
            array.push(item);
        }
        self.0.leave();
        Ok(Value::Array(array))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            let mut name = Zeroizing::new(name);
            let value = members.next_value_seed(ValueSeed(self.0))?;
            object.0.push((Cow::Owned(std::mem::take(&mut *name)), value));
        }
        object.settle();
        self.0.leave();
        Ok(Value::Object(object))
    }
}

/// Wipes a name, unless it is one of the vault's own.
fn wipe_name(name: Name) {
    if let Cow::Owned(mut name) = name {
        wipe_text(&mut name);
    }
}

/// An upper bound of the compact JSON text's size in bytes.
fn json_size(value: &Value) -> usize {
    // The worst case of an escaped byte is `\u00XX`; the longest number that is written has 25 characters.
    let text_size = |text: &str| 2 + text.bytes().map(|b| if b < 0x20 || b == b'"' || b == b'\\' { 6 } else { 1 }).sum::<usize>();
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 32,
        Value::String(text) => text_size(text),
        Value::Array(items) => 2 + items.iter().map(|item| 1 + json_size(item)).sum::<usize>(),
        Value::Object(object) => 2 + object.iter().map(|(name, value)| 2 + text_size(name) + json_size(value)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trips() {
        let text = br#"{"a":[1,-2,2.5,true,null],"b":{"c":"x\n\"y\u00e9"}}"#;
        let value = Value::from_json(text).expect("valid");
        let again = Value::from_json(&value.to_json()).expect("valid");
        assert!(value == again);
        assert_eq!(value.get("b").and_then(|b| b.get("c")).and_then(Value::as_str), Some("x\n\"yé"));
    }

    #[test]
    fn a_float_comes_back_to_the_bit() {
        for float in [0.1, 1.384_390_517_595_769_7e-248, 5e-324, f64::MIN_POSITIVE, f64::MAX, -0.0] {
            let value = Value::Number(serde_json::Number::from_f64(float).expect("finite"));
            let Value::Number(again) = Value::from_json(&value.to_json()).expect("valid") else { panic!("a number stays one") };
            assert_eq!(again.as_f64().map(f64::to_bits), Some(float.to_bits()));
        }
    }

    #[test]
    fn writing_never_grows_the_buffer() {
        let value = Value::from(Object::new().with("k\u{1}", "\u{0}\u{1f}\"\\ü").with("n", i64::MIN).with("l", vec!["", "a"]));
        let capacity = json_size(&value);
        assert!(value.to_json().len() <= capacity);
        assert_eq!(value.to_json().capacity(), capacity);
    }

    #[test]
    fn bad_json_is_refused_with_its_place_and_without_its_content() {
        for text in ["", "{", "{\"CANARY\":}", "[1,]", "nul", "{} {}", "\"\\ud800\"", "1e999"] {
            let error = Value::from_json(text.as_bytes()).expect_err(text);
            assert_eq!(error.code(), Code::InvalidData);
            assert!(!error.to_string().contains("CANARY"));
        }
        assert!(Value::from_json(&[b'"', 0xff, b'"']).is_err());
    }

    #[test]
    fn limits_of_depth_count_and_size_hold() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Value::from_json(deep(JSON_DEPTH_MAX).as_bytes()).is_ok());
        let error = Value::from_json(deep(JSON_DEPTH_MAX + 1).as_bytes()).expect_err("too deep");
        assert!(error.to_string().contains("nested"));
        assert!(Value::from_json(deep(100_000).as_bytes()).is_err());
        let wide = format!("[{}0]", "0,".repeat(JSON_VALUES_MAX));
        assert!(Value::from_json(wide.as_bytes()).expect_err("too many").to_string().contains("20000"));
        assert!(Value::from_json(&vec![b' '; JSON_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn debug_shows_no_content() {
        let value = Value::from(Object::new().with("CANARY", "CANARY"));
        assert!(!format!("{value:?}").contains("CANARY"));
    }
}
