/* Response wrapping from C: a credential that is handed to another, who alone sees it, and can tell whether somebody was there before. */
#include "example.h"

int main(void) {
    vault_session_t *root;
    vault_t *vault = vault_in_memory(&root);

    /* The operator makes a token for the application, and gets a wrapping token in its place. */
    static const char asked[] = "{\"policies\": [\"default\"], \"ttl\": \"1h\"}";
    vault_request_options_t options = {.size = sizeof options, .wrap_ttl_seconds = 300};
    vault_secret_t *reply, *unwrapped;
    must(vault_request_with(root, VAULT_OP_WRITE, "auth/token/create", asked, strlen(asked), &options, &reply), "wrapping");
    printf("handed over: a token that lasts %s s and holds what %s answered\n", field(reply, "/wrap_info/ttl"), field(reply, "/wrap_info/creation_path"));

    /* The application unwraps it with nothing but the wrapping token. */
    vault_session_t *handed = session_under(vault, field(reply, "/wrap_info/token"));
    unwrapped = request(handed, VAULT_OP_WRITE, "sys/wrapping/unwrap", NULL);
    vault_session_t *app = session_under(vault, field(unwrapped, "/auth/client_token"));
    vault_secret_free(unwrapped);
    vault_secret_t *own = request(app, VAULT_OP_READ, "auth/token/lookup-self", NULL);
    printf("the application's policies: %s\n", field(own, "/data/policies"));
    vault_secret_free(own);

    /* Nobody unwraps a second time: whoever is told so raises the alarm. */
    vault_status_t again = vault_request(handed, VAULT_OP_WRITE, "sys/wrapping/unwrap", NULL, 0, NULL);
    printf("unwrapped again: %s\n", vault_last_error());
    vault_secret_free(reply);
    must(vault_session_close(app), "close");
    must(vault_session_close(handed), "close");
    must(vault_session_close(root), "close");
    must(vault_close(vault), "close");
    return again == VAULT_OK;
}
