/* A program of somebody else's, which knows only what was installed: it opens a vault in memory, and reads back what it wrote. */
#include <vault.h>

#include <stdio.h>
#include <string.h>

int main(void) {
    static const unsigned char key[32] = "0123456789abcdef0123456789abcde";
    static const char json[] = "{\"password\":\"pa55-w0rd\"}";
    vault_options_t options;
    vault_t *vault;
    vault_session_t *session;
    vault_secret_t *token, *secret;
    const char *password;
    vault_options_init(&options);
    options.key_kind = VAULT_KEY_RAW;
    options.key = key;
    options.key_len = sizeof key;
    if (vault_abi_version() != VAULT_ABI_VERSION || vault_create(&options, &vault, &token) != VAULT_OK ||
        vault_session_open(vault, vault_secret_data(token), vault_secret_len(token), &session) != VAULT_OK ||
        vault_kv_put(session, "secret", "app/db", json, strlen(json), VAULT_KV_CAS_NONE, NULL) != VAULT_OK ||
        vault_kv_get(session, "secret", "app/db", 0, &secret) != VAULT_OK ||
        vault_secret_field(secret, "password", &password, NULL) != VAULT_OK || strcmp(password, "pa55-w0rd") != 0) {
        fprintf(stderr, "%s\n", vault_last_error());
        return 1;
    }
    vault_secret_free(secret);
    vault_secret_free(token);
    vault_session_close(session);
    printf("libvault %s\n", vault_version());
    return vault_close(vault) == VAULT_OK ? 0 : 1;
}
