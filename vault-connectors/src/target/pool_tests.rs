//! What the pool promises, with connections that are only counted.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use vault_core::host::ConnectorFailure;

#[derive(Default)]
struct World {
    made: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
    is_away: AtomicBool,
}

struct Counted<'a>(&'a World, bool);

impl<'a> Counted<'a> {
    fn connect(world: &'a World) -> Result<Self, ConnectorError> {
        if world.is_away.load(Ordering::SeqCst) {
            return Err(unreachable("away"));
        }
        world.made.fetch_add(1, Ordering::SeqCst);
        let open = world.open.fetch_add(1, Ordering::SeqCst) + 1;
        world.most.fetch_max(open, Ordering::SeqCst);
        Ok(Counted(world, true))
    }
}

impl Session for Counted<'_> {
    fn refresh(&mut self, _: Deadline) -> Result<(), ConnectorError> {
        if self.0.is_away.load(Ordering::SeqCst) { Err(unreachable("away")) } else { Ok(()) }
    }

    fn is_sound(&self) -> bool {
        self.1
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

const ID: [u8; 16] = [1; 16];

fn limits(open_max: usize) -> Limits {
    let second = Duration::from_secs(1);
    Limits { open_max, idle_max: open_max, lifetime: None, connect: second / 4, statement: second }
}

fn with<R>(pools: &Pools<Counted<'static>>, world: &'static World, limits: &Limits, work: impl FnOnce() -> R) -> Result<R, ConnectorError> {
    pools.with(&ID, limits, |_| Counted::connect(world), |_| Ok(work()))
}

fn world() -> &'static World {
    Box::leak(Box::default())
}

#[test]
fn a_connection_is_used_again() {
    let (pools, world) = (Pools::default(), world());
    for _ in 0..3 {
        with(&pools, world, &limits(4), || ()).expect("the server is there");
    }
    assert_eq!(world.made.load(Ordering::SeqCst), 1);
    pools.forget(&ID);
    assert_eq!(world.open.load(Ordering::SeqCst), 0);
}

#[test]
fn a_connection_that_has_grown_old_or_unsound_is_replaced() {
    let (pools, world) = (Pools::default(), world());
    let old = Limits { lifetime: Some(Duration::from_nanos(1)), ..limits(4) };
    with(&pools, world, &old, || ()).expect("the server is there");
    with(&pools, world, &old, || ()).expect("the server is there");
    assert_eq!((world.made.load(Ordering::SeqCst), world.open.load(Ordering::SeqCst)), (2, 1));
    let spoil = |session: &mut Counted<'_>| {
        session.1 = false;
        Ok(())
    };
    pools.with(&ID, &limits(4), |_| Counted::connect(world), spoil).expect("the work itself went well");
    assert_eq!(world.open.load(Ordering::SeqCst), 0);
}

#[test]
fn a_pool_never_has_more_connections_than_it_may_and_gives_up_in_time() {
    let (pools, world) = (Pools::default(), world());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let outcome = with(&pools, world, &limits(2), || std::thread::sleep(Duration::from_millis(100)));
                if let Err(error) = outcome {
                    assert_eq!(error.failure(), ConnectorFailure::Unreachable);
                }
            });
        }
    });
    assert_eq!(world.most.load(Ordering::SeqCst), 2);
    assert_eq!(world.open.load(Ordering::SeqCst), 2);
}

#[test]
fn a_pool_heals_when_the_server_is_back() {
    let (pools, world) = (Pools::default(), world());
    with(&pools, world, &limits(2), || ()).expect("the server is there");
    world.is_away.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(with(&pools, world, &limits(2), || ()).is_err());
    }
    assert_eq!(world.open.load(Ordering::SeqCst), 0);
    world.is_away.store(false, Ordering::SeqCst);
    with(&pools, world, &limits(2), || ()).expect("the server is back");
}

#[test]
fn work_that_panics_costs_its_connection_and_no_place() {
    let (pools, world) = (Pools::default(), world());
    for _ in 0..3 {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| with(&pools, world, &limits(1), || panic!("on purpose"))));
        assert!(panicked.is_err());
    }
    with(&pools, world, &limits(1), || ()).expect("the place was given back");
    assert_eq!((world.made.load(Ordering::SeqCst), world.open.load(Ordering::SeqCst)), (4, 1));
}
