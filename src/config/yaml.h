// YAML as a plain tree with line numbers. The only door to yaml-cpp: everybody else uses Node.
// Bounded whatever comes in: 256 KB of UTF-8, 100 levels, 100,000 nodes and 4 MB of text after
// aliases are expanded; one document; no tags; a key stands once. Nothing is thrown outward.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace seatrial::config {

inline constexpr std::size_t yaml_size_limit = 256 << 10;
inline constexpr int yaml_depth_limit = 100;
inline constexpr std::size_t yaml_node_limit = 100'000;
inline constexpr std::size_t yaml_text_limit = 4 << 20;

struct Node {
    enum class Kind : unsigned char { null, scalar, list, map };
    Kind kind = Kind::null;
    bool quoted = false;           // scalar: written in quotes or as a block, so never a number
    int line = 0;                  // 1-based, of the value
    int key_line = 0;              // 1-based, of the key, when the parent is a map
    std::string key;               // when the parent is a map
    std::string text;              // scalar; as written: 012 stays 012, yes stays yes
    std::vector<Node> children;    // list items, or map values carrying their keys

    bool is_map() const { return kind == Kind::map; }
    bool is_list() const { return kind == Kind::list; }
    bool is_scalar() const { return kind == Kind::scalar; }
    const Node* find(std::string_view name) const;    // null when absent or not a map
};

struct Document {
    Node root;    // a file without content is an empty map
    std::vector<Fault> faults;
    bool complete = true;    // false: a fault ended the reading, `root` holds nothing
};
// A doubled key is a fault that does not end the reading; the first one counts.
Document parse_yaml(std::string_view text, const std::string& name);

// Text of others for a message: made printable and cut.
std::string excerpt(std::string_view text);

}    // namespace seatrial::config
