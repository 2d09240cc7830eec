//! A directory with all that is in it, in memory: built, compared, laid out on disk, read back.

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Contents by path, parents before what is in them; `None` for directories.
#[derive(Clone, Default, PartialEq)]
pub struct Tree(BTreeMap<String, Option<Vec<u8>>>);

impl Tree {
    pub fn insert(&mut self, path: String, content: Option<Vec<u8>>) {
        self.0.insert(path, content);
    }

    pub fn entries(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.0.iter().map(|(path, content)| (path.as_str(), content.as_deref()))
    }

    /// Equal trees have equal hashes.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (path, content) in &self.0 {
            let length = content.as_ref().map_or(u64::MAX, |content| content.len() as u64);
            hash.update((path.len() as u64).to_le_bytes());
            hash.update(path);
            hash.update(length.to_le_bytes());
            hash.update(content.as_deref().unwrap_or_default());
        }
        hash.finalize().into()
    }

    /// What lies in a directory.
    pub fn read(dir: &Path) -> Self {
        let mut tree = Tree::default();
        tree.read_below(dir, "");
        tree
    }

    fn read_below(&mut self, dir: &Path, prefix: &str) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                self.read_below(&entry.path(), &format!("{path}/"));
                self.insert(path, None);
            } else {
                self.insert(path, Some(fs::read(entry.path()).unwrap()));
            }
        }
    }

    /// Makes a directory hold this and nothing else; the inodes of what it holds.
    pub fn lay_out(&self, dir: &Path) -> HashMap<String, u64> {
        if dir.exists() {
            fs::remove_dir_all(dir).unwrap();
        }
        fs::create_dir(dir).unwrap();
        let mut inodes = HashMap::new();
        for (path, content) in &self.0 {
            let at = dir.join(path);
            match content {
                None => fs::create_dir(&at).unwrap(),
                Some(content) => {
                    fs::write(&at, content).unwrap();
                    fs::set_permissions(&at, fs::Permissions::from_mode(0o600)).unwrap();
                }
            }
            inodes.insert(path.clone(), fs::metadata(&at).unwrap().ino());
        }
        inodes
    }

    /// Where two trees differ, in words.
    pub fn differences(&self, other: &Tree) -> Vec<String> {
        let mut paths: Vec<&String> = self.0.keys().chain(other.0.keys()).collect();
        paths.sort();
        paths.dedup();
        let length = |tree: &Tree, path: &String| tree.0.get(path).map(|content| content.as_ref().map(Vec::len));
        let differing = paths.into_iter().filter(|path| self.0.get(*path) != other.0.get(*path));
        differing.map(|path| format!("{path}: {:?} and {:?} bytes", length(self, path), length(other, path))).collect()
    }
}
