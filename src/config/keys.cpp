#include "config/keys.h"

namespace seatrial::config {
namespace {

std::string_view parent_of(std::string_view path) {
    const auto dot = path.rfind('.');
    return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}

}    // namespace

const std::vector<Key>& all_keys() {
    static const std::vector<Key> table = [] {
        std::vector<Key> rows(app_keys().begin(), app_keys().end());
        rows.insert(rows.end(), release_keys().begin(), release_keys().end());
        rows.insert(rows.end(), server_keys().begin(), server_keys().end());
        rows.insert(rows.end(), environment_keys().begin(), environment_keys().end());
        rows.insert(rows.end(), gate_keys().begin(), gate_keys().end());
        rows.insert(rows.end(), secret_keys().begin(), secret_keys().end());
        return rows;
    }();
    return table;
}

std::string_view last_segment(std::string_view path) {
    return path.substr(path.rfind('.') + 1);
}

const Key* find_key(std::string_view parent, std::string_view name) {
    const Key* star = nullptr;
    for (const auto& key : all_keys()) {
        if (parent_of(key.path) != parent) {
            continue;
        }
        if (last_segment(key.path) == name && name != "*") {
            return &key;
        }
        if (last_segment(key.path) == "*") {
            star = &key;
        }
    }
    return star;
}

std::vector<const Key*> keys_below(std::string_view parent) {
    std::vector<const Key*> out;
    for (const auto& key : all_keys()) {
        if (parent_of(key.path) == parent) {
            out.push_back(&key);
        }
    }
    return out;
}

bool allowed_in(Where where, Where file) {
    return (static_cast<unsigned>(where) & static_cast<unsigned>(file)) != 0;
}

}    // namespace seatrial::config
