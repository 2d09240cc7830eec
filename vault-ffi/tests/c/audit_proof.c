/* An auditor who has a vault's public key, and no vault. */
#include "check.h"

static vault_secret_t *read_path(vault_session_t *session, const char *path, const char *json) {
    vault_secret_t *reply;
    EXPECT("the log answers", VAULT_OK,
           vault_request(session, VAULT_OP_READ, path, json, json == NULL ? 0 : strlen(json), &reply));
    return reply;
}

static const char *member(vault_secret_t *reply, const char *name) {
    const char *text;
    EXPECT("a member is told", VAULT_OK, vault_secret_field(reply, name, &text, NULL));
    return text;
}

int main(void) {
    vault_options_t options = options_in_memory();
    vault_t *vault;
    vault_secret_t *token, *info;
    EXPECT("a vault", VAULT_OK, vault_create(&options, &vault, &token));
    vault_session_t *session = session_under(vault, token);
    EXPECT("work", VAULT_OK, put(session, "a", "{}", -1, NULL));
    vault_secret_t *key = read_path(session, "sys/audit-log/public-key", NULL);
    vault_secret_t *older = read_path(session, "sys/audit-log/checkpoint", NULL);
    EXPECT("work", VAULT_OK, put(session, "b", "{}", -1, NULL));
    vault_secret_t *newer = read_path(session, "sys/audit-log/checkpoint", NULL);
    char ask[128];
    snprintf(ask, sizeof ask, "{\"from\":%s,\"to\":%s}", member(older, "/data/size"), member(newer, "/data/size"));
    vault_secret_t *consistent = read_path(session, "sys/audit-log/proof/consistency", ask);
    snprintf(ask, sizeof ask, "{\"sequence\":2,\"size\":%s}", member(newer, "/data/size"));
    vault_secret_t *included = read_path(session, "sys/audit-log/proof/inclusion", ask);
    vault_session_close(session);
    EXPECT("closed", VAULT_OK, vault_close(vault));

    const char *k = member(key, "/data/key"), *o = member(older, "/data/checkpoint"), *n = member(newer, "/data/checkpoint");
    const char *c = member(consistent, "data"), *i = member(included, "data");
    EXPECT("the checkpoint is the vault's", VAULT_OK, vault_audit_verify_checkpoint(n, k, &info));
    CHECK("and says how long the log is", strcmp(member(info, "size"), member(newer, "/data/size")) == 0);
    vault_secret_free(info);
    EXPECT("the event is in it", VAULT_OK, vault_audit_verify_inclusion(n, k, i, strlen(i)));
    EXPECT("and not in the older one's proof", VAULT_ERR_CORRUPT, vault_audit_verify_inclusion(o, k, i, strlen(i)));
    EXPECT("nothing was taken away", VAULT_OK, vault_audit_verify_consistency(o, n, k, c, strlen(c)));
    EXPECT("the other way round it does not hold", VAULT_ERR_CORRUPT, vault_audit_verify_consistency(n, o, k, c, strlen(c)));
    EXPECT("no key", VAULT_ERR_INVALID_DATA, vault_audit_verify_checkpoint(n, "no key", NULL));
    EXPECT("no note", VAULT_ERR_BAD_ARGUMENT, vault_audit_verify_checkpoint(NULL, k, NULL));
    EXPECT("no proof", VAULT_ERR_INVALID_DATA, vault_audit_verify_inclusion(n, k, "{}", 2));
    EXPECT("none at all", VAULT_ERR_BAD_ARGUMENT, vault_audit_verify_inclusion(n, k, NULL, 1));
    vault_secret_free(included);
    vault_secret_free(consistent);
    vault_secret_free(newer);
    vault_secret_free(older);
    vault_secret_free(key);
    vault_secret_free(token);
    return 0;
}
