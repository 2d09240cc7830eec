//! The words of the vault: paths, times, secrets, JSON values, requests, replies, limits and error codes.
//!
//! Floor 0: everything may use these types, and they use nothing of the vault themselves.

pub(crate) mod cidr;
pub mod code;
pub(crate) mod deadman;
pub mod error;
pub mod id;
pub mod limits;
pub mod namespace;
pub mod path;
pub mod request;
pub mod response;
pub mod secret;
pub(crate) mod spans;
pub mod time;
pub mod value;
pub(crate) mod wiped;

pub use code::{Class, Code};
pub use error::{Error, Result};
pub use namespace::NamespacePath;
pub use path::Path;
pub use request::{Context, Operation, Request};
pub use response::{Auth, Response, TokenType, WrapInfo};
pub use secret::{Secret, SecretBytes, SecretString};
pub use time::{Timestamp, Ttl};
pub use value::{Object, Value};
pub(crate) use wiped::{SharedBytes, Wiped, WipedBytes};
