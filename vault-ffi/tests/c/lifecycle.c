/* A vault's life on disk: created, used, sealed, unsealed, locked against others, closed, reopened, verified. */
#include "check.h"

#include <sys/wait.h>

#define PASSPHRASE "correct horse battery staple"

static vault_status_t unseal(vault_t *vault, const char *passphrase) {
    return vault_unseal(vault, VAULT_KEY_PASSPHRASE, passphrase, strlen(passphrase));
}

static bool is_sealed(vault_t *vault) {
    bool sealed;
    EXPECT("the status is told", VAULT_OK, vault_seal_status(vault, &sealed));
    return sealed;
}

static void secrets_are_stored_and_read(vault_session_t *session) {
    vault_secret_t *secret;
    uint64_t version;
    EXPECT("a secret is put", VAULT_OK, put(session, "app/db", "{\"user\":\"app\",\"port\":5432}", 0, &version));
    CHECK("its version is 1", version == 1);
    EXPECT("a put over a version that is not current is refused", VAULT_ERR_CAS_MISMATCH, put(session, "app/db", "{}", 0, &version));
    CHECK("the version is cleared then", version == 0);
    EXPECT("a put over the current version", VAULT_OK, put(session, "app/db", "{\"user\":\"app\",\"port\":5433}", 1, NULL));

    EXPECT("the newest version is read", VAULT_OK, vault_kv_get(session, "secret", "app/db", 0, &secret));
    CHECK("it is version 2", vault_secret_version(secret) == 2);
    CHECK("text comes bare, numbers as JSON", field_is(secret, "user", "app") && field_is(secret, "port", "5433"));
    CHECK("the whole is a JSON object", strcmp(vault_secret_data(secret), "{\"port\":5433,\"user\":\"app\"}") == 0);
    CHECK("and as long as it says", vault_secret_len(secret) == strlen(vault_secret_data(secret)));
    vault_secret_free(secret);

    EXPECT("an older version is read", VAULT_OK, vault_kv_get(session, "secret", "app/db", 1, &secret));
    CHECK("it is version 1", vault_secret_version(secret) == 1 && field_is(secret, "port", "5432"));
    vault_secret_free(secret);

    EXPECT("names are listed", VAULT_OK, vault_kv_list(session, "secret", "", &secret));
    CHECK("folders end in a slash", strcmp(vault_secret_data(secret), "[\"app/\"]") == 0 && field_is(secret, "/0", "app/"));
    vault_secret_free(secret);
    EXPECT("an absent secret is not found", VAULT_ERR_NOT_FOUND, vault_kv_get(session, "secret", "absent", 0, &secret));
    CHECK("the output is cleared then", secret == NULL);
}

static void requests_are_answered(vault_session_t *session) {
    vault_secret_t *reply;
    const char *policy = "{\"policy\":\"path \\\"secret/data/app/*\\\" { capabilities = [\\\"read\\\"] }\"}";
    EXPECT("a policy is written", VAULT_OK,
           vault_request(session, VAULT_OP_WRITE, "sys/policies/acl/app", policy, strlen(policy), &reply));
    CHECK("a reply without content has length 0 and is no NULL", reply != NULL && vault_secret_len(reply) == 0);
    CHECK("and is the empty text", vault_secret_data(reply)[0] == '\0');
    vault_secret_free(reply);
    EXPECT("the policies are listed", VAULT_OK, vault_request(session, VAULT_OP_LIST, "sys/policies/acl", NULL, 0, &reply));
    CHECK("the new one among them", strstr(vault_secret_data(reply), "\"app\"") != NULL);
    vault_secret_free(reply);
    EXPECT("a reply that is not wanted", VAULT_OK, vault_request(session, VAULT_OP_READ, "auth/token/lookup-self", NULL, 0, NULL));
}

static void sealing_and_unsealing(vault_t *vault, vault_session_t *session) {
    vault_secret_t *secret;
    vault_session_t *refused;
    EXPECT("an unsealed vault cannot be unsealed", VAULT_ERR_ALREADY_UNSEALED, unseal(vault, PASSPHRASE));
    EXPECT("the vault is sealed", VAULT_OK, vault_seal(vault));
    EXPECT("and again", VAULT_OK, vault_seal(vault));
    CHECK("it says so", is_sealed(vault));
    EXPECT("its sessions answer so", VAULT_ERR_SEALED, vault_kv_get(session, "secret", "app/db", 0, &secret));
    EXPECT("no session opens", VAULT_ERR_SEALED, vault_session_open(vault, "t", 1, &refused));
    EXPECT("nor does it tick", VAULT_ERR_SEALED, vault_tick(vault, NULL));
    EXPECT("nor verify", VAULT_ERR_SEALED, vault_verify(vault, NULL, NULL));
    EXPECT("a wrong passphrase is refused", VAULT_ERR_WRONG_KEY, unseal(vault, "wrong"));
    EXPECT("the right one is not", VAULT_OK, unseal(vault, PASSPHRASE));
    EXPECT("the session works again", VAULT_OK, vault_kv_get(session, "secret", "app/db", 0, &secret));
    vault_secret_free(secret);
    EXPECT("a request seals too", VAULT_OK, vault_request(session, VAULT_OP_WRITE, "sys/seal", NULL, 0, NULL));
    CHECK("the vault says so", is_sealed(vault));
    EXPECT("and is unsealed again", VAULT_OK, unseal(vault, PASSPHRASE));
    CHECK("it says so", !is_sealed(vault));
}

/* The store is open here: neither this process nor another one may open it, and the text says who has it. */
static void the_store_is_locked(vault_t *vault, vault_session_t *session, const char *path) {
    vault_options_t options = options_at(path, PASSPHRASE);
    vault_t *second;
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    EXPECT("a second open is refused", VAULT_ERR_STORE_LOCKED, vault_open(&options, &second));
    CHECK("and names this process", second == NULL && strstr(vault_last_error(), pid) != NULL);

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        vault_secret_t *secret;
        bool sealed;
        EXPECT("a child cannot use its parent's vault", VAULT_ERR_FORKED, vault_seal_status(vault, &sealed));
        EXPECT("nor its session", VAULT_ERR_FORKED, vault_kv_get(session, "secret", "app/db", 0, &secret));
        EXPECT("nor close it", VAULT_ERR_FORKED, vault_close(vault));
        EXPECT("nor open its store", VAULT_ERR_STORE_LOCKED, vault_open(&options, &second));
        CHECK("which its parent has", strstr(vault_last_error(), pid) != NULL);
        vault_options_t own = options_in_memory();
        EXPECT("it can have a vault of its own", VAULT_OK, vault_create(&own, &second, &secret));
        vault_secret_free(secret);
        EXPECT("and close it", VAULT_OK, vault_close(second));
        fflush(stdout);
        /* What the child inherited is its parent's to free, so it ends where no leak check counts it. */
        execlp("true", "true", (char *)NULL);
        _exit(1);
    }
    int status = 1;
    CHECK("another process finds the store locked", child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void a_deleted_version_tells_its_metadata(vault_session_t *session) {
    vault_secret_t *secret;
    EXPECT("a secret is deleted", VAULT_OK, vault_request(session, VAULT_OP_DELETE, "secret/data/app/db", NULL, 0, NULL));
    EXPECT("and then so answered", VAULT_ERR_VERSION_DELETED, vault_kv_get(session, "secret", "app/db", 0, &secret));
    EXPECT("its metadata comes with the error", VAULT_OK, vault_last_error_data(&secret));
    CHECK("with the version", strstr(vault_secret_data(secret), "\"version\":2") != NULL);
    vault_secret_free(secret);
}

/* Each backend keeps a vault, which is opened again without naming it. */
static void every_backend_keeps_a_vault(void) {
    const vault_backend_t backends[] = {VAULT_BACKEND_SLED, VAULT_BACKEND_REDB};
    for (size_t i = 0; i < 2; i++) {
        const char *path = scratch_path(i == 0 ? "over-sled" : "over-redb");
        vault_options_t options = options_at(path, PASSPHRASE);
        vault_t *vault;
        vault_secret_t *root, *secret;
        options.backend = backends[i];
        EXPECT("a vault is created on a backend", VAULT_OK, vault_create(&options, &vault, &root));
        vault_session_t *session = session_under(vault, root);
        EXPECT("a secret is put", VAULT_OK, put(session, "app/db", "{\"port\":5432}", 0, NULL));
        EXPECT("the session is closed", VAULT_OK, vault_session_close(session));
        EXPECT("the vault is closed", VAULT_OK, vault_close(vault));
        options.backend = VAULT_BACKEND_DEFAULT;
        EXPECT("it is opened again", VAULT_OK, vault_open(&options, &vault));
        session = session_under(vault, root);
        EXPECT("and has its secret", VAULT_OK, vault_kv_get(session, "secret", "app/db", 0, &secret));
        vault_secret_free(secret);
        EXPECT("the session is closed", VAULT_OK, vault_session_close(session));
        EXPECT("the vault is closed", VAULT_OK, vault_close(vault));
        vault_secret_free(root);
    }
}

static void figures_are_told(vault_t *vault) {
    vault_secret_t *text;
    EXPECT("figures need no token", VAULT_OK, vault_metrics(vault, &text));
    CHECK("and are Prometheus' text", strncmp(vault_secret_data(text), "# HELP libvault_", 16) == 0);
    CHECK("and say that it is unsealed", strstr(vault_secret_data(text), "\nlibvault_sealed 0\n") != NULL);
    vault_secret_free(text);
    EXPECT("nowhere to put them", VAULT_ERR_BAD_ARGUMENT, vault_metrics(vault, NULL));
}

static void secrets_are_held_where_the_host_asks(void) {
    vault_options_t options = options_at(NULL, PASSPHRASE);
    vault_t *vault;
    vault_secret_t *root, *reply, *text;
    options.value_cache_bytes = 1 << 20;
    EXPECT("a vault that holds secrets", VAULT_OK, vault_create(&options, &vault, &root));
    vault_session_t *session = session_under(vault, root);
    const char *body = "{\"data\":{\"k\":\"v\"}}";
    EXPECT("a write", VAULT_OK, vault_request(session, VAULT_OP_WRITE, "secret/data/a", body, strlen(body), NULL));
    for (int i = 0; i < 3; i++) {
        EXPECT("a read", VAULT_OK, vault_request(session, VAULT_OP_READ, "secret/data/a", NULL, 0, &reply));
        CHECK("of what was written", field_is(reply, "/data/data/k", "v"));
        vault_secret_free(reply);
    }
    EXPECT("the figures", VAULT_OK, vault_metrics(vault, &text));
    CHECK("two of them were held", strstr(vault_secret_data(text), "libvault_value_cache_total{outcome=\"hit\"} 2\n") != NULL);
    vault_secret_free(text);
    vault_secret_free(root);
    vault_session_close(session);
    vault_close(vault);
    options.value_cache_ttl_s = (uint64_t)-1;
    EXPECT("for longer than anybody lives", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &root));
}

static void policies_follow_the_options(void) {
    vault_options_t options = options_at(NULL, PASSPHRASE);
    vault_t *vault;
    vault_secret_t *root, *reply;
    options.dialect = VAULT_DIALECT_OPENBAO;
    options.absolute_deny = 1;
    EXPECT("a vault with a dialect", VAULT_OK, vault_create(&options, &vault, &root));
    vault_session_t *session = session_under(vault, root);
    EXPECT("tells it", VAULT_OK, vault_request(session, VAULT_OP_READ, "sys/config/state/sanitized", NULL, 0, &reply));
    CHECK("by its name", field_is(reply, "/data/policy/dialect", "openbao") && field_is(reply, "/data/policy/absolute_deny", "true"));
    vault_secret_free(reply);
    vault_secret_free(root);
    vault_session_close(session);
    vault_close(vault);
    options.dialect = 99;
    EXPECT("no such dialect", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &root));
    options.dialect = 0;
    options.absolute_deny = 2;
    EXPECT("neither yes nor no", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &root));
}

int main(void) {
    const char *path = scratch_path("store");
    vault_options_t options = options_at(path, PASSPHRASE);
    vault_t *vault;
    vault_secret_t *root, *secret;
    vault_session_t *session;

    CHECK("the library has this header's interface", vault_abi_version() == VAULT_ABI_VERSION && strlen(vault_version()) > 0);
    EXPECT("no store, no vault", VAULT_ERR_NOT_A_STORE, vault_open(&options, &vault));
    EXPECT("a vault is created", VAULT_OK, vault_create(&options, &vault, &root));
    CHECK("it is unsealed", !is_sealed(vault));
    session = session_under(vault, root);
    figures_are_told(vault);
    secrets_are_stored_and_read(session);
    requests_are_answered(session);
    sealing_and_unsealing(vault, session);
    the_store_is_locked(vault, session, path);
    EXPECT("the vault is closed", VAULT_OK, vault_close(vault));
    EXPECT("its session answers so", VAULT_ERR_CLOSED, vault_kv_get(session, "secret", "app/db", 0, &secret));
    EXPECT("and is closed too", VAULT_OK, vault_session_close(session));

    EXPECT("a store is never created over", VAULT_ERR_STORE_EXISTS, vault_create(&options, &vault, &secret));
    vault_options_t wrong = options_at(path, "wrong");
    EXPECT("a wrong passphrase opens nothing", VAULT_ERR_WRONG_KEY, vault_open(&wrong, &vault));
    CHECK("and gives no vault", vault == NULL);
    vault_options_t keyless = options_at(path, NULL);
    EXPECT("without a key it opens sealed", VAULT_OK, vault_open(&keyless, &vault));
    CHECK("and says so", is_sealed(vault));
    EXPECT("it closes sealed", VAULT_OK, vault_close(vault));
    EXPECT("with its key it opens unsealed", VAULT_OK, vault_open(&options, &vault));
    session = session_under(vault, root);
    EXPECT("what was put is there", VAULT_OK, vault_kv_get(session, "secret", "app/db", 0, &secret));
    CHECK("as it was put", vault_secret_version(secret) == 2 && field_is(secret, "port", "5433"));
    vault_secret_free(secret);
    a_deleted_version_tells_its_metadata(session);

    int64_t next;
    uint64_t records, audit_records;
    EXPECT("it ticks", VAULT_OK, vault_tick(vault, &next));
    CHECK("and says when next", next == -1 || next > 0);
    EXPECT("it verifies", VAULT_OK, vault_verify(vault, &records, &audit_records));
    CHECK("with records", records > 0 && audit_records > 0);
    EXPECT("the session is closed", VAULT_OK, vault_session_close(session));
    EXPECT("the vault is closed", VAULT_OK, vault_close(vault));
    vault_secret_free(root);
    secrets_are_held_where_the_host_asks();
    policies_follow_the_options();
    every_backend_keeps_a_vault();
    return 0;
}
