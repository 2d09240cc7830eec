/*
 * vault.hpp: libvault for C++17 and later, in one header over vault.h.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Failures   Each operation has two names. `get` throws vault::Error; `try_get` answers a vault::Result and throws nothing of its own
 *            but std::bad_alloc. What a callback of yours throws in a call of `backup` and the like comes out of that call in both cases.
 * Handles    Vault, Session, Secret and LiveSecret are move-only and close themselves. One that was moved from answers VAULT_ERR_BAD_ARGUMENT.
 * Views      std::string_view and View<T> that come in are borrowed for the call. Those that come out of a Secret belong to it, and
 *            cannot be taken from a temporary.
 * Secrets    Secret and SecretString are wiped when they go. A std::string that you copy them into is not.
 * Callbacks  are std::functions. They are called from any thread, as vault.h says of each; what they throw is a failure of the duty.
 * Threads    Distinct objects may be used at once, and one Session or Vault by several threads, but not while it is moved or destroyed.
 */
#ifndef VAULT_HPP
#define VAULT_HPP

#include "vault.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace vault {

/// A view of contiguous things: a pointer and how many there are. It owns nothing.
template <class T>
class View {
public:
    constexpr View() noexcept = default;
    constexpr View(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N>
    constexpr View(T (&array)[N]) noexcept : data_(array), size_(N) {}
    /// Of anything with data() and size(): std::vector, std::array, std::span.
    template <class C, class = std::enable_if_t<std::is_convertible_v<decltype(std::declval<C &>().data()), T *>>>
    constexpr View(C &&container) noexcept : data_(container.data()), size_(container.size()) {}

    [[nodiscard]] constexpr T *data() const noexcept { return data_; }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
    [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] constexpr T *begin() const noexcept { return data_; }
    [[nodiscard]] constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t index) const noexcept { return data_[index]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

using Bytes = View<const std::uint8_t>;
using MutableBytes = View<std::uint8_t>;

/// Why a call failed: the status, its class, a text that says what to do (it holds no secret, token or path), and data as JSON.
class Error : public std::exception {
public:
    Error(vault_status_t code, std::string message, std::string data = {})
        : code_(code), message_(std::move(message)), data_(std::move(data)) {}

    /// The calling thread's last failure.
    static Error last() {
        Error error(vault_last_error_code(), vault_last_error());
        vault_secret_t *data = nullptr;
        if (vault_last_error_data(&data) == VAULT_OK) {
            error.data_.assign(vault_secret_data(data), vault_secret_len(data));
            vault_secret_free(data);
        }
        return error;
    }

    [[nodiscard]] const char *what() const noexcept override { return message_.c_str(); }
    [[nodiscard]] vault_status_t code() const noexcept { return code_; }
    [[nodiscard]] vault_class_t kind() const noexcept { return vault_status_class(code_); }
    /// The status by name, such as `CasMismatch`.
    [[nodiscard]] const char *name() const noexcept { return vault_status_name(code_); }
    /// Its class by name, such as `InvalidRequest`.
    [[nodiscard]] const char *kind_name() const noexcept { return vault_class_name(kind()); }
    /// What came with it, as JSON: the metadata of a deleted version; mostly empty.
    [[nodiscard]] const std::string &data() const noexcept { return data_; }

private:
    vault_status_t code_;
    std::string message_;
    std::string data_;
};

namespace detail {

/// Throws; a program that is compiled without exceptions ends instead.
[[noreturn]] inline void raise(Error error) {
#if defined(__cpp_exceptions)
    throw std::move(error);
#else
    static_cast<void>(error);
    std::abort();
#endif
}

}  // namespace detail

/// Overwrites memory in a way that no optimiser leaves out.
inline void wipe(void *memory, std::size_t size) noexcept {
    for (volatile unsigned char *byte = static_cast<volatile unsigned char *>(memory); size > 0; size--) {
        *byte++ = 0;
    }
}

/// What an operation answers, or why it failed. `value()` throws the error.
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : value_(std::move(value)) {}
    Result(Error error) : error_(std::move(error)) {}

    [[nodiscard]] bool ok() const noexcept { return value_.has_value(); }
    [[nodiscard]] explicit operator bool() const noexcept { return ok(); }
    [[nodiscard]] vault_status_t code() const noexcept { return error_ ? error_->code() : VAULT_OK; }
    /// Only where it failed.
    [[nodiscard]] const Error &error() const { return *error_; }
    [[nodiscard]] T &value() & { return check(), *value_; }
    [[nodiscard]] T &&value() && { return check(), std::move(*value_); }

private:
    void check() const {
        if (error_) {
            detail::raise(*error_);
        }
    }

    std::optional<T> value_;
    std::optional<Error> error_;
};

/// As above, where success has nothing to tell.
template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    [[nodiscard]] bool ok() const noexcept { return !error_; }
    [[nodiscard]] explicit operator bool() const noexcept { return ok(); }
    [[nodiscard]] vault_status_t code() const noexcept { return error_ ? error_->code() : VAULT_OK; }
    [[nodiscard]] const Error &error() const { return *error_; }
    void value() const {
        if (error_) {
            detail::raise(*error_);
        }
    }

private:
    std::optional<Error> error_;
};

/// Text of one's own that is wiped when it goes. Move-only; it never grows, so no copy is left behind.
class SecretString {
public:
    SecretString() noexcept = default;
    explicit SecretString(std::string_view text) : text_(new char[text.size() + 1]), size_(text.size()) {
        // An empty view may have no address.
        if (!text.empty()) {
            std::memcpy(text_.get(), text.data(), text.size());
        }
        text_[size_] = '\0';
    }
    explicit SecretString(Bytes bytes) : SecretString(std::string_view(reinterpret_cast<const char *>(bytes.data()), bytes.size())) {}
    SecretString(SecretString &&other) noexcept : text_(std::move(other.text_)), size_(std::exchange(other.size_, 0)) {}
    SecretString &operator=(SecretString &&other) noexcept {
        if (this != &other) {
            clear();
            text_ = std::move(other.text_);
            size_ = std::exchange(other.size_, 0);
        }
        return *this;
    }
    SecretString(const SecretString &) = delete;
    SecretString &operator=(const SecretString &) = delete;
    ~SecretString() { clear(); }

    /// Ends in a NUL; never NULL.
    [[nodiscard]] const char *c_str() const noexcept { return text_ ? text_.get() : ""; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::string_view view() const & noexcept { return {c_str(), size_}; }
    std::string_view view() const && = delete;

    void clear() noexcept {
        if (text_) {
            wipe(text_.get(), size_);
        }
        text_.reset();
        size_ = 0;
    }

private:
    std::unique_ptr<char[]> text_;
    std::size_t size_ = 0;
};

namespace detail {

/// A name or path as C reads it. A NUL within would cut it, so it is refused before the call.
class Name {
public:
    explicit Name(std::string_view text) : text_(text), is_whole_(text.find('\0') == std::string_view::npos) {}
    [[nodiscard]] const char *get() const noexcept { return text_.c_str(); }
    [[nodiscard]] bool is_whole() const noexcept { return is_whole_; }

private:
    std::string text_;
    bool is_whole_;
};

inline Error nul_within() { return Error(VAULT_ERR_BAD_ARGUMENT, "a name or a path holds a NUL: it would be read only up to there"); }

inline Result<void> done(vault_status_t status) { return status == VAULT_OK ? Result<void>() : Result<void>(Error::last()); }

/// An address where there is none, since NULL says something else to C.
inline const char *somewhere(std::string_view text) noexcept { return text.data() == nullptr ? "" : text.data(); }

inline const char *or_null(const std::string &text) noexcept { return text.empty() ? nullptr : text.c_str(); }

}  // namespace detail

/// A secret or a reply: read-only JSON in memory that is wiped when it goes.
class Secret {
public:
    Secret() noexcept = default;
    /// Takes a handle that C gave.
    explicit Secret(vault_secret_t *raw) noexcept : raw_(raw) {}
    Secret(Secret &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Secret &operator=(Secret &&other) noexcept {
        if (this != &other) {
            vault_secret_free(std::exchange(raw_, std::exchange(other.raw_, nullptr)));
        }
        return *this;
    }
    Secret(const Secret &) = delete;
    Secret &operator=(const Secret &) = delete;
    ~Secret() { vault_secret_free(raw_); }

    /// The whole content: JSON, or the bare text where it is one piece of text, such as a token. Empty where there is none.
    [[nodiscard]] std::string_view json() const & {
        const char *text = vault_secret_data(raw_);
        return text == nullptr ? std::string_view() : std::string_view(text, vault_secret_len(raw_));
    }
    std::string_view json() const && = delete;

    /// A member by its name, or by a JSON Pointer such as `/auth/client_token`: bare text, and JSON of what is no text.
    [[nodiscard]] std::string_view text(std::string_view name) const & { return try_text(name).value(); }
    std::string_view text(std::string_view name) const && = delete;
    Result<std::string_view> try_text(std::string_view name) const & {
        const detail::Name c_name(name);
        const char *data = nullptr;
        std::size_t size = 0;
        if (!c_name.is_whole()) {
            return detail::nul_within();
        }
        if (vault_secret_field(raw_, c_name.get(), &data, &size) != VAULT_OK) {
            return Error::last();
        }
        return std::string_view(data, size);
    }
    Result<std::string_view> try_text(std::string_view name) const && = delete;
    /// As `text`; none where there is no such member.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const & {
        Result<std::string_view> found = try_text(name);
        return found ? std::optional<std::string_view>(found.value()) : std::nullopt;
    }
    std::optional<std::string_view> find(std::string_view name) const && = delete;
    /// A copy of a member that outlives the secret, and is wiped too.
    [[nodiscard]] SecretString copy(std::string_view name) const { return SecretString(text(name)); }

    /// The version of what Kv::get gave; else 0.
    [[nodiscard]] std::uint64_t version() const noexcept { return vault_secret_version(raw_); }
    [[nodiscard]] vault_secret_t *raw() const noexcept { return raw_; }
    /// Gives the handle away: it is the caller's to free.
    [[nodiscard]] vault_secret_t *release() noexcept { return std::exchange(raw_, nullptr); }

private:
    vault_secret_t *raw_ = nullptr;
};

/// What opens a vault. What is in it is wiped when it goes.
class Key {
public:
    Key() noexcept = default;
    [[nodiscard]] static Key passphrase(std::string_view text) { return Key(VAULT_KEY_PASSPHRASE, SecretString(text)); }
    /// 32 random bytes.
    [[nodiscard]] static Key raw(Bytes bytes) { return Key(VAULT_KEY_RAW, SecretString(bytes)); }
    /// Key shares, one to a line. For a new vault give none, and set `share_count` and `share_threshold` of the options.
    [[nodiscard]] static Key shares(std::string_view lines = {}) { return Key(VAULT_KEY_SHARES, SecretString(lines)); }
    /// The key service of the options.
    [[nodiscard]] static Key wrapper() { return Key(VAULT_KEY_WRAPPER, SecretString()); }
    /// The token's key of the options.
    [[nodiscard]] static Key pkcs11() { return Key(VAULT_KEY_PKCS11, SecretString()); }

    [[nodiscard]] vault_key_kind_t kind() const noexcept { return kind_; }
    /// NULL for a key that has no bytes.
    [[nodiscard]] const char *data() const noexcept { return bytes_.empty() && kind_ != VAULT_KEY_PASSPHRASE ? nullptr : bytes_.c_str(); }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }

private:
    Key(vault_key_kind_t kind, SecretString bytes) noexcept : kind_(kind), bytes_(std::move(bytes)) {}

    vault_key_kind_t kind_ = VAULT_KEY_NONE;
    SecretString bytes_;
};

/// An outside key service (KMS, HSM). What a callback throws is a failure of the service.
struct KeyWrapper {
    std::string name;
    /// Encrypts `key` (32 bytes), with `context` authenticated where the service can do so.
    std::function<std::vector<std::uint8_t>(Bytes key, Bytes context)> wrap;
    /// Writes the 32 bytes to `out_key` that `wrap` encrypted under the same context.
    std::function<void(Bytes wrapped, Bytes context, MutableBytes out_key)> unwrap;
};

/// Keeps the newest commit where whoever rolls the store back cannot reach. The callbacks must not call the vault.
struct Anchor {
    /// What was stored last; empty when nothing ever was.
    std::function<std::vector<std::uint8_t>()> load;
    /// Stores durably in the place of what was there.
    std::function<void(Bytes state)> store;
};

/// Takes the events of the audit log in order, each at least once; after a throw all of them come again.
struct AuditSink {
    std::string name;
    std::function<void(View<const vault_audit_line_t> lines)> deliver;
};

/// A collector that is fed over a socket; see vault_audit_target_t.
struct AuditTarget {
    std::string name;
    std::string address;
    vault_audit_target_kind_t kind = VAULT_AUDIT_TARGET_TCP;
    bool acknowledged = false;
    std::string host = {};
    std::string application = {};
};

/// A key in an HSM or a smart card; see vault_pkcs11_t.
struct Pkcs11 {
    std::string module;
    std::string token_label;
    std::string token_serial;
    SecretString pin;
    std::string key_label;
    std::vector<std::uint8_t> key_id;
    std::string name;
};

/// A connection to a target system. Borrowed for the call that is given it.
struct Target {
    Bytes id;
    std::string_view config_json;
    std::string_view username;
    std::string_view password;
    std::string_view secrets_json;
};

/// An account at a target, and what is asked of it. Borrowed for the call that is given it.
struct Account {
    std::string_view username;
    std::optional<std::string_view> password;
    /// Milliseconds since the Unix epoch; 0 for never.
    std::uint64_t expires_ms;
    std::string_view statements_json;
    std::string_view rollback_json;
    /// Says why a duty failed; shown to operators and logged, so it must hold no secret. Too long a text is cut.
    std::function<void(std::string_view)> say_why;
};

/// What a duty answers. The vault decides by it what to do next, so it must be true. What throws counts as Unknown.
enum class Answer : vault_connector_answer_t {
    Ok = VAULT_CONNECTOR_OK,
    Refused = VAULT_CONNECTOR_REFUSED,
    Unauthenticated = VAULT_CONNECTOR_UNAUTHENTICATED,
    Unreachable = VAULT_CONNECTOR_UNREACHABLE,
    Unknown = VAULT_CONNECTOR_UNKNOWN,
    Misconfigured = VAULT_CONNECTOR_MISCONFIGURED,
};

/// Makes, renews and removes accounts at a target system; vault_connector_t says what each duty is. All but `forget` must be set.
struct Connector {
    using Duty = std::function<Answer(const Target &, const Account &)>;
    std::string name;
    std::function<Answer(const Target &, const Account &, bool verify)> check;
    Duty create;
    Duty renew;
    Duty revoke;
    Duty set_password;
    Duty test;
    std::function<void(Bytes id)> forget;
};

/// What has happened to a lease. Borrowed for the call that is given it.
struct LeaseNotice {
    std::string_view change;
    std::string_view lease_id;
    std::string_view namespace_path;
    std::uint64_t expires_ms;
};

/// What has happened to a credential that the vault rotates. Borrowed for the call that is given it.
struct RotationNotice {
    /// "promoted": whoever keeps the old password reads anew; "needs-attention": somebody has to look after it.
    std::string_view change;
    /// Such as "database/static-roles/app".
    std::string_view path;
    /// With a slash at its end; empty for the root namespace.
    std::string_view namespace_path;
    /// The number of the password that readers are given.
    std::uint64_t version;
    /// What happened, what holds and what to do; empty where it needs nobody.
    std::string_view what_to_do;
};

/// A line for the program's own log. Borrowed for the call that is given it.
struct LogLine {
    vault_log_level_t level;
    vault_status_t code;
    std::string_view topic;
    std::string_view message;
    std::uint64_t count;
};

/// How a vault is created or opened; the defaults are those of vault_options_t.
struct Options {
    /// The vault's directory; empty for a vault in memory.
    std::string path;
    Key key;
    vault_audit_mode_t audit_mode = VAULT_AUDIT_BATCHED;
    vault_backend_t backend = VAULT_BACKEND_DEFAULT;
    vault_dialect_t dialect = VAULT_DIALECT_VAULT;
    bool absolute_deny = false;
    bool accept_rollback = false;
    std::uint64_t cache_bytes = 0;
    std::uint64_t value_cache_bytes = 0;
    /// Zero for the library's own, a minute.
    std::chrono::seconds value_cache_ttl{0};
    std::uint32_t argon2_memory_kib = 0;
    std::uint32_t argon2_iterations = 0;
    std::uint32_t argon2_lanes = 0;
    std::uint32_t share_count = 0;
    std::uint32_t share_threshold = 0;
    std::optional<KeyWrapper> key_wrapper;
    std::optional<Pkcs11> pkcs11;
    std::optional<Anchor> anchor;
    std::chrono::seconds anchor_interval{0};
    std::vector<AuditSink> audit_sinks;
    std::vector<AuditTarget> audit_targets;
    std::string audit_file;
    std::vector<Connector> connectors;
    /// VAULT_DATABASE_ numbers, added together.
    std::uint32_t databases = 0;
    /// Is told of leases once that is durable, from several threads at once, under no lock of the vault: it may call the vault, and should return at
    /// once, since a request may wait for it. What it throws is dropped.
    std::function<void(const LeaseNotice &)> lease_hook;
    /// Is told of rotations, in the same way.
    std::function<void(const RotationNotice &)> rotation_hook;
    /// Milliseconds since the Unix epoch, instead of the system's clock. It must neither throw nor call the vault.
    std::function<std::uint64_t()> clock;
    /// Takes what the vault has to say that is neither an answer nor in the audit log; see vault_log_t.
    std::function<void(const LogLine &)> log;
};

namespace detail {

/// The callbacks of a vault. They stay in one place until the vault and all its sessions are gone.
struct Host {
    std::optional<KeyWrapper> key_wrapper;
    std::optional<Anchor> anchor;
    std::vector<AuditSink> audit_sinks;
    std::vector<Connector> connectors;
    std::function<void(const LeaseNotice &)> lease_hook;
    std::function<void(const RotationNotice &)> rotation_hook;
    std::function<std::uint64_t()> clock;
    std::function<void(const LogLine &)> log;
};

/// What a callback answers when it throws: nothing may unwind into C.
constexpr vault_status_t THREW = 1;

template <class F>
auto caught(F &&work, decltype(work()) otherwise) noexcept -> decltype(work()) {
#if defined(__cpp_exceptions)
    try {
        return work();
    } catch (...) {
        return otherwise;
    }
#else
    static_cast<void>(otherwise);
    return work();
#endif
}

inline vault_status_t wrap(void *user, const std::uint8_t *key, const std::uint8_t *context, std::size_t context_len, std::uint8_t *out,
                           std::size_t out_capacity, std::size_t *out_len) noexcept {
    return caught(
        [&] {
            const auto wrapped = static_cast<KeyWrapper *>(user)->wrap(Bytes(key, 32), Bytes(context, context_len));
            if (wrapped.size() > out_capacity) {
                return THREW;
            }
            std::copy(wrapped.begin(), wrapped.end(), out);
            *out_len = wrapped.size();
            return vault_status_t{VAULT_OK};
        },
        THREW);
}

inline vault_status_t unwrap(void *user, const std::uint8_t *wrapped, std::size_t wrapped_len, const std::uint8_t *context,
                             std::size_t context_len, std::uint8_t *out_key) noexcept {
    return caught(
        [&] {
            static_cast<KeyWrapper *>(user)->unwrap(Bytes(wrapped, wrapped_len), Bytes(context, context_len), MutableBytes(out_key, 32));
            return vault_status_t{VAULT_OK};
        },
        THREW);
}

inline vault_status_t load(void *user, std::uint8_t *out, std::size_t out_capacity, std::size_t *out_len) noexcept {
    return caught(
        [&] {
            const auto state = static_cast<Anchor *>(user)->load();
            if (state.size() > out_capacity) {
                return THREW;
            }
            std::copy(state.begin(), state.end(), out);
            *out_len = state.size();
            return vault_status_t{VAULT_OK};
        },
        THREW);
}

inline vault_status_t store(void *user, const std::uint8_t *state, std::size_t state_len) noexcept {
    return caught([&] { return static_cast<Anchor *>(user)->store(Bytes(state, state_len)), vault_status_t{VAULT_OK}; }, THREW);
}

inline vault_status_t deliver(void *user, const vault_audit_line_t *lines, std::size_t count) noexcept {
    using Lines = View<const vault_audit_line_t>;
    return caught([&] { return static_cast<AuditSink *>(user)->deliver(Lines(lines, count)), vault_status_t{VAULT_OK}; }, THREW);
}

/// Lays what C gives out for C++, and calls.
template <class F>
vault_connector_answer_t duty(const vault_target_t *of, const vault_account_t *given, F &&call) noexcept {
    return caught(
        [&] {
            const Target target{Bytes(of->id, 16), of->config_json, of->username, of->password, of->secrets_json};
            Account account{given->username, std::nullopt, given->expires_ms, given->statements_json, given->rollback_json, {}};
            if (given->password != nullptr) {
                account.password = given->password;
            }
            account.say_why = [given](std::string_view why) {
                if (given->message_capacity > 0) {
                    const std::size_t size = why.copy(given->message, given->message_capacity - 1);
                    given->message[size] = '\0';
                }
            };
            return static_cast<vault_connector_answer_t>(call(target, account));
        },
        vault_connector_answer_t{VAULT_CONNECTOR_UNKNOWN});
}

template <Connector::Duty Connector::*Member>
vault_connector_answer_t duty_of(void *user, const vault_target_t *of, const vault_account_t *account) noexcept {
    return duty(of, account, [user](const Target &target, const Account &asked) { return (static_cast<Connector *>(user)->*Member)(target, asked); });
}

inline vault_connector_answer_t check(void *user, const vault_target_t *of, const vault_account_t *account, std::int32_t verify) noexcept {
    return duty(of, account, [&](const Target &target, const Account &asked) {
        return static_cast<Connector *>(user)->check(target, asked, verify == 1);
    });
}

inline void forget(void *user, const std::uint8_t *id) noexcept {
    caught([&] { return static_cast<Connector *>(user)->forget(Bytes(id, 16)), true; }, false);
}

inline void lease_changed(void *user, const char *change, const char *lease_id, const char *namespace_path, std::uint64_t expires_ms) noexcept {
    caught([&] { return static_cast<Host *>(user)->lease_hook({change, lease_id, namespace_path, expires_ms}), true; }, false);
}

inline void rotation_changed(void *user, const vault_rotation_notice_t *notice) noexcept {
    caught(
        [&] {
            static_cast<Host *>(user)->rotation_hook({notice->change, notice->path, notice->namespace_path, notice->version,
                                                      notice->what_to_do == nullptr ? std::string_view() : notice->what_to_do});
            return true;
        },
        false);
}

inline void log_line(void *user, const vault_log_line_t *line) noexcept {
    caught([&] { return static_cast<Host *>(user)->log({line->level, line->code, line->topic, line->message, line->count}), true; }, false);
}

inline std::uint64_t now_ms(void *user) noexcept { return static_cast<Host *>(user)->clock(); }

/// A function where a std::function is set, else NULL, so that C says what is missing.
template <class C, class F>
C where_set(const F &function, C callback) noexcept {
    return function ? callback : nullptr;
}

/// Options as C reads them; valid as long as it lives. The callbacks have gone into `host`.
class Lowered {
public:
    explicit Lowered(Options options) : host(std::make_shared<Host>()), own_(std::move(options)), is_whole_(has_no_nul(own_)) {
        vault_options_init(&c);
        plain_members();
        callbacks();
        connectors();
    }
    Lowered(const Lowered &) = delete;
    Lowered &operator=(const Lowered &) = delete;

    /// Whether no text of the options is cut by a NUL.
    [[nodiscard]] bool is_whole() const noexcept { return is_whole_; }

    vault_options_t c{};
    std::shared_ptr<Host> host;

private:
    static bool has_no_nul(const Options &options) {
        const auto whole = [](const std::string &text) { return text.find('\0') == std::string::npos; };
        bool all = whole(options.path) && whole(options.audit_file) && (!options.key_wrapper || whole(options.key_wrapper->name));
        for (const AuditSink &sink : options.audit_sinks) {
            all = all && whole(sink.name);
        }
        for (const AuditTarget &target : options.audit_targets) {
            all = all && whole(target.name) && whole(target.address) && whole(target.host) && whole(target.application);
        }
        for (const Connector &connector : options.connectors) {
            all = all && whole(connector.name);
        }
        if (options.pkcs11) {
            const Pkcs11 &key = *options.pkcs11;
            all = all && whole(key.module) && whole(key.token_label) && whole(key.token_serial) && whole(key.key_label) && whole(key.name);
        }
        return all;
    }

    void plain_members() {
        c.path = or_null(own_.path);
        c.key_kind = own_.key.kind();
        c.key = own_.key.data();
        c.key_len = own_.key.size();
        c.audit_mode = own_.audit_mode;
        c.backend = own_.backend;
        c.dialect = own_.dialect;
        c.absolute_deny = own_.absolute_deny ? 1 : 0;
        c.accept_rollback = own_.accept_rollback ? 1 : 0;
        c.cache_bytes = own_.cache_bytes;
        c.value_cache_bytes = own_.value_cache_bytes;
        c.value_cache_ttl_s = static_cast<std::uint64_t>(own_.value_cache_ttl.count());
        c.argon2_memory_kib = own_.argon2_memory_kib;
        c.argon2_iterations = own_.argon2_iterations;
        c.argon2_lanes = own_.argon2_lanes;
        c.share_count = own_.share_count;
        c.share_threshold = own_.share_threshold;
        c.anchor_interval_s = static_cast<std::uint64_t>(own_.anchor_interval.count());
        c.audit_file = or_null(own_.audit_file);
        c.databases = own_.databases;
        for (const AuditTarget &target : own_.audit_targets) {
            targets_.push_back({target.name.c_str(), target.address.c_str(), target.kind, target.acknowledged ? 1U : 0U, or_null(target.host),
                                or_null(target.application)});
        }
        c.audit_targets = targets_.data();
        c.audit_target_count = targets_.size();
        if (own_.pkcs11) {
            const Pkcs11 &key = *own_.pkcs11;
            pkcs11_ = {key.module.c_str(),      or_null(key.token_label), or_null(key.token_serial),
                       key.pin.c_str(),         key.pin.size(),           key.key_label.c_str(),
                       key.key_id.empty() ? nullptr : key.key_id.data(), key.key_id.size(),        or_null(key.name)};
            c.pkcs11 = &pkcs11_;
        }
    }

    void callbacks() {
        host->key_wrapper = std::move(own_.key_wrapper);
        host->anchor = std::move(own_.anchor);
        host->audit_sinks = std::move(own_.audit_sinks);
        host->lease_hook = std::move(own_.lease_hook);
        host->rotation_hook = std::move(own_.rotation_hook);
        host->clock = std::move(own_.clock);
        host->log = std::move(own_.log);
        if (host->key_wrapper) {
            KeyWrapper &wrapper = *host->key_wrapper;
            wrapper_ = {wrapper.name.c_str(), &wrapper, where_set(wrapper.wrap, &detail::wrap), where_set(wrapper.unwrap, &detail::unwrap)};
            c.key_wrapper = &wrapper_;
        }
        if (host->anchor) {
            anchor_ = {&*host->anchor, where_set(host->anchor->load, &detail::load), where_set(host->anchor->store, &detail::store)};
            c.anchor = &anchor_;
        }
        for (AuditSink &sink : host->audit_sinks) {
            sinks_.push_back({sink.name.c_str(), &sink, where_set(sink.deliver, &detail::deliver)});
        }
        c.audit_sinks = sinks_.data();
        c.audit_sink_count = sinks_.size();
        if (host->lease_hook) {
            lease_hook_ = {host.get(), &lease_changed};
            c.lease_hook = &lease_hook_;
        }
        if (host->rotation_hook) {
            rotation_hook_ = {host.get(), &rotation_changed};
            c.rotation_hook = &rotation_hook_;
        }
        if (host->clock) {
            clock_ = {host.get(), &now_ms};
            c.clock = &clock_;
        }
        if (host->log) {
            log_ = {host.get(), &log_line};
            c.log = &log_;
        }
    }

    void connectors() {
        host->connectors = std::move(own_.connectors);
        for (Connector &own : host->connectors) {
            connectors_.push_back({own.name.c_str(), &own, where_set(own.check, &detail::check),
                                   where_set(own.create, &duty_of<&Connector::create>), where_set(own.renew, &duty_of<&Connector::renew>),
                                   where_set(own.revoke, &duty_of<&Connector::revoke>),
                                   where_set(own.set_password, &duty_of<&Connector::set_password>),
                                   where_set(own.test, &duty_of<&Connector::test>), where_set(own.forget, &detail::forget)});
        }
        c.connectors = connectors_.data();
        c.connector_count = connectors_.size();
    }

    Options own_;
    bool is_whole_;
    vault_key_wrapper_t wrapper_{};
    vault_anchor_t anchor_{};
    vault_lease_hook_t lease_hook_{};
    vault_rotation_hook_t rotation_hook_{};
    vault_clock_t clock_{};
    vault_log_t log_{};
    vault_pkcs11_t pkcs11_{};
    std::vector<vault_audit_sink_t> sinks_;
    std::vector<vault_audit_target_t> targets_;
    std::vector<vault_connector_t> connectors_;
};

/// A stream's callback with what it threw, which is thrown anew once C has returned.
template <class F>
struct Stream {
    F function;
    std::exception_ptr threw;

    void rethrow() const {
#if defined(__cpp_exceptions)
        if (threw) {
            std::rethrow_exception(threw);
        }
#endif
    }

    template <class W>
    vault_status_t run(W &&work) noexcept {
#if defined(__cpp_exceptions)
        try {
            work();
            return VAULT_OK;
        } catch (...) {
            threw = std::current_exception();
            return THREW;
        }
#else
        work();
        return VAULT_OK;
#endif
    }
};

/// Lends a secret of C's to a function, and gives it back.
template <class F>
void lend(const vault_secret_t *raw, F &&to) {
    struct Lent {
        Secret secret;
        ~Lent() { static_cast<void>(secret.release()); }
    } lent{Secret(const_cast<vault_secret_t *>(raw))};
    to(lent.secret);
}

using Attempt = Stream<std::function<bool(const Secret &)>>;

inline std::int32_t attempt_once(void *user, const vault_secret_t *raw) noexcept {
    Attempt &attempt = *static_cast<Attempt *>(user);
    bool accepted = true;
    attempt.run([&] { lend(raw, [&](const Secret &secret) { accepted = attempt.function(secret); }); });
    return accepted ? 0 : VAULT_ATTEMPT_REFUSED;
}

using Changed = std::function<void(const Secret *secret, vault_status_t status)>;

/// Who is told of changes, by number: a call that comes too late finds nobody instead of one who is gone.
class Listeners {
public:
    static Listeners &all() {
        static Listeners listeners;
        return listeners;
    }
    std::uintptr_t add(Changed changed) {
        const std::lock_guard<std::mutex> held(lock_);
        listeners_.emplace(++last_, std::make_shared<Changed>(std::move(changed)));
        return last_;
    }
    void remove(std::uintptr_t number) {
        const std::lock_guard<std::mutex> held(lock_);
        listeners_.erase(number);
    }
    std::shared_ptr<Changed> find(std::uintptr_t number) {
        const std::lock_guard<std::mutex> held(lock_);
        const auto found = listeners_.find(number);
        return found == listeners_.end() ? nullptr : found->second;
    }

private:
    std::mutex lock_;
    std::map<std::uintptr_t, std::shared_ptr<Changed>> listeners_;
    std::uintptr_t last_ = 0;
};

inline void changed(void *user, const vault_secret_t *raw, vault_status_t status) noexcept {
    caught(
        [&] {
            const std::shared_ptr<Changed> listener = Listeners::all().find(reinterpret_cast<std::uintptr_t>(user));
            if (listener && raw == nullptr) {
                (*listener)(nullptr, status);
            } else if (listener) {
                lend(raw, [&](const Secret &secret) { (*listener)(&secret, status); });
            }
            return true;
        },
        false);
}

using Writer = Stream<std::function<void(Bytes)>>;
using Reader = Stream<std::function<std::size_t(MutableBytes)>>;

inline vault_status_t write_some(void *user, const std::uint8_t *bytes, std::size_t len) noexcept {
    Writer &writer = *static_cast<Writer *>(user);
    return writer.run([&] { writer.function(Bytes(bytes, len)); });
}

inline vault_status_t read_some(void *user, std::uint8_t *out, std::size_t capacity, std::size_t *out_len) noexcept {
    Reader &reader = *static_cast<Reader *>(user);
    return reader.run([&] { *out_len = reader.function(MutableBytes(out, capacity)); });
}

}  // namespace detail

/// What a request asks for.
enum class Operation : vault_operation_t {
    Read = VAULT_OP_READ,
    List = VAULT_OP_LIST,
    Write = VAULT_OP_WRITE,
    Patch = VAULT_OP_PATCH,
    Delete = VAULT_OP_DELETE,
};

/// What a request may have beside what is asked.
struct RequestOptions {
    /// For how long the reply is kept behind a wrapping token; 0 for a plain reply.
    std::chrono::seconds wrap_ttl{0};
    std::string remote_address = {};
    std::string correlation_id = {};
};

/// Text as a JSON string, with its quotes: for building requests.
[[nodiscard]] inline std::string quoted(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string json = "\"";
    for (const char letter : text) {
        const auto byte = static_cast<unsigned char>(letter);
        if (letter == '"' || letter == '\\') {
            json += '\\';
            json += letter;
        } else if (byte < 0x20) {
            json += "\\u00";
            json += digits[byte >> 4];
            json += digits[byte & 15];
        } else {
            json += letter;
        }
    }
    return json + '"';
}

/// A secret that stays current: look at it as often as you like, the store is asked only when something has changed. Keep one for each secret.
class LiveSecret {
public:
    LiveSecret() noexcept = default;
    LiveSecret(LiveSecret &&other) noexcept
        : raw_(std::exchange(other.raw_, nullptr)), listener_(std::exchange(other.listener_, 0)), host_(std::move(other.host_)) {}
    LiveSecret &operator=(LiveSecret &&other) noexcept {
        if (this != &other) {
            clear();
            raw_ = std::exchange(other.raw_, nullptr);
            listener_ = std::exchange(other.listener_, 0);
            host_ = std::move(other.host_);
        }
        return *this;
    }
    LiveSecret(const LiveSecret &) = delete;
    LiveSecret &operator=(const LiveSecret &) = delete;
    ~LiveSecret() { clear(); }

    /// The secret as it is now, with its version.
    [[nodiscard]] Secret get() const { return try_get().value(); }
    Result<Secret> try_get() const { return read(&vault_live_secret_get); }

    /// Reads it whether it has changed or not.
    Secret refresh() const { return try_refresh().value(); }
    Result<Secret> try_refresh() const { return read(&vault_live_secret_refresh); }

    /// Whether what `get` gave last is still what it would give. It asks no store and takes no lock.
    [[nodiscard]] bool is_current() const noexcept { return vault_live_secret_is_current(raw_); }

    /// Lets `attempt` use the secret. Where that answers false, since the credential was refused, the secret is read anew and the attempt made
    /// once more. Answers what the last attempt did; what one throws comes out of this call.
    bool with_retry(std::function<bool(const Secret &)> attempt) const { return try_with_retry(std::move(attempt)).value(); }
    Result<bool> try_with_retry(std::function<bool(const Secret &)> attempt) const {
        detail::Attempt once{std::move(attempt), nullptr};
        std::int32_t answer = 0;
        const vault_status_t status =
            vault_live_secret_with_retry(raw_, detail::where_set(once.function, &detail::attempt_once), &once, &answer);
        once.rethrow();
        return status == VAULT_OK ? Result<bool>(answer != VAULT_ATTEMPT_REFUSED) : Error::last();
    }

    /// Calls `changed` whenever a tick finds another secret, or, with NULL and the reason, that it can no longer be read. It takes the place of
    /// the one before; an empty function is none. Called by whoever ticks; what it throws is dropped.
    void on_change(std::function<void(const Secret *secret, vault_status_t status)> changed) { try_on_change(std::move(changed)).value(); }
    Result<void> try_on_change(std::function<void(const Secret *secret, vault_status_t status)> changed) {
        const std::uintptr_t number = changed ? detail::Listeners::all().add(std::move(changed)) : 0;
        const vault_status_t status =
            vault_live_secret_on_change(raw_, number == 0 ? nullptr : &detail::changed, reinterpret_cast<void *>(number));
        // The one that is not called from now on: the new one where it failed.
        detail::Listeners::all().remove(status == VAULT_OK ? std::exchange(listener_, number) : number);
        return detail::done(status);
    }

    [[nodiscard]] vault_live_secret_t *raw() const noexcept { return raw_; }

private:
    friend class Kv;
    friend class Session;
    LiveSecret(vault_live_secret_t *raw, std::shared_ptr<detail::Host> host) noexcept : raw_(raw), host_(std::move(host)) {}

    template <class F>
    Result<Secret> read(F by) const {
        vault_secret_t *secret = nullptr;
        return by(raw_, &secret) == VAULT_OK ? Result<Secret>(Secret(secret)) : Error::last();
    }
    void clear() noexcept {
        vault_live_secret_free(std::exchange(raw_, nullptr));
        if (listener_ != 0) {
            detail::Listeners::all().remove(std::exchange(listener_, 0));
        }
    }

    vault_live_secret_t *raw_ = nullptr;
    std::uintptr_t listener_ = 0;
    std::shared_ptr<detail::Host> host_;
};

class Session;

/// A KV version 2 mount, under a session that must outlive it.
class Kv {
public:
    /// Reads a secret; version 0 is the newest.
    [[nodiscard]] Secret get(std::string_view path, std::uint64_t version = 0) const { return try_get(path, version).value(); }
    Result<Secret> try_get(std::string_view path, std::uint64_t version = 0) const {
        const detail::Name name(path);
        vault_secret_t *raw = nullptr;
        if (!is_whole(name)) {
            return detail::nul_within();
        }
        return vault_kv_get(session_, mount_.get(), name.get(), version, &raw) == VAULT_OK ? Result<Secret>(Secret(raw)) : Error::last();
    }

    /// Writes a new version, a JSON object, and answers its number. With `cas`, only if that is the current version; 0: if there is none.
    std::uint64_t put(std::string_view path, std::string_view json, std::optional<std::uint64_t> cas = std::nullopt) const {
        return try_put(path, json, cas).value();
    }
    Result<std::uint64_t> try_put(std::string_view path, std::string_view json, std::optional<std::uint64_t> cas = std::nullopt) const {
        const detail::Name name(path);
        std::uint64_t version = 0;
        if (!is_whole(name)) {
            return detail::nul_within();
        }
        if (cas && *cas > static_cast<std::uint64_t>(INT64_MAX)) {
            return Error(VAULT_ERR_BAD_ARGUMENT, "cas is past every version");
        }
        const std::int64_t check = cas ? static_cast<std::int64_t>(*cas) : VAULT_KV_CAS_NONE;
        const vault_status_t status = vault_kv_put(session_, mount_.get(), name.get(), detail::somewhere(json), json.size(), check, &version);
        return status == VAULT_OK ? Result<std::uint64_t>(version) : Error::last();
    }

    /// The names directly below a folder, as a JSON array; folders end in a slash.
    [[nodiscard]] Secret list(std::string_view folder = "") const { return try_list(folder).value(); }
    Result<Secret> try_list(std::string_view folder = "") const {
        const detail::Name name(folder);
        vault_secret_t *raw = nullptr;
        if (!is_whole(name)) {
            return detail::nul_within();
        }
        return vault_kv_list(session_, mount_.get(), name.get(), &raw) == VAULT_OK ? Result<Secret>(Secret(raw)) : Error::last();
    }

    /// A secret of the mount that stays current. It is read at its first use, and outlives the session.
    [[nodiscard]] LiveSecret live(std::string_view path) const { return try_live(path).value(); }
    Result<LiveSecret> try_live(std::string_view path) const {
        const detail::Name name(path);
        vault_live_secret_t *raw = nullptr;
        if (!is_whole(name)) {
            return detail::nul_within();
        }
        return vault_kv_live(session_, mount_.get(), name.get(), &raw) == VAULT_OK ? Result<LiveSecret>(LiveSecret(raw, host_)) : Error::last();
    }

private:
    friend class Session;
    Kv(vault_session_t *session, std::shared_ptr<detail::Host> host, std::string_view mount)
        : session_(session), host_(std::move(host)), mount_(mount) {}
    [[nodiscard]] bool is_whole(const detail::Name &name) const noexcept { return mount_.is_whole() && name.is_whole(); }

    vault_session_t *session_;
    std::shared_ptr<detail::Host> host_;
    detail::Name mount_;
};

/// The requests of one token. It may outlive its vault; its requests then answer VAULT_ERR_CLOSED.
class Session {
public:
    Session() noexcept = default;
    Session(Session &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)), host_(std::move(other.host_)) {}
    Session &operator=(Session &&other) noexcept {
        if (this != &other) {
            vault_session_close(std::exchange(raw_, std::exchange(other.raw_, nullptr)));
            host_ = std::move(other.host_);
        }
        return *this;
    }
    Session(const Session &) = delete;
    Session &operator=(const Session &) = delete;
    ~Session() { vault_session_close(raw_); }

    /// Carries out a request of the logical API; `json` is an object, or empty for none.
    Secret request(Operation operation, std::string_view path, std::string_view json = {}, const RequestOptions &options = {}) const {
        return try_request(operation, path, json, options).value();
    }
    Result<Secret> try_request(Operation operation, std::string_view path, std::string_view json = {}, const RequestOptions &options = {}) const {
        const detail::Name name(path);
        vault_request_options_t asked{};
        asked.size = sizeof asked;
        asked.wrap_ttl_seconds = static_cast<std::uint64_t>(options.wrap_ttl.count());
        asked.remote_address = detail::or_null(options.remote_address);
        asked.correlation_id = detail::or_null(options.correlation_id);
        vault_secret_t *raw = nullptr;
        const bool whole = options.remote_address.find('\0') == std::string::npos && options.correlation_id.find('\0') == std::string::npos;
        if (!name.is_whole() || !whole) {
            return detail::nul_within();
        }
        const char *data = json.empty() ? nullptr : json.data();
        const auto number = static_cast<vault_operation_t>(operation);
        const vault_status_t status = vault_request_with(raw_, number, name.get(), data, json.size(), &asked, &raw);
        return status == VAULT_OK ? Result<Secret>(Secret(raw)) : Error::last();
    }
    Secret read(std::string_view path, std::string_view json = {}) const { return request(Operation::Read, path, json); }
    Secret write(std::string_view path, std::string_view json = {}) const { return request(Operation::Write, path, json); }

    /// A KV version 2 mount, such as `secret`.
    [[nodiscard]] Kv kv(std::string_view mount) const & { return Kv(raw_, host_, mount); }
    Kv kv(std::string_view mount) const && = delete;

    /// Who has had what is out (`path`, `prefix`, `accessor` or `entity`, and `since` and `after`; JSON), and what hangs on it. Changes nothing.
    [[nodiscard]] Secret emergency_look(std::string_view json) const { return try_emergency_look(json).value(); }
    Result<Secret> try_emergency_look(std::string_view json) const {
        vault_secret_t *raw = nullptr;
        const vault_status_t status = vault_emergency_look(raw_, detail::somewhere(json), json.size(), &raw);
        return status == VAULT_OK ? Result<Secret>(Secret(raw)) : Error::last();
    }

    /// Ends what a look finds, with a line for each step: see vault_emergency_contain. `"dry_run": true` tells what it would do.
    Secret emergency_contain(std::string_view json) const { return try_emergency_contain(json).value(); }
    Result<Secret> try_emergency_contain(std::string_view json) const {
        vault_secret_t *raw = nullptr;
        const vault_status_t status = vault_emergency_contain(raw_, detail::somewhere(json), json.size(), &raw);
        return status == VAULT_OK ? Result<Secret>(Secret(raw)) : Error::last();
    }

    /// A session of the same token in a namespace below this one's.
    [[nodiscard]] Session in_namespace(std::string_view path) const { return try_in_namespace(path).value(); }
    Result<Session> try_in_namespace(std::string_view path) const {
        const detail::Name name(path);
        vault_session_t *raw = nullptr;
        if (!name.is_whole()) {
            return detail::nul_within();
        }
        return vault_session_namespace(raw_, name.get(), &raw) == VAULT_OK ? Result<Session>(Session(raw, host_)) : Error::last();
    }

    /// What is read at a path of an engine, such as `kv1/app`, kept current. It is read at its first use, and outlives the session.
    [[nodiscard]] LiveSecret live(std::string_view path) const { return try_live(path).value(); }
    Result<LiveSecret> try_live(std::string_view path) const {
        const detail::Name name(path);
        vault_live_secret_t *raw = nullptr;
        if (!name.is_whole()) {
            return detail::nul_within();
        }
        return vault_session_live(raw_, name.get(), &raw) == VAULT_OK ? Result<LiveSecret>(LiveSecret(raw, host_)) : Error::last();
    }

    /// The account of a static role with its password as it is now; its version is the password's number.
    [[nodiscard]] Secret static_creds(std::string_view mount, std::string_view role) const { return try_static_creds(mount, role).value(); }
    Result<Secret> try_static_creds(std::string_view mount, std::string_view role) const { return of_role(&vault_static_creds, mount, role); }

    /// A static role and where its rotation stands, without its password.
    [[nodiscard]] Secret static_role(std::string_view mount, std::string_view role) const { return try_static_role(mount, role).value(); }
    Result<Secret> try_static_role(std::string_view mount, std::string_view role) const { return of_role(&vault_static_role, mount, role); }

    /// Goes through a role's rotation without promoting anything, and reports.
    Secret rehearse_role(std::string_view mount, std::string_view role) const { return try_rehearse_role(mount, role).value(); }
    Result<Secret> try_rehearse_role(std::string_view mount, std::string_view role) const { return of_role(&vault_rehearse_role, mount, role); }

    /// Replaces a role's password now.
    void rotate_role(std::string_view mount, std::string_view role) const { try_rotate_role(mount, role).value(); }
    Result<void> try_rotate_role(std::string_view mount, std::string_view role) const {
        const detail::Name c_mount(mount);
        const detail::Name c_role(role);
        if (!c_mount.is_whole() || !c_role.is_whole()) {
            return detail::nul_within();
        }
        return detail::done(vault_rotate_role(raw_, c_mount.get(), c_role.get()));
    }

    /// Writes a backup as it is at one moment; `write` is given the bytes in order. Answers what it says of itself.
    Secret backup(std::function<void(Bytes)> write) const { return try_backup(std::move(write)).value(); }
    Result<Secret> try_backup(std::function<void(Bytes)> write) const {
        detail::Writer writer{std::move(write), nullptr};
        vault_secret_t *info = nullptr;
        const vault_status_t status = vault_backup(raw_, detail::where_set(writer.function, &detail::write_some), &writer, nullptr, &info);
        writer.rethrow();
        return status == VAULT_OK ? Result<Secret>(Secret(info)) : Error::last();
    }

    /// Writes the events of the audit log after the one of that number as JSON lines, and answers how many there were.
    std::uint64_t audit_export(std::uint64_t after, std::function<void(Bytes)> write) const { return try_audit_export(after, std::move(write)).value(); }
    Result<std::uint64_t> try_audit_export(std::uint64_t after, std::function<void(Bytes)> write) const {
        detail::Writer writer{std::move(write), nullptr};
        std::uint64_t count = 0;
        const vault_status_t status = vault_audit_export(raw_, after, detail::where_set(writer.function, &detail::write_some), &writer, &count);
        writer.rethrow();
        return status == VAULT_OK ? Result<std::uint64_t>(count) : Error::last();
    }

    [[nodiscard]] vault_session_t *raw() const noexcept { return raw_; }

private:
    friend class Vault;
    template <class F>
    Result<Secret> of_role(F ask, std::string_view mount, std::string_view role) const {
        const detail::Name c_mount(mount);
        const detail::Name c_role(role);
        vault_secret_t *answer = nullptr;
        if (!c_mount.is_whole() || !c_role.is_whole()) {
            return detail::nul_within();
        }
        return ask(raw_, c_mount.get(), c_role.get(), &answer) == VAULT_OK ? Result<Secret>(Secret(answer)) : Error::last();
    }
    Session(vault_session_t *raw, std::shared_ptr<detail::Host> host) noexcept : raw_(raw), host_(std::move(host)) {}

    vault_session_t *raw_ = nullptr;
    std::shared_ptr<detail::Host> host_;
};

/// An open vault, sealed or unsealed.
class Vault {
public:
    Vault() noexcept = default;
    Vault(Vault &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)), host_(std::move(other.host_)) {}
    Vault &operator=(Vault &&other) noexcept {
        if (this != &other) {
            vault_close(std::exchange(raw_, std::exchange(other.raw_, nullptr)));
            host_ = std::move(other.host_);
        }
        return *this;
    }
    Vault(const Vault &) = delete;
    Vault &operator=(const Vault &) = delete;
    /// Closes it. What cannot be written then is not told: call `close` to learn of it.
    ~Vault() { vault_close(raw_); }

    void close() { try_close().value(); }
    Result<void> try_close() { return detail::done(vault_close(std::exchange(raw_, nullptr))); }

    /// A session under a token, which is looked at with each request. An empty one is allowed: some requests need none.
    [[nodiscard]] Session session(std::string_view token) const { return try_session(token).value(); }
    Result<Session> try_session(std::string_view token) const {
        vault_session_t *raw = nullptr;
        const vault_status_t status = vault_session_open(raw_, detail::somewhere(token), token.size(), &raw);
        return status == VAULT_OK ? Result<Session>(Session(raw, host_)) : Error::last();
    }

    void unseal(const Key &key) const { try_unseal(key).value(); }
    Result<void> try_unseal(const Key &key) const { return detail::done(vault_unseal(raw_, key.kind(), key.data(), key.size())); }

    /// What giving a share led to.
    struct Progress {
        bool sealed;
        std::size_t given;
    };
    Progress unseal_share(std::string_view share) const { return try_unseal_share(share).value(); }
    Result<Progress> try_unseal_share(std::string_view share) const {
        const SecretString text(share);
        Progress progress{false, 0};
        if (share.find('\0') != std::string_view::npos) {
            return detail::nul_within();
        }
        const vault_status_t status = vault_unseal_share(raw_, text.c_str(), &progress.sealed, &progress.given);
        return status == VAULT_OK ? Result<Progress>(progress) : Error::last();
    }

    [[nodiscard]] Secret generate_root(const Key &key) const { return try_generate_root(key).value(); }
    Result<Secret> try_generate_root(const Key &key) const {
        vault_secret_t *token = nullptr;
        const vault_status_t status = vault_generate_root(raw_, key.kind(), key.data(), key.size(), &token);
        return status == VAULT_OK ? Result<Secret>(Secret(token)) : Error::last();
    }

    void seal() const { try_seal().value(); }
    Result<void> try_seal() const { return detail::done(vault_seal(raw_)); }

    [[nodiscard]] bool is_sealed() const { return try_is_sealed().value(); }
    Result<bool> try_is_sealed() const {
        bool sealed = false;
        return vault_seal_status(raw_, &sealed) == VAULT_OK ? Result<bool>(sealed) : Error::last();
    }

    /// Does what is due. Answers when it wants to be called next, in milliseconds since the Unix epoch; none when nothing is due.
    std::optional<std::int64_t> tick() const { return try_tick().value(); }
    Result<std::optional<std::int64_t>> try_tick() const {
        std::int64_t next = 0;
        if (vault_tick(raw_, &next) != VAULT_OK) {
            return Error::last();
        }
        return next < 0 ? std::optional<std::int64_t>() : std::optional<std::int64_t>(next);
    }

    /// How many records were found whole.
    struct Verified {
        std::uint64_t records;
        std::uint64_t audit_records;
    };
    Verified verify() const { return try_verify().value(); }
    Result<Verified> try_verify() const {
        Verified found{0, 0};
        return vault_verify(raw_, &found.records, &found.audit_records) == VAULT_OK ? Result<Verified>(found) : Error::last();
    }

    /// How large the records are on the device, before and after.
    struct Compacted {
        std::uint64_t bytes_before;
        std::uint64_t bytes_after;
    };
    Compacted compact() const { return try_compact().value(); }
    Result<Compacted> try_compact() const {
        Compacted sizes{0, 0};
        return vault_compact(raw_, &sizes.bytes_before, &sizes.bytes_after) == VAULT_OK ? Result<Compacted>(sizes) : Error::last();
    }

    /// What the vault has counted, in the text format of Prometheus.
    [[nodiscard]] Secret metrics() const { return try_metrics().value(); }
    Result<Secret> try_metrics() const {
        vault_secret_t *text = nullptr;
        return vault_metrics(raw_, &text) == VAULT_OK ? Result<Secret>(Secret(text)) : Error::last();
    }

    [[nodiscard]] vault_t *raw() const noexcept { return raw_; }

private:
    friend struct Opening;
    Vault(vault_t *raw, std::shared_ptr<detail::Host> host) noexcept : raw_(raw), host_(std::move(host)) {}

    vault_t *raw_ = nullptr;
    std::shared_ptr<detail::Host> host_;
};

/// A new vault, with what is told only here: the root token as the whole content, or `root_token` and `shares` as JSON.
struct Created {
    Vault vault;
    Secret init;
};

/// A vault that was salvaged, and what was taken and lost.
struct Salvaged {
    Vault vault;
    Secret report;
};

/// How vaults come to be open; the functions below have its parts by shorter names.
struct Opening {
    static Result<Created> create(Options options) { return creating(std::move(options), &vault_create); }
    static Result<Created> create_with_shares(Options options) { return creating(std::move(options), &vault_create_with_shares); }

    static Result<Vault> open(Options options) {
        const detail::Lowered lowered(std::move(options));
        vault_t *raw = nullptr;
        if (!lowered.is_whole()) {
            return detail::nul_within();
        }
        return vault_open(&lowered.c, &raw) == VAULT_OK ? Result<Vault>(Vault(raw, lowered.host)) : Error::last();
    }

    static Result<Vault> restore(Options options, std::function<std::size_t(MutableBytes)> read) {
        const detail::Lowered lowered(std::move(options));
        detail::Reader reader{std::move(read), nullptr};
        vault_t *raw = nullptr;
        if (!lowered.is_whole()) {
            return detail::nul_within();
        }
        const vault_status_t status = vault_restore(&lowered.c, detail::where_set(reader.function, &detail::read_some), &reader, &raw);
        reader.rethrow();
        return status == VAULT_OK ? Result<Vault>(Vault(raw, lowered.host)) : Error::last();
    }

    static Result<Salvaged> salvage(Options from, Options to, std::string_view scratch, bool names) {
        const detail::Lowered source(std::move(from));
        const detail::Lowered place(std::move(to));
        const detail::Name folder(scratch);
        vault_t *raw = nullptr;
        vault_secret_t *report = nullptr;
        if (!source.is_whole() || !place.is_whole() || !folder.is_whole()) {
            return detail::nul_within();
        }
        const vault_status_t status = vault_salvage(&source.c, &place.c, scratch.empty() ? nullptr : folder.get(),
                                                    names ? VAULT_DOCTOR_NAMES : 0, &raw, &report);
        if (status != VAULT_OK) {
            return Error::last();
        }
        return Salvaged{Vault(raw, place.host), Secret(report)};
    }

private:
    template <class F>
    static Result<Created> creating(Options options, F make) {
        const detail::Lowered lowered(std::move(options));
        vault_t *raw = nullptr;
        vault_secret_t *init = nullptr;
        if (!lowered.is_whole()) {
            return detail::nul_within();
        }
        if (make(&lowered.c, &raw, &init) != VAULT_OK) {
            return Error::last();
        }
        return Created{Vault(raw, lowered.host), Secret(init)};
    }
};

/// Makes a new vault, open and unsealed; `init` is the root token.
[[nodiscard]] inline Created create(Options options) { return Opening::create(std::move(options)).value(); }
inline Result<Created> try_create(Options options) { return Opening::create(std::move(options)); }

/// Makes a new vault that key shares open; `init` has `root_token` and `shares`.
[[nodiscard]] inline Created create_with_shares(Options options) { return Opening::create_with_shares(std::move(options)).value(); }
inline Result<Created> try_create_with_shares(Options options) { return Opening::create_with_shares(std::move(options)); }

/// Opens a vault: unsealed where a key is in the options.
[[nodiscard]] inline Vault open(Options options) { return Opening::open(std::move(options)).value(); }
inline Result<Vault> try_open(Options options) { return Opening::open(std::move(options)); }

/// Writes a backup into an empty place and opens it, frozen until somebody writes to `sys/storage/adopt`. `read` answers 0 at the end.
[[nodiscard]] inline Vault restore(Options options, std::function<std::size_t(MutableBytes)> read) {
    return Opening::restore(std::move(options), std::move(read)).value();
}
inline Result<Vault> try_restore(Options options, std::function<std::size_t(MutableBytes)> read) {
    return Opening::restore(std::move(options), std::move(read));
}

/// Takes out of a damaged store what can be read of it, into an empty place; `scratch` may be empty.
[[nodiscard]] inline Salvaged salvage(Options from, Options to, std::string_view scratch = "", bool names = false) {
    return Opening::salvage(std::move(from), std::move(to), scratch, names).value();
}
inline Result<Salvaged> try_salvage(Options from, Options to, std::string_view scratch = "", bool names = false) {
    return Opening::salvage(std::move(from), std::move(to), scratch, names);
}

/// Tells what is wrong with a store, as JSON; nothing is changed. `scratch` may be empty.
inline Result<Secret> try_doctor(Options options, std::string_view scratch = "", bool names = false) {
    const detail::Lowered lowered(std::move(options));
    const detail::Name folder(scratch);
    vault_secret_t *report = nullptr;
    if (!lowered.is_whole() || !folder.is_whole()) {
        return detail::nul_within();
    }
    const char *place = scratch.empty() ? nullptr : folder.get();
    return vault_doctor(&lowered.c, place, names ? VAULT_DOCTOR_NAMES : 0, &report) == VAULT_OK ? Result<Secret>(Secret(report)) : Error::last();
}
[[nodiscard]] inline Secret doctor(Options options, std::string_view scratch = "", bool names = false) {
    return try_doctor(std::move(options), scratch, names).value();
}

/// Reads a backup to its end and checks that it is whole; no key is needed. Answers what it says of itself.
inline Result<Secret> try_backup_verify(std::function<std::size_t(MutableBytes)> read) {
    detail::Reader reader{std::move(read), nullptr};
    vault_secret_t *info = nullptr;
    const vault_status_t status = vault_backup_verify(detail::where_set(reader.function, &detail::read_some), &reader, &info);
    reader.rethrow();
    return status == VAULT_OK ? Result<Secret>(Secret(info)) : Error::last();
}
inline Secret backup_verify(std::function<std::size_t(MutableBytes)> read) { return try_backup_verify(std::move(read)).value(); }

/// Makes the key that is named on the token.
inline Result<void> try_pkcs11_generate_key(Pkcs11 pkcs11) {
    Options options;
    options.pkcs11 = std::move(pkcs11);
    const detail::Lowered lowered(std::move(options));
    if (!lowered.is_whole()) {
        return detail::nul_within();
    }
    return detail::done(vault_pkcs11_generate_key(lowered.c.pkcs11));
}
inline void pkcs11_generate_key(Pkcs11 pkcs11) { try_pkcs11_generate_key(std::move(pkcs11)).value(); }

namespace audit {

/// Checks a checkpoint with the vault's public key; answers origin, size and root as JSON.
inline Result<Secret> try_verify_checkpoint(std::string_view note, std::string_view key) {
    const detail::Name c_note(note);
    const detail::Name c_key(key);
    vault_secret_t *info = nullptr;
    if (!c_note.is_whole() || !c_key.is_whole()) {
        return detail::nul_within();
    }
    return vault_audit_verify_checkpoint(c_note.get(), c_key.get(), &info) == VAULT_OK ? Result<Secret>(Secret(info)) : Error::last();
}
inline Secret verify_checkpoint(std::string_view note, std::string_view key) { return try_verify_checkpoint(note, key).value(); }

/// Checks that an event is in the log of a checkpoint.
inline Result<void> try_verify_inclusion(std::string_view note, std::string_view key, std::string_view proof) {
    const detail::Name c_note(note);
    const detail::Name c_key(key);
    if (!c_note.is_whole() || !c_key.is_whole()) {
        return detail::nul_within();
    }
    return detail::done(vault_audit_verify_inclusion(c_note.get(), c_key.get(), detail::somewhere(proof), proof.size()));
}
inline void verify_inclusion(std::string_view note, std::string_view key, std::string_view proof) {
    try_verify_inclusion(note, key, proof).value();
}

/// Checks that the log of a newer checkpoint begins with that of an older one.
inline Result<void> try_verify_consistency(std::string_view older, std::string_view newer, std::string_view key, std::string_view proof) {
    const detail::Name c_older(older);
    const detail::Name c_newer(newer);
    const detail::Name c_key(key);
    if (!c_older.is_whole() || !c_newer.is_whole() || !c_key.is_whole()) {
        return detail::nul_within();
    }
    return detail::done(
        vault_audit_verify_consistency(c_older.get(), c_newer.get(), c_key.get(), detail::somewhere(proof), proof.size()));
}
inline void verify_consistency(std::string_view older, std::string_view newer, std::string_view key, std::string_view proof) {
    try_verify_consistency(older, newer, key, proof).value();
}

}  // namespace audit

namespace policy {

/// A request that policies decide about.
struct Question {
    vault_capability_t capability = VAULT_CAPABILITY_READ;
    std::string path;
    std::string json = {};
    std::chrono::seconds wrap_ttl{0};
    vault_dialect_t dialect = VAULT_DIALECT_VAULT;
    bool absolute_deny = false;
};

/// What policies decide, and why, as JSON.
struct Decision {
    bool allowed;
    Secret explanation;
};

/// Decides a request by policies alone: a pure function, for which no vault is needed.
inline Result<Decision> try_evaluate(const std::vector<std::string> &texts, const Question &question) {
    std::vector<const char *> pointers;
    bool whole = question.path.find('\0') == std::string::npos;
    for (const std::string &text : texts) {
        pointers.push_back(text.c_str());
        whole = whole && text.find('\0') == std::string::npos;
    }
    if (!whole) {
        return detail::nul_within();
    }
    bool allowed = false;
    vault_secret_t *raw = nullptr;
    const vault_status_t status = vault_policy_evaluate(
        pointers.data(), pointers.size(), question.dialect, question.absolute_deny ? VAULT_POLICY_ABSOLUTE_DENY : 0, question.capability,
        question.path.c_str(), question.json.empty() ? nullptr : question.json.data(), question.json.size(),
        static_cast<std::uint64_t>(question.wrap_ttl.count()), &allowed, &raw);
    if (status != VAULT_OK) {
        return Error::last();
    }
    return Decision{allowed, Secret(raw)};
}
[[nodiscard]] inline Decision evaluate(const std::vector<std::string> &texts, const Question &question) {
    return try_evaluate(texts, question).value();
}

}  // namespace policy

/// The library's version, such as `0.1.0`.
[[nodiscard]] inline const char *version() noexcept { return vault_version(); }

/// Whether the library that is loaded has the interface that this program was compiled for.
[[nodiscard]] inline bool is_compatible() noexcept { return vault_abi_version() == VAULT_ABI_VERSION; }

namespace testing {

/// A vault in memory for tests of one's own, with time that moves only when told.
class Context {
public:
    Context() : Context(Options()) {}
    /// With these options; their key and clock are set here.
    explicit Context(Options options) : clock_(std::make_shared<std::atomic<std::uint64_t>>(START_MS)) {
        static constexpr std::array<std::uint8_t, 32> key{1};
        options.key = Key::raw(key);
        options.clock = [clock = clock_] { return clock->load(); };
        Created created = create(std::move(options));
        root_ = created.vault.session(created.init.json());
        vault_ = std::move(created.vault);
    }

    [[nodiscard]] Vault &vault() noexcept { return vault_; }
    /// May do everything.
    [[nodiscard]] const Session &root() const noexcept { return root_; }

    /// A session under a fresh token that may do what the policy (HCL or JSON) says, and nothing else.
    [[nodiscard]] Session session_with(std::string_view policy) {
        const std::string name = "context-" + std::to_string(++policies_);
        root_.write("sys/policies/acl/" + name, "{\"policy\":" + quoted(policy) + "}");
        const Secret made = root_.write("auth/token/create", "{\"no_default_policy\":true,\"policies\":[" + quoted(name) + "]}");
        return vault_.session(made.text("/auth/client_token"));
    }

    /// Milliseconds since the Unix epoch, as the vault sees it.
    [[nodiscard]] std::uint64_t now_ms() const noexcept { return clock_->load(); }
    /// Moves time, and does what is due by then.
    void advance(std::chrono::milliseconds by) {
        clock_->fetch_add(static_cast<std::uint64_t>(by.count()));
        vault_.tick();
    }

private:
    static constexpr std::uint64_t START_MS = 1767225600000;

    std::shared_ptr<std::atomic<std::uint64_t>> clock_;
    Vault vault_;
    Session root_;
    unsigned policies_ = 0;
};

}  // namespace testing

}  // namespace vault

#endif /* VAULT_HPP */
