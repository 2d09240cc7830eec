/* A service in C that logs in at PostgreSQL with an account of its own for each request: made for it, gone after it, and gone by itself when the
 * request dies. PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD name the server, as for psql; or have one started for it:
 * `cargo run -p test-servers -- postgres PROGRAM`. Link it with -lvault -lpq. */
#include "shop.h"

static const char POLICY[] = "{\"policy\": \"path \\\"database/creds/orders\\\" { capabilities = [\\\"read\\\"] } "
                             "path \\\"sys/leases/*\\\" { capabilities = [\\\"update\\\"] }\"}";
static const char ROLE[] = "{\"db_name\": \"shop\", \"default_ttl\": \"1m\", \"max_ttl\": \"5m\", \"creation_statements\": ["
                           "\"CREATE ROLE \\\"{{name}}\\\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'\","
                           "\"GRANT USAGE ON SCHEMA libvault_shop TO \\\"{{name}}\\\"\","
                           "\"GRANT SELECT ON libvault_shop.orders TO \\\"{{name}}\\\"\"]}";
static const char QUERY[] = "SELECT count(*), to_char(sum(cents) / 100.0, 'FM999.00') FROM libvault_shop.orders";

/* Asks something of a lease: the answer belongs to the caller. */
static vault_secret_t *of_lease(vault_session_t *service, const char *what, const char *lease_id, const char *more) {
    char path[64], json[512];
    snprintf(path, sizeof path, "sys/leases/%s", what);
    snprintf(json, sizeof json, "{\"lease_id\": \"%s\"%s}", lease_id, more);
    return request(service, VAULT_OP_WRITE, path, json);
}

/* One request, from its account to the end of it; whether the account is refused after that. */
static bool serve(vault_session_t *service, int number) {
    double began = now();
    vault_secret_t *made = request(service, VAULT_OP_READ, "database/creds/orders", NULL);
    const char *username = field(made, "/data/username"), *password = field(made, "/data/password");
    vault_secret_t *lease = of_lease(service, "lookup", field(made, "/lease_id"), "");
    printf("request %d is %s\n", number, username);
    printf("    lease     from %.8s to %.8s, %s s\n", field(lease, "/data/issue_time") + 11, field(lease, "/data/expire_time") + 11,
           field(lease, "/data/ttl"));
    vault_secret_free(lease);

    PGconn *client = log_in(username, password);
    if (client == NULL) {
        fprintf(stderr, "the new account may not log in\n");
        return false;
    }
    PGresult *answer = PQexec(client, QUERY);
    bool is_answered = PQresultStatus(answer) == PGRES_TUPLES_OK;
    if (is_answered) {
        printf("    answer    %s orders, %s in all\n", PQgetvalue(answer, 0, 0), PQgetvalue(answer, 0, 1));
    }
    PQclear(answer);
    answer = PQexec(client, "DELETE FROM libvault_shop.orders");
    bool may_only_read = PQresultStatus(answer) == PGRES_FATAL_ERROR;
    printf("    a DELETE  %s\n", may_only_read ? PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY) : "WAS DONE");
    PQclear(answer);
    PQfinish(client);

    /* With `sync` the account is gone when this returns; without, the next tick removes it. */
    vault_secret_free(of_lease(service, "revoke", field(made, "/lease_id"), ", \"sync\": true"));
    bool is_refused = !lets_in(username, password);
    printf("    given back after %.0f ms; a login then: %s\n", (now() - began) * 1000, is_refused ? "refused" : "LET IN");
    vault_secret_free(made);
    return is_answered && may_only_read && is_refused;
}

static bool is_answered(PGconn *client) {
    PGresult *answer = PQexec(client, QUERY);
    bool is_answered = PQresultStatus(answer) == PGRES_TUPLES_OK;
    PQclear(answer);
    return is_answered;
}

/* A request that ends in the middle: nobody gives its account back, and the lease's time ends it. */
static bool die(struct shop *shop, vault_session_t *service) {
    vault_secret_t *made = request(service, VAULT_OP_READ, "database/creds/orders", NULL);
    const char *username = field(made, "/data/username"), *password = field(made, "/data/password");
    PGconn *hung = log_in(username, password);
    vault_secret_t *renewed = of_lease(service, "renew", field(made, "/lease_id"), ", \"increment\": 1");
    printf("request 4 is %s\n    lease     %s s are enough, it says; then it hangs\n", username, field(renewed, "/lease_duration"));
    vault_secret_free(renewed);
    double began = now();
    while (is_answered(hung) && now() < began + 30) {
        /* A service calls this about once a second, or when it asks for it. */
        must(vault_tick(shop->vault, NULL), "tick");
        rest(50);
    }
    bool is_cut_off = PQstatus(hung) == CONNECTION_BAD, is_refused = !lets_in(username, password);
    printf("    %s after %.0f ms by a tick; a login then: %s\n", is_cut_off ? "cut off" : "NOT CUT OFF", (now() - began) * 1000,
           is_refused ? "refused" : "LET IN");
    PQfinish(hung);
    vault_secret_free(made);
    return is_refused && is_cut_off;
}

int main(void) {
    struct shop shop = shop_open();
    shop_write(&shop, "database/roles/orders", ROLE);
    vault_session_t *service = shop_session(&shop, POLICY);
    bool as_it_should = true;
    for (int number = 1; number <= 3; number++) {
        as_it_should = serve(service, number) && as_it_should;
    }
    as_it_should = die(&shop, service) && as_it_should;

    PGresult *left = PQexec(shop.admin, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%-orders-%'");
    printf("accounts of the service left at the server: %s\n", PQgetvalue(left, 0, 0));
    as_it_should = strcmp(PQgetvalue(left, 0, 0), "0") == 0 && as_it_should;
    PQclear(left);
    must(vault_session_close(service), "close");
    shop_close(&shop);
    return as_it_should ? 0 : 1;
}
