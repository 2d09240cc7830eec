/* What the C tests share: checks that say what they checked, a directory of one's own, and options with the least key stretching. */
#ifndef CHECK_H
#define CHECK_H

#define _XOPEN_SOURCE 700

#include "vault.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Says what was checked, and ends the program when it did not hold. */
#define CHECK(what, condition) check((what), (condition), __FILE__, __LINE__)

/* The call must answer this status. */
#define EXPECT(what, expected, call) expect((what), (expected), (call), __FILE__, __LINE__)

static inline void check(const char *what, bool holds, const char *file, int line) {
    if (!holds) {
        fprintf(stderr, "FAILED %s:%d: %s (last error %d: %s)\n", file, line, what, vault_last_error_code(), vault_last_error());
        exit(1);
    }
    printf("ok: %s\n", what);
}

static inline void expect(const char *what, vault_status_t expected, vault_status_t status, const char *file, int line) {
    if (status != expected) {
        fprintf(stderr, "FAILED %s:%d: %s: expected %s, got %s (%s)\n", file, line, what, vault_status_name(expected),
                vault_status_name(status), vault_last_error());
        exit(1);
    }
    if (status != VAULT_OK && vault_last_error_code() != status) {
        fprintf(stderr, "FAILED %s:%d: %s: the last error is not that of the call\n", file, line, what);
        exit(1);
    }
    printf("ok: %s\n", what);
}

static inline int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}

static char scratch[] = "/tmp/vault-c-XXXXXX";

static inline void remove_scratch(void) {
    nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path in a new directory that is removed when the program ends. */
static inline const char *scratch_path(const char *name) {
    static char path[256];
    static bool made = false;
    if (!made) {
        if (mkdtemp(scratch) == NULL) {
            perror("mkdtemp");
            exit(1);
        }
        made = true;
        atexit(remove_scratch);
    }
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    return path;
}

/* A vault under a passphrase, stretched as little as is allowed; a NULL path is a vault in memory. */
static inline vault_options_t options_at(const char *path, const char *passphrase) {
    vault_options_t options;
    vault_options_init(&options);
    options.path = path;
    if (passphrase != NULL) {
        options.key_kind = VAULT_KEY_PASSPHRASE;
        options.key = passphrase;
        options.key_len = strlen(passphrase);
    }
    options.argon2_memory_kib = 19456;
    options.argon2_iterations = 2;
    options.argon2_lanes = 1;
    return options;
}

/* A vault in memory under a raw key: the quickest there is. */
static inline vault_options_t options_in_memory(void) {
    static const unsigned char key[32] = "0123456789abcdef0123456789abcde";
    vault_options_t options;
    vault_options_init(&options);
    options.key_kind = VAULT_KEY_RAW;
    options.key = key;
    options.key_len = sizeof key;
    return options;
}

/* Whether a member of the secret is this text. */
static inline bool field_is(const vault_secret_t *secret, const char *name, const char *text) {
    const char *data;
    size_t len;
    return vault_secret_field(secret, name, &data, &len) == VAULT_OK && len == strlen(text) && strcmp(data, text) == 0;
}

static inline vault_session_t *session_under(vault_t *vault, const vault_secret_t *token) {
    vault_session_t *session;
    EXPECT("a session opens", VAULT_OK, vault_session_open(vault, vault_secret_data(token), vault_secret_len(token), &session));
    return session;
}

static inline vault_status_t put(vault_session_t *session, const char *path, const char *json, int64_t cas, uint64_t *version) {
    return vault_kv_put(session, "secret", path, json, strlen(json), cas, version);
}

#endif
