//! Credentials that are rotated: the record of each, where it is found, and one step of it in the commit that makes the step durable.
//!
//! Floor 6. The machine of `rotation/` decides; here is what it decides about: settings, passwords, and when it is due. Whoever asks the target
//! does so only once what [`step::advance`] has led to is durable.

pub(crate) mod index;
mod record;
mod settings;
pub(crate) mod step;
pub(crate) mod usage;

pub(crate) use record::{Managed, id_of, name_key};
pub(crate) use settings::{MEMBERS, Settings, Way};
pub(crate) use usage::{Use, Used};
