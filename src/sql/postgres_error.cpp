#include "sql/postgres_error.h"

#include <cctype>
#include <string>

#include "sql/postgres.h"

namespace seatrial::sql {
namespace {

constexpr std::string_view mark_prefix = "sqlstate:";

struct Meaning {
    std::string_view prefix;    // of the SQLSTATE; the first row that fits counts
    Code code;
};

// Not listed: internal (a statement of ours is wrong).
constexpr Meaning meanings[] = {
    {"08", Code::unavailable},       // connection
    {"22", Code::invalid},           // data
    {"23", Code::conflict},          // constraint; 23505 on pg_database: somebody was quicker
    {"25006", Code::unavailable},    // read-only: a standby, a failover in progress
    {"28", Code::refused},           // login
    {"2BP01", Code::conflict},       // dependent objects still exist
    {"3D000", Code::not_found},      // database
    {"3F000", Code::not_found},      // schema
    {"40", Code::unavailable},       // serialisation, deadlock
    {"42501", Code::refused},        // privilege
    {"42704", Code::not_found},      // object (role)
    {"42710", Code::conflict},       // duplicate object
    {"42P01", Code::not_found},      // table
    {"42P04", Code::conflict},       // duplicate database
    {"53", Code::unavailable},       // disk full, memory, too many connections
    {"55", Code::unavailable},       // object in use, lock not available, does not allow logins
    {"57014", Code::cancelled},      // asked to stop
    {"57", Code::unavailable},       // shutting down, crashed, starting up
    {"58", Code::unavailable},       // I/O
};

}    // namespace

Code code_of_sqlstate(std::string_view state) {
    for (const Meaning& meaning : meanings) {
        if (state.starts_with(meaning.prefix)) {
            return meaning.code;
        }
    }
    return Code::internal;
}

tl::unexpected<Error> fail_sqlstate(std::string_view state, std::string message) {
    Error error;
    error.code = code_of_sqlstate(state);
    error.message = std::move(message);
    error.mark = std::string(mark_prefix) + std::string(state);
    return tl::unexpected(std::move(error));
}

std::string sqlstate_of(const Error& error) {
    for (const Error* at = &error; at != nullptr; at = at->cause.get()) {
        if (at->mark.starts_with(mark_prefix)) {
            return at->mark.substr(mark_prefix.size());
        }
    }
    return {};
}

std::string_view find_sqlstate(std::string_view verbose_message) {
    constexpr std::size_t length = 5;
    const auto is_state_char = [](char c) {
        return std::isdigit(static_cast<unsigned char>(c)) != 0 || (c >= 'A' && c <= 'Z');
    };
    for (std::size_t at = verbose_message.find(":  "); at != std::string_view::npos;
         at = verbose_message.find(":  ", at + 1)) {
        const std::string_view word = verbose_message.substr(at + 3, length + 1);
        if (word.size() != length + 1 || word.back() != ':') {
            continue;
        }
        bool good = true;
        for (const char c : word.substr(0, length)) {
            good = good && is_state_char(c);
        }
        if (good) {
            return word.substr(0, length);
        }
    }
    return {};
}

}    // namespace seatrial::sql
