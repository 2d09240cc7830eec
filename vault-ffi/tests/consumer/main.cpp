// A C++ program of somebody else's, which knows only what was installed.
#include <vault.hpp>

#include <cstdio>

int main() {
    vault::testing::Context context;
    context.root().kv("secret").put("app/db", R"({"password":"pa55-w0rd"})");
    const vault::Secret secret = context.root().kv("secret").get("app/db");
    std::printf("libvault %s\n", vault::version());
    return secret.text("password") == "pa55-w0rd" ? 0 : 1;
}
