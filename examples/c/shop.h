/* What the examples at a PostgreSQL share: a shop's table there, an account for the vault, and a vault that manages accounts with it.
 *
 * The server is found as psql finds it: by PGHOST (a name, or the folder of a Unix socket), PGPORT, PGDATABASE, PGUSER and PGPASSWORD, of an
 * account that may make schemas and roles. Nobody encrypts the way to it here, so it is to be on this machine: docs/connectors.md has what a
 * connection over a network needs. What is laid there begins with libvault_shop, and is removed at the end. */
#ifndef SHOP_H
#define SHOP_H

#include "example.h"

#include <libpq-fe.h>
#include <threads.h>
#include <time.h>

static const char SHOP_CLEAN[] = "SET client_min_messages = warning;"
                                 "DROP SCHEMA IF EXISTS libvault_shop CASCADE;"
                                 "DROP ROLE IF EXISTS libvault_shop_vault, libvault_shop_a, libvault_shop_b";
/* The accounts a and b are there for a pool; their passwords nobody knows until the vault has set them. */
static const char SHOP_LAY[] = "CREATE SCHEMA libvault_shop;"
                               "CREATE TABLE libvault_shop.orders AS SELECT number, 650 * number AS cents FROM generate_series(1, 12) AS number;"
                               "CREATE ROLE libvault_shop_a LOGIN; CREATE ROLE libvault_shop_b LOGIN;"
                               "GRANT USAGE ON SCHEMA libvault_shop TO libvault_shop_a, libvault_shop_b;"
                               "GRANT SELECT ON libvault_shop.orders TO libvault_shop_a, libvault_shop_b;"
                               "CREATE ROLE libvault_shop_vault LOGIN CREATEROLE;"
                               "GRANT USAGE ON SCHEMA libvault_shop TO libvault_shop_vault WITH GRANT OPTION;"
                               "GRANT SELECT ON libvault_shop.orders TO libvault_shop_vault WITH GRANT OPTION;"
                               "GRANT libvault_shop_a, libvault_shop_b TO libvault_shop_vault WITH ADMIN OPTION";

struct shop {
    vault_t *vault;
    vault_session_t *root;
    PGconn *admin;
};

/* Logs in, or answers NULL when the server refuses the password or the account; any other failure ends the example. */
static inline PGconn *log_in(const char *username, const char *password) {
    const char *const names[] = {"user", "password", "sslmode", NULL};
    const char *const values[] = {username, password, "disable", NULL};
    PGconn *connection = PQconnectdbParams(names, values, 0);
    if (PQstatus(connection) == CONNECTION_OK) {
        return connection;
    }
    /* libpq gives no SQLSTATE of a login, but the words of the server. */
    const char *why = PQerrorMessage(connection);
    if (strstr(why, "authentication failed") == NULL && strstr(why, "is not permitted to log in") == NULL) {
        fprintf(stderr, "%s", why);
        exit(1);
    }
    PQfinish(connection);
    return NULL;
}

/* Whether the server lets somebody in. */
static inline bool lets_in(const char *username, const char *password) {
    PGconn *connection = log_in(username, password);
    PQfinish(connection);
    return connection != NULL;
}

static inline void admin_does(struct shop *shop, const char *statements) {
    PGresult *result = PQexec(shop->admin, statements);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        fprintf(stderr, "%s", PQerrorMessage(shop->admin));
        exit(1);
    }
    PQclear(result);
}

static inline void shop_write(struct shop *shop, const char *path, const char *json) {
    vault_secret_free(request(shop->root, VAULT_OP_WRITE, path, json));
}

static inline const char *variable(const char *name, const char *unless_set) {
    const char *value = getenv(name);
    return value ? value : unless_set;
}

/* The vault gets an account of its own, and changes its password to one that nobody is shown. */
static inline void connect_the_vault(struct shop *shop) {
    char text[1024];
    vault_secret_t *random = request(shop->root, VAULT_OP_WRITE, "sys/tools/random/24", "{\"format\": \"hex\"}");
    const char *password = field(random, "/data/random_bytes");
    snprintf(text, sizeof text, "ALTER ROLE libvault_shop_vault PASSWORD '%s'", password);
    admin_does(shop, text);
    shop_write(shop, "sys/mounts/database", "{\"type\": \"database\"}");
    snprintf(text, sizeof text,
             "{\"plugin_name\": \"postgresql-database-plugin\", \"username\": \"libvault_shop_vault\", \"password\": \"%s\", "
             "\"allowed_roles\": \"*\", \"connection_url\": "
             "\"host=%s port=%s dbname=%s user={{username}} password='{{password}}' sslmode=disable\"}",
             password, variable("PGHOST", "127.0.0.1"), variable("PGPORT", "5432"), variable("PGDATABASE", "postgres"));
    shop_write(shop, "database/config/shop", text);
    vault_secret_free(random);
    shop_write(shop, "database/rotate-root/shop", NULL);
}

static inline struct shop shop_open(void) {
    struct shop shop;
    shop.admin = log_in(variable("PGUSER", "postgres"), variable("PGPASSWORD", ""));
    if (shop.admin == NULL) {
        fprintf(stderr, "the server refuses PGUSER with PGPASSWORD\n");
        exit(1);
    }
    admin_does(&shop, SHOP_CLEAN);
    admin_does(&shop, SHOP_LAY);
    shop.vault = vault_in_memory_with(VAULT_DATABASE_POSTGRESQL, &shop.root);
    connect_the_vault(&shop);
    return shop;
}

/* A session of a new token that this policy gives its rights. */
static inline vault_session_t *shop_session(struct shop *shop, const char *policy_json) {
    shop_write(shop, "sys/policies/acl/service", policy_json);
    vault_secret_t *made = request(shop->root, VAULT_OP_WRITE, "auth/token/create", "{\"policies\": [\"service\"], \"display_name\": \"shop\"}");
    vault_session_t *session = session_under(shop->vault, field(made, "/auth/client_token"));
    vault_secret_free(made);
    return session;
}

static inline void shop_close(struct shop *shop) {
    must(vault_session_close(shop->root), "close");
    must(vault_close(shop->vault), "close");
    admin_does(shop, SHOP_CLEAN);
    PQfinish(shop->admin);
}

/* The time in seconds since some moment. */
static inline double now(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static inline void rest(long milliseconds) {
    thrd_sleep(&(struct timespec){.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000}, NULL);
}

#endif
