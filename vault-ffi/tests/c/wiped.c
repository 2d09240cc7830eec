/* Nothing of a secret or a token stays in the process's memory once it is freed and the vault is closed: every readable page is searched. */
#include "check.h"

#define CANARY_LEN 24
#define MASK 0x55

/* Kept under a mask, so that neither the program nor the search holds the texts themselves. */
struct canary {
    unsigned char masked[CANARY_LEN];
};

static void wipe(void *memory, size_t len) {
    for (volatile unsigned char *byte = memory; len > 0; len--) {
        *byte++ = 0;
    }
}

static struct canary masked(const char *text) {
    struct canary canary;
    for (int i = 0; i < CANARY_LEN; i++) {
        canary.masked[i] = (unsigned char)text[i] ^ MASK;
    }
    return canary;
}

static bool stands_at(const volatile unsigned char *memory, const struct canary *canary) {
    int i = 0;
    while (i < CANARY_LEN && (memory[i] ^ MASK) == canary->masked[i]) {
        i++;
    }
    return i == CANARY_LEN;
}

/* Valgrind and AddressSanitizer take a search of all memory for a mistake; then only the rest of the program is run. */
static bool is_watched(void) {
#ifdef __SANITIZE_ADDRESS__
    return true;
#endif
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    bool found = false;
    CHECK("the memory map is read", maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        found = found || strstr(line, "vgpreload") != NULL;
    }
    fclose(maps);
    return found;
}

/* How often the text stands in readable memory; -1 where it cannot be searched. */
static int copies(const struct canary *canary, bool told) {
    FILE *maps;
    char line[512];
    int found = 0;
    if (is_watched() || (maps = fopen("/proc/self/maps", "r")) == NULL) {
        return -1;
    }
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        char readable;
        if (sscanf(line, "%lx-%lx %c", &start, &end, &readable) != 3 || readable != 'r' || strstr(line, "[v") != NULL) {
            continue;
        }
        for (unsigned long at = start; at + CANARY_LEN <= end; at++) {
            if (stands_at((const unsigned char *)at, canary)) {
                found++;
                if (told) {
                    fprintf(stderr, "at %lx in %s", at, line);
                }
            }
        }
    }
    fclose(maps);
    return found;
}

/* A value that no other run has, put into the vault and read back through every way that lends text. */
static struct canary put_and_read(vault_session_t *session) {
    char json[64] = "{\"value\":\"";
    size_t start = strlen(json);
    vault_secret_t *secret, *reply;
    FILE *random = fopen("/dev/urandom", "r");
    CHECK("randomness", random != NULL);
    for (int i = 0; i < CANARY_LEN; i++) {
        json[start + i] = (char)('a' + (fgetc(random) & 15));
    }
    fclose(random);
    memcpy(json + start + CANARY_LEN, "\"}", 3);
    struct canary canary = masked(json + start);
    EXPECT("a secret is put", VAULT_OK, put(session, "app/db", json, VAULT_KV_CAS_NONE, NULL));
    wipe(json, sizeof json);
    EXPECT("and read", VAULT_OK, vault_kv_get(session, "secret", "app/db", 0, &secret));
    const char *value;
    EXPECT("as a member", VAULT_OK, vault_secret_field(secret, "value", &value, NULL));
    CHECK("which is what was put", stands_at((const unsigned char *)value, &canary));
    CHECK("and as a whole", stands_at((const unsigned char *)vault_secret_data(secret) + start, &canary));
    EXPECT("and by a request", VAULT_OK, vault_request(session, VAULT_OP_READ, "secret/data/app/db", NULL, 0, &reply));
    CHECK("which has text", vault_secret_len(reply) > CANARY_LEN);
    CHECK("the search finds it while it is held", copies(&canary, false) != 0);
    vault_secret_free(reply);
    vault_secret_free(secret);
    return canary;
}

int main(void) {
    vault_options_t options = options_in_memory();
    vault_t *vault;
    vault_secret_t *root;
    options.path = scratch_path("store");
    EXPECT("a vault on disk", VAULT_OK, vault_create(&options, &vault, &root));
    vault_session_t *session = session_under(vault, root);
    struct canary token = masked(vault_secret_data(root));
    vault_secret_free(root);
    struct canary value = put_and_read(session);
    CHECK("no copy of the value is left once it is freed", copies(&value, true) <= 0);
    EXPECT("the session closes", VAULT_OK, vault_session_close(session));
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));
    CHECK("no copy of the token is left once its session is closed", copies(&token, true) <= 0);
    CHECK("nor one of the value", copies(&value, true) <= 0);
    return 0;
}
