// Connections by destination: one that has finished a message is kept for the next message to the
// same destination for a moment. How many deliveries go to one at once is the queue's to say.
//
// Whoever delivers holds a Lease; it may come with an open connection. Dropping a lease, at
// whatever point, closes that. A connection that is worth keeping is given back with keep().
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/ipc/routing.h"
#include "common/loop/task.h"
#include "deliver/relay/client_session.h"

namespace postern::relay {

// An open session and the stream that it runs over.
struct Connection {
    Connection(std::unique_ptr<Stream> stream, SessionOptions options)
        : stream(std::move(stream)), session(*this->stream, std::move(options)),
          opened(this->stream->executor().now()) {}
    Connection(const Connection&) = delete;

    std::unique_ptr<Stream> stream;
    ClientSession session;
    std::optional<Endpoint> endpoint; // of the exchanger; nothing: the session runs over a path
    TimePoint opened;
    unsigned messages = 0; // that it has been used for
};

// What makes two deliveries go to the same place in the same manner. Of several hosts it is the
// route's `host` that is meant. `helo` is the name used where the route's sources have none;
// `require_tls`: REQUIRETLS is wanted (RFC 8689), of servers that have proved who they are.
std::string destination_key(const ipc::Route& route, const std::string& helo,
                            bool require_tls = false);

class Destinations {
  public:
    struct Limits {
        std::chrono::seconds idle{2};       // a connection waits for another message
        std::chrono::seconds lifetime{300}; // then the exchangers are worked out anew
        unsigned messages = 100;            // the same, by count
        size_t idle_connections = 200;      // of all destinations
        size_t closing_connections = 100;   // where QUIT is under way
    };
    Destinations(Executor& executor, Limits limits);
    ~Destinations();

    class Lease {
      public:
        Lease(Lease&& other) noexcept;
        Lease& operator=(Lease&&) = delete;
        ~Lease();

        // An open, usable session from before, or nothing: open one.
        std::unique_ptr<Connection> take() { return std::move(connection_); }
        // After a message. A connection that is of no more use is closed, politely if possible.
        void keep(std::unique_ptr<Connection> connection);
        // Closes a connection, politely if possible; the lease remains, for another one.
        void discard(std::unique_ptr<Connection> connection) {
            destinations_->close(std::move(connection));
        }

      private:
        friend class Destinations;
        Lease(Destinations& destinations, std::string key, std::unique_ptr<Connection> connection)
            : destinations_(&destinations), key_(std::move(key)),
              connection_(std::move(connection)) {}
        Destinations* destinations_;
        std::string key_;
        std::unique_ptr<Connection> connection_;
    };
    Lease lease(const std::string& key);
    // The same without a session from before.
    Lease lease_anew(const std::string& key);

    // Takes leave of all idle connections, and keeps none from now on.
    void stop_keeping();

    size_t idle() const { return idle_.size(); }
    size_t leased() const { return leased_; }
    size_t closing() const { return closing_.size(); }

  private:
    struct Idle {
        std::string key;
        std::unique_ptr<Connection> connection;
        TimePoint until;
    };
    using IdleList = std::list<Idle>; // the first expires first

    struct Sweep final : Timer {
        explicit Sweep(Destinations& destinations) : destinations_(destinations) {}
        void expired() override { destinations_.sweep(); }
        Destinations& destinations_;
    };

    std::unique_ptr<Connection> take_idle(const std::string& key);
    void release(const std::string& key, std::unique_ptr<Connection> connection);
    bool worth_keeping(const Connection& connection) const;
    void put_aside(const std::string& key, std::unique_ptr<Connection> connection);
    void close(std::unique_ptr<Connection> connection);
    static Task<void> say_quit(std::unique_ptr<Connection> connection);
    void sweep();
    void remove_first_idle();

    Executor& executor_;
    Limits limits_;
    bool keeping_ = true;
    IdleList idle_;
    // By destination, the last was used last; none of these lists is empty.
    std::map<std::string, std::vector<IdleList::iterator>> by_destination_;
    size_t leased_ = 0;
    Sweep sweep_;
    TaskGroup closing_;
};

} // namespace postern::relay
