/* An auditor from C, who has the vault's public key and no vault: an event is in the log, and nothing was taken out of it since. */
#include "example.h"

int main(void) {
    vault_session_t *root;
    vault_t *vault = vault_in_memory(&root);
    char ask[128];

    /* What the operator hands out: the public key once, a checkpoint every now and then, and proofs when asked. */
    vault_secret_t *key = request(root, VAULT_OP_READ, "sys/audit-log/public-key", NULL);
    put(root, "app/db", "{\"password\": \"pa55-w0rd\"}", VAULT_KV_CAS_NONE);
    vault_secret_t *older = request(root, VAULT_OP_READ, "sys/audit-log/checkpoint", NULL);
    put(root, "app/db", "{\"password\": \"other\"}", VAULT_KV_CAS_NONE);
    vault_secret_t *newer = request(root, VAULT_OP_READ, "sys/audit-log/checkpoint", NULL);
    snprintf(ask, sizeof ask, "{\"sequence\": 2, \"size\": %s}", field(newer, "/data/size"));
    vault_secret_t *included = request(root, VAULT_OP_READ, "sys/audit-log/proof/inclusion", ask);
    snprintf(ask, sizeof ask, "{\"from\": %s, \"to\": %s}", field(older, "/data/size"), field(newer, "/data/size"));
    vault_secret_t *consistent = request(root, VAULT_OP_READ, "sys/audit-log/proof/consistency", ask);
    must(vault_session_close(root), "close");
    must(vault_close(vault), "close");

    /* What the auditor checks, elsewhere. */
    const char *public_key = field(key, "/data/key"), *note = field(newer, "/data/checkpoint"), *before = field(older, "/data/checkpoint");
    const char *in = field(included, "data"), *grown = field(consistent, "data");
    vault_secret_t *info;
    must(vault_audit_verify_checkpoint(note, public_key, &info), "checkpoint");
    printf("signed by the vault: a log of %s events\n", field(info, "size"));
    must(vault_audit_verify_inclusion(note, public_key, in, strlen(in)), "inclusion");
    printf("event 2 is in it, as these bytes\n");
    must(vault_audit_verify_consistency(before, note, public_key, grown, strlen(grown)), "consistency");
    printf("it begins with the older log: nothing was taken out or changed\n");
    vault_status_t forged = vault_audit_verify_inclusion(before, public_key, in, strlen(in));
    printf("the same proof for another log: %s\n", vault_status_name(forged));
    vault_secret_t *const all[] = {key, older, newer, included, consistent, info};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        vault_secret_free(all[i]);
    }
    return forged != VAULT_ERR_CORRUPT;
}
