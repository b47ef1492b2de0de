#include "cli/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/text.h"

namespace seatrial::cli {
namespace {

constexpr std::chrono::milliseconds tick{100};

struct Look {
    std::string_view state, mark;
    Tone tone;
};
constexpr Look looks[] = {
    {"started", "•", Tone::warn}, {"progress", "•", Tone::warn}, {"done", "✓", Tone::good},
    {"reused", "=", Tone::dim},   {"failed", "✗", Tone::bad},    {"cancelled", "-", Tone::dim},
};

const Look& look_of(std::string_view state) {
    for (const Look& look : looks) {
        if (look.state == state) {
            return look;
        }
    }
    return looks[0];
}

bool is_wide(std::uint32_t point) {
    return (point >= 0x1100 && point <= 0x115F) || (point >= 0x2E80 && point <= 0xA4CF) ||
           (point >= 0xAC00 && point <= 0xD7A3) || (point >= 0xF900 && point <= 0xFAFF) ||
           (point >= 0xFE30 && point <= 0xFE6F) || (point >= 0xFF00 && point <= 0xFF60) ||
           (point >= 0x1F300 && point <= 0x1FAFF);
}

}    // namespace

bool on_terminal() {
    static const bool terminal = ::isatty(STDOUT_FILENO) != 0;
    return terminal;
}

int terminal_width() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col;
    }
    return 80;
}

std::string paint(std::string_view text, Tone tone) {
    static const bool colours = on_terminal() && std::getenv("NO_COLOR") == nullptr;
    constexpr std::string_view codes[] = {"", "1", "2", "32", "31", "33"};
    const auto code = codes[static_cast<std::size_t>(tone)];
    if (!colours || code.empty()) {
        return std::string(text);
    }
    return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

int columns_of(std::string_view text) {
    int columns = 0;
    Utf8Reader reader(text);
    while (const auto point = reader.next()) {
        columns += is_wide(*point) ? 2 : 1;
    }
    return columns;
}

std::string cut(std::string_view text, int columns) {
    if (columns_of(text) <= columns) {
        return std::string(text);
    }
    Utf8Reader reader(text);
    int used = 0;
    std::size_t end = 0;
    while (const auto point = reader.next()) {
        used += is_wide(*point) ? 2 : 1;
        if (used > columns - 1) {
            break;
        }
        end = reader.offset();
    }
    return std::string(text.substr(0, end)) + "…";
}

void print_table(const std::vector<std::string>& head,
                 const std::vector<std::vector<std::string>>& rows) {
    std::vector<int> widths;
    int total = 0;
    for (std::size_t i = 0; i < head.size(); ++i) {
        int width = columns_of(head[i]);
        for (const auto& row : rows) {
            width = std::max(width, columns_of(row[i]));
        }
        widths.push_back(width);
        total += width + 2;
    }
    if (on_terminal() && total - 2 > terminal_width()) {
        for (const auto& row : rows) {
            for (std::size_t i = 0; i < head.size(); ++i) {
                std::printf("%s %s\n", paint(head[i] + ":", Tone::dim).c_str(),
                            cut(row[i], terminal_width() - columns_of(head[i]) - 2).c_str());
            }
            std::printf("\n");
        }
        return;
    }
    const auto line = [&](const std::vector<std::string>& cells, Tone tone) {
        std::string text;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            text += cells[i];
            if (i + 1 < cells.size()) {
                text += std::string(static_cast<std::size_t>(widths[i] - columns_of(cells[i]) + 2),
                                    ' ');
            }
        }
        std::printf("%s\n", paint(text, tone).c_str());
    };
    line(head, Tone::dim);
    for (const auto& row : rows) {
        line(row, Tone::plain);
    }
}

void print_moved(const nlohmann::json& preview) {
    const auto moved = preview.find("moved");
    if (moved == preview.end() || !moved->is_object()) {
        return;
    }
    const auto from = moved->value("from", nlohmann::json::object());
    std::string changes;
    const auto to = moved->value("to", nlohmann::json::object());
    for (const auto& [component, port] : to.items()) {
        const int before = from.value(component, 0);
        if (before != 0 && before != port.get<int>()) {
            changes += (changes.empty() ? "" : ", ") + printable(component) + " " +
                       std::to_string(before) + " → " + port.dump();
        }
    }
    std::printf("  %s %s (%s)\n", paint("the address changed:", Tone::warn).c_str(),
                changes.c_str(), printable(moved->value("reason", "")).c_str());
}

std::string megabytes(std::int64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
    return text;
}

std::string text_of(const nlohmann::json& object, const char* member, bool keep_newlines) {
    const auto found = object.find(member);
    return found != object.end() && found->is_string()
               ? printable(found->get<std::string>(), keep_newlines)
               : "";
}

void print_json(const nlohmann::json& document) {
    std::printf("%s\n",
                document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    std::fflush(stdout);
}

StepList::StepList(bool quiet) : quiet_(quiet), live_(!quiet && on_terminal()) {
    if (live_) {
        ticker_ = std::thread([this] {
            std::unique_lock lock(mutex_);
            while (!wake_.wait_for(lock, tick, [this] { return stopping_; })) {
                draw();
            }
        });
    }
}

StepList::~StepList() {
    finish();
}

std::string StepList::render(const Step& step) const {
    const Look& look = look_of(step.state);
    long ms = step.ms;
    if (step.state == "started") {
        ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                 std::chrono::steady_clock::now() - step.started)
                 .count();
    }
    std::string text = step.title;
    text.resize(std::max<std::size_t>(text.size(), 24), ' ');
    const std::string time = render_duration(std::chrono::milliseconds(ms));
    text += std::string(time.size() < 9 ? 9 - time.size() : 1, ' ') + time;
    std::string detail;
    if (!step.line.empty() && step.state != "done" && step.state != "failed") {
        detail = "  " + step.line.substr(0, step.line.find('\n'));
    }
    const int room = live_ ? terminal_width() - 3 : 10'000;
    const std::string body = cut(text + detail, room);
    return paint(look.mark, look.tone) + " " +
           (step.state == "reused" || step.state == "cancelled" ? paint(body, Tone::dim) : body);
}

void StepList::erase() {
    if (drawn_ > 0) {
        std::printf("\x1b[%dA\x1b[J", drawn_);
        drawn_ = 0;
    }
}

void StepList::draw() {
    erase();
    for (const auto& id : order_) {
        std::printf("%s\n", render(steps_[id]).c_str());
        ++drawn_;
    }
    std::fflush(stdout);
}

void StepList::take(const nlohmann::json& data) {
    const std::lock_guard lock(mutex_);
    const std::string id = data.value("node", "");
    auto found = steps_.find(id);
    if (found == steps_.end()) {
        found = steps_.emplace(id, Step{}).first;
        order_.push_back(id);
        found->second.started = std::chrono::steady_clock::now();
    }
    Step& step = found->second;
    step.title = data.value("title", id);
    const std::string state = data.value("state", "");
    step.state = state == "progress" ? "started" : state;
    if (state == "started") {
        step.started = std::chrono::steady_clock::now();
    }
    step.ms = data.value("ms", 0L);
    step.line = printable(data.value("line", ""));
    if (quiet_) {
        return;
    }
    if (live_) {
        draw();
    } else if (step.state != "started") {
        std::printf("%s\n", render(step).c_str());
        std::fflush(stdout);
    }
}

void StepList::note(const std::string& line) {
    const std::lock_guard lock(mutex_);
    if (quiet_) {
        return;
    }
    if (live_) {
        erase();
    }
    std::printf("%s\n", line.c_str());
    if (live_) {
        draw();
    }
    std::fflush(stdout);
}

void StepList::finish() {
    if (ticker_.joinable()) {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        ticker_.join();
        const std::lock_guard lock(mutex_);
        draw();
        drawn_ = 0;
        live_ = false;
    }
}

}    // namespace seatrial::cli
