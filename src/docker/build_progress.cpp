#include "docker/build_progress.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/text.h"

namespace seatrial::docker {
namespace {

constexpr std::size_t longest_line = 4096;
constexpr std::size_t most_steps = 10'000;

bool is_number(std::string_view text) {
    return !text.empty() &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

// The first word; `text` becomes what follows it.
std::string_view take_word(std::string_view& text) {
    const auto end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return word;
}

// "[build 2/4] RUN npm ci" → "[build 2/4]"
std::string label_of(std::string_view name) {
    const auto end = name.starts_with('[') ? name.find(']') : std::string_view::npos;
    return std::string(end == std::string_view::npos ? name : name.substr(0, end + 1));
}

// Without colours: the classic builder adds them to what a command says on its standard error.
std::string without_escapes(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text.substr(at).starts_with("\x1b[")) {
            at = text.find_first_not_of("0123456789;", at + 2);
            if (at == std::string_view::npos) {
                break;
            }
        } else {
            out += text[at];
        }
    }
    return out;
}

std::string seconds(std::chrono::steady_clock::duration taken) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", std::chrono::duration<double>(taken).count());
    return text;
}

}    // namespace

BuildProgress::BuildProgress(Format format, OnLine on_line)
    : format_(format), on_line_(std::move(on_line)) {}

void BuildProgress::take(std::string_view text, Time now) {
    while (!text.empty()) {
        // A bar of progress rewrites its line.
        const auto end = text.find_first_of("\r\n");
        const std::string_view piece = text.substr(0, end);
        line_.append(piece.substr(0, longest_line - line_.size()));
        if (end == std::string_view::npos) {
            return;
        }
        text.remove_prefix(end + 1);
        const std::string line = without_escapes(std::exchange(line_, ""));
        take_line(line, now);
    }
}

void BuildProgress::take_line(std::string_view line, Time now) {
    if (trim(line).empty()) {
        return;
    }
    if (format_ == Format::classic) {
        take_classic(line, now);
    } else {
        take_buildkit(line);
    }
}

void BuildProgress::end(Time now) {
    take("\n", now);
    end_classic(now);
}

void BuildProgress::say(const std::string& line) const {
    if (on_line_) {
        on_line_(printable(line));
    }
}

// "Step 2/4 : RUN npm ci", " ---> Running in 0123456789ab", "Removing intermediate container ...".
void BuildProgress::take_classic(std::string_view line, Time now) {
    if (line.starts_with("Step ")) {
        const auto colon = line.find(" : ");
        if (colon != std::string_view::npos && line.find('/') < colon) {
            end_classic(now);
            label_ = "[" + std::string(line.substr(5, colon - 5)) + "]";
            since_ = now;
            say(label_ + " " + std::string(line.substr(colon + 3)));
            return;
        }
    }
    if (line == " ---> Using cache" && !label_.empty()) {
        say(std::exchange(label_, "") + " cached");
        return;
    }
    if (line.starts_with(" ---> ") || line.starts_with("Removing intermediate container ") ||
        line.starts_with("Removed intermediate container ")) {
        return;
    }
    if (line.starts_with("Successfully built ") || line.starts_with("Successfully tagged ")) {
        end_classic(now);
        return;
    }
    say("  " + std::string(line));
}

void BuildProgress::end_classic(Time now) {
    if (!label_.empty()) {
        say(std::exchange(label_, "") + " done in " + seconds(now - since_) + " s");
    }
}

// "#5 [2/4] RUN npm ci", "#5 0.234 added 312 packages", "#5 DONE 12.3s", "#5 CACHED", "#5 ERROR:
// ..."
void BuildProgress::take_buildkit(std::string_view line) {
    if (line == "------") {
        repeating_ = !repeating_;
        return;
    }
    if (repeating_) {
        return;
    }
    std::string_view words = line;
    const std::string number(take_word(words));
    if (!number.starts_with('#') || !is_number(number.substr(1))) {
        last_word_ = printable(trim(line.starts_with("ERROR: ") ? line.substr(7) : line));
        return;
    }
    const auto step = steps_.find(number);
    if (step == steps_.end()) {
        begin(number, words);
    } else {
        take_step(step->second, words);
    }
}

void BuildProgress::begin(const std::string& number, std::string_view name) {
    if (steps_.size() >= most_steps) {
        return;
    }
    Step step;
    step.label = label_of(name);
    step.hidden = name.starts_with("[internal]") || name.starts_with("exporting") ||
                  name == "copy /context /";
    if (!step.hidden) {
        say(std::string(name));
    }
    steps_[number] = step;
}

void BuildProgress::take_step(Step& step, std::string_view words) {
    std::string_view rest = words;
    const std::string_view first = take_word(rest);
    if (first == "ERROR:" || first == "CANCELED") {
        step.open = false;
        say(step.label + (first == "CANCELED" ? " stopped" : " failed: " + std::string(rest)));
        return;
    }
    if (step.hidden) {
        return;
    }
    if (first == "CACHED" || first == "DONE") {
        step.open = false;
        const std::string_view took = rest.substr(0, rest.find('s'));
        say(step.label + (first == "CACHED" ? " cached" : " done in " + std::string(took) + " s"));
        return;
    }
    // Without a time it is the step's name again, or how far a layer has come in.
    if (!is_number(first) || trim(rest).empty()) {
        return;
    }
    const auto at_work = std::ranges::count_if(
        steps_, [](const auto& one) { return one.second.open && !one.second.hidden; });
    say((at_work > 1 ? step.label + " " : "  ") + std::string(rest));
}

}    // namespace seatrial::docker
