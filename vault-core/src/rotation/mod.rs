//! Rotation: how a credential at a target is replaced so that nobody is ever locked out. A pure machine, and when it is due.
//!
//! Floor 4. [`machine::step`] takes the state that was last made durable, what happened, and the time; it returns the state that is to be made
//! durable next, what belongs into the same commit ([`Record`]), and what is then to be asked of the target ([`Ask`]). It does no I/O, draws no
//! randomness, and holds no secret: values have numbers ([`ValueId`]), and whoever drives it keeps what they stand for.
//!
//! Whoever drives it must do four things. State and records are committed together, and the ask is carried out only once that is durable. One
//! ask at a time is in flight for each rotation. What is in flight is always answered, and after a crash [`Input::Restarted`] comes first. A
//! value is removed only by [`Record::Forget`].

mod answers;
mod attention;
pub mod cron;
pub mod machine;
mod messages;
mod operator;
mod plan;
pub mod schedule;
mod state;

pub use attention::{Reason, Why};
pub use messages::{Answer, Ask, Authenticate, Input, Moment, Record, Rejected, Step, Task};
pub use plan::{Plan, PlanError, Retire, Strategy};
pub use state::{Credential, Finish, Phase, Slot, State, ValueId};
