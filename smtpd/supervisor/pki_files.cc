#include "smtpd/supervisor/pki_files.h"

#include <cerrno>
#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/pipe.h"
#include "common/config/parse.h"
#include "common/process/process.h"
#include "common/tls/certificate.h"
#include "common/tls/ciphers.h"

namespace postern {

namespace {

constexpr off_t key_limit = 64 * 1024; // bytes
constexpr unsigned child_limit = 10;   // seconds, for a file system that does not answer
constexpr mode_t others = S_IRWXO | S_IWGRP | S_IXGRP;

std::string described(const std::string& name, const Pki& pki) {
    return "pki " + name + " (line " + std::to_string(pki.line) + "): ";
}

// Who may read the key may be the server.
Result<void> check_owner(const std::string& path, const struct stat& status) {
    if (!S_ISREG(status.st_mode))
        return Error{path + " is not a regular file"};
    if (status.st_uid != 0 && status.st_uid != geteuid())
        return Error{path + " belongs to somebody else"};
    if (status.st_mode & others)
        return Error{path + " may be read by everybody or written by its group: chmod 640 or 600"};
    if (status.st_size == 0 || status.st_size > key_limit)
        return Error{path + " is empty or larger than a key"};
    return {};
}

// The bytes pass from file to file inside the kernel.
Result<FileDescriptor> copy_key(const std::string& path) {
    FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status;
    if (!file || fstat(file.get(), &status) < 0)
        return system_error(path);
    if (Result<void> checked = check_owner(path, status); !checked)
        return checked.error();
    FileDescriptor copy(memfd_create("postern-key", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!copy)
        return system_error("memfd_create");
    for (off_t left = status.st_size; left > 0;) {
        const ssize_t sent = sendfile(copy.get(), file.get(), nullptr, static_cast<size_t>(left));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return system_error("read " + path, sent < 0 ? errno : EIO);
        left -= sent;
    }
    if (fcntl(copy.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) <
        0)
        return system_error("seal a memory file");
    return copy;
}

// What a child found out. Certificates are written anew there, so that what else is in their file
// (often it is the key) comes no further.
struct Verdict {
    std::string fault;        // empty: none
    std::string warning;      // empty: none
    std::string certificates; // PEM
};

std::string to_pem(const std::vector<X509Certificate>& chain) {
    MemoryBio bio(BIO_new(BIO_s_mem()));
    for (const X509Certificate& certificate : chain)
        PEM_write_bio_X509(bio.get(), certificate.get());
    char* bytes = nullptr;
    const long length = BIO_get_mem_data(bio.get(), &bytes);
    return std::string(bytes, static_cast<size_t>(length));
}

Result<std::vector<X509Certificate>> load_certificates(const std::string& path) {
    Result<std::string> text = read_configuration_file(path);
    if (!text)
        return text.error();
    auto chain = parse_certificates(*text);
    if (!chain)
        return Error{path + ": " + chain.error().message};
    return chain;
}

// In the child.
Verdict judge_pair(const Pki& pki, const FileDescriptor& key_file) {
    auto chain = load_certificates(pki.certificate);
    if (!chain)
        return {chain.error().message, "", ""};
    Result<std::string> pem = read_memory_file(key_file);
    Result<EvpKey> key = pem ? parse_private_key(*pem) : Result<EvpKey>(pem.error());
    if (!key)
        return {pki.key + ": " + key.error().message, "", ""};
    const X509& own = *chain->front();
    if (Result<void> paired = check_pair(own, **key); !paired)
        return {pki.certificate + ", " + pki.key + ": " + paired.error().message, "", ""};
    const std::string warning =
        is_out_of_date(own) ? pki.certificate + ": the certificate has expired or is not valid yet"
                            : "";
    return {"", warning, to_pem(*chain)};
}

// In the child.
Verdict judge_authorities(const std::string& path) {
    auto authorities = load_certificates(path);
    if (!authorities)
        return {authorities.error().message, "", ""};
    return {"", "", to_pem(*authorities)};
}

// In the child.
Verdict judge_ciphers(const std::string& list) {
    SslContext context(SSL_CTX_new(TLS_server_method()));
    Result<void> set = context ? set_ciphers(*context, list) : openssl_error("SSL_CTX_new");
    return {set ? "" : set.error().message, "", ""};
}

std::string read_all(int fd) {
    std::string text;
    char buffer[4096];
    while (const ssize_t got = read(fd, buffer, sizeof buffer)) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        text.append(buffer, static_cast<size_t>(got));
    }
    return text;
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = write(fd, text.data(), text.size());
        if (sent <= 0)
            return false;
        text.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
}

// Runs `judge` in a child, which says its verdict: a line of each kind, then the certificates.
template <class Judge> Result<Verdict> ask_child(Judge judge) {
    Result<Pipe> pipe = make_pipe();
    if (!pipe)
        return pipe.error();
    log::flush(); // or the child would have the lines as well
    const pid_t pid = fork();
    if (pid < 0)
        return system_error("fork");
    if (pid == 0) {
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        alarm(child_limit);
        const Verdict verdict = judge();
        const bool said = write_all(pipe->write_end.get(), verdict.fault + "\n" + verdict.warning +
                                                               "\n" + verdict.certificates + ".");
        _exit(said ? 0 : 1);
    }
    pipe->write_end.reset();
    const std::string text = read_all(pipe->read_end.get());
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    const size_t first = text.find('\n');
    const size_t second = first == std::string::npos ? first : text.find('\n', first + 1);
    if (second == std::string::npos || text.back() != '.')
        return Error{"keys cannot be checked: the process that does it ended"};
    return Verdict{text.substr(0, first), text.substr(first + 1, second - first - 1),
                   text.substr(second + 1, text.size() - second - 2)};
}

// The verdict of a child, or its fault as an error.
template <class Judge> Result<Verdict> judged(Judge judge) {
    Result<Verdict> verdict = ask_child(judge);
    if (verdict && !verdict->fault.empty())
        return Error{verdict->fault};
    return verdict;
}

Result<PkiFiles> read_pki(const std::string& name, const Pki& pki,
                          std::vector<std::string>& warnings) {
    PkiFiles files;
    files.name = name;
    Result<FileDescriptor> key = copy_key(pki.key);
    if (!key)
        return key.error();
    files.key = std::move(*key);
    Result<Verdict> verdict = judged([&] { return judge_pair(pki, files.key); });
    if (!verdict)
        return verdict.error();
    files.certificates = std::move(verdict->certificates);
    if (!verdict->warning.empty())
        warnings.push_back(described(name, pki) + verdict->warning);
    return files;
}

// Whether servers are verified by the system's authorities: at least where a message demands it
// (REQUIRETLS).
bool relays(const Configuration& configuration) {
    return std::any_of(configuration.actions.begin(), configuration.actions.end(),
                       [](const Action& action) { return action.kind == ActionKind::relay; });
}

bool demands_system_authorities(const Action& action) {
    const bool demanded =
        action.tls.required || (action.host && (action.host->scheme == RelayScheme::smtp_tls ||
                                                action.host->scheme == RelayScheme::smtps));
    return action.kind == ActionKind::relay && demanded && action.tls.verify &&
           action.tls.authority.empty();
}

// The PEM blocks of the certificates, not decoded: they are public and many, and whoever verifies a
// server by them decodes them then.
Result<std::string> copy_certificates(const std::string& path) {
    static constexpr std::string_view begin = "-----BEGIN CERTIFICATE-----";
    static constexpr std::string_view end = "-----END CERTIFICATE-----";
    Result<std::string> text = read_configuration_file(path);
    if (!text)
        return text.error();
    std::string certificates;
    for (size_t at = 0; (at = text->find(begin, at)) != text->npos;) {
        const size_t last = text->find(end, at);
        if (last == text->npos || text->find("-----BEGIN", at + 1) < last)
            return Error{path + ": a certificate is cut off"};
        certificates.append(*text, at, last + end.size() - at) += '\n';
        at = last;
    }
    if (certificates.empty())
        return Error{path + ": there is no certificate in PEM form"};
    return certificates;
}

void read_system_authorities(const Configuration& configuration, const std::string& path,
                             Credentials& credentials) {
    if (!relays(configuration))
        return;
    Result<std::string> certificates = copy_certificates(path);
    if (certificates) {
        credentials.system_authorities = std::move(*certificates);
        return;
    }
    for (const Action& action : configuration.actions)
        if (demands_system_authorities(action))
            credentials.warnings.push_back(
                "action " + action.name +
                ": no server can be verified: " + certificates.error().message);
}

Result<void> check_ciphers(const std::string& where, const std::string& list) {
    if (list.empty())
        return {};
    Result<Verdict> verdict = judged([&] { return judge_ciphers(list); });
    if (!verdict)
        return Error{where + ": " + verdict.error().message};
    return {};
}

} // namespace

Result<void> check_system_authorities(const std::string& path) {
    Result<Verdict> verdict = judged([&] { return judge_authorities(path); });
    return verdict ? Result<void>() : verdict.error();
}

Result<Credentials> read_credentials(const Configuration& configuration,
                                     const std::string& system_path) {
    Credentials credentials;
    for (const auto& [name, pki] : configuration.pkis) {
        Result<PkiFiles> files = read_pki(name, pki, credentials.warnings);
        if (!files)
            return Error{described(name, pki) + files.error().message};
        credentials.pkis.push_back(std::move(*files));
    }
    for (const auto& [name, path] : configuration.authorities) {
        Result<Verdict> verdict = judged([&] { return judge_authorities(path); });
        if (!verdict)
            return Error{"ca " + name + ": " + verdict.error().message};
        credentials.authorities.push_back({name, std::move(verdict->certificates)});
    }
    for (const Listen& listen : configuration.listens) {
        const std::string where =
            "listen on " + listen.on + " (line " + std::to_string(listen.line) + ")";
        if (Result<void> good = check_ciphers(where, listen.tls.ciphers); !good)
            return good.error();
    }
    for (const Action& action : configuration.actions)
        if (Result<void> good = check_ciphers("action " + action.name, action.tls.ciphers); !good)
            return good.error();
    read_system_authorities(configuration, system_path, credentials);
    return credentials;
}

} // namespace postern
