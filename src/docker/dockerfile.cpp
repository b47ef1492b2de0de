#include "docker/dockerfile.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/text.h"

namespace seatrial::docker {
namespace {

struct Flag {
    std::string_view instruction, flag;
};
// Of BuildKit's own.
constexpr Flag flags[] = {{"RUN", "--mount"},    {"RUN", "--network"},      {"RUN", "--security"},
                          {"COPY", "--link"},    {"COPY", "--chmod"},       {"COPY", "--parents"},
                          {"COPY", "--exclude"}, {"ADD", "--link"},         {"ADD", "--chmod"},
                          {"ADD", "--checksum"}, {"ADD", "--keep-git-dir"}, {"ADD", "--unpack"},
                          {"ADD", "--exclude"}};

std::string upper(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::toupper(c); });
    return out;
}

// Words outside of quotes; quotes stay in their word.
std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> out;
    std::string word;
    char quote = 0;
    for (const char c : text) {
        if (quote == 0 && (c == ' ' || c == '\t')) {
            if (!word.empty()) {
                out.push_back(std::move(word));
                word.clear();
            }
            continue;
        }
        if (quote != 0 ? c == quote : c == '"' || c == '\'') {
            quote = quote == 0 ? c : 0;
        }
        word += c;
    }
    if (!word.empty()) {
        out.push_back(std::move(word));
    }
    return out;
}

// "<<EOF", "<<-'EOF'", "3<<EOF"; "<<<" is the shell's own.
bool is_heredoc(std::string_view word) {
    while (!word.empty() && std::isdigit(static_cast<unsigned char>(word.front())) != 0) {
        word.remove_prefix(1);
    }
    if (!word.starts_with("<<")) {
        return false;
    }
    word.remove_prefix(word.starts_with("<<-") ? 3 : 2);
    return !word.empty() && word.find('<') == std::string_view::npos;
}

std::optional<std::string> need_of(std::string_view instruction) {
    auto words = words_of(instruction);
    if (!words.empty() && upper(words[0]) == "ONBUILD") {
        words.erase(words.begin());
    }
    if (words.empty()) {
        return std::nullopt;
    }
    const std::string name = upper(words[0]);
    std::size_t at = 1;
    for (; at < words.size() && words[at].starts_with("--"); ++at) {
        const std::string flag = words[at].substr(0, words[at].find('='));
        for (const auto& known : flags) {
            if (known.instruction == name && known.flag == flag) {
                return name + " " + flag;
            }
        }
    }
    const bool may = name == "RUN" || name == "COPY" || name == "ADD";
    const bool has = may && std::any_of(words.begin() + static_cast<std::ptrdiff_t>(at),
                                        words.end(), is_heredoc);
    return has ? std::optional<std::string>("a heredoc") : std::nullopt;
}

// "# escape=`" → {"escape", "`"}
std::optional<std::pair<std::string, std::string>> directive_of(std::string_view line) {
    line = trim(line);
    const auto equals = line.find('=');
    if (!line.starts_with('#') || equals == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string name = upper(trim(line.substr(1, equals - 1)));
    if (name.empty() || name.find_first_of(" \t") != std::string::npos) {
        return std::nullopt;
    }
    return std::pair{name, std::string(trim(line.substr(equals + 1)))};
}

}    // namespace

std::optional<BuildkitNeed> find_buildkit_need(std::string_view dockerfile) {
    if (dockerfile.starts_with("\xEF\xBB\xBF")) {
        dockerfile.remove_prefix(3);
    }
    const auto lines = split(dockerfile, '\n');
    char escape = '\\';
    std::size_t at = 0;
    for (; at < lines.size(); ++at) {
        const auto directive = directive_of(lines[at]);
        if (!directive) {
            break;
        }
        if (directive->first == "SYNTAX") {
            return BuildkitNeed{static_cast<int>(at) + 1, "# syntax="};
        }
        if (directive->first == "ESCAPE" && directive->second == "`") {
            escape = '`';
        }
    }
    std::string instruction;
    std::size_t start = at;
    for (; at < lines.size(); ++at) {
        std::string_view line = trim(lines[at]);
        if (line.empty() || line.starts_with('#')) {
            continue;    // also in the middle of an instruction
        }
        if (instruction.empty()) {
            start = at;
        }
        const bool goes_on = line.ends_with(escape);
        line.remove_suffix(goes_on ? 1 : 0);
        instruction += std::string(line) + " ";
        if (goes_on && at + 1 < lines.size()) {
            continue;
        }
        if (auto need = need_of(instruction)) {
            return BuildkitNeed{static_cast<int>(start) + 1, std::move(*need)};
        }
        instruction.clear();
    }
    if (auto need = need_of(instruction)) {
        return BuildkitNeed{static_cast<int>(start) + 1, std::move(*need)};
    }
    return std::nullopt;
}

}    // namespace seatrial::docker
