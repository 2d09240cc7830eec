//! The whole journey of a request.
