// Sources of variables beside env files, behind one interface. Each kind lives in a folder of its
// own, which app/ alone knows.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/context.h"
#include "base/secret.h"
#include "config/secret_source.h"

namespace seatrial::secrets {

using Values = std::map<std::string, Secret>;

// One kind of source. Thread: any.
class Source {
public:
    virtual ~Source() = default;
    // All variables of it, asked for anew. Errors never hold a value or what we log in with.
    virtual Result<Values> read(const config::SecretSource& from, const Context& ctx) const = 0;
};

// Error::mark of whatever Sources::read answers: a source is at fault, not who asked.
inline constexpr const char* source_mark = "secrets";

// Cheap to copy. Thread: any, once the kinds are in it.
class Sources {
public:
    void add(const std::string& kind, std::shared_ptr<const Source> source);
    // Checked: names that variables can have, at least one, 1 MB at most. Its error names it.
    Result<Values> read(const config::SecretSource& from, const Context& ctx) const;

private:
    std::map<std::string, std::shared_ptr<const Source>> kinds_;
};

}    // namespace seatrial::secrets
