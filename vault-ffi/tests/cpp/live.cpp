// Live secrets in C++: current at each call, tried once more when refused, told of changes for as long as somebody listens; and the log.
#include "check.hpp"

#include <stdexcept>

static_assert(std::is_nothrow_move_constructible_v<vault::LiveSecret> && !std::is_copy_constructible_v<vault::LiveSecret>);

static std::string member(const vault::LiveSecret &live, std::string_view name) {
    const vault::Secret secret = live.get();
    return std::string(secret.text(name));
}

static void a_live_secret_stays_current() {
    vault::testing::Context context;
    const vault::Kv kv = context.root().kv("secret");
    kv.put("x", R"({"p":"one"})");
    const vault::LiveSecret live = kv.live("x");
    CHECK("nothing was read yet", !live.is_current());
    CHECK("it is read at its first use", member(live, "p") == "one" && live.is_current());
    int tried = 0;
    const bool accepted = live.with_retry([&](const vault::Secret &secret) {
        if (++tried == 1) {
            kv.put("x", R"({"p":"two"})");
        }
        return secret.text("p") == "two";
    });
    CHECK("what was refused is tried once more with the new one", accepted && tried == 2);
    CHECK("and no more than that", !live.with_retry([&](const vault::Secret &) { return tried++, false; }) && tried == 4);
    bool came = false;
    try {
        static_cast<void>(live.with_retry([](const vault::Secret &) -> bool { throw std::logic_error("mine"); }));
    } catch (const std::logic_error &) {
        came = true;
    }
    CHECK("what an attempt throws comes out", came);
    CHECK("it is read anew when that is asked for", live.refresh().version() == 2);
    const vault::LiveSecret by_path = context.root().live("secret/data/x");
    CHECK("by any path", member(by_path, "/data/p") == "two");
}

static void listeners_are_told_until_they_are_gone() {
    vault::testing::Context context;
    const vault::Kv kv = context.root().kv("secret");
    kv.put("x", R"({"p":"one"})");
    vault::LiveSecret live = kv.live("x");
    std::string seen;
    vault_status_t why = VAULT_OK;
    live.on_change([&](const vault::Secret *secret, vault_status_t status) {
        seen = secret == nullptr ? "" : std::string(secret->text("p"));
        why = status;
        throw std::runtime_error("nobody minds");
    });
    kv.put("x", R"({"p":"two"})");
    CHECK("not by the write", seen.empty());
    context.vault().tick();
    CHECK("but by the next tick", seen == "two" && why == VAULT_OK);
    vault::LiveSecret moved = std::move(live);
    context.root().request(vault::Operation::Delete, "secret/data/x");
    context.vault().tick();
    CHECK("that it is gone, by one that was moved too", seen.empty() && why == VAULT_ERR_VERSION_DELETED);
    kv.put("x", R"({"p":"three"})");
    moved.on_change(nullptr);
    context.vault().tick();
    CHECK("no more once nobody listens", seen.empty());
    moved.on_change([&](const vault::Secret *secret, vault_status_t) { seen = secret->text("p"); });
    moved = vault::LiveSecret();
    kv.put("x", R"({"p":"four"})");
    context.vault().tick();
    CHECK("nor once it is gone", seen.empty());
}

static void what_the_vault_has_to_say_goes_to_the_log() {
    auto lines = std::make_shared<std::vector<std::string>>();
    auto fails = std::make_shared<bool>(true);
    vault::Options options;
    options.audit_sinks.push_back({"collector", [fails](vault::View<const vault_audit_line_t>) {
                                       if (*fails) {
                                           throw std::runtime_error("no");
                                       }
                                   }});
    options.log = [lines](const vault::LogLine &line) {
        lines->push_back(std::to_string(line.level) + " " + std::string(line.topic));
        CHECK("a line has a message", line.message.size() > 10 && line.count == 1 && line.code == VAULT_OK);
        throw std::runtime_error("nobody minds");
    };
    vault::testing::Context context(std::move(options));
    context.vault().tick();
    CHECK("a sink that takes nothing", *lines == std::vector<std::string>{"2 sink"});
    *fails = false;
    context.advance(std::chrono::minutes(2));
    CHECK("and that it takes again", lines->size() == 2 && lines->back() == "3 sink");
    CHECK("a wrong key", context.vault().try_unseal(vault::Key::passphrase("x")).code() == VAULT_ERR_ALREADY_UNSEALED);
    context.vault().seal();
    CHECK("is told when it is one", context.vault().try_unseal(vault::Key::passphrase("x")).code() == VAULT_ERR_WRONG_KEY &&
                                        lines->size() == 4 && lines->back() == "2 seal");
}

int main() {
    a_live_secret_stays_current();
    listeners_are_told_until_they_are_gone();
    what_the_vault_has_to_say_goes_to_the_log();
}
