// A service from C++: threads that read their secret with each request, so that a rotated password is used at once and a revoked token ends it.
#include "example.hpp"

#include <atomic>
#include <thread>

static constexpr unsigned THREADS = 4;
static constexpr unsigned REQUESTS = 50;

// One session serves all threads.
struct Service {
    vault::Session session;
    std::atomic<unsigned> served{0};
    std::atomic<unsigned> with_new_password{0};
    std::atomic<unsigned> refused{0};

    // One request: the secret is read, used and wiped; nothing is kept between requests.
    void serve() {
        vault::Result<vault::Secret> secret = session.kv("secret").try_get("app/db");
        if (secret.code() == VAULT_ERR_PERMISSION_DENIED) {
            refused++;
            return;
        }
        served++;
        with_new_password += secret.value().version() > 1 ? 1 : 0;
    }

    void run() {
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < THREADS; i++) {
            threads.emplace_back([this] {
                for (unsigned request = 0; request < REQUESTS; request++) {
                    serve();
                }
            });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
    }
};

static int story() {
    const auto [vault, root] = example::in_memory();
    root.kv("secret").put("app/db", R"({"password": "first"})");
    root.write("sys/policies/acl/app", "{\"policy\": " + vault::quoted(R"(path "secret/data/app/db" { capabilities = ["read"] })") + "}");
    const vault::Secret made = root.write("auth/token/create", R"({"policies": ["app"], "ttl": "8h"})");
    Service service{vault.session(made.text("/auth/client_token"))};

    service.run();
    std::cout << service.served << " requests served\n";
    root.kv("secret").put("app/db", R"({"password": "second"})");
    service.run();
    std::cout << service.with_new_password << " of the next " << THREADS * REQUESTS << " with the new password\n";
    root.write("auth/token/revoke", "{\"token\": " + vault::quoted(made.text("/auth/client_token")) + "}");
    service.run();
    std::cout << service.refused << " refused once the token was revoked\n";

    // A service calls this about as often as it asks for, from a thread of its own: it ends leases and writes the audit log.
    vault.tick();
    return service.with_new_password == THREADS * REQUESTS && service.refused == THREADS * REQUESTS ? 0 : 1;
}

int main() { return example::run(story); }
