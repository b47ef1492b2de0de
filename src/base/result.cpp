#include "base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace seatrial {

std::string_view to_string(Code code) {
    switch (code) {
        case Code::invalid: return "invalid";
        case Code::failed: return "failed";
        case Code::not_found: return "not_found";
        case Code::conflict: return "conflict";
        case Code::refused: return "refused";
        case Code::unavailable: return "unavailable";
        case Code::timed_out: return "timed_out";
        case Code::cancelled: return "cancelled";
        case Code::internal: return "internal";
    }
    return "internal";
}

std::string render_error(const Error& error) {
    std::string text = error.field.empty() ? error.message : error.field + ": " + error.message;
    for (const Error* cause = error.cause.get(); cause != nullptr; cause = cause->cause.get()) {
        text += ": " + cause->message;
    }
    return text;
}

tl::unexpected<Error> wrap(Error cause, std::string message) {
    Error outer{cause.code, std::move(message), cause.hint, cause.field, nullptr, cause.mark};
    outer.cause = std::make_shared<const Error>(std::move(cause));
    return tl::unexpected(std::move(outer));
}

tl::unexpected<Error> fail_errno(std::string_view what, int error_number) {
    Code code = Code::internal;
    std::string hint;
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
            code = Code::unavailable;
            hint = "free disk space and try again";
            break;
        case EAGAIN:
        case ENOMEM:
        case EMFILE:
        case ENFILE:
        case EBUSY:
        case ECONNREFUSED:
        case EIO: code = Code::unavailable; break;
        case ENOENT: code = Code::not_found; break;
        default: break;
    }
    return fail(code, std::string(what) + ": " + std::generic_category().message(error_number),
                std::move(hint));
}

void check(bool condition, const char* what) {
    if (!condition) {
        std::fprintf(stderr, "seatrial: broken invariant: %s\n", what);
        std::abort();
    }
}

}    // namespace seatrial
