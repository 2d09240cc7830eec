// Response wrapping from C++: a credential that is handed to another, who alone sees it, and can tell whether somebody was there before.
#include "example.hpp"

static int story() {
    const auto [vault, root] = example::in_memory();

    // The operator makes a token for the application, and gets a wrapping token in its place.
    vault::RequestOptions wrapped;
    wrapped.wrap_ttl = std::chrono::minutes(5);
    const vault::Secret reply = root.request(vault::Operation::Write, "auth/token/create", R"({"policies": ["default"], "ttl": "1h"})", wrapped);
    std::cout << "handed over: a token that lasts " << reply.text("/wrap_info/ttl") << " s and holds what "
              << reply.text("/wrap_info/creation_path") << " answered\n";

    // The application unwraps it with nothing but the wrapping token.
    const vault::Session handed = vault.session(reply.text("/wrap_info/token"));
    const vault::Secret unwrapped = handed.write("sys/wrapping/unwrap");
    const vault::Session app = vault.session(unwrapped.text("/auth/client_token"));
    const vault::Secret own = app.read("auth/token/lookup-self");
    std::cout << "the application's policies: " << own.text("/data/policies") << '\n';

    // Nobody unwraps a second time: whoever is told so raises the alarm.
    const auto again = handed.try_request(vault::Operation::Write, "sys/wrapping/unwrap");
    std::cout << "unwrapped again: " << again.error().what() << '\n';
    return again ? 1 : 0;
}

int main() { return example::run(story); }
