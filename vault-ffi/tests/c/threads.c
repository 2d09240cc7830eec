/* Four threads put and get in one vault while it is closed under them: typed errors, and every acknowledged put is there after a reopen. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define THREADS 4
#define PUTS_MIN 12

struct worker {
    pthread_t thread;
    vault_session_t *session;
    char path[16];
    atomic_uint_fast64_t acknowledged;
    vault_status_t end;
};

/* Puts and gets until a call fails. What was acknowledged before must be what is read. */
static void *work(void *argument) {
    struct worker *worker = argument;
    for (;;) {
        char json[64];
        uint64_t version;
        vault_secret_t *secret;
        uint64_t round = atomic_load(&worker->acknowledged) + 1;
        snprintf(json, sizeof json, "{\"round\":%llu}", (unsigned long long)round);
        worker->end = put(worker->session, worker->path, json, (int64_t)(round - 1), &version);
        if (worker->end != VAULT_OK) {
            return NULL;
        }
        atomic_store(&worker->acknowledged, version);
        worker->end = vault_kv_get(worker->session, "secret", worker->path, 0, &secret);
        if (worker->end != VAULT_OK) {
            return NULL;
        }
        bool same = version == round && vault_secret_version(secret) == version && strcmp(vault_secret_data(secret), json) == 0;
        vault_secret_free(secret);
        if (!same) {
            worker->end = VAULT_ERR_INTERNAL;
            return NULL;
        }
    }
}

int main(void) {
    static struct worker workers[THREADS];
    vault_options_t options = options_in_memory();
    vault_t *vault;
    vault_secret_t *root, *secret;
    options.path = scratch_path("store");
    EXPECT("a vault on disk", VAULT_OK, vault_create(&options, &vault, &root));
    for (int i = 0; i < THREADS; i++) {
        snprintf(workers[i].path, sizeof workers[i].path, "thread/%d", i);
        workers[i].session = session_under(vault, root);
        CHECK("a thread starts", pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        for (int tenths = 0; atomic_load(&workers[i].acknowledged) < PUTS_MIN && tenths < 600; tenths++) {
            nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
        }
        CHECK("a thread gets on", atomic_load(&workers[i].acknowledged) >= PUTS_MIN);
    }
    EXPECT("the vault closes under the threads", VAULT_OK, vault_close(vault));
    for (int i = 0; i < THREADS; i++) {
        /* A call that was under way when the keys were wiped says that the vault is sealed. */
        CHECK("a thread ends", pthread_join(workers[i].thread, NULL) == 0);
        CHECK("because the vault was closed, or its keys were gone", workers[i].end == VAULT_ERR_CLOSED || workers[i].end == VAULT_ERR_SEALED);
        EXPECT("its session closes", VAULT_OK, vault_session_close(workers[i].session));
    }

    EXPECT("the vault opens again", VAULT_OK, vault_open(&options, &vault));
    vault_session_t *session = session_under(vault, root);
    for (int i = 0; i < THREADS; i++) {
        EXPECT("a thread's secret is there", VAULT_OK, vault_kv_get(session, "secret", workers[i].path, 0, &secret));
        CHECK("with every acknowledged put", vault_secret_version(secret) >= atomic_load(&workers[i].acknowledged));
        vault_secret_free(secret);
    }
    EXPECT("the store verifies", VAULT_OK, vault_verify(vault, NULL, NULL));
    EXPECT("the session closes", VAULT_OK, vault_session_close(session));
    vault_secret_free(root);
    EXPECT("the vault closes", VAULT_OK, vault_close(vault));
    return 0;
}
