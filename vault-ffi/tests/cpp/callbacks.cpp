// Callbacks in C++: key services, anchors, sinks, connectors, hooks and streams, with what happens when they throw.
#include "check.hpp"

#include <mutex>
#include <stdexcept>

static void a_key_service_opens_a_vault_and_its_throw_is_a_failure() {
    auto fails = std::make_shared<std::atomic<bool>>(false);
    vault::KeyWrapper service;
    service.name = "memory";
    service.wrap = [fails](vault::Bytes key, vault::Bytes context) {
        if (*fails) {
            throw std::runtime_error("the service is down");
        }
        std::vector<std::uint8_t> wrapped(key.begin(), key.end());
        for (std::uint8_t &byte : wrapped) {
            byte ^= 0x5a;
        }
        wrapped.insert(wrapped.end(), context.begin(), context.end());
        return wrapped;
    };
    service.unwrap = [fails](vault::Bytes wrapped, vault::Bytes, vault::MutableBytes out_key) {
        if (*fails) {
            throw 7;
        }
        for (std::size_t i = 0; i < out_key.size(); i++) {
            out_key[i] = wrapped[i] ^ 0x5a;
        }
    };
    vault::Options options;
    options.key = vault::Key::wrapper();
    options.key_wrapper = service;
    *fails = true;
    vault::Options failing;
    failing.key = vault::Key::wrapper();
    failing.key_wrapper = service;
    CHECK("a service that throws makes no vault", vault::try_create(std::move(failing)).code() == VAULT_ERR_KEY_SERVICE);
    *fails = false;
    vault::Created created = vault::create(std::move(options));
    created.vault.seal();
    *fails = true;
    CHECK("nor opens one", created.vault.try_unseal(vault::Key::wrapper()).code() != VAULT_OK && created.vault.is_sealed());
    vault::Options half;
    half.key = vault::Key::wrapper();
    half.key_wrapper = service;
    half.key_wrapper->unwrap = nullptr;
    CHECK("one without a callback is told", vault::try_create(std::move(half)).code() == VAULT_ERR_BAD_ARGUMENT);
}

static void an_anchor_is_advanced() {
    auto kept = std::make_shared<std::vector<std::uint8_t>>();
    auto fails = std::make_shared<bool>(false);
    vault::Options options = in_memory();
    options.anchor = vault::Anchor{[kept] { return *kept; },
                                   [kept, fails](vault::Bytes state) {
                                       if (*fails) {
                                           throw std::runtime_error("no");
                                       }
                                       kept->assign(state.begin(), state.end());
                                   }};
    vault::Created created = vault::create(std::move(options));
    const vault::Session root = created.vault.session(created.init.json());
    const auto before = *kept;
    root.kv("secret").put("a", "{}");
    CHECK("by each commit", !before.empty() && *kept != before);
    *fails = true;
    CHECK("a throw is told", root.kv("secret").try_put("a", "{}").code() == VAULT_ERR_ANCHOR_FAILED);
    *fails = false;
}

static void a_sink_takes_the_log_and_what_it_throws_comes_again() {
    auto last = std::make_shared<std::uint64_t>(0);
    auto fails = std::make_shared<bool>(true);
    vault::Options options;
    options.audit_sinks.push_back({"memory", [last, fails](vault::View<const vault_audit_line_t> lines) {
                                       if (*fails) {
                                           throw std::runtime_error("no");
                                       }
                                       for (const vault_audit_line_t &line : lines) {
                                           CHECK("in order", line.sequence == ++*last);
                                       }
                                   }});
    vault::testing::Context context(std::move(options));
    context.vault().tick();
    CHECK("nothing is taken while it throws", *last == 0);
    *fails = false;
    // A sink that failed is left alone for a while, by the vault's clock.
    context.advance(std::chrono::hours(1));
    CHECK("then all is", *last > 0);
}

struct Accounts {
    std::mutex lock;
    std::vector<std::string> names;
    std::vector<std::string> notices;
    bool fails = false;
};

static vault::Connector connector_to(const std::shared_ptr<Accounts> &accounts) {
    const auto nothing = [](const vault::Target &, const vault::Account &) { return vault::Answer::Ok; };
    vault::Connector connector;
    connector.name = "memory";
    connector.check = [](const vault::Target &target, const vault::Account &, bool) {
        return target.username == "admin" && target.id.size() == 16 ? vault::Answer::Ok : vault::Answer::Misconfigured;
    };
    connector.create = [accounts](const vault::Target &, const vault::Account &account) {
        const std::lock_guard<std::mutex> held(accounts->lock);
        if (accounts->fails) {
            account.say_why(std::string(5000, 'x'));
            return vault::Answer::Refused;
        }
        CHECK("a new account has a password and an end", account.password && account.password->size() == 20 && account.expires_ms > 0);
        accounts->names.emplace_back(account.username);
        return vault::Answer::Ok;
    };
    connector.renew = nothing;
    connector.set_password = nothing;
    connector.test = nothing;
    connector.revoke = [accounts](const vault::Target &, const vault::Account &account) -> vault::Answer {
        const std::lock_guard<std::mutex> held(accounts->lock);
        if (accounts->fails) {
            throw std::runtime_error("the target is gone");
        }
        accounts->names.erase(std::remove(accounts->names.begin(), accounts->names.end(), account.username), accounts->names.end());
        return vault::Answer::Ok;
    };
    return connector;
}

static void a_connector_makes_accounts_and_time_ends_them() {
    auto accounts = std::make_shared<Accounts>();
    vault::Options options;
    options.connectors.push_back(connector_to(accounts));
    options.lease_hook = [accounts](const vault::LeaseNotice &notice) {
        accounts->notices.emplace_back(notice.change);
        throw std::runtime_error("nobody minds");
    };
    vault::testing::Context context(std::move(options));
    const vault::Session &root = context.root();
    root.write("sys/mounts/database", R"({"type":"database"})");
    root.write("database/config/shop", R"({"plugin_name":"memory","username":"admin","password":"p","allowed_roles":"app"})");
    root.write("database/roles/app", R"({"db_name":"shop","creation_statements":["x"],"default_ttl":"1h"})");
    const vault::Secret creds = root.read("database/creds/app");
    CHECK("the account is there", accounts->names.size() == 1 && creds.text("/data/username") == accounts->names[0]);
    CHECK("the hook is told", accounts->notices.size() == 1 && accounts->notices[0] == "granted");
    accounts->fails = true;
    const auto refused = root.try_request(vault::Operation::Read, "database/creds/app");
    const std::string_view why = refused ? "" : refused.error().what();
    CHECK("why it was refused is told, cut", refused.code() == VAULT_ERR_TARGET_REFUSED && why.find("xxxx") != why.npos && why.size() < 1000);
    context.advance(std::chrono::hours(2));
    CHECK("a revocation that throws is none", accounts->names.size() == 1);
    accounts->fails = false;
    context.advance(std::chrono::minutes(2));
    CHECK("it is done later", accounts->names.empty());
    CHECK("and told", accounts->notices.back() == "revoked");
}

static void a_rotation_is_told_with_what_to_do_where_it_stops() {
    struct Told {
        std::vector<std::string> changes;
        std::string path;
        std::string what_to_do;
        std::uint64_t version = 0;
    };
    auto told = std::make_shared<Told>();
    auto refuses = std::make_shared<bool>(false);
    vault::Options options;
    options.connectors.push_back(connector_to(std::make_shared<Accounts>()));
    options.connectors.back().set_password = [refuses](const vault::Target &, const vault::Account &) {
        return *refuses ? vault::Answer::Misconfigured : vault::Answer::Ok;
    };
    options.rotation_hook = [told](const vault::RotationNotice &notice) {
        told->changes.emplace_back(notice.change);
        told->path = notice.path;
        told->what_to_do = notice.what_to_do;
        told->version = notice.version;
        throw std::runtime_error("nobody minds");
    };
    vault::testing::Context context(std::move(options));
    const vault::Session &root = context.root();
    root.write("sys/mounts/database", R"({"type":"database"})");
    root.write("database/config/shop", R"({"plugin_name":"memory","username":"admin","password":"p","allowed_roles":"app"})");
    root.write("database/static-roles/app", R"({"db_name":"shop","username":"fixed","rotation_period":"24h"})");
    CHECK("the first password is told", told->changes == std::vector<std::string>{"promoted"} && told->version == 1);
    CHECK("with its path, and nothing to do", told->path == "database/static-roles/app" && told->what_to_do.empty());
    *refuses = true;
    CHECK("one that stops", root.try_rotate_role("database", "app").code() == VAULT_ERR_ROTATION_STUCK);
    CHECK("is told with what to do", told->changes.back() == "needs-attention" && told->what_to_do.size() > 20);
}

static void streams_are_written_and_read_and_their_throws_come_out() {
    vault::testing::Context context;
    context.root().kv("secret").put("a", R"({"k":"v"})");
    std::vector<std::uint8_t> backup;
    const auto append = [&](vault::Bytes bytes) { backup.insert(backup.end(), bytes.begin(), bytes.end()); };
    const vault::Secret info = context.root().backup(append);
    CHECK("a backup", std::to_string(backup.size()) == info.text("bytes"));
    std::size_t at = 0;
    const auto next = [&](vault::MutableBytes out) {
        const std::size_t size = std::min(out.size(), backup.size() - at);
        std::copy_n(backup.begin() + static_cast<std::ptrdiff_t>(at), size, out.begin());
        at += size;
        return size;
    };
    const vault::Secret verified = vault::backup_verify(next);
    CHECK("is whole", verified.text("digest") == info.text("digest"));
    at = 0;
    static constexpr std::array<std::uint8_t, 32> key{1};
    vault::Options options;
    options.key = vault::Key::raw(key);
    const vault::Vault copy = vault::restore(std::move(options), next);
    CHECK("and restored, frozen", !copy.is_sealed());
    int caught = 0;
    try {
        context.root().backup([](vault::Bytes) { throw 42; });
    } catch (int number) {
        caught = number;
    }
    CHECK("what a stream throws comes out", caught == 42);
    CHECK("a stream that is not set is told", context.root().try_backup(nullptr).code() == VAULT_ERR_BAD_ARGUMENT);
    std::string lines;
    const std::uint64_t count = context.root().audit_export(0, [&](vault::Bytes bytes) { lines.append(bytes.begin(), bytes.end()); });
    CHECK("an export", count > 0 && count == static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n')));
}

int main() {
    a_key_service_opens_a_vault_and_its_throw_is_a_failure();
    an_anchor_is_advanced();
    a_sink_takes_the_log_and_what_it_throws_comes_again();
    a_connector_makes_accounts_and_time_ends_them();
    a_rotation_is_told_with_what_to_do_where_it_stops();
    streams_are_written_and_read_and_their_throws_come_out();
}
