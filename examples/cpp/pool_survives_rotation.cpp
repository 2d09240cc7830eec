// A connection pool in C++ whose password is rotated under it, again and again, at a real PostgreSQL: no query fails and no login is refused.
//
// The vault has two accounts in turn (docs/rotation.md): the old one works on through a grace while the pool moves to the new one, which a live
// secret tells it of (docs/live-secrets.md).
//
// PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD name the server, as for psql; or have one started for it:
// `cargo run -p test-servers -- postgres PROGRAM`. Link it with -lvault -lpq -lpthread.
#include "shop.hpp"

#include <atomic>
#include <iomanip>
#include <mutex>
#include <sstream>

using shop::Client;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

static constexpr int WORKERS = 4;
static constexpr int ROTATIONS = 3;
// Pools let connections go after a while, so that there are logins at any time.
static constexpr unsigned USES_MAX = 20;
static constexpr char QUERY[] = "SELECT sum(cents) FROM libvault_shop.orders";
static constexpr char POLICY[] = R"(path "database/static-creds/pool" { capabilities = ["read"] })";
// The clock rotates once a day; here somebody else does, so that nobody has to wait.
static constexpr char ROLE[] =
    R"({"db_name": "shop", "usernames": ["libvault_shop_a", "libvault_shop_b"], "rotation_period": "24h", "grace": "1h"})";

// A connection, with the number of the password that it was opened with.
struct Connection {
    Client client;
    std::uint64_t password = 0;
    unsigned uses = 0;
};

// A pool that asks a live secret for its account. A real one is bounded too; this one has as many connections as are used at one time.
class Pool {
public:
    explicit Pool(vault::LiveSecret account) : account_(std::move(account)) {}

    // Queries until it is over.
    void work(const std::atomic<bool> &is_over) {
        while (!is_over) {
            queries_++;
            try {
                query();
            } catch (const std::exception &error) {
                failed_++;
                say("pool", std::string("A QUERY FAILED: ") + error.what());
            }
            std::this_thread::sleep_for(milliseconds(2));
        }
    }

    void say(const char *who, const std::string &what) const {
        const std::chrono::duration<double> since = steady_clock::now() - began_;
        std::ostringstream line;
        line << std::fixed << std::setprecision(3) << std::setw(7) << since.count() << " s  " << std::left << std::setw(6) << who << ' ' << what;
        std::cout << line.str() + '\n';
    }

    void tell() const {
        std::ostringstream line;
        line << queries_ << " queries, " << failed_ << " failed; " << logins_ << " logins, " << refused_ << " refused";
        say("pool", line.str());
    }

    [[nodiscard]] bool is_unharmed() const { return failed_ == 0 && refused_ == 0; }

private:
    // Does a query on a connection that was opened with the password as it is now.
    void query() {
        Connection connection = take();
        connection.client.ask(QUERY);
        connection.uses++;
        const std::lock_guard<std::mutex> lock(mutex_);
        idle_.push_back(std::move(connection));
    }

    Connection take() {
        // While nothing has changed the store is not asked.
        const std::uint64_t current = account_.get().version();
        Connection taken;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!idle_.empty()) {
                taken = std::move(idle_.back());
                idle_.pop_back();
            }
        }
        return taken.client && taken.password == current && taken.uses < USES_MAX ? std::move(taken) : open();
    }

    // A refusal is tried once more with what a fresh read gives: it may have been rotated between the read and the login.
    Connection open() {
        Connection fresh;
        const bool is_in = account_.with_retry([&](const vault::Secret &account) {
            const std::string username(account.text("username"));
            fresh = {Client::log_in(username, std::string(account.text("password"))), account.version(), 0};
            logins_++;
            refused_ += fresh.client ? 0 : 1;
            const std::lock_guard<std::mutex> lock(mutex_);
            if (fresh.client && fresh.password > told_) {
                told_ = fresh.password;
                say("pool", "first connection as " + username + " with password " + std::to_string(told_));
            }
            return static_cast<bool>(fresh.client);
        });
        if (!is_in) {
            throw std::runtime_error("the server refuses the password");
        }
        return fresh;
    }

    vault::LiveSecret account_;
    std::mutex mutex_;
    std::vector<Connection> idle_;
    std::uint64_t told_ = 0;
    std::atomic<unsigned> queries_{0}, failed_{0}, logins_{0}, refused_{0};
    steady_clock::time_point began_ = steady_clock::now();
};

static bool works(const vault::Secret &account) {
    return static_cast<bool>(Client::log_in(std::string(account.text("username")), std::string(account.text("password"))));
}

// Replaces the password while the pool works, and closes the old account once the pool had time to leave it.
static bool rotate(const shop::Shop &shop, const Pool &pool) {
    bool as_it_should = true;
    std::this_thread::sleep_for(milliseconds(300));
    for (int i = 0; i < ROTATIONS; i++) {
        pool.tell();
        const vault::Secret before = shop.root.static_creds("database", "pool");
        const std::string from(before.text("username"));
        shop.root.rotate_role("database", "pool");
        const vault::Secret behind = shop.root.static_creds("database", "pool");
        as_it_should = works(before) && as_it_should;
        pool.say("vault", "rotated: " + std::string(behind.text("username")) + ", password " + std::to_string(behind.version()) + "; " + from +
                              " works on through its grace");
        std::this_thread::sleep_for(milliseconds(300));
        shop.root.write("database/end-grace-role/pool");
        const bool is_closed = !works(before);
        as_it_should = is_closed && as_it_should;
        pool.say("vault", "the grace is over: " + from + " with password " + std::to_string(before.version()) + " is " +
                              (is_closed ? "refused" : "LET IN"));
        std::this_thread::sleep_for(milliseconds(200));
    }
    pool.tell();
    return as_it_should;
}

static int story() {
    const shop::Shop shop;
    shop.root.write("database/static-roles/pool", ROLE);
    Pool pool(shop.session(POLICY).live("database/static-creds/pool"));
    std::atomic<bool> is_over{false};
    std::vector<std::thread> workers;
    for (int i = 0; i < WORKERS; i++) {
        workers.emplace_back([&] { pool.work(is_over); });
    }
    bool as_it_should = false;
    try {
        as_it_should = rotate(shop, pool);
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
    }
    is_over = true;
    for (std::thread &worker : workers) {
        worker.join();
    }
    return as_it_should && pool.is_unharmed() ? 0 : 1;
}

int main() { return example::run(story); }
