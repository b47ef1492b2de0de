#pragma once

#include <map>
#include <string>

#include "base/context.h"
#include "git/mirror.h"

namespace seatrial::resource {

struct BuildContext {
    std::string commit;
    std::string folder;    // of the commit; "" = the whole tree
    std::string dockerfile = "Dockerfile";
    std::map<std::string, std::string> files;    // besides, by path; at most 100 bytes each
};

// Writes a context as a tar, without what the .dockerignore in the commit's folder names;
// <dockerfile>.dockerignore goes before that. The Dockerfile, the file itself and `files` always
// go. Errors: `invalid` for a line that is no pattern; as Mirror::archive(). Thread: any.
Status write_build_context(const git::Mirror& mirror, const BuildContext& context, int out_fd,
                           const Context& ctx);

// A whole tar of `files` alone.
std::string tar_of(const std::map<std::string, std::string>& files);

}    // namespace seatrial::resource
