/* Identities by requests: an entity, its alias, a group, and a token that has their policies until the entity is disabled. */
#include "check.h"

static vault_status_t ask(vault_session_t *session, vault_operation_t operation, const char *path, const char *json,
                          vault_secret_t **reply) {
    return vault_request(session, operation, path, json, json == NULL ? 0 : strlen(json), reply);
}

/* The text at a place of a reply, in a buffer. */
static void copy_field(vault_secret_t *reply, const char *pointer, char *text, size_t size) {
    const char *found;
    size_t len;
    EXPECT("it is told", VAULT_OK, vault_secret_field(reply, pointer, &found, &len));
    CHECK("it fits", len < size);
    memcpy(text, found, len);
    text[len] = '\0';
}

static void identities_are_made(vault_session_t *root, char *entity, size_t size) {
    vault_secret_t *reply;
    char body[256];
    EXPECT("a policy", VAULT_OK,
           ask(root, VAULT_OP_WRITE, "sys/policies/acl/app",
               "{\"policy\":\"path \\\"secret/data/{{identity.entity.name}}\\\" { capabilities = [\\\"read\\\"] }\"}", NULL));
    EXPECT("an entity", VAULT_OK, ask(root, VAULT_OP_WRITE, "identity/entity", "{\"name\":\"Ann\"}", &reply));
    CHECK("with one spelling of its name", field_is(reply, "/data/name", "ann"));
    copy_field(reply, "/data/id", entity, size);
    vault_secret_free(reply);
    snprintf(body, sizeof body, "{\"name\":\"ann\",\"canonical_id\":\"%s\",\"mount_accessor\":\"auth_token\"}", entity);
    EXPECT("an alias", VAULT_OK, ask(root, VAULT_OP_WRITE, "identity/entity-alias", body, NULL));
    snprintf(body, sizeof body, "{\"policies\":\"app\",\"member_entity_ids\":\"%s\"}", entity);
    EXPECT("a group", VAULT_OK, ask(root, VAULT_OP_WRITE, "identity/group/name/ops", body, NULL));
    EXPECT("it is looked up", VAULT_OK, ask(root, VAULT_OP_WRITE, "identity/lookup/entity", "{\"name\":\"ANN.\"}", &reply));
    CHECK("in another spelling", field_is(reply, "/data/id", entity));
    vault_secret_free(reply);
    EXPECT("root is given by nobody", VAULT_ERR_INVALID_DATA,
           ask(root, VAULT_OP_WRITE, "identity/group/name/ops", "{\"policies\":\" Root\"}", NULL));
}

static void a_token_has_the_policies_of_its_entity(vault_t *vault, vault_session_t *root, const char *entity) {
    vault_secret_t *reply, *secret;
    vault_session_t *session;
    const char *token;
    size_t len;
    EXPECT("a secret", VAULT_OK, put(root, "ann", "{\"of\":\"ann\"}", VAULT_KV_CAS_NONE, NULL));
    EXPECT("a role", VAULT_OK, ask(root, VAULT_OP_WRITE, "auth/token/roles/people", "{\"allowed_entity_aliases\":\"a*\"}", NULL));
    EXPECT("no other alias", VAULT_ERR_INVALID_REQUEST,
           ask(root, VAULT_OP_WRITE, "auth/token/create/people", "{\"entity_alias\":\"bob\"}", NULL));
    EXPECT("a token", VAULT_OK,
           ask(root, VAULT_OP_WRITE, "auth/token/create/people", "{\"entity_alias\":\"ann\",\"policies\":\"default\"}", &reply));
    CHECK("of the entity", field_is(reply, "/auth/entity_id", entity));
    CHECK("with its group's policy", field_is(reply, "/auth/identity_policies/0", "app"));
    EXPECT("it is told", VAULT_OK, vault_secret_field(reply, "/auth/client_token", &token, &len));
    EXPECT("a session", VAULT_OK, vault_session_open(vault, token, len, &session));
    EXPECT("it reads what its name gives", VAULT_OK, vault_kv_get(session, "secret", "ann", 0, &secret));
    vault_secret_free(secret);
    EXPECT("the entity is disabled", VAULT_OK, ask(root, VAULT_OP_WRITE, "identity/entity/name/ann", "{\"disabled\":true}", NULL));
    EXPECT("its token is refused at once", VAULT_ERR_PERMISSION_DENIED, vault_kv_get(session, "secret", "ann", 0, &secret));
    EXPECT("the entity is deleted", VAULT_OK, ask(root, VAULT_OP_DELETE, "identity/entity/name/ann", NULL, NULL));
    EXPECT("and is gone", VAULT_ERR_NOT_FOUND, ask(root, VAULT_OP_READ, "identity/entity/name/ann", NULL, &secret));
    EXPECT("its token stays refused", VAULT_ERR_PERMISSION_DENIED, vault_kv_get(session, "secret", "ann", 0, &secret));
    EXPECT("the session is closed", VAULT_OK, vault_session_close(session));
    vault_secret_free(reply);
}

int main(void) {
    vault_options_t options = options_in_memory();
    vault_t *vault;
    vault_secret_t *token;
    char entity[64];
    EXPECT("a vault is created", VAULT_OK, vault_create(&options, &vault, &token));
    vault_session_t *root = session_under(vault, token);
    identities_are_made(root, entity, sizeof entity);
    a_token_has_the_policies_of_its_entity(vault, root, entity);
    vault_session_close(root);
    EXPECT("the vault is closed", VAULT_OK, vault_close(vault));
    vault_secret_free(token);
    return 0;
}
