/* The doctor, salvage and compaction: what is told of a store, what is taken out of a damaged one, and bad input. */
#include "check.h"

#define PASSPHRASE "correct horse battery staple"

static void make(const char *path) {
    vault_options_t options = options_at(path, PASSPHRASE);
    vault_t *vault;
    vault_secret_t *token;
    uint64_t before = 0, after = 0;
    EXPECT("a vault is made", VAULT_OK, vault_create(&options, &vault, &token));
    vault_session_t *session = session_under(vault, token);
    for (int i = 0; i < 40; i++) {
        EXPECT("a secret is written", VAULT_OK, put(session, "app/db", "{\"password\":\"pa55-w0rd\"}", -1, NULL));
    }
    EXPECT("a vault in use is compacted", VAULT_OK, vault_compact(vault, &before, &after));
    CHECK("its size is told", before > 0 && after > 0);
    EXPECT("nobody has to want to know", VAULT_OK, vault_compact(vault, NULL, NULL));
    EXPECT("no vault is compacted", VAULT_ERR_BAD_HANDLE, vault_compact((vault_t *)session, &before, &after));
    CHECK("outputs are cleared", before == 0 && after == 0);
    EXPECT("it verifies", VAULT_OK, vault_verify(vault, NULL, NULL));

    /* Open, it is looked at from outside. */
    vault_secret_t *report;
    EXPECT("a store in use is examined", VAULT_OK, vault_doctor(&options, NULL, 0, &report));
    CHECK("it says so", field_is(report, "in_use", "true") && field_is(report, "verdict", "degraded"));
    vault_secret_free(report);
    vault_t *copy;
    vault_options_t memory = options_at(NULL, NULL);
    EXPECT("and not salvaged", VAULT_ERR_STORE_LOCKED, vault_salvage(&options, &memory, NULL, 0, &copy, &report));
    CHECK("outputs are NULL", copy == NULL && report == NULL);

    vault_session_close(session);
    vault_secret_free(token);
    EXPECT("it closes", VAULT_OK, vault_close(vault));
    EXPECT("a closed handle is not compacted", VAULT_ERR_BAD_HANDLE, vault_compact(vault, NULL, NULL));
    EXPECT("nor is NULL", VAULT_ERR_BAD_ARGUMENT, vault_compact(NULL, NULL, NULL));
}

static void damage(const char *path) {
    char file[300];
    snprintf(file, sizeof file, "%s/HEAD", path);
    FILE *head = fopen(file, "r+b");
    CHECK("HEAD is there", head != NULL && fputc('x', head) == 'x' && fseek(head, 512, SEEK_SET) == 0 && fputc('x', head) == 'x');
    fclose(head);
    snprintf(file, sizeof file, "%s/CURRENT", path);
    FILE *current = fopen(file, "wb");
    CHECK("CURRENT is torn", current != NULL && fputs("LVCURR00", current) >= 0);
    fclose(current);
}

int main(void) {
    char path[256], to[256];
    snprintf(path, sizeof path, "%s", scratch_path("vault"));
    snprintf(to, sizeof to, "%s", scratch_path("salvaged"));
    make(path);
    vault_options_t options = options_at(path, PASSPHRASE), target = options_at(to, NULL), without = options_at(path, NULL);
    vault_secret_t *report;
    vault_t *vault;

    EXPECT("a sound store is examined", VAULT_OK, vault_doctor(&options, NULL, VAULT_DOCTOR_NAMES, &report));
    CHECK("it is sound", field_is(report, "verdict", "sound") && field_is(report, "opens", "true"));
    CHECK("it is counted", field_is(report, "/content/secrets", "1") && field_is(report, "/content/digest_agrees", "true"));
    CHECK("its slot is told", field_is(report, "/slots/0", "passphrase"));
    vault_secret_free(report);
    EXPECT("also without a key", VAULT_OK, vault_doctor(&without, NULL, 0, &report));
    CHECK("of its content nothing is told", field_is(report, "content", "null"));
    vault_secret_free(report);

    damage(path);
    EXPECT("it does not open", VAULT_ERR_CORRUPT, vault_open(&options, &vault));
    EXPECT("a damaged store is examined", VAULT_OK, vault_doctor(&options, NULL, 0, &report));
    CHECK("it is damaged", field_is(report, "verdict", "damaged") && field_is(report, "/findings/0/name", "current-torn"));
    const char *text;
    EXPECT("there is text to read", VAULT_OK, vault_secret_field(report, "text", &text, NULL));
    CHECK("it says what to do", strstr(text, "salvage") != NULL);
    vault_secret_free(report);

    vault_options_t wrong = options_at(path, "another"), nowhere = options_at("/nowhere/at/all", NULL), memory = options_at(NULL, NULL);
    EXPECT("a wrong key is told", VAULT_ERR_WRONG_KEY, vault_doctor(&wrong, NULL, 0, &report));
    EXPECT("nothing is no store", VAULT_ERR_NOT_A_STORE, vault_doctor(&nowhere, NULL, 0, &report));
    EXPECT("nor is memory", VAULT_ERR_NOT_A_STORE, vault_doctor(&memory, NULL, 0, &report));
    EXPECT("options are needed", VAULT_ERR_BAD_ARGUMENT, vault_doctor(NULL, NULL, 0, &report));
    EXPECT("a place for the report is needed", VAULT_ERR_BAD_ARGUMENT, vault_doctor(&options, NULL, 0, NULL));
    EXPECT("unknown flags are refused", VAULT_ERR_BAD_ARGUMENT, vault_doctor(&options, NULL, 2, &report));
    EXPECT("text is UTF-8", VAULT_ERR_INVALID_UTF8, vault_doctor(&options, "\xff", 0, &report));
    EXPECT("the directory for the copy must be there", VAULT_ERR_UNAVAILABLE, vault_doctor(&options, "/nowhere/at/all", 0, &report));
    EXPECT("a salvage needs a key", VAULT_ERR_BAD_ARGUMENT, vault_salvage(&without, &target, NULL, 0, &vault, &report));
    EXPECT("and the right one", VAULT_ERR_WRONG_KEY, vault_salvage(&wrong, &target, NULL, 0, &vault, &report));
    EXPECT("and a new place", VAULT_ERR_BAD_ARGUMENT, vault_salvage(&options, NULL, NULL, 0, &vault, &report));
    EXPECT("which is empty", VAULT_ERR_STORE_EXISTS, vault_salvage(&options, &options, NULL, 0, &vault, &report));
    EXPECT("and both outputs", VAULT_ERR_BAD_ARGUMENT, vault_salvage(&options, &target, NULL, 0, &vault, NULL));
    CHECK("outputs are NULL", vault == NULL);

    EXPECT("it is salvaged", VAULT_OK, vault_salvage(&options, &target, NULL, VAULT_DOCTOR_NAMES, &vault, &report));
    CHECK("everything was taken", field_is(report, "complete", "true") && field_is(report, "secrets", "1"));
    vault_secret_free(report);
    vault_secret_t *token, *secret;
    EXPECT("whoever can open it has a token", VAULT_OK,
           vault_generate_root(vault, VAULT_KEY_PASSPHRASE, PASSPHRASE, strlen(PASSPHRASE), &token));
    vault_session_t *session = session_under(vault, token);
    EXPECT("the secret is there", VAULT_OK, vault_kv_get(session, "secret", "app/db", 0, &secret));
    CHECK("as it was", field_is(secret, "password", "pa55-w0rd") && vault_secret_version(secret) == 40);
    EXPECT("it is frozen", VAULT_ERR_FROZEN, put(session, "app/db", "{}", -1, NULL));
    vault_secret_free(secret);
    vault_secret_free(token);
    vault_session_close(session);
    EXPECT("it closes", VAULT_OK, vault_close(vault));
    return 0;
}
