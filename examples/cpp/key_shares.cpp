// Key shares from C++: a vault that any 3 of 5 people open together, and a root token when the last one is lost.
#include "example.hpp"

static int story() {
    vault::Options options;
    options.key = vault::Key::shares();
    options.share_count = 5;
    options.share_threshold = 3;
    const vault::Created created = vault::create_with_shares(std::move(options));
    std::cout << "a vault in memory with 5 key shares, of which 3 open it\n";
    created.vault.seal();

    const auto mistyped = created.vault.try_unseal_share("lvs1not-a-share");
    std::cout << "a mistyped share: " << mistyped.error().what() << '\n';
    std::string lines;
    for (const char *share : {"/shares/4", "/shares/0", "/shares/2"}) {
        const auto progress = created.vault.unseal_share(created.init.text(share));
        if (progress.sealed) {
            std::cout << progress.given << " of 3 shares were given\n";
        } else {
            std::cout << "the vault is unsealed\n";
        }
        lines += std::string(created.init.text(share)) + "\n";
    }

    const vault::Secret token = created.vault.generate_root(vault::Key::shares(lines));
    // A std::string is not wiped by itself; what people hand in should not stay.
    vault::wipe(lines.data(), lines.size());
    std::cout << "a root token of " << token.json().size() << " characters from three shares\n";
    return created.vault.is_sealed() ? 1 : 0;
}

int main() { return example::run(story); }
