"""A web server that has a certificate, and pages for names: what HTTPS clients of ours talk to."""
import http.server
import ssl
import threading


class Web:
    def __init__(self, name, log):
        self.name, self.log = name, log
        self.pages = {}  # (host, path): (status, content type, octets)
        self.takes = {}  # (host, path): the status for what is posted there
        self.endless = set()  # (host, path): the body of such a reply has no end
        self.posts = []  # (host, path, [(name, value) of the header], octets)
        self.server = None

    def start(self, listener, certificate, key):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 30

            def place(self):
                return self.headers.get("Host", "").split(":")[0], self.path

            def do_GET(self):
                self.reply(*web.pages.get(self.place(), (404, "text/plain", b"")))

            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                status = web.takes.get(self.place(), 404)
                web.posts.append((*self.place(), self.headers.items(), content))
                if self.place() not in web.endless:
                    return self.reply(status, "text/plain", b"")
                self.send_response(status)
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(b"and more\r\n" * 1000)
                except OSError:
                    self.close_connection = True

            def reply(self, status, kind, content):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, form, *arguments):
                with open(web.log, "a") as file:
                    file.write(f"{self.headers.get('Host')} {form % arguments}\n")

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, request, address):
                request.settimeout(30)
                try:  # the handshake is the thread's, not the listener's
                    encrypted = context.wrap_socket(request, server_side=True)
                except OSError as error:
                    with open(web.log, "a") as file:
                        file.write(f"handshake: {error}\n")
                    return
                super().finish_request(encrypted, address)

        self.server = Server(listener.getsockname(), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = listener
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
