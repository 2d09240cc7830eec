//! Password policies: how long a password is and what it is made of, read from HCL or JSON, and passwords drawn uniformly of all that follow one.
//!
//! The language is that of HashiCorp Vault's password policies.

mod parse;
mod stored;

pub(crate) use stored::{Stored, check_policy, generate};

use crate::host::{Rng, RngError};
use crate::policy::PolicyError;
use crate::types::limits::{PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN};
use crate::types::{Code, Error, SecretString};
use zeroize::{Zeroize, Zeroizing};

/// Candidates that are drawn for one password before the policy counts as one that no password follows.
const CANDIDATES_MAX: u32 = 100_000;
/// Candidates among which a new policy must have a password.
const TRIAL_CANDIDATES_MAX: u32 = 1_000;
/// Random bytes that are drawn at a time.
const BLOCK_BYTES: usize = 256;

/// A password policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PasswordPolicy {
    /// How many characters a password has.
    length: usize,
    /// The characters of all rules, each once, with the rules (by bit) that it counts for.
    characters: Vec<(char, u64)>,
    /// How many characters of its own each rule wants at least.
    minimums: Vec<usize>,
}

/// Why there is no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// The policy's text does not parse.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The length is one that no policy may have.
    #[error("passwords must be between {PASSWORD_CHARACTERS_MIN} and {PASSWORD_CHARACTERS_MAX} characters")]
    Length,
    /// There is no character to choose.
    #[error("the policy has no rule: write one, such as rule \"charset\" {{ charset = \"abcdefghijklmnopqrstuvwxyz\" min-chars = 1 }}")]
    NoRule,
    /// The rules ask for more characters than there are.
    #[error("the rules ask for at least {0} characters, which is more than the length")]
    TooMany(usize),
    /// Nearly nothing that is drawn follows the rules.
    #[error("hardly any random text follows the rules: raise the length, or lower the \"min-chars\" of the small charsets")]
    Rare,
    /// No randomness.
    #[error("the operating system gave no randomness")]
    NoEntropy,
}

impl From<RngError> for PasswordError {
    fn from(_: RngError) -> Self {
        PasswordError::NoEntropy
    }
}

impl From<PasswordError> for Error {
    fn from(error: PasswordError) -> Self {
        let code = if error == PasswordError::NoEntropy { Code::NoEntropy } else { Code::InvalidPolicy };
        Error::new(code, error.to_string())
    }
}

impl PasswordPolicy {
    /// Reads a policy, in HCL or (where it starts with `{`) in JSON.
    pub(crate) fn parse(text: &str) -> Result<Self, PasswordError> {
        let written = parse::parse(text)?;
        let mut policy = PasswordPolicy { length: written.length, characters: Vec::new(), minimums: Vec::new() };
        if !(PASSWORD_CHARACTERS_MIN..=PASSWORD_CHARACTERS_MAX).contains(&policy.length) {
            return Err(PasswordError::Length);
        }
        for rule in written.rules {
            let bit = 1 << policy.minimums.len();
            policy.minimums.push(rule.minimum);
            policy.characters.extend(rule.charset.chars().map(|character| (character, bit)));
        }
        if policy.characters.is_empty() {
            return Err(PasswordError::NoRule);
        }
        policy.characters.sort_unstable();
        policy.characters.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            kept.1 |= if is_same { next.1 } else { 0 };
            is_same
        });
        let least = policy.minimums.iter().fold(0_usize, |sum, minimum| sum.saturating_add(*minimum));
        if least > policy.length { Err(PasswordError::TooMany(least)) } else { Ok(policy) }
    }

    /// What holds where no policy is named: 20 characters of base 62 and `-`, at least one of each kind.
    pub(crate) fn standard() -> Self {
        const TEXT: &str = r#"
            length = 20
            rule "charset" { charset = "abcdefghijklmnopqrstuvwxyz" min-chars = 1 }
            rule "charset" { charset = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" min-chars = 1 }
            rule "charset" { charset = "0123456789" min-chars = 1 }
            rule "charset" { charset = "-" min-chars = 1 }"#;
        PasswordPolicy::parse(TEXT).expect("the standard policy parses: a test reads it")
    }

    /// Refuses a policy that hardly any text follows: its passwords would take too long to be found.
    pub(crate) fn check_common(&self, rng: &dyn Rng) -> Result<(), PasswordError> {
        self.draw(rng, TRIAL_CANDIDATES_MAX).map(drop)
    }

    /// A password, each that follows the policy as likely as any other.
    pub(crate) fn generate(&self, rng: &dyn Rng) -> Result<SecretString, PasswordError> {
        self.draw(rng, CANDIDATES_MAX)
    }

    fn draw(&self, rng: &dyn Rng, candidates_max: u32) -> Result<SecretString, PasswordError> {
        let mut numbers = Numbers::new(rng, self.characters.len());
        let mut text = Zeroizing::new(String::with_capacity(self.length * char::MAX.len_utf8()));
        let mut counts = vec![0; self.minimums.len()];
        for _ in 0..candidates_max {
            text.zeroize();
            counts.fill(0_usize);
            for _ in 0..self.length {
                let (character, rules) = self.characters[numbers.next()?];
                text.push(character);
                counts.iter_mut().enumerate().for_each(|(rule, count)| *count += usize::from(rules >> rule & 1 == 1));
            }
            if counts.iter().zip(&self.minimums).all(|(count, minimum)| count >= minimum) {
                return Ok(SecretString::copy_from(&text));
            }
        }
        Err(PasswordError::Rare)
    }
}

/// Uniform numbers below a bound, from randomness in blocks.
struct Numbers<'r> {
    rng: &'r dyn Rng,
    below: u32,
    block: Zeroizing<[u8; BLOCK_BYTES]>,
    used: usize,
}

impl<'r> Numbers<'r> {
    /// `below` is at least 1; policies have fewer characters than 2^16.
    fn new(rng: &'r dyn Rng, below: usize) -> Self {
        let below = u32::try_from(below).expect("the text of a policy is limited, and so its characters");
        Numbers { rng, below, block: Zeroizing::new([0; BLOCK_BYTES]), used: BLOCK_BYTES }
    }

    fn next(&mut self) -> Result<usize, RngError> {
        const RANGE: u32 = 1 << 16;
        loop {
            if self.used == BLOCK_BYTES {
                self.rng.fill(&mut *self.block)?;
                self.used = 0;
            }
            let drawn = u32::from(u16::from_le_bytes([self.block[self.used], self.block[self.used + 1]]));
            self.used += 2;
            // What lies above the last whole multiple would favour the first characters.
            if drawn < RANGE - RANGE % self.below {
                return Ok((drawn % self.below) as usize);
            }
        }
    }
}

#[cfg(test)]
#[path = "password_tests.rs"]
mod tests;
