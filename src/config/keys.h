// The one table of configuration keys. Validation, suggestions, JSON Schema and the reference
// page are made from it; a key that is not here does not exist.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace seatrial::config {

enum class Where : unsigned char {
    app = 1,       // seatrial.yaml
    server = 2,    // the server's file
    both = 3,      // in the app's file it may only tighten
};

enum class Type : unsigned char {
    object,           // its keys stand in the table
    objects,          // list of maps; their keys stand below "[]"; one alone allowed
    label,            // text of a person: no control characters, no leading dash
    text,             // any text
    command,          // text for /bin/sh -c inside the isolation, or a list: argv
    template_text,    // text with ${NAME}
    variable,         // NAME of an environment variable
    variables,        // list of them
    path,             // below the tree: relative, no '..'
    folder,           // the same, or "." for the tree itself
    paths,            // list of paths, one text allowed
    globs,            // the same with '*' inside a segment
    file,             // path on the server, absolute
    files,            // list of them
    host,             // host name or address
    url_path,         // starts with '/'
    texts,            // list of text
    pattern,          // regular expression (RE2 syntax)
    boolean,
    integer,     // bounds in min, max
    percent,     // "150%" or 150
    duration,    // "90s", "1h30m"; bounds in milliseconds
    size,        // "512M"; bounds in bytes
    choice,      // one of `values`
};

// How the free names of a `*` level must look.
enum class Names : unsigned char { label, variable, registry };

struct Key {
    // "components.*.port"; '*' is a name that users choose, "[]" one item of a list.
    std::string_view path = {};
    Where where = Where::app;
    Type type = Type::text;
    bool required = false;             // when the object around it is there
    std::string_view fallback = {};    // as one would write it; "" = none
    std::int64_t min = 0;
    std::int64_t max = 0;
    std::string_view values = {};       // choice: "a|b|c"
    std::string_view shorthand = {};    // object: the key meant when no map is written
    Names names = Names::label;         // object with a '*' child
    std::string_view text = {};         // for the reference page
    std::string_view example = {};      // a value that validates
};

const std::vector<Key>& all_keys();
std::span<const Key> app_keys();            // keys_app.cpp
std::span<const Key> release_keys();        // keys_release.cpp
std::span<const Key> environment_keys();    // keys_environments.cpp
std::span<const Key> gate_keys();           // keys_gates.cpp
std::span<const Key> secret_keys();         // keys_secrets.cpp
std::span<const Key> server_keys();         // keys_server.cpp, the rest
// The row for `name` under the row `parent` ("" = top): the exact one, else the '*' one.
const Key* find_key(std::string_view parent, std::string_view name);
// The rows one level below `parent`, in table order.
std::vector<const Key*> keys_below(std::string_view parent);
std::string_view last_segment(std::string_view path);
bool allowed_in(Where where, Where file);

}    // namespace seatrial::config
