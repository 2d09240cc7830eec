//! Drawing states: what becomes of each call that was not durable at a cut.

use super::disk::{Disk, Fate, Model};
use crate::support::Random;

/// So many of the last pending calls get draws of their own; those before them are HEAD's, which is never synced.
const SINGLED_OUT_MAX: usize = 14;

/// A rule by which fates are given. Numbers count the pending calls.
#[derive(Clone, Copy, Debug)]
pub enum Draw {
    Nothing,
    Everything,
    Without(usize),
    Only(usize),
    /// So many from the beginning.
    First(usize),
    /// Everything, but of this one some of the sectors.
    Torn(usize, u64),
    /// Everything, but this one's bytes without their length.
    NoLength(usize),
    /// Everything, but this one's length without its bytes.
    NoBytes(usize),
    Random(u64),
}

/// Every draw that needs no chance, and a tear of each write.
pub fn systematic(disk: &Disk<'_>, random: &mut Random) -> Vec<Draw> {
    let count = disk.pending.len();
    let mut draws = vec![Draw::Nothing, Draw::Everything];
    for at in count.saturating_sub(SINGLED_OUT_MAX)..count {
        draws.extend([Draw::Without(at), Draw::Only(at), Draw::First(at)]);
        if disk.can_tear(&disk.pending[at]) {
            draws.push(Draw::Torn(at, random.below(u64::MAX)));
        }
        if disk.lengthens(&disk.pending[at]) {
            draws.extend([Draw::NoLength(at), Draw::NoBytes(at)]);
        }
    }
    draws
}

impl Draw {
    /// The fates that this rule gives what is pending.
    pub fn fates(self, disk: &Disk<'_>, model: Model) -> Vec<Fate> {
        let count = disk.pending.len();
        let keep = |kept: bool| if kept { Fate::Keep } else { Fate::Drop };
        let all_but = |at: usize, fate: Fate| (0..count).map(|other| if other == at { fate } else { Fate::Keep }).collect();
        let mut fates: Vec<Fate> = match self {
            Draw::Nothing => vec![Fate::Drop; count],
            Draw::Everything => vec![Fate::Keep; count],
            Draw::Without(at) => all_but(at, Fate::Drop),
            Draw::Only(at) => (0..count).map(|other| keep(other == at)).collect(),
            Draw::First(end) => (0..count).map(|other| keep(other < end)).collect(),
            Draw::Torn(at, seed) => all_but(at, Fate::Torn(seed)),
            Draw::NoLength(at) => all_but(at, Fate::NoLength),
            Draw::NoBytes(at) => all_but(at, Fate::NoBytes),
            Draw::Random(seed) => random_fates(count, &mut Random::from_seed(seed)),
        };
        if model == Model::Ordered {
            self.order(&mut fates, disk);
        }
        fates
    }

    /// Leaves of the journalled calls a beginning.
    fn order(self, fates: &mut [Fate], disk: &Disk<'_>) {
        let journalled: Vec<usize> = (0..fates.len()).filter(|at| disk.pending[*at].journalled).collect();
        let kept = match self {
            // What it is only about needs those before it.
            Draw::Only(at) if disk.pending[at].journalled => journalled.iter().take_while(|other| **other <= at).count(),
            Draw::Random(seed) => usize::try_from(Random::from_seed(!seed).below(journalled.len() as u64 + 1)).unwrap(),
            _ => journalled.iter().take_while(|at| fates[**at] == Fate::Keep).count(),
        };
        for (place, at) in journalled.into_iter().enumerate() {
            fates[at] = if place < kept { Fate::Keep } else { Fate::Drop };
        }
    }
}

fn random_fates(count: usize, random: &mut Random) -> Vec<Fate> {
    // Few, half or most of them are kept.
    let share = *random.pick(&[1, 4, 5, 6, 9]);
    let mut fate = || match (random.below(10) < share, random.below(8)) {
        (kept, 0) => *random.pick(&[Fate::NoLength, if kept { Fate::NoBytes } else { Fate::NoLength }]),
        (_, 1 | 2) => Fate::Torn(random.below(u64::MAX)),
        (true, _) => Fate::Keep,
        (false, _) => Fate::Drop,
    };
    (0..count).map(|_| fate()).collect()
}
