//! Key shares: a slot's key split by Shamir's scheme (1979) over GF(2^8), so that any `threshold` of them give it back and fewer tell nothing.
//!
//! A share is the text `lvs1` and the base64url of `set (8) | threshold (1) | count (1) | x (1) | y (32) | check (4)`, where the check is the
//! beginning of the SHA-256 of what comes before: a mistyped share is told from a foreign one. The header keeps a digest of each share, so that
//! one that was altered is named before it spoils the rest.

use super::SealError;
use crate::crypto::{Key256, sha256};
use crate::host::{Rng, RngError};
use crate::types::SecretString;
use crate::types::id::Id;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::{Decode, Encode};
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;
use subtle::ConstantTimeEq;
use vsss_rs::Gf256;
use zeroize::Zeroizing;

const PREFIX: &str = "lvs1";
const SET_BYTES: usize = 8;
const BODY_BYTES: usize = SET_BYTES + 3 + 32;
const CHECK_BYTES: usize = 4;
const DIGEST_BYTES: usize = 16;

/// What the header knows of a set of shares.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct ShareSet {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; SET_BYTES],
    #[n(1)]
    pub(super) threshold: u8,
    #[n(2)]
    pub(super) count: u8,
    /// 16 bytes for each share, in order.
    #[cbor(n(3), with = "minicbor::bytes")]
    digests: Vec<u8>,
}

/// One share, taken apart: `x` and the 32 bytes of `y`.
pub(super) struct Share {
    set: [u8; SET_BYTES],
    threshold: u8,
    count: u8,
    point: Zeroizing<Vec<u8>>,
}

impl ShareSet {
    /// Splits a key into `count` shares, of which `threshold` give it back.
    pub(super) fn deal(
        rng: &dyn Rng,
        store: &Id,
        key: &Key256,
        count: u8,
        threshold: u8,
    ) -> Result<(ShareSet, Vec<SecretString>), SealError> {
        check_numbers(count, threshold)?;
        let id = rng.array()?;
        let mut set = ShareSet { id, threshold, count, digests: Vec::new() };
        let mut shares = Vec::new();
        for point in split(rng, key, count, threshold)? {
            set.digests.extend_from_slice(&digest(store, &id, &point));
            shares.push(Share { set: id, threshold, count, point }.to_text());
        }
        Ok((set, shares))
    }

    /// Whether this share is of this set.
    pub(super) fn is_of(&self, share: &Share) -> bool {
        share.set == self.id
    }

    /// Refuses a share that this set did not give out as it is.
    pub(super) fn check(&self, store: &Id, share: &Share) -> Result<(), SealError> {
        let start = usize::from(share.x()).checked_sub(1).map(|index| index * DIGEST_BYTES);
        let expected = start.and_then(|start| self.digests.get(start..start + DIGEST_BYTES)).ok_or(SealError::AlteredShare)?;
        let sound = digest(store, &self.id, &share.point).ct_eq(expected).into();
        if sound && share.threshold == self.threshold && share.count == self.count { Ok(()) } else { Err(SealError::AlteredShare) }
    }

    /// The key, from shares that were checked.
    pub(super) fn combine(&self, shares: &[&Share]) -> Result<Key256, SealError> {
        let mut points: Vec<&Share> = Vec::new();
        for share in shares {
            if points.iter().all(|point| point.x() != share.x()) {
                points.push(share);
            }
        }
        if points.len() < usize::from(self.threshold) {
            return Err(SealError::NotEnoughShares { have: points.len(), need: usize::from(self.threshold) });
        }
        points.truncate(usize::from(self.threshold));
        let secret = if self.threshold == 1 {
            Zeroizing::new(points[0].point[1..].to_vec())
        } else {
            let points = Zeroizing::new(points.iter().map(|share| share.point.to_vec()).collect::<Vec<_>>());
            Zeroizing::new(Gf256::combine_bytes(&*points).map_err(|_| SealError::AlteredShare)?)
        };
        secret.as_slice().try_into().map(Key256::from_bytes).map_err(|_| SealError::AlteredShare)
    }
}

impl Share {
    /// Which of the shares it is; they count from 1.
    pub(super) fn x(&self) -> u8 {
        self.point[0]
    }

    /// The share of such a text, white space around it left aside.
    pub(super) fn parse(text: &str) -> Result<Self, SealError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(SealError::BadShare)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealError::BadShare)?);
        let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(SealError::BadShare)?;
        if body.len() != BODY_BYTES || sha256(&[body])[..CHECK_BYTES] != *check {
            return Err(SealError::BadShare);
        }
        let mut set = [0; SET_BYTES];
        set.copy_from_slice(&body[..SET_BYTES]);
        let point = Zeroizing::new(body[SET_BYTES + 2..].to_vec());
        Ok(Share { set, threshold: body[SET_BYTES], count: body[SET_BYTES + 1], point })
    }

    fn to_text(&self) -> SecretString {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_BYTES + CHECK_BYTES));
        bytes.extend_from_slice(&self.set);
        bytes.extend_from_slice(&[self.threshold, self.count]);
        bytes.extend_from_slice(&self.point);
        let check = sha256(&[&bytes]);
        bytes.extend_from_slice(&check[..CHECK_BYTES]);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + (BODY_BYTES + CHECK_BYTES) * 4 / 3 + 4));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        SecretString::copy_from(&text)
    }
}

/// As Vault has it: from 1 to 255 shares, at least 2 of which are needed unless there is but one.
pub(super) fn check_numbers(count: u8, threshold: u8) -> Result<(), SealError> {
    let sound = threshold >= 1 && threshold <= count && (threshold > 1 || count == 1);
    if sound { Ok(()) } else { Err(SealError::BadShareNumbers) }
}

/// The points of the polynomials: `x` and 32 bytes of `y` each.
fn split(rng: &dyn Rng, key: &Key256, count: u8, threshold: u8) -> Result<Vec<Zeroizing<Vec<u8>>>, SealError> {
    if threshold == 1 {
        return Ok(vec![Zeroizing::new([&[1], &key.expose()[..]].concat())]);
    }
    let mut source = Source { rng, failed: false };
    let points = Gf256::split_bytes(usize::from(threshold), usize::from(count), key.expose(), &mut source);
    let points: Vec<_> = points.map_err(|_| SealError::BadShareNumbers)?.into_iter().map(Zeroizing::new).collect();
    if source.failed { Err(RngError.into()) } else { Ok(points) }
}

fn digest(store: &Id, set: &[u8; SET_BYTES], point: &[u8]) -> [u8; DIGEST_BYTES] {
    let hash = sha256(&[b"libvault v0 share", store.as_bytes(), set, point]);
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(&hash[..DIGEST_BYTES]);
    digest
}

/// The vault's randomness as the library wants it; a failure is noted, and what was made of it is thrown away.
struct Source<'r> {
    rng: &'r dyn Rng,
    failed: bool,
}

impl TryRng for Source<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        self.failed |= self.rng.fill(buffer).is_err();
        Ok(())
    }
}

impl TryCryptoRng for Source<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::SystemRng;

    const STORE: Id = Id::from_bytes([3; 16]);

    fn key() -> Key256 {
        Key256::from_bytes(&[0xA5; 32])
    }

    fn parsed(shares: &[SecretString]) -> Vec<Share> {
        shares.iter().map(|share| Share::parse(share.expose()).expect("own text")).collect()
    }

    #[test]
    fn any_threshold_of_shares_gives_the_key_and_fewer_do_not() {
        for (count, threshold) in [(1, 1), (2, 2), (3, 2), (5, 3), (255, 200)] {
            let (set, shares) = ShareSet::deal(&SystemRng::new(), &STORE, &key(), count, threshold).expect("dealt");
            let shares = parsed(&shares);
            assert_eq!(shares.len(), usize::from(count));
            shares.iter().for_each(|share| set.check(&STORE, share).expect("own share"));
            for start in 0..=usize::from(count - threshold) {
                let some: Vec<&Share> = shares[start..start + usize::from(threshold)].iter().rev().collect();
                assert_eq!(set.combine(&some).expect("enough").expose(), key().expose());
                let have = some.len() - 1;
                assert!(matches!(set.combine(&some[1..]), Err(SealError::NotEnoughShares { have: h, .. }) if h == have));
            }
            let twice = vec![&shares[0]; usize::from(threshold)];
            assert_eq!(set.combine(&twice).is_ok(), threshold == 1, "the same share again is no further share");
        }
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for (count, threshold) in [(0, 0), (1, 0), (0, 1), (2, 3), (3, 1)] {
            let dealt = ShareSet::deal(&SystemRng::new(), &STORE, &key(), count, threshold);
            assert!(matches!(dealt, Err(SealError::BadShareNumbers)), "{threshold} of {count}");
        }
    }

    #[test]
    fn a_wrong_share_is_named_as_mistyped_foreign_or_altered() {
        let deal = || ShareSet::deal(&SystemRng::new(), &STORE, &key(), 3, 2).expect("dealt");
        let (set, shares) = deal();
        let text = shares[0].expose();
        for bad in ["", "lvs1", "lvs1!", &text[1..], &text[..text.len() - 1], &format!("{text}A"), &text.replace("lvs1", "lvs2")] {
            assert!(matches!(Share::parse(bad), Err(SealError::BadShare)), "{bad}");
        }
        let mut mistyped = 0;
        for (at, original) in text.char_indices().skip(PREFIX.len()) {
            let other = if original == 'A' { 'B' } else { 'A' };
            let bad: String = text.char_indices().map(|(i, c)| if i == at { other } else { c }).collect();
            mistyped += usize::from(matches!(Share::parse(&bad), Err(SealError::BadShare)));
        }
        assert_eq!(mistyped, text.len() - PREFIX.len());
        let (_, others) = deal();
        let other = Share::parse(others[0].expose()).expect("own text");
        assert!(!set.is_of(&other));
        let mut altered = Share::parse(text).expect("own text");
        altered.point[7] ^= 1;
        let altered = Share::parse(altered.to_text().expose()).expect("its check is right again");
        assert!(set.is_of(&altered) && matches!(set.check(&STORE, &altered), Err(SealError::AlteredShare)));
        let mut zero = Share::parse(text).expect("own text");
        zero.point[0] = 0;
        assert!(matches!(set.check(&STORE, &zero), Err(SealError::AlteredShare)), "x = 0 would be the key itself");
        assert!(Share::parse(&format!("  {text}\n")).is_ok());
    }

    #[test]
    fn every_value_of_a_share_is_as_likely_as_any_other() {
        // With coefficients that cannot be zero, no byte of the first share would equal the key's (RUSTSEC-2024-0398).
        let mut equal = 0_u32;
        for _ in 0..400 {
            let points = split(&SystemRng::new(), &key(), 2, 2).expect("split");
            equal += u32::try_from(points[0][1..].iter().filter(|byte| **byte == 0xA5).count()).expect("few");
        }
        // 12,800 bytes: 50 expected, and fewer than 15 or more than 110 in less than one of 10^6 runs.
        assert!((15..110).contains(&equal), "{equal}");
    }

    /// GF(2^8) as Shamir's scheme is commonly laid over it (the polynomial 0x11b of AES), written out bit by bit.
    fn multiply(a: u8, b: u8) -> u8 {
        let (mut a, mut product) = (u16::from(a), 0_u16);
        for bit in 0..8 {
            product ^= if b >> bit & 1 == 1 { a } else { 0 };
            a = if a & 0x80 == 0 { a << 1 } else { (a << 1) ^ 0x11B };
        }
        u8::try_from(product).expect("reduced")
    }

    fn inverse(a: u8) -> u8 {
        (1..=u8::MAX).find(|b| multiply(a, *b) == 1).expect("every number but 0 has one")
    }

    /// The value at 0 of the polynomial through these points: Lagrange's formula, as the textbooks have it.
    fn value_at_zero(points: &[(u8, u8)]) -> u8 {
        let term = |(x, y): &(u8, u8)| {
            let others = points.iter().filter(|(other, _)| other != x);
            others.fold(*y, |term, (other, _)| multiply(term, multiply(*other, inverse(other ^ x))))
        };
        points.iter().map(term).fold(0, |sum, term| sum ^ term)
    }

    #[test]
    fn shares_are_points_of_polynomials_as_another_implementation_reads_them() {
        assert_eq!((multiply(0x57, 0x83), inverse(0x53)), (0xC1, 0xCA), "FIPS 197, section 4.2, and its S-box");
        let mut read = 0;
        for (count, threshold) in [(2, 2), (3, 2), (5, 3), (7, 7), (20, 4), (255, 2)] {
            let points = split(&SystemRng::new(), &key(), count, threshold).expect("split");
            for start in (0..=usize::from(count - threshold)).step_by(3) {
                let some = &points[start..start + usize::from(threshold)];
                let secret: Vec<u8> =
                    (1..=32).map(|byte| value_at_zero(&some.iter().map(|point| (point[0], point[byte])).collect::<Vec<_>>())).collect();
                assert_eq!(secret, key().expose(), "{threshold} of {count} from {start}");
                let fewer: Vec<u8> = (1..=32)
                    .map(|byte| value_at_zero(&some[1..].iter().map(|point| (point[0], point[byte])).collect::<Vec<_>>()))
                    .collect();
                assert_ne!(fewer, key().expose());
                read += 1;
            }
        }
        assert_eq!(read, 1 + 1 + 1 + 1 + 6 + 85);
    }

    #[test]
    fn shares_that_another_implementation_made_give_the_key() {
        // y = key + 3x + 5x^2 in each of the 32 polynomials, with coefficients that differ from byte to byte.
        let value = |byte: u8, x: u8| 0xA5 ^ multiply(3 ^ byte, x) ^ multiply(5 ^ byte, multiply(x, x));
        let share = |x: u8| {
            let point = Zeroizing::new(std::iter::once(x).chain((0..32).map(|byte| value(byte, x))).collect::<Vec<u8>>());
            Share { set: [1; SET_BYTES], threshold: 3, count: 9, point }
        };
        let set = ShareSet { id: [1; SET_BYTES], threshold: 3, count: 9, digests: Vec::new() };
        for xs in [[1, 2, 3], [9, 4, 7], [3, 9, 1]] {
            let shares = xs.map(share);
            assert_eq!(set.combine(&shares.each_ref()).expect("enough").expose(), key().expose(), "{xs:?}");
        }
    }

    #[test]
    fn without_randomness_nothing_is_dealt() {
        struct Broken;
        impl Rng for Broken {
            fn fill(&self, _buffer: &mut [u8]) -> Result<(), RngError> {
                Err(RngError)
            }
        }
        assert!(matches!(split(&Broken, &key(), 3, 2), Err(SealError::Rng(_))));
    }
}
