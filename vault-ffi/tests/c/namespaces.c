/* Namespaces: a session for each, and nothing reaches out of one. */
#include "check.h"

static vault_status_t ask(vault_session_t *session, vault_operation_t operation, const char *path, const char *json,
                          vault_secret_t **reply) {
    return vault_request(session, operation, path, json, json == NULL ? 0 : strlen(json), reply);
}

static void sessions_of_namespaces_see_their_own(vault_session_t *root, vault_session_t *team, vault_session_t *dev) {
    vault_secret_t *secret;
    EXPECT("the root namespace has secrets", VAULT_OK, put(root, "app/db", "{\"of\":\"root\"}", VAULT_KV_CAS_NONE, NULL));
    EXPECT("and another its own", VAULT_OK, put(team, "app/db", "{\"of\":\"team\"}", VAULT_KV_CAS_NONE, NULL));
    EXPECT("one below has none yet", VAULT_ERR_NOT_FOUND, vault_kv_get(dev, "secret", "app/db", 0, &secret));
    EXPECT("each is read where it is", VAULT_OK, vault_kv_get(team, "secret", "app/db", 0, &secret));
    CHECK("and is that one", field_is(secret, "of", "team"));
    vault_secret_free(secret);
    EXPECT("a path from above leads there too", VAULT_OK, ask(root, VAULT_OP_READ, "team-a/secret/data/app/db", NULL, &secret));
    CHECK("to the same secret", field_is(secret, "/data/data/of", "team"));
    vault_secret_free(secret);
    EXPECT("namespaces are listed", VAULT_OK, ask(root, VAULT_OP_LIST, "sys/namespaces", NULL, &secret));
    CHECK("by their names", field_is(secret, "/data/keys/0", "team-a/"));
    vault_secret_free(secret);
}

static void a_token_of_a_namespace_stays_in_it(vault_t *vault, vault_session_t *root, vault_session_t *team) {
    static const char admin[] = "{\"policy\":\"path \\\"*\\\" { capabilities = [\\\"read\\\", \\\"update\\\", \\\"sudo\\\"] }\"}";
    vault_secret_t *reply, *secret;
    vault_session_t *session, *inside;
    EXPECT("a policy is written there", VAULT_OK, ask(team, VAULT_OP_WRITE, "sys/policies/acl/admin", admin, NULL));
    EXPECT("a token is made there", VAULT_OK, ask(team, VAULT_OP_WRITE, "auth/token/create", "{\"policies\":[\"admin\"]}", &reply));
    const char *token;
    size_t len;
    EXPECT("it is told", VAULT_OK, vault_secret_field(reply, "/auth/client_token", &token, &len));
    EXPECT("a session under it", VAULT_OK, vault_session_open(vault, token, len, &session));
    EXPECT("in its namespace", VAULT_OK, vault_session_namespace(session, "/team-a/", &inside));
    EXPECT("reads", VAULT_OK, vault_kv_get(inside, "secret", "app/db", 0, &secret));
    vault_secret_free(secret);
    EXPECT("and not above", VAULT_ERR_PERMISSION_DENIED, vault_kv_get(session, "secret", "app/db", 0, &secret));
    EXPECT("what speaks of the whole vault is not there", VAULT_ERR_UNSUPPORTED_PATH,
           ask(inside, VAULT_OP_WRITE, "sys/seal", NULL, NULL));
    EXPECT("the session without a namespace is closed", VAULT_OK, vault_session_close(session));
    EXPECT("the other goes on", VAULT_OK, vault_kv_get(inside, "secret", "app/db", 0, &secret));
    vault_secret_free(secret);
    EXPECT("one below keeps it", VAULT_ERR_INVALID_REQUEST, ask(root, VAULT_OP_DELETE, "sys/namespaces/team-a", NULL, NULL));
    EXPECT("that one is deleted", VAULT_OK, ask(team, VAULT_OP_DELETE, "sys/namespaces/dev", NULL, NULL));
    EXPECT("then it is", VAULT_OK, ask(root, VAULT_OP_DELETE, "sys/namespaces/team-a", NULL, NULL));
    EXPECT("its tokens are dead", VAULT_ERR_PERMISSION_DENIED, vault_kv_get(inside, "secret", "app/db", 0, &secret));
    EXPECT("its secrets are gone", VAULT_ERR_NOT_FOUND, vault_kv_get(team, "secret", "app/db", 0, &secret));
    EXPECT("the last session is closed", VAULT_OK, vault_session_close(inside));
    vault_secret_free(reply);
}

static void bad_input_is_refused(vault_session_t *root) {
    vault_session_t *session = root;
    EXPECT("a path out of it", VAULT_ERR_INVALID_PATH, vault_session_namespace(root, "a/..", &session));
    CHECK("gives no session", session == NULL);
    EXPECT("a reserved name", VAULT_ERR_INVALID_PATH, vault_session_namespace(root, "sys", &session));
    EXPECT("no text", VAULT_ERR_BAD_ARGUMENT, vault_session_namespace(root, NULL, &session));
    EXPECT("no place for the answer", VAULT_ERR_BAD_ARGUMENT, vault_session_namespace(root, "a", NULL));
    EXPECT("no session", VAULT_ERR_BAD_ARGUMENT, vault_session_namespace(NULL, "a", &session));
    EXPECT("one that is closed", VAULT_OK, vault_session_namespace(root, "", &session));
    EXPECT("was open", VAULT_OK, vault_session_close(session));
    vault_session_t *again;
    EXPECT("is none", VAULT_ERR_BAD_HANDLE, vault_session_namespace(session, "a", &again));
}

int main(void) {
    vault_options_t options = options_in_memory();
    vault_t *vault;
    vault_secret_t *token;
    vault_session_t *team, *dev;
    EXPECT("a vault is created", VAULT_OK, vault_create(&options, &vault, &token));
    vault_session_t *root = session_under(vault, token);
    EXPECT("a namespace is made", VAULT_OK, ask(root, VAULT_OP_WRITE, "sys/namespaces/team-a", NULL, NULL));
    EXPECT("a session for it", VAULT_OK, vault_session_namespace(root, "team-a", &team));
    EXPECT("one below it", VAULT_OK, ask(team, VAULT_OP_WRITE, "sys/namespaces/dev", NULL, NULL));
    EXPECT("and a session", VAULT_OK, vault_session_namespace(team, "dev", &dev));
    sessions_of_namespaces_see_their_own(root, team, dev);
    a_token_of_a_namespace_stays_in_it(vault, root, team);
    bad_input_is_refused(root);
    vault_session_close(dev);
    vault_session_close(team);
    vault_session_close(root);
    uint64_t records, audit_records;
    EXPECT("it verifies", VAULT_OK, vault_verify(vault, &records, &audit_records));
    EXPECT("the vault is closed", VAULT_OK, vault_close(vault));
    vault_secret_free(token);
    return 0;
}
