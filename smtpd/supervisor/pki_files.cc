#include "smtpd/supervisor/pki_files.h"

#include <cerrno>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/config/parse.h"
#include "common/process/process.h"
#include "common/tls/certificate.h"
#include "common/tls/ciphers.h"

namespace postern {

namespace {

constexpr off_t key_limit = 64 * 1024; // bytes
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

struct Verdict {
    std::string fault;   // empty: none
    std::string warning; // empty: none
};

// In the child.
Verdict judge_pair(const PkiFiles& files) {
    Result<std::vector<X509Certificate>> chain = parse_certificates(files.certificates);
    if (!chain)
        return {chain.error().message, ""};
    Result<std::string> pem = read_memory_file(files.key);
    if (!pem)
        return {pem.error().message, ""};
    Result<EvpKey> key = parse_private_key(*pem);
    OPENSSL_cleanse(pem->data(), pem->size());
    if (!key)
        return {key.error().message, ""};
    const X509& own = *chain->front();
    if (Result<void> paired = check_pair(own, **key); !paired)
        return {paired.error().message, ""};
    return {"", is_out_of_date(own) ? "the certificate has expired or is not valid yet" : ""};
}

// In the child.
Verdict judge_authorities(const std::string& pem) {
    Result<std::vector<X509Certificate>> parsed = parse_certificates(pem);
    return {parsed ? "" : parsed.error().message, ""};
}

// In the child.
Verdict judge_ciphers(const std::string& list) {
    SslContext context(SSL_CTX_new(TLS_server_method()));
    Result<void> set = context ? set_ciphers(*context, list) : openssl_error("SSL_CTX_new");
    return {set ? "" : set.error().message, ""};
}

// Runs `judge` in a child, which says its verdict in two lines.
template <class Judge> Result<Verdict> ask_child(Judge judge) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return system_error("pipe");
    FileDescriptor ours(ends[0]), theirs(ends[1]);
    const pid_t pid = fork();
    if (pid < 0)
        return system_error("fork");
    if (pid == 0) {
        const Verdict verdict = judge();
        const std::string text = verdict.fault + "\n" + verdict.warning + "\n";
        const bool said = write(theirs.get(), text.data(), text.size()) > 0;
        _exit(said ? 0 : 1);
    }
    theirs.reset();
    std::string text;
    char buffer[4096];
    while (const ssize_t got = read(ours.get(), buffer, sizeof buffer)) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        text.append(buffer, static_cast<size_t>(got));
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    const size_t end = text.find('\n');
    if (end == std::string::npos || text.back() != '\n')
        return Error{"keys cannot be checked: the process that does it ended"};
    return Verdict{text.substr(0, end), text.substr(end + 1, text.size() - end - 2)};
}

Result<PkiFiles> read_pki(const std::string& name, const Pki& pki,
                          std::vector<std::string>& warnings) {
    PkiFiles files;
    files.name = name;
    Result<std::string> certificates = read_configuration_file(pki.certificate);
    if (!certificates)
        return certificates.error();
    files.certificates = std::move(*certificates);
    Result<FileDescriptor> key = copy_key(pki.key);
    if (!key)
        return key.error();
    files.key = std::move(*key);
    Result<Verdict> verdict = ask_child([&files] { return judge_pair(files); });
    if (!verdict)
        return verdict.error();
    if (!verdict->fault.empty())
        return Error{pki.certificate + ", " + pki.key + ": " + verdict->fault};
    if (!verdict->warning.empty())
        warnings.push_back(described(name, pki) + pki.certificate + ": " + verdict->warning);
    return files;
}

} // namespace

Result<Credentials> read_credentials(const Configuration& configuration) {
    Credentials credentials;
    for (const auto& [name, pki] : configuration.pkis) {
        Result<PkiFiles> files = read_pki(name, pki, credentials.warnings);
        if (!files)
            return Error{described(name, pki) + files.error().message};
        credentials.pkis.push_back(std::move(*files));
    }
    for (const auto& [name, path] : configuration.authorities) {
        Result<std::string> text = read_configuration_file(path);
        if (!text)
            return Error{"ca " + name + ": " + text.error().message};
        Result<Verdict> verdict = ask_child([&] { return judge_authorities(*text); });
        if (!verdict || !verdict->fault.empty())
            return Error{"ca " + name + ": " + path + ": " +
                         (verdict ? verdict->fault : verdict.error().message)};
        credentials.authorities.push_back({name, std::move(*text)});
    }
    for (const Listen& listen : configuration.listens) {
        if (listen.tls.ciphers.empty())
            continue;
        Result<Verdict> verdict = ask_child([&] { return judge_ciphers(listen.tls.ciphers); });
        if (!verdict || !verdict->fault.empty())
            return Error{"listen on " + listen.on + " (line " + std::to_string(listen.line) +
                         "): " + (verdict ? verdict->fault : verdict.error().message)};
    }
    return credentials;
}

} // namespace postern
