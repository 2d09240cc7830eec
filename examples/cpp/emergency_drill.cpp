// An emergency drill in C++: a password is out. Who has read it, what would be done, and the end of it, with a page for the postmortem.
#include "example.hpp"

static void print_timeline(const char *heading, const vault::Secret &answer) {
    std::cout << heading << '\n';
    for (int i = 0;; i++) {
        auto line = answer.try_text("/timeline/" + std::to_string(i));
        if (!line) {
            return;
        }
        std::cout << "  " << line.value() << '\n';
    }
}

static int story() {
    const auto [vault, root] = example::in_memory();
    root.kv("secret").put("app/db", R"({"password": "first"})");
    root.write("sys/policies/acl/app", R"({"policy": "path \"secret/data/app/*\" { capabilities = [\"read\"] }"})");
    const vault::Secret made = root.write("auth/token/create", R"({"policies": ["app"], "display_name": "shop"})");
    const vault::Session shop = vault.session(made.text("/auth/client_token"));
    static_cast<void>(shop.kv("secret").get("app/db"));

    // Safe to type in any state of mind: it changes nothing.
    print_timeline("The look:", root.emergency_look(R"({"path": "secret/data/app"})"));

    // The rehearsal, and the end of those who have read it.
    print_timeline("The rehearsal:", root.emergency_contain(R"({"path": "secret/data/app", "dry_run": true})"));
    const vault::Secret ended = root.emergency_contain(R"({"path": "secret/data/app"})");
    print_timeline("The end:", ended);

    // Only now comes the new one: a reader that lived on would be handed it.
    root.kv("secret").put("app/db", R"({"password": "second"})");
    const auto refused = shop.kv("secret").try_get("app/db");
    std::cout << "the shop now: " << refused.error().name() << '\n';
    return ended.text("left") == "0" && !refused ? 0 : 1;
}

int main() { return example::run(story); }
