//! The C ABI of libvault.
