// An auditor from C++, who has the vault's public key and no vault: an event is in the log, and nothing was taken out of it since.
#include "example.hpp"

// What an operator hands out: the public key once, a checkpoint every now and then, and proofs when asked.
struct Evidence {
    vault::Secret key, older, newer, included, consistent;
};

static Evidence of_a_vault_at_work() {
    const auto [vault, root] = example::in_memory();
    Evidence evidence;
    evidence.key = root.read("sys/audit-log/public-key");
    root.kv("secret").put("app/db", R"({"password": "pa55-w0rd"})");
    evidence.older = root.read("sys/audit-log/checkpoint");
    root.kv("secret").put("app/db", R"({"password": "other"})");
    evidence.newer = root.read("sys/audit-log/checkpoint");
    const std::string from(evidence.older.text("/data/size"));
    const std::string to(evidence.newer.text("/data/size"));
    evidence.included = root.read("sys/audit-log/proof/inclusion", "{\"sequence\": 2, \"size\": " + to + "}");
    evidence.consistent = root.read("sys/audit-log/proof/consistency", "{\"from\": " + from + ", \"to\": " + to + "}");
    return evidence;
}

static int story() {
    const Evidence evidence = of_a_vault_at_work();
    const auto key = evidence.key.text("/data/key");
    const auto before = evidence.older.text("/data/checkpoint");
    const auto now = evidence.newer.text("/data/checkpoint");

    const vault::Secret info = vault::audit::verify_checkpoint(now, key);
    std::cout << "signed by the vault: a log of " << info.text("size") << " events\n";
    vault::audit::verify_inclusion(now, key, evidence.included.text("data"));
    std::cout << "event 2 is in it, as these bytes\n";
    vault::audit::verify_consistency(before, now, key, evidence.consistent.text("data"));
    std::cout << "it begins with the older log: nothing was taken out or changed\n";
    const auto forged = vault::audit::try_verify_inclusion(before, key, evidence.included.text("data"));
    std::cout << "the same proof for another log: " << forged.error().name() << '\n';
    return forged.code() == VAULT_ERR_CORRUPT ? 0 : 1;
}

int main() { return example::run(story); }
