//! The credential vault that you link instead of run.
//!
//! (The crate's documentation grows with its floors; see ARCHITECTURE.md.)

pub mod host;
pub mod storage;
pub mod types;
