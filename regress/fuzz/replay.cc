// Stands in for libFuzzer's main in `make check`: every file of a corpus, and mutations of them
// that are the same each time.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int mutations = 20000;
constexpr size_t largest = 8192; // octets

std::vector<std::string> read_corpus(const char* folder) {
    std::vector<std::string> paths, corpus;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths) {
        std::ifstream file(path, std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return corpus;
}

void run(const std::string& input) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

// One change: an octet, a piece taken out, doubled, or brought in from another file.
void mutate(std::string& input, const std::vector<std::string>& corpus, std::mt19937& random) {
    static constexpr char octets[] = {'\0', '\r', '\n',   ' ',    '.', '<', '>', '@',
                                      '"',  '\\', '\xff', '\x80', ':', '=', '-', '9'};
    const auto below = [&random](size_t limit) { return limit ? random() % limit : 0; };
    const size_t at = below(input.size() + 1);
    const size_t length = below(std::min<size_t>(input.size() - at, 64) + 1);
    switch (random() % 5) {
    case 0:
        input.insert(at, 1, octets[random() % sizeof octets]);
        break;
    case 1:
        input.replace(at, length, 1, static_cast<char>(random()));
        break;
    case 2:
        input.erase(at, length);
        break;
    case 3:
        input.insert(at, input.substr(at, length));
        break;
    default: {
        const std::string& other = corpus[random() % corpus.size()];
        const size_t from = below(other.size() + 1);
        input.insert(at, other.substr(from, below(256)));
    }
    }
    if (input.size() > largest)
        input.resize(largest);
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    const std::vector<std::string> corpus = read_corpus(argv[1]);
    if (corpus.empty()) {
        std::fprintf(stderr, "%s: there is nothing in it\n", argv[1]);
        return 2;
    }
    for (const std::string& input : corpus)
        run(input);
    std::mt19937 random(1);
    for (int i = 0; i < mutations; ++i) {
        std::string input = corpus[random() % corpus.size()];
        for (unsigned change = 0; change <= random() % 8; ++change)
            mutate(input, corpus, random);
        run(input);
    }
    std::printf("%zu files and %d mutations of them\n", corpus.size(), mutations);
    return 0;
}
