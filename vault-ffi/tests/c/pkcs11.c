/* A key slot that a key in an HSM opens: a SoftHSM2 with a configuration and a token of this program's own. */
#include "check.h"

#include <sys/stat.h>

#define PIN "pin-canary-4711"

/* Where Debian, Fedora and a build from source have it. */
static const char *module_path(void) {
    static const char *const places[] = {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
                                         "/usr/local/lib/softhsm/libsofthsm2.so"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (access(places[i], R_OK) == 0) {
            return places[i];
        }
    }
    fprintf(stderr, "SoftHSM2 is missing: install the Debian package softhsm2\n");
    exit(1);
}

static void a_token_is_made(void) {
    char path[256], tokens[256];
    snprintf(path, sizeof path, "%s", scratch_path("softhsm2.conf"));
    snprintf(tokens, sizeof tokens, "%s", scratch_path("tokens"));
    FILE *conf = fopen(path, "w");
    CHECK("a configuration", conf != NULL && fprintf(conf, "directories.tokendir = %s\nobjectstore.backend = file\n", tokens) > 0);
    fclose(conf);
    CHECK("a folder for tokens", mkdir(tokens, 0700) == 0 && setenv("SOFTHSM2_CONF", path, 1) == 0);
    CHECK("a token", system("softhsm2-util --init-token --free --label vault --so-pin so-pin-0815 --pin " PIN " > /dev/null") == 0);
}

static vault_pkcs11_t hsm(const char *key, const char *pin) {
    vault_pkcs11_t pkcs11 = {.module = module_path(), .token_label = "vault", .pin = pin, .pin_len = strlen(pin), .key_label = key};
    return pkcs11;
}

static void a_token_opens_a_vault_and_its_failures_are_told(void) {
    vault_pkcs11_t old = hsm("vault-2026", PIN), new = hsm("vault-2027", PIN);
    vault_options_t options;
    vault_options_init(&options);
    char path[256];
    snprintf(path, sizeof path, "%s", scratch_path("vault"));
    options.path = path;
    options.key_kind = VAULT_KEY_PKCS11;
    vault_t *vault;
    vault_session_t *session;
    vault_secret_t *token;
    EXPECT("a token must be named", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    options.pkcs11 = &old;
    EXPECT("a key must be there", VAULT_ERR_KEY_SERVICE, vault_create(&options, &vault, &token));
    CHECK("and is named", strstr(vault_last_error(), "no AES key labelled \"vault-2026\"") != NULL);
    EXPECT("it is made on demand", VAULT_OK, vault_pkcs11_generate_key(&old));
    EXPECT("and not twice", VAULT_ERR_KEY_SERVICE, vault_pkcs11_generate_key(&old));
    EXPECT("a vault that a token opens", VAULT_OK, vault_create(&options, &vault, &token));
    EXPECT("closed", VAULT_OK, vault_close(vault));

    /* The HSM's key changes: the new configuration opens the old slot, makes a new one, and the old one goes. */
    EXPECT("a new key", VAULT_OK, vault_pkcs11_generate_key(&new));
    options.pkcs11 = &new;
    EXPECT("opened by the key that the slot names", VAULT_OK, vault_open(&options, &vault));
    EXPECT("a session", VAULT_OK, vault_session_open(vault, vault_secret_data(token), vault_secret_len(token), &session));
    const char *wrapper = "{\"wrapper\":\"pkcs11\"}";
    EXPECT("a new slot", VAULT_OK, vault_request(session, VAULT_OP_WRITE, "sys/seals", wrapper, strlen(wrapper), NULL));
    EXPECT("the old slot is removed", VAULT_OK, vault_request(session, VAULT_OP_DELETE, "sys/seals/1", NULL, 0, NULL));
    vault_session_close(session);
    EXPECT("closed", VAULT_OK, vault_close(vault));
    EXPECT("opened by the new key", VAULT_OK, vault_open(&options, &vault));
    EXPECT("a key service is no argument of unseal", VAULT_ERR_BAD_ARGUMENT, vault_unseal(vault, VAULT_KEY_PKCS11, NULL, 0));
    EXPECT("closed", VAULT_OK, vault_close(vault));

    vault_pkcs11_t wrong = hsm("vault-2027", "1234");
    options.pkcs11 = &wrong;
    EXPECT("a wrong PIN", VAULT_ERR_KEY_SERVICE, vault_open(&options, &vault));
    CHECK("is told", strstr(vault_last_error(), "refused the user PIN") != NULL && strstr(vault_last_error(), "1234") == NULL);
    wrong = new;
    wrong.name = "another";
    options.pkcs11 = &wrong;
    EXPECT("a name that no slot has", VAULT_ERR_WRONG_KEY, vault_open(&options, &vault));
    wrong.token_label = "another";
    EXPECT("a token that is not there", VAULT_ERR_KEY_SERVICE, vault_pkcs11_generate_key(&wrong));
    wrong.token_label = NULL;
    wrong.token_serial = "0000";
    EXPECT("by its serial number", VAULT_ERR_KEY_SERVICE, vault_pkcs11_generate_key(&wrong));
    vault_secret_free(token);
}

static void bad_arguments_are_refused(void) {
    vault_pkcs11_t good = hsm("vault-2028", PIN), bad;
    EXPECT("NULL", VAULT_ERR_BAD_ARGUMENT, vault_pkcs11_generate_key(NULL));
    memset(&bad, 0, sizeof bad);
    EXPECT("nothing", VAULT_ERR_BAD_ARGUMENT, vault_pkcs11_generate_key(&bad));
    bad = good;
    bad.token_serial = "both";
    EXPECT("two names of the token", VAULT_ERR_BAD_ARGUMENT, vault_pkcs11_generate_key(&bad));
    bad = good;
    bad.pin = NULL;
    EXPECT("no PIN", VAULT_ERR_BAD_ARGUMENT, vault_pkcs11_generate_key(&bad));
    bad = good;
    bad.pin_len = 4097;
    EXPECT("a PIN that is too long", VAULT_ERR_BAD_ARGUMENT, vault_pkcs11_generate_key(&bad));
    bad = good;
    bad.key_label = "";
    EXPECT("an empty label", VAULT_ERR_INVALID_REQUEST, vault_pkcs11_generate_key(&bad));
    bad = good;
    bad.module = "\xff";
    EXPECT("a path that is no UTF-8", VAULT_ERR_INVALID_UTF8, vault_pkcs11_generate_key(&bad));
    bad = good;
    bad.module = "/nothing/here.so";
    EXPECT("a module that is not there", VAULT_ERR_KEY_SERVICE, vault_pkcs11_generate_key(&bad));
    bad = good;
    bad.key_id = (const uint8_t *)"\x07\x08";
    bad.key_id_len = 2;
    EXPECT("an id of the caller's", VAULT_OK, vault_pkcs11_generate_key(&bad));
    EXPECT("is that of the key", VAULT_ERR_KEY_SERVICE, vault_pkcs11_generate_key(&bad));
    CHECK("as is told", strstr(vault_last_error(), "with the id 0708 already") != NULL);
}

int main(void) {
    a_token_is_made();
    a_token_opens_a_vault_and_its_failures_are_told();
    bad_arguments_are_refused();
    return 0;
}
