#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace seatrial {

// A new folder in `parent` that only we can read; gone with the object, with all it holds. After a
// kill -9 it stays: who owns `parent` removes what begins with `prefix` there.
class ScratchFolder {
public:
    static Result<ScratchFolder> make(const std::filesystem::path& parent,
                                      const std::string& prefix);
    ScratchFolder(ScratchFolder&& other) noexcept;
    ScratchFolder& operator=(ScratchFolder&&) = delete;
    ~ScratchFolder();
    const std::filesystem::path& path() const { return path_; }

private:
    explicit ScratchFolder(std::filesystem::path path);
    std::filesystem::path path_;
};

}    // namespace seatrial
