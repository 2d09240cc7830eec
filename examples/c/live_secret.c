/* A password that is rotated under a running program: it keeps one copy as long as it is current, and logs in again when it was refused. */
#include "vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(vault_status_t status, const char *what) {
    if (status != VAULT_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, vault_status_name(status), vault_last_error());
        exit(1);
    }
}

/* What a database does here: it knows one password. */
static char at_the_database[16] = "first";
static vault_session_t *root;

static void rotate(const char *password) {
    char json[64];
    snprintf(json, sizeof json, "{\"password\":\"%s\"}", password);
    must(vault_kv_put(root, "secret", "app/db", json, strlen(json), VAULT_KV_CAS_NONE, NULL), "rotating");
    snprintf(at_the_database, sizeof at_the_database, "%s", password);
}

static int32_t log_in(void *user, const vault_secret_t *secret) {
    int *attempts = user;
    const char *password;
    if (++*attempts == 1) {
        rotate("third"); /* Between the read and its use. */
    }
    if (vault_secret_field(secret, "password", &password, NULL) != VAULT_OK) {
        return -1;
    }
    return strcmp(password, at_the_database) == 0 ? 0 : VAULT_ATTEMPT_REFUSED;
}

int main(void) {
    static const unsigned char key[32] = "an example's key, and no secret";
    vault_options_t options;
    vault_options_init(&options);
    options.key_kind = VAULT_KEY_RAW;
    options.key = key;
    options.key_len = sizeof key;
    vault_t *vault;
    vault_secret_t *token, *secret;
    must(vault_create(&options, &vault, &token), "creating a vault");
    must(vault_session_open(vault, vault_secret_data(token), vault_secret_len(token), &root), "opening a session");
    vault_secret_free(token);
    rotate("first");

    vault_live_secret_t *live;
    must(vault_kv_live(root, "secret", "app/db", &live), "a live secret");
    must(vault_live_secret_get(live, &secret), "reading it");
    printf("version %llu\n", (unsigned long long)vault_secret_version(secret));
    int looks = 0;
    while (looks < 1000000 && vault_live_secret_is_current(live)) {
        looks++;
    }
    printf("current at each of %d looks, and the store was not asked\n", looks);

    rotate("second");
    if (!vault_live_secret_is_current(live)) {
        vault_secret_free(secret);
        must(vault_live_secret_get(live, &secret), "reading it again");
        printf("rotated: version %llu\n", (unsigned long long)vault_secret_version(secret));
    }
    vault_secret_free(secret);

    int attempts = 0;
    int32_t answer;
    must(vault_live_secret_with_retry(live, log_in, &attempts, &answer), "logging in");
    printf("logged in with answer %d at attempt %d\n", (int)answer, attempts);

    vault_live_secret_free(live);
    must(vault_session_close(root), "closing the session");
    must(vault_close(vault), "closing the vault");
    return 0;
}
