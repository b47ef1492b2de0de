#include "config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <unordered_set>
#include <utility>

#include "base/text.h"

namespace seatrial::config {
namespace {

// What ends the reading; thrown through yaml-cpp and caught in parse_yaml, never further.
struct Stop {
    int line;
    std::string message;
    std::string remedy;
};

int line_of(const YAML::Mark& mark) {
    return mark.line + 1;
}

std::size_t text_size(const Node& node) {
    return node.text.size() + node.key.size();
}

struct Size {
    std::size_t nodes = 0;
    std::size_t text = 0;
    int height = 0;
};
// Recursion is bounded: no tree is deeper than yaml_depth_limit.
void add_size(const Node& node, int level, Size& size) {
    ++size.nodes;
    size.text += text_size(node);
    size.height = std::max(size.height, level);
    for (const auto& child : node.children) {
        add_size(child, level + 1, size);
    }
}

// Builds the tree in place. The open containers are a chain of last children, so pointers to
// them stay valid: a container gets a new child only after the one before is closed.
class Builder : public YAML::EventHandler {
public:
    Builder(Node& root, std::vector<Fault>& faults, const std::string& name)
        : root_(root), faults_(faults), name_(name) {}

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (std::exchange(started_, true)) {
            throw Stop{line_of(mark), "a second YAML document starts here",
                       "keep one document in the file (remove the line '---')"};
        }
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        if (expects_key()) {
            throw Stop{line_of(mark), "a key is missing before ':'", "write key: value"};
        }
        add(Node::Kind::null, mark, "?", anchor);
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override;
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value /*style*/) override {
        open(Node::Kind::list, mark, tag, anchor);
    }
    void OnSequenceEnd() override { stack_.pop_back(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value /*style*/) override {
        open(Node::Kind::map, mark, tag, anchor);
    }
    void OnMapEnd() override {
        report_doubled(*stack_.back());
        stack_.pop_back();
    }

private:
    using Path = std::vector<std::size_t>;

    bool expects_key() const { return !stack_.empty() && stack_.back()->is_map() && !has_key_; }
    void charge(std::size_t nodes, std::size_t text, int line);
    Node& add(Node::Kind kind, const YAML::Mark& mark, const std::string& tag,
              YAML::anchor_t anchor);
    void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag,
              YAML::anchor_t anchor);
    void report_doubled(Node& map);
    Path path_of_last() const;

    Node& root_;
    std::vector<Fault>& faults_;
    const std::string& name_;
    bool started_ = false;
    std::vector<Node*> stack_;    // open containers
    bool has_key_ = false;        // the open map waits for the value of key_
    std::string key_;
    int key_line_ = 0;
    std::size_t nodes_ = 0;
    std::size_t text_ = 0;
    std::map<YAML::anchor_t, Path> anchors_;    // child numbers from the root
};

void Builder::charge(std::size_t nodes, std::size_t text, int line) {
    nodes_ += nodes;
    text_ += text;
    if (nodes_ > yaml_node_limit || text_ > yaml_text_limit) {
        throw Stop{line, "the document is too large once its aliases are expanded",
                   "a configuration needs far fewer than 100,000 values"};
    }
}

Builder::Path Builder::path_of_last() const {
    Path path;
    for (const Node* node : stack_) {
        path.push_back(node->children.size() - 1);
    }
    return path;
}

Node& Builder::add(Node::Kind kind, const YAML::Mark& mark, const std::string& tag,
                   YAML::anchor_t anchor) {
    const int line = line_of(mark);
    if (!tag.empty() && tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:str") {
        throw Stop{line, "the tag '" + excerpt(tag) + "' is not supported", "remove the tag"};
    }
    charge(1, key_.size(), line);
    Node* node = &root_;
    if (!stack_.empty()) {
        node = &stack_.back()->children.emplace_back();
    }
    node->kind = kind;
    node->line = line;
    node->key = std::exchange(key_, {});
    node->key_line = key_line_;
    has_key_ = false;
    if (anchor != YAML::NullAnchor) {
        anchors_[anchor] = path_of_last();
    }
    return *node;
}

void Builder::open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag,
                   YAML::anchor_t anchor) {
    if (expects_key()) {
        throw Stop{line_of(mark), "a list or map stands where a key is expected",
                   "keys are plain text; quote text that starts with [ or {"};
    }
    if (static_cast<int>(stack_.size()) >= yaml_depth_limit) {
        throw Stop{line_of(mark), "nested more than 100 levels deep", "flatten the document"};
    }
    stack_.push_back(&add(kind, mark, tag, anchor));
}

void Builder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       const std::string& value) {
    const bool quoted = tag != "?" && !tag.empty();
    if (!expects_key()) {
        Node& node = add(Node::Kind::scalar, mark, tag, anchor);
        charge(0, value.size(), node.line);
        node.text = value;
        node.quoted = quoted;
        return;
    }
    if (anchor != YAML::NullAnchor) {
        throw Stop{line_of(mark), "an anchor (&name) on a key", "put the anchor on the value"};
    }
    if (value.empty()) {
        throw Stop{line_of(mark), "a key is empty", "write key: value"};
    }
    key_ = value;
    key_line_ = line_of(mark);
    has_key_ = true;
}

void Builder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
    const int line = line_of(mark);
    const auto found = anchors_.find(anchor);
    if (expects_key() || found == anchors_.end()) {
        throw Stop{line, "an alias (*name) stands where a key is expected", "write the key out"};
    }
    const Node* target = &root_;
    std::size_t shared = 0;
    for (const std::size_t index : found->second) {
        target = &target->children[index];
        ++shared;
    }
    if (shared < stack_.size() && stack_[shared] == target) {
        throw Stop{line, "an alias (*name) refers to the value it stands in", "write it out"};
    }
    Size size;
    add_size(*target, 1, size);
    if (static_cast<int>(stack_.size()) + size.height > yaml_depth_limit + 1) {
        throw Stop{line, "nested more than 100 levels deep through aliases",
                   "flatten the document"};
    }
    charge(size.nodes, size.text, line);
    Node copy = *target;
    Node& node = add(copy.kind, mark, "?", YAML::NullAnchor);
    node.text = std::move(copy.text);
    node.quoted = copy.quoted;
    node.children = std::move(copy.children);
}

// yaml-cpp accepts a key twice and lets the last one win.
void Builder::report_doubled(Node& map) {
    std::vector<std::pair<std::string_view, std::size_t>> keys;
    keys.reserve(map.children.size());
    for (std::size_t i = 0; i < map.children.size(); ++i) {
        keys.emplace_back(map.children[i].key, i);
    }
    std::ranges::sort(keys);
    std::string path;
    for (const Node* node : stack_) {
        path += node->key.empty() ? "" : excerpt(node->key) + ".";
    }
    constexpr std::size_t enough = 100;
    for (std::size_t i = 1; i < keys.size() && faults_.size() < enough; ++i) {
        if (keys[i].first == keys[i - 1].first) {
            const Node& first = map.children[keys[i - 1].second];
            const Node& second = map.children[keys[i].second];
            faults_.push_back({name_, second.key_line, path + excerpt(second.key),
                               "the key stands twice in this map (first in line " +
                                   std::to_string(first.key_line) + ")",
                               "keep one of them", false});
        }
    }
}

// Replaces `<<: *base` (or a list of them) by the keys of base that the map lacks. Runs after
// the parse, because anchors are remembered as positions.
void merge_keys(Node& node) {
    for (auto& child : node.children) {
        merge_keys(child);
    }
    if (!node.is_map()) {
        return;
    }
    const auto merge = std::ranges::find(node.children, "<<", &Node::key);
    if (merge == node.children.end()) {
        return;
    }
    Node base = std::move(*merge);
    node.children.erase(merge);
    std::vector<Node> sources;
    if (base.is_list()) {
        sources = std::move(base.children);
    } else {
        sources.push_back(std::move(base));
    }
    std::unordered_set<std::string> have;
    for (const auto& child : node.children) {
        have.insert(child.key);
    }
    for (auto& source : sources) {
        if (!source.is_map()) {
            throw Stop{source.line, "the merge key << takes a map or a list of maps",
                       "write <<: *name, where &name stands on a map"};
        }
        for (auto& child : source.children) {
            if (have.insert(child.key).second) {
                node.children.push_back(std::move(child));
            }
        }
    }
}

// yaml-cpp guesses UTF-16 from NUL bytes, turns ill-formed bytes into U+FFFD and takes 0x04 for
// the end of the file: all of that is refused before it sees the text.
std::optional<Stop> check_text(std::string_view text) {
    if (text.size() > yaml_size_limit) {
        return Stop{0,
                    "the file has " + std::to_string(text.size()) + " bytes; the limit is 256 KB",
                    "keep only configuration in it"};
    }
    const auto line_at = [&](std::size_t at) {
        return 1 +
               static_cast<int>(std::count(text.begin(), text.begin() + std::ptrdiff_t(at), '\n'));
    };
    Utf8Reader reader(text);
    std::size_t at = 0;
    while (const auto point = reader.next()) {
        if ((*point < 0x20 && *point != '\n' && *point != '\r' && *point != '\t') ||
            *point == 0x7f) {
            return Stop{line_at(at), "a control character (byte " + std::to_string(*point) + ")",
                        "remove it; inside double quotes write \\x and two hex digits"};
        }
        at = reader.offset();
    }
    if (!reader.valid()) {
        return Stop{line_at(at), "not valid UTF-8", "save the file as UTF-8"};
    }
    return std::nullopt;
}

struct Translation {
    std::string_view from;    // in yaml-cpp's message
    std::string_view message;
    std::string_view remedy;
};
constexpr Translation translations[] = {
    {"illegal map value", "a ': ' where no value can start",
     "check the indentation, or quote the text if it contains ': '"},
    {"illegal tab", "the line is indented with a tab", "indent with spaces"},
    {"illegal document indicator", "a quote is opened and not closed", "close the quote"},
    {"illegal EOF in scalar", "a quote is opened and not closed", "close the quote"},
    {"end of sequence flow not found", "a [ is not closed", "close it with ]"},
    {"end of map flow not found", "a { is not closed", "close it with }"},
    {"end of map not found", "the indentation fits no line above", "align the keys of one map"},
    {"end of sequence not found", "the indentation fits no line above", "align the dashes"},
    {"unknown token", "a character that cannot start a value", "quote the text"},
    {"referenced anchor", "an alias (*name) without its anchor (&name)", "define the anchor first"},
    {"illegal flow end", "a ] or } without its opening bracket", "remove it"},
};

Stop translate(std::string_view text, const YAML::ParserException& error) {
    const int line = error.mark.is_null() ? 0 : line_of(error.mark);
    // Tabs are reported as all sorts of things.
    const auto lines = split(text, '\n');
    if (line >= 1 && static_cast<std::size_t>(line) <= lines.size()) {
        const auto bad = lines[static_cast<std::size_t>(line) - 1];
        const auto start = bad.find_first_not_of(" \t");
        if (bad.substr(0, start).find('\t') != std::string_view::npos) {
            return {line, "the line is indented with a tab", "indent with spaces"};
        }
    }
    for (const auto& known : translations) {
        if (error.msg.find(known.from) != std::string::npos) {
            return {line, std::string(known.message), std::string(known.remedy)};
        }
    }
    return {line, "not valid YAML: " + excerpt(error.msg), "see https://yaml.org/spec/1.2.2"};
}

}    // namespace

const Node* Node::find(std::string_view name) const {
    if (kind != Kind::map) {
        return nullptr;
    }
    const auto found = std::ranges::find(children, name, &Node::key);
    return found == children.end() ? nullptr : &*found;
}

std::string excerpt(std::string_view text) {
    constexpr std::size_t limit = 60;
    if (text.size() <= limit) {
        return printable(text);
    }
    std::size_t end = limit;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) {
        --end;
    }
    return printable(text.substr(0, end)) + "...";
}

Document parse_yaml(std::string_view text, const std::string& name) {
    Document out;
    const auto refuse = [&](const Stop& stop) {
        out.root = Node{};
        out.complete = false;
        out.faults.push_back({name, stop.line, "", stop.message, stop.remedy, false});
    };
    if (const auto stop = check_text(text)) {
        refuse(*stop);
        return out;
    }
    try {
        // The end marker makes yaml-cpp notice a quote that is open at the end of the file.
        std::string marked(text);
        marked += text.ends_with('\n') ? "...\n" : "\n...\n";
        std::istringstream stream(marked);
        YAML::Parser parser(stream);
        Builder builder(out.root, out.faults, name);
        while (parser.HandleNextDocument(builder)) {
        }
        merge_keys(out.root);
    } catch (const Stop& stop) {
        refuse(stop);
    } catch (const YAML::ParserException& error) {
        refuse(translate(text, error));
    } catch (const std::exception& error) {
        refuse({0, std::string("cannot be read: ") + excerpt(error.what()), ""});
    }
    if (out.root.kind == Node::Kind::null) {
        out.root.kind = Node::Kind::map;
    }
    return out;
}

}    // namespace seatrial::config
