//! Who a caller is. Tokens for now; methods that log in come beside them.

pub(crate) mod token;

pub(crate) use token::{LiveToken, TokenEntry, TokenKey, TokenRef};
