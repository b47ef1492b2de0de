// What a person sees: colours only on a terminal, tables that fit it, the live list of steps.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace seatrial::cli {

bool on_terminal();      // stdout
int terminal_width();    // columns; 80 when it is no terminal
enum class Tone { plain, bold, dim, good, bad, warn };
std::string paint(std::string_view text, Tone tone);    // plain when not on a terminal
// Width in columns of UTF-8 text (East Asian wide characters count two), and text cut to fit.
int columns_of(std::string_view text);
std::string cut(std::string_view text, int columns);
// Aligned columns when they fit the terminal, else a block of "name: value" lines per row.
void print_table(const std::vector<std::string>& head,
                 const std::vector<std::vector<std::string>>& rows);
// Says that a preview's address changed and why; nothing when it did not.
void print_moved(const nlohmann::json& preview);
void print_json(const nlohmann::json& document);
// A text member, safe to print; "" when there is none.
std::string text_of(const nlohmann::json& object, const char* member, bool keep_newlines = false);

std::string megabytes(std::int64_t bytes);    // "1.2 MB"

// The steps of a plan as they happen: redrawn in place on a terminal, a line per ended step
// elsewhere. Thread: one caller; a thread of its own keeps the times moving.
class StepList {
public:
    explicit StepList(bool quiet);
    ~StepList();
    StepList(const StepList&) = delete;
    StepList& operator=(const StepList&) = delete;
    void take(const nlohmann::json& step);    // data of a "step" event
    void note(const std::string& line);       // a line above the list that stays
    void finish();

private:
    struct Step {
        std::string title, state, line;
        long ms = 0;
        std::chrono::steady_clock::time_point started;
    };
    void draw();
    void erase();
    std::string render(const Step& step) const;

    bool quiet_;
    bool live_;
    std::mutex mutex_;
    std::vector<std::string> order_;
    std::map<std::string, Step> steps_;
    int drawn_ = 0;
    bool stopping_ = false;
    std::condition_variable wake_;
    std::thread ticker_;
};

}    // namespace seatrial::cli
