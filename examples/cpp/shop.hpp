// What the examples at a PostgreSQL share: a shop's table there, an account for the vault, and a vault that manages accounts with it.
//
// The server is found as psql finds it: by PGHOST (a name, or the folder of a Unix socket), PGPORT, PGDATABASE, PGUSER and PGPASSWORD, of an
// account that may make schemas and roles. Nobody encrypts the way to it here, so it is to be on this machine: docs/connectors.md has what a
// connection over a network needs. What is laid there begins with libvault_shop, and is removed at the end.
#ifndef SHOP_HPP
#define SHOP_HPP

#include "example.hpp"

#include <libpq-fe.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <thread>

namespace shop {

inline constexpr char CLEAN[] = R"(
    SET client_min_messages = warning;
    DROP SCHEMA IF EXISTS libvault_shop CASCADE;
    DROP ROLE IF EXISTS libvault_shop_vault, libvault_shop_a, libvault_shop_b)";
// The accounts a and b are there for a pool; their passwords nobody knows until the vault has set them.
inline constexpr char LAY[] = R"(
    CREATE SCHEMA libvault_shop;
    CREATE TABLE libvault_shop.orders AS SELECT number, 650 * number AS cents FROM generate_series(1, 12) AS number;
    CREATE ROLE libvault_shop_a LOGIN; CREATE ROLE libvault_shop_b LOGIN;
    GRANT USAGE ON SCHEMA libvault_shop TO libvault_shop_a, libvault_shop_b;
    GRANT SELECT ON libvault_shop.orders TO libvault_shop_a, libvault_shop_b;
    CREATE ROLE libvault_shop_vault LOGIN CREATEROLE;
    GRANT USAGE ON SCHEMA libvault_shop TO libvault_shop_vault WITH GRANT OPTION;
    GRANT SELECT ON libvault_shop.orders TO libvault_shop_vault WITH GRANT OPTION;
    GRANT libvault_shop_a, libvault_shop_b TO libvault_shop_vault WITH ADMIN OPTION)";

// A connection to the server, or none.
class Client {
public:
    Client() = default;

    // Logs in; none when the server refuses the password or the account.
    static Client log_in(const std::string &username, const std::string &password) {
        const char *const names[] = {"user", "password", "sslmode", nullptr};
        const char *const values[] = {username.c_str(), password.c_str(), "disable", nullptr};
        Client client;
        client.raw_.reset(PQconnectdbParams(names, values, 0));
        if (PQstatus(client.raw_.get()) != CONNECTION_OK) {
            // libpq gives no SQLSTATE of a login, but the words of the server.
            const std::string why = PQerrorMessage(client.raw_.get());
            if (why.find("authentication failed") == std::string::npos && why.find("is not permitted to log in") == std::string::npos) {
                throw std::runtime_error(why);
            }
            client.raw_.reset();
        }
        return client;
    }

    explicit operator bool() const { return raw_ != nullptr; }

    // The first row's columns; what the server refuses comes as an exception with its words.
    std::vector<std::string> ask(const std::string &statements) const {
        const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(raw_.get(), statements.c_str()), &PQclear);
        const auto status = PQresultStatus(result.get());
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            const char *message = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY);
            throw std::runtime_error(message != nullptr ? message : PQerrorMessage(raw_.get()));
        }
        std::vector<std::string> row;
        for (int column = 0; PQntuples(result.get()) > 0 && column < PQnfields(result.get()); column++) {
            row.emplace_back(PQgetvalue(result.get(), 0, column));
        }
        return row;
    }

private:
    std::unique_ptr<PGconn, decltype(&PQfinish)> raw_{nullptr, &PQfinish};
};

inline std::string variable(const char *name, const char *unless_set) {
    const char *value = std::getenv(name);
    return value != nullptr ? value : unless_set;
}

// The shop's database, and a vault that has its mount `database` and the connection `shop` to it.
struct Shop {
    vault::Vault vault;
    vault::Session root;
    Client admin;

    Shop() : admin(Client::log_in(variable("PGUSER", "postgres"), variable("PGPASSWORD", ""))) {
        if (!admin) {
            throw std::runtime_error("the server refuses PGUSER with PGPASSWORD");
        }
        admin.ask(CLEAN);
        admin.ask(LAY);
        std::tie(vault, root) = example::in_memory(VAULT_DATABASE_POSTGRESQL);
        connect_the_vault();
    }
    Shop(const Shop &) = delete;
    Shop &operator=(const Shop &) = delete;
    ~Shop() {
        try {
            admin.ask(CLEAN);
        } catch (const std::exception &error) {
            std::cerr << error.what() << '\n';
        }
    }

    // A session of a new token that this policy gives its rights.
    vault::Session session(const std::string &policy) const {
        root.write("sys/policies/acl/service", "{\"policy\": " + vault::quoted(policy) + "}");
        const vault::Secret made = root.write("auth/token/create", R"({"policies": ["service"], "display_name": "shop"})");
        return vault.session(made.text("/auth/client_token"));
    }

private:
    // The vault gets an account of its own, and changes its password to one that nobody is shown.
    void connect_the_vault() {
        const vault::Secret random = root.write("sys/tools/random/24", R"({"format": "hex"})");
        const std::string password(random.text("/data/random_bytes"));
        admin.ask("ALTER ROLE libvault_shop_vault PASSWORD '" + password + "'");
        root.write("sys/mounts/database", R"({"type": "database"})");
        const std::string url = "host=" + variable("PGHOST", "127.0.0.1") + " port=" + variable("PGPORT", "5432") + " dbname=" +
                                variable("PGDATABASE", "postgres") + " user={{username}} password='{{password}}' sslmode=disable";
        root.write("database/config/shop", R"({"plugin_name": "postgresql-database-plugin", "username": "libvault_shop_vault", "password": ")" +
                                               password + R"(", "allowed_roles": "*", "connection_url": )" + vault::quoted(url) + "}");
        root.write("database/rotate-root/shop");
    }
};

}  // namespace shop

#endif
