// A value that must never be printed. There is no operator<<, no conversion to string; only
// reveal(), whose every call is a place to look at.
#pragma once

#include <string>
#include <utility>

namespace seatrial {

class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    const std::string& reveal() const { return value_; }
    bool empty() const { return value_.empty(); }

private:
    std::string value_;
};

}    // namespace seatrial
