//! The limits that nobody gets past who stands on the same parts: one look-up, one decryption, one append that is made durable.

use crate::measure::Contestant;
use aes_gcm_siv::Aes256GcmSiv;
use aes_gcm_siv::aead::{AeadInOut, KeyInit};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

/// What a record has beside its secret, in bytes: its head, metadata, nonce, tag and JSON.
pub const RECORD_BYTES: usize = 128;
/// Associated data of a record, in bytes.
const AAD: [u8; 54] = [3; 54];

/// A bare sled tree with as many records as there are secrets, under keys as short as the vault's.
pub struct RawSled {
    db: sled::Db,
    keys: Vec<[u8; 17]>,
}

impl RawSled {
    pub fn filled(folder: &Path, secrets: u64, bytes: usize) -> Self {
        let db = sled::Config::new().path(folder.join("raw-sled")).flush_every_ms(None).open().expect("sled opens");
        let keys: Vec<[u8; 17]> = (0..secrets).map(key).collect();
        for key in &keys {
            db.insert(key, vec![5; bytes + RECORD_BYTES]).expect("sled takes a record");
        }
        db.flush().expect("sled flushes");
        RawSled { db, keys }
    }

    pub fn get(&self) -> Contestant<'_> {
        Contestant::each("raw: sled get", |number| {
            let key = &self.keys[number.wrapping_mul(7919) as usize % self.keys.len()];
            let value = self.db.get(key).expect("sled reads").expect("it is there");
            black_box(value.to_vec());
        })
    }
}

/// A key without order, as hidden names are.
fn key(number: u64) -> [u8; 17] {
    let digest = ring::digest::digest(&ring::digest::SHA256, &number.to_le_bytes());
    let mut key = [1; 17];
    key[1..].copy_from_slice(&digest.as_ref()[..16]);
    key
}

/// The decryption of a record, by the same crate as in the vault.
pub fn siv_open(bytes: usize) -> Contestant<'static> {
    let key = Aes256GcmSiv::new(&[7; 32].into());
    let mut sealed = vec![5; bytes + RECORD_BYTES];
    let tag = key.encrypt_inout_detached(&[1; 12].into(), &AAD, sealed.as_mut_slice().into()).expect("it is short");
    Contestant::each("raw: AES-256-GCM-SIV open", move |_| {
        let mut buffer = sealed.clone();
        key.decrypt_inout_detached(&[1; 12].into(), &AAD, buffer.as_mut_slice().into(), &tag).expect("it is authentic");
        black_box(buffer);
    })
}

/// The same by AES-256-GCM of ring, which a nonce that repeats breaks.
pub fn gcm_open(bytes: usize) -> Contestant<'static> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("32 bytes"));
    let nonce = || Nonce::assume_unique_for_key([1; 12]);
    let mut sealed = vec![5; bytes + RECORD_BYTES];
    key.seal_in_place_append_tag(nonce(), Aad::from(AAD), &mut sealed).expect("it is short");
    Contestant::each("raw: AES-256-GCM open (ring)", move |_| {
        let mut buffer = sealed.clone();
        black_box(key.open_in_place(nonce(), Aad::from(AAD), &mut buffer).expect("it is authentic"));
    })
}

/// An append of a record to a file, made durable.
pub fn append(folder: &Path, bytes: usize) -> Contestant<'static> {
    let mut file = File::options().create(true).append(true).open(folder.join("appended")).expect("a file");
    let record = vec![5; bytes + RECORD_BYTES];
    Contestant::each("raw: append + fdatasync", move |_| {
        file.write_all(&record).expect("the device takes it");
        file.sync_data().expect("the device takes it");
    })
}
