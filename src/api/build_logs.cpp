#include "api/build_logs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace seatrial::api {
namespace {

using nlohmann::json;

constexpr std::size_t most_bytes = 4 << 20;
constexpr std::size_t read_limit = 8 << 20;
constexpr std::size_t ended_known = 200;
constexpr std::size_t most_waiting = 200;
constexpr std::string_view separator = " | ";

std::string line_json(std::string_view component, std::string_view text) {
    return json{{"component", component}, {"text", text}}.dump(-1, ' ', false,
                                                               json::error_handler_t::replace);
}

}    // namespace

bool is_build_id(std::string_view text) {
    return text.size() == 26 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
           });
}

std::filesystem::path BuildLogs::file_of(const std::string& id) const {
    return folder_ / (id + ".log");
}

Status BuildLogs::start(const std::string& id) {
    if (!is_build_id(id)) {
        return fail(Code::invalid, "'" + printable(id) + "' is no id of a build",
                    "leave it out, or send a ULID");
    }
    const std::lock_guard lock(mutex_);
    Build& build = builds_[id];
    std::error_code ignored;
    if (build.started || std::ranges::find(ended_, id) != ended_.end() ||
        std::filesystem::exists(file_of(id), ignored)) {
        return fail(Code::conflict, "there is a build " + id + " already");
    }
    build.started = true;
    return {};
}

void BuildLogs::keep(Build& build, const std::string& id, const std::string& line) const {
    if (!build.file) {
        build.file = Fd(::open(file_of(id).c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    }
    if (!build.file || build.bytes > most_bytes) {
        return;    // a log is not worth a build's failure
    }
    build.bytes += line.size();
    const std::string text =
        build.bytes > most_bytes ? "seatrial | more was said than is kept\n" : line;
    [[maybe_unused]] const auto written = ::write(build.file.get(), text.data(), text.size());
}

void BuildLogs::add(const std::string& id, const std::string& component, std::string_view text) {
    const std::lock_guard lock(mutex_);
    const auto found = builds_.find(id);
    if (found == builds_.end()) {
        return;
    }
    Build& build = found->second;
    ++build.lines;
    keep(build, id, component + std::string(separator) + std::string(text) + "\n");
    std::erase_if(build.followers, [&](const auto& stream) {
        return !stream->send("line", line_json(component, text), std::to_string(build.lines));
    });
}

void BuildLogs::end(const std::string& id) {
    const std::lock_guard lock(mutex_);
    ended_.push_back(id);
    if (ended_.size() > ended_known) {
        ended_.pop_front();
    }
    const auto found = builds_.find(id);
    if (found == builds_.end()) {
        return;
    }
    for (const auto& stream : found->second.followers) {
        stream->send("end", "{}");
        stream->close();
    }
    builds_.erase(found);
}

void BuildLogs::refuse(const std::string& id) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = builds_.find(id);
        if (!is_build_id(id) || (found != builds_.end() && found->second.started) ||
            std::ranges::find(ended_, id) != ended_.end()) {
            return;
        }
    }
    end(id);
}

void BuildLogs::replay(http::EventStream& stream, const std::string& id, long after) const {
    const auto text = read_file(file_of(id), read_limit);
    long number = 0;
    for (const std::string_view line : split(text ? std::string_view(*text) : "", '\n')) {
        const auto at = line.find(separator);
        if (at != std::string_view::npos && ++number > after) {
            stream.send("line", line_json(line.substr(0, at), line.substr(at + separator.size())),
                        std::to_string(number));
        }
    }
}

Status BuildLogs::follow(const std::shared_ptr<http::EventStream>& stream, const std::string& id,
                         long after) {
    if (!is_build_id(id)) {
        return fail(Code::not_found, "there is no build '" + printable(id) + "'");
    }
    const std::lock_guard lock(mutex_);
    std::erase_if(builds_, [](const auto& each) {
        return !each.second.started &&
               std::ranges::all_of(each.second.followers, [](auto& one) { return one->closed(); });
    });
    const auto found = builds_.find(id);
    std::error_code ignored;
    const bool over = found == builds_.end() && (std::ranges::find(ended_, id) != ended_.end() ||
                                                 std::filesystem::exists(file_of(id), ignored));
    replay(*stream, id, after);
    if (over) {
        stream->send("end", "{}");
        stream->close();
        return {};
    }
    if (found == builds_.end() && builds_.size() >= most_waiting) {
        return fail(Code::unavailable, "too many builds are waited for");
    }
    builds_[id].followers.push_back(stream);
    return {};
}

Result<std::string> BuildLogs::read(const std::string& id) const {
    if (!is_build_id(id)) {
        return fail(Code::not_found, "there is no build '" + printable(id) + "'",
                    "`seatrial releases --log` takes a release's tag or a build's id");
    }
    auto text = read_file(file_of(id), read_limit);
    if (!text && text.error().code == Code::not_found) {
        return fail(Code::not_found, "there is no log of build " + id,
                    "logs go after `logs.keep` of the server's file");
    }
    return text;
}

void BuildLogs::drop_older_than(std::chrono::milliseconds age) const {
    const auto limit = std::filesystem::file_time_type::clock::now() - age;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
        const auto written = entry.last_write_time(ignored);
        if (!ignored && entry.path().extension() == ".log" && written < limit) {
            std::filesystem::remove(entry.path(), ignored);
        }
    }
}

}    // namespace seatrial::api
