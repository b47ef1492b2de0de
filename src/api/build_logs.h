// What builds of releases said: as it comes to who follows, afterwards from a file.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "http/event_stream.h"

namespace seatrial::api {

inline constexpr std::string_view build_log_name = "builds";    // folder below the data folder

// A build has an id (a ULID), chosen by who asks for it: so it can be followed from its beginning.
// Thread: any.
class BuildLogs {
public:
    explicit BuildLogs(std::filesystem::path folder) : folder_(std::move(folder)) {}

    // `invalid` when that is no id, `conflict` when there is or was a build of that id.
    Status start(const std::string& id);
    // Of a build that was started; `text` is safe to print and holds no secret. Kept up to 4 MB.
    void add(const std::string& id, const std::string& component, std::string_view text);
    // Who follows it is told. Of one that was started here, by who started it;
    void end(const std::string& id);
    // of one that never will be. Nothing when it was.
    void refuse(const std::string& id);

    // Sends events "line" {component, text} with their number as id, from after number `after`,
    // then "end", and closes. Waits for a build that is not known yet.
    Status follow(const std::shared_ptr<http::EventStream>& stream, const std::string& id,
                  long after);
    // A line per line: "component | text". `not_found`.
    Result<std::string> read(const std::string& id) const;
    void drop_older_than(std::chrono::milliseconds age) const;

private:
    struct Build {
        bool started = false;
        Fd file;    // made with the first line
        long lines = 0;
        std::size_t bytes = 0;
        std::vector<std::shared_ptr<http::EventStream>> followers;
    };
    std::filesystem::path file_of(const std::string& id) const;
    void keep(Build& build, const std::string& id, const std::string& line) const;
    void replay(http::EventStream& stream, const std::string& id, long after) const;

    const std::filesystem::path folder_;
    mutable std::mutex mutex_;
    std::map<std::string, Build> builds_;
    std::deque<std::string> ended_;    // the last ones: a follower may come late
};

// 26 characters as make_ulid() makes them.
bool is_build_id(std::string_view text);

}    // namespace seatrial::api
