// How a component is read from its file and judged by itself. Inside config/ only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/component.h"
#include "config/fault.h"
#include "config/yaml.h"

namespace seatrial::config {

// The app file with the places of its values, for faults found after reading.
struct Source {
    const Node& root;
    const std::string& name;
    std::vector<Fault>& faults;

    int line(const std::vector<std::string_view>& path) const {
        const Node* node = &root;
        int line = 0;
        for (const auto segment : path) {
            node = node->find(segment);
            if (node == nullptr) {
                return line;
            }
            line = node->key_line;
        }
        return line;
    }
    void fault(const std::vector<std::string_view>& path, std::string message, std::string remedy,
               bool warning = false) {
        std::string key;
        for (const auto segment : path) {
            key += (key.empty() ? "" : ".") + std::string(segment);
        }
        faults.push_back({name, line(path), key, std::move(message), std::move(remedy), warning});
    }
};

Component read_component(const Node& node);
// Why an image would be another one the day after; "" = it would not.
std::string image_problem(std::string_view image);
void check_site(Source& source, const Component& component);

}    // namespace seatrial::config
