//! Statements of a role, with the account's name, password and end put in so that they stay data. Pure: no server is asked.

mod lexer;
mod substitute;

pub(crate) use lexer::Dialect;
#[cfg(feature = "mysql")]
pub(crate) use substitute::quoted;
pub(crate) use substitute::{Values, expiration, statements};
