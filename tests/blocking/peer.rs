//! The other end: a server that writes and reads octets by hand, or one that echoes.

use motorway::blocking::{Connector, Server, Stopper, WebSocket, WebSocketStream};
use motorway::handshake::{HeadLimits, HeadReader, accept_key, server};
use motorway::{ClientOptions, ConnectionAccept, Peer, ServerOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

/// A listener and the URL that leads to it.
pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    (listener, url)
}

/// Reads a request to its end.
pub(crate) fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut octets = Vec::new();
    while !octets.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        octets.push(octet[0]);
    }
    octets
}

/// Accepts a connection and its opening handshake.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    let request = read_request(&mut stream);
    let head = HeadReader::new(HeadLimits::default()).request(&request);
    let (head, _) = head.unwrap().unwrap();
    let options = ServerOptions::default();
    let server::Checked::Upgrade(request) = server::check(head, &options, Peer::Unknown) else {
        panic!("no opening handshake");
    };
    let accepted = server::accept(&request, &ConnectionAccept::new(), &options);
    stream.write_all(&accepted.unwrap().0).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A client, and the stream at the other end of its connection.
pub(crate) fn pair(options: ClientOptions) -> (WebSocketStream, TcpStream) {
    let (listener, url) = listen();
    let accepting = thread::spawn(move || accept(&listener));
    let ws = Connector::new(url).unwrap().options(options).connect();
    (ws.unwrap(), accepting.join().unwrap())
}

/// A server, and the stream of a client that has sent its opening handshake.
pub(crate) fn server_pair(options: ServerOptions) -> (WebSocketStream, TcpStream) {
    let server = Server::bind("127.0.0.1:0")
        .unwrap()
        .options(options)
        .unwrap();
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let request = format!(
        "GET /chat?a=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let ws = server.accept().unwrap();
    let response = read_request(&mut stream);
    assert!(
        String::from_utf8(response)
            .unwrap()
            .contains(&accept_key(key))
    );
    (ws, stream)
}

/// Reads a frame; returns its first octet and the unmasked payload, of less than 64 KiB.
pub(crate) fn read_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut length = usize::from(head[1] & 0x7f);
    if length == 126 {
        let mut extended = [0; 2];
        stream.read_exact(&mut extended).unwrap();
        length = usize::from(u16::from_be_bytes(extended));
    }
    assert!(length < 1 << 16);
    let mut key = [0; 4];
    if head[1] & 0x80 != 0 {
        stream.read_exact(&mut key).unwrap();
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).unwrap();
    let masked = payload.iter_mut().zip(key.iter().cycle());
    masked.for_each(|(octet, key)| *octet ^= key);
    (head[0], payload)
}

/// Reads to the end of the stream.
pub(crate) fn read_rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rest
}

/// An echo server in a thread, stopped when dropped.
pub(crate) struct Echo {
    pub(crate) url: String,
    /// The connections that have opened.
    pub(crate) opened: Receiver<WebSocket>,
    stopper: Stopper,
    serving: Option<JoinHandle<motorway::Result<()>>>,
}

impl Echo {
    pub(crate) fn start(options: ServerOptions) -> Self {
        let server = Server::bind("127.0.0.1:0").unwrap();
        Self::on(server.options(options).unwrap())
    }

    pub(crate) fn on(server: Server) -> Self {
        let url = format!("ws://{}/", server.local_addr());
        let stopper = server.stopper();
        let (opening, opened) = channel();
        let opening = Mutex::new(opening);
        let serving = thread::spawn(move || {
            server.serve(|ws| {
                // Few tests look at it.
                let _ = opening.lock().unwrap().send(ws.handle().clone());
                while let Some(message) = ws.recv()? {
                    ws.send(message)?;
                }
                Ok(())
            })
        });
        Self {
            url,
            opened,
            stopper,
            serving: Some(serving),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.url["ws://".len()..].trim_end_matches('/');
        address.parse().unwrap()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stopper.stop();
        let serving = self.serving.take().unwrap().join();
        assert!(thread::panicking() || serving.is_ok_and(|served| served.is_ok()));
    }
}
