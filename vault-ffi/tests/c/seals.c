/* Key shares, an outside key service, an anchor, a root token, backup and restore. */
#include "check.h"

#define KEY "0123456789abcdef0123456789abcdef"

/* A key service in memory: it hides a key behind a pad. */
struct service {
    bool fails;
    int calls;
};

static vault_status_t wrap(void *user, const uint8_t *key, const uint8_t *context, size_t context_len, uint8_t *out, size_t capacity,
                           size_t *out_len) {
    struct service *service = user;
    service->calls++;
    if (service->fails || capacity < 32 + context_len) {
        return 7;
    }
    for (size_t i = 0; i < 32; i++) {
        out[i] = key[i] ^ 0x5A;
    }
    memcpy(out + 32, context, context_len);
    *out_len = 32 + context_len;
    return VAULT_OK;
}

static vault_status_t unwrap(void *user, const uint8_t *wrapped, size_t wrapped_len, const uint8_t *context, size_t context_len,
                             uint8_t *out_key) {
    struct service *service = user;
    service->calls++;
    if (service->fails || wrapped_len != 32 + context_len || memcmp(wrapped + 32, context, context_len) != 0) {
        return 7;
    }
    for (size_t i = 0; i < 32; i++) {
        out_key[i] = wrapped[i] ^ 0x5A;
    }
    return VAULT_OK;
}

/* An anchor, and a backup, in memory. */
struct bytes {
    uint8_t data[1 << 20];
    size_t len;
    size_t at;
    bool fails;
};

static vault_status_t load(void *user, uint8_t *out, size_t capacity, size_t *out_len) {
    struct bytes *bytes = user;
    if (bytes->len > capacity) {
        return 1;
    }
    memcpy(out, bytes->data, bytes->len);
    *out_len = bytes->len;
    return VAULT_OK;
}

static vault_status_t store(void *user, const uint8_t *state, size_t state_len) {
    struct bytes *bytes = user;
    if (bytes->fails) {
        return 2;
    }
    memcpy(bytes->data, state, state_len);
    bytes->len = state_len;
    return VAULT_OK;
}

static vault_status_t append(void *user, const uint8_t *data, size_t len) {
    struct bytes *bytes = user;
    if (bytes->fails || bytes->len + len > sizeof bytes->data) {
        return 3;
    }
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
    return VAULT_OK;
}

static vault_status_t next(void *user, uint8_t *out, size_t capacity, size_t *out_len) {
    struct bytes *bytes = user;
    size_t len = bytes->len - bytes->at < capacity ? bytes->len - bytes->at : capacity;
    memcpy(out, bytes->data + bytes->at, len);
    bytes->at += len;
    *out_len = len;
    return VAULT_OK;
}

static const char *member(vault_secret_t *secret, const char *name) {
    const char *text;
    EXPECT("a member is told", VAULT_OK, vault_secret_field(secret, name, &text, NULL));
    return text;
}

static void shares_open_a_vault(void) {
    vault_options_t options;
    vault_options_init(&options);
    options.key_kind = VAULT_KEY_SHARES;
    options.share_count = 3;
    options.share_threshold = 2;
    vault_t *vault;
    vault_secret_t *init, *token;
    EXPECT("vault_create gives no shares", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &init));
    EXPECT("a vault with key shares", VAULT_OK, vault_create_with_shares(&options, &vault, &init));
    CHECK("a share looks like one", strncmp(member(init, "/shares/2"), "lvs1", 4) == 0);

    bool sealed;
    size_t progress;
    EXPECT("it is sealed", VAULT_OK, vault_seal(vault));
    EXPECT("one share", VAULT_OK, vault_unseal_share(vault, member(init, "/shares/0"), &sealed, &progress));
    CHECK("is not enough", sealed && progress == 1);
    EXPECT("what is no share is refused", VAULT_ERR_BAD_SHARE, vault_unseal_share(vault, "lvs1x", &sealed, &progress));
    EXPECT("NULL is refused", VAULT_ERR_BAD_ARGUMENT, vault_unseal_share(vault, NULL, &sealed, NULL));
    EXPECT("two shares", VAULT_OK, vault_unseal_share(vault, member(init, "/shares/2"), &sealed, &progress));
    CHECK("unseal", !sealed && progress == 0);
    EXPECT("a further one is too many", VAULT_ERR_ALREADY_UNSEALED, vault_unseal_share(vault, member(init, "/shares/1"), &sealed, NULL));

    char both[512];
    snprintf(both, sizeof both, "%s\n%s\n", member(init, "/shares/1"), member(init, "/shares/2"));
    EXPECT("a root token from shares", VAULT_OK, vault_generate_root(vault, VAULT_KEY_SHARES, both, strlen(both), &token));
    CHECK("it is a token", strncmp(vault_secret_data(token), "hvs.", 4) == 0);
    vault_secret_free(token);
    EXPECT("not from another key", VAULT_ERR_WRONG_KEY, vault_generate_root(vault, VAULT_KEY_RAW, KEY, 32, &token));
    EXPECT("it is sealed", VAULT_OK, vault_seal(vault));
    EXPECT("shares may be given together", VAULT_OK, vault_unseal(vault, VAULT_KEY_SHARES, both, strlen(both)));
    EXPECT("closed", VAULT_OK, vault_close(vault));
    vault_secret_free(init);
}

static void a_key_service_opens_a_vault(void) {
    struct service service = {0};
    vault_key_wrapper_t wrapper = {.name = "memory", .user = &service, .wrap = wrap, .unwrap = unwrap};
    vault_options_t options;
    vault_options_init(&options);
    options.path = scratch_path("service");
    options.key_kind = VAULT_KEY_WRAPPER;
    vault_t *vault;
    vault_secret_t *token;
    EXPECT("a service must be given", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    options.key_wrapper = &wrapper;
    service.fails = true;
    EXPECT("a service that fails makes no vault", VAULT_ERR_KEY_SERVICE, vault_create(&options, &vault, &token));
    service.fails = false;
    EXPECT("a vault that a service opens", VAULT_OK, vault_create(&options, &vault, &token));
    EXPECT("closed", VAULT_OK, vault_close(vault));
    EXPECT("opened by it", VAULT_OK, vault_open(&options, &vault));
    EXPECT("closed", VAULT_OK, vault_close(vault));
    service.fails = true;
    EXPECT("its failure is told", VAULT_ERR_KEY_SERVICE, vault_open(&options, &vault));
    CHECK("with its number", strstr(vault_last_error(), "7") != NULL);
    wrapper.unwrap = NULL;
    EXPECT("both callbacks are needed", VAULT_ERR_BAD_ARGUMENT, vault_open(&options, &vault));
    vault_secret_free(token);
}

static void an_anchor_is_advanced(void) {
    static struct bytes kept;
    vault_anchor_t anchor = {.user = &kept, .load = load, .store = store};
    vault_options_t options;
    vault_options_init(&options);
    options.key_kind = VAULT_KEY_RAW;
    options.key = KEY;
    options.key_len = 32;
    options.path = scratch_path("anchored");
    options.anchor = &anchor;
    vault_t *vault;
    vault_session_t *session;
    vault_secret_t *token;
    EXPECT("a vault with an anchor", VAULT_OK, vault_create(&options, &vault, &token));
    CHECK("it is anchored", kept.len > 0);
    EXPECT("a session", VAULT_OK, vault_session_open(vault, vault_secret_data(token), vault_secret_len(token), &session));
    struct bytes *before = malloc(sizeof kept);
    memcpy(before, &kept, sizeof kept);
    EXPECT("a write", VAULT_OK, put(session, "x", "{}", -1, NULL));
    CHECK("advances it", memcmp(before, &kept, sizeof kept) != 0);
    kept.fails = true;
    EXPECT("a write that cannot be anchored", VAULT_ERR_ANCHOR_FAILED, put(session, "x", "{}", -1, NULL));
    kept.fails = false;
    vault_session_close(session);
    EXPECT("closed", VAULT_OK, vault_close(vault));
    kept.data[kept.len - 1] ^= 1;
    EXPECT("an anchor that was altered", VAULT_ERR_CORRUPT, vault_open(&options, &vault));
    kept.data[kept.len - 1] ^= 1;
    EXPECT("opened", VAULT_OK, vault_open(&options, &vault));
    EXPECT("closed", VAULT_OK, vault_close(vault));
    options.accept_rollback = 2;
    EXPECT("a flag is 0 or 1", VAULT_ERR_BAD_ARGUMENT, vault_open(&options, &vault));
    free(before);
    vault_secret_free(token);
}

static void a_backup_is_restored(void) {
    static struct bytes backup;
    vault_options_t options;
    vault_options_init(&options);
    options.key_kind = VAULT_KEY_RAW;
    options.key = KEY;
    options.key_len = 32;
    vault_t *vault, *copy;
    vault_session_t *session;
    vault_secret_t *token, *info;
    EXPECT("a vault", VAULT_OK, vault_create(&options, &vault, &token));
    EXPECT("a session", VAULT_OK, vault_session_open(vault, vault_secret_data(token), vault_secret_len(token), &session));
    EXPECT("a secret", VAULT_OK, put(session, "x", "{\"k\":\"v\"}", -1, NULL));
    EXPECT("a backup needs a stream", VAULT_ERR_BAD_ARGUMENT, vault_backup(session, NULL, NULL, NULL, &info));
    backup.fails = true;
    EXPECT("a stream that fails", VAULT_ERR_UNAVAILABLE, vault_backup(session, append, &backup, NULL, &info));
    backup.fails = false;
    EXPECT("a backup", VAULT_OK, vault_backup(session, append, &backup, NULL, &info));
    CHECK("tells its length", strtoul(member(info, "bytes"), NULL, 10) == backup.len);
    vault_secret_free(info);
    vault_session_close(session);

    EXPECT("it is whole", VAULT_OK, vault_backup_verify(next, &backup, NULL));
    backup.at = 0;
    backup.data[backup.len / 2] ^= 1;
    EXPECT("an altered one is not", VAULT_ERR_BAD_BACKUP, vault_backup_verify(next, &backup, &info));
    CHECK("the output is cleared then", info == NULL);
    backup.at = 0;
    EXPECT("and is refused whole", VAULT_ERR_BAD_BACKUP, vault_restore(&options, next, &backup, &copy));
    backup.at = 0;
    backup.data[backup.len / 2] ^= 1;
    EXPECT("restored", VAULT_OK, vault_restore(&options, next, &backup, &copy));
    EXPECT("a session of the copy", VAULT_OK, vault_session_open(copy, vault_secret_data(token), vault_secret_len(token), &session));
    EXPECT("it is frozen", VAULT_ERR_FROZEN, put(session, "x", "{}", -1, NULL));
    EXPECT("until it is adopted", VAULT_OK, vault_request(session, VAULT_OP_WRITE, "sys/storage/adopt", NULL, 0, NULL));
    EXPECT("then it goes on", VAULT_OK, put(session, "x", "{}", -1, NULL));
    vault_session_close(session);
    EXPECT("closed", VAULT_OK, vault_close(copy));
    EXPECT("closed", VAULT_OK, vault_close(vault));
    vault_secret_free(token);
}

int main(void) {
    shares_open_a_vault();
    a_key_service_opens_a_vault();
    an_anchor_is_advanced();
    a_backup_is_restored();
    return 0;
}
