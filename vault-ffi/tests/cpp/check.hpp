// What the C++ tests share: checks that say what they checked, and the status of what must fail.
#ifndef CHECK_HPP
#define CHECK_HPP

#include "vault.hpp"

#include <cstdio>
#include <cstdlib>

// Says what was checked, and ends the program when it did not hold.
#define CHECK(what, condition) check((what), (condition), __FILE__, __LINE__)

inline void check(const char *what, bool holds, const char *file, int line) {
    if (!holds) {
        std::fprintf(stderr, "FAILED %s:%d: %s (last error %d: %s)\n", file, line, what, vault_last_error_code(), vault_last_error());
        std::exit(1);
    }
    std::printf("ok: %s\n", what);
}

// The status that the call throws; VAULT_OK where it throws nothing.
template <class F>
vault_status_t thrown(F &&call) {
    try {
        call();
        return VAULT_OK;
    } catch (const vault::Error &error) {
        return error.code();
    }
}

inline vault::Options in_memory() {
    static constexpr std::array<std::uint8_t, 32> key{7};
    vault::Options options;
    options.key = vault::Key::raw(key);
    return options;
}

#endif
