/*
 * The matrix of bad input: every function of vault.h with every kind of bad argument that it can be given, from several threads at once.
 * `cargo xtask c` refuses a function that is not called here.
 */
#include "check.h"

#include <pthread.h>

#define THREADS 4
/* A pattern in outputs, to see that they are cleared. */
#define STALE ((void *)0x5a5a)
#define TOO_LONG 5000

/* Answers one of these, and clears what it gives out. */
#define ANSWERS(expected, call) answers(#call, (expected), (call), __LINE__)
/* A value that tells nothing, with the reason kept. */
#define TELLS(expected, condition) tells(#condition, (expected), (condition), __LINE__)

static void answers(const char *call, vault_status_t expected, vault_status_t status, int line) {
    if (status != expected || (status != VAULT_OK && (vault_last_error_code() != status || vault_last_error()[0] == '\0'))) {
        fprintf(stderr, "FAILED matrix.c:%d: %s: expected %s, got %s (%s)\n", line, call, vault_status_name(expected), vault_status_name(status),
                vault_last_error());
        exit(1);
    }
}

static void tells(const char *what, vault_status_t expected, bool is_nothing, int line) {
    answers(what, is_nothing ? expected : VAULT_ERR_INTERNAL, vault_last_error_code(), line);
}

static vault_t *vault;
static vault_session_t *session;
static vault_secret_t *secret;
/* What was closed and freed before the threads begin. */
static vault_t *closed_vault;
static vault_session_t *closed_session;
static vault_secret_t *freed_secret;
static char endless[TOO_LONG + 1];
/* A checkpoint and a key that are good, beside what is not. */
static const char *note, *key;

static vault_status_t swallow(void *user, const uint8_t *bytes, size_t len) {
    (void)user, (void)bytes, (void)len;
    return VAULT_OK;
}

static int32_t never_called(void *user, const vault_secret_t *given) {
    (void)user, (void)given;
    return VAULT_ATTEMPT_REFUSED;
}

static vault_status_t give_nothing(void *user, uint8_t *out, size_t capacity, size_t *out_len) {
    (void)user, (void)out, (void)capacity;
    *out_len = 0;
    return VAULT_OK;
}

static vault_status_t claim_too_much(void *user, uint8_t *out, size_t capacity, size_t *out_len) {
    (void)user, (void)out;
    *out_len = capacity + 1;
    return VAULT_OK;
}

static vault_status_t fail(void *user, uint8_t *out, size_t capacity, size_t *out_len) {
    (void)user, (void)out, (void)capacity, (void)out_len;
    return 7;
}

/* The handles that are no vault: closed, of another kind, an address, a number; NULL stands apart. */
static vault_t *no_vault(int which) {
    switch (which) {
    case 0: return closed_vault;
    case 1: return (vault_t *)session;
    case 2: return (vault_t *)secret;
    case 3: return (vault_t *)endless;
    default: return (vault_t *)UINTPTR_MAX;
    }
}

static vault_live_secret_t *no_live_secret(int which) {
    switch (which) {
    case 0: return (vault_live_secret_t *)freed_secret;
    case 1: return (vault_live_secret_t *)vault;
    case 2: return (vault_live_secret_t *)session;
    case 3: return (vault_live_secret_t *)endless;
    default: return (vault_live_secret_t *)UINTPTR_MAX;
    }
}

static vault_session_t *no_session(int which) {
    switch (which) {
    case 0: return closed_session;
    case 1: return (vault_session_t *)vault;
    case 2: return (vault_session_t *)secret;
    case 3: return (vault_session_t *)endless;
    default: return (vault_session_t *)UINTPTR_MAX;
    }
}

static vault_secret_t *no_secret(int which) {
    switch (which) {
    case 0: return freed_secret;
    case 1: return (vault_secret_t *)vault;
    case 2: return (vault_secret_t *)session;
    case 3: return (vault_secret_t *)endless;
    default: return (vault_secret_t *)UINTPTR_MAX;
    }
}

/* Everything that takes a vault, with one that is none. */
static void with_vault(vault_t *bad, vault_status_t expected) {
    bool sealed = true;
    size_t progress = 7;
    int64_t next = 7;
    uint64_t a = 7, b = 7;
    vault_secret_t *out = STALE;
    vault_session_t *opened = STALE;
    ANSWERS(expected, vault_unseal(bad, VAULT_KEY_PASSPHRASE, "p", 1));
    ANSWERS(expected, vault_unseal_share(bad, "lvs1", &sealed, &progress));
    ANSWERS(expected, vault_generate_root(bad, VAULT_KEY_PASSPHRASE, "p", 1, &out));
    ANSWERS(expected, vault_seal(bad));
    ANSWERS(expected, vault_seal_status(bad, &sealed));
    ANSWERS(expected, vault_tick(bad, &next));
    ANSWERS(expected, vault_verify(bad, &a, &b));
    CHECK("outputs are cleared", !sealed && progress == 0 && next == 0 && a == 0 && b == 0 && out == NULL);
    a = b = 7;
    out = STALE;
    ANSWERS(expected, vault_compact(bad, &a, &b));
    ANSWERS(expected, vault_metrics(bad, &out));
    ANSWERS(expected, vault_session_open(bad, "t", 1, &opened));
    CHECK("outputs are cleared", a == 0 && b == 0 && out == NULL && opened == NULL);
}

/* Everything that takes a session, with one that is none. */
static void with_session(vault_session_t *bad, vault_status_t expected) {
    vault_session_t *opened = STALE;
    vault_secret_t *reply = STALE, *with = STALE, *got = STALE, *names = STALE, *info = STALE;
    uint64_t version = 7, count = 7;
    ANSWERS(expected, vault_session_namespace(bad, "team", &opened));
    ANSWERS(expected, vault_request(bad, VAULT_OP_READ, "sys/mounts", NULL, 0, &reply));
    ANSWERS(expected, vault_request_with(bad, VAULT_OP_READ, "sys/mounts", NULL, 0, NULL, &with));
    ANSWERS(expected, vault_kv_get(bad, "secret", "a", 0, &got));
    ANSWERS(expected, vault_kv_put(bad, "secret", "a", "{}", 2, VAULT_KV_CAS_NONE, &version));
    ANSWERS(expected, vault_kv_list(bad, "secret", "", &names));
    ANSWERS(expected, vault_backup(bad, swallow, NULL, NULL, &info));
    ANSWERS(expected, vault_audit_export(bad, 0, swallow, NULL, &count));
    CHECK("outputs are cleared", opened == NULL && reply == NULL && with == NULL && got == NULL && names == NULL && info == NULL);
    CHECK("numbers too", version == 0 && count == 0);
    vault_live_secret_t *live = STALE, *of_path = STALE;
    vault_secret_t *creds = STALE, *report = STALE, *role = STALE;
    ANSWERS(expected, vault_kv_live(bad, "secret", "a", &live));
    ANSWERS(expected, vault_session_live(bad, "secret/data/a", &of_path));
    ANSWERS(expected, vault_static_creds(bad, "database", "app", &creds));
    ANSWERS(expected, vault_rotate_role(bad, "database", "app"));
    ANSWERS(expected, vault_rehearse_role(bad, "database", "app", &report));
    ANSWERS(expected, vault_static_role(bad, "database", "app", &role));
    CHECK("outputs are cleared", live == NULL && of_path == NULL && creds == NULL && report == NULL && role == NULL);
}

/* Everything that takes a live secret, with one that is none. */
static void with_live_secret(vault_live_secret_t *bad, vault_status_t expected) {
    vault_secret_t *got = STALE, *again = STALE;
    int32_t answer = 7;
    ANSWERS(expected, vault_live_secret_get(bad, &got));
    ANSWERS(expected, vault_live_secret_refresh(bad, &again));
    TELLS(expected, !vault_live_secret_is_current(bad));
    ANSWERS(expected, vault_live_secret_with_retry(bad, never_called, NULL, &answer));
    ANSWERS(expected, vault_live_secret_on_change(bad, NULL, NULL));
    CHECK("outputs are cleared", got == NULL && again == NULL && answer == 0);
}

/* Everything that takes a secret, with one that is none. */
static void with_secret(vault_secret_t *bad, vault_status_t expected) {
    const char *data = STALE;
    size_t len = 7;
    TELLS(expected, vault_secret_data(bad) == NULL);
    TELLS(expected, vault_secret_len(bad) == 0);
    TELLS(expected, vault_secret_version(bad) == 0);
    ANSWERS(expected, vault_secret_field(bad, "a", &data, &len));
    CHECK("outputs are cleared", data == NULL && len == 0);
}

static void handles_that_are_none(void) {
    with_vault(NULL, VAULT_ERR_BAD_ARGUMENT);
    with_session(NULL, VAULT_ERR_BAD_ARGUMENT);
    with_secret(NULL, VAULT_ERR_BAD_ARGUMENT);
    with_live_secret(NULL, VAULT_ERR_BAD_ARGUMENT);
    for (int which = 0; which < 5; which++) {
        with_vault(no_vault(which), VAULT_ERR_BAD_HANDLE);
        with_session(no_session(which), VAULT_ERR_BAD_HANDLE);
        with_secret(no_secret(which), VAULT_ERR_BAD_HANDLE);
        with_live_secret(no_live_secret(which), VAULT_ERR_BAD_HANDLE);
        vault_live_secret_free(no_live_secret(which));
        ANSWERS(VAULT_ERR_BAD_HANDLE, vault_last_error_code());
        ANSWERS(VAULT_ERR_BAD_HANDLE, vault_close(no_vault(which)));
        ANSWERS(VAULT_ERR_BAD_HANDLE, vault_session_close(no_session(which)));
        vault_seal(NULL);
        vault_secret_free(no_secret(which));
        ANSWERS(VAULT_ERR_BAD_HANDLE, vault_last_error_code());
    }
    ANSWERS(VAULT_OK, vault_close(NULL));
    ANSWERS(VAULT_OK, vault_session_close(NULL));
    vault_secret_free(NULL);
    vault_live_secret_free(NULL);
}

/* Outputs that must be given are missed; those that may be left out are not. */
static void outputs_that_are_null(const vault_options_t *good) {
    vault_t *v = STALE;
    vault_secret_t *s = STALE;
    size_t len;
    bool sealed;
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_last_error_data(NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_create(good, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_create(good, &v, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_create_with_shares(good, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_create_with_shares(good, &v, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_open(good, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_restore(good, give_nothing, NULL, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_doctor(good, NULL, 0, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_salvage(good, good, NULL, 0, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_salvage(good, good, NULL, 0, &v, NULL));
    CHECK("the others are cleared", v == NULL && s == NULL);
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_unseal_share(vault, "lvs1", NULL, &len));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_generate_root(vault, VAULT_KEY_RAW, good->key, good->key_len, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_seal_status(vault, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_metrics(vault, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_session_open(vault, "t", 1, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_session_namespace(session, "", NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_kv_get(session, "secret", "a", 0, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_kv_list(session, "secret", "", NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_kv_live(session, "secret", "a", NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_session_live(session, "secret/data/a", NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_static_creds(session, "database", "app", NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_rehearse_role(session, "database", "app", NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_static_role(session, "database", "app", NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_backup(session, swallow, NULL, NULL, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_secret_field(secret, "k", NULL, &len));
    ANSWERS(VAULT_OK, vault_tick(vault, NULL));
    ANSWERS(VAULT_OK, vault_verify(vault, NULL, NULL));
    ANSWERS(VAULT_OK, vault_compact(vault, NULL, NULL));
    ANSWERS(VAULT_OK, vault_request(session, VAULT_OP_READ, "sys/mounts", NULL, 0, NULL));
    ANSWERS(VAULT_OK, vault_audit_export(session, UINT64_MAX / 2, swallow, NULL, NULL));
    ANSWERS(VAULT_OK, vault_seal_status(vault, &sealed));
    CHECK("and the vault is what it was", !sealed);
}

/* Every text that is missing, too long, or not UTF-8. */
static void texts_that_are_bad(const vault_options_t *good) {
    static const struct {
        const char *text;
        vault_status_t status;
    } cases[] = {{NULL, VAULT_ERR_BAD_ARGUMENT}, {endless, VAULT_ERR_BAD_ARGUMENT}, {"\xc3\x28", VAULT_ERR_INVALID_UTF8}};
    vault_session_t *opened;
    vault_secret_t *s;
    bool sealed;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].text;
        vault_status_t status = cases[i].status;
        ANSWERS(status, vault_request(session, VAULT_OP_READ, text, NULL, 0, &s));
        ANSWERS(status, vault_request_with(session, VAULT_OP_READ, text, NULL, 0, NULL, &s));
        ANSWERS(status, vault_kv_get(session, text, "a", 0, &s));
        ANSWERS(status, vault_kv_get(session, "secret", text, 0, &s));
        ANSWERS(status, vault_kv_put(session, text, "a", "{}", 2, VAULT_KV_CAS_NONE, NULL));
        ANSWERS(status, vault_kv_put(session, "secret", text, "{}", 2, VAULT_KV_CAS_NONE, NULL));
        ANSWERS(status, vault_kv_list(session, text, "", &s));
        ANSWERS(status, vault_kv_list(session, "secret", text, &s));
        vault_live_secret_t *live = STALE;
        ANSWERS(status, vault_kv_live(session, text, "a", &live));
        ANSWERS(status, vault_kv_live(session, "secret", text, &live));
        ANSWERS(status, vault_session_live(session, text, &live));
        CHECK("nothing is given out", live == NULL);
        ANSWERS(status, vault_static_creds(session, text, "app", &s));
        ANSWERS(status, vault_static_creds(session, "database", text, &s));
        ANSWERS(status, vault_rotate_role(session, text, "app"));
        ANSWERS(status, vault_rotate_role(session, "database", text));
        ANSWERS(status, vault_rehearse_role(session, "database", text, &s));
        ANSWERS(status, vault_static_role(session, "database", text, &s));
        ANSWERS(status, vault_session_namespace(session, text, &opened));
        ANSWERS(status, vault_unseal_share(vault, text, &sealed, NULL));
        ANSWERS(status, vault_policy_evaluate(NULL, 0, VAULT_DIALECT_VAULT, 0, VAULT_CAPABILITY_READ, text, NULL, 0, 0, NULL, &s));
        if (text != endless) {
            /* These may be as long as a policy, a note or a value. */
            ANSWERS(status, vault_policy_evaluate(&text, 1, VAULT_DIALECT_VAULT, 0, VAULT_CAPABILITY_READ, "a", NULL, 0, 0, NULL, &s));
            ANSWERS(status, vault_audit_verify_checkpoint(text, "k", &s));
            ANSWERS(status, vault_audit_verify_inclusion(text, "k", "{}", 2));
            ANSWERS(status, vault_audit_verify_consistency(text, "n", "k", "{}", 2));
            ANSWERS(status, vault_secret_field(secret, text, (const char **)&s, NULL));
        }
        if (text != NULL) {
            vault_options_t bad = *good;
            bad.path = text;
            ANSWERS(status, vault_open(&bad, (vault_t **)&s));
            bad = *good;
            bad.audit_file = text;
            ANSWERS(status, vault_create(&bad, (vault_t **)&opened, &s));
            bad = *good;
            bad.path = "/nowhere/at/all";
            ANSWERS(status, vault_doctor(&bad, text, 0, &s));
            ANSWERS(status, vault_salvage(&bad, good, text, 0, (vault_t **)&opened, &s));
            CHECK("nothing is given out", opened == NULL && s == NULL);
        }
    }
}

/* Lengths that are past every limit, lengths without bytes, and bytes that are no text. */
static void lengths_and_bytes_that_are_bad(void) {
    vault_session_t *opened;
    vault_secret_t *s;
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_session_open(vault, "t", SIZE_MAX, &opened));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_session_open(vault, NULL, 1, &opened));
    ANSWERS(VAULT_ERR_INVALID_UTF8, vault_session_open(vault, "\xff", 1, &opened));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_unseal(vault, VAULT_KEY_RAW, "k", SIZE_MAX));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_unseal(vault, VAULT_KEY_PASSPHRASE, NULL, 4));
    ANSWERS(VAULT_ERR_INVALID_UTF8, vault_unseal(vault, VAULT_KEY_PASSPHRASE, "\xff", 1));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_unseal(vault, 77, "k", 1));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_generate_root(vault, VAULT_KEY_SHARES, "k", SIZE_MAX, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_generate_root(vault, INT32_MIN, "k", 1, &s));
    ANSWERS(VAULT_ERR_INVALID_DATA, vault_request(session, VAULT_OP_WRITE, "secret/data/a", "{}", SIZE_MAX, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_request(session, VAULT_OP_WRITE, "secret/data/a", NULL, 2, &s));
    ANSWERS(VAULT_ERR_INVALID_UTF8, vault_request(session, VAULT_OP_WRITE, "secret/data/a", "\xff", 1, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_request(session, 99, "secret/data/a", NULL, 0, &s));
    ANSWERS(VAULT_ERR_INVALID_DATA, vault_request_with(session, VAULT_OP_WRITE, "secret/data/a", "{}", SIZE_MAX, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_request_with(session, -1, "secret/data/a", NULL, 0, NULL, &s));
    ANSWERS(VAULT_ERR_INVALID_DATA, vault_kv_put(session, "secret", "a", "{}", SIZE_MAX, VAULT_KV_CAS_NONE, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_kv_put(session, "secret", "a", NULL, 2, VAULT_KV_CAS_NONE, NULL));
    ANSWERS(VAULT_ERR_INVALID_UTF8, vault_kv_put(session, "secret", "a", "\xff", 1, VAULT_KV_CAS_NONE, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_kv_put(session, "secret", "a", "{}", 2, INT64_MIN, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(NULL, 1, VAULT_DIALECT_VAULT, 0, VAULT_CAPABILITY_READ, "a", NULL, 0, 0, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(NULL, SIZE_MAX, VAULT_DIALECT_VAULT, 0, VAULT_CAPABILITY_READ, "a", NULL, 0, 0, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(NULL, 0, 9, 0, VAULT_CAPABILITY_READ, "a", NULL, 0, 0, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(NULL, 0, VAULT_DIALECT_VAULT, 8, VAULT_CAPABILITY_READ, "a", NULL, 0, 0, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_policy_evaluate(NULL, 0, VAULT_DIALECT_VAULT, 0, 0, "a", NULL, 0, 0, NULL, &s));
    ANSWERS(VAULT_ERR_INVALID_DATA, vault_audit_verify_inclusion(note, key, "{}", SIZE_MAX));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_audit_verify_inclusion(note, key, NULL, 1));
    ANSWERS(VAULT_ERR_INVALID_DATA, vault_audit_verify_consistency(note, note, key, "{}", SIZE_MAX));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_audit_verify_consistency(note, note, key, NULL, 1));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_audit_verify_checkpoint(note, NULL, &s));
}

/* Callbacks that are not there, or that say what cannot be. */
static void callbacks_that_are_bad(const vault_options_t *good) {
    vault_secret_t *s = STALE;
    vault_t *v = STALE;
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_backup(session, NULL, NULL, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_audit_export(session, 0, NULL, NULL, NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_backup_verify(NULL, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_BACKUP, vault_backup_verify(give_nothing, NULL, &s));
    ANSWERS(VAULT_ERR_UNAVAILABLE, vault_backup_verify(claim_too_much, NULL, &s));
    CHECK("the callback is named", strstr(vault_last_error(), "read answered 0 and ") != NULL);
    ANSWERS(VAULT_ERR_UNAVAILABLE, vault_backup_verify(fail, NULL, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_restore(good, NULL, NULL, &v));
    ANSWERS(VAULT_ERR_BAD_BACKUP, vault_restore(good, give_nothing, NULL, &v));
    ANSWERS(VAULT_ERR_UNAVAILABLE, vault_restore(good, claim_too_much, NULL, &v));
    ANSWERS(VAULT_ERR_UNAVAILABLE, vault_restore(good, fail, NULL, &v));
    CHECK("with what it answered", strstr(vault_last_error(), "read answered 7") != NULL);
    vault_options_t without = *good;
    const vault_log_t no_log = {0};
    without.log = &no_log;
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_create(&without, &v, &s));
    CHECK("nothing is given out", s == NULL && v == NULL);
}

/* Options that are missing, and whose size is none that they ever had. */
static void structs_that_are_bad(const vault_options_t *good) {
    static const size_t sizes[] = {0, 1, sizeof(size_t), 64, SIZE_MAX / 2, SIZE_MAX};
    vault_t *v = STALE;
    vault_secret_t *s = STALE;
    vault_pkcs11_t nothing = {0};
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_create(NULL, &v, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_create_with_shares(NULL, &v, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_open(NULL, &v));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_restore(NULL, give_nothing, NULL, &v));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_doctor(NULL, NULL, 0, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_doctor(good, NULL, 64, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_salvage(NULL, good, NULL, 0, &v, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_salvage(good, NULL, NULL, 0, &v, &s));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_pkcs11_generate_key(NULL));
    ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_pkcs11_generate_key(&nothing));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        vault_options_t bad = *good;
        vault_request_options_t asked = {0};
        bad.size = sizes[i];
        asked.size = i == 3 ? sizeof asked - 1 : sizes[i];
        ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_create(&bad, &v, &s));
        ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_create_with_shares(&bad, &v, &s));
        ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_open(&bad, &v));
        ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_restore(&bad, give_nothing, NULL, &v));
        ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_doctor(&bad, NULL, 0, &s));
        ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_salvage(&bad, good, NULL, 0, &v, &s));
        ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_backup(session, swallow, NULL, &bad, &s));
        ANSWERS(VAULT_ERR_BAD_ARGUMENT, vault_request_with(session, VAULT_OP_READ, "sys/mounts", NULL, 0, &asked, &s));
    }
    CHECK("nothing is given out", v == NULL && s == NULL);
    vault_options_init(NULL);
}

/* What takes numbers alone answers for every number. */
static void numbers_that_are_none(void) {
    static const int32_t numbers[] = {INT32_MIN, -1, 1, 99, 11111, INT32_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        CHECK("a status that is none", strcmp(vault_status_name(numbers[i]), "Unknown") == 0);
        CHECK("has no class", vault_status_class(numbers[i]) == VAULT_CLASS_NONE);
        CHECK("a class that is none", numbers[i] == 1 || strcmp(vault_class_name(numbers[i]), "Unknown") == 0);
    }
    CHECK("versions are told", vault_abi_version() == VAULT_ABI_VERSION && vault_version()[0] != '\0');
}

static void *all(void *argument) {
    const vault_options_t good = options_in_memory();
    (void)argument;
    CHECK("a new thread has no error", vault_last_error_code() == VAULT_OK && vault_last_error()[0] == '\0');
    for (int round = 0; round < 2; round++) {
        handles_that_are_none();
        outputs_that_are_null(&good);
        texts_that_are_bad(&good);
        lengths_and_bytes_that_are_bad();
        callbacks_that_are_bad(&good);
        structs_that_are_bad(&good);
        numbers_that_are_none();
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    vault_options_t options = options_in_memory();
    vault_secret_t *token;
    memset(endless, 'a', TOO_LONG);
    EXPECT("a vault that is closed", VAULT_OK, vault_create(&options, &closed_vault, &freed_secret));
    closed_session = session_under(closed_vault, freed_secret);
    vault_secret_free(freed_secret);
    EXPECT("its session", VAULT_OK, vault_session_close(closed_session));
    EXPECT("and itself", VAULT_OK, vault_close(closed_vault));
    EXPECT("a vault that stays", VAULT_OK, vault_create(&options, &vault, &token));
    session = session_under(vault, token);
    EXPECT("with a secret", VAULT_OK, put(session, "kept", "{\"k\":\"v\"}", VAULT_KV_CAS_NONE, NULL));
    EXPECT("that is held", VAULT_OK, vault_kv_get(session, "secret", "kept", 0, &secret));
    vault_secret_t *public_key, *checkpoint;
    EXPECT("a key", VAULT_OK, vault_request(session, VAULT_OP_READ, "sys/audit-log/public-key", NULL, 0, &public_key));
    EXPECT("a checkpoint", VAULT_OK, vault_request(session, VAULT_OP_READ, "sys/audit-log/checkpoint", NULL, 0, &checkpoint));
    EXPECT("as texts", VAULT_OK, vault_secret_field(public_key, "/data/key", &key, NULL));
    EXPECT("both", VAULT_OK, vault_secret_field(checkpoint, "/data/checkpoint", &note, NULL));
    for (int i = 0; i < THREADS; i++) {
        CHECK("a thread starts", pthread_create(&threads[i], NULL, all, NULL) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK("a thread ends", pthread_join(threads[i], NULL) == 0);
    }
    CHECK("what is held is what it was", field_is(secret, "k", "v"));
    vault_secret_free(secret);
    EXPECT("what is stored too", VAULT_OK, vault_kv_get(session, "secret", "kept", 0, &secret));
    CHECK("in its first version", field_is(secret, "k", "v") && vault_secret_version(secret) == 1);
    vault_secret_free(secret);
    vault_secret_free(token);
    vault_secret_free(public_key);
    vault_secret_free(checkpoint);
    EXPECT("the session closes", VAULT_OK, vault_session_close(session));
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));
    return 0;
}
