/* Key shares from C: a vault that any 3 of 5 people open together, and a root token when the last one is lost. */
#include "vault.h"

#include <stdio.h>
#include <stdlib.h>

static void must(vault_status_t status, const char *what) {
    if (status != VAULT_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, vault_status_name(status), vault_last_error());
        exit(1);
    }
}

static const char *field(vault_secret_t *secret, const char *name) {
    const char *text;
    must(vault_secret_field(secret, name, &text, NULL), name);
    return text;
}

int main(void) {
    vault_options_t options;
    vault_options_init(&options);
    options.key_kind = VAULT_KEY_SHARES;
    options.share_count = 5;
    options.share_threshold = 3;
    vault_t *vault;
    vault_secret_t *init, *token;
    must(vault_create_with_shares(&options, &vault, &init), "creating a vault");
    printf("a vault in memory with 5 key shares, of which 3 open it\n");
    must(vault_seal(vault), "sealing");

    bool sealed;
    size_t given;
    if (vault_unseal_share(vault, "lvs1not-a-share", &sealed, &given) == VAULT_ERR_BAD_SHARE) {
        printf("a mistyped share: %s\n", vault_last_error());
    }
    const char *shares[] = {"/shares/4", "/shares/0", "/shares/2"};
    for (int i = 0; i < 3; i++) {
        must(vault_unseal_share(vault, field(init, shares[i]), &sealed, &given), "giving a share");
        printf(sealed ? "%zu of 3 shares were given\n" : "the vault is unsealed\n", given);
    }

    char lines[512];
    int len = snprintf(lines, sizeof lines, "%s\n%s\n%s\n", field(init, shares[0]), field(init, shares[1]), field(init, shares[2]));
    must(vault_generate_root(vault, VAULT_KEY_SHARES, lines, (size_t)len, &token), "making a root token");
    printf("a root token of %zu characters from three shares\n", vault_secret_len(token));
    vault_secret_free(token);
    vault_secret_free(init);
    must(vault_close(vault), "closing");
    return 0;
}
