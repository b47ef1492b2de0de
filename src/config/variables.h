// The table of the daemon's variables; config.h has the functions that use it.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace seatrial::config {

struct VariableTarget;    // variables.cpp: app, server, faults

struct Variable {
    std::string_view name;
    std::string_view fallback;    // "" = none
    std::string_view sets;        // the key it stands for
    std::string_view text;        // for the reference page
    void (*apply)(const Variable& variable, const std::string& value, VariableTarget& target);
};
std::span<const Variable> variable_table();

}    // namespace seatrial::config
