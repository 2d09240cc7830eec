// Versions from C++: two writers who do not overwrite each other (check-and-set), an older version, a deletion and its undoing.
#include "example.hpp"

static int story() {
    const auto [vault, root] = example::in_memory();
    const vault::Kv kv = root.kv("secret");
    const std::uint64_t first = kv.put("app/db", R"({"password": "first"})", 0);  // 0: only where there is none yet

    // Both have read version 1; whoever writes second is told, and reads again before writing.
    const std::uint64_t second = kv.put("app/db", R"({"password": "theirs"})", first);
    const auto lost = kv.try_put("app/db", R"({"password": "mine"})", first);
    std::cout << "two writers: one wrote version " << second << ", the other was told " << lost.error().name() << '\n';
    const std::uint64_t third = kv.put("app/db", R"({"password": "mine"})", kv.get("app/db").version());

    const vault::Secret old = kv.get("app/db", 1);
    std::cout << "version 1 of " << third << " still has: " << old.text("password") << '\n';

    root.request(vault::Operation::Delete, "secret/data/app/db");
    const auto gone = kv.try_get("app/db");
    std::cout << "deleted: " << gone.error().name() << ", and the error tells " << gone.error().data() << '\n';
    root.write("secret/undelete/app/db", R"({"versions": [3]})");
    std::cout << "undeleted: version " << kv.get("app/db").version() << '\n';
    return lost.code() == VAULT_ERR_CAS_MISMATCH ? 0 : 1;
}

int main() { return example::run(story); }
