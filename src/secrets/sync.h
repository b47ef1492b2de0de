// What a source has, written into an env file and key files that deploys then read.
//
// The env file begins with a mark and the digest of the rest, so that one written or changed by
// hand is never overwritten unasked. It is renamed into place before the key files and names their
// digests, so that a sync that was cut short between them can be told.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "secrets/source.h"

namespace seatrial::secrets {

struct Change {
    std::string name;    // of the variable
    std::string what;    // added | changed | removed
    std::string file;    // where it stands
};
struct SyncReport {
    std::vector<Change> changes;         // never with a value
    std::vector<std::string> by_hand;    // files that were written or changed by hand
    bool written = false;
};
struct SyncWish {
    bool dry_run = false;
    bool adopt = false;    // overwrite what was written by hand
};

// Each file is either as before or whole, whoever dies. Errors: `invalid` (values that do not fit
// into files), `refused` (written by hand, or no plain file); nothing is written then.
// Thread: any; one at a time.
Result<SyncReport> synchronise(const config::SecretSource& source, const Values& values,
                               const SyncWish& wish);

// "" unless a sync was cut short: then which file is behind.
std::string unfinished_sync(const config::SecretSource& source);

// One that env files have after it is read again; `invalid` names a variable that has no such
// form. For tests, too.
Result<std::string> render_env(const Values& values);

}    // namespace seatrial::secrets
