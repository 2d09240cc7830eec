//! Times contestants against each other: rounds that alternate, and of each contestant the median over its rounds.

use std::time::{Duration, Instant};

/// How long and how often things are timed.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Rounds of each contestant.
    pub rounds: usize,
    /// How long a round takes about.
    pub round: Duration,
}

/// What one contestant took for one operation, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The median over the rounds.
    pub median: f64,
    /// The quickest round: what is left when others disturb least.
    pub least: f64,
}

/// Something that is timed: it carries out so many operations when it is called.
pub struct Contestant<'c> {
    name: String,
    work: Box<dyn FnMut(u64) -> Duration + 'c>,
}

impl<'c> Contestant<'c> {
    /// One whose operations come one after another; the operation is told its number.
    pub fn each(name: impl Into<String>, mut operation: impl FnMut(u64) + 'c) -> Self {
        let mut number = 0;
        Self::whole(name, move |operations| {
            let start = Instant::now();
            for _ in 0..operations {
                operation(number);
                number += 1;
            }
            start.elapsed()
        })
    }

    /// One that times itself.
    pub fn whole(name: impl Into<String>, work: impl FnMut(u64) -> Duration + 'c) -> Self {
        Contestant { name: name.into(), work: Box::new(work) }
    }
}

/// Lets contestants take turns, and gives each one's name and timing, in their order.
pub fn contest(pace: Pace, mut contestants: Vec<Contestant<'_>>) -> Vec<(String, Timing)> {
    let operations: Vec<u64> = contestants.iter_mut().map(|contestant| calibrate(pace, contestant)).collect();
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); contestants.len()];
    for _ in 0..pace.rounds {
        for (contestant, (operations, rounds)) in contestants.iter_mut().zip(operations.iter().zip(&mut rounds)) {
            rounds.push((contestant.work)(*operations).as_nanos() as f64 / *operations as f64);
        }
    }
    contestants.into_iter().zip(rounds).map(|(contestant, rounds)| (contestant.name, timing(rounds))).collect()
}

/// The timing of rounds that were taken elsewhere.
pub fn timing(mut rounds: Vec<f64>) -> Timing {
    rounds.sort_by(f64::total_cmp);
    let middle = rounds.len() / 2;
    let median = if rounds.len() % 2 == 1 { rounds[middle] } else { (rounds[middle - 1] + rounds[middle]) / 2.0 };
    Timing { median, least: rounds[0] }
}

/// How many operations fill a round; trying it also warms caches.
fn calibrate(pace: Pace, contestant: &mut Contestant<'_>) -> u64 {
    let mut operations = 1_u64;
    loop {
        let took = (contestant.work)(operations);
        if took * 3 >= pace.round || operations >= 1 << 32 {
            let fit = operations as f64 * pace.round.as_secs_f64() / took.as_secs_f64().max(1e-9);
            return (fit as u64).max(1);
        }
        operations *= if took * 20 < pace.round { 8 } else { 2 };
    }
}

/// Runs the same work on several threads at once, so many operations together; how long until the last one is done.
pub fn on_threads(threads: u64, operations: u64, work: impl Fn(u64, u64) + Sync) -> Duration {
    let each = operations.div_ceil(threads);
    let barrier = std::sync::Barrier::new(threads as usize + 1);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let (work, barrier) = (&work, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    (0..each).for_each(|operation| work(thread, operation));
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        handles.into_iter().for_each(|handle| handle.join().expect("the work of a thread succeeds"));
        // What was not asked for was done too.
        start.elapsed().mul_f64(operations as f64 / (each * threads) as f64)
    })
}
