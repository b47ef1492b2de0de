#include "preview/ports.h"

namespace seatrial::preview {

Status choose_ports(const config::App& app, const config::Server& server,
                    const std::set<int>& taken, std::map<std::string, int>& ports) {
    struct Need {
        std::string component;
        int base;
    };
    std::vector<Need> needs;
    int position = 0;
    for (const auto& component : app.components) {
        if (component.port.empty()) {
            continue;
        }
        if (!ports.contains(component.name)) {
            needs.push_back({component.name, component.base_port != 0
                                                 ? component.base_port
                                                 : server.port_base + 100 * position});
        }
        ++position;
    }
    if (needs.empty()) {
        return {};
    }
    for (int slot = 0; slot < server.port_slots; ++slot) {
        std::map<std::string, int> chosen;
        std::set<int> mine;
        for (const auto& [component, port] : ports) {
            mine.insert(port);
        }
        for (const auto& need : needs) {
            const int port = need.base + slot * server.port_stride;
            if (port > 65535 || taken.contains(port) || !mine.insert(port).second) {
                break;
            }
            chosen[need.component] = port;
        }
        if (chosen.size() == needs.size()) {
            ports.merge(chosen);
            return {};
        }
    }
    return fail(Code::unavailable,
                "no port slot is free among " + std::to_string(server.port_slots) + " (base " +
                    std::to_string(needs.front().base) + ", stride " +
                    std::to_string(server.port_stride) + ")",
                "stop previews or foreign programs in that range, or set ports.base and "
                "ports.slots in the server's file");
}

}    // namespace seatrial::preview
