// What a builder says while it builds, as lines for people. Both builders end up alike:
//   [2/4] RUN npm ci
//     added 312 packages
//   [2/4] done in 12.3 s
// BuildKit's stages run side by side: their lines then begin with their step.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace seatrial::docker {

using OnLine = std::function<void(std::string_view line)>;    // progress, safe to print

// Text of the builders comes in pieces cut anywhere; lines longer than 4 KB are cut. Thread: one at
// a time.
class BuildProgress {
public:
    enum class Format { classic, buildkit };
    using Time = std::chrono::steady_clock::time_point;
    BuildProgress(Format format, OnLine on_line);

    void take(std::string_view text, Time now);
    // No more comes: the last step of the classic builder has no end of its own.
    void end(Time now);
    // What was said last that belongs to no step: BuildKit's reason for a failure.
    const std::string& last_word() const { return last_word_; }

private:
    struct Step {
        std::string label;    // "[2/4]"
        bool hidden = false;
        bool open = true;
    };
    void take_line(std::string_view line, Time now);
    void take_classic(std::string_view line, Time now);
    void take_buildkit(std::string_view line);
    void take_step(Step& step, std::string_view words);
    void begin(const std::string& number, std::string_view name);
    void end_classic(Time now);
    void say(const std::string& line) const;

    const Format format_;
    const OnLine on_line_;
    std::string line_;
    std::string last_word_;
    std::map<std::string, Step> steps_;    // BuildKit: by its number
    bool repeating_ = false;               // BuildKit shows once more what the failed step said
    std::string label_;                    // classic: of the step at work
    Time since_{};
};

}    // namespace seatrial::docker
