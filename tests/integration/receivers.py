"""What takes alerts in the tests: a web server and a mail server, real, on loopback, with TLS where it is asked for."""

import base64
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Hook:
    """An HTTP server and what it was sent."""

    status: int = 200
    delay_s: float = 0.0
    location: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook/t0ken"


@contextmanager
def run_hook(hook: Hook, tls: ssl.SSLContext | None = None) -> Iterator[Hook]:
    """The server, up until the block ends; on the same port when it comes up again."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.requests.append((dict(self.headers), body))
            time.sleep(hook.delay_s)
            self.send_response(hook.status)
            if hook.location:
                self.send_header("Location", hook.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                """The sender went away."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", hook.port), Handler), tls) as port:
        hook.port = port
        yield hook


@dataclass
class MailBox:
    """A mail server and what it took."""

    user: str = ""
    password: str = ""
    refuses: tuple[str, ...] = ()
    """Recipients that it does not know."""
    starts_tls: ssl.SSLContext | None = None
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, tuple[str, ...], bool]] = field(default_factory=list)
    """Sender, recipients, and whether the mail came encrypted."""
    port: int = 0


@contextmanager
def run_mail_server(box: MailBox, tls: ssl.SSLContext | None = None) -> Iterator[MailBox]:
    """The server, up until the block ends; on the same port when it comes up again."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                self._converse()
            except OSError:
                """The sender went away, or did not like the certificate."""

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def _converse(self) -> None:
            sender, recipients, is_known = "", [], not box.user
            self._say("220 test")
            while line := self.rfile.readline().decode().strip():
                verb, _, rest = line.partition(" ")
                match verb.upper():
                    case "EHLO":
                        offers = ["test", "AUTH PLAIN"]
                        if box.starts_tls and not isinstance(self.connection, ssl.SSLSocket):
                            offers.append("STARTTLS")
                        for offer in offers[:-1]:
                            self._say(f"250-{offer}")
                        self._say(f"250 {offers[-1]}")
                    case "STARTTLS":
                        self._say("220 go on")
                        self.connection = box.starts_tls.wrap_socket(self.connection, server_side=True)
                        self.rfile = self.connection.makefile("rb")
                        self.wfile = self.connection.makefile("wb", buffering=0)
                    case "AUTH":
                        _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                        is_known = (user, password) == (box.user, box.password)
                        self._say("235 hello" if is_known else f"535 {user} is not {password}")
                    case "MAIL":
                        sender, recipients = rest.partition(":")[2].split()[0].strip("<>"), []
                        self._say("250 ok" if is_known else "530 who are you")
                    case "RCPT":
                        recipient = rest.partition(":")[2].split()[0].strip("<>")
                        if recipient in box.refuses:
                            self._say(f"550 {recipient} is unknown")
                        else:
                            recipients.append(recipient)
                            self._say("250 ok")
                    case "DATA":
                        self._say("354 go on")
                        lines = iter(self.rfile.readline, b".\r\n")
                        mail = b"".join(line.removeprefix(b".") for line in lines)
                        box.mails.append(message_from_bytes(mail, policy=SMTP))
                        is_encrypted = isinstance(self.connection, ssl.SSLSocket)
                        box.envelopes.append((sender, tuple(recipients), is_encrypted))
                        self._say("250 taken")
                    case "QUIT":
                        self._say("221 bye")
                        return
                    case _:
                        self._say("250 ok")

        def finish(self) -> None:
            """As always, and the socket that TLS was put around."""
            try:
                super().finish()
            finally:
                self.connection.close()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with _serving(Server(("127.0.0.1", box.port), Handler), tls) as port:
        box.port = port
        yield box


@contextmanager
def _serving(server: socketserver.TCPServer, tls: ssl.SSLContext | None) -> Iterator[int]:
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # a sender that refuses the certificate is what some tests are about
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that nobody signed but itself, as a file to trust and as a server uses it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "certificate.pem", folder / "key.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, private)
    return trusted, context
