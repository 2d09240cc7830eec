//! Opening what a cut has left, in a process of its own that opens one state after the other and is started anew when it dies or hangs.

use super::story::{AFTER, Contents, Run, SECRETS, Step, path, text};
use super::worker::{backup, carry_out, config_of, key, seal};
use super::{BACKEND, Scene, say};
use crate::support::{PLACE, child, text_of};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use vault_core::storage::Backend;
use vault_core::types::{Code, Error, Operation, SecretString};
use vault_core::{Session, Vault};

/// How long one state may take before it counts as hanging.
const HANGS_AFTER: Duration = Duration::from_secs(30);

/// What a state turned out to be.
#[derive(Clone, Debug)]
pub enum Answer {
    Opened {
        /// There was no vault, and one was made anew.
        again: bool,
        /// Records of the audit log.
        records: u64,
        contents: String,
    },
    /// It did not open, verify, or go on.
    Failed(String),
}

/// What is asked about the state that lies at a scene's place.
pub struct Question<'q> {
    pub run: Run,
    pub seed: u64,
    pub token: Option<&'q str>,
    pub recorded: bool,
}

/// A process that opens states.
pub struct Opener<'s> {
    scene: &'s Scene,
    backend: Backend,
    running: Option<(Child, Receiver<String>)>,
}

impl<'s> Opener<'s> {
    pub fn new(scene: &'s Scene, backend: Backend) -> Self {
        Opener { scene, backend, running: None }
    }

    pub fn ask(&mut self, question: &Question<'_>) -> Answer {
        let (process, lines) = self.running.get_or_insert_with(|| start(self.scene, self.backend));
        let Question { run, seed, token, recorded } = question;
        let asked = format!("{} {seed} {} {}\n", run.name(), token.unwrap_or("-"), u8::from(*recorded));
        // One that is dead by now is told by its silence.
        let _sent = process.stdin.as_mut().unwrap().write_all(asked.as_bytes());
        let why = loop {
            match lines.recv_timeout(HANGS_AFTER) {
                Ok(line) => {
                    if let Some(answer) = line.strip_prefix("answer\t") {
                        return parse(answer);
                    }
                }
                Err(RecvTimeoutError::Timeout) => break "it hangs".to_owned(),
                Err(RecvTimeoutError::Disconnected) => break "its process died".to_owned(),
            }
        };
        self.stop();
        Answer::Failed(format!("{why}: {}", fs::read_to_string(self.scene.beside("err")).unwrap()))
    }

    fn stop(&mut self) {
        if let Some((mut process, _)) = self.running.take() {
            // It may have died by itself.
            let _killed = process.kill();
            process.wait().unwrap();
        }
    }
}

impl Drop for Opener<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn start(scene: &Scene, backend: Backend) -> (Child, Receiver<String>) {
    let mut command = child("opener");
    command.env(PLACE, scene.place()).env(BACKEND, backend.name()).env("RUST_BACKTRACE", "0");
    scene.preload(&mut command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(scene.beside("err")).unwrap());
    let mut process = command.spawn().unwrap();
    let out = BufReader::new(process.stdout.take().unwrap());
    let (said, lines) = channel();
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
    (process, lines)
}

fn parse(answer: &str) -> Answer {
    let words: Vec<&str> = answer.split('\t').collect();
    match words[..] {
        ["opened", again, records, contents] => {
            Answer::Opened { again: again == "true", records: records.parse().unwrap(), contents: contents.to_owned() }
        }
        _ => Answer::Failed(words[1..].join(" ")),
    }
}

/// The other side: answers questions about what lies at `place` until there are no more.
pub fn serve(place: &Path) {
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let [run, seed, token, recorded] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line} is no question") };
        let (run, seed, token) = (Run::named(run), seed.parse().unwrap(), Some(token).filter(|token| *token != "-"));
        let turn = |name: &str| assert!(recorded == "0" || File::open(place.with_file_name(name)).is_err());
        turn("begin");
        let examined = catch_unwind(AssertUnwindSafe(|| examine(run, place, seed, token)));
        turn("end");
        let told = match examined {
            Ok(Ok((again, records, contents))) => format!("opened\t{again}\t{records}\t{contents}"),
            Ok(Err(error)) => format!("failed\t{:?} {error}", error.code()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
                format!("failed\tit panicked: {}", text.unwrap_or("without words"))
            }
        };
        say(&format!("answer\t{}", told.replace('\n', " ")));
    }
}

/// Opens the store, or makes it anew where there is none; verifies it, reads it, and goes on with it.
fn examine(run: Run, place: &Path, seed: u64, token: Option<&str>) -> Result<(bool, u64, Contents), Error> {
    say("phase reopening");
    let config = || config_of(run, place, seed);
    let opened = Vault::open(config()).and_then(|sealed| sealed.unseal(&key()));
    let (vault, token, again) = match opened {
        Ok(vault) => {
            let token = token.map_or_else(|| vault.generate_root(&key()), |token| Ok(SecretString::copy_from(token)))?;
            (vault, token, false)
        }
        Err(error) if may_be_made_again(run, &error) => {
            if error.code() == Code::Corrupt {
                // In one step, so that a second cut finds it here or away.
                fs::rename(place, place.with_file_name(format!("taken-away-{seed}"))).unwrap();
            }
            let (vault, token) = make(run, place, seed)?;
            (vault, token, true)
        }
        Err(error) => return Err(error),
    };
    say(&format!("token {}", token.expose()));
    vault.verify()?;
    let root = vault.session(token);
    let records = root.audit().verify()?.records;
    let found = read(&root)?;
    let mut after = found.clone();
    after.apply(AFTER);
    say(&format!("found {found}|{after}"));
    if vault.is_frozen() {
        carry_out(&vault, &root, Step::Adopt);
    }
    say("phase writing on");
    carry_out(&vault, &root, AFTER);
    say("wrote");
    vault.tick()?;
    let now = read(&root)?;
    assert_eq!(now, after, "what was written after the cut is read");
    vault.close()?;
    say("closed");
    Ok((again, records, found))
}

/// Nothing is there, or what was cut off says that it has to be taken away.
fn may_be_made_again(run: Run, error: &Error) -> bool {
    let cut_off = run == Run::Restored && error.code() == Code::Corrupt && error.to_string().contains("a restore was cut off here");
    error.code() == Code::NotAStore || cut_off
}

fn make(run: Run, place: &Path, seed: u64) -> Result<(Vault, SecretString), Error> {
    let config = config_of(run, place, seed + 1);
    if run == Run::Restored {
        let (source, token) = backup();
        let (vault, _) = Vault::restore(config, &mut &source[..], &key())?;
        return Ok((vault, SecretString::copy_from(&token)));
    }
    let (vault, init) = Vault::create(config, seal())?;
    Ok((vault, init.root_token))
}

fn read(root: &Session) -> Result<Contents, Error> {
    let status = root.request(Operation::Read, "sys/key-status", None)?.data.unwrap();
    let mut contents = Contents { secrets: BTreeMap::new(), term: status.get("term").unwrap().as_u64().unwrap() };
    for secret in 0..SECRETS {
        let kv = root.kv("secret");
        let metadata = match kv.metadata(&path(secret)) {
            Err(error) if error.code() == Code::NotFound => continue,
            metadata => metadata?,
        };
        let mut versions = BTreeMap::new();
        for version in metadata.versions {
            let number = if version.deletion_time.is_empty() {
                let found = kv.get_version(&path(secret), version.version)?;
                let found = text_of(&found.data);
                let number = found.split(' ').next().unwrap().parse().unwrap();
                assert!(found == text(number), "version {} of {secret} is not what was written", version.version);
                Some(number)
            } else {
                None
            };
            versions.insert(version.version, number);
        }
        contents.secrets.insert(secret, versions);
    }
    Ok(contents)
}
