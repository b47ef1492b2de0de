// Errors are values. A function that can fail for a reason outside this program returns
// Result<T>; a broken invariant aborts through check() (a restart is safe by design).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace seatrial {

// What kind of failure it is decides who may retry and which exit code a user sees.
enum class Code {
    invalid,        // the input is wrong: the user mends it, nothing retries
    failed,         // a user's command or app failed: ends the generation
    not_found,      // the thing named does not exist
    conflict,       // somebody else's thing is in the way
    refused,        // policy, guard or limit says no
    unavailable,    // the world is not ready (server down, disk full): retried with backoff
    timed_out,      // the deadline passed
    cancelled,      // asked to stop
    internal,       // a fault of ours
};

std::string_view to_string(Code code);

struct Error {
    Code code = Code::internal;
    std::string message;    // what is wrong, without secrets
    std::string hint;       // what to do next; may be empty
    std::string field;      // "file:line:key" or a flag; may be empty
    std::shared_ptr<const Error> cause;
    std::string mark{};    // for callers to tell failures apart ("sqlstate:42P04"); never shown
};

// "message: cause message: ..." on one line.
std::string render_error(const Error& error);

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(Code code, std::string message, std::string hint = {}) {
    return tl::unexpected(Error{code, std::move(message), std::move(hint), {}, nullptr});
}

// The same failure, told from one level further out.
tl::unexpected<Error> wrap(Error cause, std::string message);

// Error from errno after a failed system call: "what: strerror"; ENOSPC, EAGAIN and their
// like are `unavailable`, ENOENT is `not_found`, the rest `internal`.
tl::unexpected<Error> fail_errno(std::string_view what, int error_number);

// Aborts with the place when `condition` is false: for our own mistakes only.
void check(bool condition, const char* what);

}    // namespace seatrial

// TRY(expr);                returns the error of a failed Result, drops the value.
// TRY_ASSIGN(auto x, expr); the same, and names the value.
#define SEATRIAL_CONCAT_(a, b) a##b
#define SEATRIAL_CONCAT(a, b) SEATRIAL_CONCAT_(a, b)
#define TRY(...)                                                   \
    do {                                                           \
        auto&& try_result_ = (__VA_ARGS__);                        \
        if (!try_result_) {                                        \
            return tl::unexpected(std::move(try_result_).error()); \
        }                                                          \
    } while (false)
#define TRY_ASSIGN_(result, declaration, ...)             \
    auto result = (__VA_ARGS__);                          \
    if (!(result)) {                                      \
        return tl::unexpected(std::move(result).error()); \
    }                                                     \
    declaration = std::move(*(result))
#define TRY_ASSIGN(declaration, ...) \
    TRY_ASSIGN_(SEATRIAL_CONCAT(try_assign_, __LINE__), declaration, __VA_ARGS__)
