// Backup and restore from C++: a stream that is written while the vault is in use, checked without a key, restored frozen and adopted.
#include "example.hpp"

#include <sstream>

static int story() {
    const auto [vault, root] = example::in_memory();
    root.kv("secret").put("app/db", R"({"password": "pa55-w0rd"})");
    // Tokens are in the backup too: an operator's works in the restored vault.
    const vault::Secret made = root.write("auth/token/create", R"({"policies": ["root"]})");

    // Any stream of bytes does; what it throws comes out of the call.
    std::stringstream stream;
    stream.exceptions(std::ios::badbit);
    const vault::Secret info = root.backup(
        [&](vault::Bytes bytes) { stream.write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size())); });
    std::cout << "backed up: " << info.text("records") << " records, " << info.text("bytes") << " bytes\n";

    const auto read = [&](vault::MutableBytes out) {
        stream.read(reinterpret_cast<char *>(out.data()), static_cast<std::streamsize>(out.size()));
        return static_cast<std::size_t>(stream.gcount());
    };
    vault::backup_verify(read);
    std::cout << "whole: neither cut nor altered, as anybody can check\n";

    stream.clear();
    stream.seekg(0);
    vault::Options options;
    options.key = vault::Key::passphrase(example::PASSPHRASE);
    const vault::Vault copy = vault::restore(std::move(options), read);
    const vault::Session restored = copy.session(made.text("/auth/client_token"));
    const auto frozen = restored.kv("secret").try_put("app/db", "{}");
    std::cout << "restored: writing answers " << frozen.error().name() << " until it is adopted\n";
    restored.write("sys/storage/adopt");
    const vault::Secret secret = restored.kv("secret").get("app/db");
    std::cout << "adopted: the password of " << secret.text("password").size() << " characters is there\n";
    return frozen.code() == VAULT_ERR_FROZEN ? 0 : 1;
}

int main() { return example::run(story); }
