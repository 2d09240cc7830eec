//! Who a caller is. Tokens for now; methods that log in come beside them.

pub(crate) mod batch;
pub(crate) mod due;
pub(crate) mod lifetime;
mod live;
pub(crate) mod records;
pub(crate) mod role;
pub(crate) mod token;

pub(crate) use due::Due;
pub(crate) use live::LiveToken;
pub(crate) use records::BarrierOf;
pub(crate) use token::{TokenEntry, TokenKind, TokenRef};
