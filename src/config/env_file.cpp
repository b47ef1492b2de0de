#include "config/env_file.h"

#include <algorithm>

#include "base/text.h"
#include "config/values.h"
#include "config/yaml.h"

namespace seatrial::config {
namespace {

constexpr std::size_t size_limit = 1 << 20;
constexpr std::size_t entry_limit = 10'000;
constexpr std::size_t fault_limit = 100;

// Reads one assignment after another; values never appear in faults.
class EnvReader {
public:
    EnvReader(std::string_view text, const std::string& name,
              Parsed<std::map<std::string, EnvEntry>>& out)
        : rest_(text), name_(name), out_(out) {}

    void read_all() {
        while (!rest_.empty() && out_.faults.size() < fault_limit) {
            read_line();
        }
    }

private:
    std::string_view take_line() {
        const auto end = rest_.find('\n');
        auto line = rest_.substr(0, end);
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
        ++line_;
        return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
    }
    void fault(int line, std::string key, std::string message, std::string remedy,
               bool warning = false) {
        out_.faults.push_back(
            {name_, line, std::move(key), std::move(message), std::move(remedy), warning});
    }
    void read_line();
    bool read_value(std::string_view text, const std::string& key, std::string& value);
    bool read_quoted(std::string_view text, const std::string& key, std::string& value);

    std::string_view rest_;
    const std::string& name_;
    Parsed<std::map<std::string, EnvEntry>>& out_;
    int line_ = 0;
};

void EnvReader::read_line() {
    auto line = trim(take_line());
    const int first_line = line_;
    if (line.empty() || line.front() == '#') {
        return;
    }
    constexpr std::string_view export_word = "export";
    if (line.starts_with(export_word) && line.size() > export_word.size() &&
        (line[export_word.size()] == ' ' || line[export_word.size()] == '\t')) {
        line = trim(line.substr(export_word.size()));
    }
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) {
        fault(first_line, "", "not an assignment", "write NAME=value, or put '#' before it");
        return;
    }
    const std::string key(trim(line.substr(0, equals)));
    if (!is_variable_name(key)) {
        fault(first_line, "", "what stands before '=' is not the name of a variable",
              "use letters, digits and '_', not a digit first");
        return;
    }
    EnvEntry entry;
    entry.line = first_line;
    if (!read_value(trim(line.substr(equals + 1)), key, entry.value)) {
        return;
    }
    const auto known = out_.value.find(key);
    if (known != out_.value.end()) {
        fault(first_line, key, "stands twice; this one counts",
              "remove the one in line " + std::to_string(known->second.line), true);
    } else if (out_.value.size() >= entry_limit) {
        fault(first_line, "", "more than 10,000 variables", "split the file");
        rest_ = {};
        return;
    }
    out_.value[key] = std::move(entry);
}

bool EnvReader::read_value(std::string_view text, const std::string& key, std::string& value) {
    if (!text.empty() && (text.front() == '"' || text.front() == '\'')) {
        return read_quoted(text, key, value);
    }
    // Without quotes a '#' after white space starts a comment.
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) {
            text = trim(text.substr(0, i));
            break;
        }
    }
    value = std::string(text);
    return true;
}

bool EnvReader::read_quoted(std::string_view text, const std::string& key, std::string& value) {
    const int first_line = line_;
    const char quote = text.front();
    text.remove_prefix(1);
    while (true) {
        std::size_t i = 0;
        for (; i < text.size() && text[i] != quote; ++i) {
            if (quote == '"' && text[i] == '\\' && i + 1 < text.size()) {
                constexpr std::string_view escapes = "n\nr\rt\t\"\"\\\\$$";
                const char next = text[++i];
                const auto at = escapes.find(next);
                // Unknown escapes stay as written.
                if (at == std::string_view::npos || at % 2 != 0) {
                    value += '\\';
                    value += next;
                } else {
                    value += escapes[at + 1];
                }
            } else {
                value += text[i];
            }
        }
        if (i < text.size()) {
            const auto after = trim(text.substr(i + 1));
            if (!after.empty() && after.front() != '#') {
                fault(line_, key, "text after the closing quote",
                      "put the whole value into the quotes");
                return false;
            }
            return true;
        }
        if (rest_.empty()) {
            fault(first_line, key, "the quote is not closed", "close it");
            return false;
        }
        value += '\n';
        text = take_line();
    }
}

}    // namespace

Parsed<std::map<std::string, EnvEntry>> parse_env_file(std::string_view text,
                                                       const std::string& name) {
    Parsed<std::map<std::string, EnvEntry>> out;
    constexpr std::string_view mark = "\xEF\xBB\xBF";
    if (text.size() > size_limit) {
        out.faults.push_back(
            {name, 0, "", "the file is larger than 1 MB", "keep only variables in it", false});
        return out;
    }
    if (text.starts_with(mark)) {
        text.remove_prefix(mark.size());
    }
    Utf8Reader reader(text);
    while (const auto point = reader.next()) {
        if (*point == 0) {
            break;
        }
    }
    if (!reader.valid() || reader.offset() < text.size() ||
        text.find('\0') != std::string_view::npos) {
        const auto bad = std::min(reader.offset(), text.size());
        out.faults.push_back(
            {name, 1 + static_cast<int>(std::ranges::count(text.substr(0, bad), '\n')), "",
             "not valid UTF-8, or a NUL byte", "save the file as UTF-8 text", false});
        return out;
    }
    EnvReader(text, name, out).read_all();
    return out;
}

}    // namespace seatrial::config
