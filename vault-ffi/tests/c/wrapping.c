/* Requests with more than a path: a reply behind a wrapping token, and what the audit log keeps of the host's words. */
#include "check.h"

static vault_session_t *root;

static vault_request_options_t wrapped_for(uint64_t seconds) {
    vault_request_options_t options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.wrap_ttl_seconds = seconds;
    return options;
}

static void a_reply_is_given_back_once(vault_t *vault) {
    static const char asked[] = "{\"policies\":[\"default\"],\"ttl\":\"1h\"}";
    vault_request_options_t options = wrapped_for(300);
    vault_secret_t *reply, *unwrapped;
    vault_session_t *handed, *app;
    const char *token;
    size_t len;
    EXPECT("a token is made behind a wrapping token", VAULT_OK,
           vault_request_with(root, VAULT_OP_WRITE, "auth/token/create", asked, sizeof asked - 1, &options, &reply));
    CHECK("the reply itself is kept", !field_is(reply, "/auth/client_token", "") && vault_last_error_code() == VAULT_ERR_NOT_FOUND);
    CHECK("for so long", field_is(reply, "/wrap_info/ttl", "300"));
    CHECK("it says what was asked", field_is(reply, "/wrap_info/creation_path", "auth/token/create"));
    EXPECT("the wrapping token is told", VAULT_OK, vault_secret_field(reply, "/wrap_info/token", &token, &len));

    EXPECT("a session under it", VAULT_OK, vault_session_open(vault, token, len, &handed));
    char ask[256];
    snprintf(ask, sizeof ask, "{\"token\":\"%s\"}", token);
    EXPECT("a look uses nothing up", VAULT_OK, vault_request(handed, VAULT_OP_READ, "sys/wrapping/lookup", NULL, 0, NULL));
    EXPECT("it may do nothing else", VAULT_ERR_PERMISSION_DENIED, vault_request(handed, VAULT_OP_READ, "sys/mounts", NULL, 0, NULL));
    EXPECT("it is unwrapped", VAULT_OK, vault_request(handed, VAULT_OP_WRITE, "sys/wrapping/unwrap", NULL, 0, &unwrapped));
    vault_secret_free(reply);
    EXPECT("to the token", VAULT_OK, vault_secret_field(unwrapped, "/auth/client_token", &token, &len));
    EXPECT("that works", VAULT_OK, vault_session_open(vault, token, len, &app));
    EXPECT("for itself", VAULT_OK, vault_request(app, VAULT_OP_READ, "auth/token/lookup-self", NULL, 0, NULL));
    EXPECT("once", VAULT_ERR_INVALID_REQUEST, vault_request(root, VAULT_OP_WRITE, "sys/wrapping/unwrap", ask, strlen(ask), NULL));
    CHECK("whoever is second is told so", strstr(vault_last_error(), "wrapping token is not valid") != NULL);
    vault_secret_free(unwrapped);
    EXPECT("the sessions close", VAULT_OK, vault_session_close(app));
    EXPECT("both", VAULT_OK, vault_session_close(handed));
}

static void what_the_host_says_is_in_the_audit_log(void) {
    vault_request_options_t options = wrapped_for(0);
    vault_secret_t *reply;
    options.remote_address = "192.0.2.7:4711";
    options.correlation_id = "request-000042";
    EXPECT("a request", VAULT_OK, vault_request_with(root, VAULT_OP_READ, "sys/mounts", NULL, 0, &options, &reply));
    CHECK("without a time it is not wrapped", field_is(reply, "/wrap_info/token", "") == false && vault_secret_len(reply) > 2);
    vault_secret_free(reply);
    EXPECT("the log", VAULT_OK, vault_request(root, VAULT_OP_READ, "sys/audit-log/events", NULL, 0, &reply));
    CHECK("has the address", strstr(vault_secret_data(reply), "192.0.2.7") != NULL);
    CHECK("and the id", strstr(vault_secret_data(reply), "request-000042") != NULL);
    vault_secret_free(reply);
}

static void what_makes_no_sense_is_refused(void) {
    struct {
        vault_request_options_t known;
        uint64_t unknown;
    } grown = {.known = wrapped_for(60), .unknown = 0};
    char *longer = malloc(200);
    vault_secret_t *reply;
    memset(longer, 'x', 199);
    longer[199] = '\0';
    EXPECT("no options are no matter", VAULT_OK, vault_request_with(root, VAULT_OP_READ, "sys/mounts", NULL, 0, NULL, NULL));
    vault_request_options_t options = wrapped_for(UINT64_MAX);
    EXPECT("a time without end", VAULT_ERR_INVALID_REQUEST, vault_request_with(root, VAULT_OP_READ, "sys/mounts", NULL, 0, &options, &reply));
    CHECK("gives no reply", reply == NULL);
    options = wrapped_for(60);
    options.size = sizeof options - 1;
    EXPECT("options that are too small", VAULT_ERR_BAD_ARGUMENT, vault_request_with(root, VAULT_OP_READ, "sys/mounts", NULL, 0, &options, &reply));
    options.size = 0;
    EXPECT("options without a size", VAULT_ERR_BAD_ARGUMENT, vault_request_with(root, VAULT_OP_READ, "sys/mounts", NULL, 0, &options, &reply));
    options.size = SIZE_MAX;
    EXPECT("as long as memory", VAULT_ERR_BAD_ARGUMENT, vault_request_with(root, VAULT_OP_READ, "sys/mounts", NULL, 0, &options, &reply));
    options = wrapped_for(0);
    options.remote_address = longer;
    EXPECT("an address that is too long", VAULT_ERR_BAD_ARGUMENT, vault_request_with(root, VAULT_OP_READ, "sys/mounts", NULL, 0, &options, &reply));
    options = wrapped_for(0);
    options.correlation_id = "\xff";
    EXPECT("an id that is not UTF-8", VAULT_ERR_INVALID_UTF8, vault_request_with(root, VAULT_OP_READ, "sys/mounts", NULL, 0, &options, &reply));
    grown.known.size = sizeof grown;
    EXPECT("a later version's options", VAULT_OK, vault_request_with(root, VAULT_OP_READ, "sys/mounts", NULL, 0, &grown.known, NULL));
    grown.unknown = 1;
    EXPECT("with what is not known here", VAULT_ERR_BAD_ARGUMENT, vault_request_with(root, VAULT_OP_READ, "sys/mounts", NULL, 0, &grown.known, NULL));
    free(longer);
}

int main(void) {
    vault_options_t options = options_in_memory();
    vault_t *vault;
    vault_secret_t *token;
    EXPECT("a vault", VAULT_OK, vault_create(&options, &vault, &token));
    root = session_under(vault, token);
    vault_secret_free(token);
    a_reply_is_given_back_once(vault);
    what_the_host_says_is_in_the_audit_log();
    what_makes_no_sense_is_refused();
    EXPECT("the session closes", VAULT_OK, vault_session_close(root));
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));
    return 0;
}
