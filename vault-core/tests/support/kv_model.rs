//! KV version 2 against a plain model: bytes are operations, and after each of them vault and model say the same of all secrets.
#![allow(unreachable_pub, reason = "a test binary and a fuzz target take it in as a module")]

use std::collections::BTreeMap;
use std::sync::Arc;
use vault_core::host::ManualClock;
use vault_core::types::{Code, Error, Object, Operation, Timestamp, Ttl, Value};
use vault_core::{Config, NewSeal, Session, Vault};

const PATHS: [&str; 4] = ["a", "b", "b/c", "b/d/e"];
const DELAYS: [i64; 5] = [0, 5, 60, 3600, -1];

/// What a mount or a secret says.
#[derive(Clone, Copy, Default)]
struct Rules {
    max_versions: u64,
    cas_required: bool,
    delay: i64,
}

#[derive(Clone)]
struct Version {
    content: BTreeMap<u8, u8>,
    deleted: bool,
    /// The second from which it is deleted by itself.
    expires: Option<u64>,
    destroyed: bool,
}

#[derive(Clone, Default)]
struct Secret {
    current: u64,
    versions: BTreeMap<u64, Version>,
    rules: Rules,
    owner: Option<u8>,
}

struct Model {
    vault: Vault,
    root: Session,
    clock: Arc<ManualClock>,
    now: u64,
    mount: Rules,
    secrets: BTreeMap<usize, Secret>,
}

/// The bytes of an input, one after another; zero when there are no more.
struct Input<'b>(std::slice::Iter<'b, u8>);

impl Input<'_> {
    fn below(&mut self, end: u8) -> u8 {
        self.0.next().map_or(0, |byte| byte % end)
    }
}

/// Carries the operations out, and panics where vault and model differ.
pub fn run(bytes: &[u8]) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let config = Config::in_memory().with_clock(clock.clone());
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&[7; 32]).expect("a key")).expect("created");
    let root = vault.session(init.root_token);
    let mut model = Model { vault, root, clock, now: 1_000_000, mount: Rules::default(), secrets: BTreeMap::new() };
    let mut input = Input(bytes.iter());
    while input.0.len() > 0 {
        model.step(&mut input);
    }
    model.vault.verify().expect("what the vault wrote verifies");
}

impl Model {
    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.below(11);
        let place = usize::from(input.below(4));
        match operation {
            0 | 1 => self.put(place, input),
            2 | 3 => self.patch(place, input),
            4 => self.delete_newest(place),
            5 => self.on_versions(place, input, "delete", |version, now, _| {
                version.deleted |= version.is_readable(now);
            }),
            6 => self.on_versions(place, input, "undelete", |version, now, rules| {
                (version.deleted, version.expires) = (false, rules.expiry(now));
            }),
            7 => self.on_versions(place, input, "destroy", |version, _, _| version.destroyed = true),
            8 => self.write_rules(place, input),
            9 => {
                self.ask(Operation::Delete, &format!("metadata/{}", PATHS[place]), Object::new()).expect("deleted");
                self.secrets.remove(&place);
            }
            _ => {
                let seconds = [1, 5, 60, 3600][usize::from(input.below(4))];
                self.now += seconds;
                self.clock.advance(Ttl::from_secs(seconds));
            }
        }
        (0..PATHS.len()).for_each(|place| self.compare(place));
        self.compare_listing(input);
    }

    fn ask(&self, operation: Operation, path: &str, data: Object) -> Result<Option<Value>, Error> {
        self.root.request(operation, &format!("secret/{path}"), Some(data.into())).map(|response| response.data)
    }

    fn rules_of(&self, secret: &Secret) -> Rules {
        let (mount, key) = (self.mount, secret.rules);
        let delays = [mount.delay, key.delay].into_iter().filter(|delay| *delay > 0);
        Rules {
            max_versions: match mount.max_versions.max(key.max_versions) {
                0 => 10,
                most => most,
            },
            cas_required: mount.cas_required || key.cas_required,
            delay: if mount.delay < 0 { 0 } else { delays.min().unwrap_or(0) },
        }
    }

    /// A number for check-and-set, or none; and what becomes of a write with it.
    fn cas(&self, secret: &Secret, input: &mut Input<'_>) -> (Option<u64>, Option<Code>) {
        let cas = match input.below(4) {
            0 | 1 => None,
            2 => Some(secret.current),
            _ => Some(u64::from(input.below(4))),
        };
        let refused = match cas {
            None if self.rules_of(secret).cas_required => Some(Code::InvalidRequest),
            Some(cas) if cas != secret.current => Some(Code::CasMismatch),
            _ => None,
        };
        (cas, refused)
    }

    fn put(&mut self, place: usize, input: &mut Input<'_>) {
        let secret = self.secrets.get(&place).cloned().unwrap_or_default();
        let (cas, refused) = self.cas(&secret, input);
        let content: BTreeMap<u8, u8> = (0..input.below(3)).map(|_| (input.below(4), input.below(8))).collect();
        let data = content.iter().fold(Object::new(), |all, (name, value)| all.with(&name.to_string(), u32::from(*value)));
        self.write(place, Operation::Write, (data, cas), refused, secret, content);
    }

    fn patch(&mut self, place: usize, input: &mut Input<'_>) {
        let secret = self.secrets.get(&place).cloned().unwrap_or_default();
        let (cas, mut refused) = self.cas(&secret, input);
        let newest = secret.versions.get(&secret.current);
        if newest.is_none() && (refused.is_none() || !self.secrets.contains_key(&place)) {
            refused = Some(Code::NotFound);
        } else if newest.is_some_and(|newest| !newest.is_readable(self.now)) {
            refused = refused.or(Some(Code::VersionDeleted));
        }
        let mut content = newest.map(|newest| newest.content.clone()).unwrap_or_default();
        let mut data = Object::new();
        for _ in 0..input.below(3) {
            let (name, value) = (input.below(4), input.below(8));
            if value == 0 {
                content.remove(&name);
                data.insert(&name.to_string(), Value::Null);
            } else {
                content.insert(name, value);
                data.insert(&name.to_string(), u32::from(value));
            }
        }
        self.write(place, Operation::Patch, (data, cas), refused, secret, content);
    }

    fn write(
        &mut self,
        place: usize,
        operation: Operation,
        (data, cas): (Object, Option<u64>),
        refused: Option<Code>,
        mut secret: Secret,
        content: BTreeMap<u8, u8>,
    ) {
        let body = Object::new().with("data", data).with("options", Object::new().with("cas", cas));
        let answer = self.ask(operation, &format!("data/{}", PATHS[place]), body);
        assert_eq!(answer.as_ref().err().map(Error::code), refused, "{operation:?} {place}");
        let Ok(answer) = answer else { return };
        let rules = self.rules_of(&secret);
        secret.current += 1;
        assert_eq!(answer.expect("a row").get("version").and_then(Value::as_u64), Some(secret.current));
        let version = Version { content, deleted: false, expires: rules.expiry(self.now), destroyed: false };
        secret.versions.insert(secret.current, version);
        while secret.versions.len() as u64 > rules.max_versions {
            secret.versions.pop_first();
        }
        self.secrets.insert(place, secret);
    }

    fn delete_newest(&mut self, place: usize) {
        self.ask(Operation::Delete, &format!("data/{}", PATHS[place]), Object::new()).expect("deleted");
        let now = self.now;
        if let Some(secret) = self.secrets.get_mut(&place) {
            let current = secret.current;
            if let Some(version) = secret.versions.get_mut(&current).filter(|version| version.is_readable(now)) {
                version.deleted = true;
            }
        }
    }

    fn on_versions(&mut self, place: usize, input: &mut Input<'_>, verb: &str, change: impl Fn(&mut Version, u64, Rules)) {
        let numbers: Vec<u64> = (0..=input.below(2)).map(|_| u64::from(input.below(12))).collect();
        let body = Object::new().with("versions", numbers.clone());
        self.ask(Operation::Write, &format!("{verb}/{}", PATHS[place]), body).expect("changed");
        let Some(mut secret) = self.secrets.remove(&place) else { return };
        let rules = self.rules_of(&secret);
        for number in numbers {
            if let Some(version) = secret.versions.get_mut(&number).filter(|version| !version.destroyed) {
                change(version, self.now, rules);
            }
        }
        self.secrets.insert(place, secret);
    }

    /// Of a secret, or of the mount.
    fn write_rules(&mut self, place: usize, input: &mut Input<'_>) {
        let of_mount = input.below(3) == 0;
        let rules = Rules {
            max_versions: u64::from(input.below(5)),
            cas_required: input.below(4) == 0,
            delay: DELAYS[usize::from(input.below(if of_mount { 5 } else { 4 }))],
        };
        let body = Object::new()
            .with("max_versions", rules.max_versions)
            .with("cas_required", rules.cas_required)
            .with("delete_version_after", format!("{}s", rules.delay));
        if of_mount {
            self.ask(Operation::Write, "config", body).expect("written");
            self.mount = rules;
            return;
        }
        let owner = input.below(3);
        let body = if owner == 0 { body } else { body.with("custom_metadata", Object::new().with("owner", owner.to_string())) };
        self.ask(Operation::Write, &format!("metadata/{}", PATHS[place]), body).expect("written");
        let secret = self.secrets.entry(place).or_default();
        secret.rules = rules;
        secret.owner = (owner != 0).then_some(owner).or(secret.owner);
    }

    fn compare(&self, place: usize) {
        let (kv, path) = (self.root.kv("secret"), PATHS[place]);
        let Some(secret) = self.secrets.get(&place) else {
            assert_eq!(kv.metadata(path).expect_err("nothing is there").code(), Code::NotFound);
            assert_eq!(kv.get(path).expect_err("nothing is there").code(), Code::NotFound);
            return;
        };
        let metadata = kv.metadata(path).expect("it is there");
        assert_eq!(metadata.current_version, secret.current);
        assert_eq!(metadata.settings.max_versions, Some(secret.rules.max_versions));
        assert_eq!(metadata.custom_metadata.get("owner").cloned(), secret.owner.map(|owner| owner.to_string()));
        let rows: Vec<_> = metadata.versions.iter().map(|row| (row.version, row.destroyed)).collect();
        assert_eq!(rows, secret.versions.iter().map(|(number, version)| (*number, version.destroyed)).collect::<Vec<_>>());
        for number in 1..=secret.current {
            let read = kv.get_version(path, number);
            match secret.versions.get(&number) {
                None => assert_eq!(read.expect_err("it was pushed out").code(), Code::NotFound),
                Some(version) if !version.is_readable(self.now) => {
                    assert_eq!(read.expect_err("it is deleted").code(), Code::VersionDeleted, "{path} {number}");
                }
                Some(version) => {
                    let data = read.unwrap_or_else(|error| panic!("{path} {number}: {error}")).data;
                    let content = data.iter().map(|(name, value)| (name.parse().expect("a digit"), value.as_u64()));
                    let expected = version.content.iter().map(|(name, value)| (*name, Some(u64::from(*value))));
                    assert_eq!(content.collect::<Vec<(u8, _)>>(), expected.collect::<Vec<_>>(), "{path} {number}");
                }
            }
        }
    }

    fn compare_listing(&self, input: &mut Input<'_>) {
        let limit = u64::from(input.below(3)) + 1;
        for folder in ["", "b/", "b/d/"] {
            let below = self.secrets.keys().filter_map(|place| PATHS[*place].strip_prefix(folder));
            let mut names: Vec<String> = below.map(|rest| rest.split_inclusive('/').next().unwrap_or_default().to_owned()).collect();
            names.sort();
            names.dedup();
            let (mut listed, mut after) = (Vec::new(), String::new());
            while let Ok(page) = self.root.kv("secret").list_page(folder, &after, limit) {
                let Some(last) = page.last() else { break };
                after.clone_from(last);
                listed.extend(page);
            }
            assert_eq!(listed, names, "{folder}");
        }
    }
}

impl Version {
    fn is_readable(&self, now: u64) -> bool {
        !self.destroyed && !self.deleted && self.expires.is_none_or(|expires| now < expires)
    }
}

impl Rules {
    fn expiry(self, now: u64) -> Option<u64> {
        (self.delay > 0).then(|| now + self.delay.unsigned_abs())
    }
}
