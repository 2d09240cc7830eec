/* A connection pool in C whose password is rotated under it, again and again, at a real PostgreSQL: no query fails and no login is refused.
 *
 * The vault has two accounts in turn (docs/rotation.md): the old one works on through a grace while the pool moves to the new one, which a live
 * secret tells it of (docs/live-secrets.md).
 *
 * PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD name the server, as for psql; or have one started for it:
 * `cargo run -p test-servers -- postgres PROGRAM`. Link it with -lvault -lpq -lpthread. */
#include "shop.h"

#include <pthread.h>
#include <stdatomic.h>

#define WORKERS 4
#define ROTATIONS 3
/* Pools let connections go after a while, so that there are logins at any time. */
#define USES_MAX 20

static const char QUERY[] = "SELECT sum(cents) FROM libvault_shop.orders";
static const char POLICY[] = "{\"policy\": \"path \\\"database/static-creds/pool\\\" { capabilities = [\\\"read\\\"] }\"}";
/* The clock rotates once a day; here somebody else does, so that nobody has to wait. */
static const char ROLE[] = "{\"db_name\": \"shop\", \"usernames\": [\"libvault_shop_a\", \"libvault_shop_b\"], "
                           "\"rotation_period\": \"24h\", \"grace\": \"1h\"}";

/* A connection, with the number of the password that it was opened with. */
struct connection {
    PGconn *client;
    uint64_t password;
    unsigned uses;
};

/* A pool that asks a live secret for its account. */
struct pool {
    vault_live_secret_t *account;
    pthread_mutex_t lock;
    struct connection idle[WORKERS];
    unsigned idle_count;
    uint64_t told;
    atomic_uint queries, failed, logins, refused;
    atomic_bool is_over;
    double began;
};

static void say_when(const struct pool *pool, const char *who) {
    printf("%7.3f s  %-6s ", now() - pool->began, who);
}

/* One attempt to log in; what is answered decides whether there is another one. */
static int32_t attempt(void *user, const vault_secret_t *account) {
    struct pool *pool = ((void **)user)[0];
    struct connection *fresh = ((void **)user)[1];
    const char *username = field(account, "username");
    fresh->client = log_in(username, field(account, "password"));
    fresh->password = vault_secret_version(account);
    atomic_fetch_add(&pool->logins, 1);
    if (fresh->client == NULL) {
        atomic_fetch_add(&pool->refused, 1);
        return VAULT_ATTEMPT_REFUSED;
    }
    pthread_mutex_lock(&pool->lock);
    if (fresh->password > pool->told) {
        pool->told = fresh->password;
        say_when(pool, "pool");
        printf("first connection as %s with password %llu\n", username, (unsigned long long)fresh->password);
    }
    pthread_mutex_unlock(&pool->lock);
    return 0;
}

/* A refusal is tried once more with what a fresh read gives: it may have been rotated between the read and the login. */
static struct connection open_connection(struct pool *pool) {
    struct connection fresh = {0};
    must(vault_live_secret_with_retry(pool->account, attempt, (void *[]){pool, &fresh}, NULL), "logging in");
    return fresh;
}

/* A connection that was opened with the password as it is now. While that has not changed the store is not asked. */
static struct connection take(struct pool *pool) {
    vault_secret_t *current;
    must(vault_live_secret_get(pool->account, &current), "the account");
    uint64_t password = vault_secret_version(current);
    vault_secret_free(current);
    struct connection taken = {0};
    pthread_mutex_lock(&pool->lock);
    if (pool->idle_count > 0) {
        taken = pool->idle[--pool->idle_count];
    }
    pthread_mutex_unlock(&pool->lock);
    if (taken.client != NULL && taken.password == password && taken.uses < USES_MAX) {
        return taken;
    }
    PQfinish(taken.client);
    return open_connection(pool);
}

static void give_back(struct pool *pool, struct connection connection) {
    connection.uses++;
    pthread_mutex_lock(&pool->lock);
    pool->idle[pool->idle_count++] = connection;
    pthread_mutex_unlock(&pool->lock);
}

/* Queries until it is over. */
static void *work(void *argument) {
    struct pool *pool = argument;
    while (!atomic_load(&pool->is_over)) {
        atomic_fetch_add(&pool->queries, 1);
        struct connection connection = take(pool);
        PGresult *answer = connection.client ? PQexec(connection.client, QUERY) : NULL;
        if (PQresultStatus(answer) == PGRES_TUPLES_OK) {
            give_back(pool, connection);
        } else {
            atomic_fetch_add(&pool->failed, 1);
            PQfinish(connection.client);
        }
        PQclear(answer);
        rest(2);
    }
    return NULL;
}

static void tell(struct pool *pool) {
    say_when(pool, "pool");
    printf("%u queries, %u failed; %u logins, %u refused\n", atomic_load(&pool->queries), atomic_load(&pool->failed),
           atomic_load(&pool->logins), atomic_load(&pool->refused));
}

static bool works(const vault_secret_t *account) {
    return lets_in(field(account, "username"), field(account, "password"));
}

/* Replaces the password while the pool works, and closes the old account once the pool had time to leave it. */
static bool rotate(struct shop *shop, struct pool *pool) {
    bool as_it_should = true;
    rest(300);
    for (int i = 0; i < ROTATIONS; i++) {
        vault_secret_t *old, *new;
        tell(pool);
        must(vault_static_creds(shop->root, "database", "pool", &old), "the account before");
        must(vault_rotate_role(shop->root, "database", "pool"), "rotating");
        must(vault_static_creds(shop->root, "database", "pool", &new), "the account behind");
        as_it_should = works(old) && as_it_should;
        say_when(pool, "vault");
        printf("rotated: %s, password %llu; %s works on through its grace\n", field(new, "username"),
               (unsigned long long)vault_secret_version(new), field(old, "username"));
        rest(300);
        shop_write(shop, "database/end-grace-role/pool", NULL);
        bool is_closed = !works(old);
        as_it_should = is_closed && as_it_should;
        say_when(pool, "vault");
        printf("the grace is over: %s with password %llu is %s\n", field(old, "username"), (unsigned long long)vault_secret_version(old),
               is_closed ? "refused" : "LET IN");
        vault_secret_free(old);
        vault_secret_free(new);
        rest(200);
    }
    tell(pool);
    return as_it_should;
}

int main(void) {
    struct shop shop = shop_open();
    shop_write(&shop, "database/static-roles/pool", ROLE);
    vault_session_t *session = shop_session(&shop, POLICY);
    struct pool pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .began = now()};
    must(vault_session_live(session, "database/static-creds/pool", &pool.account), "a live secret");

    pthread_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        if (pthread_create(&workers[i], NULL, work, &pool) != 0) {
            return 1;
        }
    }
    bool as_it_should = rotate(&shop, &pool);
    atomic_store(&pool.is_over, true);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(workers[i], NULL);
    }
    while (pool.idle_count > 0) {
        PQfinish(pool.idle[--pool.idle_count].client);
    }
    vault_live_secret_free(pool.account);
    must(vault_session_close(session), "close");
    shop_close(&shop);
    return as_it_should && atomic_load(&pool.failed) == 0 && atomic_load(&pool.refused) == 0 ? 0 : 1;
}
