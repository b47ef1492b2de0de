// Git bundles (version 2): a header of lines, an empty line, a pack. Written without a ref in the
// sender's repository, read without trusting a byte of it.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "git/run.h"

namespace seatrial::git {

struct BundleHeader {
    std::vector<std::string> prerequisites;    // commits the receiver must have
    std::vector<std::string> tips;
    off_t pack_offset = 0;
};

// Reads the header from the start of `fd` and leaves the position unspecified; `invalid` when it
// is not one, or longer than 1 MB.
Result<BundleHeader> read_bundle_header(int fd);

// See write_bundle() in repository.h; `base` says where and as whom git runs.
Status write_bundle_from(const Call& base, const std::string& commit,
                         const std::vector<std::string>& have, int out, const Context& ctx);

// Puts the pack behind the header into the object store of `base`, checked as strictly as a
// server checks a push: every object well-formed, every link present.
Status index_bundle(const Call& base, int fd, const BundleHeader& header, const Context& ctx);

// Old oddities of real histories that harm nobody, for fsck: "id=warn,id=warn".
std::string tolerated_faults();
// The same as configuration, for git fetch.
Config fetch_checks();

}    // namespace seatrial::git
