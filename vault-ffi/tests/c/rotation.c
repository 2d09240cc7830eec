/* A static role over a connector of the host's: rotated, rehearsed, read, and stopped with the words of what to do. */
#include "check.h"

/* The one account that there is at the target. */
static char password_at_target[256] = "from-before";
static vault_connector_answer_t answer_to_set = VAULT_CONNECTOR_OK;

static vault_connector_answer_t look(void *user, const vault_target_t *target, const vault_account_t *account, int32_t verify) {
    (void)user, (void)target, (void)account, (void)verify;
    return VAULT_CONNECTOR_OK;
}

static vault_connector_answer_t nothing(void *user, const vault_target_t *target, const vault_account_t *account) {
    (void)user, (void)target, (void)account;
    return VAULT_CONNECTOR_OK;
}

static vault_connector_answer_t set_password(void *user, const vault_target_t *target, const vault_account_t *account) {
    (void)user, (void)target;
    if (answer_to_set == VAULT_CONNECTOR_OK) {
        snprintf(password_at_target, sizeof password_at_target, "%s", account->password);
    }
    return answer_to_set;
}

static vault_connector_answer_t log_in(void *user, const vault_target_t *target, const vault_account_t *account) {
    (void)user, (void)target;
    return strcmp(password_at_target, account->password) == 0 ? VAULT_CONNECTOR_OK : VAULT_CONNECTOR_UNAUTHENTICATED;
}

static void write_to(vault_session_t *session, const char *path, const char *json) {
    vault_secret_t *reply;
    EXPECT(path, VAULT_OK, vault_request(session, VAULT_OP_WRITE, path, json, strlen(json), &reply));
    vault_secret_free(reply);
}

int main(void) {
    vault_connector_t connector = {.name = "one", .check = look, .create = nothing, .renew = nothing, .revoke = nothing,
                                   .set_password = set_password, .test = log_in};
    vault_options_t options = options_in_memory();
    options.connectors = &connector;
    options.connector_count = 1;
    vault_t *vault;
    vault_secret_t *token, *creds, *report, *role;
    EXPECT("a vault with a connector", VAULT_OK, vault_create(&options, &vault, &token));
    vault_session_t *session = session_under(vault, token);
    write_to(session, "sys/mounts/database", "{\"type\":\"database\"}");
    write_to(session, "database/config/db",
             "{\"plugin_name\":\"one\",\"username\":\"admin\",\"password\":\"p\",\"allowed_roles\":\"*\"}");
    EXPECT("a role that is not there", VAULT_ERR_NOT_FOUND, vault_static_creds(session, "database", "app", &creds));
    CHECK("the output is cleared then", creds == NULL);
    write_to(session, "database/static-roles/app", "{\"db_name\":\"db\",\"username\":\"app\",\"rotation_period\":\"24h\"}");

    EXPECT("its credential is read", VAULT_OK, vault_static_creds(session, "database", "app", &creds));
    CHECK("with its password", field_is(creds, "username", "app") && field_is(creds, "password", password_at_target));
    uint64_t version = vault_secret_version(creds);
    vault_secret_free(creds);
    EXPECT("it is rehearsed", VAULT_OK, vault_rehearse_role(session, "database", "app", &report));
    CHECK("and would work", field_is(report, "would_work", "true"));
    vault_secret_free(report);

    EXPECT("it is rotated", VAULT_OK, vault_rotate_role(session, "database", "app"));
    EXPECT("and read again", VAULT_OK, vault_static_creds(session, "database", "app", &creds));
    CHECK("another password", vault_secret_version(creds) > version && field_is(creds, "password", password_at_target));
    vault_secret_free(creds);

    answer_to_set = VAULT_CONNECTOR_MISCONFIGURED;
    EXPECT("it stops", VAULT_ERR_ROTATION_STUCK, vault_rotate_role(session, "database", "app"));
    CHECK("and says what to do", strstr(vault_last_error(), "then retry") != NULL);
    EXPECT("the role is read", VAULT_OK, vault_static_role(session, "database", "app", &role));
    CHECK("it needs attention", field_is(role, "/rotation/needs_attention", "true") && field_is(role, "/rotation/phase", "setting"));
    vault_secret_free(role);

    EXPECT("no session", VAULT_ERR_BAD_ARGUMENT, vault_rotate_role(NULL, "database", "app"));
    EXPECT("no mount", VAULT_ERR_BAD_ARGUMENT, vault_rotate_role(session, NULL, "app"));
    EXPECT("no role", VAULT_ERR_BAD_ARGUMENT, vault_static_role(session, "database", NULL, &role));
    EXPECT("no output", VAULT_ERR_BAD_ARGUMENT, vault_static_creds(session, "database", "app", NULL));

    EXPECT("the session closes", VAULT_OK, vault_session_close(session));
    vault_secret_free(token);
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));
    return 0;
}
