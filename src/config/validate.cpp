#include "config/validate.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "config/env_file.h"
#include "config/pattern.h"
#include "config/types.h"
#include "config/values.h"

namespace seatrial::config {
namespace {

constexpr std::size_t fault_limit = 100;
constexpr std::size_t entry_limit = 1000;
// Compiling a pattern costs up to a millisecond.
constexpr int pattern_limit = 100;
constexpr std::size_t name_limit = 32;

// What other tools call it.
constexpr std::pair<std::string_view, std::string_view> synonyms[] = {
    {"services", "components"},
    {"processes", "components"},
    {"name", "app"},
    {"command", "run"},
    {"cmd", "run"},
    {"start", "run"},
    {"script", "run"},
    {"environment", "env"},
    {"variables", "env"},
    {"env_file", "env_files"},
    {"healthcheck", "health"},
    {"workdir", "cwd"},
    {"working_dir", "cwd"},
    {"directory", "cwd"},
    {"db", "database"},
    {"migrations", "migrate"},
    {"build", "install"},
    {"lifetime", "ttl"},
    {"max_instances", "max"},
    {"cache", "keep"},
    {"ports", "port"},
};

bool is_whole_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

struct Checker {
    Where file;
    const std::string& name;
    std::vector<Fault>& faults;
    std::size_t first_fault;
    int patterns = 0;

    bool full() const { return faults.size() - first_fault >= fault_limit; }
    void fault(int line, const std::string& key, std::string message, std::string remedy) {
        if (!full()) {
            faults.push_back({name, line, key, std::move(message), std::move(remedy), false});
        }
    }

    void object(Node& node, std::string_view pattern, const std::string& path);
    void entry(Node& node, const Key& key, const std::string& path);
    void unknown(const Node& node, std::string_view pattern, const std::string& path);
    bool check_name(const Node& node, std::string_view pattern, const std::string& path);
    void missing(const Node& node, std::string_view pattern, const std::string& path);
    void value(Node& node, const Key& key, const std::string& path);
    bool list(Node& node, const Key& key, const std::string& path);
    void scalar(Node& node, const Key& key, const std::string& path);
    void bounds(const Node& node, const Key& key, const std::string& path);
    void choice(Node& node, const Key& key, const std::string& path);
    void regex(const Node& node, const std::string& path);
    void command(const Node& node, const std::string& path);
};

void Checker::unknown(const Node& node, std::string_view pattern, const std::string& path) {
    std::vector<std::string_view> known;
    for (const Key* key : keys_below(pattern)) {
        if (last_segment(key->path) != "*" && allowed_in(key->where, file)) {
            known.push_back(last_segment(key->path));
        }
    }
    auto close = suggest(node.key, known);
    for (const auto& [foreign, ours] : synonyms) {
        if (node.key == foreign && std::ranges::find(known, ours) != known.end()) {
            close = std::string(ours);
        }
    }
    std::string list;
    for (const auto word : known) {
        list += (list.empty() ? "" : ", ") + std::string(word);
    }
    fault(node.key_line, path, "unknown key '" + excerpt(node.key) + "'",
          close ? "did you mean '" + *close + "'?" : "known here: " + list);
}

bool Checker::check_name(const Node& node, std::string_view pattern, const std::string& path) {
    const auto& rows = all_keys();
    const auto parent = std::ranges::find(rows, pattern, &Key::path);
    if (parent != rows.end() && parent->names == Names::variable) {
        if (!is_variable_name(node.key)) {
            fault(node.key_line, path, "not the name of a variable",
                  "use letters, digits and '_', not a digit first");
            return false;
        }
        return true;
    }
    if (parent != rows.end() && parent->names == Names::registry) {
        if (!is_registry(node.key)) {
            fault(node.key_line, path, "not the host of a registry",
                  "as in image names: registry.example.com, or host:5000");
            return false;
        }
        return true;
    }
    if (!is_short_name(node.key, name_limit)) {
        fault(node.key_line, path, "not a name for this",
              "use lower-case letters, digits and '-', a letter first, at most 32");
        return false;
    }
    return true;
}

void Checker::missing(const Node& node, std::string_view pattern, const std::string& path) {
    for (const Key* key : keys_below(pattern)) {
        const auto word = last_segment(key->path);
        if (!key->required || word == "*" || node.find(word) != nullptr) {
            continue;
        }
        if (pattern.empty() ? file != Where::server : allowed_in(key->where, file)) {
            fault(node.key_line > 0 ? node.key_line : node.line,
                  path.empty() ? std::string(word) : path + "." + std::string(word), "is missing",
                  "for example: " + std::string(word) + ": " + std::string(key->example));
        }
    }
}

void Checker::object(Node& node, std::string_view pattern, const std::string& path) {
    if (node.children.size() > entry_limit) {
        fault(node.line, path, "more than 1000 entries", "split the app");
        return;
    }
    // A key without a value is a key that is not there, unless users chose its name.
    std::erase_if(node.children, [&](const Node& child) {
        const Key* key = find_key(pattern, child.key);
        return child.kind == Node::Kind::null && key != nullptr && last_segment(key->path) != "*";
    });
    for (auto& child : node.children) {
        if (full()) {
            return;
        }
        const std::string child_path = (path.empty() ? "" : path + ".") + excerpt(child.key);
        const Key* key = find_key(pattern, child.key);
        if (key == nullptr) {
            unknown(child, pattern, child_path);
        } else if (last_segment(key->path) != "*" || check_name(child, pattern, child_path)) {
            entry(child, *key, child_path);
        }
    }
    missing(node, pattern, path);
}

void Checker::entry(Node& node, const Key& key, const std::string& path) {
    if (!allowed_in(key.where, file)) {
        if (file == Where::app) {
            fault(node.key_line, path, "belongs in the server's file, not in the app's",
                  "move it to the file given to 'seatrial serve --config'");
        } else {
            fault(node.key_line, path, "belongs in the app's file, not in the server's",
                  "move it to seatrial.yaml in the app's repository");
        }
        return;
    }
    if (key.type != Type::object) {
        value(node, key, path);
        return;
    }
    if (!node.is_map()) {
        if (node.kind == Node::Kind::null) {
            node.kind = Node::Kind::map;
        } else if (!key.shorthand.empty()) {
            Node inner = std::move(node);
            node = Node{};
            node.kind = Node::Kind::map;
            node.line = inner.line;
            node.key_line = inner.key_line;
            node.key = std::exchange(inner.key, std::string(key.shorthand));
            node.children.push_back(std::move(inner));
        } else {
            fault(node.line, path, "must be a map of keys",
                  "for example: " + node.key + ": " + std::string(key.example));
            return;
        }
    }
    object(node, key.path, path);
    if (node.children.empty() && key.required && key.shorthand.empty()) {
        fault(node.line, path, "is empty",
              "for example: " + node.key + ": " + std::string(key.example));
    }
}

void Checker::command(const Node& node, const std::string& path) {
    const bool good =
        node.is_scalar()
            ? !trim(node.text).empty()
            : node.is_list() && !node.children.empty() && !node.children.front().text.empty() &&
                  std::ranges::all_of(node.children, [](const Node& word) {
                      return word.is_scalar() && word.text.find('\0') == std::string::npos;
                  });
    if (!good || node.text.find('\0') != std::string::npos) {
        fault(node.line, path, "must be a command",
              "write text for the shell (node server.js) or a list (['node', 'server.js'])");
    }
}

// One item alone becomes a list of one.
bool Checker::list(Node& node, const Key& key, const std::string& path) {
    if (node.is_scalar() || (key.type == Type::objects && node.is_map())) {
        Node item = node;
        item.key.clear();
        node.kind = Node::Kind::list;
        node.text.clear();
        node.children.clear();
        node.children.push_back(std::move(item));
    }
    if (!node.is_list() || node.children.size() > entry_limit) {
        fault(node.line, path, "must be " + std::string(describe(key.type).name),
              std::string(describe(key.type).remedy));
        return false;
    }
    return true;
}

void Checker::value(Node& node, const Key& key, const std::string& path) {
    if (key.type == Type::command) {
        command(node, path);
        return;
    }
    if (key.type == Type::objects) {
        if (list(node, key, path)) {
            for (std::size_t i = 0; i < node.children.size() && !full(); ++i) {
                entry(node.children[i], *find_key(key.path, "[]"),
                      path + "[" + std::to_string(i) + "]");
            }
        }
        return;
    }
    if (is_list_type(key.type)) {
        if (!list(node, key, path)) {
            return;
        }
        if (node.children.empty() && key.required) {
            fault(node.line, path, "is empty", std::string(describe(key.type).remedy));
        }
        for (std::size_t i = 0; i < node.children.size(); ++i) {
            scalar(node.children[i], key, path + "[" + std::to_string(i) + "]");
        }
        return;
    }
    if (node.kind == Node::Kind::null) {    // "NAME:" in a map of values
        node.kind = Node::Kind::scalar;
    }
    scalar(node, key, path);
}

void Checker::choice(Node& node, const Key& key, const std::string& path) {
    const auto known = choices(key);
    if (node.text == "false" && !node.quoted && known.front() == "none") {
        node.text = "none";
    }
    if (std::ranges::find(known, node.text) != known.end()) {
        return;
    }
    const auto close = suggest(node.text, known);
    std::string list;
    for (const auto word : known) {
        list += (list.empty() ? "" : ", ") + std::string(word);
    }
    fault(node.line, path, "'" + excerpt(node.text) + "' is not one of " + list,
          close ? "did you mean '" + *close + "'?" : "choose one of them");
}

void Checker::regex(const Node& node, const std::string& path) {
    constexpr std::size_t longest = 1000;
    if (node.text.size() > longest || ++patterns > pattern_limit) {
        fault(node.line, path, "too many patterns, or too long a pattern",
              "at most 100 of at most 1000 characters");
    } else if (const auto why = pattern_fault(node.text)) {
        fault(node.line, path, "not a regular expression: " + excerpt(*why),
              "the syntax is RE2's: no look-around, no back references");
    }
}

// The type's own number and the bounds of the row.
void Checker::bounds(const Node& node, const Key& key, const std::string& path) {
    std::optional<std::int64_t> number;
    std::string low = std::to_string(key.min);
    std::string high = std::to_string(key.max);
    if (key.type == Type::integer) {
        number = parse_integer(node.text);
    } else if (key.type == Type::percent) {
        number = parse_percent(node.text);
        low += "%";
        high += "%";
    } else if (key.type == Type::size) {
        number = parse_size(node.text);
    } else if (const auto duration = parse_duration(node.text)) {
        number = duration->count();
        low = render_duration(std::chrono::milliseconds(key.min));
        high = render_duration(std::chrono::milliseconds(key.max));
    }
    if (!number) {
        fault(node.line, path,
              "'" + excerpt(node.text) + "' is not " + std::string(describe(key.type).name),
              std::string(describe(key.type).remedy));
    } else if (*number < key.min || *number > key.max) {
        fault(node.line, path, excerpt(node.text) + " is out of bounds",
              "allowed is " + low + " to " + high);
    }
}

void Checker::scalar(Node& node, const Key& key, const std::string& path) {
    const TypeText& expected = describe(item_type(key.type));
    if (!node.is_scalar() || node.text.find('\0') != std::string::npos) {
        fault(node.line, path, "must be " + std::string(expected.name),
              std::string(expected.remedy));
        return;
    }
    switch (key.type) {
        case Type::choice: choice(node, key, path); return;
        case Type::pattern: regex(node, path); return;
        case Type::template_text:
            if (const auto names = template_variables(node.text); !names) {
                fault(node.line, path, names.error().message, names.error().hint);
            }
            return;
        case Type::integer:
        case Type::percent:
        case Type::size:
        case Type::duration: bounds(node, key, path); return;
        default: break;
    }
    if (fits(key.type, node.text)) {
        return;
    }
    if (key.path == "components.*.port" && is_whole_number(node.text)) {
        const auto component =
            path.substr(path.find('.') + 1, path.rfind('.') - path.find('.') - 1);
        fault(node.line, path,
              "a fixed port (" + excerpt(node.text) + ") cannot work: each preview gets its own",
              "name a variable here (port: " + variable_prefix(component) +
                  "_PORT) and let the command listen on it");
        return;
    }
    fault(node.line, path, "'" + excerpt(node.text) + "' is not " + std::string(expected.name),
          std::string(expected.remedy));
}

}    // namespace

void sort_faults(std::vector<Fault>& faults) {
    std::ranges::sort(faults, {}, [](const Fault& fault) {
        return std::tie(fault.line, fault.key, fault.message);
    });
}

void validate(Node& root, Where file, const std::string& name, std::vector<Fault>& faults) {
    Checker checker{file, name, faults, faults.size()};
    if (!root.is_map()) {
        checker.fault(root.line, "", "the file must be a map of keys",
                      "for example: app: shop (see 'seatrial init')");
        return;
    }
    checker.object(root, "", "");
    if (checker.full()) {
        faults.push_back({name, 0, "", "there are more faults", "mend these first", false});
    }
}

}    // namespace seatrial::config
