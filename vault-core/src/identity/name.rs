//! Names of identities: one canonical spelling for each, so that no variant of a name is somebody else's.

use crate::types::limits::NAME_BYTES_MAX;
use crate::types::{Code, Error, Path, Result};
use unicode_normalization::UnicodeNormalization;

/// Rounds after which a name that still changes is refused; the second one changes nothing of nearly every name.
const ROUNDS_MAX: usize = 8;

/// The name of an entity or a group: canonical, and one segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdentityName(String);

/// The name by which somebody logs in at one auth method: canonical, and any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AliasName(String);

impl IdentityName {
    /// Reads a name.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let name = canonical(text)?;
        if name.contains('/') || Path::parse(&name).is_err() {
            return Err(bad("must be one segment of a path: it has no slash and no percent-encoding"));
        }
        Ok(IdentityName(name))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl AliasName {
    /// Reads a name.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        canonical(text).map(AliasName)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The one spelling of a name: composed and compatible (NFKC), without case, single spaces within and none at its ends, no dot at its end.
fn canonical(text: &str) -> Result<String> {
    if text.len() > NAME_BYTES_MAX {
        return Err(too_long());
    }
    let mut name = text.to_owned();
    for _ in 0..ROUNDS_MAX {
        let folded = fold(&name);
        if folded == name {
            return checked(name);
        }
        name = folded;
    }
    Err(bad("has no one spelling: choose another"))
}

fn fold(text: &str) -> String {
    // Through upper case, letter by letter: some letters have two lower cases, or one by where they stand.
    let caseless: String = text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    let words: Vec<&str> = caseless.split_whitespace().collect();
    let spaced = words.join(" ").nfkc().collect::<String>();
    spaced.trim_end_matches(|c: char| c == '.' || c.is_whitespace()).to_owned()
}

fn checked(name: String) -> Result<String> {
    if name.is_empty() {
        return Err(bad("is empty, or holds nothing but spaces and dots"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(too_long());
    }
    if name.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(bad("holds a character that nobody sees: write it without"));
    }
    Ok(name)
}

/// Characters that show nothing (Unicode's default ignorables, and blanks that are no white space): two names that look the same would be two.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn too_long() -> Error {
    bad(&format!("has more than {NAME_BYTES_MAX} bytes"))
}

fn bad(why: &str) -> Error {
    Error::new(Code::InvalidData, format!("the name {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn variants_of_a_name_are_one_name() {
        for (name, variants) in [
            ("ann", &["Ann", " ann", "ANN\t", "ann.", "ann . .", "\u{ff41}\u{ff4e}\u{ff4e}", "\u{3000}ann\u{a0}", "ann\u{ff0e}"][..]),
            ("ann lee", &["Ann  Lee", "ann\u{2003}lee", " ann \u{a0} lee. "]),
            ("jos\u{e9}", &["jose\u{301}", "JOS\u{c9}", "JOSE\u{301}."]),
            ("\u{3c9}", &["\u{2126}", "\u{3a9}"]),
            ("\u{3b1}\u{3c3}", &["\u{391}\u{3a3}", "\u{3b1}\u{3c2}", "\u{391}\u{3c2}."]),
            ("strasse", &["stra\u{df}e", "STRASSE", "STRA\u{1e9e}E"]),
            ("\u{1f0}\u{390}", &["J\u{30c}\u{399}\u{308}\u{301}"]),
            ("ann@example.org", &["Ann@Example.ORG", "ann\u{ff20}example.org."]),
        ] {
            assert_eq!(IdentityName::parse(name).expect(name).as_str(), name);
            for variant in variants {
                assert_eq!(IdentityName::parse(variant).expect(variant).as_str(), name, "{variant:?}");
                assert_eq!(AliasName::parse(variant).expect(variant).as_str(), name, "{variant:?}");
            }
        }
    }

    #[test]
    fn a_name_that_hides_something_or_is_none_is_refused() {
        for text in
            ["", " ", "...", ". .", "a\0b", "a\u{7f}", "a\u{200b}", "a\u{ad}n", "\u{202e}nna", "a\u{feff}", "a\u{e0041}", "\u{3164}"]
        {
            assert!(AliasName::parse(text).is_err(), "{text:?}");
        }
        for text in ["a/b", "/", "a%2fb", "a%00", "\u{ff0f}x", "a\u{2100}"] {
            assert!(IdentityName::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(AliasName::parse("OU=a/b").expect("an alias may be any text").as_str(), "ou=a/b");
        assert!(AliasName::parse(&"a".repeat(NAME_BYTES_MAX + 1)).is_err());
        // Grows to eighteen times its length.
        assert!(AliasName::parse(&"\u{fdfa}".repeat(NAME_BYTES_MAX / 3)).is_err());
        let error = AliasName::parse("CANARY\u{200b}").expect_err("hidden").to_string();
        assert!(!error.contains("CANARY"));
    }

    proptest! {
        #[test]
        fn the_one_spelling_of_a_name_is_its_own(text in "\\PC{0,40}") {
            if let Ok(name) = AliasName::parse(&text) {
                prop_assert_eq!(AliasName::parse(name.as_str()).expect("canonical"), name.clone());
                prop_assert_eq!(AliasName::parse(&format!(" {text}. ")).map(|variant| variant == name).unwrap_or(true), true);
            }
        }
    }
}
