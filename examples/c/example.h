/* What the examples share: a call that must succeed, one request of the logical API, one member of a reply, and a vault in memory. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include "vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every call answers a status; the text of the last error says what is wrong and what to do. */
static inline void must(vault_status_t status, const char *what) {
    if (status != VAULT_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, vault_status_name(status), vault_last_error());
        exit(1);
    }
}

/* JSON in, JSON out; free the reply with vault_secret_free. */
static inline vault_secret_t *request(vault_session_t *session, vault_operation_t operation, const char *path, const char *json) {
    vault_secret_t *reply;
    must(vault_request(session, operation, path, json, json ? strlen(json) : 0, &reply), path);
    return reply;
}

/* A member of a reply, by name or JSON Pointer. The text belongs to the reply. */
static inline const char *field(const vault_secret_t *reply, const char *name) {
    const char *text;
    must(vault_secret_field(reply, name, &text, NULL), name);
    return text;
}

static inline uint64_t put(vault_session_t *session, const char *path, const char *json, int64_t cas) {
    uint64_t version;
    must(vault_kv_put(session, "secret", path, json, strlen(json), cas, &version), path);
    return version;
}

static inline vault_session_t *session_under(vault_t *vault, const char *token) {
    vault_session_t *session;
    must(vault_session_open(vault, token, strlen(token), &session), "session");
    return session;
}

/* A vault in memory with these connectors of the library's (VAULT_DATABASE_), and a session that may do everything. A service gives
 * options.path, and keeps the key elsewhere. */
static inline vault_t *vault_in_memory_with(uint32_t databases, vault_session_t **root) {
    vault_options_t options;
    vault_options_init(&options);
    options.key_kind = VAULT_KEY_PASSPHRASE;
    options.key = "correct horse battery staple";
    options.key_len = strlen(options.key);
    options.databases = databases;
    vault_t *vault;
    vault_secret_t *token;
    must(vault_create(&options, &vault, &token), "create");
    *root = session_under(vault, vault_secret_data(token));
    vault_secret_free(token);
    return vault;
}

static inline vault_t *vault_in_memory(vault_session_t **root) {
    return vault_in_memory_with(0, root);
}

#endif
