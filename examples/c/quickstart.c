/*
 * A vault's first five minutes, from C: create, seal, open, least privilege, a secret, a denial and its reason, revoke, verify.
 *
 * From the repository's top:
 *
 *     cargo xtask install --prefix target/libvault
 *     export PKG_CONFIG_PATH=target/libvault/lib/pkgconfig LD_LIBRARY_PATH=target/libvault/lib
 *     cc examples/c/quickstart.c $(pkg-config --cflags --libs libvault) -o target/quickstart && target/quickstart
 */
#define _XOPEN_SOURCE 700

#include "vault.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PASSPHRASE[] = "correct horse battery staple";

/* A policy is text inside JSON, hence the two levels of quotes. */
static const char POLICY[] = "{\"policy\": \"path \\\"secret/data/app/*\\\"    { capabilities = [\\\"create\\\", \\\"update\\\", \\\"read\\\"] }\\n"
                             "path \\\"secret/data/app/root\\\" { capabilities = [\\\"deny\\\"] }\"}";

/* Every call answers a status; the text of the last error says what is wrong and what to do. */
static void must(vault_status_t status, const char *what) {
    if (status != VAULT_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, vault_status_name(status), vault_last_error());
        exit(1);
    }
}

/* One request of the logical API: JSON in, JSON out. */
static vault_secret_t *request(vault_session_t *session, vault_operation_t operation, const char *path, const char *json) {
    vault_secret_t *reply;
    must(vault_request(session, operation, path, json, json ? strlen(json) : 0, &reply), path);
    return reply;
}

/* A member of a reply, by name or JSON Pointer. The text belongs to the reply; NULL when there is no such member. */
static const char *field(const vault_secret_t *reply, const char *name) {
    const char *text;
    return vault_secret_field(reply, name, &text, NULL) == VAULT_OK ? text : NULL;
}

/* Who was refused, and by which rule of which policy: every request is in the audit log, with the decision about it. */
static void show_refusals(vault_session_t *auditor) {
    vault_secret_t *log = request(auditor, VAULT_OP_READ, "sys/audit-log/events", "{\"after\": 0, \"limit\": 100}");
    for (int i = 0;; i++) {
        static const char *const parts[] = {"outcome", "operation", "path", "decision/policy", "decision/line", "decision/rule"};
        const char *texts[6];
        for (int part = 0; part < 6; part++) {
            char pointer[64];
            snprintf(pointer, sizeof pointer, "/data/events/%d/%s", i, parts[part]);
            texts[part] = field(log, pointer);
        }
        if (texts[0] == NULL) {
            break;
        }
        if (atoi(texts[0]) == VAULT_ERR_PERMISSION_DENIED && texts[5] != NULL) {
            printf("                 audit: %s %s refused by policy %s, line %s: %s\n", texts[1], texts[2], texts[3], texts[4], texts[5]);
        }
    }
    vault_secret_free(log);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}

int main(void) {
    char folder[] = "/tmp/libvault-quickstart-XXXXXX", path[64];
    if (mkdtemp(folder) == NULL) {
        return perror(folder), 1;
    }
    snprintf(path, sizeof path, "%s/vault", folder);

    vault_options_t options;
    vault_options_init(&options);
    options.path = path;
    options.key_kind = VAULT_KEY_PASSPHRASE;
    options.key = PASSPHRASE;
    options.key_len = strlen(PASSPHRASE);

    vault_t *vault;
    vault_secret_t *root_token, *reply, *secret;
    must(vault_create(&options, &vault, &root_token), "create");
    printf("created          a vault on disk, with libvault %s\n", vault_version());
    must(vault_close(vault), "close");

    options.key_kind = VAULT_KEY_NONE, options.key = NULL, options.key_len = 0;
    must(vault_open(&options, &vault), "open");
    must(vault_unseal(vault, VAULT_KEY_PASSPHRASE, PASSPHRASE, strlen(PASSPHRASE)), "unseal");
    printf("reopened         sealed, then unsealed with the passphrase\n");

    vault_session_t *root, *app;
    must(vault_session_open(vault, vault_secret_data(root_token), vault_secret_len(root_token), &root), "session");
    vault_secret_free(root_token);
    vault_secret_free(request(root, VAULT_OP_WRITE, "sys/policies/acl/app", POLICY));
    reply = request(root, VAULT_OP_WRITE, "auth/token/create", "{\"policies\": [\"app\"], \"ttl\": \"1h\"}");
    const char *token = field(reply, "/auth/client_token");
    must(vault_session_open(vault, token, strlen(token), &app), "session");
    vault_secret_free(reply);
    printf("least privilege  a token for one hour, with the policy app\n");

    const char *credentials = "{\"user\": \"app\", \"password\": \"s3cr3t\"}";
    uint64_t version;
    must(vault_kv_put(app, "secret", "app/db", credentials, strlen(credentials), VAULT_KV_CAS_NONE, &version), "put");
    must(vault_kv_get(app, "secret", "app/db", 0, &secret), "get");
    printf("stored and read  secret/app/db, version %llu: user %s\n", (unsigned long long)version, field(secret, "user"));
    vault_secret_free(secret);

    vault_status_t denied = vault_kv_get(app, "secret", "app/root", 0, &secret);
    printf("denied           secret/app/root: %s (%s)\n", vault_status_name(denied), vault_last_error());
    show_refusals(root);

    vault_secret_free(request(app, VAULT_OP_WRITE, "auth/token/revoke-self", NULL));
    denied = vault_kv_get(app, "secret", "app/db", 0, &secret);
    printf("revoked          the token now answers %s\n", vault_status_name(denied));

    uint64_t records, audit_records;
    must(vault_verify(vault, &records, &audit_records), "verify");
    printf("verified         %llu records and %llu audit records, whole and in order\n", (unsigned long long)records,
           (unsigned long long)audit_records);

    must(vault_session_close(app), "close");
    must(vault_session_close(root), "close");
    must(vault_close(vault), "close");
    return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
