// The matrix of bad input: every call of vault.hpp with every kind of bad argument that its types let through, from several threads at once.
// `cargo xtask c` refuses a `try_` function that is not called here.
#include "check.hpp"

#include <limits>
#include <stdexcept>
#include <thread>

// Any failure but a bug: which one depends on what is looked at first.
constexpr vault_status_t SOME = -1;

// Answers this failure, with a text, by result and by exception.
#define REFUSES(expected, call) refuses(#call, (expected), [&] { return call; }, __LINE__)

template <class F>
void refuses(const char *what, vault_status_t expected, F &&call, int line) {
    const auto outcome = call();
    const vault_status_t code = outcome.code();
    const bool is_it = expected == SOME ? code != VAULT_OK && code != VAULT_ERR_INTERNAL : code == expected;
    if (!is_it || outcome.error().what()[0] == '\0' || std::string_view(outcome.error().kind_name()) == "Unknown") {
        std::fprintf(stderr, "FAILED matrix.cpp:%d: %s: expected %d, got %d\n", line, what, expected, code);
        std::exit(1);
    }
    if (thrown([&] { static_cast<void>(call().value()); }) != code) {
        std::fprintf(stderr, "FAILED matrix.cpp:%d: %s: another failure is thrown than is answered\n", line, what);
        std::exit(1);
    }
}

struct BadText {
    std::string text;
    vault_status_t status;
};

static const std::vector<BadText> bad_texts = {
    {std::string("a\0b", 3), VAULT_ERR_BAD_ARGUMENT},
    {std::string(1, '\0'), VAULT_ERR_BAD_ARGUMENT},
    {std::string(5000, 'a'), VAULT_ERR_BAD_ARGUMENT},
    {"\xc3\x28", VAULT_ERR_INVALID_UTF8},
};

static void swallow(vault::Bytes) {}
static std::size_t give_nothing(vault::MutableBytes) { return 0; }
static std::size_t claim_too_much(vault::MutableBytes out) { return out.size() + 1; }
static bool never_called(const vault::Secret &) { return false; }

// Everything that takes a session, with one that is none.
static void with_session(const vault::Session &bad, vault_status_t expected) {
    REFUSES(expected, bad.try_request(vault::Operation::Read, "sys/mounts"));
    REFUSES(expected, bad.kv("secret").try_get("a"));
    REFUSES(expected, bad.kv("secret").try_put("a", "{}"));
    REFUSES(expected, bad.kv("secret").try_list());
    REFUSES(expected, bad.try_static_creds("database", "app"));
    REFUSES(expected, bad.try_static_role("database", "app"));
    REFUSES(expected, bad.try_rehearse_role("database", "app"));
    REFUSES(expected, bad.try_rotate_role("database", "app"));
    REFUSES(expected, bad.try_emergency_look(R"({"prefix":"secret/"})"));
    REFUSES(expected, bad.try_emergency_contain(R"({"prefix":"secret/","dry_run":true})"));
    REFUSES(expected, bad.try_backup(swallow));
    REFUSES(expected, bad.try_audit_export(0, swallow));
    if (expected == VAULT_ERR_BAD_ARGUMENT) {
        REFUSES(expected, bad.kv("secret").try_live("a"));
        REFUSES(expected, bad.try_live("secret/data/a"));
        REFUSES(expected, bad.try_in_namespace("team"));
    }
}

static void handles_that_are_none() {
    vault::Vault none;
    REFUSES(VAULT_ERR_BAD_ARGUMENT, none.try_session("t"));
    REFUSES(VAULT_ERR_BAD_ARGUMENT, none.try_unseal(vault::Key::passphrase("p")));
    REFUSES(VAULT_ERR_BAD_ARGUMENT, none.try_unseal_share("lvs1"));
    REFUSES(VAULT_ERR_BAD_ARGUMENT, none.try_generate_root(vault::Key::passphrase("p")));
    REFUSES(VAULT_ERR_BAD_ARGUMENT, none.try_seal());
    REFUSES(VAULT_ERR_BAD_ARGUMENT, none.try_is_sealed());
    REFUSES(VAULT_ERR_BAD_ARGUMENT, none.try_tick());
    REFUSES(VAULT_ERR_BAD_ARGUMENT, none.try_verify());
    REFUSES(VAULT_ERR_BAD_ARGUMENT, none.try_compact());
    REFUSES(VAULT_ERR_BAD_ARGUMENT, none.try_metrics());
    CHECK("closing nothing is no failure", none.try_close().ok());
    with_session(vault::Session(), VAULT_ERR_BAD_ARGUMENT);
    vault::Session orphan;
    {
        vault::Created made = vault::create(in_memory());
        orphan = made.vault.session(made.init.json());
    }
    with_session(orphan, VAULT_ERR_CLOSED);
    const vault::Secret nothing;
    REFUSES(VAULT_ERR_BAD_ARGUMENT, nothing.try_text("a"));
    CHECK("an empty secret has nothing", nothing.json().empty() && nothing.version() == 0 && !nothing.find("a"));
    vault::LiveSecret dead;
    REFUSES(VAULT_ERR_BAD_ARGUMENT, dead.try_get());
    REFUSES(VAULT_ERR_BAD_ARGUMENT, dead.try_refresh());
    REFUSES(VAULT_ERR_BAD_ARGUMENT, dead.try_with_retry(never_called));
    REFUSES(VAULT_ERR_BAD_ARGUMENT, dead.try_on_change([](const vault::Secret *, vault_status_t) {}));
    CHECK("nor is it current", !dead.is_current());
}

static void texts_that_are_bad(const vault::Vault &vault, const vault::Session &root, const vault::Secret &secret) {
    for (const BadText &bad : bad_texts) {
        const std::string &text = bad.text;
        REFUSES(bad.status, root.try_request(vault::Operation::Read, text));
        REFUSES(bad.status, root.kv(text).try_get("a"));
        REFUSES(bad.status, root.kv("secret").try_get(text));
        REFUSES(bad.status, root.kv(text).try_put("a", "{}"));
        REFUSES(bad.status, root.kv("secret").try_put(text, "{}"));
        REFUSES(bad.status, root.kv(text).try_list());
        REFUSES(bad.status, root.kv("secret").try_list(text));
        REFUSES(bad.status, root.kv(text).try_live("a"));
        REFUSES(bad.status, root.kv("secret").try_live(text));
        REFUSES(bad.status, root.try_live(text));
        REFUSES(bad.status, root.try_in_namespace(text));
        REFUSES(bad.status, root.try_static_creds(text, "app"));
        REFUSES(bad.status, root.try_static_creds("database", text));
        REFUSES(bad.status, root.try_static_role("database", text));
        REFUSES(bad.status, root.try_rehearse_role(text, "app"));
        REFUSES(bad.status, root.try_rotate_role("database", text));
        REFUSES(SOME, root.try_emergency_look(text));
        REFUSES(SOME, root.try_emergency_contain(text));
        REFUSES(bad.status, vault.try_unseal_share(text));
        REFUSES(SOME, secret.try_text(text));
        REFUSES(SOME, vault::audit::try_verify_checkpoint(text, "k"));
        REFUSES(SOME, vault::audit::try_verify_checkpoint("note", text));
        REFUSES(SOME, vault::audit::try_verify_inclusion(text, "k", "{}"));
        REFUSES(SOME, vault::audit::try_verify_inclusion("note", text, "{}"));
        REFUSES(SOME, vault::audit::try_verify_inclusion("note", "k", text));
        REFUSES(SOME, vault::audit::try_verify_consistency(text, "n", "k", "{}"));
        REFUSES(SOME, vault::audit::try_verify_consistency("o", text, "k", "{}"));
        REFUSES(SOME, vault::audit::try_verify_consistency("o", "n", text, "{}"));
        REFUSES(SOME, vault::policy::try_evaluate({text}, {}));
        vault::policy::Question question;
        question.path = text;
        REFUSES(bad.status, vault::policy::try_evaluate({}, question));
        vault::RequestOptions said;
        said.remote_address = text;
        REFUSES(SOME, root.try_request(vault::Operation::Read, "sys/mounts", {}, said));
        said = {};
        said.correlation_id = text;
        REFUSES(SOME, root.try_request(vault::Operation::Read, "sys/mounts", {}, said));
        REFUSES(SOME, root.kv("secret").try_put("a", text));
        REFUSES(SOME, root.try_request(vault::Operation::Write, "secret/data/a", text));
        // A token is looked at when it is used; one that is no text, at once.
        CHECK("a token that is none opens nothing",
              !vault.try_session(text) || !vault.session(text).try_request(vault::Operation::Read, "sys/mounts"));
    }
    for (const char *asked : {"", "{", "[]", "{}", R"({"path":7})", R"({"path":"secret/data/kept","accessor":"a"})",
                              R"({"path":"secret/data/kept","since":"yesterday"})"}) {
        REFUSES(SOME, root.try_emergency_look(asked));
        REFUSES(SOME, root.try_emergency_contain(asked));
    }
    for (const char *asked : {R"({"path":"secret/data/kept","tokens":"burn"})", R"({"path":"secret/data/kept","parallel":-1})"}) {
        REFUSES(SOME, root.try_emergency_contain(asked));
    }
    for (const char *path : {"", "/", "a//b", "../a"}) {
        REFUSES(VAULT_ERR_INVALID_PATH, root.kv("secret").try_get(path));
        REFUSES(VAULT_ERR_INVALID_PATH, root.try_request(vault::Operation::Read, path));
    }
    REFUSES(VAULT_ERR_PERMISSION_DENIED, vault.session("").try_request(vault::Operation::Read, "sys/mounts"));
}

static void numbers_that_are_bad(const vault::Vault &vault, const vault::Session &root) {
    for (const std::int32_t number : {-1, 0, 99, std::numeric_limits<std::int32_t>::max()}) {
        const auto operation = static_cast<vault::Operation>(number == 0 ? 77 : number);
        REFUSES(VAULT_ERR_BAD_ARGUMENT, root.try_request(operation, "sys/mounts"));
        vault::policy::Question question;
        question.path = "a";
        question.capability = number;
        REFUSES(VAULT_ERR_BAD_ARGUMENT, vault::policy::try_evaluate({}, question));
    }
    vault::RequestOptions options;
    for (const auto ttl : {std::chrono::seconds(-1), std::chrono::seconds::min(), std::chrono::seconds::max()}) {
        options.wrap_ttl = ttl;
        REFUSES(SOME, root.try_request(vault::Operation::Read, "sys/mounts", {}, options));
    }
    REFUSES(VAULT_ERR_NOT_FOUND, root.kv("secret").try_get("kept", UINT64_MAX));
    REFUSES(VAULT_ERR_BAD_ARGUMENT, root.kv("secret").try_put("kept", "{}", UINT64_MAX));
    CHECK("no event comes after the last", root.audit_export(UINT64_MAX, swallow) == 0);
    const std::array<std::uint8_t, 33> bytes{};
    for (const std::size_t size : {std::size_t{0}, std::size_t{31}, std::size_t{33}}) {
        REFUSES(SOME, vault.try_generate_root(vault::Key::raw(vault::Bytes(bytes.data(), size))));
    }
    for (const char *share : {"", "x", "lvs1", "lvs1-0-0"}) {
        REFUSES(SOME, vault.try_generate_root(vault::Key::shares(share)));
    }
    REFUSES(SOME, vault.try_generate_root(vault::Key()));
    REFUSES(SOME, vault.try_generate_root(vault::Key::wrapper()));
    REFUSES(SOME, vault.try_generate_root(vault::Key::pkcs11()));
    REFUSES(SOME, vault.try_generate_root(vault::Key::passphrase("")));
    REFUSES(VAULT_ERR_ALREADY_UNSEALED, vault.try_unseal(vault::Key::raw(vault::Bytes(bytes.data(), 32))));
}

static void callbacks_that_are_bad(const vault::Session &root) {
    REFUSES(VAULT_ERR_BAD_ARGUMENT, root.try_backup(nullptr));
    REFUSES(VAULT_ERR_BAD_ARGUMENT, root.try_audit_export(0, nullptr));
    REFUSES(VAULT_ERR_BAD_ARGUMENT, vault::try_backup_verify(nullptr));
    REFUSES(VAULT_ERR_BAD_BACKUP, vault::try_backup_verify(give_nothing));
    REFUSES(VAULT_ERR_UNAVAILABLE, vault::try_backup_verify(claim_too_much));
    REFUSES(VAULT_ERR_BAD_ARGUMENT, vault::try_restore(in_memory(), nullptr));
    REFUSES(VAULT_ERR_BAD_BACKUP, vault::try_restore(in_memory(), give_nothing));
    REFUSES(VAULT_ERR_UNAVAILABLE, vault::try_restore(in_memory(), claim_too_much));
    const vault::LiveSecret live = root.kv("secret").live("kept");
    REFUSES(VAULT_ERR_BAD_ARGUMENT, live.try_with_retry(nullptr));
    REFUSES(VAULT_ERR_NOT_FOUND, root.kv("secret").live("nowhere").try_with_retry(never_called));
    REFUSES(VAULT_ERR_NOT_FOUND, root.kv("secret").live("nowhere").try_on_change([](const vault::Secret *, vault_status_t) {}));
    int caught = 0;
    const auto counts = [&caught](auto &&call) {
        try {
            static_cast<void>(call());
        } catch (const std::logic_error &) {
            caught++;
        }
    };
    const auto throws = [](auto &&...) -> std::size_t { throw std::logic_error("mine"); };
    counts([&] { return root.try_backup(throws); });
    counts([&] { return root.try_audit_export(0, throws); });
    counts([&] { return vault::try_backup_verify(throws); });
    counts([&] { return vault::try_restore(in_memory(), throws); });
    counts([&] { return live.try_with_retry(throws); });
    CHECK("what a callback throws comes out as it is", caught == 5);
}

// Changes good options, and answers what comes of them by each way to open a vault.
template <class F>
static void options_are_refused(const char *what, vault_status_t expected, F &&change) {
    const auto changed = [&] {
        vault::Options options = in_memory();
        change(options);
        return options;
    };
    std::printf("options: %s\n", what);
    REFUSES(expected, vault::try_create(changed()));
    REFUSES(SOME, vault::try_create_with_shares(changed()));
    REFUSES(SOME, vault::try_open(changed()));
    REFUSES(SOME, vault::try_restore(changed(), give_nothing));
    REFUSES(SOME, vault::try_salvage(changed(), in_memory()));
    REFUSES(SOME, vault::try_doctor(changed()));
}

static void options_that_are_bad() {
    using vault::Options;
    const vault_status_t bad = VAULT_ERR_BAD_ARGUMENT;
    const std::string nul("a\0b", 3);
    options_are_refused("no key", bad, [](Options &o) { o.key = vault::Key(); });
    options_are_refused("a short key", SOME, [](Options &o) { o.key = vault::Key::raw(vault::Bytes()); });
    options_are_refused("an empty passphrase", SOME, [](Options &o) { o.key = vault::Key::passphrase(""); });
    options_are_refused("a passphrase that is too long", SOME, [](Options &o) { o.key = vault::Key::passphrase(std::string(5000, 'p')); });
    options_are_refused("a passphrase that is no text", SOME, [](Options &o) { o.key = vault::Key::passphrase("\xff"); });
    options_are_refused("no key service", bad, [](Options &o) { o.key = vault::Key::wrapper(); });
    options_are_refused("no token", bad, [](Options &o) { o.key = vault::Key::pkcs11(); });
    options_are_refused("too many shares", bad, [](Options &o) {
        o.key = vault::Key::shares();
        o.share_count = 256;
        o.share_threshold = 2;
    });
    options_are_refused("weak stretching", SOME, [](Options &o) {
        o.key = vault::Key::passphrase("correct horse battery staple");
        o.argon2_memory_kib = 1;
    });
    options_are_refused("an audit mode", bad, [](Options &o) { o.audit_mode = 9; });
    options_are_refused("a backend", bad, [](Options &o) { o.backend = -1; });
    options_are_refused("a dialect", bad, [](Options &o) { o.dialect = 9; });
    options_are_refused("databases", bad, [](Options &o) { o.databases = 0x80000000; });
    options_are_refused("a service without callbacks", bad, [](Options &o) { o.key_wrapper = vault::KeyWrapper{"kms", nullptr, nullptr}; });
    options_are_refused("an anchor without callbacks", bad, [](Options &o) { o.anchor = vault::Anchor{nullptr, nullptr}; });
    options_are_refused("a sink without a callback", bad, [](Options &o) { o.audit_sinks.push_back({"sink", nullptr}); });
    options_are_refused("too many sinks", bad, [](Options &o) {
        for (int i = 0; i < 17; i++) {
            o.audit_sinks.push_back({"sink" + std::to_string(i), [](vault::View<const vault_audit_line_t>) {}});
        }
    });
    options_are_refused("a target of no kind", bad, [](Options &o) { o.audit_targets.push_back({"t", "localhost:1", 99}); });
    options_are_refused("a connector without duties", bad, [](Options &o) { o.connectors.emplace_back(); });
    for (const BadText &text : bad_texts) {
        options_are_refused("a path", text.status, [&](Options &o) { o.path = text.text; });
        options_are_refused("an audit file", text.status, [&](Options &o) { o.audit_file = text.text; });
    }
    options_are_refused("a NUL in a service's name", bad, [&](Options &o) {
        o.key_wrapper = vault::KeyWrapper{nul, [](vault::Bytes, vault::Bytes) { return std::vector<std::uint8_t>(); },
                                          [](vault::Bytes, vault::Bytes, vault::MutableBytes) {}};
    });
    options_are_refused("a NUL in a sink's name", bad, [&](Options &o) {
        o.audit_sinks.push_back({nul, [](vault::View<const vault_audit_line_t>) {}});
    });
    options_are_refused("a NUL in a target's address", bad, [&](Options &o) { o.audit_targets.push_back({"t", nul}); });
    options_are_refused("a NUL in a connector's name", bad, [&](Options &o) { o.connectors.emplace_back().name = nul; });
    options_are_refused("a NUL in a token's label", bad, [&](Options &o) { o.pkcs11.emplace().token_label = nul; });
    REFUSES(bad, vault::try_salvage(in_memory(), in_memory(), nul));
    REFUSES(bad, vault::try_doctor(in_memory(), nul));
    REFUSES(bad, vault::try_pkcs11_generate_key({}));
    vault::Pkcs11 cut;
    cut.module = nul;
    REFUSES(bad, vault::try_pkcs11_generate_key(std::move(cut)));
    CHECK("a context says what is wrong with a policy",
          thrown([] { static_cast<void>(vault::testing::Context().session_with("path {")); }) == VAULT_ERR_INVALID_POLICY);
}

static void all(const vault::Vault &vault, const vault::Session &root, const vault::Secret &secret) {
    handles_that_are_none();
    texts_that_are_bad(vault, root, secret);
    numbers_that_are_bad(vault, root);
    callbacks_that_are_bad(root);
    options_that_are_bad();
}

int main() {
    vault::Created made = vault::create(in_memory());
    const vault::Session root = made.vault.session(made.init.json());
    root.kv("secret").put("kept", R"({"k":"v"})");
    const vault::Secret secret = root.kv("secret").get("kept");
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; i++) {
        threads.emplace_back([&] { all(made.vault, root, secret); });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    CHECK("what is held is what it was", secret.text("k") == "v");
    CHECK("and what is stored", root.kv("secret").get("kept").version() == 1 && !made.vault.is_sealed());
}
