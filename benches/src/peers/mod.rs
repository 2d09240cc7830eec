//! What else keeps secrets in a process, each so far as it does the same.

#[cfg(feature = "peers")]
pub mod authorizers;
pub mod python;
#[cfg(feature = "rusty-vault")]
pub mod rusty_vault;
#[cfg(feature = "peers")]
pub mod sqlcipher;
