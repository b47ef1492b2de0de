// Whatever the bytes: what passes the checks is safe to stand in git's arguments.
#include <cstddef>
#include <cstdint>

#include "base/text.h"
#include "git/refs.h"

namespace git = seatrial::git;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto branch = git::parse_branch(text)) {
        constexpr std::string_view heads = "refs/heads/";
        seatrial::check(branch->starts_with(heads) && branch->size() > heads.size(), "full ref");
        seatrial::check((*branch)[heads.size()] != '-', "no option");
        seatrial::check(branch->find("..") == std::string::npos, "no range");
        seatrial::check(
            branch->find_first_of(std::string_view(" ~^:?*[\\\n\r\t\0", 13)) == std::string::npos,
            "no character that git reads in its own way");
        seatrial::check(!branch->ends_with(".lock") && !branch->ends_with('/'), "git's own rules");
        seatrial::check(seatrial::is_valid_utf8(*branch), "UTF-8");
        const auto again = git::parse_branch(*branch);
        seatrial::check(again.has_value() && *again == *branch, "a full ref stays what it is");
    }
    if (const auto remote = git::parse_remote(text)) {
        seatrial::check(!remote->empty() && remote->front() != '-', "no option");
        seatrial::check(!remote->starts_with("ext::") && !remote->starts_with("fd::"),
                        "no transport helper");
        seatrial::check(remote->find_first_of(std::string_view("\n\r\0", 3)) == std::string::npos,
                        "one line");
        seatrial::check(git::parse_remote(*remote).has_value(), "accepted again");
    }
    if (git::is_commit_id(text)) {
        seatrial::check(size == 40, "forty digits");
    }
    return 0;
}
