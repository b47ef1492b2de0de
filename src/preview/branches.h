// Ends previews whose branch is gone or merged. Local repositories are watched (inotify on their
// refs), remotes are asked every quarter of an hour and when an expiry warning is due. Only
// positive evidence ends a preview: an error, an empty or a partial answer means unknown.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "preview/manager.h"

namespace seatrial::preview {

// Thread: any. One thread of its own, asleep until a watched folder changes.
class BranchWatch {
public:
    BranchWatch(Parts parts, Manager& manager);
    ~BranchWatch();
    BranchWatch(const BranchWatch&) = delete;
    BranchWatch& operator=(const BranchWatch&) = delete;
    // Looks at all previews that are wanted: watches what is new, asks what cannot be watched.
    void refresh();
    // Ends checks at work; later ones do nothing.
    void cancel() { stopping_.cancel(); }
    // Why the branch of this life cannot be asked for at the moment; "" when it can.
    std::string problem(const std::string& life) const;

private:
    void work();
    void watch(const Spec& spec);
    void check_soon(const std::string& source);
    void check_source(const std::string& source);
    // What was found out in one look at a source: many previews may ask the same.
    struct Answers {
        std::map<std::string, Result<std::string>> tips;    // by branch
        std::map<std::string, Result<bool>> merged;         // by tip, base, fork and commit
    };
    const Result<std::string>& tip_of(const Spec& spec, const std::string& branch, Answers& answers,
                                      const Context& ctx) const;
    void check_life(const store::Life& life, const Spec& spec, Answers& answers,
                    const Context& ctx);
    Result<bool> is_merged(const Spec& spec, const std::string& tip, Answers& answers,
                           const Context& ctx) const;

    Parts parts_;
    Manager& manager_;
    CancelSource stopping_;
    Fd inotify_;
    Fd stop_;
    mutable std::mutex mutex_;
    std::map<int, std::string> watches_;             // inotify watch → source
    std::set<std::string> followed_;                 // lives
    std::map<std::string, std::string> problems_;    // life → why its branch is not known
    std::thread thread_;
};

}    // namespace seatrial::preview
