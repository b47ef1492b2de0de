#include "secrets/source.h"

#include "base/text.h"
#include "config/values.h"

namespace seatrial::secrets {
namespace {

constexpr std::size_t most_values = 10'000;
constexpr std::size_t most_bytes = 1 << 20;

Status check_values(const Values& values) {
    if (values.empty()) {
        return fail(Code::invalid, "it has no variables",
                    "look whether the right place in it is named");
    }
    std::size_t bytes = 0;
    for (const auto& [name, value] : values) {
        bytes += name.size() + value.reveal().size();
        if (!config::is_variable_name(name)) {
            return fail(Code::invalid,
                        "'" + printable(name.substr(0, 128)) + "' is not the name of a variable",
                        "use letters, digits and '_', not a digit first");
        }
        if (value.reveal().find('\0') != std::string::npos || !is_valid_utf8(value.reveal())) {
            return fail(Code::invalid, name + " is not text", "containers get text alone");
        }
    }
    if (values.size() > most_values || bytes > most_bytes) {
        return fail(Code::invalid, "it has more than 10,000 variables, or 1 MB of them",
                    "keep only variables in it");
    }
    return {};
}

Error told(Error error, const config::SecretSource& from) {
    error.message =
        "the variables of " + config::name_of(from) + " cannot be read: " + render_error(error);
    error.cause = nullptr;
    error.mark = source_mark;
    return error;
}

}    // namespace

void Sources::add(const std::string& kind, std::shared_ptr<const Source> source) {
    kinds_[kind] = std::move(source);
}

Result<Values> Sources::read(const config::SecretSource& from, const Context& ctx) const {
    const auto kind = kinds_.find(from.kind);
    if (kind == kinds_.end()) {
        return tl::unexpected(
            told({Code::invalid, "this version knows no such source", "", "", nullptr}, from));
    }
    auto values = kind->second->read(from, ctx);
    if (!values) {
        return tl::unexpected(told(std::move(values).error(), from));
    }
    if (const auto checked = check_values(*values); !checked) {
        return tl::unexpected(told(checked.error(), from));
    }
    return values;
}

}    // namespace seatrial::secrets
