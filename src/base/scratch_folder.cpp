#include "base/scratch_folder.h"

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace seatrial {

Result<ScratchFolder> ScratchFolder::make(const std::filesystem::path& parent,
                                          const std::string& prefix) {
    std::string path = (parent / (prefix + "XXXXXX")).string();
    if (::mkdtemp(path.data()) == nullptr) {    // 0700
        return fail_errno("cannot make a folder in " + parent.string(), errno);
    }
    return ScratchFolder(path);
}

ScratchFolder::ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {}

ScratchFolder::ScratchFolder(ScratchFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

ScratchFolder::~ScratchFolder() {
    if (!path_.empty()) {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
}

}    // namespace seatrial
