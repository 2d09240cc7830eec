//! The injected world: what the vault asks of its surroundings, as traits.
//!
//! Floor 0. The default world is in `os`; tests and hosts give others.

mod anchor;
mod clock;
mod connector;
mod key_wrapper;
mod lease_hook;
mod log;
mod rng;
mod rotation_hook;
mod sink;

pub use anchor::{Anchor, AnchorError};
pub use clock::{Clock, ManualClock};
pub use connector::{Account, Connector, ConnectorError, ConnectorFailure, NewAccount, Target};
pub use key_wrapper::{KeyWrapper, WrapError};
pub use lease_hook::{LeaseChange, LeaseHook, LeaseNotice};
pub use log::{Log, LogLevel, LogLine, LogTopic};
pub use rng::{Rng, RngError};
pub use rotation_hook::{RotationChange, RotationHook, RotationNotice};
pub use sink::{AuditLine, AuditSink, SinkError};
