/* A credential is out: who has had it, a rehearsal of its end, and its end. */
#include "check.h"

static const char ASKED[] = "{\"path\":\"secret/data/app\"}";

static vault_status_t ask(vault_session_t *session, const char *json, vault_secret_t **out) {
    return vault_emergency_contain(session, json, strlen(json), out);
}

int main(void) {
    vault_options_t options = options_in_memory();
    vault_t *vault;
    vault_secret_t *token, *made, *found;
    EXPECT("a vault", VAULT_OK, vault_create(&options, &vault, &token));
    vault_session_t *root = session_under(vault, token);
    EXPECT("a secret", VAULT_OK, put(root, "app/db", "{\"password\":\"x\"}", VAULT_KV_CAS_NONE, NULL));
    static const char policy[] = "{\"policy\":\"path \\\"secret/data/app/*\\\" { capabilities = [\\\"read\\\"] }\"}";
    EXPECT("a policy", VAULT_OK, vault_request(root, VAULT_OP_WRITE, "sys/policies/acl/app", policy, strlen(policy), NULL));
    static const char reader[] = "{\"policies\":[\"app\"]}";
    EXPECT("a token", VAULT_OK, vault_request(root, VAULT_OP_WRITE, "auth/token/create", reader, strlen(reader), &made));
    const char *text, *accessor;
    size_t length;
    EXPECT("its text", VAULT_OK, vault_secret_field(made, "/auth/client_token", &text, &length));
    EXPECT("its accessor", VAULT_OK, vault_secret_field(made, "/auth/accessor", &accessor, NULL));
    vault_session_t *app;
    EXPECT("its session", VAULT_OK, vault_session_open(vault, text, length, &app));
    EXPECT("it reads", VAULT_OK, vault_kv_get(app, "secret", "app/db", 0, &found));
    vault_secret_free(found);

    EXPECT("a look", VAULT_OK, vault_emergency_look(root, ASKED, strlen(ASKED), &found));
    CHECK("tells who has read it", field_is(found, "/readers/0/accessor", accessor) && field_is(found, "/readers/0/reads", "1"));
    CHECK("and what a person has to replace", field_is(found, "/by_hand/0", "secret/data/app/db"));
    EXPECT("and no other", VAULT_ERR_NOT_FOUND, vault_secret_field(found, "/readers/1", &text, NULL));
    EXPECT("with a timeline", VAULT_OK, vault_secret_field(found, "/timeline/0", &text, NULL));
    CHECK("that a person can read", strstr(text, "who has read secret/data/app") != NULL);
    vault_secret_free(found);

    EXPECT("a dry run", VAULT_OK, ask(root, "{\"path\":\"secret/data/app\",\"dry_run\":true}", &found));
    CHECK("plans", field_is(found, "/steps/0/outcome", "planned") && field_is(found, "/steps/0/what", accessor));
    vault_secret_free(found);
    EXPECT("and does nothing", VAULT_OK, vault_kv_get(app, "secret", "app/db", 0, &found));
    vault_secret_free(found);

    static const char by_entity[] = "{\"entity\":\"ann\"}", later[] = "{\"path\":\"secret/data/app\",\"after\":1000000}";
    EXPECT("no entity", VAULT_ERR_INVALID_REQUEST, vault_emergency_look(root, by_entity, strlen(by_entity), &found));
    EXPECT("an entity", VAULT_OK, vault_request(root, VAULT_OP_WRITE, "identity/entity", "{\"name\":\"ann\"}", 14, NULL));
    EXPECT("by its name", VAULT_OK, vault_emergency_look(root, by_entity, strlen(by_entity), &found));
    CHECK("has read nothing", field_is(found, "/is_complete", "true") && vault_secret_field(found, "/readers/0", &text, NULL) == VAULT_ERR_NOT_FOUND);
    vault_secret_free(found);
    EXPECT("a later page", VAULT_OK, vault_emergency_look(root, later, strlen(later), &found));
    EXPECT("has nobody", VAULT_ERR_NOT_FOUND, vault_secret_field(found, "/readers/0", &text, NULL));
    vault_secret_free(found);

    EXPECT("the end", VAULT_OK, ask(root, ASKED, &found));
    CHECK("is told", field_is(found, "/steps/0/step", "revoke-token") && field_is(found, "/steps/0/outcome", "done"));
    CHECK("nothing is left", field_is(found, "left", "0") && field_is(found, "failed", "0"));
    vault_secret_free(found);
    EXPECT("the token is gone", VAULT_ERR_PERMISSION_DENIED, vault_kv_get(app, "secret", "app/db", 0, &found));

    EXPECT("nothing asked", VAULT_ERR_INVALID_DATA, ask(root, "{}", &found));
    CHECK("the output is cleared", found == NULL);
    EXPECT("no JSON", VAULT_ERR_INVALID_DATA, ask(root, "{", &found));
    EXPECT("NULL", VAULT_ERR_BAD_ARGUMENT, vault_emergency_look(root, NULL, 2, &found));
    EXPECT("a misspelt dry run", VAULT_ERR_INVALID_REQUEST, ask(root, "{\"path\":\"x\",\"dryrun\":true}", &found));

    vault_secret_free(made);
    vault_secret_free(token);
    EXPECT("the session closes", VAULT_OK, vault_session_close(app));
    EXPECT("the root's too", VAULT_OK, vault_session_close(root));
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));
    return 0;
}
