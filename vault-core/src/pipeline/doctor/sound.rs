//! A view of a damaged store that shows what decrypts, and nothing else.

use super::spaces::{Spaces, Whose};
use crate::barrier::fixed;
use crate::storage::{Key, Page, Read, StorageError};

/// The records of a store that are what a vault wrote, each by itself.
pub(super) struct Sound<'a> {
    pub(super) spaces: &'a Spaces,
    pub(super) records: &'a dyn Read,
}

impl Sound<'_> {
    fn is_sound(&self, key: &Key, record: &[u8]) -> bool {
        fixed::is_bare(key.as_bytes()) || matches!(self.spaces.whose(key, record), Whose::Space(..))
    }
}

impl Read for Sound<'_> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.records.get(key)?.filter(|record| self.is_sound(key, record)))
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        let mut page = Page::new();
        let mut after = after.copied();
        while page.len() < limit {
            let asked = limit - page.len();
            let found = self.records.scan(prefix, after.as_ref(), asked)?;
            after = found.last().map(|(key, _)| *key);
            let ended = found.len() < asked;
            page.extend(found.into_iter().filter(|(key, record)| self.is_sound(key, record)));
            if ended {
                break;
            }
        }
        Ok(page)
    }
}
