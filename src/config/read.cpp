#include "config/read.h"

#include <limits>

#include "config/values.h"

namespace seatrial::config {
namespace {

const std::string* text_of(const Node& map, std::string_view key) {
    const Node* node = map.find(key);
    return node != nullptr && node->is_scalar() ? &node->text : nullptr;
}

template <class T, class Parse>
void read_with(const Node& map, std::string_view key, T& out, Parse parse) {
    if (const auto* text = text_of(map, key)) {
        if (const auto value = parse(*text)) {
            out = static_cast<T>(*value);
        }
    }
}

}    // namespace

const std::vector<Node>& children_of(const Node& map, std::string_view key) {
    static const std::vector<Node> none;
    const Node* node = map.find(key);
    return node == nullptr ? none : node->children;
}

void read(const Node& map, std::string_view key, std::string& out) {
    if (const auto* text = text_of(map, key)) {
        out = *text;
    }
}

void read(const Node& map, std::string_view key, bool& out) {
    read_with(map, key, out, parse_boolean);
}

void read(const Node& map, std::string_view key, int& out) {
    read_with(map, key, out, parse_percent);
}

void read(const Node& map, std::string_view key, std::chrono::milliseconds& out) {
    read_with(map, key, out, parse_duration);
}

void read_size(const Node& map, std::string_view key, std::int64_t& out) {
    read_with(map, key, out, parse_size);
}

void read(const Node& map, std::string_view key, std::vector<std::string>& out) {
    const Node* node = map.find(key);
    if (node == nullptr || !node->is_list()) {
        return;
    }
    out.clear();
    for (const auto& item : node->children) {
        if (item.is_scalar()) {
            out.push_back(item.text);
        }
    }
}

void read_path(const Node& map, std::string_view key, std::string& out) {
    if (const auto* text = text_of(map, key)) {
        const std::string_view path = clean_path(*text);
        out = path == "." ? "" : std::string(path);
    }
}

void read_paths(const Node& map, std::string_view key, std::vector<std::string>& out) {
    read(map, key, out);
    for (auto& path : out) {
        path = std::string(clean_path(path));
    }
}

void read(const Node& map, std::string_view key, std::map<std::string, std::string>& out) {
    for (const auto& child : children_of(map, key)) {
        if (child.is_scalar()) {
            out[child.key] = child.text;
        }
    }
}

void read(const Node& map, std::string_view key, UserCommand& out) {
    const Node* node = map.find(key);
    if (node == nullptr) {
        return;
    }
    out = {};
    if (node->is_scalar()) {
        out.text = node->text;
        return;
    }
    for (const auto& word : node->children) {
        out.argv.push_back(word.text);
    }
}

}    // namespace seatrial::config
