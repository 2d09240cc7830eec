/*
 * vault.h: the C interface of libvault, the credential vault that you link instead of run.
 *
 * Generated from vault-ffi/src by `cargo xtask header`: do not edit.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Results    Every function answers a vault_status_t, but frees and plain accessors. vault_last_error() has the text of the
 *            calling thread's last failure, whichever function it was.
 * Outputs    are cleared first (NULL, 0, false) and written together on success, or not at all.
 * Ownership  What a function is given is borrowed for the call; functions named _close or _free take it. What comes out through a
 *            handle is the caller's, to be freed by the function that its description names.
 * NULL       answers VAULT_ERR_BAD_ARGUMENT where a description does not allow it. Frees and closes allow it and do nothing.
 * Handles    are values, never addresses. A second free, a use after close and a wrong kind answer VAULT_ERR_BAD_HANDLE.
 * Text       is UTF-8: NUL-terminated for names and paths, pointer and length for JSON, tokens and keys.
 * Threads    Every function may be called from any thread, with the same handles. Only what vault_secret_data and
 *            vault_secret_field lend must not be used when another thread may free the secret.
 * Fork       A child process cannot use its parent's handles (VAULT_ERR_FORKED). It can open vaults of its own.
 */
#ifndef VAULT_H
#define VAULT_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/**
 * The version of this interface, as in the name `libvault.so.0`. While it is the same, programs that were compiled against an
 * earlier `vault.h` keep working: functions and numbers are only added, and structs only grow at their end.
 */
#define VAULT_ABI_VERSION 0

/**
 * Connectors that the library brings, for `vault_options_t.databases`, added together: PostgreSQL (`postgresql-database-plugin`).
 */
#define VAULT_DATABASE_POSTGRESQL 1

/**
 * MariaDB and MySQL (`mysql-database-plugin`).
 */
#define VAULT_DATABASE_MYSQL 2

/**
 * Redis (`redis-database-plugin`).
 */
#define VAULT_DATABASE_REDIS 4

/**
 * For `vault_policy_evaluate`: the deny of any rule that matches wins, however broad the rule is.
 */
#define VAULT_POLICY_ABSOLUTE_DENY 1

/**
 * No check-and-set: `vault_kv_put` writes whatever the current version is.
 */
#define VAULT_KV_CAS_NONE -1

/**
 * What an attempt answers when the credential was refused: it is read anew and tried once more.
 */
#define VAULT_ATTEMPT_REFUSED 1

/**
 * For `vault_doctor` and `vault_salvage`: damaged secrets are named by mount and path, and not only counted.
 */
#define VAULT_DOCTOR_NAMES 1

/**
 * A secret that stays current. A handle, not an address.
 */
typedef struct vault_live_secret_t vault_live_secret_t;

/**
 * A secret or a reply: read-only JSON in memory that is wiped when it is freed. A handle, not an address.
 */
typedef struct vault_secret_t vault_secret_t;

/**
 * A session: the requests of one token. A handle, not an address.
 */
typedef struct vault_session_t vault_session_t;

/**
 * An open vault, sealed or unsealed. A handle, not an address.
 */
typedef struct vault_t vault_t;

/**
 * What kind of failure a status is; a caller decides by it what to do next.
 */
typedef int32_t vault_class_t;

/**
 * What a call answers: `VAULT_OK`, or one of the `VAULT_ERR_` numbers. The hundreds give the class; a number is never used again
 * for something else, and later versions may add some: treat an unknown one by its class.
 */
typedef int32_t vault_status_t;

/**
 * A key in an HSM or a smart card, over PKCS #11 (OASIS, v2.40 and v3.0). It wraps a key slot by AES-256-GCM and never leaves the token.
 * The module is loaded when it is first needed, and stays loaded. Zero the struct before filling it in. All pointers are borrowed for the
 * call that is given it.
 *
 * A wrong PIN is tried once by each vault that is opened, since tokens lock after some; none is tried when the token says that it is at the
 * last try.
 */
typedef struct {
    /**
     * The path of the token's module, a shared library: NUL-terminated UTF-8, at most 4096 bytes.
     */
    const char *module;
    /**
     * The token's label, NUL-terminated UTF-8, at most 255 bytes; NULL when the serial number is given.
     */
    const char *token_label;
    /**
     * The token's serial number, NUL-terminated UTF-8, at most 255 bytes; NULL when the label is given.
     */
    const char *token_serial;
    /**
     * The PIN of the token's normal user, UTF-8, at most 4096 bytes. Copied, and wiped when the vault is closed.
     */
    const char *pin;
    /**
     * Its length in bytes.
     */
    size_t pin_len;
    /**
     * The key's label (`CKA_LABEL`): NUL-terminated UTF-8, at most 255 bytes.
     */
    const char *key_label;
    /**
     * The key's id (`CKA_ID`), where several keys have the label; else NULL.
     */
    const uint8_t *key_id;
    /**
     * Its length in bytes, at most 255.
     */
    size_t key_id_len;
    /**
     * The name by which slots find this wrapper again, as in `vault_key_wrapper_t`; NULL for `pkcs11`.
     */
    const char *name;
} vault_pkcs11_t;

/**
 * What kind of key opens a vault: one of the `VAULT_KEY_` numbers.
 */
typedef int32_t vault_key_kind_t;

/**
 * When a read's reply may leave with respect to its audit record: one of the `VAULT_AUDIT_` numbers. Writes always wait for theirs.
 */
typedef int32_t vault_audit_mode_t;

/**
 * An outside key service (KMS, HSM) that opens a key slot. The callbacks answer `VAULT_OK`, or any other number, which is told.
 *
 * They are called from whichever thread makes the call that needs them, also from several at once, under no lock of the vault. They may
 * call the vault back. They must not unwind or longjmp out.
 */
typedef struct {
    /**
     * The name by which a slot finds its service again: NUL-terminated, from 1 to 128 printable ASCII characters. Copied.
     */
    const char *name;
    /**
     * Given to the callbacks as it is.
     */
    void *user;
    /**
     * Encrypts `key` (32 bytes). Writes at most `out_capacity` bytes (65536) to `out` and their number to `out_len`. `context` tells the
     * slot, and is to be authenticated where the service can do so. All pointers are borrowed for the call.
     */
    vault_status_t (*wrap)(void *user,
                           const uint8_t *key,
                           const uint8_t *context,
                           size_t context_len,
                           uint8_t *out,
                           size_t out_capacity,
                           size_t *out_len);
    /**
     * Writes the 32 bytes to `out_key` that `wrap` encrypted under the same context. All pointers are borrowed for the call.
     */
    vault_status_t (*unwrap)(void *user,
                             const uint8_t *wrapped,
                             size_t wrapped_len,
                             const uint8_t *context,
                             size_t context_len,
                             uint8_t *out_key);
} vault_key_wrapper_t;

/**
 * Keeps the newest commit of a vault where whoever can roll the store back cannot reach. One call at a time, under no lock of the vault,
 * from whichever thread commits or unseals. The callbacks must not call the vault. They answer `VAULT_OK`, or any other number, which is told.
 */
typedef struct {
    /**
     * Given to the callbacks as it is.
     */
    void *user;
    /**
     * Writes what was stored last to `out`, at most `out_capacity` bytes (128), and their number to `out_len`; 0 when nothing ever was.
     */
    vault_status_t (*load)(void *user, uint8_t *out, size_t out_capacity, size_t *out_len);
    /**
     * Stores `state` durably in the place of what was there. Borrowed for the call.
     */
    vault_status_t (*store)(void *user, const uint8_t *state, size_t state_len);
} vault_anchor_t;

/**
 * Which engine keeps a new store on disk: one of the `VAULT_BACKEND_` numbers. An old store is opened by the one that it was made with.
 */
typedef int32_t vault_backend_t;

/**
 * One event of the audit log on its way to a sink. Borrowed for the call that is given it.
 */
typedef struct {
    /**
     * The event's number in the log; they count from 1.
     */
    uint64_t sequence;
    /**
     * When the event was, by the vault's clock: milliseconds since the Unix epoch.
     */
    uint64_t time_ms;
    /**
     * The event as one JSON object without line breaks, NUL-terminated UTF-8.
     */
    const char *json;
    /**
     * Its length in bytes, without the NUL.
     */
    size_t json_len;
} vault_audit_line_t;

/**
 * Takes the events of the audit log in order, each at least once. The vault keeps, by the name, how far it is. It is called by `vault_tick`,
 * from one thread at a time, under no lock of the vault; requests never wait for it. It may call the vault
 * back. It must not unwind or longjmp out.
 */
typedef struct {
    /**
     * A name that stays, by which the vault knows how far the sink is: NUL-terminated UTF-8, from 1 to 128 bytes. Copied.
     */
    const char *name;
    /**
     * Given to the callback as it is.
     */
    void *user;
    /**
     * Takes all of `lines` for good and answers `VAULT_OK`; any other number is told, and all of them come again later.
     */
    vault_status_t (*deliver)(void *user, const vault_audit_line_t *lines, size_t count);
} vault_audit_sink_t;

/**
 * How a target is spoken to: one of the `VAULT_AUDIT_TARGET_` numbers.
 */
typedef int32_t vault_audit_target_kind_t;

/**
 * A collector that is fed with the audit log, in order and each event at least once, by `vault_tick`. Nothing is
 * encrypted: use it on the same machine or through a tunnel. Zero the struct before filling it in.
 */
typedef struct {
    /**
     * By which the vault knows how far this target is: NUL-terminated UTF-8, at most 128 bytes, unlike that of every other sink.
     */
    const char *name;
    /**
     * Where it listens: NUL-terminated UTF-8, at most 4096 bytes.
     */
    const char *address;
    /**
     * How it is spoken to.
     */
    vault_audit_target_kind_t kind;
    /**
     * With JSON lines: 1 to count events as taken only once the collector has answered, within five seconds, a line with the number of the
     * last event that it has stored; 0 to count them once the other side's system has them. 0 with syslog, which knows no answer.
     */
    uint32_t acknowledged;
    /**
     * With syslog, the machine's name in the messages, at most 255 bytes; NULL to leave it open. NULL otherwise.
     */
    const char *host;
    /**
     * With syslog, the application's name in the messages, at most 48 bytes; NULL for `libvault`. NULL otherwise.
     */
    const char *application;
} vault_audit_target_t;

/**
 * Whose rules are followed where HashiCorp Vault and OpenBao differ: one of the `VAULT_DIALECT_` numbers.
 */
typedef int32_t vault_dialect_t;

/**
 * What a connector's callback answers: one of the `VAULT_CONNECTOR_` numbers. Any other number counts as `VAULT_CONNECTOR_UNKNOWN`. The
 * vault decides by it what to do next, so it must be true.
 */
typedef int32_t vault_connector_answer_t;

/**
 * A connection to a target system, as it was configured. Borrowed for the call that is given it; all texts are NUL-terminated UTF-8.
 */
typedef struct {
    /**
     * 16 bytes that stay while the configuration does, and are never given again: connection pools may be kept by them.
     */
    const uint8_t *id;
    /**
     * The configuration as it was written, a JSON object without secrets.
     */
    const char *config_json;
    /**
     * The account by which the vault manages the others.
     */
    const char *username;
    /**
     * Its password. Wiped after the call.
     */
    const char *password;
    /**
     * What else of the configuration is secret: a JSON object of texts. Wiped after the call.
     */
    const char *secrets_json;
} vault_target_t;

/**
 * An account at a target, and what is asked of it. Borrowed for the call that is given it; all texts are NUL-terminated UTF-8.
 */
typedef struct {
    /**
     * Its name at the target.
     */
    const char *username;
    /**
     * For `create` and `set_password`, the password that it gets; for `test`, that which it is to log in with; else NULL. Wiped after the call.
     */
    const char *password;
    /**
     * For `create` and `renew`, when it ends, in milliseconds since the Unix epoch; 0 for never.
     */
    uint64_t expires_ms;
    /**
     * What the role says is to be done, a JSON array of texts with `{{name}}`, `{{password}}` and `{{expiration}}` in them; empty where the
     * connector's own way is wanted.
     */
    const char *statements_json;
    /**
     * For `create`, what undoes a creation that failed half way, a JSON array of texts; else an empty one.
     */
    const char *rollback_json;
    /**
     * Where the callback may write why it failed, NUL-terminated UTF-8; shown to operators and logged, so it must hold no secret.
     */
    char *message;
    /**
     * How many bytes there are for it.
     */
    size_t message_capacity;
} vault_account_t;

/**
 * One duty of a connector.
 */
typedef vault_connector_answer_t (*vault_connector_fn)(void *user,
                                                       const vault_target_t *target,
                                                       const vault_account_t *account);

/**
 * Makes, renews and removes accounts at a target system. Each duty can be asked more than once, after a crash or a lost answer, and must then
 * end in the same state: an account that is there already is made to be as asked, one that is gone already counts as revoked.
 *
 * The callbacks are called from several threads at once, under no lock of the vault. The request that caused a call waits for it, so they bound
 * their waiting (some seconds). They may call the vault back. They must not unwind or longjmp out.
 */
typedef struct {
    /**
     * What kind of target it serves, as `plugin_name` of a configuration says it: NUL-terminated UTF-8, from 1 to 128 bytes. Copied.
     */
    const char *name;
    /**
     * Given to the callbacks as it is.
     */
    void *user;
    /**
     * Looks at a configuration; where `verify` is 1 it connects and logs in with it, else `verify` is 0. `account` is for the message alone.
     */
    vault_connector_answer_t (*check)(void *user,
                                      const vault_target_t *target,
                                      const vault_account_t *account,
                                      int32_t verify);
    /**
     * Makes an account.
     */
    vault_connector_fn create;
    /**
     * Puts off an account's end, where the target has one; else nothing is to be done.
     */
    vault_connector_fn renew;
    /**
     * Removes an account and ends its sessions.
     */
    vault_connector_fn revoke;
    /**
     * Gives an account that is there a new password.
     */
    vault_connector_fn set_password;
    /**
     * Logs in with an account, on a connection of its own, and out again. `VAULT_CONNECTOR_UNAUTHENTICATED` when the target refuses it.
     */
    vault_connector_fn test;
    /**
     * Lets go of what is held for the target of that id; may be NULL.
     */
    void (*forget)(void *user, const uint8_t *id);
} vault_connector_t;

/**
 * Is told of leases, once what it is told is durable: from several threads at once, under no lock of the vault. It may call the vault back, and
 * should return at once. It must not unwind or longjmp out. A notice can be lost in a crash; the leases and the audit log tell what is so.
 */
typedef struct {
    /**
     * Given to the callback as it is.
     */
    void *user;
    /**
     * Something has happened to a lease. `change` is one of `granted`, `renewed`, `expiring-soon`, `revoked` and `irrevocable`; `namespace_path`
     * is empty for the root namespace; `expires_ms` is when it ends or has ended, in milliseconds since the Unix epoch. Borrowed for the call.
     */
    void (*changed)(void *user,
                    const char *change,
                    const char *lease_id,
                    const char *namespace_path,
                    uint64_t expires_ms);
} vault_lease_hook_t;

/**
 * What time a vault goes by, in the place of the system's clock: for tests, which move time by hand, and for hosts that have a better one.
 *
 * It is called once for each request, from whichever thread makes it, also from several at once, and perhaps under a lock of the vault: it
 * must not call the vault, and should return at once. It may step back; what was granted is never extended by that. It must not unwind or
 * longjmp out.
 */
typedef struct {
    /**
     * Given to the callback as it is.
     */
    void *user;
    /**
     * The present instant in milliseconds since the Unix epoch.
     */
    uint64_t (*now_ms)(void *user);
} vault_clock_t;

/**
 * How much a line matters: one of the `VAULT_LOG_` numbers. Later versions may add some: treat a larger one as less important.
 */
typedef int32_t vault_log_level_t;

/**
 * One line for the host's log. It holds no secret, no token and no path. Borrowed for the call that is given it.
 */
typedef struct {
    /**
     * How much it matters.
     */
    vault_log_level_t level;
    /**
     * The number of the error that it tells of; `VAULT_OK` where it tells of none.
     */
    vault_status_t code;
    /**
     * What it is about: `request`, `tick`, `seal`, `sink`, `lease`, `rotation` or `log`; later versions may add some. NUL-terminated.
     */
    const char *topic;
    /**
     * What happened, and mostly what to do: NUL-terminated UTF-8 of at most 1024 characters, none of them a
     * control character.
     */
    const char *message;
    /**
     * How many times in a row the same was to be said.
     */
    uint64_t count;
} vault_log_line_t;

/**
 * Takes what the vault has to say, for the host's own log.
 *
 * No request waits for it: lines are kept, 256 at most and equal ones in a row as one, until a call of `vault_unseal` and the like, `vault_tick`,
 * `vault_seal` or `vault_close`, and are given at the end of that call, from its thread, one at a time, under no lock of the vault. It may call
 * the vault back, but not close it. It must not unwind or longjmp out. What must not be lost is in the audit log: a crash loses what was not given yet.
 */
typedef struct {
    /**
     * Given to the callback as it is.
     */
    void *user;
    /**
     * Takes one line.
     */
    void (*log)(void *user, const vault_log_line_t *line);
} vault_log_t;

/**
 * What has happened to a credential that the vault rotates. It holds no password. Borrowed for the call that is given it.
 */
typedef struct {
    /**
     * `promoted`: readers are given another password, so whoever keeps the old one reads anew; `needs-attention`: its rotation has stopped, and
     * somebody has to look after it. Later versions may add some. NUL-terminated, as all texts here.
     */
    const char *change;
    /**
     * Where the credential is known, such as `database/static-roles/app`.
     */
    const char *path;
    /**
     * The path of its namespace, with a slash at its end; empty for the root namespace.
     */
    const char *namespace_path;
    /**
     * The number of the password that readers are given.
     */
    uint64_t version;
    /**
     * What happened, what holds and what to do; NULL where it needs nobody.
     */
    const char *what_to_do;
} vault_rotation_notice_t;

/**
 * Is told of rotations, once what it is told is durable: by requests and by `vault_tick`, from several threads at once, under no lock of the
 * vault. It may call the vault back, and should return at once, since a request waits for it. It must not unwind or longjmp out. A notice can
 * be lost in a crash: `sys/rotation` and the audit log tell what is so.
 */
typedef struct {
    /**
     * Given to the callback as it is.
     */
    void *user;
    /**
     * Something has happened to a credential.
     */
    void (*changed)(void *user, const vault_rotation_notice_t *notice);
} vault_rotation_hook_t;

/**
 * How a vault is created or opened. Start with `vault_options_init`, which sets the size and zeroes the rest: zero is the default
 * of every member. All pointers are borrowed for the call that is given the options.
 */
typedef struct {
    /**
     * `sizeof(vault_options_t)` as the caller was compiled.
     */
    size_t size;
    /**
     * The vault's directory, NUL-terminated UTF-8, at most 4096 bytes; NULL for a vault in memory, gone when it is closed.
     */
    const char *path;
    /**
     * Which kind of key `key` holds.
     */
    vault_key_kind_t key_kind;
    /**
     * When replies to reads may leave.
     */
    vault_audit_mode_t audit_mode;
    /**
     * The key that opens the vault.
     */
    const void *key;
    /**
     * Its length in bytes.
     */
    size_t key_len;
    /**
     * Bound of the store's page cache in bytes; 0 for 64 MiB. The pages hold ciphertext.
     */
    uint64_t cache_bytes;
    /**
     * For `vault_create` with a passphrase, Argon2id's memory in KiB; 0 for 65536. The floor is 19456.
     */
    uint32_t argon2_memory_kib;
    /**
     * For `vault_create` with a passphrase, Argon2id's passes; 0 for 3. The floor is 2.
     */
    uint32_t argon2_iterations;
    /**
     * For `vault_create` with a passphrase, Argon2id's lanes; 0 for 4.
     */
    uint32_t argon2_lanes;
    /**
     * 1 to take a store that is older than its anchor as it is, for this one opening; else 0.
     */
    uint32_t accept_rollback;
    /**
     * For `vault_create` with shares: how many there are, from 1 to 255.
     */
    uint32_t share_count;
    /**
     * For `vault_create` with shares: how many of them open; at least 2 unless there is but one.
     */
    uint32_t share_threshold;
    /**
     * An outside key service: for `VAULT_KEY_WRAPPER`, and for slots that are added or rekeyed later; may be NULL. The struct is
     * copied; its `user` must live until the vault is closed.
     */
    const vault_key_wrapper_t *key_wrapper;
    /**
     * Keeps the newest commit outside the store; may be NULL. The struct is copied; its `user` must live until the vault is closed.
     */
    const vault_anchor_t *anchor;
    /**
     * How often the anchor is advanced, in seconds; 0 for each commit.
     */
    uint64_t anchor_interval_s;
    /**
     * For a new store on disk, which engine keeps it.
     */
    vault_backend_t backend;
    /**
     * Sinks that are fed with the audit log; may be NULL. The structs are copied; their `user`s must live until the vault is closed.
     */
    const vault_audit_sink_t *audit_sinks;
    /**
     * How many there are, at most 16.
     */
    size_t audit_sink_count;
    /**
     * A file that is fed with the audit log as JSON lines, 0600, which may be rotated by renaming it: NUL-terminated UTF-8, at most 4096
     * bytes; may be NULL. As a sink it has the name "file".
     */
    const char *audit_file;
    /**
     * A key in an HSM or a smart card: for `VAULT_KEY_PKCS11`, and for slots that are added or rekeyed later; may be NULL. Copied.
     */
    const vault_pkcs11_t *pkcs11;
    /**
     * Collectors over TCP, Unix sockets and syslog that are fed with the audit log; may be NULL. Copied.
     */
    const vault_audit_target_t *audit_targets;
    /**
     * How many there are, at most 16.
     */
    size_t audit_target_count;
    /**
     * Whose rules policies follow: one of the `VAULT_DIALECT_` numbers; 0 for HashiCorp Vault's.
     */
    vault_dialect_t dialect;
    /**
     * 1 when the deny of any rule that matches wins, however broad the rule is; else 0.
     */
    uint32_t absolute_deny;
    /**
     * Connectors of the host's own to target systems; may be NULL. The structs are copied; their `user`s must live until the vault is closed.
     */
    const vault_connector_t *connectors;
    /**
     * How many there are, at most 16.
     */
    size_t connector_count;
    /**
     * Which connectors of the library's own the vault has: `VAULT_DATABASE_` numbers, added together.
     */
    uint32_t databases;
    /**
     * Is told of leases; may be NULL. The struct is copied; its `user` must live until the vault is closed.
     */
    const vault_lease_hook_t *lease_hook;
    /**
     * What time the vault goes by; NULL for the system's. The struct is copied; its `user` must live until the vault is closed.
     */
    const vault_clock_t *clock;
    /**
     * Takes what the vault has to say that is neither an answer nor in the audit log; may be NULL. The struct is copied; its `user` must live
     * until the vault is closed.
     */
    const vault_log_t *log;
    /**
     * How many bytes of decrypted secrets are held in memory, so that a read of one that is held asks policy and is recorded as ever, and
     * neither reads the store nor decrypts; 0 for none. A write forgets what it changes before it is answered; sealing wipes all. One that is
     * larger than a sixteenth of this is not held.
     */
    uint64_t value_cache_bytes;
    /**
     * How long a decrypted secret is held at most, in seconds; 0 for 60.
     */
    uint64_t value_cache_ttl_s;
    /**
     * Is told of rotations; may be NULL. The struct is copied; its `user` must live until the vault is closed.
     */
    const vault_rotation_hook_t *rotation_hook;
} vault_options_t;

/**
 * What a request asks for: one of the `VAULT_OP_` numbers.
 */
typedef int32_t vault_operation_t;

/**
 * What a request may have beside what is asked. Start with all bytes zero and the size: zero is the default of every member. All pointers
 * are borrowed for the call.
 */
typedef struct {
    /**
     * `sizeof(vault_request_options_t)` as the caller was compiled.
     */
    size_t size;
    /**
     * For how long the reply is to be kept behind a wrapping token, in seconds, at most 768 hours: the reply has `wrap_info` only. 0 for a
     * plain reply.
     */
    uint64_t wrap_ttl_seconds;
    /**
     * Where the request came from, as the host knows it: an address, with a port or without, at most 128 bytes, NUL-terminated UTF-8. It
     * goes into the audit log, and a token that is bound to networks needs it. May be NULL.
     */
    const char *remote_address;
    /**
     * The host's own id of the request, for the audit log; at most 128 bytes, NUL-terminated UTF-8. May be NULL.
     */
    const char *correlation_id;
} vault_request_options_t;

/**
 * What is asked of a policy: one of the `VAULT_CAPABILITY_` numbers.
 */
typedef int32_t vault_capability_t;

/**
 * Uses a credential, such as by a login at a database: answers `VAULT_ATTEMPT_REFUSED` when it was refused, and any other number for whatever
 * else came of it. `secret` is lent for the call: do not free it. It must not unwind or longjmp out, and may call the vault.
 */
typedef int32_t (*vault_attempt_fn)(void *user, const vault_secret_t *secret);

/**
 * Is told of a change: `secret` is the secret as it is now, or NULL when it can no longer be read, and `status` says why. `secret` is lent for
 * the call: do not free it. It is called by whoever calls `vault_tick`, the maintenance thread included, under no lock of the vault; it may call the
 * vault, should return at once, and must not unwind or longjmp out.
 */
typedef void (*vault_change_fn)(void *user, const vault_secret_t *secret, vault_status_t status);

/**
 * Takes bytes of a backup or of an export: all of them, and answers `VAULT_OK`, or any other number, which ends the backup or the export. Borrowed for the call.
 */
typedef vault_status_t (*vault_write_fn)(void *user, const uint8_t *bytes, size_t len);

/**
 * Gives bytes of a backup: at most `capacity` to `out` and their number to `out_len`; 0 at the end. Any answer but `VAULT_OK` ends the
 * reading. Borrowed for the call.
 */
typedef vault_status_t (*vault_read_fn)(void *user, uint8_t *out, size_t capacity, size_t *out_len);

/**
 * The call succeeded.
 */
#define VAULT_OK 0

/**
 * The request is malformed or refused by validation.
 */
#define VAULT_ERR_INVALID_REQUEST 100

/**
 * The path is empty, too long, or not in its one canonical form.
 */
#define VAULT_ERR_INVALID_PATH 101

/**
 * The data is not JSON, or past a limit of size, depth or count.
 */
#define VAULT_ERR_INVALID_DATA 102

/**
 * Check-and-set: the version given is not the current one.
 */
#define VAULT_ERR_CAS_MISMATCH 103

/**
 * The policy text does not parse; the message gives line and column.
 */
#define VAULT_ERR_INVALID_POLICY 104

/**
 * No mount, or no such operation at this path.
 */
#define VAULT_ERR_UNSUPPORTED_PATH 105

/**
 * The key opens no slot of this store: wrong passphrase or key.
 */
#define VAULT_ERR_WRONG_KEY 106

/**
 * There is already a store at this place.
 */
#define VAULT_ERR_STORE_EXISTS 107

/**
 * There is no store at this place, or it is none of ours.
 */
#define VAULT_ERR_NOT_A_STORE 108

/**
 * Another process, or another handle of this one, has the store open.
 */
#define VAULT_ERR_STORE_LOCKED 109

/**
 * The vault was closed.
 */
#define VAULT_ERR_CLOSED 110

/**
 * The vault was opened in another process: open it after the fork.
 */
#define VAULT_ERR_FORKED 111

/**
 * The handle was freed, closed, or is of another kind.
 */
#define VAULT_ERR_BAD_HANDLE 112

/**
 * An argument is NULL or out of range, or of a wrong type.
 */
#define VAULT_ERR_BAD_ARGUMENT 113

/**
 * Text is not valid UTF-8.
 */
#define VAULT_ERR_INVALID_UTF8 114

/**
 * The vault is unsealed already.
 */
#define VAULT_ERR_ALREADY_UNSEALED 115

/**
 * The text is no key share, or one of another set, or was altered.
 */
#define VAULT_ERR_BAD_SHARE 116

/**
 * More key shares are needed.
 */
#define VAULT_ERR_NOT_ENOUGH_SHARES 117

/**
 * The vault was restored and not yet adopted: it can be read, and adopted.
 */
#define VAULT_ERR_FROZEN 118

/**
 * The backup is cut, altered, or none of libvault's.
 */
#define VAULT_ERR_BAD_BACKUP 119

/**
 * The lease has ended, or is being revoked: ask for new credentials.
 */
#define VAULT_ERR_LEASE_ENDED 130

/**
 * The configuration names a connector that the host has not given.
 */
#define VAULT_ERR_UNKNOWN_CONNECTOR 131

/**
 * The target refused what it was asked: the configuration or the statements need to be changed.
 */
#define VAULT_ERR_TARGET_REFUSED 132

/**
 * The role shares accounts among the tokens of an entity, and the token is of none: log in by an alias, or use another role.
 */
#define VAULT_ERR_ENTITY_REQUIRED 140

/**
 * The token is missing, bad or not allowed.
 */
#define VAULT_ERR_PERMISSION_DENIED 200

/**
 * Nothing is there.
 */
#define VAULT_ERR_NOT_FOUND 300

/**
 * The version was deleted or destroyed; its metadata is in the error's data.
 */
#define VAULT_ERR_VERSION_DELETED 301

/**
 * The vault is sealed.
 */
#define VAULT_ERR_SEALED 400

/**
 * A quota or a lockout.
 */
#define VAULT_ERR_RATE_LIMITED 500

/**
 * The request lost a race with others several times in a row.
 */
#define VAULT_ERR_CONFLICT 600

/**
 * Storage, the audit log, a key service or a target system failed; nothing was acknowledged.
 */
#define VAULT_ERR_UNAVAILABLE 700

/**
 * A commit failed: it may or may not have been written, and only reopening the store tells.
 */
#define VAULT_ERR_POISONED 701

/**
 * There is no room on the device.
 */
#define VAULT_ERR_NO_SPACE 702

/**
 * The operating system gave no randomness.
 */
#define VAULT_ERR_NO_ENTROPY 703

/**
 * The key service (KMS, HSM) failed or refused.
 */
#define VAULT_ERR_KEY_SERVICE 704

/**
 * The write is durable, but the anchor could not be advanced.
 */
#define VAULT_ERR_ANCHOR_FAILED 705

/**
 * The target system could not be reached, or did not answer: what it may have done is undone by `vault_tick`.
 */
#define VAULT_ERR_TARGET_UNAVAILABLE 706

/**
 * The lease has ended, but the target system could not be told yet: it is told again by `vault_tick`.
 */
#define VAULT_ERR_REVOCATION_PENDING 707

/**
 * The rotation has begun and is not at its end: `vault_tick` carries it on, and reading the role tells where it stands.
 */
#define VAULT_ERR_ROTATION_PENDING 710

/**
 * The rotation has stopped and needs an operator: reading the role tells what to do.
 */
#define VAULT_ERR_ROTATION_STUCK 711

/**
 * What is on disk does not verify.
 */
#define VAULT_ERR_CORRUPT 800

/**
 * The store has lost commits that it acknowledged.
 */
#define VAULT_ERR_LOST_COMMITS 801

/**
 * The store is older than its anchor.
 */
#define VAULT_ERR_ROLLBACK 900

/**
 * A bug in libvault, caught at the boundary.
 */
#define VAULT_ERR_INTERNAL 1000

/**
 * `VAULT_OK`, or a number that is no status.
 */
#define VAULT_CLASS_NONE 0

/**
 * Malformed, refused by validation, or a check-and-set mismatch: change the request.
 */
#define VAULT_CLASS_INVALID_REQUEST 1

/**
 * The token is missing, bad or not allowed; always one and the same answer.
 */
#define VAULT_CLASS_PERMISSION_DENIED 2

/**
 * Nothing is there, or it was deleted (then the error carries its metadata).
 */
#define VAULT_CLASS_NOT_FOUND 3

/**
 * The vault is sealed: unseal it.
 */
#define VAULT_CLASS_SEALED 4

/**
 * A quota or a lockout: wait.
 */
#define VAULT_CLASS_RATE_LIMITED 5

/**
 * The request lost a race: try again.
 */
#define VAULT_CLASS_CONFLICT 6

/**
 * Storage, audit log, key service or target failed; nothing was acknowledged. After `VAULT_ERR_POISONED` it may have been written, after
 * `VAULT_ERR_ANCHOR_FAILED` it was.
 */
#define VAULT_CLASS_UNAVAILABLE 7

/**
 * What is on disk does not verify.
 */
#define VAULT_CLASS_CORRUPT 8

/**
 * The store is older than its anchor.
 */
#define VAULT_CLASS_ROLLBACK 9

/**
 * A bug, caught at the boundary.
 */
#define VAULT_CLASS_INTERNAL 10

/**
 * Something that was to work did not: the device, the audit log, the anchor, a key service.
 */
#define VAULT_LOG_ERROR 1

/**
 * Somebody should look at it: a sink that takes nothing, a lease that cannot be revoked, a rotation that has stopped, a wrong key.
 */
#define VAULT_LOG_WARNING 2

/**
 * It is as it should be: the vault was unsealed, a sink takes events again.
 */
#define VAULT_LOG_INFO 3

/**
 * JSON lines over TCP; the address is `host:port`.
 */
#define VAULT_AUDIT_TARGET_TCP 1

/**
 * JSON lines over a Unix stream socket; the address is its path.
 */
#define VAULT_AUDIT_TARGET_UNIX 2

/**
 * syslog (RFC 5424) to the machine's daemon; the address is the path of its datagram socket, `/dev/log` on most systems.
 */
#define VAULT_AUDIT_TARGET_SYSLOG 3

/**
 * syslog (RFC 5424) over TCP with octet counting (RFC 6587); the address is `host:port`.
 */
#define VAULT_AUDIT_TARGET_SYSLOG_TCP 4

/**
 * It is done.
 */
#define VAULT_CONNECTOR_OK 0

/**
 * The target answered no, and did nothing.
 */
#define VAULT_CONNECTOR_REFUSED 1

/**
 * The target refused the credential that it was asked with.
 */
#define VAULT_CONNECTOR_UNAUTHENTICATED 2

/**
 * The target was not reached: nothing was asked of it.
 */
#define VAULT_CONNECTOR_UNREACHABLE 3

/**
 * The target may have done it or not: the answer was lost, or did not come in time.
 */
#define VAULT_CONNECTOR_UNKNOWN 4

/**
 * The configuration or the statements make no sense to the connector.
 */
#define VAULT_CONNECTOR_MISCONFIGURED 5

/**
 * No key is given.
 */
#define VAULT_KEY_NONE 0

/**
 * A passphrase, UTF-8, at most 4096 bytes; stretched with Argon2id.
 */
#define VAULT_KEY_PASSPHRASE 1

/**
 * 32 random bytes.
 */
#define VAULT_KEY_RAW 2

/**
 * Key shares. To open: as many as are needed, or more, one to a line, at most 65536 bytes. To create: no key, but the members
 * `share_count` and `share_threshold`.
 */
#define VAULT_KEY_SHARES 3

/**
 * An outside key service, the member `key_wrapper`; no key.
 */
#define VAULT_KEY_WRAPPER 4

/**
 * A key in an HSM or a smart card, the member `pkcs11`; no key.
 */
#define VAULT_KEY_PKCS11 5

/**
 * When the record is admitted to a bounded queue, which is written within 50 ms of use. A crash loses the records of that window.
 */
#define VAULT_AUDIT_BATCHED 0

/**
 * When the record is durable.
 */
#define VAULT_AUDIT_STRICT 1

/**
 * As `VAULT_AUDIT_BATCHED`, and reads that a session repeats within a second are one record and a second one that counts the others. A crash
 * loses the counts of the last second too.
 */
#define VAULT_AUDIT_COUNTED 2

/**
 * The default: sled.
 */
#define VAULT_BACKEND_DEFAULT 0

/**
 * sled.
 */
#define VAULT_BACKEND_SLED 1

/**
 * redb: for large stores, since it opens them without a copy and takes less room.
 */
#define VAULT_BACKEND_REDB 2

/**
 * Read what is at the path.
 */
#define VAULT_OP_READ 1

/**
 * List the names below the path.
 */
#define VAULT_OP_LIST 2

/**
 * Create or replace what is at the path.
 */
#define VAULT_OP_WRITE 3

/**
 * Change part of what is at the path.
 */
#define VAULT_OP_PATCH 4

/**
 * Delete what is at the path.
 */
#define VAULT_OP_DELETE 5

/**
 * HashiCorp Vault's.
 */
#define VAULT_DIALECT_VAULT 1

/**
 * OpenBao's.
 */
#define VAULT_DIALECT_OPENBAO 2

/**
 * Write where nothing is yet.
 */
#define VAULT_CAPABILITY_CREATE 1

/**
 * Read.
 */
#define VAULT_CAPABILITY_READ 2

/**
 * Write where something is.
 */
#define VAULT_CAPABILITY_UPDATE 3

/**
 * Change part of what is there.
 */
#define VAULT_CAPABILITY_PATCH 4

/**
 * Delete.
 */
#define VAULT_CAPABILITY_DELETE 5

/**
 * List the names below.
 */
#define VAULT_CAPABILITY_LIST 6

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the interface that the library was built with: compare it with `VAULT_ABI_VERSION`, which the program was built with.
 *
 * - Threads: any.
 */
uint32_t vault_abi_version(void);

/**
 * The library's version, such as `0.1.0`.
 *
 * - Returns: never NULL. Owner: the library; the text lives as long as the process.
 * - Threads: any.
 */
const char *vault_version(void);

/**
 * The class of a status: its hundreds.
 *
 * - Threads: any.
 */
vault_class_t vault_status_class(vault_status_t status);

/**
 * The name of a status, such as `CasMismatch`; `Ok` for `VAULT_OK`, `Unknown` for a number that is no status.
 *
 * - Returns: never NULL. Owner: the library; the text lives as long as the process.
 * - Threads: any.
 */
const char *vault_status_name(vault_status_t status);

/**
 * The name of a class, such as `PermissionDenied`; `None` for `VAULT_CLASS_NONE`, `Unknown` for a number that is no class.
 *
 * - Returns: never NULL. Owner: the library; the text lives as long as the process.
 * - Threads: any.
 */
const char *vault_class_name(vault_class_t failure_class);

/**
 * The text of this thread's last failure: what is wrong and what to do, in English, as UTF-8. It holds no secret, no token and no path.
 *
 * - Returns: never NULL; the empty text when no call of this thread has failed yet. A call that succeeds leaves it as it is.
 * - Owner: the library. Valid until the next call of this thread that fails, or until the thread ends; do not free it.
 * - Threads: each thread has its own.
 */
const char *vault_last_error(void);

/**
 * The status of this thread's last failure, or `VAULT_OK` when no call of this thread has failed yet.
 *
 * The functions that answer no status (frees and accessors) leave their failures here too.
 *
 * - Threads: each thread has its own.
 */
vault_status_t vault_last_error_code(void);

/**
 * The data that came with this thread's last failure, as JSON: the metadata of a version that was deleted
 * (`VAULT_ERR_VERSION_DELETED`), for instance. Most failures come without; the result then has the length 0.
 *
 * - `out_data`: receives the data. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Threads: each thread has its own last error.
 */
vault_status_t vault_last_error_data(vault_secret_t **out_data);

/**
 * Makes the key that is named on the token: AES-256, sensitive, not extractable, to encrypt and decrypt with. No other function makes a key.
 *
 * - `pkcs11`: borrowed for the call. Where it names no id, the key gets a random one.
 * - Fails with `VAULT_ERR_KEY_SERVICE` when there is such a key already, and when the token fails or refuses; the text says what to do.
 * - Threads: any.
 */
vault_status_t vault_pkcs11_generate_key(const vault_pkcs11_t *pkcs11);

/**
 * Makes a new vault and leaves it open and unsealed.
 *
 * - `options`: borrowed for the call; a key must be in them.
 * - `out_vault`: receives the vault. Owner: the caller; close it with `vault_close`. NULL on failure.
 * - `out_root_token`: receives the root token, as the whole content (`vault_secret_data`). It may do everything, does not expire, and is
 *   told only here. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - On failure nothing is left at the path.
 * - Threads: any.
 */
vault_status_t vault_create(const vault_options_t *options,
                            vault_t **out_vault,
                            vault_secret_t **out_root_token);

/**
 * Makes a new vault that key shares open (`VAULT_KEY_SHARES`, `share_count`, `share_threshold`) and leaves it open and unsealed.
 *
 * - `options`: borrowed for the call.
 * - `out_vault`: receives the vault. Owner: the caller; close it with `vault_close`. NULL on failure.
 * - `out_init`: receives what is told only here, as JSON: `root_token`, and `shares`, an array of texts (`vault_secret_field` with
 *   `/shares/0`). Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - On failure nothing is left at the path.
 * - Threads: any.
 */
vault_status_t vault_create_with_shares(const vault_options_t *options,
                                        vault_t **out_vault,
                                        vault_secret_t **out_init);

/**
 * Opens a vault: unsealed when a key is in the options, else sealed.
 *
 * - `options`: borrowed for the call.
 * - `out_vault`: receives the vault. Owner: the caller; close it with `vault_close`. NULL on failure, the store then being closed again.
 * - Fails with `VAULT_ERR_STORE_LOCKED` when the store is open elsewhere (the text names the process), and with `VAULT_ERR_WRONG_KEY`
 *   when the key opens no slot of it.
 * - Threads: any.
 */
vault_status_t vault_open(const vault_options_t *options,
                          vault_t **out_vault);

/**
 * Unseals a vault. Its sessions work again.
 *
 * - `vault`: borrowed.
 * - `key_kind`, `key`, `key_len`: the key; borrowed for the call. It is stretched and dropped, never kept.
 * - Fails with `VAULT_ERR_WRONG_KEY` when the key opens no slot, and with `VAULT_ERR_ALREADY_UNSEALED`. The vault stays as it was.
 * - Threads: any; one unsealing at a time, others wait.
 */
vault_status_t vault_unseal(vault_t *vault,
                            vault_key_kind_t key_kind,
                            const void *key,
                            size_t key_len);

/**
 * Takes one key share; with the last one that is needed the vault is unsealed. What was given so far is in memory only.
 *
 * - `vault`: borrowed.
 * - `share`: NUL-terminated UTF-8; borrowed for the call.
 * - `out_sealed`: receives whether the vault is still sealed; false on failure.
 * - `out_progress`: receives how many shares were given so far, 0 once the vault is unsealed; may be NULL. 0 on failure.
 * - Fails with `VAULT_ERR_BAD_SHARE` when the text is no share, was mistyped or altered, or belongs to another set: the text says which.
 * - Threads: any; one unsealing at a time, others wait.
 */
vault_status_t vault_unseal_share(vault_t *vault,
                                  const char *share,
                                  bool *out_sealed,
                                  size_t *out_progress);

/**
 * Makes a root token for whoever can open the vault: when the last one was revoked or lost.
 *
 * - `vault`: borrowed.
 * - `key_kind`, `key`, `key_len`: a key of one of the slots; borrowed for the call. Shares are given one to a line.
 * - `out_root_token`: receives the root token, as for `vault_create`. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Fails with `VAULT_ERR_WRONG_KEY` when the key opens no slot.
 * - Threads: any.
 */
vault_status_t vault_generate_root(vault_t *vault,
                                   vault_key_kind_t key_kind,
                                   const void *key,
                                   size_t key_len,
                                   vault_secret_t **out_root_token);

/**
 * Writes what waits, wipes the keys from memory and leaves the vault sealed. Sealing a sealed vault is fine.
 *
 * - `vault`: borrowed; still to be closed with `vault_close`.
 * - Fails with `VAULT_ERR_UNAVAILABLE` when what waits cannot be written; the vault is sealed all the same.
 * - Threads: any. Calls of other threads finish or answer `VAULT_ERR_SEALED`.
 */
vault_status_t vault_seal(vault_t *vault);

/**
 * Whether the vault is sealed.
 *
 * - `vault`: borrowed.
 * - `out_sealed`: receives the answer; false on failure.
 * - Threads: any.
 */
vault_status_t vault_seal_status(vault_t *vault, bool *out_sealed);

/**
 * Does what is due by the vault's clock: writes waiting audit records, removes expired tokens. Call it about as often as it asks for.
 *
 * - `vault`: borrowed.
 * - `out_next_ms`: receives when it wants to be called next, in milliseconds since the Unix epoch; -1 when nothing is due. May be NULL.
 *   0 on failure.
 * - Threads: any.
 */
vault_status_t vault_tick(vault_t *vault,
                          int64_t *out_next_ms);

/**
 * Reads and decrypts every record of the store and the whole audit log, and compares both with the root record.
 *
 * - `vault`: borrowed.
 * - `out_records`: receives how many records the store holds; may be NULL. 0 on failure.
 * - `out_audit_records`: receives how many records the audit log holds; may be NULL. 0 on failure.
 * - Fails with `VAULT_ERR_CORRUPT`, and a text that says what is wrong, when a record was altered, removed, added or put back.
 * - Threads: any.
 */
vault_status_t vault_verify(vault_t *vault,
                            uint64_t *out_records,
                            uint64_t *out_audit_records);

/**
 * Gives disk space back that no record needs any more, while the vault is in use. Over sled readers go on, and writers but for a moment;
 * it needs room for a second copy of what is there. Over redb all wait.
 *
 * - `vault`: borrowed.
 * - `out_bytes_before`: receives how large the records are on the device beforehand; may be NULL. 0 on failure, and for a vault in memory.
 * - `out_bytes_after`: receives how large they are afterwards; may be NULL. 0 on failure, and for a vault in memory.
 * - Fails with `VAULT_ERR_CONFLICT` over redb while a backup or a verification is under way: try again. On any other failure but
 *   `VAULT_ERR_POISONED` the vault is as it was, and goes on.
 * - Threads: any.
 */
vault_status_t vault_compact(vault_t *vault,
                             uint64_t *out_bytes_before,
                             uint64_t *out_bytes_after);

/**
 * Writes what waits, wipes the keys from memory, closes the store for others to open, and frees the handle.
 *
 * Sessions of the vault answer `VAULT_ERR_CLOSED` from then on, and are still to be closed with `vault_session_close`.
 *
 * - `vault`: taken, also on failure; NULL is allowed and does nothing.
 * - Fails with `VAULT_ERR_UNAVAILABLE` when what waits cannot be written, and with `VAULT_ERR_BAD_HANDLE` when the vault was closed
 *   already.
 * - Threads: any, also while others make calls with the vault or its sessions: those finish, or answer `VAULT_ERR_CLOSED`,
 *   `VAULT_ERR_SEALED` (the keys went while they were at work) or `VAULT_ERR_BAD_HANDLE` (calls with this handle).
 */
vault_status_t vault_close(vault_t *vault);

/**
 * Opens a session under a token.
 *
 * The token is looked at with each request, not now: one that is bad, expired or revoked answers `VAULT_ERR_PERMISSION_DENIED` then.
 * A session outlives the sealing of its vault (its requests answer `VAULT_ERR_SEALED` until the vault is unsealed) and its
 * closing (they answer `VAULT_ERR_CLOSED`), and must be closed in any case.
 *
 * - `vault`: borrowed.
 * - `token`, `token_len`: the token, UTF-8; copied into memory that is wiped. An empty one is allowed where `token` is not NULL: what
 *   needs no token can then be asked.
 * - `out_session`: receives the session. Owner: the caller; close it with `vault_session_close`. NULL on failure.
 * - Threads: any; one session may be used by several at once.
 */
vault_status_t vault_session_open(vault_t *vault,
                                  const char *token,
                                  size_t token_len,
                                  vault_session_t **out_session);

/**
 * Opens a session of the same token in a namespace: all its paths are relative to that one, and lead nowhere else.
 *
 * Whether the namespace is there is looked at with each request, not now.
 *
 * - `session`: borrowed. It may be closed before the new one.
 * - `namespace_path`: such as `team-a` or `team-a/dev`, from the namespace of `session` down; NUL-terminated UTF-8, borrowed for the call.
 *   The empty text is that namespace itself.
 * - `out_session`: receives the session. Owner: the caller; close it with `vault_session_close`. NULL on failure.
 * - Fails with `VAULT_ERR_INVALID_PATH` when this can be no namespace's path.
 * - Threads: any.
 */
vault_status_t vault_session_namespace(vault_session_t *session,
                                       const char *namespace_path,
                                       vault_session_t **out_session);

/**
 * Closes a session and wipes its token from memory. The token itself stays valid: revoke it with a request.
 *
 * Calls that other threads are making with the session finish as they would have.
 *
 * - `session`: taken; NULL is allowed and does nothing.
 * - Fails with `VAULT_ERR_BAD_HANDLE` when it was closed already, and does nothing then.
 * - Threads: any.
 */
vault_status_t vault_session_close(vault_session_t *session);

/**
 * Carries out a request of the logical API: anything that the vault can do under a token.
 *
 * - `session`: borrowed.
 * - `operation`: one of the `VAULT_OP_` numbers.
 * - `path`: such as `sys/policies/acl/app`; NUL-terminated UTF-8, borrowed for the call.
 * - `json`, `json_len`: the data, a JSON object; borrowed for the call. NULL with the length 0 for none.
 * - `out_reply`: receives the reply as JSON, of length 0 where there is nothing to tell. Owner: the caller; free it with
 *   `vault_secret_free`. May be NULL when the reply is not wanted. NULL on failure; never NULL on success.
 * - On failure nothing was done, but with `VAULT_ERR_POISONED`: then only opening the vault anew tells; and with
 *   `VAULT_ERR_ANCHOR_FAILED`: then what was written is durable, so do not write it again. `vault_last_error_data` may tell more.
 * - Threads: any, also several at once with one session.
 */
vault_status_t vault_request(vault_session_t *session,
                             vault_operation_t operation,
                             const char *path,
                             const char *json,
                             size_t json_len,
                             vault_secret_t **out_reply);

/**
 * Carries out a request of the logical API as `vault_request` does, with more that the host says of it.
 *
 * - `options`: borrowed; may be NULL.
 * - All else is as for `vault_request`, failures and threads too.
 */
vault_status_t vault_request_with(vault_session_t *session,
                                  vault_operation_t operation,
                                  const char *path,
                                  const char *json,
                                  size_t json_len,
                                  const vault_request_options_t *options,
                                  vault_secret_t **out_reply);

/**
 * Decides a request by policies alone: a pure function, for which no vault is needed.
 *
 * - `texts`, `count`: the policies, HCL or JSON, each NUL-terminated UTF-8; borrowed for the call. NULL with the count 0 for none. In
 *   the decision they are named `policy 1`, `policy 2` and so on.
 * - `dialect`: one of the `VAULT_DIALECT_` numbers.
 * - `flags`: 0, or `VAULT_POLICY_ABSOLUTE_DENY`.
 * - `capability`: one of the `VAULT_CAPABILITY_` numbers.
 * - `path`: the request's; NUL-terminated UTF-8, borrowed for the call.
 * - `json`, `json_len`: the request's data, a JSON object; borrowed for the call. NULL with the length 0 for none.
 * - `wrap_ttl_seconds`: for how long the reply is to be wrapped; 0 for not.
 * - `out_allowed`: receives whether the request is allowed; may be NULL. False on failure.
 * - `out_decision`: receives the decision as JSON: `allowed`, `operation`, `path`, `rule`, `policy`, `line`, `step`, `parameter`,
 *   `capabilities`, `losers`, `void` and, in one line, `text`. Owner: the caller; free it with `vault_secret_free`. May be NULL when
 *   only `out_allowed` is wanted. NULL on failure.
 * - Fails with `VAULT_ERR_INVALID_POLICY` when a policy does not parse; the message has line and column.
 * - Threads: any.
 */
vault_status_t vault_policy_evaluate(const char *const *texts,
                                     size_t count,
                                     vault_dialect_t dialect,
                                     uint32_t flags,
                                     vault_capability_t capability,
                                     const char *path,
                                     const char *json,
                                     size_t json_len,
                                     uint64_t wrap_ttl_seconds,
                                     bool *out_allowed,
                                     vault_secret_t **out_decision);

/**
 * Reads a secret of a KV version 2 mount.
 *
 * Its members are read with `vault_secret_field`, all of them as a JSON object with `vault_secret_data`, its version with
 * `vault_secret_version`.
 *
 * - `session`: borrowed.
 * - `mount`, `path`: such as `secret` and `app/db`; NUL-terminated UTF-8, borrowed for the call.
 * - `version`: which version; 0 for the newest.
 * - `out_secret`: receives the secret. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Fails with `VAULT_ERR_NOT_FOUND` when there is none, and with `VAULT_ERR_VERSION_DELETED` when it was deleted or destroyed; its
 *   metadata is in `vault_last_error_data` then.
 * - Threads: any, also several at once with one session.
 */
vault_status_t vault_kv_get(vault_session_t *session,
                            const char *mount,
                            const char *path,
                            uint64_t version,
                            vault_secret_t **out_secret);

/**
 * Writes a new version of a secret of a KV version 2 mount. When it returns `VAULT_OK`, the version is on the device.
 *
 * - `session`: borrowed.
 * - `mount`, `path`: such as `secret` and `app/db`; NUL-terminated UTF-8, borrowed for the call.
 * - `json`, `json_len`: the members, a JSON object; borrowed for the call.
 * - `cas`: write only if this is the current version; 0 if there must be none yet; `VAULT_KV_CAS_NONE` for no such check.
 * - `out_version`: receives the new version's number; may be NULL. 0 on failure.
 * - Fails with `VAULT_ERR_CAS_MISMATCH` when another version is the current one.
 * - Threads: any, also several at once with one session.
 */
vault_status_t vault_kv_put(vault_session_t *session,
                            const char *mount,
                            const char *path,
                            const char *json,
                            size_t json_len,
                            int64_t cas,
                            uint64_t *out_version);

/**
 * Lists the names directly below a folder of a KV version 2 mount, in order; folders end in a slash.
 *
 * - `session`: borrowed.
 * - `mount`, `folder`: such as `secret` and `app/`, the empty text for the mount's top; NUL-terminated UTF-8, borrowed for the call.
 * - `out_names`: receives the names as a JSON array; `vault_secret_field` reads one with the name `/0` and so on. Owner: the caller;
 *   free it with `vault_secret_free`. NULL on failure.
 * - Fails with `VAULT_ERR_NOT_FOUND` when there are none.
 * - Threads: any, also several at once with one session.
 */
vault_status_t vault_kv_list(vault_session_t *session,
                             const char *mount,
                             const char *folder,
                             vault_secret_t **out_names);

/**
 * Makes a live secret of a KV version 2 mount. It is read at its first use, not now; make one for each secret and keep it.
 *
 * - `session`: borrowed; the live secret goes on when the session is closed.
 * - `mount`, `path`: such as `secret` and `app/db`; NUL-terminated UTF-8, borrowed for the call.
 * - `out_live`: receives the live secret. Owner: the caller; free it with `vault_live_secret_free`. NULL on failure.
 * - Fails with `VAULT_ERR_INVALID_PATH` when this can be no path.
 * - Threads: any; one live secret may be used by several at once.
 */
vault_status_t vault_kv_live(vault_session_t *session,
                             const char *mount,
                             const char *path,
                             vault_live_secret_t **out_live);

/**
 * Makes a live secret of any path of a secrets engine that can be read again and again, such as `kv1/app`: its members are those of the
 * answer's data.
 *
 * - `session`: borrowed; the live secret goes on when the session is closed.
 * - `path`: the whole path; NUL-terminated UTF-8, borrowed for the call.
 * - `out_live`: receives the live secret. Owner: the caller; free it with `vault_live_secret_free`. NULL on failure.
 * - Fails with `VAULT_ERR_INVALID_PATH` when this can be no path.
 * - Threads: any; one live secret may be used by several at once.
 */
vault_status_t vault_session_live(vault_session_t *session,
                                  const char *path,
                                  vault_live_secret_t **out_live);

/**
 * The secret as it is now. The store is asked, and a record made, at the first call and when something has changed.
 *
 * - `live`: borrowed.
 * - `out_secret`: receives a copy of the secret with its version. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Fails as a read does: `VAULT_ERR_NOT_FOUND`, `VAULT_ERR_PERMISSION_DENIED`, `VAULT_ERR_SEALED` and so on; `VAULT_ERR_UNSUPPORTED_PATH`
 *   where each read gives something new, and for the vault's own paths.
 * - Threads: any, also several at once; when the secret has changed one of them reads it and the others wait for that.
 */
vault_status_t vault_live_secret_get(const vault_live_secret_t *live,
                                     vault_secret_t **out_secret);

/**
 * Reads the secret whether it has changed or not: a read with its record.
 *
 * - `live`: borrowed.
 * - `out_secret`: receives a copy of the secret with its version. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Fails as `vault_live_secret_get`.
 * - Threads: any, also several at once.
 */
vault_status_t vault_live_secret_refresh(const vault_live_secret_t *live,
                                         vault_secret_t **out_secret);

/**
 * Whether what was read last is still what a read would give: keep what `vault_live_secret_get` gave as long as it is. Never asks the store,
 * takes no lock, and costs nanoseconds.
 *
 * - `live`: borrowed.
 * - Returns: false before the first read, and when `live` is NULL or no live handle (see `vault_last_error_code`).
 * - Threads: any, also several at once.
 */
bool vault_live_secret_is_current(const vault_live_secret_t *live);

/**
 * Lets an attempt use the secret. When it answers `VAULT_ATTEMPT_REFUSED` the secret is read anew, whether it is known to have changed or not,
 * and the attempt is made once more: a password that was rotated meanwhile costs one more login, and a wrong one no more than two.
 *
 * - `live`: borrowed.
 * - `attempt`: called once or twice by this thread, under no lock of the vault.
 * - `user`: given to `attempt`; the library does nothing else with it.
 * - `out_answer`: receives what the last attempt answered; may be NULL. 0 on failure.
 * - Fails as `vault_live_secret_get` when the secret cannot be read. What an attempt answers is no failure of this call.
 * - Threads: any, also several at once.
 */
vault_status_t vault_live_secret_with_retry(const vault_live_secret_t *live,
                                            vault_attempt_fn attempt,
                                            void *user,
                                            int32_t *out_answer);

/**
 * Calls a callback whenever a `vault_tick` finds that the secret is another one than it was told last, or than it is now; and once when it can no
 * longer be read. It takes the place of the one before.
 *
 * - `live`: borrowed.
 * - `changed`: NULL for none from now on. One that is under way in another thread may still end after that, so keep `user` valid until a
 *   tick has ended.
 * - `user`: given to `changed`, possibly from several threads at once; the library does nothing else with it.
 * - Fails as `vault_live_secret_get`, since the secret is read now; the callback before is kept then.
 * - Threads: any.
 */
vault_status_t vault_live_secret_on_change(vault_live_secret_t *live,
                                           vault_change_fn changed,
                                           void *user);

/**
 * Wipes and frees a live secret. What `vault_live_secret_get` gave stays its receiver's.
 *
 * - `live`: taken; NULL is allowed and does nothing. A handle that was freed already, or is of another kind, is left alone
 *   (see `vault_last_error_code`).
 * - Threads: any, also while another thread uses it: that call ends well.
 */
void vault_live_secret_free(vault_live_secret_t *live);

/**
 * Reads the account of a static role with its password as it is now.
 *
 * Its members are read with `vault_secret_field`: `username`, `password`, `last_vault_rotation`, `ttl` (seconds until its schedule replaces
 * it). The number of the password is given by `vault_secret_version`: another one is another password.
 *
 * - `session`: borrowed.
 * - `mount`, `role`: such as `database` and `app`; NUL-terminated UTF-8, borrowed for the call.
 * - `out_secret`: receives the credential. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Fails with `VAULT_ERR_NOT_FOUND` when there is no such role, and with `VAULT_ERR_ROTATION_PENDING` while its first rotation is not at
 *   its end.
 * - Threads: any, also several at once with one session.
 */
vault_status_t vault_static_creds(vault_session_t *session,
                                  const char *mount,
                                  const char *role,
                                  vault_secret_t **out_secret);

/**
 * Replaces the password of a static role now.
 *
 * - `session`: borrowed.
 * - `mount`, `role`: such as `database` and `app`; NUL-terminated UTF-8, borrowed for the call.
 * - Fails with `VAULT_ERR_ROTATION_PENDING` when it has begun and `vault_tick` carries it on, and with `VAULT_ERR_ROTATION_STUCK` when it has
 *   stopped and needs somebody: `vault_last_error` says what to do.
 * - Threads: any, also several at once with one session.
 */
vault_status_t vault_rotate_role(vault_session_t *session,
                                 const char *mount,
                                 const char *role);

/**
 * Goes through the rotation of a static role without promoting anything, and reports.
 *
 * - `session`: borrowed.
 * - `mount`, `role`: such as `database` and `app`; NUL-terminated UTF-8, borrowed for the call.
 * - `out_report`: receives a JSON object: `would_work`, `found` (what would stop it, or null), `steps`. Owner: the caller; free it with
 *   `vault_secret_free`. NULL on failure.
 * - Fails with `VAULT_ERR_ROTATION_PENDING` when the target did not answer yet.
 * - Threads: any, also several at once with one session.
 */
vault_status_t vault_rehearse_role(vault_session_t *session,
                                   const char *mount,
                                   const char *role,
                                   vault_secret_t **out_report);

/**
 * Reads a static role, with where its rotation stands and without its password.
 *
 * - `session`: borrowed.
 * - `mount`, `role`: such as `database` and `app`; NUL-terminated UTF-8, borrowed for the call.
 * - `out_role`: receives a JSON object; `/rotation/phase`, `/rotation/needs_attention`, `/rotation/what_to_do` and the like with
 *   `vault_secret_field`. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Fails with `VAULT_ERR_NOT_FOUND` when there is no such role.
 * - Threads: any, also several at once with one session.
 */
vault_status_t vault_static_role(vault_session_t *session,
                                 const char *mount,
                                 const char *role,
                                 vault_secret_t **out_role);

/**
 * Tells who has read what is out, since when, and which leases and rotated credentials hang on it. Changes nothing.
 *
 * - `session`: borrowed. Needs `update` and `sudo` on `sys/emergency/look`.
 * - `asked`, `asked_len`: a JSON object with one of `path` (with all that is below it), `prefix`, `accessor` (a token, with those that it has
 *   made) and `entity` (the id or the name of one, with all its tokens), `since` (seconds since 1970, or RFC 3339) and `after`
 *   (the `next` of the page before); borrowed for the call.
 * - `out_exposure`: receives a JSON object: `readers`, `paths`, `leases`, `credentials`, `by_hand`, `is_complete`, `next` (where it is a number
 *   there is more: pass it as `after`), `looked`, and `timeline`, lines for a postmortem. `/readers/0/accessor` and the like with
 *   `vault_secret_field`. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Threads: any, also several at once with one session.
 */
vault_status_t vault_emergency_look(vault_session_t *session,
                                    const char *asked,
                                    size_t asked_len,
                                    vault_secret_t **out_exposure);

/**
 * Ends what a look finds: the tokens of the readers, the leases, and then the credentials, several at one time. A step that fails keeps none of the
 * others from being done; each is a request of the session's own token.
 *
 * - `session`: borrowed; its own token is kept. Needs `update` and `sudo` on `sys/emergency/contain`, and what each step needs.
 * - `asked`, `asked_len`: a JSON object as for `vault_emergency_look`, and: `before` (what was rotated since is left: pass `looked`), `tokens`
 *   (`revoke`, `quarantine` or `keep`), `leases` and `rotate` (true), `most` (100), `parallel` (4), `dry_run` (false); borrowed for the call.
 * - `out_containment`: receives the exposure as it is then, and `steps` (each with `time`, `step`, `what`, `outcome`, `why`), `left` (call it again
 *   until that is 0), `is_complete` (false: somebody may have it still, for there is more than one look takes), `failed`, and the `timeline` of both. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Threads: any. It waits for the targets of what it rotates.
 */
vault_status_t vault_emergency_contain(vault_session_t *session,
                                       const char *asked,
                                       size_t asked_len,
                                       vault_secret_t **out_containment);

/**
 * Writes a backup of the vault as it is at one moment, while it is in use. Needs `update` and `sudo` on `sys/storage/backup`.
 *
 * - `session`: borrowed.
 * - `write`, `user`: receive the bytes in order, on this thread.
 * - `seal`: NULL for the vault's own key slots; else options of which only the members about the key matter, as for
 *   `vault_create`: the one slot that opens the backup. Borrowed for the call.
 * - `out_info`: receives what the backup says of itself as JSON: vault, made, commit, version, records, segments, bytes, digest, shares
 *   (where the slot is opened by such). Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - On failure what was written is no backup, and `vault_backup_verify` says so.
 * - Threads: any, also while others use the vault.
 */
vault_status_t vault_backup(vault_session_t *session,
                            vault_write_fn write,
                            void *user,
                            const vault_options_t *seal,
                            vault_secret_t **out_info);

/**
 * Reads a backup to its end and checks that it is whole: not cut, not altered since it was written. It needs no key.
 *
 * - `read`, `user`: give the bytes in order, on this thread.
 * - `out_info`: receives what the backup says of itself, as for `vault_backup`. Owner: the caller; free it with `vault_secret_free`. May
 *   be NULL. NULL on failure.
 * - Fails with `VAULT_ERR_BAD_BACKUP`.
 * - Threads: any.
 */
vault_status_t vault_backup_verify(vault_read_fn read,
                                   void *user,
                                   vault_secret_t **out_info);

/**
 * Writes a backup into an empty place and opens the vault, frozen: it is read, and every write answers `VAULT_ERR_FROZEN` until somebody
 * writes to `sys/storage/adopt`.
 *
 * - `options`: borrowed for the call; the key of one of the backup's slots must be in them.
 * - `read`, `user`: give the bytes in order, on this thread.
 * - `out_vault`: receives the vault. Owner: the caller; close it with `vault_close`. NULL on failure; nothing is left at the place then.
 * - Fails with `VAULT_ERR_BAD_BACKUP`, `VAULT_ERR_WRONG_KEY`, `VAULT_ERR_STORE_EXISTS`.
 * - Threads: any.
 */
vault_status_t vault_restore(const vault_options_t *options,
                             vault_read_fn read,
                             void *user,
                             vault_t **out_vault);

/**
 * Tells what is wrong with a store. Without a key in the options that is what its files and its database tell; with one, every record and
 * the audit log are read as well. The store is not changed: a private copy is opened, which takes as much room as the store.
 *
 * - `options`: borrowed for the call; `path`, the key, `cache_bytes` and `anchor` matter.
 * - `scratch`: the directory for the copy, NUL-terminated UTF-8, at most 4096 bytes; NULL for the store's parent. Borrowed for the call.
 * - `flags`: 0 or `VAULT_DOCTOR_NAMES`.
 * - `out_report`: receives the report as JSON: verdict (sound, degraded, damaged, unreadable), advice, findings (severity, name, what,
 *   advice), backend, in_use, pid, bytes, segments, opens, commit, acknowledged, vault, created, slots, content, text (all of it to
 *   read). Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - A store that is damaged is no failure. Fails with `VAULT_ERR_NOT_A_STORE`, `VAULT_ERR_WRONG_KEY`, `VAULT_ERR_NO_SPACE`.
 * - Threads: any.
 */
vault_status_t vault_doctor(const vault_options_t *options,
                            const char *scratch,
                            uint32_t flags,
                            vault_secret_t **out_report);

/**
 * Takes out of a store what can be read of it, into an empty place, and opens that: frozen, as after `vault_restore`, until somebody writes
 * to `sys/storage/adopt`. The damaged store is not changed.
 *
 * - `from`: borrowed for the call; `path`, a key of one of its slots, and `cache_bytes` matter.
 * - `to`: borrowed for the call: the new vault. A key in it is not looked at, since the new vault is opened by the slots of the old one.
 * - `scratch`, `flags`: as for `vault_doctor`.
 * - `out_vault`: receives the new vault. Owner: the caller; close it with `vault_close`. NULL on failure; nothing is left at the place then.
 * - `out_report`: receives what was taken and lost as JSON: complete, commits_lost, records, records_lost, digest_agrees, orphans,
 *   namespaces, namespaces_lost, lost_namespaces, gaps, secrets, secrets_damaged, secrets_lost, damaged, nameless, nameless_mount,
 *   policies_lost, tokens_dropped, entities_disabled, remade, header_remade, audit, text. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Fails with `VAULT_ERR_CORRUPT` where no key opens the store any more, `VAULT_ERR_STORE_LOCKED` where it is open,
 *   `VAULT_ERR_STORE_EXISTS` where the new place is not empty, and as `vault_doctor`.
 * - Threads: any.
 */
vault_status_t vault_salvage(const vault_options_t *from,
                             const vault_options_t *to,
                             const char *scratch,
                             uint32_t flags,
                             vault_t **out_vault,
                             vault_secret_t **out_report);

/**
 * Writes the events of the audit log as JSON lines, one object a line. Needs `read` and `sudo` on `sys/audit-log/export`.
 *
 * - `session`: borrowed.
 * - `after`: the number of the last event that is not wanted; 0 for all that is there.
 * - `write`, `user`: receive the bytes in order, on this thread.
 * - `out_count`: receives how many events were written; may be NULL. 0 on failure.
 * - Threads: any, also while others use the vault.
 */
vault_status_t vault_audit_export(vault_session_t *session,
                                  uint64_t after,
                                  vault_write_fn write,
                                  void *user,
                                  uint64_t *out_count);

/**
 * Checks a checkpoint of an audit log with the vault's public key.
 *
 * - `note`, `key`: as `sys/audit-log/checkpoint` and `sys/audit-log/public-key` answer them; NUL-terminated UTF-8, borrowed for the call.
 * - `out_info`: receives origin, size and root (hexadecimal) as JSON. Owner: the caller; free it with `vault_secret_free`. May be NULL.
 *   NULL on failure.
 * - Fails with `VAULT_ERR_CORRUPT` when the key has not signed it.
 * - Threads: any.
 */
vault_status_t vault_audit_verify_checkpoint(const char *note,
                                             const char *key,
                                             vault_secret_t **out_info);

/**
 * Checks that an event is in the log of a checkpoint.
 *
 * - `note`, `key`: as for `vault_audit_verify_checkpoint`.
 * - `proof`, `proof_len`: JSON, the data that `sys/audit-log/proof/inclusion` answers for the checkpoint's size; borrowed for the call.
 * - Fails with `VAULT_ERR_CORRUPT` when the event is not in that log, at that place, as these bytes.
 * - Threads: any.
 */
vault_status_t vault_audit_verify_inclusion(const char *note,
                                            const char *key,
                                            const char *proof,
                                            size_t proof_len);

/**
 * Checks that the log of a newer checkpoint begins with that of an older one.
 *
 * - `older`, `newer`, `key`: as for `vault_audit_verify_checkpoint`.
 * - `proof`, `proof_len`: JSON, the data that `sys/audit-log/proof/consistency` answers for both sizes; borrowed for the call.
 * - Fails with `VAULT_ERR_CORRUPT` when something was taken away or changed, or the log was forked.
 * - Threads: any.
 */
vault_status_t vault_audit_verify_consistency(const char *older,
                                              const char *newer,
                                              const char *key,
                                              const char *proof,
                                              size_t proof_len);

/**
 * What the vault has counted since it was opened, in the text format of Prometheus (0.0.4). No token is needed: neither paths nor secrets
 * are named. The vault may be sealed.
 *
 * - `vault`: borrowed.
 * - `out_text`: receives the text. Owner: the caller; free it with `vault_secret_free`. NULL on failure.
 * - Threads: any.
 */
vault_status_t vault_metrics(vault_t *vault,
                             vault_secret_t **out_text);

/**
 * The whole content as text: JSON, or the bare text where the content is one piece of text, such as a token.
 *
 * A NUL follows the text, so it can be used as a C string where it holds none itself.
 *
 * - `secret`: borrowed.
 * - Returns: the text. Owner: the secret; valid until the secret is freed. NULL when `secret` is NULL or no live handle (see
 *   `vault_last_error_code`).
 * - Threads: any, also several at once.
 */
const char *vault_secret_data(const vault_secret_t *secret);

/**
 * The length of what `vault_secret_data` gives, in bytes, without the NUL behind it. 0 where a request answered without content.
 *
 * - `secret`: borrowed.
 * - Returns: the length; 0 also when `secret` is NULL or no live handle (see `vault_last_error_code`).
 * - Threads: any, also several at once.
 */
size_t vault_secret_len(const vault_secret_t *secret);

/**
 * The version of a secret that came from `vault_kv_get`; 0 for any other, and when `secret` is NULL or no live handle.
 *
 * - `secret`: borrowed.
 * - Threads: any, also several at once.
 */
uint64_t vault_secret_version(const vault_secret_t *secret);

/**
 * One member of the content: the bare text of a member that is text, and JSON for any other.
 *
 * - `secret`: borrowed.
 * - `name`: the member's name, or, where it begins with `/`, a JSON Pointer (RFC 6901) to a nested one: `/auth/client_token`,
 *   `/data/keys/0`. NUL-terminated UTF-8; borrowed for the call.
 * - `out_data`: receives the text, with a NUL behind it. Owner: the secret; valid until the secret is freed. NULL on failure.
 * - `out_len`: receives the length in bytes without that NUL; may be NULL. 0 on failure.
 * - Fails with `VAULT_ERR_NOT_FOUND` when there is no such member.
 * - Threads: any, also several at once.
 */
vault_status_t vault_secret_field(const vault_secret_t *secret,
                                  const char *name,
                                  const char **out_data,
                                  size_t *out_len);

/**
 * Wipes and frees a secret or reply. Pointers that came from it are invalid from then on.
 *
 * - `secret`: taken; NULL is allowed and does nothing. A handle that was freed already, or is of another kind, is left alone
 *   (see `vault_last_error_code`).
 * - Threads: any, but not while another thread uses the secret's text.
 */
void vault_secret_free(vault_secret_t *secret);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/**
 * Makes options ready to be filled in: sets their size, as this program was compiled, and zeroes the rest.
 *
 * - `options`: NULL is allowed and does nothing.
 */
static inline void vault_options_init(vault_options_t *options) {
    if (options != NULL) {
        memset(options, 0, sizeof *options);
        options->size = sizeof *options;
    }
}

#endif /* VAULT_H */
