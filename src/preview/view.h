// Previews as other programs and people see them: the documented JSON of CLI and API.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "preview/parts.h"

namespace seatrial::preview {

// One preview. Optional members are always present and null when they do not apply.
nlohmann::json render_preview(const store::Life& life);
// The same with `steps` of the newest generation and `components` as they are right now.
Result<nlohmann::json> render_detail(const store::Life& life, const Parts& parts);
// An event as the stream and `--follow --json` show it.
nlohmann::json render_event(const store::Event& event);

// Plain sentences: why it is in this state, what it waits for, where the time went, what to do.
Result<std::vector<std::string>> explain(const store::Life& life, const Parts& parts);

}    // namespace seatrial::preview
