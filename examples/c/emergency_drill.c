/* An emergency drill in C: a password is out. Who has read it, what would be done, and the end of it, with a page for the postmortem. */
#include "example.h"

static void print_timeline(const vault_secret_t *answer) {
    char name[32];
    const char *line;
    for (int i = 0; snprintf(name, sizeof name, "/timeline/%d", i), vault_secret_field(answer, name, &line, NULL) == VAULT_OK; i++) {
        printf("  %s\n", line);
    }
}

int main(void) {
    vault_session_t *root;
    vault_t *vault = vault_in_memory(&root);
    put(root, "app/db", "{\"password\": \"first\"}", VAULT_KV_CAS_NONE);
    vault_secret_free(request(root, VAULT_OP_WRITE, "sys/policies/acl/app",
                              "{\"policy\": \"path \\\"secret/data/app/*\\\" { capabilities = [\\\"read\\\"] }\"}"));
    vault_secret_t *made = request(root, VAULT_OP_WRITE, "auth/token/create", "{\"policies\": [\"app\"], \"display_name\": \"shop\"}");
    vault_session_t *shop = session_under(vault, field(made, "/auth/client_token"));
    vault_secret_t *secret, *answer;
    must(vault_kv_get(shop, "secret", "app/db", 0, &secret), "the shop reads its password");
    vault_secret_free(secret);

    /* Safe to type in any state of mind: it changes nothing. */
    static const char asked[] = "{\"path\": \"secret/data/app\"}";
    must(vault_emergency_look(root, asked, strlen(asked), &answer), "looking");
    printf("The look:\n");
    print_timeline(answer);

    /* The rehearsal, and the end of those who have read it. */
    static const char *const ways[] = {"{\"path\": \"secret/data/app\", \"dry_run\": true}", "{\"path\": \"secret/data/app\"}"};
    for (int i = 0; i < 2; i++) {
        vault_secret_free(answer);
        must(vault_emergency_contain(root, ways[i], strlen(ways[i]), &answer), "containing");
        printf(i == 0 ? "The rehearsal:\n" : "The end:\n");
        print_timeline(answer);
    }
    bool is_over = strcmp(field(answer, "left"), "0") == 0 && strcmp(field(answer, "failed"), "0") == 0;
    vault_secret_free(answer);

    /* Only now comes the new one: a reader that lived on would be handed it. */
    put(root, "app/db", "{\"password\": \"second\"}", VAULT_KV_CAS_NONE);
    vault_status_t refused = vault_kv_get(shop, "secret", "app/db", 0, &secret);
    printf("the shop now: %s\n", vault_status_name(refused));

    vault_secret_free(made);
    must(vault_session_close(shop), "close");
    must(vault_session_close(root), "close");
    must(vault_close(vault), "close");
    return is_over && refused == VAULT_ERR_PERMISSION_DENIED ? 0 : 1;
}
