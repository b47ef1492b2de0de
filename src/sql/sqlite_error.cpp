#include "sql/sqlite_error.h"

#include <sqlite3.h>

#include <string>

namespace seatrial::sql {
namespace {

struct Meaning {
    int primary;
    Code code;
    std::string_view hint;
};

// What is not listed is a fault of ours (bad SQL, misuse).
constexpr Meaning meanings[] = {
    {SQLITE_FULL, Code::unavailable, "make room on the disk"},
    {SQLITE_IOERR, Code::unavailable, "look at the disk (dmesg)"},
    {SQLITE_BUSY, Code::unavailable, "another process holds the database"},
    {SQLITE_LOCKED, Code::unavailable, "another statement holds the table"},
    {SQLITE_CANTOPEN, Code::unavailable, "check that the folder exists and may be written"},
    {SQLITE_READONLY, Code::unavailable, "check the permissions of the file and its folder"},
    {SQLITE_PERM, Code::unavailable, "check the permissions of the file and its folder"},
    {SQLITE_AUTH, Code::refused, ""},
    {SQLITE_NOMEM, Code::unavailable, ""},
    {SQLITE_NOLFS, Code::unavailable, ""},
    {SQLITE_PROTOCOL, Code::unavailable, ""},
    {SQLITE_CORRUPT, Code::invalid, "restore it from a backup"},
    {SQLITE_NOTADB, Code::invalid, "the file is not an SQLite database"},
    {SQLITE_TOOBIG, Code::invalid, ""},
    {SQLITE_CONSTRAINT, Code::conflict, ""},
    {SQLITE_INTERRUPT, Code::cancelled, ""},
};

}    // namespace

tl::unexpected<Error> fail_sqlite(std::string_view what, int code, sqlite3* db) {
    Error error;
    error.message = std::string(what) + ": ";
    // The handle's text is richer, but only when it is about this very failure.
    const bool fresh = db != nullptr && sqlite3_extended_errcode(db) == code;
    error.message += fresh ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    error.mark = "sqlite:" + std::to_string(code);
    for (const Meaning& meaning : meanings) {
        if (meaning.primary == (code & 0xFF)) {
            error.code = meaning.code;
            error.hint = meaning.hint;
        }
    }
    return tl::unexpected(std::move(error));
}

}    // namespace seatrial::sql
