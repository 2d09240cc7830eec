/* A connector of the host's and hooks for leases and rotations: what each callback is given, what its answers lead to, and time that is moved by hand. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

enum duty { CHECK_CONFIG, CREATE, RENEW, REVOKE, SET_PASSWORD, TEST, FORGET, DUTIES };

/* A target in memory: how often each duty was asked, what is answered to it, and what the last call was given. */
struct target {
    pthread_mutex_t lock;
    unsigned calls[DUTIES];
    vault_connector_answer_t answers[DUTIES];
    char account[128];
    char password[128];
    char own_password[128];
    bool is_there;
    bool was_well_formed;
    int32_t verify;
    uint64_t expires_ms;
    uint8_t id[16];
};

struct notices {
    pthread_mutex_t lock;
    unsigned granted, renewed, revoked, irrevocable;
    char lease_id[256];
    uint64_t expires_ms;
    bool was_in_root;
};

struct rotations {
    pthread_mutex_t lock;
    unsigned promoted, stopped;
    uint64_t version;
    bool was_well_formed;
};

static atomic_uint_fast64_t clock_ms = 1795457040000;

static uint64_t now_ms(void *user) {
    return atomic_load((atomic_uint_fast64_t *)user);
}

/* What every duty has in common: it is counted, its texts are looked at, and the scripted answer is given with a message. */
static vault_connector_answer_t called(struct target *target, enum duty duty, const vault_target_t *of, const vault_account_t *account) {
    target->calls[duty]++;
    target->was_well_formed &= strcmp(of->username, "admin") == 0 && strstr(of->config_json, "\"region\":\"north\"") != NULL;
    target->was_well_formed &= strstr(of->config_json, of->password) == NULL && of->secrets_json[0] == '{' && account->message_capacity > 64;
    target->was_well_formed &= target->calls[CREATE] == 0 || duty == CHECK_CONFIG || memcmp(target->id, of->id, sizeof target->id) == 0;
    memcpy(target->id, of->id, sizeof target->id);
    snprintf(target->own_password, sizeof target->own_password, "%s", of->password);
    if (target->answers[duty] != VAULT_CONNECTOR_OK) {
        snprintf(account->message, account->message_capacity, "scripted failure of duty %d", (int)duty);
    }
    return target->answers[duty];
}

static vault_connector_answer_t check_config(void *user, const vault_target_t *of, const vault_account_t *account, int32_t verify) {
    struct target *target = user;
    pthread_mutex_lock(&target->lock);
    target->verify = verify;
    vault_connector_answer_t answer = called(target, CHECK_CONFIG, of, account);
    pthread_mutex_unlock(&target->lock);
    return answer;
}

static vault_connector_answer_t create(void *user, const vault_target_t *of, const vault_account_t *account) {
    struct target *target = user;
    pthread_mutex_lock(&target->lock);
    vault_connector_answer_t answer = called(target, CREATE, of, account);
    target->was_well_formed &= strcmp(account->statements_json, "[\"make {{name}}\"]") == 0;
    target->was_well_formed &= strcmp(account->rollback_json, "[\"undo {{name}}\"]") == 0;
    snprintf(target->account, sizeof target->account, "%s", account->username);
    snprintf(target->password, sizeof target->password, "%s", account->password);
    target->expires_ms = account->expires_ms;
    target->is_there = answer == VAULT_CONNECTOR_OK || answer == VAULT_CONNECTOR_UNKNOWN;
    pthread_mutex_unlock(&target->lock);
    return answer;
}

static vault_connector_answer_t renew(void *user, const vault_target_t *of, const vault_account_t *account) {
    struct target *target = user;
    pthread_mutex_lock(&target->lock);
    vault_connector_answer_t answer = called(target, RENEW, of, account);
    target->was_well_formed &= account->password == NULL && strcmp(account->username, target->account) == 0;
    target->expires_ms = account->expires_ms;
    pthread_mutex_unlock(&target->lock);
    return answer;
}

static vault_connector_answer_t revoke(void *user, const vault_target_t *of, const vault_account_t *account) {
    struct target *target = user;
    pthread_mutex_lock(&target->lock);
    vault_connector_answer_t answer = called(target, REVOKE, of, account);
    /* Not always the last one that was made: what may have been made half way is undone too. */
    target->was_well_formed &= account->password == NULL && strncmp(account->username, "v-", 2) == 0;
    target->is_there &= answer != VAULT_CONNECTOR_OK;
    pthread_mutex_unlock(&target->lock);
    return answer;
}

/* The connection's own account, and that of the static role. */
static bool is_managed(const char *username) { return strcmp(username, "admin") == 0 || strcmp(username, "fixed") == 0; }

static vault_connector_answer_t set_password(void *user, const vault_target_t *of, const vault_account_t *account) {
    struct target *target = user;
    pthread_mutex_lock(&target->lock);
    vault_connector_answer_t answer = called(target, SET_PASSWORD, of, account);
    target->was_well_formed &= is_managed(account->username) && strlen(account->password) == 20;
    snprintf(target->password, sizeof target->password, "%s", account->password);
    pthread_mutex_unlock(&target->lock);
    return answer;
}

static vault_connector_answer_t test(void *user, const vault_target_t *of, const vault_account_t *account) {
    struct target *target = user;
    pthread_mutex_lock(&target->lock);
    vault_connector_answer_t answer = called(target, TEST, of, account);
    target->was_well_formed &= is_managed(account->username) && account->password != NULL;
    pthread_mutex_unlock(&target->lock);
    return answer;
}

static void forget(void *user, const uint8_t *id) {
    struct target *target = user;
    pthread_mutex_lock(&target->lock);
    target->calls[FORGET]++;
    target->was_well_formed &= id != NULL;
    pthread_mutex_unlock(&target->lock);
}

static void changed(void *user, const char *change, const char *lease_id, const char *namespace_path, uint64_t expires_ms) {
    struct notices *notices = user;
    pthread_mutex_lock(&notices->lock);
    notices->granted += strcmp(change, "granted") == 0;
    notices->renewed += strcmp(change, "renewed") == 0;
    notices->revoked += strcmp(change, "revoked") == 0;
    notices->irrevocable += strcmp(change, "irrevocable") == 0;
    notices->was_in_root &= namespace_path[0] == '\0';
    snprintf(notices->lease_id, sizeof notices->lease_id, "%s", lease_id);
    notices->expires_ms = expires_ms;
    pthread_mutex_unlock(&notices->lock);
}

static void rotated(void *user, const vault_rotation_notice_t *notice) {
    struct rotations *rotations = user;
    pthread_mutex_lock(&rotations->lock);
    if (strcmp(notice->change, "promoted") == 0) {
        rotations->promoted++;
        rotations->version = notice->version;
        rotations->was_well_formed &= notice->what_to_do == NULL;
    } else {
        rotations->stopped += strcmp(notice->change, "needs-attention") == 0;
        rotations->was_well_formed &= notice->what_to_do != NULL && strlen(notice->what_to_do) > 20;
    }
    rotations->was_well_formed &= strcmp(notice->path, "database/static-roles/app") == 0 && notice->namespace_path[0] == '\0';
    pthread_mutex_unlock(&rotations->lock);
}

static struct target target = {.lock = PTHREAD_MUTEX_INITIALIZER, .was_well_formed = true};
static struct notices notices = {.lock = PTHREAD_MUTEX_INITIALIZER, .was_in_root = true};
static vault_connector_t connector = {.name = "scripted", .user = &target, .check = check_config, .create = create, .renew = renew,
                                      .revoke = revoke, .set_password = set_password, .test = test, .forget = forget};
static struct rotations rotations = {.lock = PTHREAD_MUTEX_INITIALIZER, .was_well_formed = true};
static const vault_rotation_hook_t rotation_hook = {.user = &rotations, .changed = rotated};
static const vault_lease_hook_t hook = {.user = &notices, .changed = changed};
static const vault_clock_t by_hand = {.user = &clock_ms, .now_ms = now_ms};

static const char CONFIG[] = "{\"plugin_name\":\"scripted\",\"username\":\"admin\",\"password\":\"first-password\",\"region\":\"north\","
                             "\"allowed_roles\":\"app\"}";
static const char ROLE[] = "{\"db_name\":\"shop\",\"creation_statements\":[\"make {{name}}\"],\"rollback_statements\":[\"undo {{name}}\"],"
                           "\"default_ttl\":\"1h\",\"max_ttl\":\"24h\"}";

static vault_status_t ask(vault_session_t *session, vault_operation_t operation, const char *path, const char *json, vault_secret_t **reply) {
    return vault_request(session, operation, path, json, json == NULL ? 0 : strlen(json), reply);
}

static void a_configuration_is_looked_at_before_it_is_kept(vault_session_t *session) {
    EXPECT("the engine is mounted", VAULT_OK, ask(session, VAULT_OP_WRITE, "sys/mounts/database", "{\"type\":\"database\"}", NULL));
    EXPECT("a connector that nobody has given", VAULT_ERR_UNKNOWN_CONNECTOR,
           ask(session, VAULT_OP_WRITE, "database/config/other", "{\"plugin_name\":\"nobody\",\"username\":\"a\",\"password\":\"b\"}", NULL));
    target.answers[CHECK_CONFIG] = VAULT_CONNECTOR_MISCONFIGURED;
    EXPECT("what it cannot work with", VAULT_ERR_TARGET_REFUSED, ask(session, VAULT_OP_WRITE, "database/config/shop", CONFIG, NULL));
    CHECK("is told in the callback's words", strstr(vault_last_error(), "scripted failure of duty 0") != NULL);
    target.answers[CHECK_CONFIG] = VAULT_CONNECTOR_UNREACHABLE;
    EXPECT("a target that is down", VAULT_ERR_TARGET_UNAVAILABLE, ask(session, VAULT_OP_WRITE, "database/config/shop", CONFIG, NULL));
    target.answers[CHECK_CONFIG] = VAULT_CONNECTOR_OK;
    EXPECT("one that it likes", VAULT_OK, ask(session, VAULT_OP_WRITE, "database/config/shop", CONFIG, NULL));
    CHECK("it was tried out with its password", target.verify == 1 && strcmp(target.own_password, "first-password") == 0);
    EXPECT("a role", VAULT_OK, ask(session, VAULT_OP_WRITE, "database/roles/app", ROLE, NULL));
}

static void an_account_is_made_renewed_and_revoked(vault_session_t *session) {
    vault_secret_t *creds, *reply;
    char lease[300];
    const char *id, *told;
    EXPECT("credentials", VAULT_OK, ask(session, VAULT_OP_READ, "database/creds/app", NULL, &creds));
    CHECK("are those of the account that was made", target.calls[CREATE] == 1 && target.is_there);
    CHECK("by its name", field_is(creds, "/data/username", target.account));
    CHECK("and its password", field_is(creds, "/data/password", target.password));
    CHECK("which ends with its lease", target.expires_ms >= atomic_load(&clock_ms) + 3600 * 1000);
    EXPECT("its lease is told", VAULT_OK, vault_secret_field(creds, "lease_id", &id, NULL));
    CHECK("to the hook too", notices.granted == 1 && strcmp(notices.lease_id, id) == 0);
    CHECK("with its end", notices.expires_ms == atomic_load(&clock_ms) + 3600 * 1000);
    snprintf(lease, sizeof lease, "{\"lease_id\":\"%s\"}", id);
    vault_secret_free(creds);

    uint64_t before = target.expires_ms;
    atomic_fetch_add(&clock_ms, 1800 * 1000);
    EXPECT("it is renewed", VAULT_OK, ask(session, VAULT_OP_WRITE, "sys/leases/renew", lease, &reply));
    EXPECT("for an hour", VAULT_OK, vault_secret_field(reply, "lease_duration", &told, NULL));
    CHECK("from now on", strcmp(told, "3600") == 0 && target.calls[RENEW] == 1 && target.expires_ms == before + 1800 * 1000);
    CHECK("as the hook is told", notices.renewed == 1);
    vault_secret_free(reply);

    EXPECT("it is revoked", VAULT_OK, ask(session, VAULT_OP_WRITE, "sys/leases/revoke", lease, NULL));
    EXPECT("it has ended", VAULT_ERR_LEASE_ENDED, ask(session, VAULT_OP_WRITE, "sys/leases/lookup", lease, NULL));
}

static void what_ends_is_told_to_the_target_by_tick(vault_t *vault, vault_session_t *session) {
    EXPECT("it ticks", VAULT_OK, vault_tick(vault, NULL));
    CHECK("the account is gone", target.calls[REVOKE] == 1 && !target.is_there && notices.revoked == 1);
    vault_secret_t *creds;
    EXPECT("another one", VAULT_OK, ask(session, VAULT_OP_READ, "database/creds/app", NULL, &creds));
    vault_secret_free(creds);
    atomic_fetch_add(&clock_ms, 2 * 3600 * 1000);
    target.answers[REVOKE] = VAULT_CONNECTOR_UNREACHABLE;
    EXPECT("it ticks while the target is down", VAULT_OK, vault_tick(vault, NULL));
    CHECK("the account stays", target.calls[REVOKE] == 2 && target.is_there && notices.revoked == 1);
    target.answers[REVOKE] = VAULT_CONNECTOR_OK;
    atomic_fetch_add(&clock_ms, 60 * 1000);
    EXPECT("it ticks once the target is up", VAULT_OK, vault_tick(vault, NULL));
    CHECK("the account is gone", !target.is_there && notices.revoked == 2);
}

static void what_a_target_answers_is_told_by_the_status(vault_t *vault, vault_session_t *session) {
    static const struct {
        vault_connector_answer_t answer;
        vault_status_t status;
    } cases[] = {
        {VAULT_CONNECTOR_REFUSED, VAULT_ERR_TARGET_REFUSED},          {VAULT_CONNECTOR_MISCONFIGURED, VAULT_ERR_TARGET_REFUSED},
        {VAULT_CONNECTOR_UNREACHABLE, VAULT_ERR_TARGET_UNAVAILABLE},  {VAULT_CONNECTOR_UNKNOWN, VAULT_ERR_TARGET_UNAVAILABLE},
        {12345, VAULT_ERR_TARGET_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vault_secret_t *creds;
        target.answers[CREATE] = cases[i].answer;
        EXPECT("an answer has its status", cases[i].status, ask(session, VAULT_OP_READ, "database/creds/app", NULL, &creds));
        CHECK("and no credentials", creds == NULL);
    }
    target.answers[CREATE] = VAULT_CONNECTOR_OK;
    atomic_fetch_add(&clock_ms, 600 * 1000);
    EXPECT("it ticks", VAULT_OK, vault_tick(vault, NULL));
    CHECK("what may have been made is undone", !target.is_there);
}

static void the_connections_password_is_rotated(vault_session_t *session) {
    EXPECT("it is rotated", VAULT_OK, ask(session, VAULT_OP_WRITE, "database/rotate-root/shop", NULL, NULL));
    CHECK("set and tried out", target.calls[SET_PASSWORD] == 1 && target.calls[TEST] >= 1);
    vault_secret_t *creds;
    EXPECT("credentials go on", VAULT_OK, ask(session, VAULT_OP_READ, "database/creds/app", NULL, &creds));
    CHECK("by the new one", strlen(target.own_password) == 20);
    vault_secret_free(creds);
    EXPECT("the connection is reset", VAULT_OK, ask(session, VAULT_OP_WRITE, "database/reset/shop", NULL, NULL));
    CHECK("and what was held for it let go", target.calls[FORGET] >= 1);
}

static void rotations_are_told(vault_session_t *session) {
    static const char ROLE_OF_FIXED[] = "{\"db_name\":\"shop\",\"username\":\"fixed\",\"rotation_period\":\"24h\"}";
    EXPECT("a static role", VAULT_OK, ask(session, VAULT_OP_WRITE, "database/static-roles/app", ROLE_OF_FIXED, NULL));
    CHECK("its first password is told", rotations.promoted == 1 && rotations.version == 1);
    EXPECT("it is rotated", VAULT_OK, vault_rotate_role(session, "database", "app"));
    CHECK("that is told with its number", rotations.promoted == 2 && rotations.version == 2 && rotations.stopped == 0);
    target.answers[SET_PASSWORD] = VAULT_CONNECTOR_MISCONFIGURED;
    EXPECT("one that stops", VAULT_ERR_ROTATION_STUCK, vault_rotate_role(session, "database", "app"));
    target.answers[SET_PASSWORD] = VAULT_CONNECTOR_OK;
    CHECK("is told with what to do", rotations.promoted == 2 && rotations.stopped == 1);
    CHECK("as it is described", rotations.was_well_formed);
}

static void a_description_that_lacks_something_is_refused(void) {
    vault_options_t options = options_in_memory();
    vault_connector_t half = connector;
    vault_lease_hook_t no_hook = {0};
    vault_rotation_hook_t no_rotation_hook = {0};
    vault_clock_t no_clock = {0};
    vault_t *vault;
    vault_secret_t *token;
    options.connectors = &half;
    options.connector_count = 1;
    half.revoke = NULL;
    EXPECT("a connector without a duty", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    half = connector;
    half.name = NULL;
    EXPECT("one without a name", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    options.connector_count = 17;
    EXPECT("too many", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    options = options_in_memory();
    options.databases = 8;
    EXPECT("a database that there is not", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    options = options_in_memory();
    options.lease_hook = &no_hook;
    EXPECT("a hook without a callback", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    options = options_in_memory();
    options.rotation_hook = &no_rotation_hook;
    EXPECT("another one without a callback", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
    options = options_in_memory();
    options.clock = &no_clock;
    EXPECT("a clock without a callback", VAULT_ERR_BAD_ARGUMENT, vault_create(&options, &vault, &token));
}

/* What was compiled before the clock was a member has no clock, even where something stands behind its options. */
static void options_of_an_earlier_version_work(void) {
    vault_options_t options = options_in_memory();
    vault_t *vault;
    vault_secret_t *token;
    options.size = offsetof(vault_options_t, clock);
    options.clock = (const vault_clock_t *)0x5a5a;
    EXPECT("a vault by earlier options", VAULT_OK, vault_create(&options, &vault, &token));
    vault_secret_free(token);
    EXPECT("closes", VAULT_OK, vault_close(vault));
}

/* Which of the library's own connectors there are: what is unknown is refused with their names. */
static void the_librarys_own_connectors_are_there_when_asked_for(void) {
    vault_options_t options = options_in_memory();
    options.databases = VAULT_DATABASE_POSTGRESQL | VAULT_DATABASE_MYSQL | VAULT_DATABASE_REDIS;
    vault_t *vault;
    vault_secret_t *token;
    EXPECT("a vault with databases", VAULT_OK, vault_create(&options, &vault, &token));
    vault_session_t *session = session_under(vault, token);
    EXPECT("the engine is mounted", VAULT_OK, ask(session, VAULT_OP_WRITE, "sys/mounts/database", "{\"type\":\"database\"}", NULL));
    EXPECT("none of them", VAULT_ERR_UNKNOWN_CONNECTOR,
           ask(session, VAULT_OP_WRITE, "database/config/x", "{\"plugin_name\":\"scripted\",\"username\":\"a\",\"password\":\"b\"}", NULL));
    CHECK("they are named", strstr(vault_last_error(), "postgresql-database-plugin") != NULL);
    CHECK("all of them", strstr(vault_last_error(), "mysql-database-plugin") != NULL && strstr(vault_last_error(), "redis-database-plugin"));
    EXPECT("the session closes", VAULT_OK, vault_session_close(session));
    vault_secret_free(token);
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));
}

int main(void) {
    vault_options_t options = options_in_memory();
    options.connectors = &connector;
    options.connector_count = 1;
    options.lease_hook = &hook;
    options.rotation_hook = &rotation_hook;
    options.clock = &by_hand;
    vault_t *vault;
    vault_secret_t *token;
    EXPECT("a vault with a connector", VAULT_OK, vault_create(&options, &vault, &token));
    vault_session_t *session = session_under(vault, token);
    vault_secret_free(token);
    a_configuration_is_looked_at_before_it_is_kept(session);
    an_account_is_made_renewed_and_revoked(session);
    what_ends_is_told_to_the_target_by_tick(vault, session);
    what_a_target_answers_is_told_by_the_status(vault, session);
    the_connections_password_is_rotated(session);
    rotations_are_told(session);
    CHECK("every call was as it is described", target.was_well_formed && notices.was_in_root && notices.irrevocable == 0);
    EXPECT("the session closes", VAULT_OK, vault_session_close(session));
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));
    a_description_that_lacks_something_is_refused();
    options_of_an_earlier_version_work();
    the_librarys_own_connectors_are_there_when_asked_for();
    return 0;
}
