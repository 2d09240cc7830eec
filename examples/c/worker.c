/* A service from C: threads that read their secret with each request, so that a rotated password is used at once and a revoked token ends it. */
#include "example.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 4
#define REQUESTS 50

struct service {
    vault_session_t *session;
    atomic_uint served, with_new_password, refused;
};

/* One request: the secret is read, used and wiped; nothing is kept between requests. One session serves all threads. */
static vault_status_t serve(struct service *service) {
    vault_secret_t *secret;
    vault_status_t status = vault_kv_get(service->session, "secret", "app/db", 0, &secret);
    if (status != VAULT_OK) {
        return status;
    }
    atomic_fetch_add(&service->served, 1);
    if (vault_secret_version(secret) > 1) {
        atomic_fetch_add(&service->with_new_password, 1);
    }
    vault_secret_free(secret);
    return VAULT_OK;
}

static void *work(void *argument) {
    struct service *service = argument;
    for (int i = 0; i < REQUESTS; i++) {
        if (serve(service) == VAULT_ERR_PERMISSION_DENIED) {
            atomic_fetch_add(&service->refused, 1);
        }
    }
    return NULL;
}

static void run(struct service *service) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, service) != 0) {
            exit(1);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void) {
    vault_session_t *root;
    vault_t *vault = vault_in_memory(&root);
    put(root, "app/db", "{\"password\": \"first\"}", VAULT_KV_CAS_NONE);
    vault_secret_free(request(root, VAULT_OP_WRITE, "sys/policies/acl/app",
                              "{\"policy\": \"path \\\"secret/data/app/db\\\" { capabilities = [\\\"read\\\"] }\"}"));
    vault_secret_t *made = request(root, VAULT_OP_WRITE, "auth/token/create", "{\"policies\": [\"app\"], \"ttl\": \"8h\"}");
    const char *token = field(made, "/auth/client_token");
    struct service service = {.session = session_under(vault, token)};

    run(&service);
    printf("%u requests served\n", atomic_load(&service.served));
    put(root, "app/db", "{\"password\": \"second\"}", VAULT_KV_CAS_NONE);
    run(&service);
    printf("%u of the next %d with the new password\n", atomic_load(&service.with_new_password), THREADS * REQUESTS);
    char revoke[256];
    snprintf(revoke, sizeof revoke, "{\"token\": \"%s\"}", token);
    vault_secret_free(request(root, VAULT_OP_WRITE, "auth/token/revoke", revoke));
    run(&service);
    printf("%u refused once the token was revoked\n", atomic_load(&service.refused));

    /* A service calls this about as often as it asks for, from a thread of its own: it ends leases and writes the audit log. */
    int64_t next_ms;
    must(vault_tick(vault, &next_ms), "tick");
    bool as_it_should = atomic_load(&service.with_new_password) == THREADS * REQUESTS && atomic_load(&service.refused) == THREADS * REQUESTS;
    vault_secret_free(made);
    must(vault_session_close(service.session), "close");
    must(vault_session_close(root), "close");
    must(vault_close(vault), "close");
    return as_it_should ? 0 : 1;
}
