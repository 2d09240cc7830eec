// Least privilege from C++: a token that may read one folder, what it is denied, and which rule of which policy decided.
#include "example.hpp"

static constexpr char POLICY[] = R"(path "secret/data/app/*"    { capabilities = ["read"] }
path "secret/data/app/root" { capabilities = ["deny"] })";

static int story() {
    const auto [vault, root] = example::in_memory();
    root.kv("secret").put("app/db", R"({"password": "pa55-w0rd"})");
    root.kv("secret").put("app/root", R"({"password": "r00t"})");

    root.write("sys/policies/acl/app", "{\"policy\": " + vault::quoted(POLICY) + "}");
    const vault::Secret made = root.write("auth/token/create", R"({"policies": ["app"], "ttl": "15m", "num_uses": 10})");
    const vault::Session app = vault.session(made.text("/auth/client_token"));
    const vault::Secret secret = app.kv("secret").get("app/db");
    std::cout << "allowed: app/db has a password of " << secret.text("password").size() << " characters\n";

    // Beside the rule above stands one that is narrower. What was decided is in the audit log, and can be asked beforehand.
    std::cout << "denied:  app/root: " << app.kv("secret").try_get("app/root").error().name() << '\n';
    vault::policy::Question question;
    question.path = "secret/data/app/root";
    const auto decision = vault::policy::evaluate({POLICY}, question);
    std::cout << "because: " << decision.explanation.text("text") << '\n';
    return decision.allowed ? 1 : 0;
}

int main() { return example::run(story); }
