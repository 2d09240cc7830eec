//! `sys/tools`: random bytes and hashes, for whoever may ask the vault for them.

use super::system::Done;
use crate::crypto::Sha2;
use crate::host::Rng;
use crate::types::limits::{RANDOM_BYTES_DEFAULT, RANDOM_BYTES_MAX};
use crate::types::{Code, Error, Object, Operation, Result, Value};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use zeroize::Zeroizing;

/// Base64 as the field's servers take it: bits behind the last byte may be anything.
const AS_SENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// One of these paths, with what it says itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ToolPath<'p> {
    /// `random`, `random/BYTES`, `random/SOURCE` or `random/SOURCE/BYTES`: what comes behind the word.
    Random(&'p str),
    /// `hash` or `hash/ALGORITHM`.
    Hash(&'p str),
}

impl<'p> ToolPath<'p> {
    /// The path of a tool, from what comes behind `sys/tools/`.
    pub(super) fn parse(rest: &'p str) -> Option<Self> {
        let (tool, rest) = rest.split_once('/').unwrap_or((rest, ""));
        match tool {
            "random" => Some(ToolPath::Random(rest)),
            "hash" if !rest.contains('/') => Some(ToolPath::Hash(rest)),
            _ => None,
        }
    }
}

pub(super) fn execute(rng: &dyn Rng, operation: Operation, path: ToolPath<'_>, data: Option<&Value>) -> Result<Done> {
    match (operation, path) {
        (Operation::Write, ToolPath::Random(rest)) => random(rng, rest, data),
        (Operation::Write, ToolPath::Hash(algorithm)) => hash(algorithm, data),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

fn random(rng: &dyn Rng, rest: &str, data: Option<&Value>) -> Result<Done> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (source, count) = match rest.split_once('/') {
        Some((source, count)) => (source, count),
        None if is_number(rest) => ("", rest),
        None => (rest, ""),
    };
    let source = if source.is_empty() { text(data, "source")?.unwrap_or("platform") } else { source };
    let warning = match source {
        "platform" => None,
        "seal" | "all" => Some("the seal gives no randomness: it comes from the platform".to_owned()),
        _ => return Err(refused("unsupported source of randomness: use \"platform\", \"seal\" or \"all\"")),
    };
    let bad = || refused(&format!("\"bytes\" must be a whole number from 1 to {RANDOM_BYTES_MAX}"));
    let given = data.and_then(|data| data.get("bytes")).filter(|value| !matches!(value, Value::Null));
    let count = match given {
        _ if !count.is_empty() => count.parse().ok(),
        None => Some(RANDOM_BYTES_DEFAULT),
        Some(value) => value.as_u64().or_else(|| value.as_str()?.parse().ok()).and_then(|count| usize::try_from(count).ok()),
    };
    let count = count.filter(|count| (1..=RANDOM_BYTES_MAX).contains(count)).ok_or_else(bad)?;
    let format = Format::of(data, Format::Base64)?;
    let mut bytes = Zeroizing::new(vec![0; count]);
    rng.fill(&mut bytes).map_err(|error| Error::new(Code::NoEntropy, error.to_string()))?;
    let done = Done::answer(Object::new().with("random_bytes", format.write(&bytes)));
    Ok(Done { warnings: warning.into_iter().collect(), ..done })
}

fn hash(algorithm: &str, data: Option<&Value>) -> Result<Done> {
    let algorithm = if algorithm.is_empty() { text(data, "algorithm")?.unwrap_or("sha2-256") } else { algorithm };
    let known = "unsupported algorithm: use sha2-224, sha2-256, sha2-384 or sha2-512";
    let algorithm = Sha2::from_name(algorithm).ok_or_else(|| refused(known))?;
    let format = Format::of(data, Format::Hex)?;
    let input = text(data, "input")?.unwrap_or_default();
    let input = Zeroizing::new(AS_SENT.decode(input).map_err(|_| refused("unable to decode \"input\": it must be base64"))?);
    Ok(Done::answer(Object::new().with("sum", format.write(&algorithm.hash(&input)))))
}

/// How bytes are written.
enum Format {
    Base64,
    Hex,
}

impl Format {
    fn of(data: Option<&Value>, otherwise: Format) -> Result<Self> {
        match text(data, "format")? {
            None => Ok(otherwise),
            Some("base64") => Ok(Format::Base64),
            Some("hex") => Ok(Format::Hex),
            Some(_) => Err(refused("unsupported format: use \"hex\" or \"base64\"")),
        }
    }

    fn write(&self, bytes: &[u8]) -> Value {
        Value::string(match self {
            Format::Base64 => STANDARD.encode(bytes),
            Format::Hex => hex::encode(bytes),
        })
    }
}

fn text<'d>(data: Option<&'d Value>, name: &str) -> Result<Option<&'d str>> {
    match data.and_then(|data| data.get(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| Error::new(Code::InvalidData, format!("\"{name}\" must be text"))),
    }
}

fn refused(why: &str) -> Error {
    Error::new(Code::InvalidRequest, why)
}
