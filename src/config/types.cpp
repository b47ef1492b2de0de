#include "config/types.h"

#include <map>

#include "base/names.h"
#include "base/text.h"
#include "config/values.h"

namespace seatrial::config {
namespace {

constexpr std::size_t label_limit = 100;

bool is_glob_below(std::string_view text) {
    return is_path_below(text) && text.find("**") == std::string_view::npos;
}

bool is_absolute(std::string_view text) {
    return text.starts_with('/') &&
           (clean_path(text.substr(1)).empty() || is_path_below(text.substr(1)));
}

}    // namespace

bool is_list_type(Type type) {
    return type == Type::variables || type == Type::paths || type == Type::globs ||
           type == Type::files || type == Type::texts;
}

Type item_type(Type type) {
    switch (type) {
        case Type::variables: return Type::variable;
        case Type::paths: return Type::path;
        case Type::files: return Type::file;
        case Type::texts: return Type::text;
        default: return type;
    }
}

bool fits(Type type, std::string_view text) {
    switch (type) {
        case Type::label: return check_label("value", text, label_limit).has_value();
        case Type::variable:
        case Type::variables: return is_variable_name(text);
        case Type::folder: return clean_path(text) == "." || is_path_below(text);
        case Type::path:
        case Type::paths: return is_path_below(text);
        case Type::globs: return is_glob_below(text);
        case Type::file:
        case Type::files: return is_absolute(text);
        case Type::url_path:
            return text.starts_with('/') &&
                   text.find_first_of(" \t\r\n#") == std::string_view::npos;
        case Type::host: return is_host(text);
        case Type::boolean: return parse_boolean(text).has_value();
        case Type::text:
        case Type::texts: return !text.empty();
        default: return true;
    }
}

const TypeText& describe(Type type) {
    static const std::map<Type, TypeText> texts = {
        {Type::object, {"a map of keys", "write key: value lines below it"}},
        {Type::objects, {"a list of maps", "write '- key: value' lines below it"}},
        {Type::label, {"a name", "use up to 100 characters, no control characters, no '-' first"}},
        {Type::text, {"text", "write it on the same line, in quotes if it has ': ' or ' #'"}},
        {Type::command, {"a command", "write text for the shell, or a list of words"}},
        {Type::template_text, {"text", "write it on the same line, in quotes if it has ': '"}},
        {Type::variable, {"the name of a variable", "use letters, digits and '_': WEB_PORT"}},
        {Type::variables, {"a list of variable names", "for example [SESSION_SECRET]"}},
        {Type::path, {"a path below the repository", "write it relative, without '..'"}},
        {Type::folder,
         {"a folder of the repository", "write it relative, without '..'; '.' is all of it"}},
        {Type::paths,
         {"a list of paths below the repository", "write them relative, without '..'"}},
        {Type::globs,
         {"a path below the repository, or a list of them",
          "write them relative, without '..' and '**'; '*' is one folder name"}},
        {Type::file, {"an absolute path", "start it with '/', without '..'"}},
        {Type::files, {"a list of absolute paths", "start them with '/', without '..'"}},
        {Type::host, {"a host name", "write a name or an address, without scheme and port"}},
        {Type::url_path, {"a URL path", "start it with '/'"}},
        {Type::texts, {"a list of texts", "for example [one, two]"}},
        {Type::pattern, {"a regular expression", "quote it"}},
        {Type::boolean, {"true or false", "write true or false"}},
        {Type::integer, {"a whole number", "write digits only"}},
        {Type::percent, {"a percentage", "100% is one core: write 150%"}},
        {Type::duration, {"a duration", "write it with its unit: 90s, 15m, 24h, 7d"}},
        {Type::size, {"a size", "write it with its unit: 512M, 2G"}},
        {Type::choice, {"one of the known words", "choose one of them"}},
    };
    return texts.at(type);
}

std::vector<std::string_view> choices(const Key& key) {
    return split(key.values, '|');
}

}    // namespace seatrial::config
