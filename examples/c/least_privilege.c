/* Least privilege from C: a token that may read one folder, what it is denied, and which rule of which policy decided. */
#include "example.h"

/* A policy is text inside JSON, hence the two levels of quotes. */
static const char POLICY[] = "{\"policy\": \"path \\\"secret/data/app/*\\\"     { capabilities = [\\\"read\\\"] }\\n"
                             "path \\\"secret/data/app/root\\\" { capabilities = [\\\"deny\\\"] }\"}";

int main(void) {
    vault_session_t *root;
    vault_t *vault = vault_in_memory(&root);
    put(root, "app/db", "{\"password\": \"pa55-w0rd\"}", VAULT_KV_CAS_NONE);
    put(root, "app/root", "{\"password\": \"r00t\"}", VAULT_KV_CAS_NONE);

    vault_secret_free(request(root, VAULT_OP_WRITE, "sys/policies/acl/app", POLICY));
    vault_secret_t *made = request(root, VAULT_OP_WRITE, "auth/token/create", "{\"policies\": [\"app\"], \"ttl\": \"15m\", \"num_uses\": 10}");
    vault_session_t *app = session_under(vault, field(made, "/auth/client_token"));
    vault_secret_free(made);

    vault_secret_t *secret;
    must(vault_kv_get(app, "secret", "app/db", 0, &secret), "reading");
    printf("allowed: app/db has a password of %zu characters\n", strlen(field(secret, "password")));
    vault_secret_free(secret);

    /* Beside the rule above stands one that is narrower. What was decided is in the audit log, and can be asked beforehand. */
    printf("denied:  app/root: %s\n", vault_status_name(vault_kv_get(app, "secret", "app/root", 0, &secret)));
    const char *policies[] = {"path \"secret/data/app/*\"    { capabilities = [\"read\"] }\n"
                              "path \"secret/data/app/root\" { capabilities = [\"deny\"] }"};
    bool allowed;
    vault_secret_t *decision;
    must(vault_policy_evaluate(policies, 1, VAULT_DIALECT_VAULT, 0, VAULT_CAPABILITY_READ, "secret/data/app/root", NULL, 0, 0, &allowed, &decision), "deciding");
    printf("because: %s\n", field(decision, "text"));
    vault_secret_free(decision);
    must(vault_session_close(app), "close");
    must(vault_session_close(root), "close");
    must(vault_close(vault), "close");
    return allowed ? 1 : 0;
}
