// What the examples share: a vault in memory with a session that may do everything, and how they end.
#ifndef EXAMPLE_HPP
#define EXAMPLE_HPP

#include "vault.hpp"

#include <iostream>

namespace example {

inline constexpr char PASSPHRASE[] = "correct horse battery staple";

// With these connectors of the library's (VAULT_DATABASE_). A service gives options.path, and keeps the key elsewhere.
inline std::pair<vault::Vault, vault::Session> in_memory(std::uint32_t databases = 0) {
    vault::Options options;
    options.databases = databases;
    options.key = vault::Key::passphrase(PASSPHRASE);
    vault::Created created = vault::create(std::move(options));
    vault::Session root = created.vault.session(created.init.json());
    return {std::move(created.vault), std::move(root)};
}

// Runs the example; a failure tells what is wrong and what to do.
template <class F>
int run(F &&story) {
    try {
        return story();
    } catch (const vault::Error &error) {
        std::cerr << error.name() << ": " << error.what() << '\n';
        return 1;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}

}  // namespace example

#endif
