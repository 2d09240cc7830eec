/* Bad input at every pointer and every handle: a typed error each, outputs cleared, nothing lost. */
#include "check.h"

static vault_t *vault;
static vault_session_t *session;
static vault_secret_t *root;

/* A pattern in outputs, to see that they are cleared. */
#define STALE ((void *)0x5a5a)

static void null_options_and_outputs(void) {
    vault_options_t options = options_in_memory();
    vault_t *v = STALE;
    vault_secret_t *s = STALE;
    EXPECT("create without options", VAULT_ERR_BAD_ARGUMENT, vault_create(NULL, &v, &s));
    CHECK("clears both outputs", v == NULL && s == NULL);
    EXPECT("create without out_vault", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, NULL, &s));
    EXPECT("create without out_root_token", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &v, NULL));
    CHECK("says which argument", strstr(vault_last_error(), "out_root_token") != NULL);
    v = STALE;
    EXPECT("open without options", VAULT_ERR_BAD_ARGUMENT, vault_open(NULL, &v));
    CHECK("clears its output", v == NULL);
    EXPECT("open without out_vault", VAULT_ERR_BAD_ARGUMENT, vault_open(&options, NULL));
    EXPECT("status without out_sealed", VAULT_ERR_BAD_ARGUMENT, vault_seal_status(vault, NULL));
    EXPECT("session without token", VAULT_ERR_BAD_ARGUMENT, vault_session_open(vault, NULL, 0, (vault_session_t **)&s));
    EXPECT("session without out_session", VAULT_ERR_BAD_ARGUMENT, vault_session_open(vault, "t", 1, NULL));
    EXPECT("error data without out_data", VAULT_ERR_BAD_ARGUMENT, vault_last_error_data(NULL));
    EXPECT("unseal without key", VAULT_ERR_BAD_ARGUMENT, vault_unseal(vault, VAULT_KEY_PASSPHRASE, NULL, 4));
    EXPECT("unseal with no kind of key", VAULT_ERR_BAD_ARGUMENT, vault_unseal(vault, VAULT_KEY_NONE, NULL, 0));
    EXPECT("unseal with an unknown kind of key", VAULT_ERR_BAD_ARGUMENT, vault_unseal(vault, 99, "k", 1));
    vault_options_init(NULL);
}

static void null_handles(void) {
    bool sealed = true;
    int64_t next = 7;
    uint64_t a = 7, b = 7;
    vault_secret_t *s = STALE;
    vault_session_t *n = STALE;
    EXPECT("seal NULL", VAULT_ERR_BAD_ARGUMENT, vault_seal(NULL));
    EXPECT("unseal NULL", VAULT_ERR_BAD_ARGUMENT, vault_unseal(NULL, VAULT_KEY_PASSPHRASE, "p", 1));
    EXPECT("status of NULL", VAULT_ERR_BAD_ARGUMENT, vault_seal_status(NULL, &sealed));
    EXPECT("tick NULL", VAULT_ERR_BAD_ARGUMENT, vault_tick(NULL, &next));
    EXPECT("verify NULL", VAULT_ERR_BAD_ARGUMENT, vault_verify(NULL, &a, &b));
    CHECK("outputs are cleared", !sealed && next == 0 && a == 0 && b == 0);
    EXPECT("session on NULL", VAULT_ERR_BAD_ARGUMENT, vault_session_open(NULL, "t", 1, &n));
    EXPECT("request on NULL", VAULT_ERR_BAD_ARGUMENT, vault_request(NULL, VAULT_OP_READ, "sys/mounts", NULL, 0, &s));
    CHECK("outputs are cleared", n == NULL && s == NULL);
    EXPECT("get on NULL", VAULT_ERR_BAD_ARGUMENT, vault_kv_get(NULL, "secret", "a", 0, &s));
    EXPECT("put on NULL", VAULT_ERR_BAD_ARGUMENT, put(NULL, "a", "{}", -1, &a));
    EXPECT("list on NULL", VAULT_ERR_BAD_ARGUMENT, vault_kv_list(NULL, "secret", "", &s));
    CHECK("data of NULL", vault_secret_data(NULL) == NULL && vault_last_error_code() == VAULT_ERR_BAD_ARGUMENT);
    CHECK("length of NULL", vault_secret_len(NULL) == 0 && vault_secret_version(NULL) == 0);
    EXPECT("close NULL", VAULT_OK, vault_close(NULL));
    EXPECT("close a NULL session", VAULT_OK, vault_session_close(NULL));
    vault_secret_free(NULL);
}

static void null_text(void) {
    vault_secret_t *s = STALE;
    const char *data = STALE;
    size_t len = 7;
    EXPECT("request without path", VAULT_ERR_BAD_ARGUMENT, vault_request(session, VAULT_OP_READ, NULL, NULL, 0, &s));
    EXPECT("request with a length and no JSON", VAULT_ERR_BAD_ARGUMENT, vault_request(session, VAULT_OP_WRITE, "secret/data/a", NULL, 2, &s));
    EXPECT("get without mount", VAULT_ERR_BAD_ARGUMENT, vault_kv_get(session, NULL, "a", 0, &s));
    EXPECT("get without path", VAULT_ERR_BAD_ARGUMENT, vault_kv_get(session, "secret", NULL, 0, &s));
    EXPECT("get without out_secret", VAULT_ERR_BAD_ARGUMENT, vault_kv_get(session, "secret", "a", 0, NULL));
    EXPECT("put without mount", VAULT_ERR_BAD_ARGUMENT, vault_kv_put(session, NULL, "a", "{}", 2, -1, NULL));
    EXPECT("put without path", VAULT_ERR_BAD_ARGUMENT, vault_kv_put(session, "secret", NULL, "{}", 2, -1, NULL));
    EXPECT("put without JSON", VAULT_ERR_INVALID_DATA, vault_kv_put(session, "secret", "a", NULL, 0, -1, NULL));
    EXPECT("list without mount", VAULT_ERR_BAD_ARGUMENT, vault_kv_list(session, NULL, "", &s));
    EXPECT("list without folder", VAULT_ERR_BAD_ARGUMENT, vault_kv_list(session, "secret", NULL, &s));
    EXPECT("list without out_names", VAULT_ERR_BAD_ARGUMENT, vault_kv_list(session, "secret", "", NULL));
    EXPECT("field of NULL", VAULT_ERR_BAD_ARGUMENT, vault_secret_field(NULL, "a", &data, &len));
    CHECK("outputs are cleared", data == NULL && len == 0);
    EXPECT("field without name", VAULT_ERR_BAD_ARGUMENT, vault_secret_field(root, NULL, &data, &len));
    EXPECT("field without out_data", VAULT_ERR_BAD_ARGUMENT, vault_secret_field(root, "a", NULL, &len));
    EXPECT("field of a text", VAULT_ERR_NOT_FOUND, vault_secret_field(root, "a", &data, NULL));
}

static void hostile_text(void) {
    static const char *paths[] = {"", "/", "..", "secret/../sys", "secret/data/./a", "secret/data//a", "secret/data/%2e%2e/sys",
                                  "secret/data/a\n", "secret/data/a\x7f", "//sys/mounts"};
    vault_secret_t *s;
    char *huge = malloc(1 << 21);
    memset(huge, 'a', 1 << 21);
    huge[(1 << 21) - 1] = '\0';
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        EXPECT("a path trick", VAULT_ERR_INVALID_PATH, vault_request(session, VAULT_OP_READ, paths[i], NULL, 0, &s));
    }
    EXPECT("a path trick in a secret's path", VAULT_ERR_INVALID_PATH, vault_kv_get(session, "secret", "../../sys/mounts", 0, &s));
    EXPECT("a path trick in a mount", VAULT_ERR_INVALID_PATH, vault_kv_get(session, "secret/../sys", "a", 0, &s));
    EXPECT("a huge path", VAULT_ERR_BAD_ARGUMENT, vault_request(session, VAULT_OP_READ, huge, NULL, 0, &s));
    EXPECT("a huge token", VAULT_ERR_BAD_ARGUMENT, vault_session_open(vault, huge, 1 << 20, (vault_session_t **)&s));
    EXPECT("a token as long as memory", VAULT_ERR_BAD_ARGUMENT, vault_session_open(vault, huge, SIZE_MAX, (vault_session_t **)&s));
    EXPECT("a path that is not UTF-8", VAULT_ERR_INVALID_UTF8, vault_request(session, VAULT_OP_READ, "secret/\xff", NULL, 0, &s));
    EXPECT("a token that is not UTF-8", VAULT_ERR_INVALID_UTF8, vault_session_open(vault, "\xc0\x80", 2, (vault_session_t **)&s));
    EXPECT("a name that is not UTF-8", VAULT_ERR_INVALID_UTF8, vault_secret_field(root, "\xff", (const char **)&s, NULL));
    EXPECT("no such operation", VAULT_ERR_BAD_ARGUMENT, vault_request(session, 0, "sys/mounts", NULL, 0, &s));
    EXPECT("no such operation", VAULT_ERR_BAD_ARGUMENT, vault_request(session, INT32_MIN, "sys/mounts", NULL, 0, &s));
    EXPECT("no such mount", VAULT_ERR_NOT_FOUND, vault_kv_get(session, "nowhere", "a", 0, &s));
    EXPECT("a negative check-and-set", VAULT_ERR_BAD_ARGUMENT, put(session, "a", "{}", -2, NULL));
    EXPECT("a version that cannot be", VAULT_ERR_NOT_FOUND, vault_kv_get(session, "secret", "a", UINT64_MAX, &s));
    free(huge);
}

static void hostile_json(void) {
    static const char *texts[] = {"{", "[]", "7", "\"x\"", "{} {}", "{\"a\":}", "nul", "{\"a\":1e999}"};
    char *deep = malloc(200001);
    memset(deep, '[', 100000);
    memset(deep + 100000, ']', 100000);
    deep[200000] = '\0';
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        EXPECT("JSON that is no object", VAULT_ERR_INVALID_DATA, put(session, "a", texts[i], VAULT_KV_CAS_NONE, NULL));
    }
    EXPECT("deep JSON", VAULT_ERR_INVALID_DATA, put(session, "a", deep, VAULT_KV_CAS_NONE, NULL));
    EXPECT("JSON as long as memory", VAULT_ERR_INVALID_DATA, vault_kv_put(session, "secret", "a", "{}", SIZE_MAX, -1, NULL));
    EXPECT("JSON that is not UTF-8", VAULT_ERR_INVALID_UTF8, put(session, "a", "{\"a\":\"\xff\"}", VAULT_KV_CAS_NONE, NULL));
    free(deep);
}

static void hostile_options(void) {
    struct {
        vault_options_t known;
        uint64_t unknown;
    } grown;
    vault_t *v;
    vault_secret_t *s;
    vault_options_t options = options_in_memory();
    options.size = 0;
    EXPECT("options without a size", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &v, &s));
    options.size = sizeof options - 1;
    EXPECT("options that are too small", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &v, &s));
    options.size = SIZE_MAX;
    EXPECT("options as long as memory", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &v, &s));
    memset(&grown, 0, sizeof grown);
    grown.known = options_in_memory();
    grown.known.size = sizeof grown;
    grown.unknown = 1;
    EXPECT("options with an unknown member that is set", VAULT_ERR_BAD_ARGUMENT, vault_create(&grown.known, &v, &s));
    grown.unknown = 0;
    EXPECT("options with an unknown member that is not set", VAULT_OK, vault_create(&grown.known, &v, &s));
    EXPECT("make a vault that closes", VAULT_OK, vault_close(v));
    vault_secret_free(s);

    options = options_in_memory();
    options.key_len = 31;
    EXPECT("a raw key that is too short", VAULT_ERR_INVALID_REQUEST, vault_create(&options, &v, &s));
    options.key_kind = VAULT_KEY_NONE;
    EXPECT("a key without a kind", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &v, &s));
    options.key = NULL;
    options.key_len = 0;
    EXPECT("no key", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &v, &s));
    options = options_in_memory();
    options.audit_mode = 9;
    EXPECT("an unknown audit mode", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &v, &s));
    options = options_in_memory();
    options.backend = 9;
    EXPECT("an unknown backend", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &v, &s));
    options = options_in_memory();
    options.accept_rollback = 2;
    EXPECT("a flag that is neither 0 nor 1", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &v, &s));
    options = options_in_memory();
    options.path = "";
    EXPECT("an empty path", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &v, &s));
    options.path = "/tmp/\xff";
    EXPECT("a path that is not UTF-8", VAULT_ERR_INVALID_UTF8, vault_create(&options, &v, &s));
    options = options_at(NULL, "");
    EXPECT("an empty passphrase", VAULT_ERR_INVALID_REQUEST, vault_create(&options, &v, &s));
    options = options_at(NULL, "p");
    options.argon2_memory_kib = 8;
    EXPECT("too little key stretching", VAULT_ERR_INVALID_REQUEST, vault_create(&options, &v, &s));
    CHECK("no failure gives a vault or a token", v == NULL && s == NULL);
    options = options_at(scratch_path("foreign"), NULL);
    FILE *file = fopen(options.path, "w");
    CHECK("a file that is no store", file != NULL && fputs("not a store", file) >= 0 && fclose(file) == 0);
    EXPECT("is not opened", VAULT_ERR_NOT_A_STORE, vault_open(&options, &v));
}

static void stale_and_wrong_handles(void) {
    vault_options_t options = options_in_memory();
    vault_t *v;
    vault_secret_t *token, *s;
    vault_session_t *n;
    bool sealed;
    int on_the_stack = 0;
    EXPECT("another vault", VAULT_OK, vault_create(&options, &v, &token));
    n = session_under(v, token);

    EXPECT("a session is no vault", VAULT_ERR_BAD_HANDLE, vault_seal_status((vault_t *)n, &sealed));
    EXPECT("a vault is no session", VAULT_ERR_BAD_HANDLE, vault_kv_get((vault_session_t *)v, "secret", "a", 0, &s));
    EXPECT("a vault is closed as no session", VAULT_ERR_BAD_HANDLE, vault_session_close((vault_session_t *)v));
    CHECK("a session is no secret", vault_secret_data((vault_secret_t *)n) == NULL && vault_last_error_code() == VAULT_ERR_BAD_HANDLE);
    vault_secret_free((vault_secret_t *)v);
    CHECK("a vault is freed as no secret", vault_last_error_code() == VAULT_ERR_BAD_HANDLE);
    EXPECT("and is still there", VAULT_OK, vault_seal_status(v, &sealed));
    EXPECT("a pointer is no handle", VAULT_ERR_BAD_HANDLE, vault_seal((vault_t *)&on_the_stack));
    EXPECT("a number is no handle", VAULT_ERR_BAD_HANDLE, vault_seal((vault_t *)UINTPTR_MAX));

    vault_secret_free(token);
    CHECK("a freed secret has no data", vault_secret_data(token) == NULL && vault_secret_len(token) == 0);
    vault_secret_free(token);
    CHECK("freeing it twice is told", vault_last_error_code() == VAULT_ERR_BAD_HANDLE);
    EXPECT("a vault closes", VAULT_OK, vault_close(v));
    EXPECT("and not twice", VAULT_ERR_BAD_HANDLE, vault_close(v));
    EXPECT("a closed vault has no status", VAULT_ERR_BAD_HANDLE, vault_seal_status(v, &sealed));
    EXPECT("its session says so", VAULT_ERR_CLOSED, vault_kv_get(n, "secret", "a", 0, &s));
    EXPECT("to requests as well", VAULT_ERR_CLOSED, vault_request(n, VAULT_OP_READ, "sys/mounts", NULL, 0, &s));
    EXPECT("its session closes", VAULT_OK, vault_session_close(n));
    EXPECT("and not twice", VAULT_ERR_BAD_HANDLE, vault_session_close(n));
    EXPECT("a closed session asks nothing", VAULT_ERR_BAD_HANDLE, vault_request(n, VAULT_OP_READ, "sys/mounts", NULL, 0, &s));
}

static void a_bad_token_is_denied(void) {
    static const char *tokens[] = {"", "x", "hvs.AAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        vault_session_t *n;
        vault_secret_t *s;
        EXPECT("a session under a bad token", VAULT_OK, vault_session_open(vault, tokens[i], strlen(tokens[i]), &n));
        EXPECT("is denied", VAULT_ERR_PERMISSION_DENIED, vault_kv_get(n, "secret", "a", 0, &s));
        CHECK("in always the same words", strcmp(vault_last_error(), "permission denied") == 0);
        EXPECT("and closes", VAULT_OK, vault_session_close(n));
    }
}

int main(void) {
    vault_options_t options = options_in_memory();
    vault_secret_t *s;
    EXPECT("a vault in memory", VAULT_OK, vault_create(&options, &vault, &root));
    session = session_under(vault, root);
    EXPECT("a secret before it all", VAULT_OK, put(session, "kept", "{\"k\":\"v\"}", VAULT_KV_CAS_NONE, NULL));
    null_options_and_outputs();
    null_handles();
    null_text();
    hostile_text();
    hostile_json();
    hostile_options();
    stale_and_wrong_handles();
    a_bad_token_is_denied();
    EXPECT("the secret after it all", VAULT_OK, vault_kv_get(session, "secret", "kept", 0, &s));
    CHECK("is what it was", field_is(s, "k", "v"));
    vault_secret_free(s);
    vault_secret_free(root);
    EXPECT("the session closes", VAULT_OK, vault_session_close(session));
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));
    return 0;
}
