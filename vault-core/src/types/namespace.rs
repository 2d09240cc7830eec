//! Namespaces as requests name them: a path of names from the root namespace down.

use super::limits::{NAMESPACE_DEPTH_MAX, NAMESPACE_NAME_BYTES_MAX};
use super::{Code, Error, Result};
use std::fmt;

/// The path of a namespace: `team-a`, `team-a/dev`; the root namespace's is empty.
///
/// `Debug` shows no text, as with a [`super::Path`].
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct NamespacePath(String);

/// Names that mean something else at the beginning of a path, in any spelling.
const RESERVED: [&str; 8] = ["root", "sys", "auth", "identity", "cubbyhole", "audit", ".", ".."];

impl NamespacePath {
    /// The root namespace.
    pub const ROOT: NamespacePath = NamespacePath(String::new());

    /// Reads a path. The empty text, `/` and `root` are the root namespace; a slash at either end is stripped.
    ///
    /// # Errors
    /// `InvalidPath` when one of its names cannot be a namespace's, or there are too many.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text == "/" {
            return Ok(Self::ROOT);
        }
        let text = text.strip_prefix('/').unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        if text == "root" {
            return Ok(Self::ROOT);
        }
        if text.split('/').count() > NAMESPACE_DEPTH_MAX {
            return Err(Error::new(Code::InvalidPath, format!("namespaces nest at most {NAMESPACE_DEPTH_MAX} deep")));
        }
        text.split('/').try_for_each(check_name)?;
        Ok(NamespacePath(text.to_owned()))
    }

    /// Whether it is the root namespace.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path, without a slash at its ends.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A namespace below this one.
    #[must_use]
    pub fn join(&self, below: &NamespacePath) -> Self {
        match (self.is_root(), below.is_root()) {
            (_, true) => self.clone(),
            (true, false) => below.clone(),
            (false, false) => NamespacePath(format!("{}/{}", self.0, below.0)),
        }
    }
}

impl fmt::Debug for NamespacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamespacePath([redacted])")
    }
}

impl std::str::FromStr for NamespacePath {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        NamespacePath::parse(text)
    }
}

/// Refuses what cannot be a namespace's name: other than printable ASCII, since look-alikes deceive whoever reads a policy, and what stands
/// for something else in a policy or at the beginning of a path.
///
/// # Errors
/// `InvalidPath`, naming the rule.
pub fn check_name(name: &str) -> Result<()> {
    let bad = |why: String| Err(Error::new(Code::InvalidPath, format!("invalid namespace name: {why}")));
    if name.is_empty() || name.len() > NAMESPACE_NAME_BYTES_MAX {
        return bad(format!("it must have from 1 to {NAMESPACE_NAME_BYTES_MAX} bytes"));
    }
    if !name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'\\' | b'+' | b'*' | b'%' | b'"' | b'{' | b'}')) {
        return bad("it must be printable ASCII without spaces and without / \\ + * % \" { }".to_owned());
    }
    if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return bad("it is reserved for the vault".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_canonical_and_root_has_its_spellings() {
        for text in ["", "/", "root", "root/", "/root"] {
            assert!(NamespacePath::parse(text).expect("root").is_root(), "{text:?}");
        }
        for (text, canonical) in [("team-a", "team-a"), ("/team-a/", "team-a"), ("team-a/dev", "team-a/dev"), ("a.b_c", "a.b_c")] {
            assert_eq!(NamespacePath::parse(text).expect("a path").as_str(), canonical);
        }
        let team = NamespacePath::parse("team-a").expect("a path");
        assert_eq!(team.join(&NamespacePath::parse("dev").expect("a path")).as_str(), "team-a/dev");
        assert_eq!(team.join(&NamespacePath::ROOT), team);
    }

    #[test]
    fn tricks_and_reserved_names_are_refused() {
        for text in [
            ".",
            "..",
            "a/..",
            "../a",
            "a//b",
            "//",
            "%2e",
            "a%2fb",
            "sys",
            "SYS",
            "a/sys",
            "Root",
            "a/root",
            "auth",
            "identity",
            "audit",
            "cubbyhole",
            "a b",
            "a\0",
            "a\n",
            "ü",
            "a+",
            "*",
            "a\\b",
            "{{x}}",
            "\u{ff54}eam",
        ] {
            assert_eq!(NamespacePath::parse(text).expect_err(text).code(), Code::InvalidPath, "{text:?}");
        }
        assert!(NamespacePath::parse(&"a".repeat(NAMESPACE_NAME_BYTES_MAX + 1)).is_err());
        assert!(NamespacePath::parse(&["a"; NAMESPACE_DEPTH_MAX + 1].join("/")).is_err());
    }
}
