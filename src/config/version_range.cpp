#include "config/version_range.h"

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "config/values.h"

namespace seatrial::config {
namespace {

constexpr std::int64_t endless = std::numeric_limits<std::int64_t>::max();
constexpr Version none{0, 0, 0};
constexpr Version all{endless, endless, endless};
constexpr std::size_t most_digits = 9;
constexpr std::size_t most_alternatives = 16;

struct Partial {
    Version version = none;
    std::size_t parts = 0;    // 0: any
};

// The version without `-rc.1` and `+build`.
std::string_view core_of(std::string_view text) {
    if (text.starts_with('v')) {
        text.remove_prefix(1);
    }
    return text.substr(0, text.find_first_of("-+"));
}

std::optional<Partial> parse_partial(std::string_view text) {
    Partial out;
    bool open = false;    // after an `x`
    const auto parts = split(core_of(text), '.');
    if (parts.size() > out.version.size()) {
        return std::nullopt;
    }
    for (const auto part : parts) {
        const bool any = part == "x" || part == "X" || part == "*";
        const auto number = parse_integer(part);
        if (!any && (part.size() > most_digits || !number || *number < 0 ||
                     part.find_first_not_of("0123456789") != std::string_view::npos || open)) {
            return std::nullopt;
        }
        open = open || any;
        if (!any) {
            out.version.at(out.parts++) = *number;
        }
    }
    return out;
}

// The first version behind all that agree in their first `parts` parts.
Version behind(Version version, std::size_t parts) {
    if (parts == 0) {
        return all;
    }
    ++version.at(parts - 1);
    std::fill(version.begin() + static_cast<std::ptrdiff_t>(parts), version.end(), 0);
    return version;
}

// As many parts as `^` keeps: to the first that is not 0.
std::size_t kept_by_caret(const Partial& partial) {
    for (std::size_t i = 0; i < partial.parts; ++i) {
        if (partial.version.at(i) != 0) {
            return i + 1;
        }
    }
    return partial.parts;
}

struct Limits {
    Version from, to;
};
struct Operator {
    std::string_view sign;
    Limits (*limits)(const Partial& partial);
};
constexpr Operator operators[] = {
    {">=", [](const Partial& p) { return Limits{p.version, all}; }},
    {"<=", [](const Partial& p) { return Limits{none, behind(p.version, p.parts)}; }},
    {">", [](const Partial& p) { return Limits{behind(p.version, p.parts), all}; }},
    {"<", [](const Partial& p) { return Limits{none, p.version}; }},
    {"^", [](const Partial& p) { return Limits{p.version, behind(p.version, kept_by_caret(p))}; }},
    {"~",
     [](const Partial& p) {
         return Limits{p.version, behind(p.version, std::min<std::size_t>(p.parts, 2))};
     }},
    {"=", [](const Partial& p) { return Limits{p.version, behind(p.version, p.parts)}; }},
    {"", [](const Partial& p) { return Limits{p.version, behind(p.version, p.parts)}; }},
};

std::optional<Limits> parse_limits(std::string_view text) {
    for (const auto& one : operators) {
        if (text.starts_with(one.sign)) {
            const auto partial = parse_partial(text.substr(one.sign.size()));
            return partial ? std::optional(one.limits(*partial)) : std::nullopt;
        }
    }
    return std::nullopt;
}

}    // namespace

std::optional<Version> parse_version(std::string_view text) {
    const auto partial = parse_partial(text);
    return partial && partial->parts > 0 ? std::optional(partial->version) : std::nullopt;
}

std::optional<VersionRange> VersionRange::parse(std::string_view text) {
    VersionRange out;
    while (out.spans_.size() < most_alternatives) {
        const std::size_t bar = text.find("||");
        Span span{none, all};
        bool any = false;
        for (const auto word : split(text.substr(0, bar), ' ')) {
            if (word.empty()) {
                continue;
            }
            const auto limits = parse_limits(word);
            if (!limits) {
                return std::nullopt;
            }
            any = true;
            span.from = std::max(span.from, limits->from);
            span.to = std::min(span.to, limits->to);
        }
        if (!any) {
            return std::nullopt;
        }
        out.spans_.push_back(span);
        if (bar == std::string_view::npos) {
            return out;
        }
        text.remove_prefix(bar + 2);
    }
    return std::nullopt;
}

bool VersionRange::contains(const Version& version) const {
    return std::ranges::any_of(
        spans_, [&](const Span& span) { return span.from <= version && version < span.to; });
}

}    // namespace seatrial::config
