//! Every maximum of the vault, units last in the name.

/// Longest path, with its mount, in bytes.
pub const PATH_BYTES_MAX: usize = 2048;
/// Most segments of a path.
pub const PATH_SEGMENTS_MAX: usize = 64;
/// Largest JSON text of a request, in bytes.
pub const JSON_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of JSON.
pub const JSON_DEPTH_MAX: usize = 64;
/// Most values in one JSON text, containers included.
pub const JSON_VALUES_MAX: usize = 20_000;
/// Largest record, in bytes, before encryption.
pub const RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest policy text, in bytes.
pub const POLICY_BYTES_MAX: usize = 256 * 1024;
/// Most rules of one policy.
pub const POLICY_RULES_MAX: usize = 10_000;
/// Deepest nesting of a parameter's values in a policy.
pub const POLICY_DEPTH_MAX: usize = 16;
/// Most values of parameter constraints in one policy, names of parameters included.
pub const POLICY_VALUES_MAX: usize = 20_000;
/// Longest policy, display or metadata name, in bytes.
pub const NAME_BYTES_MAX: usize = 512;
/// Most policies of one token.
pub const TOKEN_POLICIES_MAX: usize = 256;
/// Longest token that is looked at, in bytes; batch tokens hold all that is known of them.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// Networks that a token can be bound to.
pub const TOKEN_CIDRS_MAX: usize = 64;
/// Children that one request makes orphans.
pub const TOKEN_ORPHANS_MAX: usize = 10_000;
/// Tokens that one commit removes, where they can be removed in steps.
pub const TOKEN_REMOVALS_MAX: usize = 256;
/// Commits in which one tick removes tokens.
pub const TOKEN_REMOVAL_ROUNDS_MAX: usize = 16;
/// Longest passphrase, in bytes.
pub const PASSPHRASE_BYTES_MAX: usize = 4096;
/// Most key slots of a vault.
pub const SLOTS_MAX: usize = 64;
/// Largest wrapping that a key service may give, in bytes.
pub const WRAPPED_KEY_BYTES_MAX: usize = 64 * 1024;
/// Longest request id, host-given or ours, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// System default and maximum of a TTL: 768 hours, as users know it.
pub const TTL_SECONDS_DEFAULT: u64 = 768 * 3600;
/// System maximum of a TTL.
pub const TTL_SECONDS_MAX: u64 = 768 * 3600;
/// Most versions that a KV secret keeps where neither the mount nor the key says otherwise.
pub const KV_VERSIONS_DEFAULT: u32 = 10;
/// Most versions that a KV secret can be told to keep.
pub const KV_VERSIONS_MAX: u32 = 10_000;
/// Most keys of a KV secret's custom metadata.
pub const CUSTOM_KEYS_MAX: usize = 64;
/// Longest key of a KV secret's custom metadata, in bytes.
pub const CUSTOM_KEY_BYTES_MAX: usize = 128;
/// Longest value of a KV secret's custom metadata, in bytes.
pub const CUSTOM_VALUE_BYTES_MAX: usize = 512;
/// Records of versions that one commit removes; `tick` removes the others.
pub const KV_VERSIONS_REMOVED_MAX: usize = 64;
/// Most names in one listing, or in one page of it.
pub const LIST_NAMES_MAX: usize = 100_000;
/// Longest description of a mount, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;
/// Most mounts of a namespace.
pub const MOUNTS_MAX: usize = 1_000;
/// Most namespaces of a vault, the root namespace not counted; the keys of each stand in locked memory.
pub const NAMESPACES_MAX: usize = 500;
/// Deepest nesting of namespaces.
pub const NAMESPACE_DEPTH_MAX: usize = 8;
/// Longest name of a namespace, in bytes.
pub const NAMESPACE_NAME_BYTES_MAX: usize = 128;
/// Most custom metadata of a namespace, names and texts together, in bytes.
pub const NAMESPACE_METADATA_BYTES_MAX: usize = 1024;
/// Audit records that wait in memory (batched mode) before a reader must write them.
pub const AUDIT_QUEUE_RECORDS_MAX: usize = 4096;
/// Age at which waiting audit records are written, in milliseconds.
pub const AUDIT_QUEUE_MILLIS_MAX: u64 = 50;
/// Audit tail in the store before it is sealed into a segment, in bytes, unless the host says otherwise.
pub const AUDIT_TAIL_BYTES_USUAL: u64 = 1024 * 1024;
/// The largest such tail that a host may ask for, in bytes.
pub const AUDIT_TAIL_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Distinct refusals that are being counted together at one time.
pub const AUDIT_REPEATS_MAX: usize = 1024;
/// Policies of one namespace: all are in memory.
pub const POLICIES_MAX: usize = 10_000;
/// Tokens above a token, by which each was made.
pub const TOKEN_DEPTH_MAX: u64 = 256;
/// Proposals in one commit group.
pub const COMMIT_GROUP_PROPOSALS_MAX: usize = 256;
/// Bytes of records in one commit group after which no further proposal joins.
pub const COMMIT_GROUP_BYTES_MAX: usize = 256 * 1024;
/// Times that a request which lost a race is executed anew.
pub const COMMIT_RETRIES_MAX: u32 = 32;
/// Times that a revocation which lost a race is executed anew.
pub const REVOCATION_RETRIES_MAX: u32 = 10_000;
/// Messages under one data key before it must be rolled (RFC 8452 allows far more).
pub const KEY_MESSAGES_MAX: u64 = 1 << 32;
/// Live tokens that are held in memory.
pub const TOKEN_CACHE_MAX: usize = 100_000;
/// Values of a request whose hashes its audit event has.
pub const HASHED_VALUES_MAX: usize = 64;
/// Lines for the host's log that wait to be given.
pub const LOG_LINES_MAX: usize = 256;
/// Longest message of such a line, in characters.
pub const LOG_MESSAGE_CHARS_MAX: usize = 1_024;
/// Longest name of an audit sink, in bytes.
pub const SINK_NAME_BYTES_MAX: usize = 128;
/// Events that a sink is given at a time.
pub const SINK_BATCH_LINES_MAX: usize = 1_024;
/// Bytes of events that a sink is given at a time, after which no further one joins.
pub const SINK_BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Times that one tick gives to a sink.
pub const SINK_BATCHES_MAX: usize = 16;
/// Longest wait before a sink that failed is tried again, in milliseconds.
pub const SINK_RETRY_MILLIS_MAX: u64 = 60_000;
/// Shortest password that a password policy may ask for, in characters.
pub const PASSWORD_CHARACTERS_MIN: usize = 4;
/// Longest password that a password policy may ask for, in characters.
pub const PASSWORD_CHARACTERS_MAX: usize = 100;
/// Largest text of a password policy, in bytes.
pub const PASSWORD_POLICY_BYTES_MAX: usize = 32 * 1024;
/// Most rules of a password policy.
pub const PASSWORD_RULES_MAX: usize = 64;
/// Password policies of one namespace.
pub const PASSWORD_POLICIES_MAX: usize = 1_000;
/// Random bytes that `sys/tools/random` gives unless told otherwise.
pub const RANDOM_BYTES_DEFAULT: usize = 32;
/// Most random bytes that `sys/tools/random` gives at a time.
pub const RANDOM_BYTES_MAX: usize = 128 * 1024;
/// Most quotas of a vault.
pub const QUOTAS_MAX: usize = 1_000;
/// Clients whose use of quotas is remembered one by one; further ones share what is left.
pub const QUOTA_CLIENTS_MAX: usize = 65_536;
/// Longest interval of a quota, and longest block, in seconds.
pub const QUOTA_INTERVAL_SECONDS_MAX: u64 = 365 * 24 * 3600;
/// Most paths that are exempt from quotas.
pub const QUOTA_EXEMPT_PATHS_MAX: usize = 256;
/// Versions of the library that a store remembers.
pub const VERSIONS_NOTED_MAX: usize = 256;
/// Most names of a listing with the metadata of each; the others come by pages.
pub const DETAILED_NAMES_MAX: usize = 1_000;
/// Most versions that such a listing tells of, of all names together.
pub const DETAILED_VERSIONS_MAX: usize = 100_000;
/// Tokens that are counted before the count ends.
pub const COUNTED_TOKENS_MAX: u64 = 100_000;
/// Revocations at one target that are under way at one time.
pub const REVOCATIONS_PER_TARGET_MAX: usize = 4;
/// Revocations that one tick tells to one target.
pub const REVOCATIONS_PER_TICK_MAX: usize = 64;
/// Leases that wait for their targets of which one tick looks at so many.
pub const LEASES_LOOKED_AT_PER_TICK_MAX: usize = 2_048;
/// Times that a target is told of a revocation before the lease counts as irrevocable.
pub const REVOCATION_ATTEMPTS_MAX: u32 = 6;
/// Longest wait for somebody else who makes, joins or puts off a shared account, in seconds.
pub const SHARED_WAIT_SECONDS_MAX: u64 = 60;
/// Leases that one commit ends.
pub const LEASE_PAGE_RECORDS_MAX: usize = 64;
/// Leases of one holder that are looked at for one commit, where those that were granted after a hold go on.
pub const LEASES_LOOKED_AT_MAX: usize = 256;
/// Longest text of a target's error that is kept, in bytes.
pub const TARGET_ERROR_BYTES_MAX: usize = 512;
/// Accounts of one target that may be there at one time without that their lease was handed out, being made or undone.
pub const PENDING_PER_TARGET_MAX: usize = 1_000;
/// Connections of one database mount.
pub const DATABASE_CONNECTIONS_MAX: usize = 1_000;
/// Longest time in which a call arrives at its target whose answer was lost, in seconds: what it may have done is looked at once more after that.
pub const LOST_CALL_SECONDS: u64 = 60;
/// Passwords that a connection's account may have beside the one that counts, with which no change of it is begun.
pub const LATE_PASSWORDS_MAX: usize = 8;
/// Static roles of one connection.
pub const STATIC_ROLES_PER_CONNECTION_MAX: u64 = 10_000;
/// Statements of one kind in a role.
pub const DATABASE_STATEMENTS_MAX: usize = 64;
/// All statements of one kind in a role together, in bytes.
pub const DATABASE_STATEMENTS_BYTES_MAX: usize = 64 * 1024;
/// Longest user name that a template gives, in characters.
pub const USERNAME_CHARACTERS_MAX: usize = 63;
/// Longest template of user names, in bytes.
pub const USERNAME_TEMPLATE_BYTES_MAX: usize = 1024;
/// Largest number of leases that a quota can be set to.
pub const LEASE_QUOTA_MAX: u64 = 1_000_000;
/// Quotas on the number of leases, of all namespaces.
pub const LEASE_QUOTAS_MAX: usize = 1_000;
/// Leases that one count, or one listing of `sys/leases`, looks at before it ends.
pub const COUNTED_LEASES_MAX: usize = 100_000;
/// Most failures that one rotation may be told to bear.
pub const ROTATION_ATTEMPTS_MAX: u32 = 100;
/// Most failing logins within an hour that a rotation may be told to risk.
pub const ROTATION_FAILING_LOGINS_MAX: u32 = 20;
/// Longest grace, back-off or settling of a rotation, in seconds: a year.
pub const ROTATION_WAIT_SECONDS_MAX: u64 = 366 * 86_400;
/// Most passwords of runs that were rolled back that are kept until the next promotion.
pub const ROTATION_ABANDONED_MAX: usize = 8;
/// Rotations that one tick makes steps of.
pub const ROTATIONS_PER_TICK_MAX: usize = 64;
/// Reads after which a credential can be rotated.
pub const ROTATION_READS_MAX: u64 = 1_000_000_000;
/// Reads of one version of a rotated credential that are counted and not written down: a crash forgets fewer than that.
pub const READS_UNWRITTEN_MAX: u64 = 64;
/// Credentials whose readers have left that one tick looks after in a namespace; and what readers who are gone have read that one tick goes through.
pub const READERS_LEFT_PER_TICK_MAX: usize = 64;
/// Longest password that can be given to a rotation, in bytes.
pub const GIVEN_PASSWORD_BYTES_MAX: usize = 4_096;
/// Records that are watched for changes at one time, by which live secrets know that they are current.
pub const WATCHED_RECORDS_MAX: usize = 100_000;
/// Time for which a live secret waits for another thread that reads it anew before it reads itself, in milliseconds.
pub const LIVE_READ_WAIT_MILLIS_MAX: u64 = 1_000;
/// Events of what is out that one look of an emergency takes from the audit log.
pub const EMERGENCY_EVENTS_MAX: u64 = 1_000_000;
/// Leases that one look of an emergency names.
pub const EMERGENCY_LEASES_MAX: usize = 10_000;
/// Readers, and paths, that one look of an emergency names.
pub const EMERGENCY_NAMES_MAX: usize = 10_000;
/// Most tokens and leases together, and credentials apart, that a containment may be told to end in one call.
pub const EMERGENCY_STEPS_MAX: u64 = 10_000;
/// Most credentials that a containment may be told to rotate at one time.
pub const EMERGENCY_PARALLEL_MAX: u64 = 16;
/// Shortest time after which a token that is not used, or an entity that is not heard of, may be told to be lost, in seconds.
pub const DEADMAN_SECONDS_MIN: u64 = 60;
/// Longest cron expression, in bytes.
pub const CRON_BYTES_MAX: usize = 256;
/// Aliases of one entity.
pub const ENTITY_ALIASES_MAX: usize = 64;
/// Most policies of one entity, or of one group.
pub const IDENTITY_POLICIES_MAX: usize = 256;
/// Entities, and likewise groups, that are members of one group.
pub const GROUP_MEMBERS_MAX: usize = 4_096;
/// Groups that have one entity or one group as their own member.
pub const GROUPS_PER_MEMBER_MAX: usize = 256;
/// Groups that an entity is in, by other groups too: the tokens of one that is in more are refused.
pub const IDENTITY_GROUPS_MAX: usize = 1_000;
/// Entities of a namespace whose policies and groups are held in memory.
pub const IDENTITY_CACHE_MAX: usize = 10_000;
/// Sets of policies with templates that are kept compiled for one entity.
pub const IDENTITY_RULES_MAX: usize = 16;
/// Entities that are counted before the count ends.
pub const COUNTED_ENTITIES_MAX: u64 = 100_000;
