#include "plan/resource.h"

#include <nlohmann/json.hpp>

#include "crypto/crypto.h"

namespace seatrial::plan {

std::string to_string(const Ref& ref) {
    return ref.type + " " + ref.place + "/" + ref.name;
}

std::string_view to_string(Presence presence) {
    switch (presence) {
        case Presence::absent: return "absent";
        case Presence::partial: return "partial";
        case Presence::ready: return "ready";
        case Presence::foreign: return "foreign";
    }
    return "unknown";
}

std::string spec_hash(const nlohmann::json& spec) {
    // nlohmann::json keeps object keys sorted, so equal specs have equal text.
    return crypto::sha256_hex(spec.dump()).substr(0, 32);
}

void Types::add(std::unique_ptr<Type> type) {
    std::string name(type->name());
    check(types_.emplace(std::move(name), std::move(type)).second, "resource type added twice");
}

Type* Types::find(std::string_view name) const {
    const auto found = types_.find(name);
    return found == types_.end() ? nullptr : found->second.get();
}

std::vector<Type*> Types::all() const {
    std::vector<Type*> types;
    for (const auto& [name, type] : types_) {
        types.push_back(type.get());
    }
    return types;
}

}    // namespace seatrial::plan
