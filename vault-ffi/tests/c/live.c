/* Live secrets: current at each call, told of changes, tried once more when refused; and what is wrong with each argument. */
#include "check.h"

#include <pthread.h>

static vault_t *vault;
static vault_session_t *session;

struct attempts {
    int made;
    int answer;
    bool rotates;
};

static int32_t log_in(void *user, const vault_secret_t *secret) {
    struct attempts *attempts = user;
    attempts->made++;
    if (attempts->rotates && attempts->made == 1) {
        EXPECT("the password is rotated between read and use", VAULT_OK, put(session, "x", "{\"p\":\"two\"}", VAULT_KV_CAS_NONE, NULL));
    }
    if (attempts->rotates) {
        return field_is(secret, "p", "two") ? 7 : VAULT_ATTEMPT_REFUSED;
    }
    return attempts->answer;
}

struct told {
    int times;
    bool is_three;
    vault_status_t status;
};

static void changed(void *user, const vault_secret_t *secret, vault_status_t status) {
    struct told *told = user;
    told->times++;
    told->is_three = secret != NULL && field_is(secret, "p", "three");
    told->status = status;
}

static void it_stays_current(vault_live_secret_t *live) {
    vault_secret_t *s;
    CHECK("nothing was read yet", !vault_live_secret_is_current(live));
    EXPECT("it is read at its first use", VAULT_OK, vault_live_secret_get(live, &s));
    CHECK("and is what was written", field_is(s, "p", "one") && vault_secret_version(s) == 1);
    CHECK("it is current", vault_live_secret_is_current(live));
    vault_secret_free(s);
    CHECK("also when what it gave is freed", vault_live_secret_is_current(live));
    struct attempts attempts = {0, 0, true};
    int32_t answer = -1;
    EXPECT("an attempt", VAULT_OK, vault_live_secret_with_retry(live, log_in, &attempts, &answer));
    CHECK("is made again with the new password", attempts.made == 2 && answer == 7);
    attempts = (struct attempts){0, VAULT_ATTEMPT_REFUSED, false};
    EXPECT("a password that is wrong", VAULT_OK, vault_live_secret_with_retry(live, log_in, &attempts, &answer));
    CHECK("is tried twice and no more", attempts.made == 2 && answer == VAULT_ATTEMPT_REFUSED);
    attempts = (struct attempts){0, -5, false};
    EXPECT("what fails otherwise", VAULT_OK, vault_live_secret_with_retry(live, log_in, &attempts, NULL));
    CHECK("is tried once", attempts.made == 1);
    EXPECT("it is read whether it has changed or not", VAULT_OK, vault_live_secret_refresh(live, &s));
    CHECK("and has its version", vault_secret_version(s) == 2);
    vault_secret_free(s);
}

static void it_tells(vault_live_secret_t *live) {
    struct told told = {0, false, -1};
    vault_secret_t *s;
    EXPECT("a callback for changes", VAULT_OK, vault_live_secret_on_change(live, changed, &told));
    EXPECT("a tick", VAULT_OK, vault_tick(vault, NULL));
    CHECK("has nothing to tell", told.times == 0);
    EXPECT("a new version", VAULT_OK, put(session, "x", "{\"p\":\"three\"}", VAULT_KV_CAS_NONE, NULL));
    EXPECT("a tick", VAULT_OK, vault_tick(vault, NULL));
    CHECK("tells it", told.times == 1 && told.is_three && told.status == VAULT_OK);
    EXPECT("the secret is deleted", VAULT_OK, vault_request(session, VAULT_OP_DELETE, "secret/data/x", NULL, 0, &s));
    vault_secret_free(s);
    EXPECT("a tick", VAULT_OK, vault_tick(vault, NULL));
    CHECK("tells that", told.times == 2 && told.status == VAULT_ERR_VERSION_DELETED);
    EXPECT("no callback any more", VAULT_OK, vault_live_secret_on_change(live, NULL, NULL));
    EXPECT("a new version", VAULT_OK, put(session, "x", "{\"p\":\"four\"}", VAULT_KV_CAS_NONE, NULL));
    EXPECT("a tick", VAULT_OK, vault_tick(vault, NULL));
    CHECK("tells nobody", told.times == 2);
}

static void *look(void *user) {
    vault_live_secret_t *live = user;
    uint64_t version = 0;
    while (version < 40) {
        vault_secret_t *s;
        if (vault_live_secret_get(live, &s) != VAULT_OK) {
            return live;
        }
        version = vault_secret_version(s);
        vault_secret_free(s);
    }
    return NULL;
}

static void threads_share_it(vault_live_secret_t *live) {
    pthread_t threads[3];
    uint64_t version = 0;
    for (size_t i = 0; i < 3; i++) {
        CHECK("a thread", pthread_create(&threads[i], NULL, look, live) == 0);
    }
    while (version < 40) {
        if (put(session, "x", "{\"p\":\"more\"}", VAULT_KV_CAS_NONE, &version) != VAULT_OK) {
            CHECK("a write", false);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        void *failed;
        CHECK("a thread sees the last version", pthread_join(threads[i], &failed) == 0 && failed == NULL);
    }
}

static void bad_arguments(vault_live_secret_t *live) {
    vault_live_secret_t *l;
    vault_secret_t *s;
    int32_t answer = 9;
    EXPECT("no session", VAULT_ERR_BAD_ARGUMENT, vault_kv_live(NULL, "secret", "x", &l));
    EXPECT("no mount", VAULT_ERR_BAD_ARGUMENT, vault_kv_live(session, NULL, "x", &l));
    EXPECT("no path", VAULT_ERR_BAD_ARGUMENT, vault_kv_live(session, "secret", NULL, &l));
    EXPECT("no output", VAULT_ERR_BAD_ARGUMENT, vault_kv_live(session, "secret", "x", NULL));
    EXPECT("no path it can be", VAULT_ERR_INVALID_PATH, vault_session_live(session, "a/../b", &l));
    CHECK("gives nothing", l == NULL);
    EXPECT("no UTF-8", VAULT_ERR_INVALID_UTF8, vault_session_live(session, "\xff", &l));
    EXPECT("a live secret is no session", VAULT_ERR_BAD_HANDLE, vault_session_live((vault_session_t *)live, "x", &l));
    EXPECT("no live secret", VAULT_ERR_BAD_ARGUMENT, vault_live_secret_get(NULL, &s));
    EXPECT("a session is none", VAULT_ERR_BAD_HANDLE, vault_live_secret_get((vault_live_secret_t *)session, &s));
    EXPECT("no output for it", VAULT_ERR_BAD_ARGUMENT, vault_live_secret_get(live, NULL));
    EXPECT("nor for a refresh", VAULT_ERR_BAD_ARGUMENT, vault_live_secret_refresh(live, NULL));
    EXPECT("no attempt", VAULT_ERR_BAD_ARGUMENT, vault_live_secret_with_retry(live, NULL, NULL, &answer));
    CHECK("leaves no answer", answer == 0);
    CHECK("NULL is not current", !vault_live_secret_is_current(NULL) && vault_last_error_code() == VAULT_ERR_BAD_ARGUMENT);
    EXPECT("a callback of no live secret", VAULT_ERR_BAD_ARGUMENT, vault_live_secret_on_change(NULL, changed, NULL));
    EXPECT("the vault's own path", VAULT_OK, vault_session_live(session, "sys/mounts", &l));
    EXPECT("is none that can be live", VAULT_ERR_UNSUPPORTED_PATH, vault_live_secret_get(l, &s));
    CHECK("and gives nothing", s == NULL);
    vault_live_secret_free(l);
    vault_live_secret_free(l);
    CHECK("freeing it twice is told", vault_last_error_code() == VAULT_ERR_BAD_HANDLE);
    vault_live_secret_free(NULL);
}

int main(void) {
    vault_options_t options = options_in_memory();
    vault_secret_t *root, *s;
    vault_live_secret_t *live;
    EXPECT("a vault in memory", VAULT_OK, vault_create(&options, &vault, &root));
    session = session_under(vault, root);
    EXPECT("a secret", VAULT_OK, put(session, "x", "{\"p\":\"one\"}", VAULT_KV_CAS_NONE, NULL));
    EXPECT("a live secret", VAULT_OK, vault_kv_live(session, "secret", "x", &live));
    it_stays_current(live);
    it_tells(live);
    threads_share_it(live);
    bad_arguments(live);
    EXPECT("it outlives its session", VAULT_OK, vault_session_close(session));
    EXPECT("and is read", VAULT_OK, vault_live_secret_get(live, &s));
    vault_secret_free(s);
    EXPECT("the vault is sealed", VAULT_OK, vault_seal(vault));
    EXPECT("it says so", VAULT_ERR_SEALED, vault_live_secret_get(live, &s));
    vault_secret_free(root);
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));
    EXPECT("it says so too", VAULT_ERR_CLOSED, vault_live_secret_get(live, &s));
    vault_live_secret_free(live);
    return 0;
}
