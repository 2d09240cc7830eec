//! Drawing states of recorded runs, opening them, comparing them with what was acknowledged, and cutting some of the openings again.

use super::disk::{Disk, Fate, Model};
use super::draw::{Draw, systematic};
use super::epoch::{self, Epoch};
use super::opener::{Answer, Opener, Question};
use super::record::Record;
use super::story::Run;
use super::tree::Tree;
use super::{Scene, fresh_seed};
use crate::support::Random;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::thread;
use vault_core::storage::Backend;

const MODELS: [Model; 2] = [Model::Ordered, Model::Adversarial];
/// Of the states, one in so many is of a second cut.
const SECONDS_SHARE: u64 = 4;
/// States that are drawn of one opening that is cut again.
const SECONDS_EACH: u64 = 20;
/// Of each phase of a run so many states are drawn at least.
const PHASE_MIN: u64 = 20;

/// A recorded run.
pub struct Recorded {
    pub run: Run,
    pub backend: Backend,
    pub seed: u64,
    pub record: Record,
    /// As the shim has written it.
    pub bytes: Vec<u8>,
}

/// What was tried, by model and phase.
#[derive(Default)]
pub struct Tally {
    pub rows: BTreeMap<(Model, String), Row>,
    /// Settlings while commits were made of which a state had a part: where the record has them.
    pub settlings: BTreeSet<usize>,
    pub failures: Vec<String>,
}

#[derive(Default)]
pub struct Row {
    pub states: u64,
    pub distinct: u64,
    /// States among them that a second cut has left, while what a first one had left was opened.
    pub seconds: u64,
    pub failures: u64,
}

/// A state to be tried.
#[derive(Clone, Copy)]
struct Planned {
    cut: usize,
    model: Model,
    draw: Draw,
    /// How many states are drawn of its opening.
    seconds: u64,
}

/// What all threads share.
struct Shared {
    /// What is known of a run's states: equal ones are opened once.
    answers: Mutex<HashMap<[u8; 32], Answer>>,
    tally: Mutex<Tally>,
}

/// The end of the name of the file that the engine keeps records in.
pub fn engine_file(backend: Backend) -> &'static str {
    if backend == Backend::Redb { "/store.redb" } else { "/db" }
}

/// Tries so many states of these runs.
pub fn explore(runs: &[Recorded], backend: Backend, states: u64, random: &mut Random) -> Tally {
    let shared = Shared { answers: Mutex::default(), tally: Mutex::default() };
    for recorded in runs {
        shared.answers.lock().clear();
        let epochs = epoch::epochs(recorded.run, &recorded.record, Epoch::before(recorded.run));
        let states = states / runs.len() as u64;
        let seconds = states / SECONDS_SHARE;
        let mut planned = plan(&recorded.record, &epochs, states - seconds, random);
        for _ in 0..seconds.div_ceil(SECONDS_EACH) {
            let at = usize::try_from(random.below(planned.len() as u64)).unwrap();
            planned[at].seconds = SECONDS_EACH;
        }
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for thread in 0..threads {
                let mine: Vec<Planned> = planned.iter().skip(thread).step_by(threads).copied().collect();
                let (epochs, shared) = (&epochs, &shared);
                scope.spawn(move || {
                    let scene = Scene::new();
                    let mut opener = Opener::new(&scene, backend);
                    Search { shared, scene: &scene, recorded, epochs, first: None }.search(&mine, &mut opener);
                });
            }
        });
    }
    shared.tally.into_inner()
}

/// Chooses states, by cut: of each phase and model some that need no chance, and some by chance.
fn plan(record: &Record, epochs: &[Epoch], states: u64, random: &mut Random) -> Vec<Planned> {
    let mut cuts: BTreeMap<(&str, Model), Vec<Planned>> = BTreeMap::new();
    for model in MODELS {
        let mut disk = Disk::new(record, model);
        // Nothing happens before the first call.
        for cut in 1..=record.ops.len() {
            disk.advance(cut);
            let phase = epoch::at(epochs, cut).phase.as_str();
            let draws = systematic(&disk, random).into_iter().map(|draw| Planned { cut, model, draw, seconds: 0 });
            cuts.entry((phase, model)).or_default().extend(draws);
        }
    }
    let phases: u64 = cuts.keys().map(|(phase, _)| weight(phase)).sum();
    let mut planned = Vec::new();
    for ((phase, model), mut pool) in cuts {
        let share = (states * weight(phase) / phases).max(PHASE_MIN.min(states / 4));
        let places: Vec<usize> = pool.iter().map(|planned| planned.cut).collect::<BTreeSet<_>>().into_iter().collect();
        // Two thirds without chance, if there are as many; shuffled, so that they are of all places.
        let fixed = usize::try_from(share * 2 / 3).unwrap().min(pool.len());
        for at in 0..fixed {
            let other = at + usize::try_from(random.below((pool.len() - at) as u64)).unwrap();
            pool.swap(at, other);
        }
        planned.extend(pool.into_iter().take(fixed));
        for _ in fixed as u64..share {
            planned.push(Planned { cut: *random.pick(&places), model, draw: Draw::Random(fresh_seed(random)), seconds: 0 });
        }
    }
    planned.sort_by_key(|planned| planned.cut);
    planned
}

/// Openings are where a store is weakest, commits what it does most.
fn weight(phase: &str) -> u64 {
    match phase {
        "opening" | "committing" | "reopening" => 3,
        "creating" | "restoring" => 2,
        _ => 1,
    }
}

/// Trying the states of one record.
struct Search<'s> {
    shared: &'s Shared,
    scene: &'s Scene,
    recorded: &'s Recorded,
    epochs: &'s [Epoch],
    /// The first cut, of whose opening this is the record.
    first: Option<String>,
}

impl Search<'_> {
    fn search(&self, planned: &[Planned], opener: &mut Opener<'_>) {
        let record = &self.recorded.record;
        let mut disks = MODELS.map(|model| Disk::new(record, model));
        for planned in planned {
            let disk = disks.iter_mut().zip(MODELS).find_map(|(disk, model)| (model == planned.model).then_some(disk)).unwrap();
            disk.advance(planned.cut);
            let fates = planned.draw.fates(disk, planned.model);
            self.try_one(planned, disk, &fates, opener);
        }
    }

    fn try_one(&self, planned: &Planned, disk: &Disk<'_>, fates: &[Fate], opener: &mut Opener<'_>) {
        let tree = disk.tree(fates);
        let hash = tree.hash();
        let epoch = epoch::at(self.epochs, planned.cut);
        let known = self.shared.answers.lock().get(&hash).cloned();
        let distinct = known.is_none();
        let answer = match known {
            Some(answer) if planned.seconds == 0 => answer,
            _ => {
                let answer = self.open(planned, &tree, epoch, || self.describe(planned, disk, fates), opener);
                self.shared.answers.lock().insert(hash, answer.clone());
                answer
            }
        };
        let wrong = epoch.wrong(&answer);
        let settling = self.settling(disk, fates).filter(|_| self.first.is_none() && epoch.phase == "committing");
        let mut tally = self.shared.tally.lock();
        tally.settlings.extend(settling);
        let row = tally.rows.entry((planned.model, epoch.phase.clone())).or_default();
        row.states += 1;
        row.distinct += u64::from(distinct);
        row.seconds += u64::from(self.first.is_some());
        row.failures += u64::from(wrong.is_some());
        if let Some(why) = wrong {
            tally.failures.push(format!("{}: {why}", self.describe(planned, disk, fates)));
        }
    }

    fn open(&self, planned: &Planned, tree: &Tree, epoch: &Epoch, describe: impl Fn() -> String, opener: &mut Opener<'_>) -> Answer {
        let Recorded { run, backend, seed, .. } = *self.recorded;
        let inodes = tree.lay_out(&self.scene.recorded());
        let seed = seed + 10_000 + planned.cut as u64;
        let recorded = planned.seconds > 0;
        let answer = opener.ask(&Question { run, seed, token: epoch.token.as_deref(), recorded });
        if recorded && matches!(answer, Answer::Opened { .. }) {
            let (record, bytes) = self.scene.record(tree, &inodes);
            let recorded = Recorded { run, backend, seed, record, bytes };
            let epochs = epoch::epochs(run, &recorded.record, Epoch { from: 0, ..epoch.clone() });
            let second = Search { first: Some(describe()), recorded: &recorded, epochs: &epochs, ..*self };
            let planned = plan(&recorded.record, &epochs, planned.seconds, &mut Random::from_seed(seed));
            second.search(&planned, opener);
        }
        answer
    }

    /// The settling that a cut falls into, of which this state has a part: where it begins.
    fn settling(&self, disk: &Disk<'_>, fates: &[Fate]) -> Option<usize> {
        let Recorded { record, backend, .. } = self.recorded;
        let is_of_engine = |at: usize| record.is_of(at, |file| file.ends_with(engine_file(*backend)));
        // Its calls are one after another: what comes between two settlings is a commit in the WAL.
        let begin = (0..disk.at).rev().take_while(|at| is_of_engine(*at)).last()?;
        let mut written = disk.pending.iter().zip(fates).filter(|(pending, _)| pending.at >= begin && is_of_engine(pending.at));
        let (_, first) = written.next()?;
        let is_part = *first != Fate::Keep && *first != Fate::Drop || written.any(|(_, fate)| fate != first);
        is_part.then_some(begin)
    }

    /// A state in words: enough to find it again.
    fn describe(&self, planned: &Planned, disk: &Disk<'_>, fates: &[Fate]) -> String {
        let Planned { cut, model, draw, .. } = planned;
        let record = &self.recorded.record;
        let lost: Vec<String> = (disk.pending.iter().zip(fates))
            .filter(|(_, fate)| **fate != Fate::Keep)
            .map(|(pending, fate)| format!("{fate:?} {}", record.describe(pending.at)))
            .collect();
        let next = if *cut < record.ops.len() { record.describe(*cut) } else { "the end".to_owned() };
        let before = self.first.as_ref().map(|first| format!("{first}; opened, and ")).unwrap_or_default();
        format!(
            "{before}run {} with seed {}, {model} names, cut {cut} before {next}, {draw:?}, lost {lost:?}",
            self.recorded.run.name(),
            self.recorded.seed
        )
    }
}
