// A service in C++ that logs in at PostgreSQL with an account of its own for each request: made for it, gone after it, and gone by itself when
// the request dies. PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD name the server, as for psql; or have one started for it:
// `cargo run -p test-servers -- postgres PROGRAM`. Link it with -lvault -lpq.
#include "shop.hpp"

using shop::Client;
using std::chrono::steady_clock;

static constexpr char POLICY[] = R"(
    path "database/creds/orders" { capabilities = ["read"] }
    path "sys/leases/*" { capabilities = ["update"] })";
static constexpr char ROLE[] = R"({"db_name": "shop", "default_ttl": "1m", "max_ttl": "5m", "creation_statements": [
    "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'",
    "GRANT USAGE ON SCHEMA libvault_shop TO \"{{name}}\"",
    "GRANT SELECT ON libvault_shop.orders TO \"{{name}}\""]})";
static constexpr char QUERY[] = "SELECT count(*), to_char(sum(cents) / 100.0, 'FM999.00') FROM libvault_shop.orders";

// An account of one request, held by a lease.
class Account {
public:
    explicit Account(const vault::Session &service) : service_(service), made_(service.read("database/creds/orders")) {}

    [[nodiscard]] std::string username() const { return std::string(made_.text("/data/username")); }
    [[nodiscard]] Client log_in() const { return Client::log_in(username(), std::string(made_.text("/data/password"))); }

    // Asks something of its lease.
    vault::Secret lease(const std::string &what, const std::string &more = "") const {
        return service_.write("sys/leases/" + what, "{\"lease_id\": " + vault::quoted(made_.text("/lease_id")) + more + "}");
    }

private:
    const vault::Session &service_;
    vault::Secret made_;
};

// One request, from its account to the end of it; whether the account is refused after that.
static bool serve(const vault::Session &service, int number) {
    const auto began = steady_clock::now();
    const Account account(service);
    const vault::Secret lease = account.lease("lookup");
    std::cout << "request " << number << " is " << account.username() << "\n    lease     from "
              << lease.text("/data/issue_time").substr(11, 8) << " to " << lease.text("/data/expire_time").substr(11, 8) << ", "
              << lease.text("/data/ttl") << " s\n";
    {
        const Client client = account.log_in();
        const auto row = client.ask(QUERY);
        std::cout << "    answer    " << row.at(0) << " orders, " << row.at(1) << " in all\n";
        try {
            client.ask("DELETE FROM libvault_shop.orders");
            return false;
        } catch (const std::runtime_error &refused) {
            std::cout << "    a DELETE  " << refused.what() << '\n';
        }
    }
    // With `sync` the account is gone when this returns; without, the next tick removes it.
    account.lease("revoke", R"(, "sync": true)");
    const bool is_refused = !account.log_in();
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began);
    std::cout << "    given back after " << took.count() << " ms; a login then: " << (is_refused ? "refused" : "LET IN") << '\n';
    return is_refused;
}

// A request that ends in the middle: nobody gives its account back, and the lease's time ends it.
static bool die(const shop::Shop &shop, const vault::Session &service) {
    const Account account(service);
    const Client hung = account.log_in();
    const vault::Secret renewed = account.lease("renew", R"(, "increment": 1)");
    std::cout << "request 4 is " << account.username() << "\n    lease     " << renewed.text("/lease_duration")
              << " s are enough, it says; then it hangs\n";
    const auto began = steady_clock::now();
    bool is_cut_off = false;
    while (!is_cut_off && steady_clock::now() < began + std::chrono::seconds(30)) {
        // A service calls this about once a second, or when it asks for it.
        shop.vault.tick();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        try {
            hung.ask(QUERY);
        } catch (const std::runtime_error &) {
            is_cut_off = true;
        }
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began);
    const bool is_refused = !account.log_in();
    std::cout << (is_cut_off ? "    cut off" : "    NOT CUT OFF") << " after " << took.count()
              << " ms by a tick; a login then: " << (is_refused ? "refused" : "LET IN") << '\n';
    return is_refused && is_cut_off;
}

static int story() {
    const shop::Shop shop;
    shop.root.write("database/roles/orders", ROLE);
    const vault::Session service = shop.session(POLICY);
    bool as_it_should = true;
    for (int number = 1; number <= 3; number++) {
        as_it_should = serve(service, number) && as_it_should;
    }
    as_it_should = die(shop, service) && as_it_should;
    const std::string left = shop.admin.ask("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%-orders-%'").at(0);
    std::cout << "accounts of the service left at the server: " << left << '\n';
    return as_it_should && left == "0" ? 0 : 1;
}

int main() { return example::run(story); }
