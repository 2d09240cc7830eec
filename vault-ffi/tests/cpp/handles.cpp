// Vaults, sessions and secrets in C++: moved and never copied, closed by themselves, failing by exception or by result.
#include "check.hpp"

#include <type_traits>

template <class T>
constexpr bool is_move_only = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                              !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(is_move_only<vault::Vault> && is_move_only<vault::Session> && is_move_only<vault::Secret> && is_move_only<vault::SecretString>);

static void what_is_moved_from_is_empty_and_what_is_moved_to_works() {
    vault::Created created = vault::create(in_memory());
    vault::Vault vault = std::move(created.vault);
    vault::Session session = vault.session(created.init.json());
    CHECK("a new secret has version 1", session.kv("secret").put("a", R"({"k":"v"})") == 1);
    vault::Session moved = std::move(session);
    CHECK("a session that was moved from is told", session.kv("secret").try_get("a").code() == VAULT_ERR_BAD_ARGUMENT);
    vault::Secret secret = moved.kv("secret").get("a");
    CHECK("a session that was moved to reads", secret.text("k") == "v" && secret.version() == 1);
    vault::Secret other = std::move(secret);
    CHECK("a secret that was moved from has nothing", secret.json().empty() && !secret.find("k") && other.text("k") == "v");
    vault_secret_t *const replaced = other.raw();
    vault::Secret fresh = moved.kv("secret").get("a");
    other = std::move(fresh);
    CHECK("one that is replaced is wiped at once", vault_secret_data(replaced) == nullptr && other.text("k") == "v");
    vault::Secret &same = other;
    other = std::move(same);
    CHECK("and stays where it is moved to itself", other.text("k") == "v");
    vault.close();
    CHECK("a vault that was closed is told", vault.try_seal().code() == VAULT_ERR_BAD_ARGUMENT);
    CHECK("its sessions too", moved.kv("secret").try_get("a").code() == VAULT_ERR_CLOSED);
    CHECK("closing twice is no matter", vault.try_close().ok());
}

static void failures_come_by_exception_or_by_result() {
    vault::testing::Context context;
    const vault::Session &root = context.root();
    CHECK("thrown", thrown([&] { static_cast<void>(root.kv("secret").get("nowhere")); }) == VAULT_ERR_NOT_FOUND);
    const vault::Result<vault::Secret> none = root.kv("secret").try_get("nowhere");
    CHECK("answered", !none && none.code() == VAULT_ERR_NOT_FOUND && none.error().kind() == VAULT_CLASS_NOT_FOUND);
    CHECK("by name", std::string_view(none.error().name()) == "NotFound");
    root.kv("secret").put("a", R"({"k":"v"})");
    root.request(vault::Operation::Delete, "secret/data/a");
    try {
        static_cast<void>(root.kv("secret").get("a"));
        CHECK("a deleted version is not read", false);
    } catch (const std::exception &caught) {
        const auto &error = dynamic_cast<const vault::Error &>(caught);
        CHECK("its metadata comes with the error", error.code() == VAULT_ERR_VERSION_DELETED && error.data().find("deletion_time") != std::string::npos);
        CHECK("with a text", std::string_view(error.what()).size() > 5);
    }
    CHECK("check-and-set", root.kv("secret").try_put("b", "{}", 0).ok() && root.kv("secret").try_put("b", "{}", 0).code() == VAULT_ERR_CAS_MISMATCH);
    CHECK("a check that cannot be", root.kv("secret").try_put("b", "{}", UINT64_MAX).code() == VAULT_ERR_BAD_ARGUMENT);
}

static void a_nul_within_a_text_is_refused_and_never_cuts_it() {
    using namespace std::string_view_literals;
    vault::testing::Context context;
    const vault::Session &root = context.root();
    CHECK("in a path", root.try_request(vault::Operation::Read, "sys/mounts\0/x"sv).code() == VAULT_ERR_BAD_ARGUMENT);
    CHECK("in a secret's path", root.kv("secret").try_get("a\0b"sv).code() == VAULT_ERR_BAD_ARGUMENT);
    CHECK("in one to write", root.kv("secret").try_put("a\0b"sv, "{}").code() == VAULT_ERR_BAD_ARGUMENT);
    CHECK("in a mount", root.kv("secret\0"sv).try_list().code() == VAULT_ERR_BAD_ARGUMENT);
    CHECK("in a namespace", root.try_in_namespace("a\0"sv).code() == VAULT_ERR_BAD_ARGUMENT);
    vault::RequestOptions options;
    options.correlation_id = std::string("a\0b", 3);
    CHECK("in what the host says", root.try_request(vault::Operation::Read, "sys/mounts", {}, options).code() == VAULT_ERR_BAD_ARGUMENT);
    vault::Options at = in_memory();
    at.path = std::string("/tmp/a\0b", 8);
    CHECK("in a vault's path", vault::try_create(std::move(at)).code() == VAULT_ERR_BAD_ARGUMENT);
    CHECK("in a share", context.vault().try_unseal_share("lvs1\0"sv).code() == VAULT_ERR_BAD_ARGUMENT);
    CHECK("in a note", vault::audit::try_verify_checkpoint("a\0"sv, "k").code() == VAULT_ERR_BAD_ARGUMENT);
    CHECK("in a policy", vault::policy::try_evaluate({std::string("\0", 1)}, {}).code() == VAULT_ERR_BAD_ARGUMENT);
}

static void secrets_are_lent_and_copies_of_them_are_wiped() {
    vault::testing::Context context;
    context.root().kv("secret").put("a", R"({"k":"0123456789","n":{"l":[1,2]}})");
    const vault::Secret secret = context.root().kv("secret").get("a");
    CHECK("a member that is no text is JSON", secret.text("n") == R"({"l":[1,2]})" && secret.text("/n/l/1") == "2");
    CHECK("one that is not there is none", !secret.find("x") && secret.try_text("x").code() == VAULT_ERR_NOT_FOUND);
    CHECK("nor one with a NUL", secret.try_text(std::string_view("k\0", 2)).code() == VAULT_ERR_BAD_ARGUMENT);
    vault::SecretString copy = secret.copy("k");
    vault::SecretString moved = std::move(copy);
    CHECK("a copy moves", copy.empty() && moved.view() == "0123456789" && moved.c_str()[10] == '\0');
    vault::SecretString target("something else");
    target = std::move(moved);
    CHECK("also onto another", target.size() == 10 && moved.empty());
    vault::SecretString &same = target;
    target = std::move(same);
    CHECK("and onto itself", target.view() == "0123456789");
    char memory[] = "secret";
    vault::wipe(memory, sizeof memory);
    CHECK("wiping leaves nothing", std::string_view(memory, sizeof memory) == std::string_view("\0\0\0\0\0\0\0", 7));
}

static void a_vault_is_sealed_verified_and_opened_by_shares() {
    vault::Options options;
    options.key = vault::Key::shares();
    options.share_count = 3;
    options.share_threshold = 2;
    vault::Created created = vault::create_with_shares(std::move(options));
    vault::Vault &vault = created.vault;
    CHECK("it verifies", vault.verify().records > 0);
    vault.seal();
    CHECK("it is sealed", vault.is_sealed());
    const auto first = vault.unseal_share(created.init.text("/shares/0"));
    CHECK("one share is not enough", first.sealed && first.given == 1);
    CHECK("what is none is told", vault.try_unseal_share("x").code() == VAULT_ERR_BAD_SHARE);
    CHECK("two are", !vault.unseal_share(created.init.text("/shares/2")).sealed);
    CHECK("unsealing twice is told", vault.try_unseal(vault::Key::raw(std::array<std::uint8_t, 32>{})).code() == VAULT_ERR_ALREADY_UNSEALED);
    const std::string both = std::string(created.init.text("/shares/1")) + "\n" + std::string(created.init.text("/shares/2"));
    const vault::Secret root = vault.generate_root(vault::Key::shares(both));
    CHECK("a root token from shares", vault.session(root.json()).try_request(vault::Operation::Read, "sys/mounts").ok());
    CHECK("compacting memory tells nothing", vault.compact().bytes_before == 0);
    const vault::Secret metrics = vault.metrics();
    CHECK("metrics are told", metrics.json().find("# TYPE") != std::string_view::npos);
    CHECK("there is something to do", vault.tick().has_value());
    CHECK("the interface fits", vault::is_compatible() && std::string_view(vault::version()).size() >= 5);
}

static void policies_are_decided_without_a_vault() {
    vault::policy::Question question;
    question.path = "secret/data/a";
    const auto decision = vault::policy::evaluate({R"(path "secret/data/*" { capabilities = ["read"] })"}, question);
    CHECK("allowed", decision.allowed && decision.explanation.text("rule") == "secret/data/*");
    question.capability = VAULT_CAPABILITY_DELETE;
    CHECK("denied", !vault::policy::evaluate({R"(path "secret/data/*" { capabilities = ["read"] })"}, question).allowed);
    CHECK("what does not parse is told", vault::policy::try_evaluate({"path {"}, question).code() == VAULT_ERR_INVALID_POLICY);
    CHECK("quotes are escaped", vault::quoted("a\"\\\n\x01") == R"("a\"\\\u000a\u0001")");
}

static void secrets_are_held_for_as_long_as_the_options_say() {
    vault::Options options = in_memory();
    options.value_cache_bytes = 1 << 20;
    options.value_cache_ttl = std::chrono::hours(1);
    vault::Created created = vault::create(std::move(options));
    const vault::Session session = created.vault.session(created.init.json());
    session.kv("secret").put("a", R"({"k":"v"})");
    const auto value = [&] {
        const vault::Secret secret = session.kv("secret").get("a");
        return std::string(secret.text("k"));
    };
    CHECK("a secret that is held reads as it is", value() == "v" && value() == "v");
    const vault::Secret figures = created.vault.metrics();
    CHECK("the second time by what is held", figures.json().find("libvault_value_cache_total{outcome=\"hit\"} 1\n") != std::string_view::npos);
    session.kv("secret").put("a", R"({"k":"w"})");
    CHECK("a write is seen at once", value() == "w");
}

static void a_context_has_time_that_moves_when_told() {
    vault::testing::Context context;
    vault::Session reader = context.session_with(R"(path "secret/data/app" { capabilities = ["read"] })");
    context.root().kv("secret").put("app", R"({"k":"v"})");
    CHECK("what its policy allows", reader.kv("secret").try_get("app").ok());
    CHECK("and nothing else", reader.kv("secret").try_put("app", "{}").code() == VAULT_ERR_PERMISSION_DENIED);
    const vault::Secret made = context.root().write("auth/token/create", R"({"ttl":"1h"})");
    const vault::Session hour = context.vault().session(made.text("/auth/client_token"));
    context.advance(std::chrono::minutes(59));
    CHECK("a token lasts its hour", hour.try_request(vault::Operation::Read, "auth/token/lookup-self").ok());
    const std::uint64_t before = context.now_ms();
    context.advance(std::chrono::minutes(2));
    CHECK("time has moved", context.now_ms() == before + 120000);
    CHECK("and no longer", hour.try_request(vault::Operation::Read, "auth/token/lookup-self").code() == VAULT_ERR_PERMISSION_DENIED);
    vault::RequestOptions wrapped;
    wrapped.wrap_ttl = std::chrono::seconds(60);
    const vault::Secret reply = context.root().request(vault::Operation::Read, "secret/data/app", {}, wrapped);
    CHECK("a reply is wrapped", reply.text("/wrap_info/ttl") == "60");
    context.root().write("sys/namespaces/team");
    CHECK("a namespace is its own", context.root().in_namespace("team").try_request(vault::Operation::Read, "sys/mounts").ok());
}

int main() {
    what_is_moved_from_is_empty_and_what_is_moved_to_works();
    failures_come_by_exception_or_by_result();
    a_nul_within_a_text_is_refused_and_never_cuts_it();
    secrets_are_lent_and_copies_of_them_are_wiped();
    a_vault_is_sealed_verified_and_opened_by_shares();
    policies_are_decided_without_a_vault();
    secrets_are_held_for_as_long_as_the_options_say();
    a_context_has_time_that_moves_when_told();
}
