// A vault's first five minutes, from C++: create, seal, open, least privilege, a secret, a denial, revoke, verify.
#include "example.hpp"

#include <filesystem>
#include <unistd.h>

// A folder that goes with the example.
struct Folder {
    std::filesystem::path path = std::filesystem::temp_directory_path() / ("libvault-quickstart-" + std::to_string(getpid()));
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
};

static int story() {
    const Folder folder;
    vault::Options options;
    options.path = folder.path;
    options.key = vault::Key::passphrase(example::PASSPHRASE);
    vault::Created created = vault::create(std::move(options));
    std::cout << "created          a vault on disk, with libvault " << vault::version() << '\n';
    created.vault.close();

    vault::Options sealed;
    sealed.path = folder.path;
    vault::Vault vault = vault::open(std::move(sealed));
    vault.unseal(vault::Key::passphrase(example::PASSPHRASE));
    std::cout << "reopened         sealed, then unsealed with the passphrase\n";

    const vault::Session root = vault.session(created.init.json());
    root.write("sys/policies/acl/app", "{\"policy\": " + vault::quoted(R"(
        path "secret/data/app/*"    { capabilities = ["create", "update", "read"] }
        path "secret/data/app/root" { capabilities = ["deny"] })") + "}");
    const vault::Secret made = root.write("auth/token/create", R"({"policies": ["app"], "ttl": "1h"})");
    const vault::Session app = vault.session(made.text("/auth/client_token"));
    std::cout << "least privilege  a token for one hour, with the policy app\n";

    app.kv("secret").put("app/db", R"({"user": "app", "password": "s3cr3t"})");
    const vault::Secret secret = app.kv("secret").get("app/db");
    std::cout << "stored and read  secret/app/db, version " << secret.version() << ": user " << secret.text("user") << '\n';

    // Where a failure is expected, a result says it without an exception.
    const vault::Result<vault::Secret> denied = app.kv("secret").try_get("app/root");
    std::cout << "denied           secret/app/root: " << denied.error().name() << " (" << denied.error().what() << ")\n";

    app.write("auth/token/revoke-self");
    std::cout << "revoked          the token now answers " << app.kv("secret").try_get("app/db").error().name() << '\n';
    const auto found = vault.verify();
    std::cout << "verified         " << found.records << " records and " << found.audit_records << " audit records, whole and in order\n";
    vault.close();
    return denied.code() == VAULT_ERR_PERMISSION_DENIED ? 0 : 1;
}

int main() { return example::run(story); }
