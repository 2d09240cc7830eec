//! The one canonical form of a request path: every check happens here, before routing and policy.

use super::limits::{PATH_BYTES_MAX, PATH_SEGMENTS_MAX};
use super::{Code, Error, Result};
use std::fmt;

/// A canonical request path: `secret/data/app/db`, or with a trailing slash for a folder, `secret/metadata/app/`.
///
/// No leading slash, no empty, `.` or `..` segment, no control character, no percent-encoding. `Debug` shows no text, since
/// names are secret too; [`Path::as_str`] does.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(String);

impl Path {
    /// Parses a path; one leading slash is stripped.
    ///
    /// # Errors
    /// `InvalidPath`, naming the rule that the text breaks but never the text.
    pub fn parse(text: &str) -> Result<Self> {
        Self::checked(text).map(|text| Path(text.to_owned()))
    }

    /// The text without its leading slash, where it is a path.
    fn checked(text: &str) -> Result<&str> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let bad = |why: &str| Err(Error::new(Code::InvalidPath, format!("invalid path: {why}")));
        if text.is_empty() {
            return bad("it is empty");
        }
        if text.len() > PATH_BYTES_MAX {
            return bad(&format!("it is longer than {PATH_BYTES_MAX} bytes"));
        }
        if has_control_characters(text) {
            return bad("it holds a control character");
        }
        if has_percent_encoding(text) {
            return bad("it is percent-encoded; pass the decoded text");
        }
        let segments = text.strip_suffix('/').unwrap_or(text).as_bytes().split(|byte| *byte == b'/');
        let mut count = 0_usize;
        for segment in segments {
            count += 1;
            match segment {
                b"" => return bad("it has an empty segment ('//')"),
                b"." | b".." => return bad("it has a '.' or '..' segment"),
                _ => {}
            }
        }
        if count > PATH_SEGMENTS_MAX {
            return bad(&format!("it has more than {PATH_SEGMENTS_MAX} segments"));
        }
        Ok(text)
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the path names a folder (ends in a slash).
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.0.ends_with('/')
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Path([redacted])")
    }
}

impl TryFrom<String> for Path {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        // In the text's own buffer, unless it begins with a slash.
        let is_whole = Self::checked(&text)?.len() == text.len();
        if is_whole { Ok(Path(text)) } else { Path::parse(&text) }
    }
}

impl std::str::FromStr for Path {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Path::parse(text)
    }
}

fn has_control_characters(text: &str) -> bool {
    // Plain ASCII, which nearly every path is, has them below the space and at its very end.
    if text.is_ascii() {
        text.bytes().fold(false, |found, byte| found | (byte < b' ') | (byte == 0x7f))
    } else {
        text.chars().any(char::is_control)
    }
}

/// `%` followed by two hexadecimal digits: a second decoder downstream would read another path than policy did.
fn has_percent_encoding(text: &str) -> bool {
    text.as_bytes().contains(&b'%')
        && text.as_bytes().windows(3).any(|w| w[0] == b'%' && w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_paths_are_kept_and_one_leading_slash_is_stripped() {
        for text in ["secret/data/a", "secret/metadata/a/", "a", "sys/mounts", "x/50% off", "x/.hidden", "x/a b", "x/ü"] {
            assert_eq!(Path::parse(text).expect("canonical").as_str(), text);
        }
        assert_eq!(Path::parse("/sys/mounts").expect("leading slash").as_str(), "sys/mounts");
        for text in ["sys/mounts", "/sys/mounts"] {
            assert_eq!(Path::try_from(text.to_owned()).expect("canonical").as_str(), "sys/mounts");
        }
    }

    #[test]
    fn path_tricks_are_refused_before_policy() {
        for text in [
            "",
            "/",
            "//",
            "a//b",
            "//a",
            "a//",
            "./a",
            "a/./b",
            "a/..",
            "../a",
            "a/../b",
            "a/%2e%2e/b",
            "a/%2E",
            "a%2fb",
            "a\0b",
            "a\nb",
            "a\u{7f}",
            "a\u{85}b",
            "a/%00",
        ] {
            let error = Path::parse(text).expect_err(text);
            assert_eq!(error.code(), Code::InvalidPath, "{text:?}");
            assert!(Path::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        assert!(Path::parse(&"a".repeat(PATH_BYTES_MAX + 1)).is_err());
        assert!(Path::parse(&"a/".repeat(PATH_SEGMENTS_MAX + 1)).is_err());
    }

    #[test]
    fn debug_shows_no_name() {
        let path = Path::parse("secret/data/CANARY").expect("canonical");
        assert!(!format!("{path:?}").contains("CANARY"));
    }
}
