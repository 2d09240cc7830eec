//! A store in memory: what the tests and vaults without a place on disk stand on.
