/* The log: what the vault has to say that is neither an answer nor in the audit log, given by calls that no request waits for. */
#include "check.h"

struct kept {
    unsigned lines;
    vault_log_level_t level;
    vault_status_t code;
    uint64_t count;
    char topic[32];
    char message[256];
    /* Called back, as a host may. */
    vault_t *vault;
};

static void keep(void *user, const vault_log_line_t *line) {
    struct kept *kept = user;
    bool sealed;
    kept->lines++;
    kept->level = line->level;
    kept->code = line->code;
    kept->count = line->count;
    snprintf(kept->topic, sizeof kept->topic, "%s", line->topic);
    snprintf(kept->message, sizeof kept->message, "%s", line->message);
    if (kept->vault != NULL) {
        EXPECT("the vault may be called back", VAULT_OK, vault_seal_status(kept->vault, &sealed));
    }
}

static vault_status_t load_nothing(void *user, uint8_t *out, size_t capacity, size_t *out_len) {
    (void)user, (void)out, (void)capacity;
    *out_len = 0;
    return VAULT_OK;
}

/* An anchor that is away while `user` says so. */
static vault_status_t store(void *user, const uint8_t *state, size_t len) {
    (void)state, (void)len;
    return *(bool *)user ? 1 : VAULT_OK;
}

int main(void) {
    struct kept kept = {0};
    bool is_away = false;
    int64_t next;
    vault_t *vault;
    vault_secret_t *token;
    vault_log_t log = {.user = &kept, .log = keep};
    const vault_anchor_t anchor = {.user = &is_away, .load = load_nothing, .store = store};
    vault_options_t options = options_in_memory();
    options.anchor = &anchor;
    options.log = &log;
    EXPECT("a vault with a log", VAULT_OK, vault_create(&options, &vault, &token));
    /* The struct was copied. */
    memset(&log, 0, sizeof log);
    vault_session_t *session = session_under(vault, token);
    kept.vault = vault;

    is_away = true;
    for (int i = 0; i < 3; i++) {
        EXPECT("a write without its anchor", VAULT_ERR_ANCHOR_FAILED, put(session, "a", "{}", VAULT_KV_CAS_NONE, NULL));
    }
    CHECK("no request waits for the log", kept.lines == 0);
    EXPECT("a tick without it", VAULT_ERR_ANCHOR_FAILED, vault_tick(vault, &next));
    CHECK("tells both, equal ones as one", kept.lines == 2);
    CHECK("with the number", kept.level == VAULT_LOG_ERROR && kept.code == VAULT_ERR_ANCHOR_FAILED && kept.count == 1);
    CHECK("what it is about and a message", strcmp(kept.topic, "tick") == 0 && strlen(kept.message) > 10);
    CHECK("that holds no token", strstr(kept.message, vault_secret_data(token)) == NULL);
    is_away = false;
    EXPECT("a tick with it", VAULT_OK, vault_tick(vault, &next));
    CHECK("has nothing to tell", kept.lines == 2);

    EXPECT("it is sealed", VAULT_OK, vault_seal(vault));
    CHECK("which is told", kept.lines == 3 && kept.level == VAULT_LOG_INFO && strcmp(kept.topic, "seal") == 0 && kept.code == VAULT_OK);
    EXPECT("a wrong key", VAULT_ERR_WRONG_KEY, vault_unseal(vault, VAULT_KEY_PASSPHRASE, "x", 1));
    CHECK("is a warning", kept.lines == 4 && kept.level == VAULT_LOG_WARNING);
    EXPECT("the session closes", VAULT_OK, vault_session_close(session));
    vault_secret_free(token);
    kept.vault = NULL;
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));

    options.size = offsetof(vault_options_t, log);
    options.log = (const vault_log_t *)0x5a5a;
    EXPECT("options of before there was a log", VAULT_OK, vault_create(&options, &vault, &token));
    vault_secret_free(token);
    EXPECT("its vault closes", VAULT_OK, vault_close(vault));
    return 0;
}
